//! Backup and restore of a whole node.
//!
//! A backup holds the store and the sealed key tables, never a passphrase, and no key that opens an
//! erased subject after the backup's stated expiry. A restored node refuses decisions until its consent
//! openings match the ledger's tip; a restored validator must get a new validator key.

use crate::caller::Caller;
use std::path::PathBuf;

/// Makes a backup while the node runs.
#[derive(Debug, Clone)]
pub struct Backup {
    /// An operator.
    pub caller: Caller,
    /// An empty or missing directory.
    pub directory: PathBuf,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupMade {
    /// Rows in it.
    pub rows: u64,
    /// The ledger's height when it began.
    pub height: u64,
}
