//! Asking others: a connection to each institution that is asked, kept for a while.

use crate::frame::{self, Status};
use crate::{Bounds, End, tls};
use codec::id::InstitutionId;
use node::share::ANSWER_MAX_BYTES;
use rustls::pki_types::ServerName;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Idle connections kept for each institution.
const KEPT: usize = 16;
/// Longest sentence of a refusal that is passed on, in bytes.
const SENTENCE_MAX_BYTES: usize = 2_048;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// No address of it is known.
    #[error("no address of institution {0} is configured; add it under [peers]")]
    NoAddress(InstitutionId),
    /// It could not be reached, or is not who it should be, or the connection broke.
    #[error("institution {institution} could not be asked at {address}: {source}")]
    Unreachable {
        /// The institution.
        institution: InstitutionId,
        /// Where it was looked for.
        address: SocketAddr,
        /// What happened.
        source: io::Error,
    },
    /// It did not act on the message.
    #[error("institution {institution} refused the message: {why}")]
    Refused {
        /// The institution.
        institution: InstitutionId,
        /// In its own words.
        why: String,
    },
}

/// Asks other institutions. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    end: Arc<dyn End>,
    addresses: BTreeMap<InstitutionId, SocketAddr>,
    bounds: Bounds,
    idle: Mutex<BTreeMap<InstitutionId, Vec<Idle>>>,
}

struct Idle {
    stream: TlsStream<TcpStream>,
    since: Instant,
}

impl Client {
    /// A client that knows these addresses.
    #[must_use]
    pub fn new(
        end: Arc<dyn End>,
        addresses: BTreeMap<InstitutionId, SocketAddr>,
        bounds: Bounds,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                end,
                addresses,
                bounds,
                idle: Mutex::default(),
            }),
        }
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`PeerError`]. A request is good once: after [`PeerError::Unreachable`] make a new one.
    pub async fn exchange(&self, to: InstitutionId, request: &[u8]) -> Result<Vec<u8>, PeerError> {
        let address = self.inner.addresses.get(&to);
        let address = *address.ok_or(PeerError::NoAddress(to))?;
        let unreachable = |source: io::Error| PeerError::Unreachable {
            institution: to,
            address,
            source,
        };
        let mut stream = match self.take(to) {
            Some(stream) => stream,
            None => self.connect(to, address).await.map_err(unreachable)?,
        };
        let exchange = async {
            frame::write(&mut stream, request).await?;
            frame::read_answer(&mut stream, ANSWER_MAX_BYTES).await
        };
        let exchanged = timeout(self.inner.bounds.exchange, exchange).await;
        let (status, bytes) = exchanged
            .map_err(io::Error::from)
            .flatten()
            .map_err(unreachable)?;
        self.keep(to, stream);
        match status {
            Status::Answered => Ok(bytes),
            Status::Refused => Err(PeerError::Refused {
                institution: to,
                why: words(&bytes),
            }),
        }
    }

    async fn connect(
        &self,
        to: InstitutionId,
        address: SocketAddr,
    ) -> io::Result<TlsStream<TcpStream>> {
        let config = tls::client(&self.inner.end, to).map_err(io::Error::other)?;
        // Not looked at: who answers is decided by its key.
        let name = ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
        let connect = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            TlsConnector::from(config).connect(name, stream).await
        };
        timeout(self.inner.bounds.handshake, connect).await?
    }

    /// A kept connection that the other side has most likely not closed yet.
    fn take(&self, to: InstitutionId) -> Option<TlsStream<TcpStream>> {
        let mut idle = self
            .inner
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let kept = idle.get_mut(&to)?;
        // Asked anew, as the server does: a key that was rotated away is nobody's.
        let is_still = |idle: &Idle| {
            let shown = idle.stream.get_ref().1.peer_certificates();
            tls::peer(&*self.inner.end, shown) == Some(to)
        };
        kept.retain(|idle| idle.since.elapsed() < self.inner.bounds.idle / 2 && is_still(idle));
        kept.pop().map(|idle| idle.stream)
    }

    fn keep(&self, to: InstitutionId, stream: TlsStream<TcpStream>) {
        let mut idle = self
            .inner
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let kept = idle.entry(to).or_default();
        if kept.len() < KEPT {
            let since = Instant::now();
            kept.push(Idle { stream, since });
        }
    }
}

/// Another institution's sentence, as text on one line.
fn words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..SENTENCE_MAX_BYTES).unwrap_or(bytes));
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("addresses", &self.inner.addresses)
            .finish_non_exhaustive()
    }
}
