//! Erasure: the subject's key is destroyed here; nothing of it opens again.
//!
//! Refused under a legal hold or retention period, saying until when. Idempotent, and finished after a
//! crash. What outlives it, the disclosure log, is handed over with the key that proves it.

use crate::caller::Caller;
use crate::disclosure::DisclosureView;
use crate::subject::Finality;
use codec::id::{EntryId, SubjectId};

/// Erases a subject at this custodian.
#[derive(Debug, Clone)]
pub struct Erase {
    /// Privacy officer, or the subject's controller.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
}

/// An erasure that was done.
#[derive(Clone)]
pub struct Erased {
    /// The SubjectClose entry; none when the subject had been closed before.
    pub entry: Option<EntryId>,
    /// Where it stands.
    pub finality: Finality,
    /// Whether an earlier call did it.
    pub already: bool,
    /// What the subject takes along.
    pub handover: Handover,
}

/// What outlives an erasure, for the subject to keep.
#[derive(Clone)]
pub struct Handover {
    /// Finds the subject's line in every disclosure period of this custodian, and its absence.
    pub audit_key: [u8; 32],
    /// Every disclosure and refusal: copies already disclosed are listed, not denied.
    pub disclosures: Vec<DisclosureView>,
    /// A proof for each period with a disclosure, for [`crate::verify::disclosure`]; periods not final
    /// yet are missing and can be asked for later.
    pub proofs: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Erased {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erased")
            .field("entry", &self.entry)
            .field("finality", &self.finality)
            .field("already", &self.already)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Handover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handover(<redacted>)")
    }
}
