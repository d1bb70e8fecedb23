//! The log: generations of records in a partition's blobs.
//!
//! Blob names are generation numbers (8 bytes, big endian). A generation counts once its `Start` record is
//! intact; its rows are complete then, and older generations are removed.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use commonware_runtime::{Blob, Error as RuntimeError, ReadOptions, Storage, WriteOptions};
use store::{Error, Table, row, staging::Staging};

use crate::record::{HEADER_BYTES, Header, Kind, MAGIC, Operation, Record, operations};

/// The log is rewritten once it is longer than this and more than half of it is dead.
const COMPACT_MIN_BYTES: u64 = 256 << 10;
/// Rows per record of a rewritten log.
const PART_BYTES: usize = 1 << 20;

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The log is damaged before its end: more than a torn last record.
    #[error("the log is damaged at byte {offset} of generation {generation}")]
    Damaged {
        /// The generation.
        generation: u64,
        /// Where the first unreadable record begins.
        offset: u64,
    },
    /// The runtime's storage failed.
    #[error("the storage failed")]
    Storage(#[from] RuntimeError),
}

/// Where each value lies, by table and key.
pub(crate) type Index<B> = BTreeMap<String, BTreeMap<Bytes, Slot<B>>>;

/// Where a stored value lies.
pub(crate) struct Slot<B> {
    blob: Arc<B>,
    offset: u64,
    stored_bytes: usize,
}

impl<B> Clone for Slot<B> {
    fn clone(&self) -> Self {
        let Self {
            blob,
            offset,
            stored_bytes,
        } = self;
        Self {
            blob: Arc::clone(blob),
            offset: *offset,
            stored_bytes: *stored_bytes,
        }
    }
}

impl<B: Blob> Slot<B> {
    pub(crate) async fn read(&self, table: Table, key: &[u8]) -> Result<Bytes, Error> {
        row::open(table.name(), key, self.read_stored().await?).ok_or(Error::Corrupt { table })
    }

    pub(crate) async fn read_stored(&self) -> Result<Bytes, Error> {
        let read = read_at(&*self.blob, self.offset, self.stored_bytes).await;
        read.map_err(|error| fault("reading a row", &error))
    }
}

pub(crate) struct Log<E: Storage> {
    context: E,
    partition: String,
    generation: u64,
    blob: Arc<E::Blob>,
    end: u64,
    /// The number of the last record.
    number: u64,
    is_broken: bool,
}

impl<E: Storage> Log<E> {
    pub(crate) async fn open(
        context: E,
        partition: &str,
    ) -> Result<(Self, Index<E::Blob>), OpenError> {
        let mut found = None;
        let generations = generations(&context, partition).await?;
        let oldest = generations.first().copied();
        for generation in generations.into_iter().rev() {
            let (blob, size) = context.open(partition, &generation.to_be_bytes()).await?;
            let blob = Arc::new(blob);
            if found.is_none() {
                found = replay(generation, &blob, size)
                    .await?
                    .map(|replay| (generation, blob, replay));
                if found.is_some() {
                    continue;
                }
            }
            // Only the first generation of all begins without one to fall back on.
            if found.is_none() && generation > 0 && oldest == Some(generation) {
                return Err(OpenError::Damaged {
                    generation,
                    offset: 0,
                });
            }
            // Never finished, or replaced by a later one.
            context
                .remove(partition, Some(&generation.to_be_bytes()))
                .await?;
        }
        let partition = partition.to_owned();
        if let Some((generation, blob, replay)) = found {
            let Replay { index, end, number } = replay;
            let log = Self {
                context,
                partition,
                generation,
                blob,
                end,
                number,
                is_broken: false,
            };
            return Ok((log, index));
        }
        let mut index = Index::new();
        let new = Generation::create(&context, &partition, 0).await?;
        let (blob, end) = new.finish(0, &mut index).await?;
        let log = Self {
            context,
            partition,
            generation: 0,
            blob,
            end,
            number: 0,
            is_broken: false,
        };
        Ok((log, index))
    }

    /// Writes a group of commits, makes it durable, and only then shows it in the index.
    pub(crate) async fn append(
        &mut self,
        staging: &Staging,
        index: &RwLock<Index<E::Blob>>,
    ) -> Result<(), Error> {
        if self.is_broken {
            return Err(Error::Poisoned);
        }
        let mut record = Record::new();
        let mut changes = Vec::new();
        for (table, key, change) in staging.changes() {
            let table = table.name();
            let stored = change.map(|value| record.put(table, key, &row::seal(table, key, value)));
            if stored.is_none() {
                record.delete(table, key);
            }
            changes.push(Operation {
                table: table.to_owned(),
                key: key.clone(),
                stored,
            });
        }
        let number = self.number.saturating_add(1);
        let bytes = record.finish(number, Kind::Commit);
        let (start, size) = (self.end, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        // Stays set if this future is never finished: what happened is unknown then.
        self.is_broken = true;
        let write = self
            .blob
            .write_at(start, bytes, WriteOptions::default())
            .await;
        write.map_err(|error| fault("writing", &error))?;
        self.blob
            .sync()
            .await
            .map_err(|error| fault("writing", &error))?;
        self.is_broken = false;
        self.end = start.saturating_add(size);
        self.number = number;
        apply(&mut write_lock(index), &self.blob, start, changes);
        Ok(())
    }

    /// Rewrites the log if it is long and mostly dead. A failure breaks the log.
    pub(crate) async fn compact(&mut self, index: &RwLock<Index<E::Blob>>) {
        if self.is_broken || self.end < COMPACT_MIN_BYTES {
            return;
        }
        let mut rows = Vec::new();
        let mut live_bytes = 0u64;
        for (table, slots) in &*index.read().unwrap_or_else(PoisonError::into_inner) {
            for (key, slot) in slots {
                let size = key
                    .len()
                    .saturating_add(slot.stored_bytes)
                    .saturating_add(table.len());
                live_bytes = live_bytes.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
                rows.push((table.clone(), key.clone(), slot.clone()));
            }
        }
        if live_bytes > self.end / 2 {
            return;
        }
        let mut stored_rows = Vec::with_capacity(rows.len());
        for (table, key, slot) in rows {
            // A damaged row stays as damaged as it is; a row that cannot be read keeps the old log.
            let Ok(stored) = slot.read_stored().await else {
                return;
            };
            stored_rows.push((table, key, stored));
        }
        let mut rewritten = Index::new();
        if self.rewrite(stored_rows, &mut rewritten).await.is_ok() {
            *write_lock(index) = rewritten;
        }
    }

    /// Starts a new generation with these rows (table, key, stored value) and drops the old one.
    pub(crate) async fn rewrite(
        &mut self,
        rows: Vec<(String, Bytes, Bytes)>,
        index: &mut Index<E::Blob>,
    ) -> Result<(), Error> {
        if self.is_broken {
            return Err(Error::Poisoned);
        }
        self.is_broken = true;
        let failed = |error: RuntimeError| fault("rewriting the log", &error);
        let generation = self.generation.saturating_add(1);
        let new = Generation::create(&self.context, &self.partition, generation).await;
        let mut new = new.map_err(failed)?;
        for (table, key, stored) in rows {
            new.put(table, key, &stored, index).await.map_err(failed)?;
        }
        let (blob, end) = new.finish(self.number, index).await.map_err(failed)?;
        let old = std::mem::replace(&mut self.generation, generation);
        self.blob = blob;
        self.end = end;
        let removed = self
            .context
            .remove(&self.partition, Some(&old.to_be_bytes()))
            .await;
        removed.map_err(failed)?;
        self.is_broken = false;
        Ok(())
    }
}

/// A generation being written.
struct Generation<B> {
    blob: Arc<B>,
    end: u64,
    part: Record,
    changes: Vec<Operation>,
}

impl<B: Blob> Generation<B> {
    async fn create<E: Storage<Blob = B>>(
        context: &E,
        partition: &str,
        generation: u64,
    ) -> Result<Self, RuntimeError> {
        let (blob, size) = context.open(partition, &generation.to_be_bytes()).await?;
        if size > 0 {
            blob.resize(0).await?;
        }
        Ok(Self {
            blob: Arc::new(blob),
            end: 0,
            part: Record::new(),
            changes: Vec::new(),
        })
    }

    async fn put(
        &mut self,
        table: String,
        key: Bytes,
        stored: &[u8],
        index: &mut Index<B>,
    ) -> Result<(), RuntimeError> {
        let stored = Some(self.part.put(&table, &key, stored));
        self.changes.push(Operation { table, key, stored });
        if self.part.payload_bytes() >= PART_BYTES {
            self.write_part(index).await?;
        }
        Ok(())
    }

    async fn write_part(&mut self, index: &mut Index<B>) -> Result<(), RuntimeError> {
        let part = std::mem::replace(&mut self.part, Record::new());
        let start = self.write(part.finish(0, Kind::Part)).await?;
        apply(index, &self.blob, start, std::mem::take(&mut self.changes));
        Ok(())
    }

    /// Makes the generation durable and valid; its blob and length.
    async fn finish(
        mut self,
        number: u64,
        index: &mut Index<B>,
    ) -> Result<(Arc<B>, u64), RuntimeError> {
        if !self.changes.is_empty() {
            self.write_part(index).await?;
            // INVARIANT: an intact `Start` means that the parts before it were durable.
            self.blob.sync().await?;
        }
        self.write(Record::new().finish(number, Kind::Start))
            .await?;
        self.blob.sync().await?;
        Ok((self.blob, self.end))
    }

    async fn write(&mut self, bytes: Bytes) -> Result<u64, RuntimeError> {
        let start = self.end;
        self.end = start.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.blob
            .write_at(start, bytes, WriteOptions::default())
            .await?;
        Ok(start)
    }
}

struct Replay<B> {
    index: Index<B>,
    end: u64,
    number: u64,
}

/// Reads a generation and cuts its torn tail; `None` if it was never finished.
async fn replay<B: Blob>(
    generation: u64,
    blob: &Arc<B>,
    size: u64,
) -> Result<Option<Replay<B>>, OpenError> {
    let mut index = Index::new();
    let mut end = 0u64;
    let mut number = None;
    while let Some((header, payload)) = next_record(&**blob, end, size).await? {
        let follows = match (header.kind, number) {
            (Kind::Part | Kind::Start, None) => true,
            (Kind::Commit, Some(number)) => header.number.checked_sub(1) == Some(number),
            _ => false,
        };
        let Some(mut changes) = operations(&payload).filter(|_| follows) else {
            break;
        };
        for stored in changes
            .iter_mut()
            .filter_map(|change| change.stored.as_mut())
        {
            *stored =
                stored.start.saturating_add(HEADER_BYTES)..stored.end.saturating_add(HEADER_BYTES);
        }
        apply(&mut index, blob, end, changes);
        if header.kind != Kind::Part {
            number = Some(header.number);
        }
        let record_bytes = HEADER_BYTES.saturating_add(payload.len());
        end = end.saturating_add(u64::try_from(record_bytes).unwrap_or(u64::MAX));
    }
    if end < size && has_later_record(&**blob, end, size, number).await? {
        return Err(OpenError::Damaged {
            generation,
            offset: end,
        });
    }
    let Some(number) = number else {
        return Ok(None);
    };
    if end < size {
        blob.resize(end).await?;
        blob.sync().await?;
    }
    Ok(Some(Replay { index, end, number }))
}

async fn next_record<B: Blob>(
    blob: &B,
    offset: u64,
    size: u64,
) -> Result<Option<(Header, Bytes)>, RuntimeError> {
    let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
    let Some(payload_max) = left.checked_sub(HEADER_BYTES) else {
        return Ok(None);
    };
    let Some(header) = Header::parse(&read_at(blob, offset, HEADER_BYTES).await?) else {
        return Ok(None);
    };
    if header.payload_bytes > payload_max {
        return Ok(None);
    }
    let header_bytes = u64::try_from(HEADER_BYTES).unwrap_or(u64::MAX);
    let payload = read_at(
        blob,
        offset.saturating_add(header_bytes),
        header.payload_bytes,
    )
    .await?;
    Ok(header.matches(&payload).then_some((header, payload)))
}

/// Whether an intact record that proves this generation valid lies somewhere after an unreadable one.
///
/// Each record is synced before the next is written, so only the last one can be torn.
async fn has_later_record<B: Blob>(
    blob: &B,
    offset: u64,
    size: u64,
    number: Option<u64>,
) -> Result<bool, RuntimeError> {
    let length = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
    let tail = read_at(blob, offset, length).await?;
    let mut candidates = tail
        .windows(MAGIC.len())
        .enumerate()
        .filter(|(_, bytes)| bytes == MAGIC);
    Ok(candidates.any(|(at, _)| {
        let Some(bytes) = tail.get(at..) else {
            return false;
        };
        let Some(header) = Header::parse(bytes) else {
            return false;
        };
        let payload = bytes
            .get(HEADER_BYTES..)
            .and_then(|rest| rest.get(..header.payload_bytes));
        let proves =
            header.kind != Kind::Part && number.is_none_or(|number| header.number > number);
        proves && payload.is_some_and(|payload| header.matches(payload))
    }))
}

/// Shows a record's changes in the index; their values lie relative to the record's `start`.
fn apply<B>(index: &mut Index<B>, blob: &Arc<B>, start: u64, changes: Vec<Operation>) {
    for Operation { table, key, stored } in changes {
        let rows = index.entry(table).or_default();
        match stored {
            Some(stored) => {
                let within = u64::try_from(stored.start).unwrap_or(u64::MAX);
                let offset = start.saturating_add(within);
                rows.insert(
                    key,
                    Slot {
                        blob: Arc::clone(blob),
                        offset,
                        stored_bytes: stored.len(),
                    },
                );
            }
            None => {
                rows.remove(&key);
            }
        }
    }
    index.retain(|_, rows| !rows.is_empty());
}

async fn generations<E: Storage>(context: &E, partition: &str) -> Result<Vec<u64>, RuntimeError> {
    let names = match context.scan(partition).await {
        Err(RuntimeError::PartitionMissing(_)) => Vec::new(),
        names => names?,
    };
    let numbers = names
        .iter()
        .filter_map(|name| name.as_slice().try_into().ok());
    let mut generations: Vec<u64> = numbers.map(u64::from_be_bytes).collect();
    generations.sort_unstable();
    Ok(generations)
}

async fn read_at<B: Blob>(blob: &B, offset: u64, length: usize) -> Result<Bytes, RuntimeError> {
    if length == 0 {
        return Ok(Bytes::new());
    }
    let read = blob.read_at(offset, length, ReadOptions::default()).await?;
    Ok(read.freeze().coalesce().into())
}

fn write_lock<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn fault(doing: &'static str, error: &RuntimeError) -> Error {
    let kind = match error {
        RuntimeError::BlobSyncFailed(_, _, error)
        | RuntimeError::BlobResizeFailed(_, _, error)
        | RuntimeError::BlobOpenFailed(_, _, error)
        | RuntimeError::Io(error) => error.kind(),
        RuntimeError::BlobInsufficientLength => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::Other,
    };
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
        kind => Error::Io { doing, kind },
    }
}
