//! Why a request is not answered. A refusal never repeats free text of the request.

use crate::{
    query::{AGE_EDGES, Contradiction, MAX_FILTERS},
    term::TermId,
};

/// A request that cannot be answered as it is. All are the client's to mend: HTTP 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The body or query string is larger than is read.
    #[error("the request is longer than {0} bytes")]
    TooLong(usize),
    /// The body is no JSON as it is read here.
    #[error("the body is not JSON: {0}")]
    NotJson(json::Error),
    /// A member is missing, of the wrong type, or has no value that it can have.
    #[error("'{0}' is missing or not of the form that Beacon v2 gives it")]
    Malformed(&'static str),
    /// A part that would change what is asked, and is not understood.
    #[error("{0} is not understood; without it the answer would be to another question")]
    NotUnderstood(Part),
    /// A version other than 2.
    #[error("this beacon speaks version 2 of the Beacon API")]
    Version,
    /// Parameters of genomic variations.
    #[error("queries by genomic variation are not supported: no genomes are searched here")]
    GenomicVariation,
    /// Too many filters.
    #[error("more than {MAX_FILTERS} filters")]
    TooManyFilters,
    /// A filter that is none of ours. Filters are counted from 1.
    #[error("filter {0} is none that this beacon knows: see filtering_terms")]
    UnknownFilter(usize),
    /// A term that is not known, or that nobody can have.
    #[error("filter {filter}: {term} is no term that an individual can have here")]
    UnknownTerm {
        /// Which filter, counted from 1.
        filter: usize,
        /// The term.
        term: TermId,
    },
    /// A filter for another entry type.
    #[error("filter {0} is for another entry type; individuals alone are searched")]
    Scope(usize),
    /// Similarity other than exact.
    #[error("filter {0} asks for similar terms; they are matched exactly or by what stands below")]
    Similarity(usize),
    /// A filter with an operator that its field has not.
    #[error("filter {0} has an operator that its field has not")]
    Operator(usize),
    /// An age that is not at the edge of a band.
    #[error(
        "filter {0}: ages can be cut with >=, >, < and <= at whole years, between {AGE_EDGES:?}"
    )]
    Age(usize),
    /// A value that its field cannot have.
    #[error("filter {0} has a value that its field cannot have")]
    Value(usize),
    /// Filters that nobody meets together.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
}

/// A part of a request that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A parameter of the query string or a member of the body, by its name if that is a plain word.
    Named(String),
    /// One whose name is not shown.
    Unnamed,
    /// A member of a filter, counted from 1.
    OfFilter(usize),
}

/// The longest name that is shown.
const MAX_NAME: usize = 40;

impl Part {
    pub(crate) fn of(name: &str) -> Self {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let shown = !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(plain);
        if shown {
            Self::Named(name.to_owned())
        } else {
            Self::Unnamed
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => write!(f, "'{name}'"),
            Self::Unnamed => f.write_str("a part of the request"),
            Self::OfFilter(filter) => write!(f, "a member of filter {filter}"),
        }
    }
}
