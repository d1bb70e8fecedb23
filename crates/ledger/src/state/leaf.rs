//! Values of the authenticated state.

use super::{SeenLeaf, StateKey};
use crate::entry::{Change, SLOTS, Slot};
use crate::genesis::{Institution, Kind, Parameters, Validators};
use codec::{Digest, EntryId, InstitutionId, record};
use keys::PublicKey;
use std::collections::{BTreeMap, BTreeSet};

record! {
    /// Validator sets by the first epoch that each serves; one set serves until the next.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ValidatorHistory {
        /// Sets by first epoch; epoch 0 is there.
        1 => pub since: BTreeMap<u64, Validators>,
    }
}

impl ValidatorHistory {
    /// The validators of an epoch that is past, current, or decided.
    pub fn at(&self, epoch: u64) -> Option<&Validators> {
        self.since.range(..=epoch).next_back().map(|(_, set)| set)
    }
}

record! {
    /// The current members.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Roster {
        /// Kinds by institution.
        1 => pub members: BTreeMap<InstitutionId, Kind>,
    }
}

record! {
    /// An institution, past or present.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct InstitutionLeaf {
        /// What it is and its current keys.
        1 => pub institution: Institution,
        /// Height at which it was admitted.
        2 => pub since: u64,
        /// Height at which it left.
        3 => pub retired: Option<u64>,
    }
}

record! {
    /// Whose a signing key is or was. Never removed: a key serves once.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct KeyLeaf {
        /// The institution.
        1 => pub institution: InstitutionId,
        /// The key.
        2 => pub key: PublicKey,
        /// First height at which it may sign.
        3 => pub since: u64,
        /// First height at which it may no longer sign.
        4 => pub until: Option<u64>,
    }
}

record! {
    /// Proposals and votes.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Agenda {
        /// Open proposals by the entry id of the proposal.
        1 => pub open: BTreeMap<EntryId, Ballot>,
        /// Passed at the last epoch's end, in order; they take effect with the next block.
        2 => pub passed: Vec<EntryId>,
    }
}

record! {
    /// Votes on one proposal.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Ballot {
        /// Height of the proposal.
        1 => pub opened: u64,
        /// Last epoch at whose end it may pass.
        2 => pub expires_epoch: u64,
        /// Who approves.
        3 => pub approve: BTreeSet<InstitutionId>,
        /// Who disapproves.
        4 => pub reject: BTreeSet<InstitutionId>,
    }
}

record! {
    /// A proposal that is open or passed and not yet in effect.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ProposalLeaf {
        /// Who proposed.
        1 => pub institution: InstitutionId,
        /// What.
        2 => pub change: Change,
    }
}

record! {
    /// A compartment: who controls it and what consent stands.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SubjectLeaf {
        /// Consent states since the opening (0).
        1 => pub sequence: u64,
        /// Salted commitment to the complete consent state.
        2 => pub consent: Digest,
        /// Controllers; none once closed.
        3 => pub slots: Option<[Slot; SLOTS]>,
        /// Whether the custodian's desk acts for the family.
        4 => pub assisted: bool,
        /// New controllers that are waiting.
        5 => pub recovery: Option<Recovery>,
    }
}

impl SubjectLeaf {
    /// Whether the compartment is closed for good.
    pub fn is_closed(&self) -> bool {
        self.slots.is_none()
    }

    /// The slot whose key this is, if it may sign at `height`.
    pub fn live_slot(&self, key: &PublicKey, height: u64) -> Option<usize> {
        self.slots
            .iter()
            .flatten()
            .position(|slot| slot.key == *key && height <= slot.last_valid)
    }
}

record! {
    /// A recovery that takes effect unless an old slot key signs before.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Recovery {
        /// The new slots.
        1 => pub slots: [Slot; SLOTS],
        /// Block time from which they hold.
        2 => pub effective_ms: u64,
        /// The second institution.
        3 => pub witness: InstitutionId,
    }
}

record! {
    /// A custodian's last disclosure period.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct PeriodLeaf {
        /// Number of the period.
        1 => pub period: u64,
        /// Root of its map.
        2 => pub root: Digest,
    }
}

record! {
    /// A device.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct DeviceLeaf {
        /// Signs the device's batches.
        1 => pub key: PublicKey,
        /// Salted commitment to what it is.
        2 => pub commitment: Digest,
        /// Height at which it was revoked.
        3 => pub revoked: Option<u64>,
    }
}

record! {
    /// A study.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct StudyLeaf {
        /// Who runs it.
        1 => pub institution: InstitutionId,
        /// Digest of its policy.
        2 => pub policy: Digest,
        /// Data sets released so far.
        3 => pub releases: u64,
    }
}

record! {
    /// A released data set.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ReleaseLeaf {
        /// Digest of the content.
        1 => pub content: Digest,
        /// Digest of the release certificate.
        2 => pub certificate: Digest,
        /// Height of the release.
        3 => pub height: u64,
    }
}

/// When a value changes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// After this height.
    Height(u64),
    /// From this block time on.
    Time(u64),
}

/// When the value at `key` changes by itself.
///
/// # Errors
/// Bytes that are not the encoding of that key's value.
pub(super) fn due(key: &StateKey, value: &[u8]) -> Result<Option<Due>, codec::Error> {
    fn whole<T: codec::Encode + codec::Decode>(value: &[u8]) -> Result<Option<Due>, codec::Error> {
        codec::from_slice::<T>(value).map(|_| None)
    }
    match key {
        StateKey::Parameters => whole::<Parameters>(value),
        StateKey::Validators => whole::<ValidatorHistory>(value),
        StateKey::Roster => whole::<Roster>(value),
        StateKey::Agenda => whole::<Agenda>(value),
        StateKey::Institution(_) => whole::<InstitutionLeaf>(value),
        StateKey::InstitutionKey(_) => whole::<KeyLeaf>(value),
        StateKey::Proposal(_) => whole::<ProposalLeaf>(value),
        StateKey::Period(_) => whole::<PeriodLeaf>(value),
        StateKey::Device(_) => whole::<DeviceLeaf>(value),
        StateKey::Study(_) => whole::<StudyLeaf>(value),
        StateKey::Release(_) => whole::<ReleaseLeaf>(value),
        StateKey::Seen(_) => {
            let leaf: SeenLeaf = codec::from_slice(value)?;
            Ok(Some(Due::Height(leaf.last_valid())))
        }
        StateKey::Subject(_) => {
            let leaf: SubjectLeaf = codec::from_slice(value)?;
            Ok(leaf.recovery.map(|r| Due::Time(r.effective_ms)))
        }
    }
}
