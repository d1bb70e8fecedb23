//! Reading paths, queries, headers and JSON bodies into values, with a clear problem for each fault.

use crate::{edge::Edge, problem::Problem};
use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
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
            .get::<Caller>()
            .cloned()
            .map(Self)
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

/// Query parameters; unknown ones are refused.
pub(crate) struct Ask<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Ask<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Query::from_request_parts(parts, state)
            .await
            .map(|Query(value)| Self(value))
            .map_err(|_| {
                Problem::bad_request(
                    "the query has a parameter that is unknown or cannot be read; /openapi.json lists them",
                )
            })
    }
}

/// A JSON body; unknown fields are refused.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Edge> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, edge: &Edge) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "send the body as Content-Type: application/json",
            ));
        }
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

fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|t| t == "application/json")
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

/// A header's text, if it is there.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    headers
        .get(name)
        .map(|v| {
            v.to_str()
                .map_err(|_| Problem::bad_request(format!("the header {name} is not plain text")))
        })
        .transpose()
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
