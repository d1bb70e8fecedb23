//! Backup and restore of a whole node.
//!
//! A backup holds the store and the key tables, sealed under its own passphrase, until its expiry. A
//! restored node refuses decisions about a subject until its consent states match the ledger's tip, has a
//! new validator key (never run an old one twice), and leaves out who was erased since.

use crate::ambient::Ambient;
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::Error;
use crate::institution::{InstitutionError, Layout};
use crate::record::Content;
use codec::id::{InstitutionId, SubjectId};
use codec::time::Millis;
use consent::Role;
use keys::PasswordParams;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::Store;
use vault::FileCustody;
use vault::backup::{BackupError, BackupTerms, RowsReader};

/// Makes a backup while the node runs.
#[derive(Debug, Clone)]
pub struct Backup {
    /// An operator.
    pub caller: Caller,
    /// An empty or missing directory.
    pub directory: PathBuf,
    /// Seals the backup.
    pub passphrase: Content,
    /// The cost of guessing it.
    pub params: PasswordParams,
    /// From when on it must not be restored: what was erased by then must not come back.
    pub expires: Millis,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupMade {
    /// Rows in it.
    pub rows: u64,
    /// The ledger's height when it began.
    pub height: u64,
    /// From when on it must not be restored.
    pub expires: Millis,
}

/// A backup that is being restored: its rows go into an empty store first, then [`Restore::finish`].
pub struct Restore {
    backup: vault::backup::Backup,
}

impl Restore {
    /// Opens a backup.
    ///
    /// # Errors
    /// [`BackupError::Expired`], [`BackupError::WrongPassphrase`], [`BackupError::Damaged`].
    pub fn open(
        directory: &Path,
        passphrase: &[u8],
        ambient: &Ambient,
    ) -> Result<Self, BackupError> {
        let now = Millis::new(ambient.now_ms());
        let backup = vault::backup::Backup::open(directory, passphrase, now)?;
        Ok(Self { backup })
    }

    /// Whose it is.
    pub fn institution(&self) -> InstitutionId {
        self.backup.manifest().custodian
    }

    /// Rows and digest that the store's import must find.
    pub fn expected(&self) -> (u64, [u8; 32]) {
        let manifest = self.backup.manifest();
        (manifest.rows, manifest.digest)
    }

    /// The dump, for the store's own import.
    ///
    /// # Errors
    /// [`BackupError::Damaged`], [`BackupError::Io`].
    pub fn rows(&self) -> Result<RowsReader, BackupError> {
        self.backup.rows()
    }

    /// Makes the data folder around the imported store: new keys under a new passphrase, the network's
    /// genesis (from a source you trust), and the institution's name. `erased`: who was erased since.
    ///
    /// # Errors
    /// [`InstitutionError::Exists`] over an existing institution.
    pub fn finish(
        self,
        folder: &Path,
        genesis: &[u8],
        passphrase: &[u8],
        params: PasswordParams,
        erased: &BTreeSet<SubjectId>,
        ambient: &Ambient,
    ) -> Result<(), InstitutionError> {
        let layout = Layout::of(folder);
        let id = self.institution();
        crate::institution::make(folder)?;
        crate::institution::adopt(folder, genesis)?;
        crate::institution::name(&layout, &id)?;
        let custody = Arc::new(FileCustody::open(layout.root())?);
        let now = Millis::new(ambient.now_ms());
        let mut entropy = ambient.entropy();
        let made = self
            .backup
            .keychain(custody, passphrase, params, erased, now, &mut entropy);
        made.map(drop).map_err(|error| match error {
            vault::Error::Custody(error) => error.into(),
            error => InstitutionError::Restore(error.to_string()),
        })
    }
}

impl<S: Store> Custodian<S> {
    pub(crate) async fn backup(&self, input: Backup) -> Result<BackupMade, Error> {
        input.caller.needs("making a backup", &[Role::Operator])?;
        self.own_staff(&input.caller)?;
        let height = self.ledger.tip().height;
        let terms = BackupTerms {
            passphrase: input.passphrase.as_bytes(),
            params: input.params,
            now: self.now(),
            expires: input.expires,
        };
        let manifest = self
            .vault
            .backup(&input.directory, terms, &mut self.ambient.entropy())
            .await?;
        Ok(BackupMade {
            rows: manifest.rows,
            height,
            expires: manifest.expires,
        })
    }
}

impl std::fmt::Debug for Restore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Restore")
    }
}
