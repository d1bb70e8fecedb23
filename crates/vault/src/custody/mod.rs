//! The port to the few small files that hold keys, outside the key-value store.
//!
//! A journal, sorted table or backup of the store keeps old bytes for as long as it likes; these files
//! are replaced in place. Everything in them is sealed before it gets here: root key under the
//! passphrase, ring of table keys and identity under the root key, key tables under their table key.
//!
//! Inputs and outputs are whole files of at most a few hundred kilobytes. Errors name the file, never
//! its content. The port knows nothing of what it holds.

mod file;
mod memory;

pub use file::{FileCustody, FileStep};
pub use memory::MemoryCustody;

use std::fmt;

/// Where the key files live. Every call is synchronous and short.
pub trait Custody: Send + Sync + 'static {
    /// The content of a file; `None` if there is none.
    ///
    /// # Errors
    /// [`CustodyError::Io`].
    fn read(&self, file: CustodyFile) -> Result<Option<Vec<u8>>, CustodyError>;

    /// Replaces (or makes) a file: atomically, and durably when it returns `Ok`. Where
    /// [`CustodyFile::is_destroyed`], the old bytes are overwritten as far as the medium allows.
    ///
    /// # Errors
    /// [`CustodyError::Io`]; whether the file was replaced is then unknown until it is read again.
    fn replace(&self, file: CustodyFile, bytes: &[u8]) -> Result<(), CustodyError>;

    /// Overwrites and removes a file; does nothing if there is none.
    ///
    /// # Errors
    /// [`CustodyError::Io`].
    fn destroy(&self, file: CustodyFile) -> Result<(), CustodyError>;

    /// Every key table there is, of any generation.
    ///
    /// # Errors
    /// [`CustodyError::Io`].
    fn key_tables(&self) -> Result<Vec<CustodyFile>, CustodyError>;
}

/// One of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CustodyFile {
    /// The root key, sealed under the passphrase.
    RootKey,
    /// The ring of table keys, sealed under the root key. Erasure destroys its old bytes.
    TableKeys,
    /// The institution's own seeds, sealed under the root key.
    Identity,
    /// One shard of the key tables, sealed under the table key of its slot and generation.
    KeyTable(Slot, u64),
}

/// One slot of the ring: a shard of the compartment keys or of the audit keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// What the keys of this shard open.
    pub kind: KeyKind,
    /// The first byte of the subject ids in it.
    pub shard: u8,
}

/// What a subject's key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Records, consent and index: destroyed by erasure.
    Compartment,
    /// Disclosures, sessions, notices: outlives the records, with its own retention.
    Audit,
}

impl KeyKind {
    /// Both kinds, in the order of the ring.
    pub const ALL: [Self; 2] = [Self::Compartment, Self::Audit];

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Compartment => 0,
            Self::Audit => 1,
        }
    }
}

impl CustodyFile {
    /// The file's path below an institution's folder.
    #[must_use]
    pub fn path(self) -> String {
        match self {
            Self::RootKey => "custody/root.key".to_owned(),
            Self::TableKeys => "custody/table-keys".to_owned(),
            Self::Identity => "custody/identity".to_owned(),
            Self::KeyTable(slot, generation) => {
                let prefix = match slot.kind {
                    KeyKind::Compartment => "",
                    KeyKind::Audit => "audit-",
                };
                format!("key-tables/{prefix}{:02x}.{generation}", slot.shard)
            }
        }
    }

    /// The key table whose file name this is.
    #[must_use]
    pub fn of_key_table(name: &str) -> Option<Self> {
        let (stem, generation) = name.split_once('.')?;
        let (kind, shard) = match stem.strip_prefix("audit-") {
            Some(shard) => (KeyKind::Audit, shard),
            None => (KeyKind::Compartment, stem),
        };
        let slot = Slot {
            kind,
            shard: u8::from_str_radix(shard, 16).ok()?,
        };
        let file = Self::KeyTable(slot, generation.parse().ok()?);
        // Only the spelling `path` gives: "+1" and "1F" parse but are not ours.
        (file.path().strip_prefix("key-tables/") == Some(name)).then_some(file)
    }

    /// Whether replacing it must destroy the old bytes: they hold keys that the new ones do not.
    #[must_use]
    pub const fn is_destroyed(self) -> bool {
        matches!(self, Self::RootKey | Self::TableKeys | Self::Identity)
    }
}

impl fmt::Display for CustodyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.path())
    }
}

/// Why the key files could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CustodyError {
    /// The passphrase is wrong, or the root key file was damaged: one cannot be told from the other.
    #[error("custody/root.key does not open: the passphrase is wrong, or the file is damaged")]
    WrongPassphrase,
    /// The cost of the passphrase is out of bounds.
    #[error("the cost parameters of the passphrase are out of bounds")]
    PasswordParams,
    /// A file is not there.
    #[error("{file} is missing; restore it from a backup")]
    Missing {
        /// The file.
        file: CustodyFile,
    },
    /// A file does not open under its key, or does not read as what it should be.
    #[error("{file} is damaged; restore it from a backup")]
    Damaged {
        /// The file.
        file: CustodyFile,
    },
    /// There are keys already.
    #[error("there are keys already (custody/root.key exists); choose an empty folder")]
    Exists,
    /// Another process has it open.
    #[error("the keys are in use by another process; stop that one first")]
    InUse,
    /// An earlier replacement failed half way.
    #[error(
        "an earlier write of the key files failed, so they are not changed; restart to recover"
    )]
    Poisoned,
    /// The operating system failed.
    #[error("{doing} {file} failed: {kind}")]
    Io {
        /// What was being done: "reading".
        doing: &'static str,
        /// The file, below the institution's folder.
        file: String,
        /// The kind of failure.
        kind: std::io::ErrorKind,
    },
}

#[cfg(test)]
mod tests {
    use super::{CustodyFile, KeyKind, Slot};

    #[test]
    fn key_table_names_read_back() {
        for kind in KeyKind::ALL {
            for shard in [0, 9, 0x7f, 0xff] {
                for generation in [1, u64::MAX] {
                    let file = CustodyFile::KeyTable(Slot { kind, shard }, generation);
                    let path = file.path();
                    let name = path.strip_prefix("key-tables/").unwrap();
                    assert_eq!(CustodyFile::of_key_table(name), Some(file));
                }
            }
        }
        for other in [
            "",
            "7f",
            "7f.",
            "7F.1",
            "7f.+1",
            "7f.1.tmp",
            "audit-7f.x",
            "+7.1",
            "007f.1",
        ] {
            assert_eq!(CustodyFile::of_key_table(other), None, "{other}");
        }
    }
}
