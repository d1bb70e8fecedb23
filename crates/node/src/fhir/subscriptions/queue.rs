//! What waits for each subscription: sorted from what was noted, and told in the order of writing.
//!
//! At rest each telling is a row in the compartment of whom it is about, in the order of no subscriber; who waits
//! for what can be told by opening them. The queues in their order are therefore in memory alone, as places of rows
//! (some 150 bytes each): the pump reads them once after the start, and changes them with the rows.

use super::SubscriptionId;
use super::rows::{Due, Noted, Turn, Waiting};
use crate::custodian::Custodian;
use crate::error::Error;
use codec::id::SubjectId;
use codec::time::Millis;
use keys::Zeroizing;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::Store;
use vault::{Note, NotePlace};

/// Rows that were noted and are read together to be sorted.
const PAGE: usize = 64;
/// How often what was noted is gone through before something is told.
const PASSES: usize = 8;
/// Rows that are read or removed at a time.
const ROWS: usize = 1_024;
/// Versions of one write that are sorted at a time.
const RUN: usize = 256;

/// The queues, as the pump read them.
#[derive(Default)]
pub(super) struct Queues {
    of: Mutex<BTreeMap<SubscriptionId, Queue>>,
    /// Whether they hold what the vault holds.
    is_read: AtomicBool,
}

type Queue = BTreeMap<Turn, Place>;

/// A row that waits.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) row: NotePlace,
    /// When it may be tried.
    pub(super) next: Millis,
}

impl Queues {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<SubscriptionId, Queue>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first that waits for a subscription.
    pub(super) fn first(&self, id: &SubscriptionId) -> Option<(Turn, Place)> {
        let queues = self.lock();
        let (turn, place) = queues.get(id)?.first_key_value()?;
        Some((*turn, *place))
    }

    fn count(&self, id: &SubscriptionId) -> usize {
        self.lock().get(id).map_or(0, BTreeMap::len)
    }

    fn put(&self, id: &SubscriptionId, turn: Turn, place: Place) {
        self.lock().entry(*id).or_default().insert(turn, place);
    }

    /// It is tried at that time, if it still waits.
    pub(super) fn put_off(&self, id: &SubscriptionId, turn: &Turn, next: Millis) {
        let mut queues = self.lock();
        if let Some(place) = queues.get_mut(id).and_then(|queue| queue.get_mut(turn)) {
            place.next = next;
        }
    }

    pub(super) fn remove(&self, id: &SubscriptionId, turns: &[Turn]) {
        let mut queues = self.lock();
        if let Some(queue) = queues.get_mut(id) {
            for turn in turns {
                queue.remove(turn);
            }
            if queue.is_empty() {
                queues.remove(id);
            }
        }
    }

    fn forget(&self, subject: &SubjectId) {
        self.lock().retain(|_, queue| {
            queue.retain(|_, place| place.row.subject() != subject);
            !queue.is_empty()
        });
    }

    /// Up to so many of those that wait for a subscription.
    fn some(&self, id: &SubscriptionId, limit: usize) -> Vec<(Turn, Place)> {
        let queues = self.lock();
        let queue = queues.get(id).into_iter().flatten();
        queue
            .take(limit)
            .map(|(turn, place)| (*turn, *place))
            .collect()
    }
}

/// A row as it was opened.
pub(super) enum Read {
    Row(Zeroizing<Vec<u8>>),
    /// Its subject is erased: it never opens again.
    Erased,
    /// It does not open. It is left for whoever looks for damage.
    Damaged,
}

impl<S: Store> Custodian<S> {
    /// Reads what waits for those that are on, once after the start; what waits for others is removed.
    pub(crate) async fn subscriptions_read(
        &self,
        on: &BTreeSet<SubscriptionId>,
    ) -> Result<(), Error> {
        if self.subscribed.queues.is_read.load(Ordering::Acquire) {
            return Ok(());
        }
        self.subscriptions_move_old().await?;
        let mut read: BTreeMap<SubscriptionId, Queue> = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.vault.notes_waiting(after.as_ref(), ROWS).await?;
            let Some(last) = page.last() else {
                break;
            };
            after = Some(last.place);
            let mut over = Vec::new();
            for note in &page {
                match self.note_read(note).await? {
                    Read::Erased => over.push(note.place),
                    Read::Damaged => {}
                    Read::Row(row) => match codec::from_slice::<Waiting>(&row) {
                        Ok(waiting) if on.contains(&waiting.of) => {
                            let queue = read.entry(waiting.of).or_default();
                            queue.insert(waiting.turn, waiting.place(note.place));
                        }
                        Ok(_) => over.push(note.place),
                        Err(_) => unreadable(),
                    },
                }
            }
            self.vault.notes_remove(&over).await?;
        }
        *self.subscribed.queues.lock() = read;
        self.subscribed
            .queues
            .is_read
            .store(true, Ordering::Release);
        Ok(())
    }

    /// For which subscriptions something waits.
    pub(crate) fn subscriptions_queued(&self) -> Vec<SubscriptionId> {
        self.subscribed.queues.lock().keys().copied().collect()
    }

    /// When the first that waits for a subscription may be told, Unix milliseconds; none, if nothing waits.
    pub(crate) fn subscription_next(&self, id: &SubscriptionId) -> Option<u64> {
        let (_, first) = self.subscribed.queues.first(id)?;
        Some(first.next.get())
    }

    /// Sorts what was noted into the queues of those subscriptions that are on. Gives those that have too many.
    pub(crate) async fn subscriptions_sort(
        &self,
        on: &BTreeSet<SubscriptionId>,
    ) -> Result<BTreeSet<SubscriptionId>, Error> {
        let mut full = BTreeSet::new();
        // Places are no order of time: what was noted behind a pass may be older than what it took. All is in its
        // queue before anything is told, but under writes that never pause.
        for _ in 0..PASSES {
            if self.subscriptions_pass(on, &mut full).await? == 0 {
                break;
            }
        }
        if self.vault.notes_noted(None, 1).await?.is_empty() {
            self.subscribed.due.store(0, Ordering::Release);
        }
        Ok(full)
    }

    /// Sorts what is there once, by places; how many rows.
    async fn subscriptions_pass(
        &self,
        on: &BTreeSet<SubscriptionId>,
        full: &mut BTreeSet<SubscriptionId>,
    ) -> Result<usize, Error> {
        let mut sorted = 0;
        let mut after = None;
        loop {
            let page = self.vault.notes_noted(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(sorted);
            };
            after = Some(last.place);
            for note in page {
                match self.note_sort(note, on, full).await {
                    Ok(done) => sorted += usize::from(done),
                    Err(error) => {
                        // Perhaps it was sorted.
                        self.subscribed
                            .queues
                            .is_read
                            .store(false, Ordering::Release);
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Sorts what one write noted of one subject. Whether there is nothing left of it.
    async fn note_sort(
        &self,
        note: Note,
        on: &BTreeSet<SubscriptionId>,
        full: &mut BTreeSet<SubscriptionId>,
    ) -> Result<bool, Error> {
        let row = match self.note_read(&note).await? {
            Read::Row(row) => row,
            Read::Erased => {
                self.note_sorted();
                self.vault.notes_remove(&[note.place]).await?;
                return Ok(true);
            }
            Read::Damaged => return Ok(false),
        };
        let Ok(mut due) = codec::from_slice::<Due>(&row) else {
            unreadable();
            return Ok(false);
        };
        let mut note = note;
        loop {
            let left = due.items.split_off(due.items.len().min(RUN));
            let run = std::mem::replace(&mut due.items, left);
            let waiting = self.in_turn(&due, &run, on, full);
            let count = u32::try_from(run.len()).unwrap_or(u32::MAX);
            due.from = due.from.saturating_add(count);
            let left = (!due.items.is_empty()).then(|| Zeroizing::new(codec::to_vec(&due)));
            let rows: Vec<Zeroizing<Vec<u8>>> = waiting.iter().map(Waiting::row).collect();
            let left = left.as_ref().map(|left| left.as_slice());
            let mut entropy = self.ambient.entropy();
            let sorted = self.vault.notes_sort(&note, &rows, left, &mut entropy);
            let Some((places, left)) = sorted.await? else {
                // An erasure came in between: it removes the row.
                return Ok(false);
            };
            for (waiting, place) in waiting.iter().zip(places) {
                let place = waiting.place(place);
                self.subscribed.queues.put(&waiting.of, waiting.turn, place);
            }
            match left {
                Some(left) => note = left,
                None => {
                    self.note_sorted();
                    return Ok(true);
                }
            }
        }
    }

    /// What waits of a run of items, as far as there is room for it.
    fn in_turn(
        &self,
        due: &Due,
        run: &[Noted],
        on: &BTreeSet<SubscriptionId>,
        full: &mut BTreeSet<SubscriptionId>,
    ) -> Vec<Waiting> {
        let subscriptions = self.subscriptions.as_ref();
        let most = subscriptions.map_or(0, |subscriptions| subscriptions.waiting);
        let mut counted: BTreeMap<SubscriptionId, usize> = BTreeMap::new();
        let mut waiting = Vec::new();
        // One that was made since is watched already.
        let is_on = |id: &&SubscriptionId| on.contains(*id) || self.subscribed.watches(id);
        for (at, noted) in run.iter().enumerate() {
            let place = due
                .from
                .saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
            for id in noted.of.iter().filter(is_on) {
                let count = counted
                    .entry(*id)
                    .or_insert_with(|| self.subscribed.queues.count(id));
                if *count >= most {
                    full.insert(*id);
                    continue;
                }
                *count += 1;
                waiting.push(Waiting {
                    of: *id,
                    turn: Turn {
                        at: due.at,
                        batch: due.batch,
                        place,
                    },
                    record: noted.record,
                    version: noted.version,
                    tried: None,
                });
            }
        }
        waiting
    }

    fn note_sorted(&self) {
        // One that is sorted before its write counted it is not counted twice.
        let less = |due: usize| Some(due.saturating_sub(1));
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        self.subscribed.due.fetch_update(set, fetch, less).ok();
    }

    /// Opens a row in its compartment.
    pub(super) async fn note_read(&self, note: &Note) -> Result<Read, Error> {
        match self.vault.note_open(note).await {
            Ok(row) => Ok(Read::Row(row)),
            Err(error @ vault::Error::SubjectErased) => {
                // An erasure that could not be begun lets the subject in again.
                match self.vault.erasure(note.place.subject()).await? {
                    Some(_) => Ok(Read::Erased),
                    None => Err(error.into()),
                }
            }
            Err(
                error @ (vault::Error::SubjectUnknown
                | vault::Error::KeyLost
                | vault::Error::Damaged { .. }),
            ) => {
                tracing::warn!(%error, "what is to be told to a subscriber does not open; see ithaca fsck");
                Ok(Read::Damaged)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes all that waits for a subscription.
    pub(crate) async fn subscription_purge(&self, id: &SubscriptionId) -> Result<(), Error> {
        loop {
            let some = self.subscribed.queues.some(id, ROWS);
            if some.is_empty() {
                return Ok(());
            }
            let rows: Vec<NotePlace> = some.iter().map(|(_, place)| place.row).collect();
            self.vault.notes_remove(&rows).await?;
            let turns: Vec<Turn> = some.iter().map(|(turn, _)| *turn).collect();
            self.subscribed.queues.remove(id, &turns);
        }
    }

    /// Forgets what waits to be told of an erased subject; its rows went with the compartment.
    pub(crate) fn subscriptions_unqueue(&self, subject: &SubjectId) {
        self.subscribed.queues.forget(subject);
    }
}

impl Waiting {
    pub(super) fn row(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(codec::to_vec(self))
    }

    fn place(&self, row: NotePlace) -> Place {
        let next = self.tried.as_ref().map(|tried| tried.next);
        Place {
            row,
            next: next.unwrap_or(Millis::ZERO),
        }
    }
}

/// A row of a later version of the node: it waits for that.
fn unreadable() {
    tracing::warn!("what is to be told to a subscriber is not of this version");
}
