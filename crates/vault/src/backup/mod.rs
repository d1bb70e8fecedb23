//! Backups: a folder that makes a custodian's vault again, until its expiry.
//!
//! | file | holds |
//! |---|---|
//! | `manifest` | format, institution, times, number of rows: readable, bound to the rest |
//! | `key` | the backup's random key, sealed under the backup passphrase |
//! | `custody` | key tables and identity (without the validator seed), sealed under that key |
//! | `rows` | a dump of the store, sealed in chunks under that key |
//!
//! A backup keeps the keys of everybody who was not erased when it was made, so it is the one place
//! from which an erased subject could come back. Three things end that: opening refuses it after its
//! expiry; destroying its small `key` file ([`expire`]) makes the rest unreadable, wherever copies of
//! the large files are; restoring takes the list of subjects erased since and leaves their keys out.
//! Whoever keeps a copy of `key` and knows the passphrase is trusted to let it go at expiry.
//!
//! Restoring makes new root and table keys and a new validator seed, and marks the vault as restored:
//! what came after the backup is on the ledger but not here.

mod chunks;
mod folder;
mod restore;

pub use chunks::RowsReader;
pub use restore::Backup;

use crate::keychain::{KeyTable, slot_of};
use crate::vault::Vault;
use crate::{Error, custody::Slot};
use chunks::ChunkWriter;
use codec::{Domain, InstitutionId, Millis, Reader, Writer, record};
use folder::Folder;
use keys::{Entropy, PasswordParams, Secret, Zeroizing};
use std::path::Path;
use store::Store;

const FORMAT: u64 = 1;
const MANIFEST: &str = "manifest";
const KEY: &str = "key";
const CUSTODY: &str = "custody";
const ROWS: &str = "rows";

/// What a backup is made with.
#[derive(Clone, Copy)]
pub struct BackupTerms<'a> {
    /// Seals the backup's key.
    pub passphrase: &'a [u8],
    /// The cost of guessing it.
    pub params: PasswordParams,
    /// When it is made.
    pub now: Millis,
    /// From when on it must not be restored.
    pub expires: Millis,
}

record! {
    /// What a backup says about itself.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Manifest {
        /// The version of this layout.
        1 => pub format: u64,
        /// Whose vault it is.
        2 => pub custodian: InstitutionId,
        /// When it was made.
        3 => pub made: Millis,
        /// From when on it must not be restored.
        4 => pub expires: Millis,
        /// Rows in the dump.
        5 => pub rows: u64,
        /// Digest of the dump.
        6 => pub digest: [u8; 32],
    }
}

/// Why a backup could not be made or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The passphrase is wrong, or the key file was damaged.
    #[error("the backup does not open: the passphrase is wrong, or its key file is damaged")]
    WrongPassphrase,
    /// Past its expiry.
    #[error("the backup expired at {0}: what was erased since must not come back")]
    Expired(Millis),
    /// A file is missing, changed, or of another backup.
    #[error("the backup is damaged: its file {0} is missing, altered, or of another backup")]
    Damaged(&'static str),
    /// A format this build does not know.
    #[error("the backup has the unknown format {0}")]
    UnknownFormat(u64),
    /// The folder for it is not empty.
    #[error("a backup is made in an empty folder")]
    NotEmpty,
    /// The expiry is not after the making.
    #[error("a backup's expiry lies after its making")]
    NoTime,
    /// The cost of the passphrase is out of bounds.
    #[error("the cost parameters of the passphrase are out of bounds")]
    PasswordParams,
    /// The store could not be dumped.
    #[error("the store could not be dumped: {0}")]
    Dump(String),
    /// The operating system failed.
    #[error("{doing} the backup's file {file} failed: {kind}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        file: &'static str,
        /// The kind of failure.
        kind: std::io::ErrorKind,
    },
}

impl<S: Store> Vault<S> {
    /// Writes a backup into a folder that is empty or does not exist, while reads and writes go on.
    /// Erasures wait.
    ///
    /// # Errors
    /// [`Error::Backup`]; what is in the folder is then of no use.
    pub async fn backup(
        &self,
        folder: impl AsRef<Path> + Send,
        terms: BackupTerms<'_>,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Manifest, Error> {
        if terms.expires <= terms.now {
            return Err(BackupError::NoTime.into());
        }
        let inner = self.inner();
        // INVARIANT: the dump comes before the keys and no erasure in between, so that every row in it
        // has its key and the generations of shards fit.
        let _no_erasure = inner.erasing.lock().await;
        let folder = Folder::create(folder.as_ref())?;
        let key = Secret::generate(entropy);
        let sealed = keys::password_seal(terms.passphrase, terms.params, key.expose(), entropy)
            .map_err(|_| BackupError::PasswordParams)?;
        folder.write(KEY, &sealed)?;
        let sink = ChunkWriter::new(folder.sink(ROWS)?, rows_key(&key));
        let exported = inner.store.export(sink).await;
        let (sink, summary) = exported.map_err(|error| BackupError::Dump(error.to_string()))?;
        sink.finish(ROWS)?;
        let manifest = Manifest {
            format: FORMAT,
            custodian: inner.settings.custodian,
            made: terms.now,
            expires: terms.expires,
            rows: summary.rows,
            digest: summary.digest,
        };
        let encoded = codec::to_vec(&manifest);
        let mut identity = inner.keychain.identity();
        // Never restored, so never in a backup: two validators with one key would equivocate.
        identity.validator_seed = Secret::generate(entropy);
        let plain = custody_encode(&identity.encode(), inner.keychain.tables()?);
        let aad = custody_aad(&encoded);
        folder.write(
            CUSTODY,
            &keys::seal(&custody_key(&key), &aad, &plain, entropy),
        )?;
        // Last: without a manifest there is no backup.
        folder.write(MANIFEST, &encoded)?;
        Ok(manifest)
    }
}

/// Destroys the key of a backup that has expired at `now`; `false` while it has not.
///
/// # Errors
/// [`BackupError::Damaged`] without a readable manifest; [`BackupError::Io`].
pub fn expire(folder: impl AsRef<Path>, now: Millis) -> Result<bool, BackupError> {
    let folder = Folder::open(folder.as_ref());
    let manifest = folder.manifest()?;
    if now < manifest.expires {
        return Ok(false);
    }
    folder.destroy(KEY)?;
    Ok(true)
}

fn rows_key(key: &Secret) -> Secret {
    key.derive(Domain::BackupKey, b"rows")
}

fn custody_key(key: &Secret) -> Secret {
    key.derive(Domain::BackupKey, b"custody")
}

fn custody_aad(manifest: &[u8]) -> Vec<u8> {
    keys::aad(Domain::BackupSeal, &[b"custody", manifest])
}

fn custody_encode(identity: &[u8], tables: Vec<(Slot, u64, KeyTable)>) -> Zeroizing<Vec<u8>> {
    let tables: Vec<(Slot, u64, Zeroizing<Vec<u8>>)> = tables
        .into_iter()
        .map(|(slot, generation, table)| (slot, generation, table.encode()))
        .collect();
    let size: usize = tables.iter().map(|(_, _, table)| table.len() + 32).sum();
    let mut w = Writer::with_capacity(size + identity.len() + 64);
    w.array(2);
    w.bytes(identity);
    w.array(tables.len());
    for (slot, generation, table) in &tables {
        w.array(4);
        w.uint(u64::from(slot.kind.code()));
        w.uint(u64::from(slot.shard));
        w.uint(*generation);
        w.bytes(table);
    }
    Zeroizing::new(w.into_vec())
}

/// Identity and key tables.
type Custodied = (Zeroizing<Vec<u8>>, Vec<(Slot, u64, KeyTable)>);

fn custody_decode(plain: &[u8]) -> Result<Custodied, codec::Error> {
    let bad = codec::Error::Invalid("not a backup's custody");
    let mut r = Reader::new(plain);
    r.array_exact(2)?;
    let identity = Zeroizing::new(r.bytes()?.to_vec());
    let mut tables = Vec::new();
    for _ in 0..r.array()? {
        r.array_exact(4)?;
        let kind = r.uint()?;
        let kind = crate::custody::KeyKind::ALL
            .into_iter()
            .find(|known| u64::from(known.code()) == kind);
        let slot = Slot {
            kind: kind.ok_or(bad)?,
            shard: u8::try_from(r.uint()?).map_err(|_| bad)?,
        };
        let generation = r.uint()?;
        let table = KeyTable::decode(r.bytes()?)?;
        if table
            .keys
            .keys()
            .any(|subject| slot_of(slot.kind, subject) != slot)
        {
            return Err(bad);
        }
        tables.push((slot, generation, table));
    }
    r.finish()?;
    Ok((identity, tables))
}
