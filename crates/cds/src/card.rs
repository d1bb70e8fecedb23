//! The shapes of a response, as CDS Hooks 2.0 and FHIR R4 have them.

use crate::Uuid;
use serde::Serialize;
use std::fmt;

/// What a service answers.
#[derive(PartialEq, Serialize)]
pub struct Response {
    /// None, if there is nothing to say.
    pub cards: Vec<Card>,
}

/// One card.
#[derive(PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    /// Made of the request's `hookInstance` and the kind of card.
    pub uuid: Uuid,
    /// One sentence of at most [`crate::MAX_SUMMARY_CHARS`].
    pub summary: String,
    /// Markdown of at most [`crate::MAX_DETAIL_CHARS`].
    pub detail: String,
    /// Always `info`.
    pub indicator: &'static str,
    /// Who says so.
    pub source: Source,
    /// What may be ordered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suggestions: Vec<Suggestion>,
    /// `any`, if there are suggestions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection_behavior: Option<&'static str>,
}

/// Who is responsible for what a card says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Its name.
    pub label: String,
    /// Where to read more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What the cards are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<Coding>,
}

/// A code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coding {
    /// Its code system.
    pub system: String,
    /// The code.
    pub code: String,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
}

/// Something that a click would do.
#[derive(PartialEq, Serialize)]
pub struct Suggestion {
    /// What it would do.
    pub label: String,
    /// Made as the card's.
    pub uuid: Uuid,
    /// One `create`.
    pub actions: Vec<Action>,
}

/// One step of a suggestion.
#[derive(PartialEq, Serialize)]
pub struct Action {
    /// `create`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What it would do.
    pub description: String,
    /// What is created.
    pub resource: ServiceRequest,
}

/// A FHIR R4 ServiceRequest that proposes a test.
#[derive(PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRequest {
    /// `ServiceRequest`.
    pub resource_type: &'static str,
    /// `draft`.
    pub status: &'static str,
    /// `proposal`.
    pub intent: &'static str,
    /// The test.
    pub code: Concept,
    /// The patient.
    pub subject: Reference,
    /// The statement.
    pub note: Vec<Annotation>,
}

/// A FHIR CodeableConcept.
#[derive(PartialEq, Serialize)]
pub struct Concept {
    /// Codes that mean the same.
    pub coding: Vec<Coding>,
    /// In words.
    pub text: String,
}

/// A FHIR Reference.
#[derive(PartialEq, Serialize)]
pub struct Reference {
    /// Such as `Patient/123`.
    pub reference: String,
}

/// A FHIR Annotation.
#[derive(PartialEq, Serialize)]
pub struct Annotation {
    /// Its text.
    pub text: &'static str,
}

macro_rules! redacted {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    )*};
}
redacted!(
    Response,
    Card,
    Suggestion,
    Action,
    ServiceRequest,
    Concept,
    Reference,
    Annotation
);
