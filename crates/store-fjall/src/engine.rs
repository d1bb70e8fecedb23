//! The engine behind the port: reads, exports, and the durable write of one group of commits.

use std::{
    fs::File,
    io,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use fjall::{AbstractTree, Database, Keyspace, PersistMode, Readable, Slice, Snapshot};
use store::{Batch, DumpError, Error, Order, Range, Table, dump, row, staging::Staging};

use crate::{
    group::{Backend, WriteFault},
    layout::{TIP_KEY, logical, physical, physical_range},
    witness::Witness,
};

/// Values at least this long are handed out in the engine's buffer; shorter ones are copied, so
/// that a kept value does not keep the block it was read with.
const SHARE_MIN_BYTES: usize = 4_096;

// Fields drop in this order: the folder is released last.
pub(crate) struct Engine {
    pub(crate) rows: Keyspace,
    pub(crate) db: Database,
    pub(crate) folder: PathBuf,
    pub(crate) reserve_bytes: u64,
    pub(crate) stopping: AtomicBool,
    pub(crate) _lock: File,
}

impl Engine {
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        guarded(table, || {
            // Through a snapshot: a batch becomes visible to it all at once.
            let found = self
                .db
                .snapshot()
                .get(&self.rows, physical(table.name(), key));
            let Some(stored) = found.map_err(|error| fault("reading a row", &error, table))? else {
                return Ok(None);
            };
            let value = row::open(table.name(), key, to_bytes(stored));
            value.map(Some).ok_or(Error::Corrupt { table })
        })
    }

    pub(crate) fn range(
        &self,
        table: Table,
        range: &Range,
        limit: usize,
        order: Order,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        guarded(table, || {
            let rows = self.guards(table, range, order).take(limit);
            rows.map(|guard| {
                let read = guard.into_inner();
                let (physical, stored) =
                    read.map_err(|error| fault("reading a range", &error, table))?;
                let key = key_within(table, &physical)?;
                let value = row::open(table.name(), &key, to_bytes(stored));
                Ok((key, value.ok_or(Error::Corrupt { table })?))
            })
            .collect()
        })
    }

    /// The keys of a range, without reading values.
    fn keys(&self, table: Table, range: &Range) -> Result<Vec<Bytes>, Error> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        guarded(table, || {
            let rows = self.guards(table, range, Order::Ascending);
            rows.map(|guard| {
                let key = guard
                    .key()
                    .map_err(|error| fault("reading a range", &error, table))?;
                key_within(table, &key)
            })
            .collect()
        })
    }

    /// Writes every row to a dump, each checked.
    pub(crate) fn export<W: io::Write>(&self, sink: W) -> Result<(W, dump::Summary), DumpError> {
        let reading = || Error::Io {
            doing: "reading a row",
            kind: io::ErrorKind::InvalidData,
        };
        let mut rows = self.db.snapshot().iter(&self.rows);
        let mut writer = dump::Writer::new(sink)?;
        loop {
            if self.is_stopping() {
                return Err(Error::Closed.into());
            }
            let next = catch_unwind(AssertUnwindSafe(|| {
                rows.next().map(fjall::Guard::into_inner)
            }));
            let Some(read) = next.map_err(|_| reading())? else {
                break;
            };
            let (key, stored) = read.map_err(|error| io_fault("reading a row", &error))?;
            if key == TIP_KEY {
                continue;
            }
            let (table, key) = logical(&key).ok_or_else(reading)?;
            if !row::is_intact(table, key, &stored) {
                return Err(DumpError::Damaged {
                    table: table.to_owned(),
                });
            }
            let value = stored.get(..stored.len().saturating_sub(row::CHECKSUM_BYTES));
            writer.row(table, key, value.unwrap_or_default())?;
        }
        writer.finish()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.db.snapshot()
    }

    /// The number of the last group of commits the engine holds; zero before the first.
    pub(crate) fn tip(&self) -> Result<Option<u64>, fjall::Error> {
        let Some(stored) = self.db.snapshot().get(&self.rows, TIP_KEY)? else {
            return Ok(Some(0));
        };
        let is_intact = row::is_intact("", &[], &stored);
        Ok(stored
            .first_chunk()
            .filter(|_| is_intact)
            .map(|tip| u64::from_be_bytes(*tip)))
    }

    /// Makes exports and verifications end early.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// The rows of a range that is not empty, under one snapshot.
    fn guards(
        &self,
        table: Table,
        range: &Range,
        order: Order,
    ) -> Box<dyn Iterator<Item = fjall::Guard>> {
        let range = physical_range(table, range);
        let end = range.end().map_or(Bound::Unbounded, Bound::Excluded);
        let bounds: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Included(range.start()), end);
        let rows = self.db.snapshot().range::<&[u8], _>(&self.rows, bounds);
        match order {
            Order::Ascending => Box::new(rows),
            Order::Descending => Box::new(rows.rev()),
        }
    }

    /// Waits while the engine's background work is far behind.
    ///
    /// The engine's own waits, which begin at four waiting tables or twenty runs, never end if its
    /// workers have failed; staying below them keeps the writer in control.
    fn throttle(&self) -> Result<(), WriteFault> {
        while self.rows.tree.sealed_memtable_count() >= 2 || self.rows.tree.l0_run_count() >= 16 {
            let alive = self.db.persist(PersistMode::Buffer);
            alive.map_err(|error| WriteFault::Broken(io_fault("writing", &error)))?;
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Whether so much would remain free after writing so much; true where nobody can tell.
    fn leaves_free(&self, rest_bytes: u64, wanted: usize) -> bool {
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        free_bytes(&self.folder).is_none_or(|free| free >= rest_bytes.saturating_add(wanted))
    }

    /// Writes rows (`None` deletes) and their group's number as one synced journal entry.
    pub(crate) fn write<'a>(
        &self,
        number: u64,
        changes: impl Iterator<Item = (&'a str, &'a Bytes, Option<&'a Bytes>)>,
    ) -> Result<(), WriteFault> {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        let mut size = 0usize;
        for (table, key, change) in changes {
            let physical = physical(table, key);
            match change {
                Some(value) => {
                    let stored = row::seal(table, key, value);
                    size = size.saturating_add(stored.len());
                    batch.insert(&self.rows, physical, stored.as_ref());
                }
                None => batch.remove(&self.rows, physical),
            }
        }
        batch.insert(
            &self.rows,
            TIP_KEY,
            row::seal("", &[], &number.to_be_bytes()).as_ref(),
        );
        if !self.leaves_free(floor(self.reserve_bytes), size) {
            return Err(WriteFault::Refused(Error::Full));
        }
        self.throttle()?;
        batch
            .commit()
            .map_err(|error| WriteFault::Broken(io_fault("writing", &error)))
    }
}

/// What is left to the engine's own work: below, not even what cannot wait is taken.
pub(crate) const fn floor(reserve_bytes: u64) -> u64 {
    reserve_bytes / 4
}

/// Free disk at a folder.
#[cfg(unix)]
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
pub(crate) fn free_bytes(_folder: &Path) -> Option<u64> {
    None
}

/// The writing side of an engine: numbers the groups and keeps the witness.
pub(crate) struct Appender {
    engine: Arc<Engine>,
    witness: Witness,
}

impl Appender {
    pub(crate) fn new(engine: Arc<Engine>, witness: Witness) -> Self {
        Self { engine, witness }
    }

    /// Writes rows (`None` deletes) as the next group, durably.
    pub(crate) fn append<'a>(
        &mut self,
        changes: impl Iterator<Item = (&'a str, &'a Bytes, Option<&'a Bytes>)>,
    ) -> Result<(), WriteFault> {
        let number = self.witness.number().saturating_add(1);
        self.engine.write(number, changes)?;
        let noting = |error: io::Error| WriteFault::Broken(io_error("writing", &error));
        self.witness.note(number).map_err(noting)
    }
}

impl Backend for Appender {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.engine.get(table, key)
    }

    fn keys(&self, table: Table, range: &Range) -> Result<Vec<Bytes>, Error> {
        self.engine.keys(table, range)
    }

    fn has_room_for(&self, batch: &Batch) -> bool {
        let engine = &self.engine;
        engine.leaves_free(engine.reserve_bytes, batch.size_bytes())
    }

    fn write(&mut self, changes: &Staging) -> Result<(), WriteFault> {
        self.append(
            changes
                .changes()
                .map(|(table, key, change)| (table.name(), key, change)),
        )
    }

    fn close(&mut self) {
        // The rows are durable already; a witness left behind only notices less.
        let _ = self.witness.sync();
    }
}

fn key_within(table: Table, physical: &[u8]) -> Result<Bytes, Error> {
    match logical(physical) {
        Some((name, key)) if name == table.name() => Ok(Bytes::copy_from_slice(key)),
        _ => Err(Error::Corrupt { table }),
    }
}

fn to_bytes(slice: Slice) -> Bytes {
    if slice.len() < SHARE_MIN_BYTES {
        Bytes::copy_from_slice(&slice)
    } else {
        Bytes::from_owner(slice)
    }
}

/// Runs a read of the engine, which may panic on damaged files.
fn guarded<T>(table: Table, read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(Error::Corrupt { table }))
}

/// What a failure of the engine means for a read of `table`.
fn fault(doing: &'static str, error: &fjall::Error, table: Table) -> Error {
    match io_fault(doing, error) {
        Error::Io {
            kind: io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof,
            ..
        } => Error::Corrupt { table },
        other => other,
    }
}

/// What a failure of the engine means where no table is known; damage is `InvalidData`.
pub(crate) fn io_fault(doing: &'static str, error: &fjall::Error) -> Error {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            io_error(doing, error)
        }
        fjall::Error::Poisoned => Error::Poisoned,
        fjall::Error::KeyspaceDeleted | fjall::Error::Locked => Error::Closed,
        _ => Error::Io {
            doing,
            kind: io::ErrorKind::InvalidData,
        },
    }
}

fn io_error(doing: &'static str, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Error::Full
        }
        kind => Error::Io { doing, kind },
    }
}
