//! The number of the last acknowledged group of commits, kept beside the engine.
//!
//! Written after each group's sync and before its answers, without a sync of its own: a process that
//! dies leaves it current, a loss of power may leave it behind, never ahead. So a store whose own
//! last number is smaller has lost something it acknowledged.
//!
//! File `tip`: two slots of 32 bytes at 0 and 4096, written in turn:
//! `"ithaca tip 1" (12) || zeros (4) || number (8, big endian) || CRC-64 (8)`.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use store::row;

const MAGIC: [u8; 16] = *b"ithaca tip 1\0\0\0\0";
const SLOT_BYTES: usize = 32;
const SLOT_OFFSETS: [u64; 2] = [0, 4096];

pub(crate) struct Witness {
    file: File,
    number: u64,
}

impl Witness {
    /// Opens the file, creating it with number zero. `None` if neither slot is intact.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        let existed = path.try_exists()?;
        let options = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .clone();
        let mut file = options.open(path)?;
        if !existed {
            let mut new = Self { file, number: 0 };
            new.write(0)?;
            new.write(1)?;
            new.file.sync_all()?;
            return Ok(Some(new));
        }
        let numbers = [
            read_slot(&mut file, SLOT_OFFSETS[0])?,
            read_slot(&mut file, SLOT_OFFSETS[1])?,
        ];
        let number = numbers.into_iter().flatten().max();
        Ok(number.map(|number| Self { file, number }))
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Notes that every group up to `number` is durable.
    pub(crate) fn note(&mut self, number: u64) -> io::Result<()> {
        self.number = number;
        self.write(number % 2)
    }

    /// Makes the last note durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&mut self, slot: u64) -> io::Result<()> {
        let sealed = row::seal("", &MAGIC, &self.number.to_be_bytes());
        let slot = SLOT_OFFSETS[usize::from(slot == 1)];
        self.file.seek(SeekFrom::Start(slot))?;
        self.file.write_all(&[&MAGIC[..], &sealed].concat())
    }
}

fn read_slot(file: &mut File, offset: u64) -> io::Result<Option<u64>> {
    let mut slot = [0; SLOT_BYTES];
    file.seek(SeekFrom::Start(offset))?;
    match file.read_exact(&mut slot) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let (magic, sealed) = slot.split_at(MAGIC.len());
    if magic != MAGIC || !row::is_intact("", &MAGIC, sealed) {
        return Ok(None);
    }
    Ok(sealed
        .first_chunk()
        .map(|number| u64::from_be_bytes(*number)))
}

#[cfg(test)]
mod tests {
    use super::Witness;

    #[test]
    fn a_damaged_slot_falls_back_by_one_and_two_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tip");
        let mut witness = Witness::open(&path).unwrap().unwrap();
        assert_eq!(witness.number(), 0);
        for number in 1..=7 {
            witness.note(number).unwrap();
        }
        let number = || {
            Witness::open(&path)
                .unwrap()
                .map(|witness| witness.number())
        };
        assert_eq!(number(), Some(7));

        let intact = std::fs::read(&path).unwrap();
        let newest = 4096..4096 + 32;
        for at in newest {
            let mut damaged = intact.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert_eq!(number(), Some(6), "byte {at}");
            damaged[3] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert_eq!(number(), None, "byte {at}");
        }
    }
}
