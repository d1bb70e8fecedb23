//! Whether a resource is what R4 says it is.

use super::FhirValidate;
use crate::custodian::Custodian;
use crate::error::{Error, Problem};
use ::fhir::{Parsed, Severity, Strictness};
use store::Store;

impl<S: Store> Custodian<S> {
    /// What is wrong with a resource; nothing of it is kept.
    pub(crate) async fn fhir_validate(&self, input: FhirValidate) -> Result<Vec<Problem>, Error> {
        self.own_staff(&input.caller)?;
        let problem = |path: &str, message: String| Problem {
            path: path.to_owned(),
            message,
        };
        let parsed = match Parsed::parse(input.content.as_bytes()) {
            Ok(parsed) => parsed,
            Err(error) => return Ok(vec![problem(&input.kind, error.to_string())]),
        };
        if parsed.resource_type() != input.kind {
            let message = format!("it is not a {}, as the address says", input.kind);
            return Ok(vec![problem("resourceType", message)]);
        }
        let problems = problems(&parsed, input.strict).into_iter();
        Ok(problems
            .map(|(path, message)| problem(&path, message))
            .collect())
    }
}

/// What is wrong with a resource: FHIRPaths and the rules they break.
pub(crate) fn problems(resource: &Parsed<'_>, strict: bool) -> Vec<(String, String)> {
    let strictness = match strict {
        true => Strictness::Strict,
        false => Strictness::Lenient,
    };
    ::fhir::validate(resource, strictness)
        .into_iter()
        .filter(|issue| issue.severity == Severity::Error)
        .map(|issue| (issue.expression, issue.message))
        .collect()
}
