//! What stands against erasure: legal hold and statutory retention.
//!
//! Both are the custodian's, not the family's, and are no part of the consent state. They stop
//! erasure (GDPR article 17(3)(b) and (e)); they permit no read.

use crate::RuleName;
use crate::dates::moment;
use codec::{Millis, record};
use serde::{Deserialize, Serialize};

record! {
    /// An order to keep a compartment, for proceedings.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct LegalHold {
        /// The first instant after it. Renewed, not endless.
        1 => pub until: Millis,
        /// A code for why, out of the institution's list; no free text.
        2 => pub reason_code: RuleName,
    }
}

record! {
    /// A law by which a compartment is kept.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Retention {
        /// The first instant after it.
        1 => pub until: Millis,
        /// The law.
        2 => pub rule: RuleName,
    }
}

/// Why a compartment may not be erased yet. Neither a hold's nor a law's end is a promise: holds
/// are renewed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErasureRefused {
    /// A legal hold.
    #[error("kept under a legal hold ({}) until {}", .0.reason_code, moment(.0.until))]
    LegalHold(LegalHold),
    /// A retention law.
    #[error("kept by law ({}) until {}", .0.rule, moment(.0.until))]
    Retention(Retention),
}

impl ErasureRefused {
    /// Until when, as it stands.
    pub fn until(&self) -> Millis {
        match self {
            Self::LegalHold(hold) => hold.until,
            Self::Retention(retention) => retention.until,
        }
    }
}

/// Whether a compartment may be erased at `at`; refused with whatever ends last.
///
/// # Errors
/// A legal hold or a retention in force.
pub fn erasure_allowed(
    holds: &[LegalHold],
    retentions: &[Retention],
    at: Millis,
) -> Result<(), ErasureRefused> {
    let holds = holds.iter().cloned().map(ErasureRefused::LegalHold);
    let retentions = retentions.iter().cloned().map(ErasureRefused::Retention);
    // `max_by_key` keeps the last of equals: put holds last, so that a tie names the hold.
    let last = retentions
        .chain(holds)
        .filter(|refused| at < refused.until())
        .max_by_key(ErasureRefused::until);
    last.map_or(Ok(()), Err)
}
