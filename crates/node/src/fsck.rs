//! Looking for damage in a stopped node's folder, and having the ledger fetched again.
//!
//! The ledger is the same at every member: what is damaged there is removed whole, and at its next start the
//! node builds it again from the engine's blocks and from its peers. What is in the vault (records, consents,
//! disclosures) is this institution's alone: it is never removed, and comes back from a backup only.
//!
//! Faults say table, place, what is wrong and what to do, never a stored byte.

use crate::record::form::Rules;
use codec::id::InstitutionId;
use consensus::check::{entry_at, ledger_remove};
use ledger::Genesis;
use std::fmt;
use std::sync::Arc;
use store::{Store, Table};
use vault::{Keychain, Settings};

/// What to do about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Others have it: remove it, and the node fetches it.
    Fetch,
    /// Only a backup has it.
    Backup,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it is stored.
    pub table: String,
    /// Which row.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
    /// What to do.
    pub remedy: Remedy,
}

/// What was looked at and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Blocks of the ledger.
    pub blocks: u64,
    /// Entries of the ledger, rehashed.
    pub entries: u64,
    /// Certificates that were verified.
    pub certificates: u64,
    /// Rows of the vault that were opened; none without its keys.
    pub rows: Option<u64>,
    /// Versions of records that were opened and compared with what was committed.
    pub records: u64,
    /// The first of them.
    pub faults: Vec<Fault>,
    /// Faults beyond those.
    pub more: u64,
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum FsckError {
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Store(#[from] store::Error),
    /// The vault cannot be read.
    #[error("the vault cannot be read")]
    Vault(#[from] vault::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remedy = match self.remedy {
            Remedy::Fetch => "`--repair` removes the ledger here and has the node fetch it again",
            Remedy::Backup => "restore it from a backup",
        };
        write!(f, "{}, {}: {}; {remedy}", self.table, self.place, self.what)
    }
}

impl Fault {
    /// A fault in a table; the table says what to do.
    pub fn new(table: &str, place: impl Into<String>, what: impl Into<String>) -> Self {
        let fetched = consensus::TABLES
            .iter()
            .any(|ledger| ledger.name() == table);
        Self {
            table: table.to_owned(),
            place: place.into(),
            what: what.into(),
            remedy: if fetched {
                Remedy::Fetch
            } else {
                Remedy::Backup
            },
        }
    }
}

/// Checks the ledger and, with the institution's keys, the vault. `progress` hears a line now and then.
///
/// # Errors
/// When nothing can be read; what is damaged is no error but a fault.
pub async fn check<S: Store>(
    store: &S,
    genesis: &Genesis,
    institution: InstitutionId,
    keychain: Option<Keychain>,
    mut progress: impl FnMut(String) + Send,
) -> Result<Report, FsckError> {
    let ledger = consensus::check::check(store, genesis, |height, tip| {
        if height.is_multiple_of(1_000) || height == tip {
            progress(format!("ledger: block {height} of {tip}"));
        }
    });
    let ledger = ledger.await?;
    let mut report = Report {
        blocks: ledger.blocks,
        entries: ledger.entries,
        certificates: ledger.certificates,
        more: ledger.more,
        ..Report::default()
    };
    let faults = ledger.faults.into_iter();
    report
        .faults
        .extend(faults.map(|fault| Fault::new(fault.table.name(), fault.place, fault.what)));
    if let Some(keychain) = keychain {
        let mut settings = Settings::new(institution, Arc::new(Rules));
        settings.period_ms = genesis.parameters.disclosure_period_ms;
        let vault = vault::check::check(store.clone(), keychain, settings, |table, rows| {
            progress(format!("vault: {rows} rows, now {table}"));
        });
        let vault = vault.await?;
        report.rows = Some(vault.rows);
        report.records = vault.records;
        report.more = report.more.saturating_add(vault.more);
        let faults = vault.faults.into_iter();
        report
            .faults
            .extend(faults.map(|fault| Fault::new(fault.table.name(), fault.place, fault.what)));
        // Of a ledger that is damaged itself nothing follows for the vault.
        if !report.needs_fetch() {
            for (id, position) in vault.on_ledger {
                let there = entry_at(store, position.log_index).await?;
                if there != Some((position.height, id)) {
                    let place = format!("entry {id}");
                    let what = "it is not where on the ledger it is said to be";
                    report.faults.push(Fault::new(ENTRIES.name(), place, what));
                }
            }
        }
    }
    Ok(report)
}

/// The vault's table of own entries.
const ENTRIES: Table = Table::new("entries");

impl Report {
    /// Whether the ledger is damaged here.
    pub fn needs_fetch(&self) -> bool {
        self.faults
            .iter()
            .any(|fault| fault.remedy == Remedy::Fetch)
    }
}

/// Removes the ledger, and nothing else. At its next start the node builds it again.
///
/// # Errors
/// Those of the store; nothing is removed then.
pub async fn repair<S: Store>(store: &S) -> Result<(), FsckError> {
    Ok(ledger_remove(store).await?)
}
