//! Making a vault from a backup.
//!
//! 1. [`Backup::open`] checks passphrase, expiry and custody file.
//! 2. The store's own import reads [`Backup::rows`] into an empty place.
//! 3. [`Backup::keychain`] makes new keys around the key tables, without the erased subjects.
//! 4. [`Vault::open`](crate::Vault::open), then
//!    [`Vault::erasures_resume`](crate::Vault::erasures_resume) removes their rows.
//! 5. Once the consent openings match the ledger,
//!    [`Vault::restored_clear`](crate::Vault::restored_clear).

use super::chunks::RowsReader;
use super::folder::Folder;
use super::{
    BackupError, CUSTODY, KEY, MANIFEST, Manifest, ROWS, custody_aad, custody_decode, custody_key,
    rows_key,
};
use crate::Error;
use crate::custody::{Custody, KeyKind, Slot};
use crate::keychain::{Identity, KeyTable, Keychain, Restored};
use codec::{Millis, SubjectId};
use keys::{Entropy, PasswordParams, Secret};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// An opened backup.
pub struct Backup {
    folder: Folder,
    manifest: Manifest,
    key: Secret,
    identity: Identity,
    tables: Vec<(Slot, u64, KeyTable)>,
}

impl Backup {
    /// Opens a backup at `now`.
    ///
    /// # Errors
    /// [`BackupError::Expired`], [`BackupError::WrongPassphrase`], [`BackupError::Damaged`].
    pub fn open(
        folder: impl AsRef<Path>,
        passphrase: &[u8],
        now: Millis,
    ) -> Result<Self, BackupError> {
        let folder = Folder::open(folder.as_ref());
        let manifest = folder.manifest()?;
        if now >= manifest.expires {
            return Err(BackupError::Expired(manifest.expires));
        }
        let key = keys::password_open(passphrase, &folder.read(KEY)?)
            .map_err(|_| BackupError::WrongPassphrase)?;
        let key: [u8; 32] = key
            .as_slice()
            .try_into()
            .map_err(|_| BackupError::Damaged(KEY))?;
        let key = Secret::from_bytes(key);
        let damaged = || BackupError::Damaged(CUSTODY);
        // The associated data binds the manifest: an altered expiry does not open.
        let aad = custody_aad(&folder.read(MANIFEST)?);
        let plain =
            keys::open(&custody_key(&key), &aad, &folder.read(CUSTODY)?).map_err(|_| damaged())?;
        let (identity, tables) = custody_decode(&plain).map_err(|_| damaged())?;
        let identity = Identity::decode(&identity).map_err(|_| damaged())?;
        Ok(Self {
            folder,
            manifest,
            key,
            identity,
            tables,
        })
    }

    /// What it says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The dump of the store, to be imported into an empty place. The import's summary must agree
    /// with [`Backup::manifest`].
    ///
    /// # Errors
    /// [`BackupError::Damaged`], [`BackupError::Io`].
    pub fn rows(&self) -> Result<RowsReader, BackupError> {
        let source = self.folder.source(ROWS)?;
        Ok(RowsReader::new(source, rows_key(&self.key)))
    }

    /// Makes new keys (root, table keys, validator seed) around the backup's key tables, without those
    /// of `tombstones`: every subject erased here since the backup was made.
    ///
    /// # Errors
    /// [`crate::CustodyError::Exists`] if there are keys already.
    pub fn keychain(
        self,
        custody: Arc<dyn Custody>,
        passphrase: &[u8],
        params: PasswordParams,
        tombstones: &BTreeSet<SubjectId>,
        now: Millis,
        entropy: &mut impl Entropy,
    ) -> Result<Keychain, Error> {
        let mut identity = self.identity;
        identity.validator_seed = Secret::generate(entropy);
        identity.restored = Some(Restored {
            at: now,
            backup_at: self.manifest.made,
            tombstones: tombstones.iter().copied().collect(),
        });
        let mut tables = self.tables;
        for (slot, _, table) in &mut tables {
            if slot.kind == KeyKind::Compartment {
                table
                    .keys
                    .retain(|subject, _| !tombstones.contains(subject));
            }
        }
        let keychain =
            Keychain::create_with(custody, passphrase, params, identity, tables, entropy);
        Ok(keychain?)
    }
}

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backup")
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}
