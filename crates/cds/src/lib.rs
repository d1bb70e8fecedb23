//! CDS Hooks 2.0 for the differential diagnosis: which services there are, what a client asks, and the
//! cards that answer it.
//!
//! - [`services`] is the discovery document (`GET /cds-services`).
//! - [`Request::parse`] reads what a client sends to a service; [`Request::case_document`] puts the
//!   prefetched resources together for `findings::read`, each byte of them as it came.
//! - [`cards`] says an [`answer::Answer`] in cards; [`Feedback::parse`] counts what became of them.
//!
//! Probabilities, strengths and versions are worded by `answer`. Cards show ids, labels of the ontology
//! and numbers, never a text of the request, and each carries [`answer::STATEMENT`]. Their indicator is
//! `info`: nothing here interrupts. Who is not a professional gets no card. Ids are made of the request's
//! `hookInstance`: the same request and answer give the same bytes.
//!
//! `fhirServer` and `fhirAuthorization` are accepted and never read: there is no call to anybody's
//! server, and no token is kept, logged or checked. So data that are not prefetched are asked for
//! ([`Error::PrefetchNeeded`]).
//!
//! Errors: [`Error`] says in one sentence what is wrong, where, and what to do; it never repeats a value
//! of the input. `Debug` of what holds something of a person prints `<redacted>`. Bounds: a request
//! of [`findings::MAX_BYTES`], [`json::MAX_DEPTH`] levels; [`MAX_SUMMARY_CHARS`], [`MAX_DETAIL_CHARS`].
//!
//! Source: CDS Hooks 2.0 (HL7), with the hooks `patient-view` 1.0 and `order-sign` 1.1. It ranks nothing,
//! checks no FHIR resource against its definition, keeps nothing, and reads no clock, file or network.

mod card;
mod cards;
mod error;
mod feedback;
mod markdown;
mod orders;
mod request;
mod service;
mod shape;
mod uuid;

pub use card::{
    Action, Annotation, Card, Coding, Concept, Reference, Response, ServiceRequest, Source,
    Suggestion,
};
pub use cards::cards;
pub use error::Error;
pub use feedback::{Feedback, MAX_FEEDBACK_BYTES};
pub use request::Request;
pub use service::{Description, Prefetch, Service, Services, services};
pub use uuid::Uuid;

/// The most characters of a card's summary; the specification asks for fewer than 140.
pub const MAX_SUMMARY_CHARS: usize = 139;
/// The most characters of a card's detail. The statement and the versions always have room in it.
pub const MAX_DETAIL_CHARS: usize = 6_000;
