//! Running blocks: the order of things in a block, and the working copy that entries change.

use super::tree::{Change, Value};
use super::view::{Executed, Tip, View, decoded};
use super::{Refusal, Rejection, SeenLeaf, StateKey, SubjectLeaf, ValidatorHistory};
use super::{governance, leaf, rules};
use crate::entry::{Entry, SignedEntry};
use crate::genesis::Parameters;
use codec::EntryId;
use keys::{Entropy, PublicKey, Signature};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The block around the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockContext {
    /// Its height, one more than the view's.
    pub height: u64,
    /// Its time, later than the view's.
    pub time_ms: u64,
}

/// A proposer's choice among pending entries.
pub struct Selection {
    /// The block of the chosen entries.
    pub executed: Executed,
    /// Which entries were chosen, by position, ascending.
    pub chosen: Vec<usize>,
    /// Which entries were refused, and why.
    pub refused: Vec<(usize, Refusal)>,
}

/// Runs a block's entries over a view.
///
/// # Errors
/// [`Rejection`]: the block can never follow this view.
pub fn execute(
    base: &View,
    context: &BlockContext,
    entries: &[SignedEntry],
) -> Result<Executed, Rejection> {
    let mut work = Work::begin(base, context)?;
    for (index, entry) in entries.iter().enumerate() {
        work.run(entry)
            .map_err(|why| Rejection::Entry { index, why })?;
    }
    Ok(work.finish())
}

/// Runs those entries that can follow in this order, and tells which could not.
///
/// # Errors
/// [`Rejection`], but never because of an entry.
pub fn select(
    base: &View,
    context: &BlockContext,
    entries: &[SignedEntry],
) -> Result<Selection, Rejection> {
    let mut work = Work::begin(base, context)?;
    let (mut chosen, mut refused) = (Vec::new(), Vec::new());
    for (index, entry) in entries.iter().enumerate() {
        match work.run(entry) {
            Ok(()) => chosen.push(index),
            Err(why) => refused.push((index, why)),
        }
    }
    Ok(Selection {
        executed: work.finish(),
        chosen,
        refused,
    })
}

/// Whether an entry could be included in the next block, signatures included.
///
/// # Errors
/// Why not; [`Refusal::may_pass`] tells whether waiting can help.
pub fn admissible(view: &View, entry: &SignedEntry) -> Result<(), Refusal> {
    let tip = view.tip();
    let mut work = Work {
        view,
        parameters: view.parameters(),
        height: tip.height.saturating_add(1),
        time_ms: tip.time_ms.saturating_add(1),
        changes: BTreeMap::new(),
        scratch: BTreeMap::new(),
        included: SeenLeaf::default(),
        seen: HashMap::new(),
    };
    work.run(entry)
}

/// Checks the outer signatures of many entries together, at about half the cost, so that
/// [`execute`] need not. Entries whose signer is unknown or whose signature does not hold are left
/// for [`execute`] to refuse.
pub fn preverify(view: &View, entries: &[SignedEntry], entropy: &mut impl Entropy) {
    let mut pending: Vec<(&SignedEntry, PublicKey, Vec<u8>, Signature)> = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.is_verified()) {
        if let Some(key) = signer_key(view, entry) {
            let (message, signature) = entry.signature_parts();
            pending.push((entry, key, message, signature));
        }
    }
    let items: Vec<_> = pending
        .iter()
        .map(|(_, key, message, signature)| (*key, message.as_slice(), *signature))
        .collect();
    let good = match keys::verify_batch(&items, entropy) {
        Ok(()) => pending.len(),
        Err(bad) => bad.index,
    };
    for (entry, ..) in pending.iter().take(good) {
        entry.mark_verified();
    }
}

/// The key that an entry's header names, if the view knows it.
fn signer_key(view: &View, entry: &SignedEntry) -> Option<PublicKey> {
    let signer = entry.header().signer;
    if let Some(leaf) = view.institution_by_key(&signer) {
        return Some(leaf.key);
    }
    let (custodian, subject) = match entry.entry() {
        Entry::SubjectUpdate(e) => (e.terms.custodian, e.terms.subject),
        Entry::SubjectClose(e) => (e.custodian, e.subject),
        _ => return None,
    };
    let leaf = view.subject(&custodian, &subject)?;
    leaf.slot_of(&signer).map(|(_, slot)| slot.key)
}

/// A block that is being run.
pub(super) struct Work<'a> {
    pub(super) view: &'a View,
    pub(super) parameters: Parameters,
    pub(super) height: u64,
    pub(super) time_ms: u64,
    /// What earlier entries of the block changed.
    changes: BTreeMap<StateKey, Option<Value>>,
    /// What the current entry changed.
    scratch: BTreeMap<StateKey, Option<Value>>,
    /// The block's entries so far, in order, and by id.
    included: SeenLeaf,
    seen: HashMap<EntryId, u64>,
}

impl<'a> Work<'a> {
    fn begin(view: &'a View, context: &BlockContext) -> Result<Self, Rejection> {
        let tip = view.tip();
        let expected = tip.height.saturating_add(1);
        if context.height != expected {
            return Err(Rejection::Height {
                expected,
                found: context.height,
            });
        }
        if context.time_ms <= tip.time_ms {
            return Err(Rejection::Time {
                parent_ms: tip.time_ms,
                time_ms: context.time_ms,
            });
        }
        let mut work = Self {
            view,
            parameters: view.parameters(),
            height: context.height,
            time_ms: context.time_ms,
            changes: BTreeMap::new(),
            scratch: BTreeMap::new(),
            included: SeenLeaf::default(),
            seen: HashMap::new(),
        };
        work.settle();
        if work.parameters.is_epoch_first(work.height) {
            governance::take_effect(&mut work);
            work.commit();
        }
        Ok(work)
    }

    /// Drops entry ids whose validity has passed and completes recoveries whose delay has.
    fn settle(&mut self) {
        for key in self.view.due(self.height, self.time_ms) {
            if let StateKey::Subject(_) = key {
                if let Some(mut leaf) = self.read::<SubjectLeaf>(&key)
                    && let Some(recovery) = leaf.recovery.take()
                {
                    leaf.slots = Some(recovery.slots);
                    leaf.assisted = false;
                    self.put(key, &leaf);
                }
            } else {
                self.remove(key);
            }
        }
        self.commit();
    }

    fn run(&mut self, entry: &SignedEntry) -> Result<(), Refusal> {
        let outcome = self.judge(entry);
        match outcome {
            Ok(()) => self.commit(),
            Err(_) => self.scratch.clear(),
        }
        outcome
    }

    fn judge(&mut self, entry: &SignedEntry) -> Result<(), Refusal> {
        let header = entry.header();
        if header.network != self.view.network() {
            return Err(Refusal::Network);
        }
        if header.last_valid < self.height {
            return Err(Refusal::Expired {
                last_valid: header.last_valid,
                height: self.height,
            });
        }
        let limit = self.parameters.max_validity_heights;
        if header.last_valid - self.height > limit {
            return Err(Refusal::TooFarAhead {
                last_valid: header.last_valid,
                limit,
            });
        }
        let id = entry.entry_id();
        if let Some(height) = self.included_at(&id) {
            return Err(Refusal::Duplicate { id, height });
        }
        rules::apply(self, entry)?;
        self.included.entries.push((id, header.last_valid));
        self.seen.insert(id, header.last_valid);
        Ok(())
    }

    /// Where an entry was included whose validity has not passed before this block.
    fn included_at(&self, id: &EntryId) -> Option<u64> {
        if self.seen.contains_key(id) {
            return Some(self.height);
        }
        let seen = self.view.entry_seen(id)?;
        (seen.last_valid >= self.height).then_some(seen.height)
    }

    pub(super) fn read<T: codec::Encode + codec::Decode>(&self, key: &StateKey) -> Option<T> {
        let changed = self.scratch.get(key).or_else(|| self.changes.get(key));
        match changed {
            Some(value) => value.as_ref().map(|value| decoded(value)),
            None => self.view.read(key),
        }
    }

    /// A value that every state has.
    pub(super) fn whole<T: codec::Encode + codec::Decode>(&self, key: &StateKey) -> T {
        #[expect(
            clippy::expect_used,
            reason = "written by the genesis and never removed"
        )]
        self.read(key).expect("every state has this value")
    }

    pub(super) fn put(&mut self, key: StateKey, value: &impl codec::Encode) {
        let value = Value::from(codec::to_vec(value));
        self.scratch.insert(key, Some(value));
    }

    pub(super) fn remove(&mut self, key: StateKey) {
        self.scratch.insert(key, None);
    }

    pub(super) fn epoch(&self) -> u64 {
        self.parameters.epoch(self.height)
    }

    fn commit(&mut self) {
        // Not `append`, which would copy all earlier changes for each entry.
        self.changes.extend(std::mem::take(&mut self.scratch));
    }

    fn finish(mut self) -> Executed {
        let next_validators = self.parameters.is_epoch_last(self.height).then(|| {
            governance::decide(&mut self);
            self.commit();
            let next = self.epoch().saturating_add(1);
            let history: ValidatorHistory = self.whole(&StateKey::Validators);
            history.at(next).map(crate::genesis::Validators::digest)
        });
        if !self.included.entries.is_empty() {
            let included = std::mem::take(&mut self.included);
            self.put(StateKey::Seen(self.height), &included);
            self.commit();
        }
        let view = self.view;
        let mut changes = self.changes;
        let mut writes = Vec::with_capacity(changes.len());
        changes.retain(|key, value| {
            let change = Change::new(key, value.as_ref());
            let new = change.differs(view.tree());
            if new {
                writes.push(change);
            }
            new
        });
        let mut due = BTreeSet::new();
        for (key, value) in &changes {
            if let Some(Ok(Some(when))) = value.as_ref().map(|value| leaf::due(key, value)) {
                due.insert((when, key.clone()));
            }
        }
        let tree = view.tree().write(writes);
        Executed {
            tip: Tip {
                height: self.height,
                time_ms: self.time_ms,
                state_root: tree.root(),
            },
            parent: view.tip(),
            changes,
            due,
            tree,
            seen: self.seen,
            next_validators: next_validators.flatten(),
        }
    }
}
