//! The storage port over the consensus engine's storage trait, for deterministic simulations.
//!
//! An append-only log (`log`): each group of commits is one record, synced before it is
//! acknowledged, and the index of where each value lies is kept in memory. The simulator's storage
//! drops or tears what was not synced; opening cuts such a tail. When the log is mostly dead it is
//! rewritten as a new generation.
//!
//! Values are read from storage each time and checked, as in the store on disk. It spawns no tasks:
//! whoever awaits a commit drives the group it is in, and if all of them go away the next one to
//! commit drives it on.
//!
//! Not for production: the index and a compaction's rows are in memory, and a flipped bit in the
//! log's very last record is taken for a torn tail.

mod log;
mod record;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use bytes::Bytes;
use commonware_runtime::Storage;
use futures::{
    FutureExt as _,
    channel::oneshot,
    future::{BoxFuture, Shared},
    lock::Mutex as AsyncMutex,
};
pub use log::OpenError;
use log::{Index, Log, Slot};
use store::{Batch, DumpError, Error, Order, Range, Store, Table, dump, row, staging::Staging};

/// A group takes no further batch once it holds this much.
const GROUP_MAX_BYTES: usize = 8 << 20;

/// An open store in a partition of a runtime's storage. Reopen only after every clone and every
/// unfinished read is dropped.
pub struct SimStore<E: Storage> {
    open: Arc<Open<E>>,
}

struct Open<E: Storage> {
    index: Arc<RwLock<Index<E::Blob>>>,
    log: Arc<AsyncMutex<Log<E>>>,
    queue: Arc<Mutex<Vec<Job>>>,
    driver: Mutex<Option<Driver>>,
}

type Driver = Shared<BoxFuture<'static, ()>>;

struct Job {
    batch: Batch,
    answer: oneshot::Sender<Result<(), Error>>,
}

impl<E: Storage> SimStore<E> {
    /// Opens the store in `partition`, creating it if there is none.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(context: E, partition: &str) -> Result<Self, OpenError> {
        let (log, index) = Log::open(context, partition).await?;
        Ok(Self {
            open: Arc::new(Open {
                index: Arc::new(RwLock::new(index)),
                log: Arc::new(AsyncMutex::new(log)),
                queue: Arc::default(),
                driver: Mutex::default(),
            }),
        })
    }

    /// Makes a store in `partition`, which must be empty, from a dump. A dump that is refused, or a
    /// crash, leaves an empty store.
    ///
    /// # Errors
    /// [`DumpError`].
    pub async fn import(
        context: E,
        partition: &str,
        source: impl io::Read,
    ) -> Result<dump::Summary, DumpError> {
        let opening = |_| Error::Io {
            doing: "opening the store",
            kind: io::ErrorKind::Other,
        };
        let (mut log, mut index) = Log::open(context, partition).await.map_err(opening)?;
        if !index.is_empty() {
            return Err(DumpError::NotEmpty);
        }
        let mut rows = Vec::new();
        let summary = dump::read(source, |found| {
            let stored = row::seal(found.table, &found.key, &found.value);
            rows.push((found.table.to_owned(), found.key, stored));
            Ok(())
        })?;
        log.rewrite(rows, &mut index).await?;
        Ok(summary)
    }

    /// The future that drives the next group, shared by everyone waiting for it.
    fn driver(&self) -> Driver {
        let mut slot = self
            .open
            .driver
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match slot.as_ref().filter(|driver| driver.peek().is_none()) {
            Some(driver) => driver.clone(),
            None => {
                let open = &self.open;
                let driver = drive(
                    Arc::clone(&open.log),
                    Arc::clone(&open.index),
                    Arc::clone(&open.queue),
                );
                slot.insert(driver.boxed().shared()).clone()
            }
        }
    }

    fn slot(&self, table: &str, key: &[u8]) -> Option<Slot<E::Blob>> {
        read(&self.open.index).get(table)?.get(key).cloned()
    }
}

impl<E: Storage> Clone for SimStore<E> {
    fn clone(&self) -> Self {
        Self {
            open: Arc::clone(&self.open),
        }
    }
}

impl<E: Storage> Store for SimStore<E> {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let Some(slot) = self.slot(table.name(), key) else {
            return Ok(None);
        };
        slot.read(table, key).await.map(Some)
    }

    async fn range(
        &self,
        table: Table,
        range: Range,
        limit: usize,
        order: Order,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let slots = slots(&read(&self.open.index), table, &range, limit, order);
        let mut rows = Vec::with_capacity(slots.len());
        for (key, slot) in slots {
            let value = slot.read(table, &key).await?;
            rows.push((key, value));
        }
        Ok(rows)
    }

    async fn commit(&self, batch: Batch) -> Result<(), Error> {
        batch.check_limits()?;
        let (answer, mut answered) = oneshot::channel();
        let queue = &self.open.queue;
        queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Job { batch, answer });
        loop {
            // The group being driven may have been gathered before this batch was queued.
            self.driver().await;
            match answered.try_recv() {
                Ok(Some(outcome)) => return outcome,
                Ok(None) => {}
                Err(oneshot::Canceled) => return Err(Error::Closed),
            }
        }
    }

    async fn export<W>(&self, sink: W) -> Result<(W, dump::Summary), DumpError>
    where
        W: io::Write + Send + 'static,
    {
        let index = read(&self.open.index).clone();
        let mut writer = dump::Writer::new(sink)?;
        for (table, rows) in index {
            for (key, slot) in rows {
                let stored = slot.read_stored().await?;
                let Some(value) = row::open(&table, &key, stored) else {
                    return Err(DumpError::Damaged { table });
                };
                writer.row(&table, &key, &value)?;
            }
        }
        writer.finish()
    }
}

/// Makes one group of queued commits durable and answers it.
async fn drive<E: Storage>(
    log: Arc<AsyncMutex<Log<E>>>,
    index: Arc<RwLock<Index<E::Blob>>>,
    queue: Arc<Mutex<Vec<Job>>>,
) {
    let mut log = log.lock().await;
    let jobs = take_group(&queue);
    let mut staging = Staging::new();
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in &jobs {
        outcomes.push(stage(&mut staging, &index, &job.batch).await);
    }
    let written = if staging.is_empty() {
        Ok(())
    } else {
        log.append(&staging, &index).await
    };
    for (job, outcome) in jobs.into_iter().zip(outcomes) {
        // A conflict may rest on a batch of this group that did not become durable.
        let outcome = match (&written, outcome) {
            (Err(error), Ok(()) | Err(Error::Conflict { .. })) => Err(error.clone()),
            (_, outcome) => outcome,
        };
        // The caller may have gone away.
        let _ = job.answer.send(outcome);
    }
    log.compact(&index).await;
}

fn take_group(queue: &Mutex<Vec<Job>>) -> Vec<Job> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    let mut size = 0usize;
    let fitting = queue.iter().take_while(|job| {
        let has_room = size < GROUP_MAX_BYTES;
        size = size.saturating_add(job.batch.size_bytes());
        has_room
    });
    let count = fitting.count();
    queue.drain(..count).collect()
}

async fn stage<B: commonware_runtime::Blob>(
    staging: &mut Staging,
    index: &RwLock<Index<B>>,
    batch: &Batch,
) -> Result<(), Error> {
    // Staging reads synchronously: fetch what it may ask for.
    let mut stored = BTreeMap::new();
    for expectation in batch.expectations() {
        let (table, key) = (expectation.table, &expectation.key);
        let slot = read(index)
            .get(table.name())
            .and_then(|rows| rows.get(key).cloned());
        if let Some(slot) = slot {
            stored.insert((table, key.clone()), slot.read(table, key).await?);
        }
    }
    staging.add(
        batch,
        |table, key| Ok(stored.get(&(table, key.clone())).cloned()),
        |table, range| {
            let slots = slots(&read(index), table, range, usize::MAX, Order::Ascending);
            Ok(slots.into_iter().map(|(key, _)| key).collect())
        },
    )
}

fn slots<B>(
    index: &Index<B>,
    table: Table,
    range: &Range,
    limit: usize,
    order: Order,
) -> Vec<(Bytes, Slot<B>)> {
    let Some(rows) = index.get(table.name()).filter(|_| !range.is_empty()) else {
        return Vec::new();
    };
    let rows = rows
        .range::<[u8], _>(range.bounds())
        .map(|(key, slot)| (key.clone(), slot.clone()));
    match order {
        Order::Ascending => rows.take(limit).collect(),
        Order::Descending => rows.rev().take(limit).collect(),
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
