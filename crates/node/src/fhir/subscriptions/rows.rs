//! The rows of subscriptions. A subscription's own row is the node's, sealed under its key: it holds what its
//! subscriber sent, criteria and headers. What is to be told of a subject, to whom, and how often that was tried
//! lies in the subject's compartment (`vault::Note`).

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
use vault::NewNote;

/// Subscriptions.
pub(super) const KEPT: &[u8] = b"subscription/k/";
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
    /// What one batch of writes about a subject may concern, as it is noted with them.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Due {
        1 => pub(super) at: Millis,
        /// Which batch of that time: random.
        2 => pub(super) batch: [u8; 8],
        /// The place of the first item in the batch.
        3 => pub(super) from: u32,
        4 => pub(super) items: Vec<Noted>,
    }
}

record! {
    /// A version that was written, and whom it may concern.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Noted {
        1 => pub(super) record: RecordId,
        2 => pub(super) version: u32,
        3 => pub(super) of: BTreeSet<SubscriptionId>,
    }
}

record! {
    /// A version of which one subscriber is to be told.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Waiting {
        1 => pub(super) of: SubscriptionId,
        2 => pub(super) turn: Turn,
        3 => pub(super) record: RecordId,
        4 => pub(super) version: u32,
        5 => pub(super) tried: Option<Tried>,
    }
}

record! {
    /// A place in the order of what one subscriber is told: of the batches, and of the versions in one.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub(super) struct Turn {
        1 => pub(super) at: Millis,
        2 => pub(super) batch: [u8; 8],
        3 => pub(super) place: u32,
    }
}

record! {
    /// Attempts to tell.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Tried {
        /// The version of the subscription that failed: another one is tried anew.
        1 => pub(super) of: u32,
        2 => pub(super) failed: u32,
        3 => pub(super) next: Millis,
    }
}

impl Due {
    pub(super) fn note(&self, subject: &SubjectId) -> NewNote {
        NewNote {
            subject: *subject,
            value: Zeroizing::new(codec::to_vec(self)),
        }
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

/// The id in the name of a subscription's row.
pub(super) fn id_of(name: &[u8]) -> Option<SubscriptionId> {
    SubscriptionId::try_from(name.strip_prefix(KEPT)?).ok()
}

pub(super) fn damaged() -> Error {
    Error::Damaged("a row of a subscription".to_owned())
}
