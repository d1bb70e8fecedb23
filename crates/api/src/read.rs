//! Reading paths, queries, headers and JSON bodies into values, with a clear problem for each fault.

use crate::{edge::Edge, problem::Problem, session::Session};
use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use node::{Caller, subject::Wait};
use serde::{Serialize, de::DeserializeOwned};
use std::str::FromStr;

/// The authenticated caller.
pub(crate) struct Who(pub(crate) Caller);

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Session>()
            .map(|session| Self(session.caller.clone()))
            .ok_or_else(Problem::unauthenticated)
    }
}

/// Path parameters, still as text.
pub(crate) struct At<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Path::from_request_parts(parts, state)
            .await
            .map(|Path(value)| Self(value))
            .map_err(|_| {
                Problem::bad_request(
                    "the path holds an id that cannot be read; ids are lowercase hexadecimal",
                )
            })
    }
}

/// Query parameters, of which the guard knows that the table lists them.
pub(crate) struct Ask<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Ask<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Query::from_request_parts(parts, state)
            .await
            .map(|Query(value)| Self(value))
            .map_err(|_| {
                Problem::bad_request(
                    "the query has a parameter that cannot be read; /openapi.json shows its form",
                )
            })
    }
}

/// A JSON body; unknown and repeated fields are refused. The guard has seen to its media type.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Edge> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, edge: &Edge) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let held = edge
            .body(&parts.headers, body, edge.limits.json_bytes)
            .await?;
        serde_json::from_slice(&held.bytes).map(Self).map_err(|error| {
            let what = match error.classify() {
                serde_json::error::Category::Data => {
                    "a field is missing, unknown or of the wrong kind; /openapi.json shows the shape"
                }
                _ => "it is not well-formed JSON",
            };
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                format!("the body cannot be read at line {} column {}: {what}", error.line(), error.column()),
            )
        })
    }
}

/// The media type of the body, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

/// A payload of a deposit.
pub(crate) struct Raw {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

impl FromRequest<Edge> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Edge) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        Ok(Self {
            headers: parts.headers,
            body,
        })
    }
}

/// A header's text, if it is there; it may be there once.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        let why = format!("the header {name} is there more than once");
        return Err(Problem::bad_request(why));
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| Problem::bad_request(format!("the header {name} is not plain text")))
}

/// A comma-separated list of codes.
pub(crate) fn list<T: FromStr>(text: &str, what: &str) -> Result<Vec<T>, Problem> {
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(|part| one(part, what))
        .collect()
}

/// One code.
pub(crate) fn one<T: FromStr>(text: &str, what: &str) -> Result<T, Problem> {
    text.trim()
        .parse()
        .map_err(|_| Problem::bad_request(format!("the query has a {what} that does not exist")))
}

/// `Prefer: wait=final` waits for finality, as long as the request may take.
pub(crate) fn wait(headers: &HeaderMap, edge: &Edge) -> Wait {
    let asked = headers
        .get_all("prefer")
        .iter()
        .filter_map(|v| v.to_str().ok())
        .any(|v| v.split(',').any(|p| p.trim() == "wait=final"));
    if asked {
        Wait::Final {
            timeout_ms: edge.limits.request_ms / 2,
        }
    } else {
        Wait::Durable
    }
}

/// A JSON answer.
pub(crate) fn answer(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the answer could not be written; please report it",
        )
        .into_response(),
    }
}

/// The number in an entity tag, `"7"`, if the header is there. Weak tags do not do: RFC 9110 section
/// 13.1.1 asks for the strong comparison.
pub(crate) fn entity_tag(headers: &HeaderMap, name: &str) -> Result<Option<u64>, Problem> {
    let Some(value) = text(headers, name)? else {
        return Ok(None);
    };
    let digits = value
        .trim()
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .filter(|v| v.bytes().all(|b| b.is_ascii_digit()));
    digits
        .and_then(|v| v.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            Problem::bad_request(format!(
                "{name} takes an entity tag with a number, like \"3\""
            ))
        })
}

/// Puts a number into an answer's entity tag.
pub(crate) fn tag(response: &mut Response, number: u64) {
    insert(response, header::ETAG, &format!("\"{number}\""));
}

/// Sets a header.
pub(crate) fn insert(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
