//! What can go wrong in the vault. Never carries a stored byte.

use crate::backup::BackupError;
use crate::custody::CustodyError;
use codec::{Millis, RecordId};

/// Why the vault did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The key files refused or failed.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// No compartment of this subject.
    #[error("no compartment of this subject at this institution")]
    SubjectUnknown,
    /// The compartment was erased, or its erasure has begun.
    #[error("the subject's records were erased at this institution")]
    SubjectErased,
    /// No such record.
    #[error("no record {0} of this subject")]
    RecordUnknown(RecordId),
    /// No such version of a record.
    #[error("record {record} has no version {version}")]
    VersionUnknown {
        /// The record.
        record: RecordId,
        /// The version asked for.
        version: u32,
    },
    /// No such thing of another kind.
    #[error("no such {0}")]
    Unknown(&'static str),
    /// Something else was there first.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A row that does not open, or does not read as what it should be.
    #[error("a row of table {table} is damaged or out of place; restore it from a backup")]
    Damaged {
        /// The table.
        table: &'static str,
    },
    /// A subject's rows are there but its key is not.
    #[error("a subject's key is missing from its key table; restore the key tables from a backup")]
    KeyLost,
    /// Store and keys do not belong together.
    #[error("the store belongs to another institution, or to other keys")]
    OtherOwner,
    /// The store was written by another version of the software.
    #[error(
        "the store has format {found} and this version of the software reads format {known}; \
         run the version that wrote it"
    )]
    UnknownFormat {
        /// What it has.
        found: u8,
        /// What is read here.
        known: u8,
    },
    /// A bounded queue is full.
    #[error("{queue} is full ({limit}); wait until the ledger has taken some")]
    Full {
        /// Which queue.
        queue: &'static str,
        /// How much it holds.
        limit: usize,
    },
    /// A legal hold stands against erasure.
    #[error("the compartment is held until {until} ({reason_code})")]
    Held {
        /// When the hold ends.
        until: Millis,
        /// The code of its reason.
        reason_code: String,
    },
    /// The audit compartment's retention is not over.
    #[error("disclosures are kept until {until}")]
    Retained {
        /// When it is over.
        until: Millis,
    },
    /// Other writers kept getting ahead.
    #[error("other writers kept changing the same rows; try again")]
    Busy,
    /// An argument that breaks a stated rule.
    #[error("{what}: {why}")]
    Invalid {
        /// Which argument.
        what: &'static str,
        /// The rule.
        why: &'static str,
    },
    /// A backup that could not be made or used.
    #[error(transparent)]
    Backup(#[from] BackupError),
}

/// What was there first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The same client key, or the same new record, with other bytes.
    #[error("record {record} is there with other content, at version {version}")]
    OtherBytes {
        /// The record that is there.
        record: RecordId,
        /// Its latest version.
        version: u32,
    },
    /// The expected version is not the latest one.
    #[error("record {record} is at version {version}")]
    Version {
        /// The record.
        record: RecordId,
        /// Its latest version, 0 if it does not exist.
        version: u32,
    },
    /// The consent state does not follow the latest one.
    #[error("the consent state is at sequence {sequence}")]
    Sequence {
        /// The latest accepted sequence.
        sequence: u64,
    },
    /// The subject has a compartment already, or the client key was used for another opening.
    #[error("the subject has a compartment already")]
    SubjectOpen,
    /// It was done already.
    #[error("{0}")]
    Done(&'static str),
}

impl Error {
    pub(crate) const fn invalid(what: &'static str, why: &'static str) -> Self {
        Self::Invalid { what, why }
    }
}
