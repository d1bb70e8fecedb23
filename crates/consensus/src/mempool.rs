//! Pending entries: bounded, without duplicates, in order of arrival, in memory only.
//!
//! An entry leaves when it is finalised, when the height it is valid for has passed, or when the
//! finalised state refuses it. Nothing here is durable and nothing is promised: whoever needs an
//! entry on the ledger submits it again until it is finalised.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use codec::EntryId;
use commonware_utils::channel::watch;
use ledger::SignedEntry;

/// Bounds of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Most entries.
    pub(crate) max_entries: usize,
    /// Most bytes of entries.
    pub(crate) max_bytes: usize,
}

/// A pending entry.
pub(crate) struct Pending {
    pub(crate) id: EntryId,
    pub(crate) entry: SignedEntry,
    pub(crate) bytes: Bytes,
    /// Submitted here rather than heard from a peer.
    pub(crate) ours: bool,
}

/// What became of an entry offered to the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// It is new, or valid for longer than the one it replaced.
    Taken,
    /// It was there already.
    Known,
}

/// No room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The pool.
pub(crate) struct Mempool {
    limits: Limits,
    inner: Mutex<Inner>,
    arrivals: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    // INVARIANT: `order`, `positions` and `exact` hold the same entries; `bytes` is the sum of their sizes.
    order: BTreeMap<u64, Slot>,
    positions: HashMap<EntryId, u64>,
    exact: HashMap<Bytes, u64>,
    bytes: usize,
    next: u64,
}

struct Slot {
    pending: Arc<Pending>,
    sent_ms: u64,
}

impl Mempool {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            inner: Mutex::default(),
            arrivals: watch::Sender::new(0),
        }
    }

    /// How many more entries of peers there is room for.
    pub(crate) fn room_for_heard(&self) -> usize {
        let most = self.limits.max_entries / 4 * 3;
        most.saturating_sub(self.lock().order.len())
    }

    /// Adds an entry. Peers may fill three quarters of the pool, so that they cannot shut out
    /// what is submitted here.
    pub(crate) fn offer(&self, pending: Pending, now_ms: u64) -> Result<Offered, Full> {
        let mut inner = self.lock();
        let size = pending.bytes.len();
        let known = inner.positions.get(&pending.id).copied();
        let replaced = known.and_then(|position| inner.order.get(&position));
        if let Some(old) = replaced
            && old.pending.entry.header().last_valid >= pending.entry.header().last_valid
        {
            return Ok(Offered::Known);
        }
        let replaced = replaced.map(|old| old.pending.bytes.clone());
        let replaced_bytes = replaced.as_ref().map_or(0, Bytes::len);
        let (entries, bytes) = if pending.ours {
            (self.limits.max_entries, self.limits.max_bytes)
        } else {
            (
                self.limits.max_entries / 4 * 3,
                self.limits.max_bytes / 4 * 3,
            )
        };
        let after = inner
            .bytes
            .saturating_sub(replaced_bytes)
            .saturating_add(size);
        if after > bytes || (known.is_none() && inner.order.len() >= entries) {
            return Err(Full);
        }
        let position = known.unwrap_or(inner.next);
        if known.is_none() {
            inner.next = inner.next.saturating_add(1);
            inner.positions.insert(pending.id, position);
        }
        if let Some(old) = replaced {
            inner.exact.remove(&old);
        }
        inner.exact.insert(pending.bytes.clone(), position);
        let slot = Slot {
            pending: Arc::new(pending),
            sent_ms: now_ms,
        };
        inner.order.insert(position, slot);
        inner.bytes = after;
        drop(inner);
        self.arrivals
            .send_modify(|count| *count = count.wrapping_add(1));
        Ok(Offered::Taken)
    }

    /// The pending entry with this id.
    pub(crate) fn get(&self, id: &EntryId) -> Option<Arc<Pending>> {
        let inner = self.lock();
        let position = inner.positions.get(id)?;
        Some(inner.order.get(position)?.pending.clone())
    }

    /// The pending entry of exactly these bytes.
    pub(crate) fn get_exact(&self, bytes: &[u8]) -> Option<Arc<Pending>> {
        let inner = self.lock();
        let position = inner.exact.get(bytes)?;
        Some(inner.order.get(position)?.pending.clone())
    }

    /// The oldest entries that are wanted and fit.
    pub(crate) fn oldest(
        &self,
        max_entries: usize,
        max_bytes: usize,
        wanted: impl Fn(&Pending) -> bool,
    ) -> Vec<Arc<Pending>> {
        let mut left = max_bytes;
        let mut chosen = Vec::new();
        for slot in self.lock().order.values() {
            if chosen.len() >= max_entries {
                break;
            }
            if !wanted(&slot.pending) {
                continue;
            }
            // A long entry does not hold up the short ones behind it.
            if let Some(rest) = left.checked_sub(slot.pending.bytes.len()) {
                left = rest;
                chosen.push(slot.pending.clone());
            }
        }
        chosen
    }

    /// Entries submitted here that peers were last told of before `before_ms`, the longest ago
    /// first, as many as fit; marks them as told.
    pub(crate) fn unsettled(
        &self,
        before_ms: u64,
        now_ms: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Vec<Bytes> {
        let mut inner = self.lock();
        let mut stale: Vec<(u64, u64)> = inner
            .order
            .iter()
            .filter(|(_, slot)| slot.pending.ours && slot.sent_ms <= before_ms)
            .map(|(position, slot)| (slot.sent_ms, *position))
            .collect();
        stale.sort_unstable();
        let mut left = max_bytes;
        let mut chosen = Vec::new();
        for (_, position) in stale.into_iter().take(max_entries) {
            let Some(slot) = inner.order.get_mut(&position) else {
                continue;
            };
            let Some(rest) = left.checked_sub(slot.pending.bytes.len()) else {
                break;
            };
            left = rest;
            slot.sent_ms = now_ms;
            chosen.push(slot.pending.bytes.clone());
        }
        chosen
    }

    /// Removes entries.
    pub(crate) fn remove<'a>(&self, ids: impl IntoIterator<Item = &'a EntryId>) {
        let mut inner = self.lock();
        for id in ids {
            inner.remove(id);
        }
    }

    /// Removes entries that are no longer valid at `height`.
    pub(crate) fn expire(&self, height: u64) {
        let mut inner = self.lock();
        let expired: Vec<EntryId> = inner
            .order
            .values()
            .filter(|slot| slot.pending.entry.header().last_valid < height)
            .map(|slot| slot.pending.id)
            .collect();
        for id in &expired {
            inner.remove(id);
        }
    }

    /// Entries and bytes held.
    pub(crate) fn size(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.order.len(), inner.bytes)
    }

    /// Changes whenever an entry arrives.
    pub(crate) fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrivals.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remove(&mut self, id: &EntryId) {
        if let Some(position) = self.positions.remove(id)
            && let Some(slot) = self.order.remove(&position)
        {
            self.exact.remove(&slot.pending.bytes);
            self.bytes = self.bytes.saturating_sub(slot.pending.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::fixture::Fixture;

    fn pool(max_entries: usize) -> (Fixture, Mempool) {
        let limits = Limits {
            max_entries,
            max_bytes: 1_000_000,
        };
        (Fixture::new(1, 1, 20), Mempool::new(limits))
    }

    fn pending(bytes: &Bytes, ours: bool) -> Pending {
        let entry = SignedEntry::decode(bytes).unwrap();
        Pending {
            id: entry.entry_id(),
            bytes: entry.bytes().clone(),
            entry,
            ours,
        }
    }

    #[test]
    fn it_is_bounded_and_peers_leave_room() {
        let (fixture, pool) = pool(8);
        for number in 0..6 {
            let heard = pending(&fixture.entry(0, number), false);
            assert_eq!(pool.offer(heard, 0), Ok(Offered::Taken));
        }
        assert_eq!(
            pool.offer(pending(&fixture.entry(0, 6), false), 0),
            Err(Full)
        );
        for number in 6..8 {
            let ours = pending(&fixture.entry(0, number), true);
            assert_eq!(pool.offer(ours, 0), Ok(Offered::Taken));
        }
        assert_eq!(
            pool.offer(pending(&fixture.entry(0, 8), true), 0),
            Err(Full)
        );
        let again = pending(&fixture.entry(0, 3), true);
        assert_eq!(pool.offer(again, 0), Ok(Offered::Known));
        let ids: Vec<_> = pool.oldest(9, 1_000_000, |_| true);
        pool.remove(ids.iter().map(|pending| &pending.id));
        assert_eq!(pool.size(), (0, 0));
    }

    #[test]
    fn a_longer_validity_replaces_a_shorter_one_in_place() {
        let (fixture, pool) = pool(8);
        let until = |height| pending(&fixture.entry_until(0, 1, height), true);
        assert_eq!(pool.offer(until(50), 0), Ok(Offered::Taken));
        assert_eq!(
            pool.offer(pending(&fixture.entry(0, 2), true), 0),
            Ok(Offered::Taken)
        );
        assert_eq!(pool.offer(until(60), 0), Ok(Offered::Taken));
        assert_eq!(pool.offer(until(55), 0), Ok(Offered::Known));
        assert_eq!(pool.size().0, 2);
        assert!(pool.get_exact(&until(60).bytes).is_some());
        assert!(pool.get_exact(&until(50).bytes).is_none());
        let first = &pool.oldest(1, 1_000_000, |_| true)[0];
        assert_eq!(first.entry.header().last_valid, 60);
        pool.expire(60);
        assert_eq!(pool.size().0, 2);
        pool.expire(61);
        assert_eq!(pool.size().0, 1);
        assert!(pool.get_exact(&until(60).bytes).is_none());
    }

    #[test]
    fn only_our_own_unsettled_entries_are_told_again() {
        let (fixture, pool) = pool(8);
        for number in 0..4 {
            let _ = pool.offer(pending(&fixture.entry(0, number), number != 0), 10 * number);
        }
        assert_eq!(pool.unsettled(20, 100, 8, 1_000_000).len(), 2);
        assert_eq!(pool.unsettled(30, 100, 8, 1_000_000).len(), 1);
        assert_eq!(pool.unsettled(30, 100, 8, 1_000_000).len(), 0);
        assert_eq!(pool.unsettled(100, 200, 2, 1_000_000).len(), 2);
    }
}
