//! Consent: showing it, preparing a change, signing it at home, submitting it.
//!
//! A change is always to the *complete* state, at exactly the next sequence. `prepare` gives a
//! [`ConsentBundle`]: the old and new state, the salt and the bytes to sign. The family's tool checks the
//! bundle, shows [`ConsentBundle::summary`], signs, and hands back a [`SignedChange`]. While a subject is
//! assisted its desk may do both steps at once.
//!
//! Narrowing binds when it is durably accepted, widening when it is final. Of two changes on top of the
//! same state one wins; the other is told the sequence it has to build on.

use crate::caller::Caller;
use crate::subject::{Finality, Wait};
use codec::id::{EntryId, GrantId, SubjectId};
use codec::time::Millis;
use consent::{ConsentState, Controller, Exception, Grantee, Purpose};
use keys::PublicKey;
use std::collections::BTreeSet;

pub(crate) mod accept;
pub(crate) mod apply;
mod bundle;
mod summary;

pub use bundle::{BundleError, ChangeSignature, ConsentBundle, Draft, SignedChange, UpdateDraft};
pub use consent::listing::GrantLine;
pub use summary::GenesisNames;

/// One change to a consent state. Several may be made together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsentChange {
    /// Adds a grant under a fresh id, unless the very same stands already: then that one is answered.
    GrantAdd(GrantDraft),
    /// Revokes a grant.
    GrantRevoke(GrantId),
    /// Adds a controller, or changes the one in that slot; with a key, the slot's key changes too.
    ControllerSet(Controller, Option<PublicKey>),
    /// Removes the controller of a slot; the slot gets a key that nobody holds.
    ControllerRemove {
        /// The slot, 0 to 3.
        slot: u8,
    },
    /// When the subject comes of age.
    MaturitySet(Option<Millis>),
    /// Opts out of a purpose that would otherwise go on.
    OptOut(Purpose),
    /// Takes an opt-out back.
    OptIn(Purpose),
    /// Restricts processing (GDPR article 18), or lifts the restriction.
    Restrict(bool),
}

/// A grant to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantDraft {
    /// Who may read.
    pub grantee: Grantee,
    /// What for.
    pub purposes: BTreeSet<Purpose>,
    /// Which categories.
    pub categories: BTreeSet<codec::Category>,
    /// From when.
    pub from: Millis,
    /// Until when.
    pub until: Millis,
    /// What is left out.
    pub exceptions: BTreeSet<Exception>,
}

/// Prepares a change for a controller to sign.
#[derive(Debug, Clone)]
pub struct ConsentPrepare {
    /// Desk, or a controller of the subject.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// The slot whose key will sign.
    pub slot: u8,
    /// The changes, applied in order.
    pub changes: Vec<ConsentChange>,
}

/// Submits a signed change.
#[derive(Debug, Clone)]
pub struct ConsentSubmit {
    /// Who carries it: desk or controller. The signature is what counts.
    pub caller: Caller,
    /// What the family's tool gave back.
    pub change: SignedChange,
    /// Whether to wait for finality.
    pub wait: Wait,
}

/// A change by the desk while the subject is assisted.
#[derive(Debug, Clone)]
pub struct ConsentDesk {
    /// The desk.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// The sequence the desk saw; none takes the latest.
    pub expect_sequence: Option<u64>,
    /// The changes, applied in order.
    pub changes: Vec<ConsentChange>,
    /// Whether to wait for finality.
    pub wait: Wait,
}

/// An accepted change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentAccepted {
    /// The new sequence.
    pub sequence: u64,
    /// The SubjectUpdate entry.
    pub entry: EntryId,
    /// Whether it only takes permissions away.
    pub effect: Effect,
    /// The grants that this change added or found standing, in order.
    pub grants: Vec<GrantId>,
    /// Where the entry stands.
    pub finality: Finality,
}

/// When a change binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Takes permissions away only: it binds now.
    Narrowing,
    /// Gives permissions only: they hold when it is final.
    Widening,
    /// Both: what it takes away binds now, what it gives holds when it is final.
    Mixed,
}

/// Asks for the consent state.
#[derive(Debug, Clone)]
pub struct ConsentQuery {
    /// Desk, privacy officer, auditor, or the subject's controller.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
}

/// The consent state as the custodian holds it.
#[derive(Debug, Clone)]
pub struct ConsentShown {
    /// The finalised state; none while the opening is pending.
    pub finalised: Option<ConsentState>,
    /// Accepted changes on their way to the ledger, oldest first.
    pub pending: Vec<ConsentState>,
    /// The latest accepted state: what a new change builds on.
    pub latest: ConsentState,
    /// Every grant in a sentence, running or not.
    pub grants: Vec<GrantLine>,
    /// What else is in force, in sentences.
    pub notes: Vec<String>,
    /// Whether the opening kept here matches the ledger's leaf.
    pub opening_matches: bool,
    /// Proof for [`crate::verify::consent_opening`]: "these are all the grants", at a final header.
    pub opening: Option<Vec<u8>>,
}
