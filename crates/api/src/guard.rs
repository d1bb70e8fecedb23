//! What every request passes before and after its handler.
//!
//! Before, by the table of endpoints: the bearer token, the query's parameters, the body's media type.
//! After: an id for each problem, a log line without patient data, no caching.

use crate::{
    cors,
    edge::Edge,
    endpoint::{Access, ENDPOINTS, Endpoint, Shape},
    fhir::{as_outcome, is_path},
    problem::Problem,
    read::media_type,
    serving::Peer,
    session::{Session, authenticate},
};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{collections::BTreeSet, time::Duration};

/// Authenticates, checks against the table, bounds the time, logs; says which pages may read the answer.
pub(crate) async fn guard(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let asker = cors::Asker::of(&edge, &request);
    let asked = asker.preflight(&request);
    let mut response = answered(&edge, request, next, asked).await;
    asker.permit(&mut response);
    response
}

/// The answer; `ready` if there is one already.
async fn answered(
    edge: &Edge,
    mut request: Request,
    next: Next,
    ready: Option<Response>,
) -> Response {
    let from_ms = edge.ambient.now_ms();
    let endpoint = endpoint_of(&request);
    let of_fhir = is_path(request.uri().path());
    let admitted = match endpoint {
        Some(endpoint) => {
            let query = request.uri().query().unwrap_or_default();
            let peer = request.extensions().get::<Peer>();
            let certificate = peer.and_then(|peer| peer.certificate.clone());
            admit(edge, endpoint, request.headers(), query, certificate).await
        }
        None => Ok(None),
    };
    let mut response = match (ready, admitted) {
        (Some(ready), _) => ready,
        (None, Ok(session)) => {
            if let Some(session) = session {
                request.extensions_mut().insert(session);
            }
            timed(edge, next.run(request)).await
        }
        (None, Err(problem)) => problem.into_response(),
    };
    let took_ms = edge.ambient.now_ms().saturating_sub(from_ms);
    let status = response.status().as_u16();
    let operation = endpoint.map_or("none", |e| e.id);
    tracing::debug!(operation, status, took_ms, "request");
    let problem = Problem::name(&mut response, || urn(edge.ambient.random()));
    if let Some(problem) = problem.as_ref().filter(|_| of_fhir) {
        *response.body_mut() = as_outcome(problem).into();
        let media = HeaderValue::from_static("application/fhir+json;charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, media);
    }
    if let Some(problem) = problem.filter(|_| status >= 500) {
        let document = problem.document();
        let instance = document.instance.as_deref();
        // INVARIANT: the details of the node's errors hold no patient data.
        tracing::error!(operation, status, instance, "{}", document.detail);
    }
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

async fn timed(edge: &Edge, handler: impl Future<Output = Response>) -> Response {
    let limit = Duration::from_millis(edge.limits.request_ms);
    tokio::time::timeout(limit, handler).await.unwrap_or_else(|_| {
        Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "the request took too long; what was accepted goes on, so send it again under the same key",
        )
        .into_response()
    })
}

/// A random UUID (RFC 9562, version 4) as a URN.
fn urn(random: [u8; 16]) -> String {
    let number = u128::from_be_bytes(random);
    let number = number & !(0xf << 76 | 0x3 << 62) | (0x4 << 76 | 0x2 << 62);
    let hex = format!("{number:032x}");
    let parts: Vec<&str> = [0..8, 8..12, 12..16, 16..20, 20..32]
        .into_iter()
        .filter_map(|range| hex.get(range))
        .collect();
    format!("urn:uuid:{}", parts.join("-"))
}

fn endpoint_of(request: &Request) -> Option<&'static Endpoint> {
    let path = request.extensions().get::<MatchedPath>()?.as_str();
    // Every FHIR path is there with a slash at its end too.
    let path = path.strip_suffix('/').unwrap_or(path);
    // The router answers HEAD by GET's handler.
    let method = match request.method() {
        &Method::HEAD => &Method::GET,
        method => method,
    };
    ENDPOINTS
        .iter()
        .find(|e| e.path == path && e.method.as_str() == method.as_str())
}

async fn admit(
    edge: &Edge,
    endpoint: &Endpoint,
    headers: &HeaderMap,
    query: &str,
    certificate: Option<String>,
) -> Result<Option<Session>, Problem> {
    let session = match endpoint.access {
        Access::Open => None,
        Access::Bearer | Access::Only(_) => {
            Some(authenticate(edge, headers, certificate.as_deref()).await?)
        }
    };
    if let Some(session) = &session {
        // What a scope reaches of FHIR is for its handlers to say.
        if !endpoint.is_fhir() {
            session.may_use_own_interface()?;
        }
        if let Access::Only(roles) = endpoint.access
            && !roles.iter().any(|role| session.caller.has(*role))
        {
            let names: Vec<_> = roles.iter().map(ToString::to_string).collect();
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                format!("this needs one of the roles {}", names.join(", ")),
            ));
        }
    }
    // FHIR has rules of its own for both.
    if endpoint.is_fhir() {
        return Ok(session);
    }
    // RFC 6749 section 3.1: parameters that are not known are not looked at.
    if endpoint.path != AUTHORIZE {
        check_query(endpoint, query)?;
    }
    check_media(endpoint, headers)?;
    Ok(session)
}

/// Where OAuth says what a query is.
const AUTHORIZE: &str = "/auth/authorize";

/// Each parameter is one of the table's, and there once.
fn check_query(endpoint: &Endpoint, query: &str) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let name = pair.split('=').next().unwrap_or_default();
        if !endpoint.query().any(|p| p.name == name) {
            let known: Vec<_> = endpoint.query().map(|p| p.name).collect();
            return Err(Problem::bad_request(match known.as_slice() {
                [] => "this endpoint takes no query parameter".to_owned(),
                known => format!(
                    "the query has an unknown parameter; this endpoint takes {}",
                    known.join(", ")
                ),
            }));
        }
        if !seen.insert(name) {
            return Err(Problem::bad_request(
                "the query has a parameter twice; give each once",
            ));
        }
    }
    match endpoint
        .query()
        .find(|p| p.required && !seen.contains(p.name))
    {
        Some(missing) => Err(Problem::bad_request(format!(
            "the query lacks the parameter {} ({})",
            missing.name, missing.says
        ))),
        None => Ok(()),
    }
}

/// The body is of a media type that the table names, and not compressed.
fn check_media(endpoint: &Endpoint, headers: &HeaderMap) -> Result<(), Problem> {
    let takes: &[&str] = match endpoint.request {
        Shape::Nothing => return Ok(()),
        Shape::Json(_) => &["application/json"],
        Shape::Bytes(types) | Shape::JsonOr(_, types) => types,
    };
    let plain = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .all(|coding| coding == "identity");
    let known = media_type(headers).is_some_and(|media| takes.contains(&media.as_str()));
    if plain && known {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        format!(
            "send the body uncompressed, as Content-Type: {}",
            takes.join(" or ")
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::urn;

    #[test]
    fn urns_are_random_uuids() {
        assert_eq!(
            urn([0; 16]),
            "urn:uuid:00000000-0000-4000-8000-000000000000"
        );
        assert_eq!(
            urn([0xff; 16]),
            "urn:uuid:ffffffff-ffff-4fff-bfff-ffffffffffff"
        );
    }
}
