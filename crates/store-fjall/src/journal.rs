//! Walking the engine's journals before the engine may open them.
//!
//! The engine cuts a journal at the first thing it cannot read, which would turn a flipped bit into
//! missing commits. So the journals are walked first, to see that they hold every group of
//! commits up to the last acknowledged one, without a gap.
//!
//! Format (fjall 3.1, little endian): batches of `1, items (4), seqno (8)`, then per item `2, kind
//! (1), compression (1), tree (8), key length (2), value length (4), stored length (4), key, value`,
//! then `3, XXH3-64 of the items (8), "FJL" 3`; then zeros.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::Xxh3;

use crate::{folder::OpenError, layout::TIP_KEY};

/// Walks the journals; the number of the last complete group in them, if they hold any.
pub(crate) fn check(engine: &Path, acknowledged: u64) -> Result<Option<u64>, OpenError> {
    let reading = |source| OpenError::Io {
        doing: "reading a journal",
        source,
    };
    let journals = journal_files(engine).map_err(reading)?;
    let mut last: Option<u64> = None;
    for (at, (_, path)) in journals.iter().enumerate() {
        let walked = walk(path).map_err(reading)?;
        let is_active = at.checked_add(1) == Some(journals.len());
        match (walked, last) {
            (None, _) if is_active => {}
            (None, _) => {
                return Err(OpenError::Damaged {
                    what: "a sealed journal is unreadable",
                });
            }
            (Some((first, _)), Some(previous)) if previous.checked_add(1) != Some(first) => {
                return Err(OpenError::Damaged {
                    what: "a journal lacks commits",
                });
            }
            (Some((_, newest)), _) => last = Some(newest),
        }
    }
    if last.is_some_and(|last| last < acknowledged) {
        return Err(OpenError::Damaged {
            what: "the journal lacks acknowledged commits",
        });
    }
    Ok(last)
}

/// The journals, oldest first; the last one is being written to.
fn journal_files(engine: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(engine)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".jnl"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            journals.push((number, path));
        }
    }
    journals.sort();
    Ok(journals)
}

/// The first and last number of the complete, consecutive groups at a journal's start.
fn walk(path: &Path) -> io::Result<Option<(u64, u64)>> {
    let file = File::open(path)?;
    let left = file.metadata()?.len();
    let reader = BufReader::with_capacity(1 << 16, file);
    let mut journal = Journal {
        reader,
        left,
        items: Xxh3::new(),
    };
    let mut found: Option<(u64, u64)> = None;
    loop {
        match journal.group() {
            Ok(Some(number)) => match found {
                None => found = Some((number, number)),
                Some((first, last)) if last.checked_add(1) == Some(number) => {
                    found = Some((first, number));
                }
                Some(_) => return Ok(found),
            },
            Ok(None) => return Ok(found),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(found),
            Err(error) => return Err(error),
        }
    }
}

struct Journal {
    reader: BufReader<File>,
    left: u64,
    items: Xxh3,
}

impl Journal {
    /// The number of the next group; `None` where it is not a complete, intact group.
    fn group(&mut self) -> io::Result<Option<u64>> {
        if self.take::<1>()? != [1] {
            return Ok(None);
        }
        let items = u32::from_le_bytes(self.take()?);
        let _seqno = self.take::<8>()?;
        self.items.reset();
        let mut number = None;
        for _ in 0..items {
            match self.item()? {
                Item::Unreadable => return Ok(None),
                Item::Row => {}
                Item::Number(found) => number = Some(found),
            }
        }
        let items = self.items.digest();
        let is_intact = self.take()? == [3]
            && u64::from_le_bytes(self.take()?) == items
            && self.take()? == *b"FJL\x03";
        Ok(number.filter(|_| is_intact))
    }

    fn item(&mut self) -> io::Result<Item> {
        if self.take()? != [2] {
            return Ok(Item::Unreadable);
        }
        let _kind_compression_tree = self.take::<10>()?;
        let key_length = u16::from_le_bytes(self.take()?);
        let value_length = u32::from_le_bytes(self.take()?);
        let stored_length = u32::from_le_bytes(self.take()?);
        if value_length != stored_length {
            return Ok(Item::Unreadable);
        }
        if usize::from(key_length) != TIP_KEY.len() {
            self.skip(u64::from(key_length))?;
            self.skip(u64::from(stored_length))?;
            return Ok(Item::Row);
        }
        let key: [u8; TIP_KEY.len()] = self.take()?;
        if key != TIP_KEY || stored_length < 8 {
            self.skip(u64::from(stored_length))?;
            return Ok(Item::Row);
        }
        let number = u64::from_be_bytes(self.take()?);
        self.skip(u64::from(stored_length).saturating_sub(8))?;
        Ok(Item::Number(number))
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.items.update(&bytes);
        self.left = self
            .left
            .saturating_sub(u64::try_from(N).unwrap_or(u64::MAX));
        Ok(bytes)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
        self.left = self.left.checked_sub(bytes).ok_or_else(ended)?;
        let mut remaining = usize::try_from(bytes).map_err(io::Error::other)?;
        while remaining > 0 {
            let buffer = self.reader.fill_buf()?;
            let part = buffer.get(..remaining).unwrap_or(buffer);
            if part.is_empty() {
                return Err(ended());
            }
            self.items.update(part);
            let read = part.len();
            self.reader.consume(read);
            remaining = remaining.saturating_sub(read);
        }
        Ok(())
    }
}

enum Item {
    Row,
    /// The row that numbers the group.
    Number(u64),
    Unreadable,
}
