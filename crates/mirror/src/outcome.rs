//! `OperationOutcome`: what went wrong, for every error there is.

use crate::write::resource;
use codec::codes;
use std::fmt;

codes! {
    /// How bad an issue is.
    pub enum Severity {
        /// Nothing was done.
        1 => Fatal = "fatal",
        /// It could not be done.
        2 => Error = "error",
        /// It was done, and something is to be looked at.
        3 => Warning = "warning",
        /// It was done.
        4 => Information = "information",
    }
}

codes! {
    /// The kinds of issue (value set `issue-type`, FHIR 4.0.1).
    pub enum IssueType {
        /// The content is not valid.
        1 => Invalid = "invalid",
        /// Not the shape that was expected.
        2 => Structure = "structure",
        /// Something required is missing.
        3 => Required = "required",
        /// A value is not valid.
        4 => Value = "value",
        /// A rule of the content does not hold.
        5 => Invariant = "invariant",
        /// A matter of security.
        6 => Security = "security",
        /// Who asks is not known.
        7 => Login = "login",
        /// Who asks is not known to the system.
        8 => Unknown = "unknown",
        /// The session is over.
        9 => Expired = "expired",
        /// Who asks may not.
        10 => Forbidden = "forbidden",
        /// Something was left out of the answer.
        11 => Suppressed = "suppressed",
        /// It could not be processed.
        12 => Processing = "processing",
        /// It is not supported.
        13 => NotSupported = "not-supported",
        /// It is there already.
        14 => Duplicate = "duplicate",
        /// Several match where one should.
        15 => MultipleMatches = "multiple-matches",
        /// It is not there.
        16 => NotFound = "not-found",
        /// It was there and is deleted.
        17 => Deleted = "deleted",
        /// It is too long.
        18 => TooLong = "too-long",
        /// A code is not known or not valid here.
        19 => CodeInvalid = "code-invalid",
        /// An extension is not accepted.
        20 => Extension = "extension",
        /// It would cost too much.
        21 => TooCostly = "too-costly",
        /// A rule of the institution or network does not hold.
        22 => BusinessRule = "business-rule",
        /// Somebody else was first.
        23 => Conflict = "conflict",
        /// It may work later.
        24 => Transient = "transient",
        /// A lock could not be had.
        25 => LockError = "lock-error",
        /// The store cannot be reached or is full.
        26 => NoStore = "no-store",
        /// Something unexpected.
        27 => Exception = "exception",
        /// It took too long.
        28 => Timeout = "timeout",
        /// Not all of it is there.
        29 => Incomplete = "incomplete",
        /// Too many requests.
        30 => Throttled = "throttled",
        /// Nothing is wrong.
        31 => Informational = "informational",
    }
}

/// One thing to be said of a request.
///
/// The texts must tell no value of a record: whoever is refused reads them. `Debug` shows only
/// severity and code.
#[derive(Clone, PartialEq, Eq)]
pub struct Issue {
    /// How bad.
    pub severity: Severity,
    /// Of which kind.
    pub code: IssueType,
    /// For people to read, if there is more to say than the code does.
    pub details: Option<String>,
    /// What failed and what to do, for whoever runs the client.
    pub diagnostics: Option<String>,
    /// Where, as FHIRPath of one element each, such as `Consent.provision.provision[0].data`; or
    /// `http.<header>`. Never a value.
    pub expression: Vec<String>,
}

impl Issue {
    /// An error, with what failed and what to do.
    pub fn error(code: IssueType, diagnostics: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            details: None,
            diagnostics: Some(diagnostics.into()),
            expression: Vec::new(),
        }
    }

    /// The issue, at an element.
    #[must_use]
    pub fn at(mut self, expression: impl Into<String>) -> Self {
        self.expression.push(expression.into());
        self
    }
}

impl fmt::Debug for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issue({} {})", self.severity, self.code)
    }
}

/// An `OperationOutcome` as JSON. Without issues it says that all is well.
pub fn outcome(issues: &[Issue]) -> Vec<u8> {
    let well = [Issue {
        severity: Severity::Information,
        code: IssueType::Informational,
        details: Some("All OK".to_owned()),
        diagnostics: None,
        expression: Vec::new(),
    }];
    let issues = if issues.is_empty() { &well } else { issues };
    resource("OperationOutcome", |outcome| {
        outcome.list("issue", issues, |written, issue| {
            written.text("severity", issue.severity.as_str());
            written.text("code", issue.code.as_str());
            written.object("details", |details| {
                details.text_if("text", issue.details.as_deref());
            });
            written.text_if("diagnostics", issue.diagnostics.as_deref());
            written.texts("expression", &issue.expression);
        });
    })
}
