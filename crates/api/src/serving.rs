//! Connections: how many there may be, how long each may keep silent, and how they end.
//!
//! HTTP/1 only. A client has [`Bounds::header`] to send a request's head, be it the first of the connection or
//! a later one, and [`Bounds::answer`] to take an answer that does not fit the socket's buffers; whoever is
//! slower is cut off. How long a request's body and its handler may take is bounded where requests are
//! (`guard`). Beyond [`Bounds::connections`] a client waits in the listener's backlog until another leaves.

use axum::{Extension, Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::Service as _};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    future::Future,
    io,
    net::IpAddr,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{Sleep, sleep, timeout},
};

/// Tells that serving is to stop.
#[derive(Debug, Clone)]
pub(crate) struct Stopping(watch::Receiver<()>);

impl Stopping {
    /// Resolves then.
    pub(crate) async fn wait(&mut self) {
        // An error says that the server is gone.
        self.0.changed().await.ok();
    }
}

/// The other end of a connection, for handlers.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Where it is.
    pub(crate) address: IpAddr,
    /// Lowercase hexadecimal SHA-256 of the certificate (DER) that it proved, on a listener for machines.
    pub(crate) certificate: Option<String>,
}

/// Bounds of the connections.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// At most this many at a time; at least one.
    pub connections: usize,
    /// The longest a client may take to send a request's head, or stay silent between two requests.
    pub header: Duration,
    /// The longest a client may take to accept an answer.
    pub answer: Duration,
    /// How long requests in flight may take to end once serving is to stop.
    pub grace: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 256,
            header: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

/// Buffer of one connection, in bytes; a request's head must fit.
const BUFFER_BYTES: usize = 64 << 10;
/// Between two tries when the system gives no further connection (out of file descriptors).
const RETRY: Duration = Duration::from_millis(200);

/// Serves until `shutdown` resolves, then lets requests in flight end, for at most the bounds' grace.
///
/// # Errors
/// When the listener is of no use any more.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: &Bounds,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut shutdown = pin!(shutdown);
    let (stop, stopping) = watch::channel(());
    // Answers that go on until they are told to end.
    let router = router.layer(Extension(Stopping(stopping.clone())));
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            // A place is free again; what a connection ended with is its client's affair.
            Some(_) = open.join_next() => {}
            accepted = listener.accept(), if open.len() < bounds.connections.max(1) => match accepted {
                Ok((stream, from)) => {
                    let peer = Peer { address: from.ip(), certificate: None };
                    open.spawn(connection(stream, peer, router.clone(), bounds.clone(), stopping.clone()));
                }
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection; trying again");
                    sleep(RETRY).await;
                }
            },
        }
    }
    // Nobody new is let in, and who is idle is let go.
    drop(listener);
    stop.send(()).ok();
    let ended = async { while open.join_next().await.is_some() {} };
    if timeout(bounds.grace, ended).await.is_err() {
        tracing::warn!(
            connections = open.len(),
            "requests were still in flight when their time was over"
        );
    }
    Ok(())
}

/// It hung up between knocking and being let in.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// One connection to its end.
async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: Peer,
    router: Router,
    bounds: Bounds,
    mut stopping: watch::Receiver<()>,
) {
    let stream = Impatient {
        stream,
        patience: bounds.answer,
        waiting: None,
    };
    let inner = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        inner.call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = pin!(served);
    // What went wrong on the wire is the client's affair and was answered where it could be.
    let over = tokio::select! {
        _ = &mut served => true,
        _ = stopping.changed() => false,
    };
    if !over {
        served.as_mut().graceful_shutdown();
        let _ = served.await;
    }
}

/// A stream whose other side must take what it is sent in time.
///
/// The time runs from the first write that has to wait until all that was written is gone.
struct Impatient<S> {
    stream: S,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    fn check<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            return done;
        }
        let patience = self.patience;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.check(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.check(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        if done.is_ready() {
            self.waiting = None;
        }
        self.check(cx, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.check(cx, done)
    }
}
