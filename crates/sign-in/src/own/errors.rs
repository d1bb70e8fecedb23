//! What software is told when it is refused (RFC 6749 sections 4.1.2.1 and 5.2).

use crate::{file::FileError, own::throttle::TooEarly};

/// A refusal at the token endpoint and its neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthError {
    /// The HTTP status.
    pub status: u16,
    /// The name that the standard gives it.
    pub error: &'static str,
    /// One sentence, without any part of the request.
    pub description: String,
}

impl OAuthError {
    pub(crate) fn new(status: u16, error: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            error,
            description: description.into(),
        }
    }

    pub(crate) fn request(description: &str) -> Self {
        Self::new(400, "invalid_request", description)
    }

    pub(crate) fn client() -> Self {
        Self::new(401, "invalid_client", "the client could not be recognised")
    }

    pub(crate) fn grant() -> Self {
        Self::new(
            400,
            "invalid_grant",
            "what was presented is not good, or not any more",
        )
    }

    pub(crate) fn scope() -> Self {
        Self::new(
            400,
            "invalid_scope",
            "the scopes are malformed or beyond what may be had",
        )
    }

    pub(crate) fn busy() -> Self {
        Self::new(503, "temporarily_unavailable", "try again in a moment")
    }
}

impl From<FileError> for OAuthError {
    fn from(error: FileError) -> Self {
        tracing::error!("{error}");
        Self::new(
            500,
            "server_error",
            "the node cannot keep what it must; see its log",
        )
    }
}

/// A refusal of a request to authorise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorizeError {
    /// Nobody is sent back: the sentence is for a page.
    Page(&'static str),
    /// The software is told, by sending the person there.
    Redirect(String),
}

/// Why somebody is not signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignInError {
    /// The form is too old, or was not opened here.
    Stale,
    /// The name or the password is wrong.
    Wrong,
    /// Too many tries: wait so many seconds.
    Wait(u64),
    /// The software is told, by sending the person there.
    Redirect(String),
    /// The node cannot now.
    Busy,
}

impl From<TooEarly> for SignInError {
    fn from(early: TooEarly) -> Self {
        Self::Wait(early.wait_ms.div_ceil(1000))
    }
}
