//! Key files in memory, for simulators and tests.

use super::{Custody, CustodyError, CustodyFile};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Key files in memory. Clones share them, so that a simulated crash can open them again.
#[derive(Clone, Default)]
pub struct MemoryCustody {
    files: Arc<Mutex<BTreeMap<CustodyFile, Vec<u8>>>>,
}

impl MemoryCustody {
    /// No files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A separate copy of the files as they are now.
    #[must_use]
    pub fn copied(&self) -> Self {
        Self {
            files: Arc::new(Mutex::new(self.lock().clone())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CustodyFile, Vec<u8>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Custody for MemoryCustody {
    fn read(&self, file: CustodyFile) -> Result<Option<Vec<u8>>, CustodyError> {
        Ok(self.lock().get(&file).cloned())
    }

    fn replace(&self, file: CustodyFile, bytes: &[u8]) -> Result<(), CustodyError> {
        self.lock().insert(file, bytes.to_vec());
        Ok(())
    }

    fn destroy(&self, file: CustodyFile) -> Result<(), CustodyError> {
        self.lock().remove(&file);
        Ok(())
    }

    fn key_tables(&self) -> Result<Vec<CustodyFile>, CustodyError> {
        let files = self.lock();
        let tables = files.keys().copied();
        Ok(tables
            .filter(|file| matches!(file, CustodyFile::KeyTable(..)))
            .collect())
    }
}

impl fmt::Debug for MemoryCustody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryCustody(<redacted>)")
    }
}
