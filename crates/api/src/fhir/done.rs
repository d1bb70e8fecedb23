//! What was done, as an HTTP answer or an entry of one.

use super::{
    Asked,
    headers::{Answer, Wanted},
    json,
};
use crate::read::insert;
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use mirror::outcome;
use node::{Millis, fhir::FhirResource};
use std::time::{Duration, SystemTime};

/// What an interaction came to.
pub(crate) struct Done {
    pub(crate) status: StatusCode,
    /// The version that was read or written.
    pub(crate) resource: Option<FhirResource>,
    /// What is answered: a resource, a Bundle, or nothing.
    pub(crate) body: Option<Vec<u8>>,
    /// Whether it was written, so that it has a location.
    pub(crate) is_written: bool,
    /// The log row of a reading.
    pub(crate) disclosure: Option<String>,
}

impl Done {
    /// Something that is no version of a resource.
    pub(crate) fn plain(body: Vec<u8>) -> Self {
        Self {
            status: StatusCode::OK,
            resource: None,
            body: Some(body),
            is_written: false,
            disclosure: None,
        }
    }

    /// Where the version is, relative to the base.
    pub(crate) fn place(&self) -> Option<String> {
        let resource = self.resource.as_ref()?;
        let FhirResource {
            kind, id, version, ..
        } = resource;
        Some(format!("{kind}/{id}/_history/{version}"))
    }

    pub(crate) fn tag(&self) -> Option<String> {
        let resource = self.resource.as_ref()?;
        Some(format!("W/\"{}\"", resource.version))
    }

    pub(crate) fn modified(&self) -> Option<Millis> {
        let resource = self.resource.as_ref()?;
        Some(Millis::new(resource.updated_ms))
    }

    /// What a write answers with, by what the client prefers.
    pub(crate) fn preferred(mut self, answer: Answer) -> Self {
        if self.is_written {
            match answer {
                Answer::Representation => {}
                Answer::Minimal => self.body = None,
                Answer::Outcome => self.body = Some(outcome(&[])),
            }
        }
        self
    }

    pub(crate) fn response(mut self, asked: &Asked, wanted: &Wanted, is_head: bool) -> Response {
        if let Some(resource) = &self.resource
            && !self.is_written
            && is_known(resource, wanted)
        {
            self.status = StatusCode::NOT_MODIFIED;
            self.body = None;
        }
        let mut response = match self.body.take() {
            Some(body) if !is_head => json(self.status, body),
            Some(body) => {
                let mut response = json(self.status, Vec::new());
                insert(
                    &mut response,
                    header::CONTENT_LENGTH,
                    &body.len().to_string(),
                );
                response
            }
            None => self.status.into_response(),
        };
        if let Some(tag) = self.tag() {
            insert(&mut response, header::ETAG, &tag);
        }
        if let Some(resource) = &self.resource {
            let at = SystemTime::UNIX_EPOCH + Duration::from_millis(resource.updated_ms);
            let at = httpdate::fmt_http_date(at);
            insert(&mut response, header::LAST_MODIFIED, &at);
        }
        if let (true, Some(place)) = (self.is_written, self.place()) {
            let location = format!("{}/{place}", asked.base);
            insert(&mut response, header::LOCATION, &location);
            insert(&mut response, header::CONTENT_LOCATION, &location);
        }
        if let Some(disclosure) = &self.disclosure {
            insert(&mut response, crate::records::DISCLOSURE, disclosure);
        }
        response
    }
}

/// Whether the client has that version already.
fn is_known(resource: &FhirResource, wanted: &Wanted) -> bool {
    match (wanted.not_version, wanted.since_ms) {
        (Some(version), _) => version == resource.version,
        // HTTP dates have no parts of a second.
        (None, Some(since)) => resource.updated_ms / 1_000 <= since / 1_000,
        (None, None) => false,
    }
}
