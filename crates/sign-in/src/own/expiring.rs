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
}

impl Expiring {
    /// Those in this file.
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self {
            path: path.to_owned(),
            held: Mutex::new(file::load(path)?),
        })
    }

    /// Remembers an id until then; durable when it returns. False: it is remembered already, or there is no
    /// room.
    pub(crate) fn add(&self, id: &str, until_s: u64, now_s: u64) -> Result<bool, FileError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, until| *until > now_s);
        if held.contains_key(id) || held.len() >= MAX_IDS {
            return Ok(false);
        }
        held.insert(id.to_owned(), until_s);
        if let Err(error) = file::replace(&self.path, &*held) {
            held.remove(id);
            return Err(error);
        }
        Ok(true)
    }

    /// Whether an id is remembered.
    pub(crate) fn has(&self, id: &str) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.contains_key(id)
    }
}
