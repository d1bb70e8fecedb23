//! Requests and answers. Whatever the test, a refusal must be a problem document that tells nothing.

use crate::{house::House, spy::MARKER};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use serde_json::Value;
use tower::ServiceExt;

/// A request in the making.
pub(crate) struct Call {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    body: Body,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(method: &str, uri: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            uri: uri.into(),
            headers: Vec::new(),
            body: Body::empty(),
        }
    }

    pub(crate) fn get(uri: impl Into<String>) -> Self {
        Self::new("GET", uri)
    }

    pub(crate) fn post(uri: impl Into<String>) -> Self {
        Self::new("POST", uri)
    }

    pub(crate) fn put(uri: impl Into<String>) -> Self {
        Self::new("PUT", uri)
    }

    pub(crate) fn patch(uri: impl Into<String>) -> Self {
        Self::new("PATCH", uri)
    }

    pub(crate) fn delete(uri: impl Into<String>) -> Self {
        Self::new("DELETE", uri)
    }

    /// Method and address.
    pub(crate) fn line(&self) -> (String, String) {
        (self.method.clone(), self.uri.clone())
    }

    /// No token: no header.
    pub(crate) fn bearer(self, token: &str) -> Self {
        match token {
            "" => self,
            token => self.header("authorization", &format!("Bearer {token}")),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Answers when final.
    pub(crate) fn wait(self) -> Self {
        self.header("prefer", "wait=final")
    }

    pub(crate) fn query(mut self, query: &str) -> Self {
        self.uri = format!("{}?{query}", self.uri);
        self
    }

    pub(crate) fn json(self, value: &Value) -> Self {
        self.bytes("application/json", value.to_string())
    }

    /// A FHIR resource.
    pub(crate) fn fhir(self, value: &Value) -> Self {
        self.bytes("application/fhir+json", value.to_string())
    }

    pub(crate) fn form(self, text: &str) -> Self {
        self.bytes(
            "application/x-www-form-urlencoded",
            text.as_bytes().to_vec(),
        )
    }

    pub(crate) fn cbor(self, bytes: &[u8]) -> Self {
        self.bytes("application/cbor", bytes.to_vec())
    }

    /// A body as clients send one: with its length.
    pub(crate) fn bytes(self, media: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        self.header("content-length", &bytes.len().to_string())
            .stream(media, Body::from(bytes))
    }

    /// A body without a length.
    pub(crate) fn stream(mut self, media: &str, body: Body) -> Self {
        self.body = body;
        self.header("content-type", media)
    }

    pub(crate) async fn send(self, house: &House) -> Answer {
        self.send_to(&house.router).await
    }

    pub(crate) async fn send_to(self, router: &Router) -> Answer {
        let mut request = Request::builder().method(&*self.method).uri(&self.uri);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(self.body).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, mut body) = response.into_parts();
        let media = parts.headers.get(header::CONTENT_TYPE);
        if media.is_some_and(|media| media == "text/event-stream") {
            // It would not end by itself.
            body = Body::empty();
        }
        let answer = Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: to_bytes(body, usize::MAX).await.unwrap(),
        };
        answer.check(&format!("{} {}", self.method, self.uri));
        answer
    }
}

impl Answer {
    /// What holds of every answer of the edge.
    fn check(&self, to: &str) {
        let kept = self.header("cache-control");
        match to.strip_prefix("GET /tlog/") {
            // What never changes, and what is as new as can be.
            Some(public) if self.status == 200 => {
                let how = match public.split('?').next().unwrap() {
                    "checkpoint" | "checkpoint/cosigned" => "public, max-age=1",
                    bundle if bundle.starts_with("tile/entries/") => {
                        "private, max-age=31536000, immutable"
                    }
                    _ => "public, max-age=31536000, immutable",
                };
                assert_eq!(kept, how, "{to}");
            }
            _ => assert_eq!(kept, "no-store", "{to}"),
        }
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{to}");
        if self.status < 400 || to.starts_with("HEAD ") {
            return;
        }
        // People are told on a page, and software as OAuth asks.
        if to.contains(" /auth/") {
            match self.header("content-type") {
                "text/html; charset=utf-8" => return,
                "application/json" => {
                    assert!(self.value()["error"].is_string(), "{to}");
                    return;
                }
                _ => {}
            }
        }
        let problem = self.value();
        let path = to.split([' ', '?']).nth(1).unwrap_or_default();
        if path == "/fhir" || path.starts_with("/fhir/") {
            self.check_outcome(&problem, to);
            return;
        }
        // What a beacon itself refuses it says as Beacon asks.
        if path.ends_with("/individuals") && self.header("content-type") == "application/json" {
            assert_eq!(problem["error"]["errorCode"], self.status, "{to}");
            return;
        }
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{to}"
        );
        assert_eq!(problem["status"], self.status, "{to}");
        assert_eq!(
            problem["title"],
            StatusCode::from_u16(self.status)
                .unwrap()
                .canonical_reason()
                .unwrap()
        );
        for field in ["type", "detail", "instance"] {
            assert!(
                problem[field].as_str().is_some_and(|t| t.len() > 8),
                "{to}: {problem}"
            );
        }
        let everything = format!("{:?} {}", self.headers, self.text());
        assert!(!everything.contains(MARKER), "{to} echoes: {everything}");
        assert_ne!(self.status, 500, "{to}: {problem}");
    }

    /// Every error under `/fhir` is an OperationOutcome.
    fn check_outcome(&self, outcome: &Value, to: &str) {
        let media = "application/fhir+json;charset=utf-8";
        assert_eq!(self.header("content-type"), media, "{to}");
        assert_eq!(
            outcome["resourceType"], "OperationOutcome",
            "{to}: {outcome}"
        );
        let issue = &outcome["issue"][0];
        assert_eq!(issue["severity"], "error", "{to}: {outcome}");
        let says = issue["diagnostics"].as_str();
        assert!(says.is_some_and(|says| says.len() > 8), "{to}: {outcome}");
        let everything = format!("{:?} {}", self.headers, self.text());
        assert!(!everything.contains(MARKER), "{to} echoes: {everything}");
        assert_ne!(self.status, 500, "{to}: {outcome}");
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// A string field of the answer.
    pub(crate) fn field(&self, name: &str) -> String {
        let value = self.value();
        let found = value[name].as_str();
        found
            .unwrap_or_else(|| panic!("{} without {name}: {value}", self.status))
            .to_owned()
    }

    /// The name of a problem's class.
    pub(crate) fn class(&self) -> String {
        let value = self.value();
        if value["resourceType"] == "OperationOutcome" {
            let code = value["issue"][0]["code"].as_str().unwrap();
            return match code {
                "suppressed" => "consent-denied",
                code => code,
            }
            .to_owned();
        }
        let kind = self.field("type");
        kind.strip_prefix("about:blank#").unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// A refusal of this class.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, class: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(answer.class(), class, "{}", answer.text());
        answer
    }

    pub(crate) fn allow(&self) -> &str {
        self.header(header::ALLOW.as_str())
    }
}
