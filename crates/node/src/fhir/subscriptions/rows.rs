//! The rows of subscriptions. They name compartments and records, never what is in them, and are sealed under the
//! node's key. A subscription's own row holds what its subscriber sent: criteria and headers.

use super::SubscriptionId;
use crate::caller::Caller;
use crate::error::Error;
use crate::fhir::{FhirAsker, Interaction};
use codec::id::{RecordId, SubjectId};
use codec::time::Millis;
use codec::{choice, record};
use consent::{Actor, Purpose};
use keys::Zeroizing;
use std::collections::BTreeSet;

/// Subscriptions.
pub(super) const KEPT: &[u8] = b"subscription/k/";
/// What was noted with writes and is in no queue yet.
pub(super) const DUE: &[u8] = b"subscription/d/";
/// What waits, by subscription.
pub(super) const QUEUE: &[u8] = b"subscription/q/";
/// How often the first of a queue was tried.
pub(super) const TRIED: &[u8] = b"subscription/t/";
/// That more was to be noted than is kept.
pub(super) const LOST: &[u8] = b"subscription/l/";

record! {
    /// A subscription.
    #[derive(Clone, PartialEq, Eq)]
    pub(super) struct Kept {
        1 => pub(super) version: u32,
        2 => pub(super) updated: Millis,
        3 => pub(super) state: State,
        /// When it ends.
        4 => pub(super) until: Millis,
        /// The resource, as its subscriber reads it.
        5 => pub(super) content: Vec<u8>,
        6 => pub(super) actor: Actor,
        7 => pub(super) bound_to: Option<SubjectId>,
        8 => pub(super) purpose: Option<Purpose>,
        9 => pub(super) base: String,
        10 => pub(super) patient: Option<String>,
        11 => pub(super) scopes: String,
        12 => pub(super) launched: Option<String>,
        13 => pub(super) credential: Option<String>,
    }
}

choice! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum State {
        1 => Active,
        2 => Off,
        /// Given up.
        3 => Failed,
    }
}

record! {
    /// What one batch of writes may concern.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Due {
        1 => pub(super) items: Vec<Noted>,
    }
}

record! {
    /// A version that was written.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Noted {
        1 => pub(super) item: Item,
        2 => pub(super) of: BTreeSet<SubscriptionId>,
    }
}

record! {
    /// A version of which somebody is to be told.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Item {
        1 => pub(super) subject: SubjectId,
        2 => pub(super) record: RecordId,
        3 => pub(super) version: u32,
    }
}

record! {
    /// Attempts at the first of a queue.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Attempts {
        /// The row in the queue.
        1 => pub(super) name: Vec<u8>,
        2 => pub(super) failed: u32,
        3 => pub(super) next: Millis,
    }
}

impl Kept {
    pub(super) fn is_of(&self, caller: &Caller) -> bool {
        self.actor.institution == caller.actor.institution
            && self.actor.practitioner == caller.actor.practitioner
            && self.bound_to == caller.subject
    }

    /// Who reads when it notifies; none, if its scopes are not understood any more.
    pub(super) fn asker(&self) -> Option<FhirAsker> {
        Some(FhirAsker {
            caller: Caller {
                actor: self.actor.clone(),
                subject: self.bound_to,
            },
            purpose: self.purpose,
            base: self.base.clone(),
            patient: self.patient.clone(),
            scopes: self.scopes.parse().ok()?,
            interaction: Interaction::Read,
            launched: self.launched.clone(),
        })
    }

    pub(super) fn row(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(codec::to_vec(self))
    }
}

pub(super) fn kept_name(id: &SubscriptionId) -> Vec<u8> {
    [KEPT, id.as_bytes()].concat()
}

pub(super) fn tried_name(id: &SubscriptionId) -> Vec<u8> {
    [TRIED, id.as_bytes()].concat()
}

pub(super) fn queue_prefix(id: &SubscriptionId) -> Vec<u8> {
    [QUEUE, id.as_bytes()].concat()
}

/// The id in the name of a subscription's row.
pub(super) fn id_of(name: &[u8]) -> Option<SubscriptionId> {
    SubscriptionId::try_from(name.strip_prefix(KEPT)?).ok()
}

pub(super) fn damaged() -> Error {
    Error::Damaged("a row of a subscription".to_owned())
}
