//! What is wrong with a resource, where, and by which rule.

use std::fmt;

/// How much an issue matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The resource can be kept as it is.
    Warning,
    /// The resource breaks R4.
    Error,
}

impl Severity {
    /// The code of FHIR's value set `issue-severity`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What kind of rule is broken: codes of FHIR's value set `issue-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IssueCode {
    /// An element that is not known, of the wrong shape, or too often there.
    Structure,
    /// An element is missing.
    Required,
    /// A content that its type does not allow.
    Value,
    /// A code that is not in its value set.
    CodeInvalid,
    /// A rule between elements.
    Invariant,
    /// More than is checked.
    TooCostly,
}

impl IssueCode {
    /// The code of the value set.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Required => "required",
            Self::Value => "value",
            Self::CodeInvalid => "code-invalid",
            Self::Invariant => "invariant",
            Self::TooCostly => "too-costly",
        }
    }
}

/// One thing that is wrong with a resource. Holds names of R4 and positions, never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// How much it matters.
    pub severity: Severity,
    /// Which kind of rule is broken.
    pub code: IssueCode,
    /// The element as FHIRPath, such as `Observation.component[1].valueQuantity.value`. For an
    /// element whose name R4 does not have, the one that it stands in.
    pub expression: String,
    /// The rule that is broken.
    pub message: String,
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (severity, code) = (self.severity.as_str(), self.code.as_str());
        write!(
            f,
            "{severity} {code} at {}: {}",
            self.expression, self.message
        )
    }
}

/// A step from an element into one of its own.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) position: Option<usize>,
}

/// The way from the resource to the element that is looked at.
pub(super) struct Way {
    root: &'static str,
    steps: Vec<Step>,
}

impl Way {
    pub(super) fn new(root: &'static str) -> Self {
        Self {
            root,
            steps: Vec::with_capacity(16),
        }
    }

    pub(super) fn push(&mut self, name: &'static str) {
        self.steps.push(Step {
            name,
            position: None,
        });
    }

    /// Says which of several the last step means.
    pub(super) fn at(&mut self, position: usize) {
        if let Some(step) = self.steps.last_mut() {
            step.position = Some(position);
        }
    }

    pub(super) fn pop(&mut self) {
        self.steps.pop();
    }

    /// The way as FHIRPath, and on to an element that is not there.
    pub(super) fn to(&self, below: Option<&str>) -> String {
        let mut path = self.root.to_owned();
        for step in &self.steps {
            path.push('.');
            path.push_str(step.name);
            if let Some(position) = step.position {
                path.push('[');
                path.push_str(&position.to_string());
                path.push(']');
            }
        }
        if let Some(name) = below {
            path.push('.');
            path.push_str(name);
        }
        path
    }
}
