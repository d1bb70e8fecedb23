//! Apps that run in a browser and come from elsewhere (the CORS protocol of the Fetch standard).
//!
//! A browser lets a page of another origin read an answer only if the answer says so. It says so to the origins of
//! registered software, which are those of its redirect URIs, and of FHIR and what OAuth has for software alone: never
//! of the forms that people fill in. No cookie is looked at there and none is allowed; what permits is the token that
//! the page sends itself.

use crate::{
    edge::Edge,
    endpoint::{ENDPOINTS, Endpoint},
    fhir,
    problem::Problem,
};
use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

/// What a page may send.
const SENDS: &str = "accept, authorization, cache-control, content-type, if-match, if-modified-since, if-none-exist, \
                     if-none-match, ithaca-purpose, ithaca-source, prefer, x-request-id";
/// What a page may read.
const READS: &str = "content-location, etag, expires, ithaca-disclosure, last-modified, location, retry-after, \
                     www-authenticate, x-progress";
/// How long a browser need not ask again, in seconds. What a removed app's browsers remember of it is no longer of
/// use at the request itself.
const REMEMBERED_S: &str = "600";

/// What is there for apps.
const FOR_APPS: [&str; 6] = [
    "/auth/token",
    "/auth/revoke",
    "/auth/introspect",
    "/auth/jwks",
    "/.well-known/openid-configuration",
    "/.well-known/smart-configuration",
];

/// Who asks, as far as that matters.
pub(crate) enum Asker {
    /// It is about nothing that apps of other origins read.
    Aside,
    /// From a page of an origin that nobody registered, or not from a page at all.
    Unknown,
    /// From a page of registered software.
    App(HeaderValue),
}

impl Asker {
    /// Where this request comes from.
    pub(crate) fn of(edge: &Edge, request: &Request) -> Self {
        let path = request.uri().path();
        if !fhir::is_path(path) && !FOR_APPS.contains(&path) {
            return Self::Aside;
        }
        let known = |origin: &&HeaderValue| {
            let desk = edge.desk.as_ref().zip(origin.to_str().ok());
            desk.is_some_and(|(desk, origin)| desk.issuer.has_app_of(origin))
        };
        match request.headers().get(header::ORIGIN).filter(known) {
            Some(origin) => Self::App(origin.clone()),
            None => Self::Unknown,
        }
    }

    /// The answer, if the request asks whether another one may be sent.
    pub(crate) fn preflight(&self, request: &Request) -> Option<Response> {
        let asks = |headers: &HeaderMap| {
            headers.contains_key(header::ORIGIN)
                && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        };
        if request.method() != Method::OPTIONS || !asks(request.headers()) {
            return None;
        }
        let mut response = match self {
            Self::Aside => return None,
            Self::Unknown => Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "pages of this origin are of no software that is registered here (ithaca client add, --redirect)",
            )
            .into_response(),
            Self::App(_) => {
                let path = request.extensions().get::<MatchedPath>()?.as_str();
                let mut response = StatusCode::NO_CONTENT.into_response();
                let headers = response.headers_mut();
                if let Ok(methods) = HeaderValue::from_str(&methods(path)) {
                    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
                }
                for (name, value) in [
                    (header::ACCESS_CONTROL_ALLOW_HEADERS, SENDS),
                    (header::ACCESS_CONTROL_MAX_AGE, REMEMBERED_S),
                ] {
                    headers.insert(name, HeaderValue::from_static(value));
                }
                response
            }
        };
        for varies in [
            "access-control-request-method",
            "access-control-request-headers",
        ] {
            let varies = HeaderValue::from_static(varies);
            response.headers_mut().append(header::VARY, varies);
        }
        Some(response)
    }

    /// Says in an answer who may read it.
    pub(crate) fn permit(self, response: &mut Response) {
        let headers = response.headers_mut();
        match self {
            Self::Aside => return,
            Self::Unknown => {}
            Self::App(origin) => {
                let reads = HeaderValue::from_static(READS);
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, reads);
            }
        }
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
}

/// The methods that a path takes.
fn methods(path: &str) -> String {
    let path = path.strip_suffix('/').unwrap_or(path);
    let here = |endpoint: &&Endpoint| endpoint.path == path;
    let mut methods: Vec<_> = ENDPOINTS
        .iter()
        .filter(here)
        .map(|e| e.method.as_str())
        .collect();
    if methods.contains(&Method::GET.as_str()) {
        methods.push(Method::HEAD.as_str());
    }
    methods.join(", ")
}
