//! Requests of Beacon v2 clients for individuals.
//!
//! Read strictly: what would change the question and is not understood is refused, never passed over.
//! What changes only how records are listed (`includeResultsetResponses`, `pagination`,
//! `requestedSchemas`) is read, bounded and said back, since records are never listed.

mod filter;
mod get;
mod post;

pub(crate) use filter::{AGE, EXCLUDED, SEX, written};
pub use get::{parse_get, parse_page};
pub use post::parse_post;

use crate::{query::Query, refusal::Refusal};
use codec::codes;

/// The longest body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 64 << 10;

/// The longest query string that is read, in bytes.
pub const MAX_QUERY_BYTES: usize = 8 << 10;

/// The most schemas that a request may name.
pub const MAX_SCHEMAS: usize = 16;

/// The longest text of a schema or version, in bytes.
const MAX_TEXT_BYTES: usize = 128;

/// The version of the Beacon API that is spoken.
pub const API_VERSION: &str = "v2.0.0";

codes! {
    /// How much of an answer is wanted.
    pub enum Granularity {
        /// Yes or no.
        1 => Boolean = "boolean",
        /// A number.
        2 => Count = "count",
        /// Records: never returned.
        3 => Record = "record",
    }
}

codes! {
    /// Which sets of results are wanted. There are none; it is said back.
    pub enum Include {
        /// All.
        1 => All = "ALL",
        /// Those with results.
        2 => Hit = "HIT",
        /// Those without.
        3 => Miss = "MISS",
        /// None.
        4 => None = "NONE",
    }
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Pages to skip.
    pub skip: u32,
    /// Entries on a page; 0 for as many as there may be.
    pub limit: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self { skip: 0, limit: 10 }
    }
}

/// A schema that the client would have records in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedSchema {
    /// Of which entry type.
    pub entity_type: Option<String>,
    /// Its name.
    pub schema: Option<String>,
}

/// What a request says beside its question: said back in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The version that the client asked for.
    pub api_version: String,
    /// What was asked for.
    pub granularity: Granularity,
    /// Which sets of results.
    pub include: Include,
    /// Which page of records.
    pub page: Page,
    /// Which schemas.
    pub schemas: Vec<RequestedSchema>,
    /// Whether nobody's data may be used. See [`Request::test_mode`].
    pub test_mode: bool,
}

impl Default for Received {
    fn default() -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            granularity: Granularity::Boolean,
            include: Include::Hit,
            page: Page::default(),
            schemas: Vec::new(),
            test_mode: false,
        }
    }
}

/// A request that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The question.
    pub query: Query,
    /// The rest.
    pub received: Received,
}

impl Request {
    /// What is returned: records are answered with a count, which the answer says.
    pub fn granularity(&self) -> Granularity {
        match self.received.granularity {
            Granularity::Boolean => Granularity::Boolean,
            Granularity::Count | Granularity::Record => Granularity::Count,
        }
    }

    /// Whether the client tests its connection: answered about an empty set of people, so that
    /// nobody's data is opened and nothing is spent.
    pub fn test_mode(&self) -> bool {
        self.received.test_mode
    }
}

/// Whether a version is one of ours: `2`, `v2`, `2.0`, `v2.0.1`.
fn version(text: &str) -> Result<String, Refusal> {
    let number = text.strip_prefix('v').unwrap_or(text);
    let digits = |part: &str| {
        (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let ours = number.split('.').next() == Some("2")
        && number.split('.').count() <= 3
        && number.split('.').all(digits);
    if ours {
        Ok(text.to_owned())
    } else {
        Err(Refusal::Version)
    }
}

fn bounded(text: &str, what: &'static str) -> Result<String, Refusal> {
    if text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control) {
        return Err(Refusal::Malformed(what));
    }
    Ok(text.to_owned())
}

/// Names of parameters by which Beacon asks for genomic variations.
fn is_genomic(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "alternateBases",
        "aminoacidChange",
        "assemblyId",
        "clinicalRelevance",
        "end",
        "g_variant",
        "g_variants",
        "geneId",
        "genomicAlleleShortForm",
        "genomicVariant",
        "genomicVariations",
        "mateEnd",
        "mateName",
        "mateStart",
        "referenceBases",
        "referenceName",
        "start",
        "variantInternalId",
        "variantMaxLength",
        "variantMinLength",
        "variantType",
    ];
    NAMES.contains(&name)
}
