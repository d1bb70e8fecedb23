//! The finalised state, speculative views over it, and what persists.
//!
//! A [`State`] is the finalised state. A [`View`] is that state plus a chain of executed blocks.
//! Executing a block over a view gives an [`Executed`]; [`View::with`] makes the next view,
//! [`State::apply`] makes it final. Views are short-lived: keep `Arc<Executed>` by block digest and
//! build views when they are needed, because a state folds finalised blocks into its base only
//! while no view holds that base.

use super::leaf::{Due, due};
use super::seen::Index;
use super::tree::{Change, Tree, Value};
use super::{
    Agenda, DeviceLeaf, InstitutionLeaf, KeyLeaf, PeriodLeaf, ProposalLeaf, ReleaseLeaf, Roster,
    Seen, StateKey, StudyLeaf, SubjectLeaf, ValidatorHistory,
};
use crate::entry::KeyId;
use crate::genesis::{Parameters, Validators};
use crate::header::Header;
use codec::{DeviceId, Digest, EntryId, InstitutionId, NetworkId, StudyId, SubjectId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Finalised blocks that a state keeps apart from its base while views hold the base.
const RECENT_LIMIT: usize = 64;

/// The finalised state.
pub struct State {
    view: View,
}

/// The state after some block: finalised, or speculative.
#[derive(Clone)]
pub struct View {
    base: Arc<Base>,
    /// Blocks over the base, oldest first.
    overlays: Vec<Arc<Executed>>,
}

/// What one block does to the state.
#[derive(Clone)]
pub struct Executed {
    pub(super) tip: Tip,
    pub(super) parent: Tip,
    pub(super) changes: BTreeMap<StateKey, Option<Value>>,
    pub(super) due: BTreeSet<(Due, StateKey)>,
    /// The state after it.
    pub(super) tree: Tree,
    /// What it included, and until which height that is valid.
    pub(super) seen: HashMap<EntryId, u64>,
    pub(super) next_validators: Option<Digest>,
}

/// Where a chain of blocks stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Height of the last block.
    pub height: u64,
    /// Its time.
    pub time_ms: u64,
    /// Root of the state after it.
    pub state_root: Digest,
}

/// One row to persist: the encoded key, and the encoded value or none to delete the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Encoded [`StateKey`].
    pub key: Vec<u8>,
    /// Encoded value.
    pub value: Option<Vec<u8>>,
}

#[derive(Clone)]
struct Base {
    network: NetworkId,
    tip: Tip,
    tree: Tree,
    /// Some keys are here after their values changed: what is due is looked up.
    due: BTreeSet<(Due, StateKey)>,
    seen: Index,
}

/// Why a block does not extend a state or view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a block over height {parent} cannot extend the state at height {height}, or its parent differs"
)]
pub struct Detached {
    /// Height of the state or view.
    pub height: u64,
    /// Height of the block's parent.
    pub parent: u64,
}

/// Why rows are not the state that a header names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A row's key or value is malformed.
    #[error("a row of the state is malformed")]
    Row(#[source] codec::Error),
    /// A key comes twice.
    #[error("a row of the state is repeated")]
    Repeated,
    /// The rows have another root.
    #[error("the rows of the state have root {found}, the header names {expected}")]
    Root {
        /// Of the header.
        expected: Digest,
        /// Of the rows.
        found: Digest,
    },
}

impl State {
    /// Rebuilds the state from its rows, as of the block whose header this is.
    ///
    /// # Errors
    /// Malformed or repeated rows, and rows whose root the header does not name.
    pub fn load(
        header: &Header,
        rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, LoadError> {
        let mut values = BTreeMap::new();
        for (key, value) in rows {
            let key: StateKey = codec::from_slice(&key).map_err(LoadError::Row)?;
            if values.insert(key, Value::from(value)).is_some() {
                return Err(LoadError::Repeated);
            }
        }
        let state = Self::from_values(header.network, header.height, header.time_ms, &values)
            .map_err(LoadError::Row)?;
        let found = state.view.tip().state_root;
        if found == header.state_root {
            Ok(state)
        } else {
            Err(LoadError::Root {
                expected: header.state_root,
                found,
            })
        }
    }

    /// A state with these values.
    pub(super) fn from_values(
        network: NetworkId,
        height: u64,
        time_ms: u64,
        values: &BTreeMap<StateKey, Value>,
    ) -> Result<Self, codec::Error> {
        let puts = values
            .iter()
            .map(|(key, value)| Change::new(key, Some(value)));
        let tree = Tree::default().write(puts.collect());
        let (mut dues, mut seen) = (BTreeSet::new(), Index::default());
        for (key, value) in values {
            if let Some(due) = due(key, value)? {
                dues.insert((due, key.clone()));
            }
            if let StateKey::Seen(height) = key {
                seen.insert(*height, value.clone());
            }
        }
        let base = Base {
            network,
            tip: Tip {
                height,
                time_ms,
                state_root: tree.root(),
            },
            tree,
            due: dues,
            seen,
        };
        Ok(Self {
            view: View {
                base: Arc::new(base),
                overlays: Vec::new(),
            },
        })
    }

    /// A view of the finalised state.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Makes a block final, whose rows ([`Executed::rows`]) were persisted in one batch with its header.
    /// Where nobody else holds it, what it wrote is moved, not copied.
    ///
    /// # Errors
    /// [`Detached`] unless the block was executed over exactly this state.
    pub fn apply(&mut self, executed: Arc<Executed>) -> Result<(), Detached> {
        self.view.push(executed)?;
        if self.view.overlays.len() > RECENT_LIMIT {
            // A view is held for long: leave it the old base.
            Arc::make_mut(&mut self.view.base);
        }
        while !self.view.overlays.is_empty() {
            let Some(base) = Arc::get_mut(&mut self.view.base) else {
                break;
            };
            base.fold(Arc::unwrap_or_clone(self.view.overlays.remove(0)));
        }
        Ok(())
    }

    /// Every row of the finalised state, ascending by key.
    pub fn rows(&self) -> Vec<Row> {
        let mut leaves = self.view.tree().leaves();
        leaves.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let row = |leaf: &super::tree::Leaf| Row {
            key: leaf.key.row(),
            value: Some(leaf.value.to_vec()),
        };
        leaves.into_iter().map(row).collect()
    }
}

impl Base {
    fn fold(&mut self, executed: Executed) {
        for (key, value) in executed.changes {
            match (key, value) {
                (StateKey::Seen(height), Some(value)) => self.seen.insert(height, value),
                (StateKey::Seen(height), None) => self.seen.remove(height),
                _ => {}
            }
        }
        self.due.extend(executed.due);
        self.tip = executed.tip;
        self.tree = executed.tree;
        let settled: Vec<_> = passed(&self.due, self.tip.height, self.tip.time_ms)
            .cloned()
            .collect();
        for due in &settled {
            self.due.remove(due);
        }
    }
}

impl Executed {
    /// Where the chain stands after this block.
    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// Where it stood before.
    pub fn parent(&self) -> Tip {
        self.parent
    }

    /// Root of the state after this block.
    pub fn state_root(&self) -> Digest {
        self.tip.state_root
    }

    /// Whether this block was executed over exactly this view.
    pub fn follows(&self, view: &View) -> bool {
        self.parent == view.tip()
    }

    /// At an epoch's last block, the digest of the next epoch's validators.
    pub fn next_validators(&self) -> Option<Digest> {
        self.next_validators
    }

    /// What to persist.
    pub fn rows(&self) -> Vec<Row> {
        self.changes
            .iter()
            .map(|(key, value)| Row {
                key: key.row(),
                value: value.as_ref().map(|value| value.to_vec()),
            })
            .collect()
    }
}

impl View {
    /// The view after one more block.
    ///
    /// # Errors
    /// [`Detached`] unless the block was executed over exactly this view.
    pub fn with(&self, executed: Arc<Executed>) -> Result<Self, Detached> {
        let mut view = self.clone();
        view.push(executed)?;
        Ok(view)
    }

    fn push(&mut self, executed: Arc<Executed>) -> Result<(), Detached> {
        if !executed.follows(self) {
            return Err(Detached {
                height: self.tip().height,
                parent: executed.parent.height,
            });
        }
        self.overlays.push(executed);
        Ok(())
    }

    /// The network.
    pub fn network(&self) -> NetworkId {
        self.base.network
    }

    /// Where the chain stands.
    pub fn tip(&self) -> Tip {
        self.overlays.last().map_or(self.base.tip, |last| last.tip)
    }

    /// Parameters in force for the next block.
    pub fn parameters(&self) -> Parameters {
        self.whole(&StateKey::Parameters)
    }

    /// Current members.
    pub fn roster(&self) -> Roster {
        self.whole(&StateKey::Roster)
    }

    /// Proposals and votes.
    pub fn agenda(&self) -> Agenda {
        self.whole(&StateKey::Agenda)
    }

    /// An open proposal.
    pub fn proposal(&self, id: &EntryId) -> Option<ProposalLeaf> {
        self.read(&StateKey::Proposal(*id))
    }

    /// Validators of an epoch that is past, current, or decided; none if it is not decided yet.
    pub fn validators(&self, epoch: u64) -> Option<Validators> {
        let tip = self.tip().height;
        let parameters = self.parameters();
        let decided = parameters.epoch(tip) + u64::from(parameters.is_epoch_last(tip));
        if epoch > decided {
            return None;
        }
        let history: ValidatorHistory = self.whole(&StateKey::Validators);
        history.at(epoch).cloned()
    }

    /// An institution, past or present.
    pub fn institution(&self, id: &InstitutionId) -> Option<InstitutionLeaf> {
        self.read(&StateKey::Institution(*id))
    }

    /// Whose a signing key is or was.
    pub fn institution_by_key(&self, key: &KeyId) -> Option<KeyLeaf> {
        self.read(&StateKey::InstitutionKey(*key))
    }

    /// A compartment.
    pub fn subject(&self, custodian: &InstitutionId, subject: &SubjectId) -> Option<SubjectLeaf> {
        self.read(&StateKey::Subject((*custodian, *subject)))
    }

    /// Whether and where an entry was included, while its validity has not passed.
    pub fn entry_seen(&self, id: &EntryId) -> Option<Seen> {
        let ahead = self.overlays.iter().rev().find_map(|overlay| {
            overlay.seen.get(id).map(|last_valid| Seen {
                height: overlay.tip.height,
                last_valid: *last_valid,
            })
        });
        let seen = ahead.or_else(|| self.base.seen.get(id))?;
        (seen.last_valid >= self.tip().height).then_some(seen)
    }

    /// A custodian's last disclosure period.
    pub fn last_period(&self, custodian: &InstitutionId) -> Option<PeriodLeaf> {
        self.read(&StateKey::Period(*custodian))
    }

    /// A device.
    pub fn device(&self, institution: &InstitutionId, device: &DeviceId) -> Option<DeviceLeaf> {
        self.read(&StateKey::Device((*institution, *device)))
    }

    /// A study.
    pub fn study(&self, study: &StudyId) -> Option<StudyLeaf> {
        self.read(&StateKey::Study(*study))
    }

    /// A release of a study, numbered from 0.
    pub fn release(&self, study: &StudyId, number: u64) -> Option<ReleaseLeaf> {
        self.read(&StateKey::Release((*study, number)))
    }

    /// The encoded value at a key.
    pub fn value(&self, key: &StateKey) -> Option<Arc<[u8]>> {
        let leaf = self.tree().get(&key.digest())?;
        Some(leaf.value.clone())
    }

    pub(super) fn tree(&self) -> &Tree {
        self.overlays
            .last()
            .map_or(&self.base.tree, |last| &last.tree)
    }

    pub(super) fn read<T: codec::Encode + codec::Decode>(&self, key: &StateKey) -> Option<T> {
        self.value(key).map(|value| decoded(&value))
    }

    /// A value that every state has.
    fn whole<T: codec::Encode + codec::Decode>(&self, key: &StateKey) -> T {
        #[expect(
            clippy::expect_used,
            reason = "written by the genesis and never removed"
        )]
        self.read(key).expect("every state has this value")
    }

    /// Keys whose values change by themselves in a block of this height and time.
    pub(super) fn due(&self, height: u64, time_ms: u64) -> BTreeSet<StateKey> {
        let mut keys = BTreeSet::new();
        let overlays = self.overlays.iter().map(|overlay| &overlay.due);
        for index in std::iter::once(&self.base.due).chain(overlays) {
            for (when, key) in passed(index, height, time_ms) {
                let now = self.value(key).map(|value| due(key, &value));
                if now == Some(Ok(Some(*when))) {
                    keys.insert(key.clone());
                }
            }
        }
        keys
    }
}

/// What changes by itself in a block of this height and time.
fn passed(
    index: &BTreeSet<(Due, StateKey)>,
    height: u64,
    time_ms: u64,
) -> impl Iterator<Item = &(Due, StateKey)> {
    let first = StateKey::Parameters;
    let heights = (Due::Height(0), first.clone())..(Due::Height(height), first.clone());
    // Times are due from their very millisecond on.
    let times = (Due::Time(0), first.clone())..(Due::Time(time_ms.saturating_add(1)), first);
    index.range(heights).chain(index.range(times))
}

/// A value of the state, which is well-formed.
pub(super) fn decoded<T: codec::Encode + codec::Decode>(value: &[u8]) -> T {
    // INVARIANT: values enter the state encoded by this crate, or checked by `State::load`.
    #[expect(clippy::expect_used, reason = "values in the state are well-formed")]
    codec::from_slice(value).expect("a value of the state is well-formed")
}
