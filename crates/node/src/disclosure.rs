//! Disclosures: who read what, when, on which basis, and who was refused; with proofs.
//!
//! The custodian seals every disclosure of a period into one ledger entry. For a period with disclosures
//! the subject gets a proof of presence, for one without a proof of absence.

use crate::caller::Caller;
use codec::id::{DisclosureId, StudyId, SubjectId};
use codec::time::Millis;
use codec::{Category, id::InstitutionId, id::RecordId};
use consent::{Basis, Missing, PractitionerId, Purpose};

pub(crate) mod log;
pub(crate) mod proof;

/// Asks for a subject's disclosures.
#[derive(Debug, Clone)]
pub struct DisclosureQuery {
    /// The subject's controller (safeguarding applies), privacy officer or auditor (it does not).
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// From then on.
    pub from: Millis,
    /// Before then.
    pub until: Millis,
}

/// A subject's disclosures.
#[derive(Debug, Clone)]
pub struct DisclosureList {
    /// Oldest first.
    pub disclosures: Vec<DisclosureView>,
    /// More were made in that time than one answer holds; ask again from the last one's time.
    pub truncated: bool,
}

/// One disclosure or refusal.
#[derive(Clone, PartialEq, Eq)]
pub struct DisclosureView {
    /// Its id.
    pub id: DisclosureId,
    /// When.
    pub at: Millis,
    /// The period it is proved in.
    pub period: u64,
    /// The reader's institution.
    pub institution: InstitutionId,
    /// The reader.
    pub practitioner: PractitionerId,
    /// What for.
    pub purpose: Purpose,
    /// For which study, if it was for one.
    pub study: Option<StudyId>,
    /// Which categories were asked for (refused) or disclosed (permitted).
    pub categories: Vec<Category>,
    /// Which records were disclosed.
    pub records: Vec<RecordId>,
    /// Why it was permitted or refused.
    pub outcome: Outcome,
    /// The break-glass session it was made under.
    pub session: Option<DisclosureId>,
    /// What it was, if it was no read of records: "consent-show", "hold-set", ..., or "receipt" when a
    /// receipt was given that opens a leaf of the record.
    pub act: Option<String>,
    /// Its showing was delayed for safeguarding.
    pub delayed: bool,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Permitted on that basis, the first if there were several.
    Permitted(Basis),
    /// Refused.
    Refused(Vec<Missing>),
}

/// Asks for the proof of one period.
#[derive(Debug, Clone)]
pub struct DisclosureProofQuery {
    /// The subject's controller, privacy officer or auditor.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// The period: milliseconds since the Unix epoch divided by the network's period length.
    pub period: u64,
}

/// A period's proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeriodProof {
    /// The period is not final yet; its proof will come. A period of which none will ever come is an
    /// error, [`crate::Error::PeriodUnknown`].
    Pending,
    /// Bytes for [`crate::verify::disclosure`].
    Ready {
        /// Disclosures and refusals of the subject in that period; 0 is a proof of absence.
        count: u64,
        /// The proof.
        bytes: Vec<u8>,
    },
}

impl std::fmt::Debug for DisclosureView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DisclosureView")
            .field("id", &self.id)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
