//! Whether a resource is what R4 says it is.

use ::fhir::Parsed;

/// What is wrong with a resource: FHIRPaths and the rules they break.
pub(crate) fn problems(_resource: &Parsed<'_>, _strict: bool) -> Vec<(String, String)> {
    Vec::new()
}
