//! Why a resource or Bundle is refused.

use crate::bundle::MAX_ENTRIES;
use json::Place;

/// Why a document was refused: what is wrong, where, and what to do. Never holds a value of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not the JSON that is accepted.
    #[error(transparent)]
    Json(#[from] json::Error),
    /// The document is not one object.
    #[error("a resource is one JSON object, but at {0} stands something else; send the object")]
    NotAnObject(Place),
    /// No `resourceType`, or not as a string.
    #[error("the resource at {0} has no resourceType; name its type, such as Patient")]
    NoResourceType(Place),
    /// A `resourceType` that R4 does not have.
    #[error("the resourceType at {0} is not one of FHIR R4 (4.0.1); send an R4 resource")]
    UnknownResourceType(Place),
    /// An id that is none.
    #[error("the id at {0} is not 1 to 64 letters, digits, '-' or '.'; correct it or leave it out")]
    BadId(Place),
    /// An element of the wrong kind.
    #[error("{expected} is expected at {place}; correct the element or leave it out")]
    WrongKind {
        /// What should stand there.
        expected: &'static str,
        /// Where.
        place: Place,
    },
    /// A Bundle where a single resource is expected.
    #[error("the document at {0} is a Bundle of several resources; send it as a Bundle")]
    IsBundle(Place),
    /// Something else where a Bundle is expected.
    #[error("the document at {0} is not a Bundle; send a Bundle, or the resource to its own type")]
    NotABundle(Place),
    /// A Bundle of a type that is not taken apart.
    #[error("the Bundle type at {0} is not transaction, batch or collection; send one of these")]
    BundleType(Place),
    /// An entry without what its Bundle's type needs.
    #[error("the entry at {place} has no {missing}; add it")]
    Entry {
        /// What is missing.
        missing: &'static str,
        /// Where.
        place: Place,
    },
    /// A method that Bundles do not have.
    #[error("the method at {0} is not GET, HEAD, POST, PUT, DELETE or PATCH; use one of these")]
    BadMethod(Place),
    /// More entries than are read at once.
    #[error("the Bundle holds more than {MAX_ENTRIES} entries, at {0}; send it in parts")]
    TooManyEntries(Place),
    /// A `fullUrl` twice.
    #[error("the fullUrl at {0} stands twice in the Bundle; give each entry its own")]
    SameFullUrl(Place),
    /// Ids and times for a stored form that are none; our own fault, not the sender's.
    #[error("the {0} given for a stored form is not valid FHIR; this is a fault of the server")]
    BadAssigned(&'static str),
    /// Edits of a stored form that touch the same bytes; our own fault, not the sender's.
    #[error("the edits of a stored form overlap; this is a fault of the server")]
    Overlap(#[from] json::Overlap),
}
