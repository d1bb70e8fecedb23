//! The outbox of record commitments, and the batches that carry them to the ledger.
//!
//! A commitment is *queued* with its record in one commit; *assigned* to a batch entry, again in one
//! commit, with the padded leaves and the signed bytes; from there the entry's state says where it
//! stands. So a commitment is in exactly one batch, and a batch's bytes never change meaning.
//!
//! The rows are sealed under the node's key: they hold ids and salted commitments, no record data.

use crate::entries::{EntryPurpose, Position, Signed};
use crate::layout::{
    BATCHES, ENTRIES, ERASURES, INDEX, OUTBOX, RECEIPTS, record_prefix, version_key, version_of,
};
use crate::sealing::damaged;
use crate::vault::{ATTEMPTS, PAGE, Vault, is_conflict};
use crate::{Conflict, Error};
use codec::{Digest, EntryId, Millis, RecordId, SubjectId, record};
use keys::Entropy;
use ledger::batch::RecordTree;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::{Batch, Expect, Range, Store};

/// The most leaves of a batch, padding included.
pub const BATCH_MAX_LEAVES: usize = 16_384;

record! {
    /// The value of an outbox row.
    pub(crate) struct QueuedRow {
        1 => pub(crate) subject: SubjectId,
        2 => pub(crate) record: RecordId,
        3 => pub(crate) version: u32,
        4 => pub(crate) commitment: Digest,
    }
}

/// A record commitment that waits for a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedCommitment {
    /// Whose.
    pub subject: SubjectId,
    /// The record.
    pub record: RecordId,
    /// The version.
    pub version: u32,
    /// What the batch must hold.
    pub commitment: Digest,
    /// Since when it waits.
    pub queued: Millis,
}

/// A signed batch entry with the tree behind it.
#[derive(Clone, Debug)]
pub struct RecordBatch {
    /// The signed entry.
    pub signed: Signed,
    /// The tree it commits to, padding included.
    pub tree: RecordTree,
    /// The queued commitments it takes.
    pub items: Vec<QueuedCommitment>,
}

record! {
    struct BatchRow {
        1 => leaves: Vec<Digest>,
    }
}

record! {
    struct ReceiptRow {
        1 => entry: EntryId,
    }
}

/// Where a record's commitment is on its way to the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitmentState {
    /// In the outbox.
    Queued,
    /// In a batch whose entry is not final.
    Assigned {
        /// The batch entry.
        entry: EntryId,
    },
    /// In a batch that is final: a receipt can be made.
    Final {
        /// The batch entry.
        entry: EntryId,
        /// Where the entry is on the ledger.
        position: Position,
    },
}

impl<S: Store> Vault<S> {
    /// Up to `limit` commitments that wait, the oldest first.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Store`].
    pub async fn outbox_take(&self, limit: usize) -> Result<Vec<QueuedCommitment>, Error> {
        let rows = self.page(OUTBOX, Range::all(), limit).await?;
        let queued = rows.iter().map(|(key, sealed)| {
            let inner = self.inner();
            let custodian = &inner.settings.custodian;
            let row: QueuedRow = inner.node.outbox.open(custodian, OUTBOX, key, sealed)?;
            let queued = crate::layout::number_at(key, 0).ok_or(damaged(OUTBOX))?;
            Ok(QueuedCommitment {
                subject: row.subject,
                record: row.record,
                version: row.version,
                commitment: row.commitment,
                queued: Millis::new(queued),
            })
        });
        queued.collect()
    }

    /// How many commitments wait.
    #[must_use]
    pub fn outbox_len(&self) -> usize {
        self.inner().outbox.taken()
    }

    /// Takes commitments out of the outbox into a signed batch entry: durable when it returns, and
    /// before the entry is submitted anywhere. Doing it again for the same entry changes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the tree does not hold an item; [`Conflict::Done`] if an item was
    /// taken by another batch; [`Error::Full`].
    pub async fn batch_assign(
        &self,
        batch: &RecordBatch,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        batch.check()?;
        let mut quota = self.inner().entries.take(1)?;
        for _ in 0..ATTEMPTS {
            if self
                .get(ENTRIES, batch.signed.id.as_bytes())
                .await?
                .is_some()
            {
                return Ok(());
            }
            let draft = self.batch_draft(batch, now, entropy).await?;
            match self.commit(draft).await {
                Ok(()) => {
                    quota.keep();
                    self.inner().outbox.give_back(batch.items.len());
                    return Ok(());
                }
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(error),
            }
            for item in &batch.items {
                let queued = self.get(OUTBOX, &item.row_key()).await?;
                let done = self.get(ENTRIES, batch.signed.id.as_bytes()).await?;
                if queued.is_none() && done.is_none() {
                    return Err(Conflict::Done("a commitment is in another batch").into());
                }
            }
        }
        Err(Error::Busy)
    }

    async fn batch_draft(
        &self,
        batch: &RecordBatch,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Batch, Error> {
        let inner = self.inner();
        let custodian = &inner.settings.custodian;
        let seal = &inner.node.outbox;
        let entry = batch.signed.id;
        let row = self.entry_row(EntryPurpose::RecordBatch, &batch.signed, now);
        let leaves = BatchRow {
            leaves: batch.tree.leaves().to_vec(),
        };
        let sealed = seal.seal(custodian, BATCHES, entry.as_bytes(), &leaves, entropy);
        let mut draft = self
            .entry_insert(Batch::new(), &batch.signed.id, &row, entropy)
            .put(BATCHES, entry.as_bytes(), sealed);
        let mut live = BTreeMap::new();
        for item in &batch.items {
            let row_key = item.row_key();
            draft = draft
                .expect(OUTBOX, &row_key, Expect::Present)
                .delete(OUTBOX, &row_key);
            let is_live = match live.get(&item.subject) {
                Some(known) => *known,
                None => {
                    let erasure = self.get(ERASURES, item.subject.as_bytes()).await?;
                    if erasure.is_none() {
                        draft = draft.expect(ERASURES, item.subject.as_bytes(), Expect::Absent);
                    }
                    live.insert(item.subject, erasure.is_none());
                    erasure.is_none()
                }
            };
            if is_live {
                let key = version_key(&item.subject, &item.record, item.version);
                let receipt = ReceiptRow { entry };
                let sealed = seal.seal(custodian, RECEIPTS, &key, &receipt, entropy);
                draft = draft.put(RECEIPTS, key, sealed);
            }
        }
        Ok(draft)
    }

    /// The tree behind a batch entry, from which receipts are made.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Damaged`].
    pub async fn batch_tree(&self, entry: &EntryId) -> Result<RecordTree, Error> {
        let sealed = self.get(BATCHES, entry.as_bytes()).await?;
        let sealed = sealed.ok_or(Error::Unknown("record batch"))?;
        let inner = self.inner();
        let row: BatchRow = inner.node.outbox.open(
            &inner.settings.custodian,
            BATCHES,
            entry.as_bytes(),
            &sealed,
        )?;
        RecordTree::from_leaves(row.leaves).ok_or(damaged(BATCHES))
    }

    /// Where the commitment of a version is on its way.
    ///
    /// # Errors
    /// [`Error::RecordUnknown`], [`Error::VersionUnknown`], [`Error::Damaged`].
    pub async fn commitment_state(
        &self,
        subject: &SubjectId,
        record: &RecordId,
        version: u32,
    ) -> Result<CommitmentState, Error> {
        let key = version_key(subject, record, version);
        let Some(sealed) = self.get(RECEIPTS, &key).await? else {
            if self.get(INDEX, &key).await?.is_some() {
                return Ok(CommitmentState::Queued);
            }
            let record = *record;
            return Err(match self.latest_version(subject, &record).await? {
                0 => Error::RecordUnknown(record),
                _ => Error::VersionUnknown { record, version },
            });
        };
        let ReceiptRow { entry } = self.receipt_open(&key, &sealed)?;
        let row = self.entry(&entry).await?;
        Ok(match row.position() {
            Some(position) => CommitmentState::Final { entry, position },
            None => CommitmentState::Assigned { entry },
        })
    }

    /// The batch entries of a record's versions, as far as they are assigned.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Store`].
    pub async fn commitment_entries(
        &self,
        subject: &SubjectId,
        record: &RecordId,
    ) -> Result<BTreeMap<u32, EntryId>, Error> {
        let range = Range::prefix(record_prefix(subject, record));
        let mut found = BTreeMap::new();
        for (key, sealed) in self.page(RECEIPTS, range, PAGE).await? {
            let (_, version) = version_of(&key).ok_or(damaged(RECEIPTS))?;
            let ReceiptRow { entry } = self.receipt_open(&key, &sealed)?;
            found.insert(version, entry);
        }
        Ok(found)
    }

    fn receipt_open(&self, key: &[u8], sealed: &[u8]) -> Result<ReceiptRow, Error> {
        let inner = self.inner();
        let custodian = &inner.settings.custodian;
        inner.node.outbox.open(custodian, RECEIPTS, key, sealed)
    }

    pub(crate) fn outbox_seal(
        &self,
        key: &[u8],
        row: &QueuedRow,
        entropy: &mut impl Entropy,
    ) -> Vec<u8> {
        let inner = self.inner();
        let custodian = &inner.settings.custodian;
        inner.node.outbox.seal(custodian, OUTBOX, key, row, entropy)
    }
}

impl RecordBatch {
    fn check(&self) -> Result<(), Error> {
        let leaves = self.tree.leaves();
        if leaves.len() > BATCH_MAX_LEAVES {
            return Err(Error::invalid("tree", "a batch has at most 16384 leaves"));
        }
        // The leaves of a tree are in order.
        let held = |item: &QueuedCommitment| leaves.binary_search(&item.commitment).is_ok();
        if self.items.iter().all(held) {
            Ok(())
        } else {
            Err(Error::invalid("items", "the tree holds every item"))
        }
    }
}

impl QueuedCommitment {
    fn row_key(&self) -> Vec<u8> {
        crate::layout::queue_key(self.queued.get(), self.commitment.as_bytes())
    }
}

/// How much of a bounded queue is taken; known in memory, counted when the vault is opened.
pub(crate) struct Quota {
    queue: &'static str,
    limit: usize,
    taken: AtomicUsize,
}

/// Places in a queue, given back when dropped unless kept.
pub(crate) struct Places {
    quota: Arc<Quota>,
    places: usize,
}

impl Quota {
    pub(crate) fn new(queue: &'static str, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            queue,
            limit,
            taken: AtomicUsize::new(0),
        })
    }

    pub(crate) fn set(&self, taken: usize) {
        self.taken.store(taken, Ordering::Relaxed);
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes places, or fails if that is more than there are.
    pub(crate) fn take(self: &Arc<Self>, places: usize) -> Result<Places, Error> {
        let fits = |taken: usize| {
            let after = taken.checked_add(places)?;
            (after <= self.limit).then_some(after)
        };
        match self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
        {
            Ok(_) => Ok(Places {
                quota: Arc::clone(self),
                places,
            }),
            Err(_) => Err(Error::Full {
                queue: self.queue,
                limit: self.limit,
            }),
        }
    }

    /// Gives places back.
    pub(crate) fn give_back(&self, places: usize) {
        let less = |taken: usize| Some(taken.saturating_sub(places));
        // A closure that always answers never fails.
        let _ = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

impl Places {
    /// They are in use until given back.
    pub(crate) fn keep(&mut self) {
        self.places = 0;
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.quota.give_back(self.places);
    }
}
