//! One machine's disk: what was synced survives a crash, the rest is lost, kept or torn.
//!
//! Keeps the contract of [`commonware_runtime::Storage`]. A write that was not synced may be torn into
//! any part of its bytes; what it did not cover stays as it was. A full disk takes no write and no
//! growth; what is there can be read, synced and removed.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use commonware_runtime::{
    Blob, BlobVersion, BufMut as _, Error, Handle, IoBufs, IoBufsMut, ReadOptions, Storage,
    WriteOptions,
};

use crate::dice::Dice;

type Name = (String, Vec<u8>);

/// Bytes of a write that reach the platter together.
const SECTOR: usize = 512;

/// A disk. Cheap to clone; clones are the same disk.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<Shelf>>);

#[derive(Default)]
struct Shelf {
    files: BTreeMap<Name, Arc<Mutex<File>>>,
    full: bool,
    lies: bool,
}

#[derive(Clone, Default)]
struct File {
    name: Name,
    version: BlobVersion,
    durable: Vec<u8>,
    live: Vec<u8>,
    /// Since the last sync, in order; what was written through is kept at a crash.
    unsynced: Vec<(Change, Kept)>,
    open: Weak<()>,
}

/// Whether a change is durable before the next sync.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Surely,
    Perhaps,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(to, *offset, bytes),
            Self::Resize(len) => to.resize(*len, 0),
        }
    }

    /// What a crash leaves of it.
    fn tear(&self, dice: &mut Dice, to: &mut Vec<u8>) {
        match (dice.below(3), self) {
            (0, _) => {}
            (1, _) | (_, Self::Resize(_)) => self.apply(to),
            (_, Self::Write { offset, bytes }) if dice.one_in(2) => {
                let kept = dice.below(bytes.len().saturating_add(1));
                put(to, *offset, &bytes[..kept]);
            }
            (_, Self::Write { offset, bytes }) => {
                for (index, sector) in bytes.chunks(SECTOR).enumerate() {
                    if dice.one_in(2) {
                        put(to, offset + index * SECTOR, sector);
                    }
                }
            }
        }
    }
}

fn put(to: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if end > to.len() && !bytes.is_empty() {
        to.resize(end, 0);
    }
    if !bytes.is_empty() {
        to[offset..end].copy_from_slice(bytes);
    }
}

impl File {
    fn sync(&mut self) {
        for (change, _) in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
    }
}

impl Disk {
    /// The machine loses its power: handles of before reach nothing any more.
    pub fn crash(&self, dice: &mut Dice) {
        let mut shelf = lock(&self.0);
        for file in shelf.files.values_mut() {
            let before = lock(file).clone();
            let mut kept = before.durable;
            for (change, keeping) in &before.unsynced {
                match keeping {
                    Kept::Surely => change.apply(&mut kept),
                    Kept::Perhaps => change.tear(dice, &mut kept),
                }
            }
            *file = Arc::new(Mutex::new(File {
                name: before.name,
                version: before.version,
                live: kept.clone(),
                durable: kept,
                ..File::default()
            }));
        }
    }

    /// A copy of what is durable now.
    #[must_use]
    pub fn copy(&self) -> Self {
        let shelf = lock(&self.0);
        let files = shelf.files.iter().map(|(name, file)| {
            let file = lock(file);
            let mut durable = file.durable.clone();
            for (change, _) in file
                .unsynced
                .iter()
                .filter(|(_, kept)| *kept == Kept::Surely)
            {
                change.apply(&mut durable);
            }
            let copy = File {
                name: file.name.clone(),
                version: file.version,
                live: durable.clone(),
                durable,
                ..File::default()
            };
            (name.clone(), Arc::new(Mutex::new(copy)))
        });
        Self(Arc::new(Mutex::new(Shelf {
            files: files.collect(),
            ..Shelf::default()
        })))
    }

    /// Whether it says that it synced and does not: what looks at the simulation must notice.
    pub fn lie(&self, lies: bool) {
        lock(&self.0).lies = lies;
    }

    /// Whether it takes no more bytes.
    pub fn fill(&self, full: bool) {
        lock(&self.0).full = full;
    }

    /// Whether it is full now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        lock(&self.0).full
    }

    fn lies(&self) -> bool {
        lock(&self.0).lies
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hex(name: &[u8]) -> String {
    name.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Storage for Disk {
    type Blob = Opened;

    async fn open_versioned(
        &self,
        partition: &str,
        name: &[u8],
        versions: RangeInclusive<BlobVersion>,
    ) -> Result<(Self::Blob, u64, BlobVersion), Error> {
        let legal = |byte: char| byte.is_ascii_alphanumeric() || byte == '-' || byte == '_';
        if partition.is_empty() || !partition.chars().all(legal) {
            return Err(Error::PartitionNameInvalid(partition.into()));
        }
        let mut shelf = lock(&self.0);
        let key = (partition.to_owned(), name.to_vec());
        let full = shelf.full;
        let file = match shelf.files.get(&key) {
            Some(file) => file.clone(),
            None if full => return Err(no_space().into()),
            None => {
                let file = Arc::new(Mutex::new(File {
                    name: key.clone(),
                    version: *versions.end(),
                    ..File::default()
                }));
                shelf.files.insert(key, file.clone());
                file
            }
        };
        drop(shelf);
        let lease = Arc::new(());
        let (len, version) = {
            let mut file = lock(&file);
            if file.open.strong_count() > 0 {
                return Err(Error::BlobAlreadyOpen(partition.into(), hex(name)));
            }
            if !versions.contains(&file.version) {
                return Err(Error::BlobVersionMismatch {
                    expected: versions,
                    found: file.version,
                });
            }
            // What can be read at the opening must survive.
            file.sync();
            file.open = Arc::downgrade(&lease);
            (file.live.len() as u64, file.version)
        };
        let opened = Opened {
            disk: self.clone(),
            file,
            _lease: lease,
        };
        Ok((opened, len, version))
    }

    async fn remove(&self, partition: &str, name: Option<&[u8]>) -> Result<(), Error> {
        let mut shelf = lock(&self.0);
        let before = shelf.files.len();
        shelf.files.retain(|(there, blob), _| {
            there != partition || name.is_some_and(|name| name != blob.as_slice())
        });
        match (before == shelf.files.len(), name) {
            (false, _) => Ok(()),
            (true, Some(name)) => Err(Error::BlobMissing(partition.into(), hex(name))),
            (true, None) => Err(Error::PartitionMissing(partition.into())),
        }
    }

    async fn scan(&self, partition: &str) -> Result<Vec<Vec<u8>>, Error> {
        let shelf = lock(&self.0);
        let names = shelf.files.keys();
        let found: Vec<_> = names
            .filter(|(there, _)| there == partition)
            .map(|(_, name)| name.clone())
            .collect();
        if found.is_empty() {
            return Err(Error::PartitionMissing(partition.into()));
        }
        Ok(found)
    }
}

fn no_space() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

/// An open file.
pub struct Opened {
    disk: Disk,
    file: Arc<Mutex<File>>,
    _lease: Arc<()>,
}

fn place(offset: u64) -> Result<usize, Error> {
    usize::try_from(offset).map_err(|_| Error::OffsetOverflow)
}

impl Opened {
    fn slice(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let offset = place(offset)?;
        let end = offset.checked_add(len).ok_or(Error::OffsetOverflow)?;
        let file = lock(&self.file);
        let bytes = file.live.get(offset..end);
        bytes
            .map(<[u8]>::to_vec)
            .ok_or(Error::BlobInsufficientLength)
    }

    fn change(&self, change: Change, synced: bool) -> Result<(), Error> {
        if self.disk.is_full() {
            return Err(no_space().into());
        }
        let mut file = lock(&self.file);
        change.apply(&mut file.live);
        let kept = match synced && !self.disk.lies() {
            true => Kept::Surely,
            false => Kept::Perhaps,
        };
        file.unsynced.push((change, kept));
        Ok(())
    }
}

impl Blob for Opened {
    async fn read_at_buf(
        &self,
        offset: u64,
        len: usize,
        bufs: impl Into<IoBufsMut> + Send,
        _: ReadOptions,
    ) -> Result<IoBufsMut, Error> {
        let bytes = self.slice(offset, len)?;
        let mut bufs = bufs.into();
        if bufs.len() == len {
            bufs.copy_from_slice(&bytes);
        } else {
            bufs.put_slice(&bytes);
        }
        Ok(bufs)
    }

    async fn read_at(&self, offset: u64, len: usize, _: ReadOptions) -> Result<IoBufsMut, Error> {
        self.slice(offset, len).map(IoBufsMut::from)
    }

    async fn write_at(
        &self,
        offset: u64,
        bufs: impl Into<IoBufs> + Send,
        options: WriteOptions,
    ) -> Result<(), Error> {
        let bytes = bufs.into().coalesce().as_ref().to_vec();
        let offset = place(offset)?;
        let change = Change::Write { offset, bytes };
        self.change(change, options.contains(WriteOptions::SYNC))
    }

    async fn resize(&self, len: u64) -> Result<(), Error> {
        self.change(Change::Resize(place(len)?), false)
    }

    async fn sync(&self) -> Result<(), Error> {
        if !self.disk.lies() {
            lock(&self.file).sync();
        }
        Ok(())
    }

    async fn start_sync(&self) -> Handle<()> {
        Handle::ready(self.sync().await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;

    fn write(blob: &Opened, offset: u64, bytes: &[u8], options: WriteOptions) {
        block_on(blob.write_at(offset, bytes.to_vec(), options)).unwrap();
    }

    fn content(disk: &Disk) -> Vec<u8> {
        let (blob, len) = block_on(disk.open("p", b"n")).unwrap();
        blob.slice(0, usize::try_from(len).unwrap()).unwrap()
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_any_part_of_the_rest() {
        let (mut whole, mut lost, mut torn) = (0, 0, 0);
        for seed in 0..200 {
            let disk = Disk::default();
            let (blob, _) = block_on(disk.open("p", b"n")).unwrap();
            write(&blob, 0, &[1; 2_048], WriteOptions::default());
            block_on(blob.sync()).unwrap();
            write(&blob, 1_024, &[2; 2_048], WriteOptions::default());
            write(&blob, 4_096, &[3; 4], WriteOptions::SYNC);
            disk.crash(&mut Dice::new(seed));
            // A handle from before the crash changes nothing.
            write(&blob, 0, &[9; 8], WriteOptions::SYNC);
            let after = content(&disk);
            assert_eq!(after[..1_024], [1; 1_024]);
            assert_eq!(after[4_096..4_100], [3; 4]);
            match after[1_024..3_072]
                .iter()
                .filter(|byte| **byte == 2)
                .count()
            {
                0 => lost += 1,
                2_048 => whole += 1,
                _ => torn += 1,
            }
        }
        assert!(
            whole > 30 && lost > 30 && torn > 30,
            "{whole} {lost} {torn}"
        );
    }

    #[test]
    fn what_was_written_through_is_not_undone_by_what_came_before() {
        for seed in 0..50 {
            let disk = Disk::default();
            let (blob, _) = block_on(disk.open("p", b"n")).unwrap();
            write(&blob, 0, &[1; 1_024], WriteOptions::default());
            write(&blob, 0, &[2; 512], WriteOptions::SYNC);
            if seed % 2 == 0 {
                block_on(blob.sync()).unwrap();
            }
            disk.crash(&mut Dice::new(seed));
            assert_eq!(content(&disk)[..512], [2; 512]);
        }
    }

    #[test]
    fn a_full_disk_takes_nothing_and_loses_nothing() {
        let disk = Disk::default();
        let (blob, _) = block_on(disk.open("p", b"n")).unwrap();
        write(&blob, 0, b"kept", WriteOptions::SYNC);
        disk.fill(true);
        let refused = block_on(blob.write_at(4, b"more".to_vec(), WriteOptions::SYNC));
        assert!(matches!(refused, Err(Error::Io(_))));
        assert!(block_on(disk.open("p", b"other")).is_err());
        drop(blob);
        disk.fill(false);
        assert_eq!(content(&disk), b"kept");
    }
}
