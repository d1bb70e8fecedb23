//! A store in memory: yields at random, can be copied, looked into, altered, and made to fail.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use store::staging::Staging;
use store::{Batch, DumpError, Error, Order, Range, Store, Table, dump};
use vault::{Custody, CustodyError, CustodyFile};

pub type Rows = BTreeMap<(&'static str, Bytes), Bytes>;

/// How many more durable steps there are before everything fails, as after a crash, or before one
/// step fails and all is well again.
#[derive(Clone)]
pub struct Fuse {
    left: Arc<AtomicI64>,
    once: bool,
}

impl Fuse {
    pub fn never() -> Self {
        Self::after(i64::MAX)
    }

    pub fn after(steps: i64) -> Self {
        Self {
            left: Arc::new(AtomicI64::new(steps)),
            once: false,
        }
    }

    pub fn once_after(steps: i64) -> Self {
        Self {
            once: true,
            ..Self::after(steps)
        }
    }

    pub fn burn(&self) -> bool {
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        left > 0 || (self.once && left < 0)
    }

    pub fn burnt(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0 && !self.once
    }
}

#[derive(Clone)]
pub struct MemoryStore {
    pub rows: Arc<Mutex<Rows>>,
    fuse: Fuse,
    // Yields pseudo-randomly before each call when not zero.
    yields: Arc<AtomicU64>,
    // While set, commits wait before they happen.
    held: Arc<AtomicBool>,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::of(Rows::new())
    }

    pub fn of(rows: Rows) -> Self {
        Self {
            rows: Arc::new(Mutex::new(rows)),
            fuse: Fuse::never(),
            yields: Arc::new(AtomicU64::new(0)),
            held: Arc::new(AtomicBool::new(false)),
        }
    }

    pub fn with_hold(&self, held: Arc<AtomicBool>) -> Self {
        Self {
            held,
            ..self.clone()
        }
    }

    pub fn with_fuse(&self, fuse: Fuse) -> Self {
        Self {
            fuse,
            ..self.clone()
        }
    }

    pub fn with_yields(&self, seed: u64) -> Self {
        Self {
            yields: Arc::new(AtomicU64::new(seed | 1)),
            ..self.clone()
        }
    }

    pub fn copied(&self) -> Rows {
        self.rows.lock().unwrap().clone()
    }

    async fn pause(&self) {
        let seed = self.yields.load(Ordering::Relaxed);
        if seed == 0 {
            return;
        }
        let next = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.yields.store(next | 1, Ordering::Relaxed);
        for _ in 0..(next >> 61) {
            once_pending().await;
        }
    }
}

async fn once_pending() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if yielded {
            return std::task::Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

impl Store for MemoryStore {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.pause().await;
        if self.fuse.burnt() {
            return Err(Error::Closed);
        }
        let rows = self.rows.lock().unwrap();
        Ok(rows
            .get(&(table.name(), Bytes::copy_from_slice(key)))
            .cloned())
    }

    async fn range(
        &self,
        table: Table,
        range: Range,
        limit: usize,
        order: Order,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.pause().await;
        if self.fuse.burnt() {
            return Err(Error::Closed);
        }
        let rows = self.rows.lock().unwrap();
        let mut found: Vec<_> = rows
            .iter()
            .filter(|((name, key), _)| *name == table.name() && range.contains(key))
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        if order == Order::Descending {
            found.reverse();
        }
        found.truncate(limit);
        Ok(found)
    }

    async fn commit(&self, batch: Batch) -> Result<(), Error> {
        self.pause().await;
        while self.held.load(Ordering::SeqCst) {
            once_pending().await;
        }
        batch.check_limits()?;
        if !self.fuse.burn() {
            return Err(Error::Closed);
        }
        let mut rows = self.rows.lock().unwrap();
        let mut staging = Staging::new();
        staging.add(
            &batch,
            |table, key| Ok(rows.get(&(table.name(), key.clone())).cloned()),
            |table, range| {
                let keys = rows.keys();
                let inside =
                    keys.filter(|(name, key)| *name == table.name() && range.contains(key));
                Ok(inside.map(|(_, key)| key.clone()).collect())
            },
        )?;
        for (table, key, value) in staging.changes() {
            match value {
                Some(value) => rows.insert((table.name(), key.clone()), value.clone()),
                None => rows.remove(&(table.name(), key.clone())),
            };
        }
        Ok(())
    }

    async fn export<W: Write + Send + 'static>(
        &self,
        sink: W,
    ) -> Result<(W, dump::Summary), DumpError> {
        let rows = self.copied();
        let mut writer = dump::Writer::new(sink)?;
        for ((table, key), value) in rows {
            writer.row(table, &key, &value)?;
        }
        writer.finish()
    }
}

/// Key files that fail with a fuse.
pub struct Fused<C> {
    pub custody: C,
    pub fuse: Fuse,
}

impl<C: Custody> Fused<C> {
    fn burn(&self) -> Result<(), CustodyError> {
        if self.fuse.burn() {
            return Ok(());
        }
        Err(CustodyError::Io {
            doing: "writing",
            file: String::new(),
            kind: std::io::ErrorKind::Other,
        })
    }
}

impl<C: Custody> Custody for Fused<C> {
    fn read(&self, file: CustodyFile) -> Result<Option<Vec<u8>>, CustodyError> {
        self.custody.read(file)
    }

    fn replace(&self, file: CustodyFile, bytes: &[u8]) -> Result<(), CustodyError> {
        self.burn()?;
        self.custody.replace(file, bytes)
    }

    fn destroy(&self, file: CustodyFile) -> Result<(), CustodyError> {
        self.burn()?;
        self.custody.destroy(file)
    }

    fn key_tables(&self) -> Result<Vec<CustodyFile>, CustodyError> {
        self.custody.key_tables()
    }
}
