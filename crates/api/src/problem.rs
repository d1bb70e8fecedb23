//! Errors as RFC 9457 problem documents. A problem says what, where and what to do; never patient data.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use node::{Error, Kind, Missing};
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;

/// What went wrong with a request.
#[derive(Debug, Clone)]
pub struct Problem(Box<Document>);

/// A problem document.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Document {
    /// A stable name: `about:blank#` and the class of the error.
    #[serde(rename = "type")]
    pub kind: String,
    /// The class in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// One sentence for a person.
    pub detail: String,
    /// Names this one occurrence, in the node's log too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// For a refusal by consent: what was missing, for machines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub missing: Vec<Value>,
    /// For a refusal by consent: the log row of the refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disclosure: Option<String>,
    /// For an erasure that must wait: until when (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// For bad input: paths and the rules they break, never values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub errors: Vec<Fault>,
    /// The `WWW-Authenticate` of a 401, and of a 403 by scope (RFC 6750 section 3).
    #[serde(skip)]
    challenge: Option<Cow<'static, str>>,
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
        Self(Box::new(Document {
            kind: format!("about:blank#{name}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            instance: None,
            missing: Vec::new(),
            disclosure: None,
            until: None,
            errors: Vec::new(),
            challenge: (status == StatusCode::UNAUTHORIZED).then_some(Cow::Borrowed("Bearer")),
        }))
    }

    /// 400 for a header, path or query value that cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// The document, for a response's body.
    fn body(&self) -> Body {
        // INVARIANT: nothing in a problem fails to serialise.
        Body::from(serde_json::to_vec(&self.0).unwrap_or_default())
    }

    /// Names a response's problem, if it is one; gives it back.
    pub(crate) fn name(response: &mut Response, instance: impl FnOnce() -> String) -> Option<Self> {
        let mut problem = response.extensions_mut().remove::<Self>()?;
        problem.0.instance = Some(instance());
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = problem.body();
        Some(problem)
    }

    /// The document.
    pub fn document(&self) -> &Document {
        &self.0
    }

    /// 401 for a request without a token.
    pub fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "send a valid bearer token in the Authorization header; `ithaca token` makes one",
        )
    }

    /// 401 for a token that is not believed; `why` names no part of it.
    pub fn invalid_token(why: &str) -> Self {
        let mut problem = Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            format!("the bearer token is not believed: {why}"),
        );
        problem.0.challenge = Some(Cow::Borrowed("Bearer error=\"invalid_token\""));
        problem
    }

    /// 403 for software whose scopes do not reach; `scope` would, and is made of scope characters.
    pub fn insufficient_scope(scope: &str) -> Self {
        let mut problem = Self::new(
            StatusCode::FORBIDDEN,
            "insufficient-scope",
            format!("the token's scopes do not reach this; it needs {scope}"),
        );
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
        problem.0.challenge = Some(Cow::Owned(challenge));
        problem
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, name) = status_of(error.kind());
        let name = match &error {
            Error::SeveralMatch { .. } | Error::MatchUnclear { .. } => "several-match",
            _ => name,
        };
        let mut problem = Self::new(status, name, error.to_string());
        match error {
            Error::Denied { disclosure, denial } => {
                problem.0.disclosure = Some(disclosure.to_string());
                problem.0.missing = denial.missing.iter().map(missing).collect();
            }
            Error::Held { until, .. } => problem.0.until = Some(until.to_rfc3339()),
            Error::Invalid { problems_found, .. } => {
                problem.0.errors = problems_found
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
        Kind::Query => (StatusCode::BAD_REQUEST, "bad-request"),
        Kind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
        Kind::Locked => (StatusCode::LOCKED, "held"),
        Kind::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy"),
        Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        Kind::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "disk-full"),
        Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.body()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let challenge = self.0.challenge.as_deref();
        if let Some(challenge) = challenge.and_then(|c| HeaderValue::from_str(c).ok()) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        // For the guard, which gives it an id.
        response.extensions_mut().insert(self);
        response
    }
}
