//! Checking what a node hands out, offline, with nothing but the network's genesis.
//!
//! Bytes in, a verdict or one sentence that names the broken link out. Never asks a node.

use codec::id::{Digest, EntryId, InstitutionId, SubjectId};

/// What a receipt proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptVerdict {
    /// The block's height.
    pub height: u64,
    /// The block's time.
    pub time_ms: u64,
    /// Who held the record.
    pub custodian: InstitutionId,
    /// The record's commitment.
    pub commitment: Digest,
    /// The batch entry.
    pub entry: EntryId,
    /// Whether the leaf's bytes were given and fit.
    pub leaf_checked: bool,
}

/// What a disclosure proof proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisclosureVerdict {
    /// The custodian.
    pub custodian: InstitutionId,
    /// The period.
    pub period: u64,
    /// Disclosures and refusals in it; 0: proved absence.
    pub count: u64,
    /// The block's height.
    pub height: u64,
    /// The block's time.
    pub time_ms: u64,
}

/// What a consent opening proves: these are all the grants on this compartment at that block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpeningVerdict {
    /// The subject.
    pub subject: SubjectId,
    /// The state that was opened.
    pub state: consent::ConsentState,
    /// The block's height.
    pub height: u64,
    /// The block's time.
    pub time_ms: u64,
}

/// Why a proof is refused, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);
