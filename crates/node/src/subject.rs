//! Subjects: opening a compartment, its status, enrolling a family's key, recovery, closing.
//!
//! A subject id is random, names one compartment at this custodian, and never crosses custodians. It is
//! opened *assisted* (the desk acts for the family, visibly) or with the public keys of its controllers.
//! Enrolling a family's key turns the assisted flag off for good.

use crate::caller::Caller;
use codec::id::{EntryId, InstitutionId, SubjectId};
use codec::time::Millis;
use consent::{Controller, Grant};
use keys::{PublicKey, Signature};

pub(crate) mod open;
pub(crate) mod recover;

/// Controller slots of a subject, always four on the ledger; unused ones hold random keys.
pub const SLOTS: usize = 4;

/// Opens a compartment.
#[derive(Debug, Clone)]
pub struct SubjectOpen {
    /// A desk.
    pub caller: Caller,
    /// Who controls it.
    pub control: Control,
    /// When the subject comes of age and guardians' control ends.
    pub maturity: Option<Millis>,
    /// The same key gives the same subject again.
    pub client_key: Option<String>,
    /// Whether to wait for finality.
    pub wait: Wait,
}

/// Who controls a new compartment.
#[derive(Debug, Clone)]
pub enum Control {
    /// The custodian's desk acts for the family until it enrols a key.
    Assisted,
    /// Controllers with their own keys, at most four.
    Family(Vec<SlotKey>),
}

/// A controller's public key for one slot, with proof that somebody holds it.
#[derive(Debug, Clone)]
pub struct SlotKey {
    /// The controller; its slot number says where the key goes.
    pub controller: Controller,
    /// A fresh key, for this subject alone.
    pub key: PublicKey,
    /// Signature over [`crate::verify::possession`] by that key.
    pub possession: Signature,
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

/// Enrols a family's key in a slot; from then on the desk no longer acts for it.
#[derive(Debug, Clone)]
pub struct SubjectEnrol {
    /// A desk, while the subject is assisted.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// The key and its controller.
    pub slot: SlotKey,
    /// The sequence the caller saw.
    pub expect_sequence: u64,
    /// Whether to wait for finality.
    pub wait: Wait,
}

/// Begins recovery of lost controller keys: this custodian signs, a second institution countersigns.
#[derive(Debug, Clone)]
pub struct SubjectRecover {
    /// A desk.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// The new controllers.
    pub slots: Vec<SlotKey>,
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
