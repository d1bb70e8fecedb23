//! What every request passes: limits, authentication, problem documents for whatever goes wrong.

use crate::{
    endpoint::{Access, ENDPOINTS, Endpoint},
    problem::Problem,
    token::Tokens,
};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use node::{Ambient, Caller, Handle, Millis};
use std::{sync::Arc, time::Duration};
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
    ambient: Ambient,
    tokens: Tokens,
    pub(crate) limits: Arc<Limits>,
    /// One permit per KiB of a body in flight.
    budget: Arc<Semaphore>,
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
        }
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
    }
    router
        .layer(middleware::from_fn_with_state(edge.clone(), guard))
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
        .with_state(edge)
}

/// Authenticates, bounds the time, and keeps answers out of caches.
async fn guard(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let Some(endpoint) = endpoint_of(&request) else {
        return next.run(request).await;
    };
    match admit(&edge, endpoint, request.headers()) {
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller);
        }
        Ok(None) => {}
        Err(problem) => return problem.into_response(),
    }
    let limit = Duration::from_millis(edge.limits.request_ms);
    let mut response = match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "the request took too long; what was accepted goes on, so send it again under the same key",
        )
        .into_response(),
    };
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

fn endpoint_of(request: &Request) -> Option<&'static Endpoint> {
    let path = request.extensions().get::<MatchedPath>()?.as_str();
    let method = request.method();
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    ENDPOINTS
        .iter()
        .find(|e| e.path == path && e.method.as_str() == method.as_str())
}

fn admit(edge: &Edge, endpoint: &Endpoint, headers: &HeaderMap) -> Result<Option<Caller>, Problem> {
    if endpoint.access == Access::Open {
        return Ok(None);
    }
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.strip_prefix("Bearer "))
        .ok_or_else(Problem::unauthenticated)?;
    let caller = edge
        .tokens
        .caller(token.trim(), Millis::new(edge.ambient.now_ms()))
        .ok_or_else(Problem::unauthenticated)?;
    if let Access::Only(roles) = endpoint.access
        && !roles.iter().any(|role| caller.has(*role))
    {
        let names: Vec<_> = roles.iter().map(ToString::to_string).collect();
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            format!("this needs one of the roles {}", names.join(", ")),
        ));
    }
    Ok(Some(caller))
}
