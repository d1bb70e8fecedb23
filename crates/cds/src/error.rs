//! Why a request is not answered.

use json::Place;

/// What is wrong, where, and what to do, in one sentence; never a value of the input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not JSON, or too much of it.
    #[error(transparent)]
    Json(#[from] json::Error),
    /// A member that CDS Hooks requires is not there.
    #[error("{name} is missing, at {place}; send it as CDS Hooks 2.0 requires")]
    Missing {
        /// Which.
        name: &'static str,
        /// The object that lacks it.
        place: Place,
    },
    /// A member is not what CDS Hooks says.
    #[error("{name} is not {shape}, at {place}; send {shape}")]
    Shape {
        /// Which.
        name: &'static str,
        /// What it has to be.
        shape: &'static str,
        /// Where it stands.
        place: Place,
    },
    /// The request is for another hook.
    #[error("the hook is not {expected}, at {place}; call the service that is for this hook")]
    OtherHook {
        /// The hook of the service.
        expected: &'static str,
        /// Where it stands.
        place: Place,
    },
    /// The prefetched patient is somebody else.
    #[error(
        "the prefetched Patient is not the one of context.patientId, at {place}; send the data of \
         one patient"
    )]
    OtherPatient {
        /// Where the id stands.
        place: Place,
    },
    /// The request is well-formed, but the service lacks data to answer it: HTTP 412.
    #[error(
        "the request does not bring {what} in its prefetch; send what /cds-services names there, \
         for the service calls no FHIR server"
    )]
    PrefetchNeeded {
        /// What is needed.
        what: &'static str,
    },
}

impl Error {
    /// Whether the request is well-formed and only lacks data (HTTP 412, not 400).
    #[must_use]
    pub const fn is_prefetch_needed(&self) -> bool {
        matches!(self, Self::PrefetchNeeded { .. })
    }
}
