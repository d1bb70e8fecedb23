//! The router, what its handlers share, and the bounds of what they read.

use crate::{
    auth::Desk, endpoint::ENDPOINTS, events::Streams, guard::guard, problem::Problem,
    shares::Exchange, token::Tokens,
};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, StatusCode, header},
    middleware,
};
use node::{Ambient, Handle, Millis};
use sign_in::{issuers::Issuers, own::OwnIssuer};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds of the edge.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest body of a deposit, in bytes.
    pub payload_bytes: usize,
    /// All bodies in flight together, in bytes.
    pub bodies_bytes: usize,
    /// The largest JSON body of any other request, in bytes.
    pub json_bytes: usize,
    /// The longest a request may take, in milliseconds.
    pub request_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload_bytes: 16 << 20,
            bodies_bytes: 64 << 20,
            json_bytes: 256 << 10,
            request_ms: 60_000,
        }
    }
}

/// What handlers share.
#[derive(Clone)]
pub struct Edge {
    pub(crate) node: Handle,
    pub(crate) ambient: Ambient,
    pub(crate) tokens: Tokens,
    pub(crate) limits: Arc<Limits>,
    /// One permit per KiB of a body in flight.
    budget: Arc<Semaphore>,
    pub(crate) streams: Arc<Streams>,
    exchange: Option<Arc<dyn Exchange>>,
    pub(crate) issuers: Option<Arc<Issuers>>,
    pub(crate) desk: Option<Arc<Desk>>,
}

const PERMIT_BYTES: usize = 1 << 10;

impl Edge {
    /// An edge in front of a node. `ambient` tells the time by which tokens expire.
    pub fn new(node: Handle, ambient: Ambient, tokens: Tokens, limits: Limits) -> Self {
        let permits = limits.bodies_bytes.max(limits.payload_bytes) / PERMIT_BYTES + 1;
        Self {
            node,
            ambient,
            tokens,
            limits: Arc::new(limits),
            budget: Arc::new(Semaphore::new(permits)),
            streams: Arc::default(),
            exchange: None,
            issuers: None,
            desk: None,
        }
    }

    /// The same edge, believing access tokens of these issuers.
    #[must_use]
    pub fn with_issuers(mut self, issuers: Issuers) -> Self {
        self.issuers = Some(Arc::new(issuers));
        self
    }

    /// The same edge, with a way to other institutions.
    #[must_use]
    pub fn with_exchange(mut self, exchange: Arc<dyn Exchange>) -> Self {
        self.exchange = Some(exchange);
        self
    }

    /// The same edge, signing people and software in by itself.
    #[must_use]
    pub fn with_own_issuer(mut self, issuer: OwnIssuer) -> Self {
        self.desk = Some(Arc::new(Desk::new(issuer)));
        self
    }

    pub(crate) fn exchange(&self) -> Option<&dyn Exchange> {
        self.exchange.as_deref()
    }

    /// The time by which tokens expire.
    pub(crate) fn now(&self) -> Millis {
        Millis::new(self.ambient.now_ms())
    }

    /// Reads a body of at most `limit_bytes`, within the budget of all bodies.
    pub(crate) async fn body(
        &self,
        headers: &HeaderMap,
        body: Body,
        limit_bytes: usize,
    ) -> Result<Held, Problem> {
        let declared = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        let size = declared.unwrap_or(limit_bytes);
        if size > limit_bytes {
            return Err(too_large(limit_bytes));
        }
        let permits = u32::try_from(size / PERMIT_BYTES + 1).map_err(|_| too_large(limit_bytes))?;
        let permit = self
            .budget
            .clone()
            .try_acquire_many_owned(permits)
            .map_err(|_| {
                Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "too many large requests at once; try again in a moment",
                )
            })?;
        let bytes = to_bytes(body, limit_bytes).await.map_err(|error| {
            let cut = std::error::Error::source(&error)
                .is_some_and(|s| s.is::<http_body_util::LengthLimitError>());
            if cut {
                too_large(limit_bytes)
            } else {
                Problem::bad_request("the body ended before its announced length; send it again")
            }
        })?;
        Ok(Held {
            bytes: bytes.into(),
            _permit: permit,
        })
    }
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edge")
    }
}

/// A body and its place in the budget.
pub(crate) struct Held {
    pub(crate) bytes: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

fn too_large(limit_bytes: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-large",
        format!("the body is larger than {limit_bytes} bytes; send it in parts"),
    )
}

/// The router of all endpoints.
pub fn router(edge: Edge) -> Router {
    let mut router = Router::new();
    for endpoint in ENDPOINTS {
        router = router.route(endpoint.path, (endpoint.route)());
        if endpoint.is_fhir() {
            // Clients join a base that ends with a slash and an empty path.
            let with_slash = format!("{}/", endpoint.path);
            router = router.route(&with_slash, (endpoint.route)());
        }
    }
    router
        .fallback(async || {
            Problem::new(
                StatusCode::NOT_FOUND,
                "not-found",
                "no such path; /openapi.json lists them",
            )
        })
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "this path does not take this method; /openapi.json lists them",
            )
        })
        .layer(middleware::from_fn_with_state(edge.clone(), guard))
        .with_state(edge)
}
