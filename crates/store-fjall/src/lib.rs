//! The storage port on disk: an embedded LSM tree ([fjall]), one folder per store.
//!
//! Commits go to one writer thread, which gathers what is waiting, checks each batch's
//! expectations in order against the state left by those before it, writes them as one journal
//! entry, syncs once, and only then answers. `get` reads in place; `range`, `export` and
//! `verify_all` run on reader threads. Nothing here needs an async runtime.
//!
//! What it adds to the engine:
//! - **Checksums to the caller.** Every value carries a checksum over table, key and value; the
//!   engine's own block checksums end at its cache.
//! - **No silent loss.** The engine cuts its journal at the first thing it cannot read. Here every
//!   group of commits is numbered, the last acknowledged number is kept beside the engine
//!   (`witness`), and opening refuses a `journal` or a tree that ends before it.
//! - **No trusted manifest.** The engine does not check what it reads first; that is done here
//!   (`manifest`), before it can delete files it takes for unused.
//! - **Fail stop.** After a failed write nothing is acknowledged until the store is reopened; below a
//!   reserve of free disk, commits are refused before anything is written, those that can wait first.
//!
//! Folder: `lock`, `tip` (the witness) and `engine/` (fjall's). Not safe to copy while open: use
//! [`Store::export`]. Not encrypted: what must be secret is sealed before it comes here.

mod engine;
mod folder;
mod group;
mod import;
mod journal;
mod layout;
mod manifest;
mod readers;
mod verify;
mod witness;

use std::{io, path::Path, sync::Arc};

use bytes::Bytes;
use futures::channel::oneshot;
use store::{Batch, DumpError, Error, Order, Range, Store, Table, dump};

use crate::{
    engine::{Appender, Engine},
    group::{Job, Writer},
    readers::Readers,
};
pub use folder::OpenError;
pub use verify::{Progress, Verification};

/// How much memory and disk a store may use.
#[derive(Clone, Debug)]
pub struct Config {
    /// Cache of blocks read from disk, in bytes.
    pub cache_bytes: u64,
    /// Size at which an in-memory table goes to disk, in bytes; up to four exist at a time.
    /// Fixed when the folder is created.
    pub memtable_bytes: u64,
    /// Free disk below which commits that can wait are refused with [`Error::Full`], in bytes; below a
    /// quarter of it, all are.
    pub reserve_bytes: u64,
    /// The engine's tables are checked whole while opening, smallest first, up to this many bytes
    /// in all; beyond, and for large values, damage is found when it is read or by
    /// [`FjallStore::verify_all`].
    pub check_at_open_bytes: u64,
    /// Threads for `range`, `export` and `verify_all`; at least one is started.
    pub reader_threads: usize,
}

impl Default for Config {
    /// About 60 MiB of memory at most, besides what callers hold.
    fn default() -> Self {
        Self {
            cache_bytes: 16 << 20,
            memtable_bytes: 8 << 20,
            reserve_bytes: 128 << 20,
            check_at_open_bytes: 256 << 20,
            reader_threads: 2,
        }
    }
}

/// An open store. The folder is released when the last clone is dropped, which waits for the
/// commits already queued.
#[derive(Clone)]
pub struct FjallStore {
    shared: Arc<Shared>,
}

// Fields drop in this order: the threads end before the engine closes.
struct Shared {
    writer: Writer,
    readers: Readers,
    engine: Arc<Engine>,
}

impl FjallStore {
    /// Opens the store in `folder`, creating it if there is none. Blocks, for recovery too.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(folder: impl AsRef<Path>, config: &Config) -> Result<Self, OpenError> {
        let (engine, witness) = folder::open(folder.as_ref(), config)?;
        let engine = Arc::new(engine);
        let starting = |source| OpenError::Io {
            doing: "starting a thread",
            source,
        };
        let writer = Writer::start(Appender::new(Arc::clone(&engine), witness));
        let readers = Readers::start(config.reader_threads.max(1)).map_err(starting)?;
        Ok(Self {
            shared: Arc::new(Shared {
                writer: writer.map_err(starting)?,
                readers,
                engine,
            }),
        })
    }

    /// Makes a new store in `folder` from a dump. The folder must not exist or be empty, and
    /// appears only once the whole dump was read and found intact. Blocks.
    ///
    /// # Errors
    /// [`DumpError`].
    pub fn import(
        folder: impl AsRef<Path>,
        config: &Config,
        source: impl io::Read,
    ) -> Result<dump::Summary, DumpError> {
        import::run(folder.as_ref(), config, source)
    }

    /// Reads and checks every row, calling `progress` now and then. Finds damage; repairs nothing.
    ///
    /// # Errors
    /// [`Error::Closed`] if the store is dropped meanwhile. Damage is no error but a finding.
    pub async fn verify_all(
        &self,
        progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Verification, Error> {
        let engine = Arc::clone(&self.shared.engine);
        self.shared
            .readers
            .run(move || verify::run(&engine, progress))
            .await?
    }
}

/// Free disk below which a store in `folder` takes no commit at all, in bytes, and what is free there; none
/// where there is enough, or nobody can tell.
pub fn shortage(folder: impl AsRef<Path>, config: &Config) -> Option<(u64, u64)> {
    let needed = engine::floor(config.reserve_bytes);
    let free = engine::free_bytes(folder.as_ref())?;
    (free < needed).then_some((free, needed))
}

/// Rows that are read on the spot, as single ones are.
const FEW_ROWS: usize = 16;

impl Store for FjallStore {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.shared.engine.get(table, key)
    }

    async fn range(
        &self,
        table: Table,
        range: Range,
        limit: usize,
        order: Order,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        // A few rows cost no more than a row, and less than the way to a reader and back.
        if limit <= FEW_ROWS {
            return self.shared.engine.range(table, &range, limit, order);
        }
        let engine = Arc::clone(&self.shared.engine);
        self.shared
            .readers
            .run(move || engine.range(table, &range, limit, order))
            .await?
    }

    /// In one turn of a reader: going there and back costs more than a range that is empty.
    async fn ranges(
        &self,
        table: Table,
        ranges: Vec<Range>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let engine = Arc::clone(&self.shared.engine);
        self.shared
            .readers
            .run(move || {
                let mut rows = Vec::new();
                for range in &ranges {
                    let left = limit.saturating_sub(rows.len());
                    if left == 0 {
                        break;
                    }
                    rows.append(&mut engine.range(table, range, left, Order::Ascending)?);
                }
                Ok(rows)
            })
            .await?
    }

    async fn commit(&self, batch: Batch) -> Result<(), Error> {
        batch.check_limits()?;
        let (answer, answered) = oneshot::channel();
        self.shared.writer.submit(Job { batch, answer }).await?;
        answered.await.map_err(|oneshot::Canceled| Error::Closed)?
    }

    async fn export<W>(&self, sink: W) -> Result<(W, dump::Summary), DumpError>
    where
        W: io::Write + Send + 'static,
    {
        let engine = Arc::clone(&self.shared.engine);
        self.shared.readers.run(move || engine.export(sink)).await?
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Long reads end early; queued commits are still answered.
        self.engine.stop();
    }
}
