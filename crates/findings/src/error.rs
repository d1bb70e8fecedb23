//! Why a case is not read at all.

use crate::{MAX_DOCUMENTS, MAX_FINDINGS, MAX_GENES, MAX_LIST_BYTES};

/// What is wrong, where, and what to do, in one sentence; never a value of the input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing but white space.
    #[error(
        "there is nothing in the input; send a phenopacket, a FHIR resource or Bundle, or HPO \
         terms, one a line"
    )]
    Empty,
    /// More bytes than are read.
    #[error("the input is longer than {limit} bytes; send one case, without attachments")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// More documents than a case may have.
    #[error(
        "the case has {given} documents, and at most {MAX_DOCUMENTS} are read; send those that \
         matter"
    )]
    TooManyDocuments {
        /// How many.
        given: usize,
    },
    /// A JSON list.
    #[error(
        "the input is a list in JSON; send one JSON object (a phenopacket, a FHIR resource or \
         Bundle), or HPO terms, one a line"
    )]
    JsonList,
    /// Neither JSON nor a text.
    #[error("line {line} of the input is not text; send JSON, or HPO terms in UTF-8, one a line")]
    NotText {
        /// The line, from 1.
        line: usize,
    },
    /// A list that is too long in bytes.
    #[error("the list is longer than {MAX_LIST_BYTES} bytes; send only terms, one a line")]
    ListTooLarge,
    /// More items than a case may have.
    #[error(
        "line {line} holds the item after the {MAX_FINDINGS} that a case may have; send those \
         that matter"
    )]
    TooManyItems {
        /// The line of the first item too many, from 1.
        line: usize,
    },
    /// More findings than a case may have.
    #[error(
        "the case has {given} findings, and at most {MAX_FINDINGS} are read; send those that \
         matter"
    )]
    TooManyFindings {
        /// How many.
        given: usize,
    },
    /// More genes or variants than a case may have.
    #[error(
        "the case has {given} genes or variants, and at most {MAX_GENES} are read; send those \
         that may be the cause"
    )]
    TooManyGenes {
        /// How many.
        given: usize,
    },
    /// Several people in one Bundle.
    #[error(
        "the Bundle is about {given} people; send one Bundle for each of them, with one Patient"
    )]
    SeveralPeople {
        /// How many.
        given: usize,
    },
    /// Not a phenopacket.
    #[error("the JSON has no resourceType, so it was read as a phenopacket, but: {0}")]
    Phenopacket(phenopacket::Error),
    /// Not JSON.
    #[error(transparent)]
    Json(#[from] json::Error),
    /// Not FHIR.
    #[error(transparent)]
    Fhir(#[from] fhir::Error),
}

impl From<phenopacket::Error> for Error {
    fn from(error: phenopacket::Error) -> Self {
        match error {
            phenopacket::Error::Json(error) => Self::Json(error),
            other => Self::Phenopacket(other),
        }
    }
}
