//! The HTTP edge of a node: JSON over loopback, OpenAPI at `/openapi.json`.
//!
//! One table, [`endpoint::ENDPOINTS`], makes the router, the OpenAPI document and the authorisation matrix
//! of the tests: an endpoint that is not in it does not exist. The edge authenticates a bearer token,
//! parses a request into one value of `node`, calls one use case and writes its answer. It decides
//! nothing: authorisation and consent are the node's.
//!
//! Inputs are bounded: bodies by size, all bodies in flight together by a budget, requests by time.
//! Every error is an RFC 9457 problem document; none carries patient data.
//!
//! Does not know: the vault, the ledger, how consent is decided.

pub mod endpoint;
pub mod openapi;
pub mod problem;
pub mod token;

mod consents;
mod disclosures;
mod edge;
mod emergencies;
mod guard;
mod operations;
mod read;
mod records;
mod subjects;

pub use edge::{Edge, Limits, router};
pub use problem::Problem;
pub use token::{NewToken, TokenError, Tokens};

use axum::Router;
use std::{
    future::{self, Future, IntoFuture},
    io,
    time::Duration,
};
use tokio::{net::TcpListener, sync::oneshot};

/// Serves until `shutdown` resolves, then lets requests in flight end, for at most `grace`.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let served = axum::serve(listener, router).with_graceful_shutdown(async {
        shutdown.await;
        // The other side goes away only together with this future.
        stopping.send(()).ok();
    });
    let over = async {
        match stopped.await {
            Ok(()) => tokio::time::sleep(grace).await,
            Err(_) => future::pending().await,
        }
    };
    tokio::select! {
        ended = served.into_future() => ended,
        () = over => Ok(()),
    }
}
