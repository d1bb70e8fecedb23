//! Reading everything, to find damage.

use std::{
    collections::BTreeMap,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
};

use fjall::{Guard, Readable, Snapshot};
use store::{Error, row};

use crate::{
    engine::Engine,
    layout::{TIP_KEY, logical, table_end},
    manifest,
};

const PROGRESS_EVERY_ROWS: u64 = 1_000;

/// How far a verification has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows read.
    pub rows: u64,
    /// Bytes of values read.
    pub size_bytes: u64,
}

/// What a verification found. Names tables, never keys or values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Rows read, damaged ones included.
    pub rows: u64,
    /// Bytes of values read.
    pub size_bytes: u64,
    /// Rows whose value is damaged or unreadable, by table.
    pub damaged: BTreeMap<String, u64>,
    /// Stretches in which even keys were unreadable; rows may be missing from the counts.
    pub unreadable: u64,
    /// Files of the engine that do not match their checksums, whether or not rows suffer.
    pub damaged_files: u64,
}

impl Verification {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.damaged.is_empty() && self.unreadable == 0 && self.damaged_files == 0
    }
}

pub(crate) fn run(engine: &Engine, progress: impl FnMut(Progress)) -> Result<Verification, Error> {
    let mut walk = Walk {
        engine,
        snapshot: engine.snapshot(),
        found: Verification::default(),
        progress,
    };
    let mut from: Vec<u8> = Vec::new();
    loop {
        let Err(Stuck { after }) = walk.forward(&from)? else {
            return Ok(walk.found);
        };
        // The engine cannot read past the damage: read the rest of the table from its end, then go
        // on with the next table.
        walk.found.unreadable = walk.found.unreadable.saturating_add(1);
        let end = after.as_deref().or(Some(&from)).and_then(logical);
        let end = end.and_then(|(table, _)| table_end(table));
        // Where that gets stuck is taken to be the other side of the same damage.
        let _ = walk.backward(after.as_deref().unwrap_or(&from), end.as_deref())?;
        match end {
            Some(end) => from = end,
            None => break,
        }
    }
    walk.found.damaged_files = manifest::damaged_files(&engine.folder.join("engine"), || {
        if engine.is_stopping() {
            Err(Error::Closed)
        } else {
            Ok(())
        }
    })?;
    Ok(walk.found)
}

struct Walk<'a, P> {
    engine: &'a Engine,
    snapshot: Snapshot,
    found: Verification,
    progress: P,
}

/// The engine could not read on after this key.
struct Stuck {
    after: Option<Vec<u8>>,
}

type Walked = Result<Result<(), Stuck>, Error>;

impl<P: FnMut(Progress)> Walk<'_, P> {
    fn forward(&mut self, from: &[u8]) -> Walked {
        let bounds: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Included(from), Bound::Unbounded);
        let mut rows = self.snapshot.range::<&[u8], _>(&self.engine.rows, bounds);
        self.each(|| rows.next())
    }

    fn backward(&mut self, after: &[u8], end: Option<&[u8]>) -> Walked {
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        let bounds: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Excluded(after), end);
        let mut rows = self.snapshot.range::<&[u8], _>(&self.engine.rows, bounds);
        self.each(|| rows.next_back())
    }

    fn each(&mut self, mut next: impl FnMut() -> Option<Guard>) -> Walked {
        let mut last = None;
        loop {
            if self.engine.is_stopping() {
                return Err(Error::Closed);
            }
            let read = catch_unwind(AssertUnwindSafe(|| next().map(read)));
            match read {
                Ok(None) => return Ok(Ok(())),
                Ok(Some(Some((key, size)))) => {
                    self.count(&key, size);
                    last = Some(key);
                }
                Ok(Some(None)) | Err(_) => return Ok(Err(Stuck { after: last })),
            }
        }
    }

    fn count(&mut self, key: &[u8], size: Option<u64>) {
        if key == TIP_KEY && size.is_some() {
            return;
        }
        self.found.rows = self.found.rows.saturating_add(1);
        match size {
            Some(size) => self.found.size_bytes = self.found.size_bytes.saturating_add(size),
            None => {
                let table = logical(key).map_or("", |(table, _)| table).to_owned();
                let damaged = self.found.damaged.entry(table).or_default();
                *damaged = damaged.saturating_add(1);
            }
        }
        if self.found.rows.is_multiple_of(PROGRESS_EVERY_ROWS) {
            let (rows, size_bytes) = (self.found.rows, self.found.size_bytes);
            (self.progress)(Progress { rows, size_bytes });
        }
    }
}

/// A row's key and, if its value is intact, the value's size; `None` if not even the key is
/// readable.
fn read(guard: Guard) -> Option<(Vec<u8>, Option<u64>)> {
    let seen = std::cell::RefCell::new(None);
    let read = guard.into_inner_if(|key| {
        *seen.borrow_mut() = Some(key.to_vec());
        true
    });
    match read {
        Ok((key, value)) => {
            let stored = value.filter(|stored| {
                logical(&key).is_some_and(|(table, key)| row::is_intact(table, key, stored))
            });
            let size = stored.and_then(|stored| u64::try_from(stored.len()).ok());
            let checksum_bytes = u64::try_from(row::CHECKSUM_BYTES).unwrap_or_default();
            Some((
                key.to_vec(),
                size.map(|size| size.saturating_sub(checksum_bytes)),
            ))
        }
        Err(_) => seen.into_inner().map(|key| (key, None)),
    }
}
