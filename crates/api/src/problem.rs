//! Errors as RFC 9457 problem documents. A problem says what, where and what to do; never patient data.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use node::{Error, Kind, Missing};
use serde::Serialize;
use serde_json::Value;

/// A problem document.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct Problem {
    /// A stable name: `about:blank#` and the class of the error.
    #[serde(rename = "type")]
    pub kind: String,
    /// The class in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// One sentence for a person.
    pub detail: String,
    /// For a refusal by consent: what was missing, for machines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Value>,
    /// For a refusal by consent: the log row of the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disclosure: Option<String>,
    /// For an erasure that must wait: until when (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// For bad input: paths and the rules they break, never values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
}

/// One thing wrong with an input.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct Fault {
    /// Where.
    pub path: String,
    /// The rule.
    pub message: String,
}

impl Problem {
    /// A problem of the edge's own.
    pub fn new(status: StatusCode, name: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("about:blank#{name}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            missing: Vec::new(),
            disclosure: None,
            until: None,
            errors: Vec::new(),
        }
    }

    /// 400 for a header, path or query value that cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// 401.
    pub fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "send a valid bearer token in the Authorization header; `ithaca token` makes one",
        )
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, name) = status_of(error.kind());
        let mut problem = Self::new(status, name, error.to_string());
        match error {
            Error::Denied { disclosure, denial } => {
                problem.disclosure = Some(disclosure.to_string());
                problem.missing = denial.missing.iter().map(missing).collect();
            }
            Error::Held { until, .. } => problem.until = Some(until.to_rfc3339()),
            Error::Invalid { problems_found, .. } => {
                problem.errors = problems_found
                    .into_iter()
                    .map(|p| Fault {
                        path: p.path,
                        message: p.message,
                    })
                    .collect();
            }
            _ => {}
        }
        problem
    }
}

fn missing(missing: &Missing) -> Value {
    let mut entry = serde_json::Map::new();
    entry.insert(
        "reason".into(),
        serde_json::to_value(missing).unwrap_or_default(),
    );
    entry.insert("says".into(), missing.to_string().into());
    Value::Object(entry)
}

/// The HTTP status and the stable name of a class of errors.
pub(crate) fn status_of(kind: Kind) -> (StatusCode, &'static str) {
    match kind {
        Kind::NotFound => (StatusCode::NOT_FOUND, "not-found"),
        Kind::Gone => (StatusCode::GONE, "gone"),
        Kind::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
        Kind::Denied => (StatusCode::FORBIDDEN, "consent-denied"),
        Kind::Conflict => (StatusCode::CONFLICT, "conflict"),
        Kind::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, "precondition-failed"),
        Kind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
        Kind::Locked => (StatusCode::LOCKED, "held"),
        Kind::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy"),
        Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
