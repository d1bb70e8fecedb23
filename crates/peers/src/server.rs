//! Answering others: authenticated connections, one exchange after the other.

use crate::frame::{self, Status};
use crate::{Bounds, End, tls};
use codec::InstitutionId;
use node::share::{Place, Places, REQUEST_MAX_BYTES, ShareQuery};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Between two tries when the system gives no further connection (out of file descriptors).
const RETRY: Duration = Duration::from_millis(200);

/// Answers other institutions until `shutdown` resolves, then lets exchanges in flight end, for at most
/// the bounds' grace.
///
/// # Errors
/// When TLS cannot be set up.
pub async fn serve(
    listener: TcpListener,
    end: Arc<dyn End>,
    bounds: &Bounds,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let acceptor = TlsAcceptor::from(tls::server(&end).map_err(io::Error::other)?);
    let mut shutdown = pin!(shutdown);
    let (stop, stopping) = watch::channel(());
    let mut open = JoinSet::new();
    let places = Places::new(bounds.connections, bounds.each);
    let strangers = Places::new(bounds.strangers, bounds.strangers_each);
    // What is beyond is closed at once, for lack of a place.
    let most = bounds.connections.saturating_add(bounds.strangers);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = open.join_next() => {}
            accepted = listener.accept(), if open.len() <= most => match accepted {
                Ok((stream, from)) => {
                    let Some(stranger) = strangers.take(from.ip()) else {
                        tracing::debug!("an address opens too many connections");
                        continue;
                    };
                    let (acceptor, end) = (acceptor.clone(), end.clone());
                    let (bounds, stopping) = (bounds.clone(), stopping.clone());
                    let places = places.clone();
                    open.spawn(async move {
                        let greeted = greet(stream, acceptor, &end, places, &bounds).await;
                        drop(stranger);
                        let connection = async { serve_one(greeted?, end, bounds, stopping).await };
                        if let Err(error) = connection.await {
                            tracing::debug!(%error, "a connection of another institution ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a connection; trying again");
                    sleep(RETRY).await;
                }
            },
        }
    }
    drop(listener);
    stop.send(()).ok();
    let ended = async { while open.join_next().await.is_some() {} };
    if timeout(bounds.grace, ended).await.is_err() {
        tracing::warn!(
            connections = open.len(),
            "exchanges were still in flight when their time was over"
        );
    }
    Ok(())
}

/// A connection and the place that its institution takes with it.
type Greeted = (TlsStream<TcpStream>, Place<InstitutionId>);

/// The handshake: until it is over nobody knows whose the connection is.
async fn greet(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    end: &Arc<dyn End>,
    places: Places<InstitutionId>,
    bounds: &Bounds,
) -> io::Result<Greeted> {
    stream.set_nodelay(true)?;
    let stream = timeout(bounds.handshake, acceptor.accept(stream)).await??;
    let whose = || tls::peer(&**end, stream.get_ref().1.peer_certificates());
    let whose = whose().ok_or(io::ErrorKind::PermissionDenied)?;
    let place = places.take(whose).ok_or_else(|| {
        tracing::debug!(institution = %whose, "it has too many connections");
        io::ErrorKind::QuotaExceeded
    })?;
    Ok((stream, place))
}

async fn serve_one(
    (mut stream, _place): Greeted,
    end: Arc<dyn End>,
    bounds: Bounds,
    mut stopping: watch::Receiver<()>,
) -> io::Result<()> {
    loop {
        let next = tokio::select! {
            next = timeout(bounds.idle, frame::read(&mut stream, REQUEST_MAX_BYTES)) => next??,
            _ = stopping.changed() => None,
        };
        let Some(bytes) = next else {
            return Ok(());
        };
        // Asked anew: the key may have been rotated away, or its institution retired, since the handshake.
        let Some(peer) = tls::peer(&*end, stream.get_ref().1.peer_certificates()) else {
            return Err(io::ErrorKind::PermissionDenied.into());
        };
        let query = ShareQuery {
            peer: Some(peer),
            bytes,
        };
        let exchange = async {
            let (status, bytes) = match end.answer(query).await {
                Ok(answer) => (Status::Answered, answer),
                Err(sentence) => (Status::Refused, sentence.into_bytes()),
            };
            frame::write_answer(&mut stream, status, &bytes).await
        };
        timeout(bounds.exchange, exchange).await??;
    }
}
