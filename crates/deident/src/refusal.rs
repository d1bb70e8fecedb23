//! Why a resource or phenopacket does not leave at all.

/// Why nothing of a resource is released. It names types and elements of the standards and places in the text;
/// never a value.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Not JSON.
    #[error("not JSON that can be read")]
    Json(#[source] Box<json::Error>),
    /// Not a phenopacket.
    #[error("not a phenopacket that can be read")]
    Phenopacket(#[source] Box<phenopacket::Error>),
    /// No object with a resourceType of R4.
    #[error("not a resource of R4: send one resource, with its resourceType")]
    NotAResource,
    /// The rule file has no rules for resources of this type.
    #[error("{0} has no rules; nothing of such a resource is released")]
    NoRules(&'static str),
    /// It is about somebody or something else.
    #[error("{path} does not name the subject; de-identify it with the cloak of whom it is about")]
    NotTheSubject {
        /// The element.
        path: String,
    },
    /// Something that cannot be released changes the meaning of the rest.
    #[error("{path} cannot be released, and without it the rest would mean something else")]
    Meaning {
        /// The element.
        path: String,
    },
    /// A required element is not there, or is not what R4 says and nothing can stand for it.
    #[error("{path} is required and is not there, or not as R4 has it")]
    Missing {
        /// The element.
        path: String,
    },
    /// What was made is not valid R4: what came was not.
    #[error("what remains breaks a rule of R4 ({code}); validate the resource")]
    NotValid {
        /// The kind of the first issue.
        code: &'static str,
    },
}

impl Refusal {
    /// The reason in one line, the same for all that are refused for it.
    pub fn reason(&self) -> String {
        match self {
            Self::Json(_) => "not JSON".to_owned(),
            Self::Phenopacket(_) => "not a phenopacket".to_owned(),
            Self::NotAResource => "not a resource".to_owned(),
            Self::NoRules(name) => format!("no rules: {name}"),
            Self::NotTheSubject { path } => format!("not the subject: {path}"),
            Self::Meaning { path } => format!("changes the meaning: {path}"),
            Self::Missing { path } => format!("missing: {path}"),
            Self::NotValid { code } => format!("not valid: {code}"),
        }
    }
}
