//! Why a phenopacket is refused.

use json::Place;

/// Why a phenopacket was refused: what is wrong, where, and what to do. Never holds a value of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not the JSON that is accepted.
    #[error(transparent)]
    Json(#[from] json::Error),
    /// The document is not one object.
    #[error("a phenopacket is one JSON object, but at {0} stands something else; send the object")]
    NotAnObject(Place),
    /// A FHIR resource.
    #[error("the document at {0} is a FHIR resource; send it as FHIR, not as a phenopacket")]
    Fhir(Place),
    /// A family or cohort.
    #[error(
        "the document at {0} describes several people; send one phenopacket for each of them, \
         under that person's own subject"
    )]
    SeveralPeople(Place),
    /// A version 1 phenopacket.
    #[error(
        "the phenopacket is of schema version 1, as {0} shows, where exclusions are written \
         differently; convert it to version 2"
    )]
    VersionOne(Place),
    /// No `id`.
    #[error("the phenopacket at {0} has no id; give it one")]
    NoId(Place),
    /// A field of the wrong kind.
    #[error("{expected} is expected at {place}; correct the field or leave it out")]
    WrongKind {
        /// What should stand there.
        expected: &'static str,
        /// Where.
        place: Place,
    },
    /// An enum value that the schema does not have.
    #[error(
        "the word or number at {0} is not one that schema version 2 has for this field; use one"
    )]
    UnknownChoice(Place),
    /// A field in both spellings.
    #[error("the field at {0} stands twice, in camelCase and in snake_case; send it once")]
    TwoSpellings(Place),
    /// A finding without a term.
    #[error("the finding at {0} has no type.id; name its ontology term, such as HP:0001250")]
    NoTerm(Place),
}
