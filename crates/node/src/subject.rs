//! Subjects: opening a compartment, its status, enrolling a family's key, recovery, closing.
//!
//! A subject id is random, names one compartment at this custodian, and never crosses custodians. It is
//! opened *assisted* (the desk acts for the family, visibly) or with the public keys of its controllers.
//! Enrolling a family's key turns the assisted flag off for good.

use crate::caller::Caller;
use crate::consent_change::SignedChange;
use codec::id::{DisclosureId, EntryId, InstitutionId, SubjectId};
use codec::time::Millis;
use consent::{Controller, Grant};
use keys::PublicKey;
use std::collections::BTreeMap;

pub(crate) mod notices;
pub(crate) mod open;
pub(crate) mod recover;

/// Opens a compartment for which the desk acts.
#[derive(Debug, Clone)]
pub struct SubjectOpen {
    /// A desk.
    pub caller: Caller,
    /// Who may read the record as its controllers; they have accounts, no keys yet. May be empty.
    pub controllers: Vec<Controller>,
    /// When the subject comes of age and guardians' control ends.
    pub matures: Option<Millis>,
    /// The same key (at most 128 bytes) gives the same subject again.
    pub client_key: Option<String>,
    /// Whether to wait for finality.
    pub wait: Wait,
}

/// Prepares the opening of a compartment under a family's own keys.
#[derive(Debug, Clone)]
pub struct SubjectOpenPrepare {
    /// A desk.
    pub caller: Caller,
    /// The controllers and their keys, at most four.
    pub controllers: Vec<Keyholder>,
    /// The slot whose key will sign.
    pub slot: u8,
    /// When the subject comes of age and guardians' control ends.
    pub matures: Option<Millis>,
}

/// Opens a compartment with what the family's tool signed.
#[derive(Debug, Clone)]
pub struct SubjectOpenSubmit {
    /// A desk.
    pub caller: Caller,
    /// The signed opening.
    pub signed: SignedChange,
    /// Whether to wait for finality.
    pub wait: Wait,
}

/// A controller and the public key made for this subject alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyholder {
    /// The controller; its slot number says where the key goes.
    pub controller: Controller,
    /// The key, from `ithaca subject keygen`.
    pub key: PublicKey,
}

/// How long the caller waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wait {
    /// Answer after the durable write.
    #[default]
    Durable,
    /// Answer when final, or after this many milliseconds with what is known then.
    Final {
        /// Bounded by the node's configuration.
        timeout_ms: u64,
    },
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// Durable here, on its way.
    Pending,
    /// In a finalised block.
    Final {
        /// The block's height.
        height: u64,
        /// The block's time.
        time_ms: u64,
    },
}

impl Finality {
    /// Whether it is final.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Final { .. })
    }
}

/// An opened subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectOpened {
    /// The new id. Hand it to the family with the custodian's name.
    pub subject: SubjectId,
    /// The SubjectOpen entry.
    pub entry: EntryId,
    /// Sequence of the first consent state.
    pub sequence: u64,
    /// Whether the desk acts for the family.
    pub assisted: bool,
    /// Where the entry stands.
    pub finality: Finality,
    /// Whether this call made it.
    pub created: bool,
}

/// Asks about one subject.
#[derive(Debug, Clone)]
pub struct SubjectQuery {
    /// Desk, privacy officer, or the subject's controller.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
}

/// What the custodian knows of a subject, without any record.
#[derive(Debug, Clone)]
pub struct SubjectStatus {
    /// The subject.
    pub subject: SubjectId,
    /// Whether the desk acts for the family.
    pub assisted: bool,
    /// Sequence of the finalised consent state; none while the opening is pending.
    pub final_sequence: Option<u64>,
    /// Sequence of the latest accepted change.
    pub accepted_sequence: u64,
    /// Processing restricted (GDPR article 18).
    pub restricted: bool,
    /// Closed to new data.
    pub closed: bool,
    /// Erased.
    pub erased: bool,
    /// Legal hold or retention, if any.
    pub held_until: Option<Millis>,
    /// Grants in the latest accepted state.
    pub grants: Vec<Grant>,
    /// Records held.
    pub records: u64,
    /// Whether the consent opening kept here matches the ledger's leaf.
    pub opening_matches: bool,
}

/// Something that the controllers are told.
#[derive(Clone, PartialEq, Eq)]
pub struct SubjectNotice {
    /// When they are told at the latest.
    pub due: Millis,
    /// What they are told.
    pub sentence: String,
    /// The disclosure or session it is about.
    pub about: Option<DisclosureId>,
    /// When a controller first saw it.
    pub told: Option<Millis>,
}

/// Prepares the enrolment of a family's keys; once submitted, the desk no longer acts for it.
#[derive(Debug, Clone)]
pub struct SubjectEnrolPrepare {
    /// A desk, while the subject is assisted.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// Every controller from now on, with keys.
    pub controllers: Vec<Keyholder>,
    /// The slot whose key will sign.
    pub slot: u8,
}

/// Begins recovery of lost controller keys: this custodian signs, a second institution countersigns.
#[derive(Debug, Clone)]
pub struct SubjectRecover {
    /// A desk.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// The new keys by slot; slots left out get keys that nobody holds.
    pub keys: BTreeMap<u8, PublicKey>,
    /// The institution that will countersign.
    pub witness: InstitutionId,
}

/// A recovery that waits for the second institution's signature. Opaque bytes to carry there.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryDraft {
    /// The encoded draft.
    pub bytes: Vec<u8>,
}

/// The second institution's part: it has satisfied itself who asks.
#[derive(Debug, Clone)]
pub struct RecoveryEndorse {
    /// A desk of the second institution.
    pub caller: Caller,
    /// The first institution's draft.
    pub draft: RecoveryDraft,
}

/// Submits an endorsed recovery.
#[derive(Debug, Clone)]
pub struct RecoverySubmit {
    /// A desk of the custodian.
    pub caller: Caller,
    /// The subject; the draft must be about it.
    pub subject: SubjectId,
    /// The endorsed draft.
    pub draft: RecoveryDraft,
    /// Whether to wait for finality.
    pub wait: Wait,
}

/// Closes a subject to new data, keeping what is there.
#[derive(Debug, Clone)]
pub struct SubjectClose {
    /// A desk.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// Whether to wait for finality.
    pub wait: Wait,
}

/// An entry of a subject that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectEntry {
    /// The entry.
    pub entry: EntryId,
    /// Where it stands.
    pub finality: Finality,
    /// The institution that accepted it.
    pub custodian: InstitutionId,
}

impl std::fmt::Debug for RecoveryDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecoveryDraft({} bytes)", self.bytes.len())
    }
}

impl std::fmt::Debug for SubjectNotice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SubjectNotice")
            .field("due", &self.due)
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}
