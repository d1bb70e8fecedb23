//! Ids that are to be remembered until a time: what was revoked, and assertions that were used. Durable, because
//! a restart must not bring back what was revoked or used.

use crate::file::{self, FileError};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// How many are remembered.
const MAX_IDS: usize = 50_000;

/// Ids, each until a second since 1970.
#[derive(Debug)]
pub(crate) struct Expiring {
    path: PathBuf,
    held: Mutex<BTreeMap<String, u64>>,
    /// Held while the file is written, so that nobody waits for a disk who only looks.
    writing: Mutex<()>,
}

/// What became of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is remembered from now on.
    Now,
    /// It was remembered already.
    Before,
    /// There is no room.
    NoRoom,
}

impl Expiring {
    /// Those in this file.
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self {
            path: path.to_owned(),
            held: Mutex::new(file::load(path)?),
            writing: Mutex::default(),
        })
    }

    /// Remembers an id until then; durable when it returns. It counts at once, and still if the file cannot be
    /// written.
    pub(crate) fn add(&self, id: &str, until_s: u64, now_s: u64) -> Result<Added, FileError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let all = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.retain(|_, until| *until > now_s);
            if held.contains_key(id) {
                return Ok(Added::Before);
            }
            if held.len() >= MAX_IDS {
                return Ok(Added::NoRoom);
            }
            held.insert(id.to_owned(), until_s);
            held.clone()
        };
        file::replace(&self.path, &all)?;
        Ok(Added::Now)
    }

    /// Whether an id is remembered.
    pub(crate) fn has(&self, id: &str) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.contains_key(id)
    }
}
