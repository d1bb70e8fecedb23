//! Patients that carry one identifier: whether they are one person is said by people, never by the node.
//!
//! A Patient that is put in goes into its own compartment, whatever identifiers it carries. If one of them, with
//! its system, is also carried by a Patient of another compartment, the two become an item of a work queue. The
//! desk says whether they are one person. If so, the Patients are linked as FHIR links them; no record moves, for
//! keys, consent and erasure are each compartment's own.

use crate::caller::Caller;
use codec::id::{RecordId, SubjectId};
use codec::time::Millis;
use consent::{Actor, Reason};

mod decide;
mod kept;
mod queue;
mod rows;

pub(crate) use queue::Mark;
pub use queue::PAGE_MAX;

/// Names an item of the queue.
pub use codec::id::DisclosureId as ItemId;

/// Lists items.
#[derive(Debug, Clone)]
pub struct IdentityList {
    /// Desk or privacy officer.
    pub caller: Caller,
    /// Those that were decided; otherwise those that wait.
    pub decided: bool,
    /// Where the last page ended.
    pub after: Option<ItemId>,
    /// How many at most; [`PAGE_MAX`] bounds it.
    pub count: usize,
}

/// A page of items.
#[derive(Debug, Clone)]
pub struct IdentityPage {
    /// The items.
    pub items: Vec<Identity>,
    /// Where the next page begins, if there is one.
    pub next: Option<ItemId>,
    /// How many items wait in all.
    pub waiting: u64,
}

/// Two Patients that carry one identifier.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The item.
    pub item: ItemId,
    /// The two.
    pub patients: [IdentityPatient; 2],
    /// When it was found.
    pub found: Millis,
    /// What was said of them.
    pub state: IdentityState,
    /// By whom, and when.
    pub decided: Option<(Actor, Millis)>,
    /// Whether a merge was taken back whose links stay in the Patients, for they were changed since: they are to
    /// be edited there.
    pub links_stay: bool,
}

/// One of them, by ids alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdentityPatient {
    /// Whose compartment.
    pub subject: SubjectId,
    /// The record of the Patient there.
    pub record: RecordId,
    /// Its FHIR id.
    pub id: String,
}

/// What was said of two Patients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityState {
    /// Nothing yet.
    Open,
    /// They are one person.
    Same {
        /// Whose Patient replaces the other's.
        kept: SubjectId,
    },
    /// They are two; it is not asked again.
    Different,
}

/// Says whether two Patients are one person.
#[derive(Debug, Clone)]
pub struct IdentityDecide {
    /// The desk.
    pub caller: Caller,
    /// The item.
    pub item: ItemId,
    /// What they are.
    pub verdict: IdentityVerdict,
}

/// What two Patients are.
#[derive(Debug, Clone)]
pub enum IdentityVerdict {
    /// One person.
    Same {
        /// Whose Patient replaces the other's.
        keep: SubjectId,
        /// Why. Sealed with the Patients' new versions, as their provenance.
        note: Reason,
    },
    /// Two people.
    Different,
}

/// Takes a decision back: the item waits again.
#[derive(Debug, Clone)]
pub struct IdentityUndo {
    /// The desk.
    pub caller: Caller,
    /// The item.
    pub item: ItemId,
}
