//! Whom an extract is made of.

use ontology::{DiseaseId, Sex, TermIx};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One person, as the custodian knows them. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject {
    /// Opaque; only orders subjects and follows them from release to release. Never released.
    pub id: [u8; 32],
    /// Features seen. What is no phenotypic abnormality is passed over.
    pub observed: Vec<TermIx>,
    /// Features looked for and not there.
    pub excluded: Vec<TermIx>,
    /// `None`: not known.
    pub sex: Option<Sex>,
    /// `None`: not known.
    pub age: Option<AgeBand>,
    /// The diagnosis that was made; `None`: none yet, or not known.
    pub diagnosis: Option<DiseaseId>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// Ages in completed years. The oldest are pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgeBand {
    /// Under 1.
    Under1,
    /// 1 to 4.
    From1To4,
    /// 5 to 15.
    From5To15,
    /// 16 to 39.
    From16To39,
    /// 40 to 59.
    From40To59,
    /// 60 and more.
    From60,
}

impl AgeBand {
    /// The band of an age in completed years.
    #[must_use]
    pub const fn of_years(years: u32) -> Self {
        match years {
            0 => Self::Under1,
            1..=4 => Self::From1To4,
            5..=15 => Self::From5To15,
            16..=39 => Self::From16To39,
            40..=59 => Self::From40To59,
            _ => Self::From60,
        }
    }
}

/// Bands side by side, first and last: the narrower before the wider that hold them.
pub(crate) const AGE_RANGES: [(AgeBand, AgeBand); 10] = [
    (AgeBand::Under1, AgeBand::Under1),
    (AgeBand::From1To4, AgeBand::From1To4),
    (AgeBand::From5To15, AgeBand::From5To15),
    (AgeBand::From16To39, AgeBand::From16To39),
    (AgeBand::From40To59, AgeBand::From40To59),
    (AgeBand::From60, AgeBand::From60),
    (AgeBand::Under1, AgeBand::From1To4),
    (AgeBand::From40To59, AgeBand::From60),
    (AgeBand::Under1, AgeBand::From5To15),
    (AgeBand::From16To39, AgeBand::From60),
];
