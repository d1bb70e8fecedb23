//! The edge between institutions: bytes of `node::share` carried over TLS 1.3.
//!
//! Both ends prove the institution key that the ledger names (raw public keys, RFC 7250; no certificates
//! and no authorities); whose a key is, is asked at each handshake and again at each request, so that
//! keys rotate without downtime and a retired member is out at once. Key exchange is hybrid (X25519 with
//! ML-KEM-768). Sessions are not resumed: a resumed one would not be authenticated anew.
//!
//! On the wire, after the handshake, any number of exchanges one after the other:
//! `length (4, big endian) || request` and `status (1) || length (4) || answer`. Status 0: the sealed
//! answer; 1: a sentence why the message was not acted on.
//!
//! Inputs and outputs are opaque bytes; times are bounded by [`Bounds`]. It decides nothing and keeps
//! nothing: what it carries is signed and sealed for the ends, not for this crate.

mod client;
mod frame;
mod server;
mod tls;

pub use client::{Client, PeerError};
pub use server::serve;

use futures::future::BoxFuture;
use node::share::{PeerKeys, ShareQuery};
use node::{Handle, Kind};
use std::sync::Arc;
use std::time::Duration;

/// One end of a connection: a node.
pub trait End: Send + Sync + 'static {
    /// The keys of institutions; none once the node has stopped.
    fn keys(&self) -> Option<Arc<dyn PeerKeys>>;

    /// Answers a request, or says in a sentence why not.
    fn answer(&self, query: ShareQuery) -> BoxFuture<'_, Result<Vec<u8>, String>>;
}

impl End for Handle {
    fn keys(&self) -> Option<Arc<dyn PeerKeys>> {
        self.peer_keys()
    }

    fn answer(&self, query: ShareQuery) -> BoxFuture<'_, Result<Vec<u8>, String>> {
        Box::pin(async move {
            match self.share_answer(query).await {
                Ok(answer) => Ok(answer.bytes),
                // Nothing of what went wrong inside.
                Err(error) if error.kind() == Kind::Internal => {
                    Err("something went wrong here; try again later".to_owned())
                }
                Err(error) => Err(error.to_string()),
            }
        })
    }
}

/// Bounds of the connections.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// At most so many connections of other institutions at a time.
    pub connections: usize,
    /// Of those, at most so many of one institution.
    pub each: usize,
    /// At most so many handshakes at a time: of whom they are is not known yet.
    pub strangers: usize,
    /// Of those, at most so many from one address.
    pub strangers_each: usize,
    /// The longest a handshake may take.
    pub handshake: Duration,
    /// The longest a peer may keep silent between two requests.
    pub idle: Duration,
    /// The longest one exchange may take.
    pub exchange: Duration,
    /// How long exchanges in flight may take to end once serving is to stop.
    pub grace: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 256,
            each: 64,
            strangers: 128,
            strangers_each: 32,
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            exchange: Duration::from_secs(30),
            grace: Duration::from_secs(10),
        }
    }
}
