//! Looking for damage in a vault, while no node runs on it. Writes nothing.
//!
//! Every row that is sealed is opened in its place. Every version of a record is opened, its projections
//! are made again, and leaves and commitment are computed from them; its commitment must be in the batch
//! that its receipt names, and that batch in the entry that was signed for it. Faults name tables, ids and
//! places, never a stored byte.
//!
//! Nothing here can be had from others: a record that does not open comes back from a backup only.

use crate::entries::EntryState;
use crate::keychain::Keychain;
use crate::layout::{
    AUDIT, BATCHES, CONSENT_HISTORY, CONSENTS, DERIVED, DISCLOSURES, DUE, ENTRIES, ENTRY_QUEUE,
    ERASURES, IDEMPOTENCY, INDEX, INDEX_GENERATIONS, NODE, NOTED, OPENINGS, OUTBOX,
    PERIOD_SUBJECTS, PERIODS, POSTINGS, RECEIPTS, RECORDS, RELEASED, WAITING, WORKLIST, version_of,
};
use crate::outbox::CommitmentState;
use crate::record_meta::Parts;
use crate::vault::{PAGE, Settings, Vault};
use crate::{Error, Position, node_rows};
use bytes::Bytes;
use codec::{Digest, EntryId, SubjectId};
use keys::commitment;
use ledger::SignedEntry;
use ledger::entry::Entry;
use std::collections::BTreeSet;
use store::{Order, Range, Store, Table};

/// The most faults that are named one by one.
pub const FAULTS_MAX: usize = 1_000;

/// Every table of a vault.
const TABLES: [Table; 25] = [
    NODE,
    DERIVED,
    RELEASED,
    DUE,
    NOTED,
    WAITING,
    CONSENTS,
    CONSENT_HISTORY,
    INDEX,
    RECORDS,
    IDEMPOTENCY,
    OPENINGS,
    INDEX_GENERATIONS,
    POSTINGS,
    OUTBOX,
    BATCHES,
    RECEIPTS,
    ENTRIES,
    ENTRY_QUEUE,
    DISCLOSURES,
    PERIOD_SUBJECTS,
    PERIODS,
    AUDIT,
    WORKLIST,
    ERASURES,
];

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultFault {
    /// Where it is stored.
    pub table: Table,
    /// Which row: ids and numbers.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
}

/// What was looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VaultCheck {
    /// Rows.
    pub rows: u64,
    /// Versions of records, opened and compared with what was committed.
    pub records: u64,
    /// Own entries that are said to be on the ledger, and where: for the caller to compare.
    pub on_ledger: Vec<(EntryId, Position)>,
    /// The first [`FAULTS_MAX`].
    pub faults: Vec<VaultFault>,
    /// Faults beyond those.
    pub more: u64,
}

impl VaultCheck {
    /// Names a fault.
    pub fn fault(&mut self, table: Table, place: impl Into<String>, what: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(VaultFault {
                table,
                place: place.into(),
                what: what.into(),
            });
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
}

/// Checks a vault. `progress` hears of each table and the rows read so far.
///
/// # Errors
/// When the store cannot be read at all; [`Error::OtherOwner`], [`Error::UnknownFormat`]. What is damaged is
/// no error but a fault.
pub async fn check<S: Store>(
    store: S,
    keychain: Keychain,
    settings: Settings,
    mut progress: impl FnMut(Table, u64) + Send,
) -> Result<VaultCheck, Error> {
    let vault = Vault::unchecked(store, keychain, settings);
    let mut found = VaultCheck::default();
    match vault.get(NODE, node_rows::OWNER).await {
        // Before the first start there is nothing, and nothing wrong.
        Ok(None) if is_empty(&vault).await? => return Ok(found),
        Ok(None) => found.fault(NODE, "the owner's row", "it is missing"),
        Ok(Some(_)) => node_rows::owner_check(&vault).await?,
        Err(Error::Store(store::Error::Corrupt { .. })) => {
            found.fault(NODE, "the owner's row", "its checksum does not match");
        }
        Err(error) => return Err(error),
    }
    let mut queued = BTreeSet::new();
    let mut rows = Rows::of(OUTBOX);
    // What cannot be read is named when the table's turn comes.
    while let Some(page) = rows.next(&vault, &mut VaultCheck::default()).await? {
        let commitments = page.iter().filter_map(|(key, _)| key.get(8..));
        queued.extend(commitments.filter_map(|commitment| Digest::try_from(commitment).ok()));
    }
    for table in TABLES {
        let mut rows = Rows::of(table);
        while let Some(page) = rows.next(&vault, &mut found).await? {
            for (key, value) in page {
                found.rows = found.rows.saturating_add(1);
                let checked = vault.row_check(table, &key, &value, &queued, &mut found);
                if let Err(what) = checked.await? {
                    found.fault(table, place(table, &key), what);
                }
            }
            progress(table, found.rows);
        }
    }
    Ok(found)
}

async fn is_empty<S: Store>(vault: &Vault<S>) -> Result<bool, Error> {
    for table in TABLES {
        if !vault.page(table, Range::all(), 1).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Rows read at a time; of tables with large values fewer.
const PAGE_LARGE: usize = 8;

/// The rows of a table page by page: from its beginning up to a row that cannot be read, then from its end.
struct Rows {
    table: Table,
    range: Range,
    limit: usize,
    order: Option<Order>,
    last: Option<Bytes>,
}

impl Rows {
    fn of(table: Table) -> Self {
        let is_large = [RECORDS, BATCHES, CONSENTS].contains(&table);
        Self {
            table,
            range: Range::all(),
            limit: if is_large { PAGE_LARGE } else { PAGE },
            order: Some(Order::Ascending),
            last: None,
        }
    }

    async fn next<S: Store>(
        &mut self,
        vault: &Vault<S>,
        found: &mut VaultCheck,
    ) -> Result<Option<Vec<(Bytes, Bytes)>>, Error> {
        let store = &vault.inner().store;
        while let Some(order) = self.order {
            let range = self.range.clone();
            let page = match store
                .range(self.table, range.clone(), self.limit, order)
                .await
            {
                Ok(page) => page,
                Err(store::Error::Corrupt { .. }) if self.limit > 1 => {
                    self.limit = self.limit.div_ceil(8);
                    continue;
                }
                Err(store::Error::Corrupt { .. }) => {
                    self.turn(order, found);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if page.len() < self.limit {
                self.order = None;
            }
            if let Some((key, _)) = page.last() {
                self.range = match order {
                    Order::Ascending => range.after(key),
                    Order::Descending => range.before(key),
                };
                self.last = Some(key.clone());
                return Ok(Some(page));
            }
        }
        Ok(None)
    }

    /// At a row that cannot be read: goes on from the other end, or ends.
    fn turn(&mut self, order: Order, found: &mut VaultCheck) {
        if order == Order::Descending {
            self.order = None;
            return;
        }
        self.order = Some(Order::Descending);
        let after = match &self.last {
            Some(last) => format!("after {}", place(self.table, last)),
            None => "at its beginning".to_owned(),
        };
        let what =
            "a row's checksum does not match, and rows behind it may not have been looked at";
        found.fault(self.table, after, what);
    }
}

/// A row by its ids and numbers.
fn place(table: Table, key: &[u8]) -> String {
    let subject = || {
        let subject = key.get(..SubjectId::LEN)?;
        SubjectId::try_from(subject).ok()
    };
    match (subject(), version_of(key)) {
        (Some(subject), Some((record, version))) if [INDEX, RECORDS, RECEIPTS].contains(&table) => {
            format!("version {version} of record {record} of subject {subject}")
        }
        (Some(subject), _) if BY_SUBJECT.contains(&table) => format!("subject {subject}"),
        _ if table == NODE => "a row of the node".to_owned(),
        _ => format!("row {}", codec::hex::encode(key.get(..40).unwrap_or(key))),
    }
}

const BY_SUBJECT: [Table; 12] = [
    CONSENTS,
    DERIVED,
    RELEASED,
    DUE,
    NOTED,
    WAITING,
    CONSENT_HISTORY,
    IDEMPOTENCY,
    DISCLOSURES,
    AUDIT,
    ERASURES,
    RECORDS,
];

type Verdict = Result<(), String>;

impl<S: Store> Vault<S> {
    async fn row_check(
        &self,
        table: Table,
        key: &Bytes,
        value: &Bytes,
        queued: &BTreeSet<Digest>,
        found: &mut VaultCheck,
    ) -> Result<Verdict, Error> {
        let checked = if table == INDEX {
            let verdict = self.version_check(key, queued).await;
            found.records = found
                .records
                .saturating_add(u64::from(matches!(verdict, Ok(Ok(())))));
            verdict
        } else if table == RECORDS {
            self.is_of_a_version(key).await
        } else if table == RECEIPTS {
            self.receipt_check(key, value).await
        } else if table == ENTRIES {
            self.entry_check(key, found).await
        } else if table == BATCHES {
            self.batch_check(key).await
        } else {
            self.opened(table, key, value).await.map(Ok)
        };
        match checked {
            Ok(verdict) => Ok(verdict),
            // Of those only the tombstone counts; what is left goes at the next start.
            Err(Error::SubjectErased) => Ok(Ok(())),
            Err(Error::Store(error)) if !matches!(error, store::Error::Corrupt { .. }) => {
                Err(Error::Store(error))
            }
            Err(Error::Store(store::Error::Corrupt { table })) => Ok(Err(format!(
                "the checksum of a row of {table} does not match"
            ))),
            Err(Error::Damaged { table }) => Ok(Err(format!(
                "a row of {table} does not open there, or is missing"
            ))),
            Err(Error::KeyLost) => Ok(Err(
                "the subject's key is missing from its key table".to_owned()
            )),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// A version opens, is what was committed to, and its commitment is on its way or in its batch.
    async fn version_check(&self, key: &[u8], queued: &BTreeSet<Digest>) -> Result<Verdict, Error> {
        let (Some(subject), Some((record, version))) = (
            key.get(..SubjectId::LEN)
                .and_then(|subject| SubjectId::try_from(subject).ok()),
            version_of(key),
        ) else {
            return Ok(Err("its key is malformed".to_owned()));
        };
        // Each part is compared with its leaf when it is opened.
        let opened = self
            .record_get(&subject, &record, Some(version), &Parts::All)
            .await?;
        if commitment::root(&opened.meta.leaves()) != opened.meta.commitment {
            return Ok(Err(
                "its parts are not those that were committed to".to_owned()
            ));
        }
        let commitment = opened.meta.commitment;
        drop(opened);
        let entry = match self.commitment_state(&subject, &record, version).await? {
            CommitmentState::Queued => {
                let what = "its commitment neither waits for a batch nor is in one";
                return Ok(known(queued.contains(&commitment), what));
            }
            CommitmentState::Assigned { entry } | CommitmentState::Final { entry, .. } => entry,
        };
        let tree = self.batch_tree(&entry).await?;
        let held = tree.leaves().binary_search(&commitment).is_ok();
        Ok(known(
            held,
            "its commitment is not in the batch that its receipt names",
        ))
    }

    async fn receipt_check(&self, key: &[u8], value: &[u8]) -> Result<Verdict, Error> {
        let inner = self.inner();
        let custodian = &inner.settings.custodian;
        inner
            .node
            .outbox
            .open_bytes(custodian, RECEIPTS, key, value)?;
        self.is_of_a_version(key).await
    }

    async fn is_of_a_version(&self, key: &[u8]) -> Result<Verdict, Error> {
        let there = self.get(INDEX, key).await?.is_some();
        Ok(known(there, "no version of a record is known there"))
    }

    async fn entry_check(&self, key: &[u8], found: &mut VaultCheck) -> Result<Verdict, Error> {
        let Ok(id) = EntryId::try_from(key) else {
            return Ok(Err("its key is malformed".to_owned()));
        };
        let row = self.entry(&id).await?;
        if !matches!(SignedEntry::decode(&row.bytes), Ok(signed) if signed.entry_id() == id) {
            return Ok(Err("it is not the signed entry of its id".to_owned()));
        }
        if let EntryState::Final(position) = row.state {
            found.on_ledger.push((id, position));
        }
        Ok(Ok(()))
    }

    async fn batch_check(&self, key: &[u8]) -> Result<Verdict, Error> {
        let Ok(id) = EntryId::try_from(key) else {
            return Ok(Err("its key is malformed".to_owned()));
        };
        let tree = self.batch_tree(&id).await?;
        let row = self.entry(&id).await?;
        let signed = SignedEntry::decode(&row.bytes);
        let is_its = signed.is_ok_and(|signed| match signed.entry() {
            Entry::RecordBatch(batch) => batch.root == tree.root(),
            _ => false,
        });
        Ok(known(
            is_its,
            "its leaves are not those of the entry that was signed",
        ))
    }

    /// Opens a row in its place.
    async fn opened(&self, table: Table, key: &Bytes, value: &Bytes) -> Result<(), Error> {
        let inner = self.inner();
        let custodian = &inner.settings.custodian;
        let subject = || {
            let subject = key.get(..SubjectId::LEN).unwrap_or_default();
            SubjectId::try_from(subject).map_err(|_| crate::sealing::damaged(table))
        };
        if table == CONSENTS {
            self.consent_row(&subject()?).await?;
        } else if [CONSENT_HISTORY, IDEMPOTENCY, RELEASED, NOTED, WAITING].contains(&table) {
            let keys = self.compartment(&subject()?).await?;
            let row = if table == CONSENT_HISTORY {
                &keys.consent
            } else {
                &keys.index
            };
            row.open_bytes(custodian, table, key, value)?;
        } else if table == DERIVED {
            self.derived(&subject()?).await?;
        } else if table == DISCLOSURES || table == AUDIT {
            let keys = self.audit(&subject()?)?;
            keys.rows.open_bytes(custodian, table, key, value)?;
        } else if table == ERASURES {
            self.erasure(&subject()?).await?;
        } else if table == NODE {
            if key != node_rows::OWNER {
                self.own_open(key, value)?;
            }
        } else if table == OPENINGS {
            inner.node.rows.open_bytes(custodian, table, key, value)?;
        } else if table == OUTBOX {
            inner.node.outbox.open_bytes(custodian, table, key, value)?;
        } else if table == INDEX_GENERATIONS {
            let number = key.first().copied();
            let number = number.ok_or(crate::sealing::damaged(table))?;
            self.shard(number).await?;
        } else if table == PERIODS {
            self.period_check(key).await?;
        } else if table == POSTINGS {
            self.posting_check(key, value).await?;
        }
        // What is left holds no values.
        Ok(())
    }
}

fn known(holds: bool, otherwise: &str) -> Verdict {
    if holds {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::TABLES;

    #[test]
    fn no_table_is_left_out() {
        let layout = include_str!("layout.rs");
        let defined: Vec<&str> = layout
            .split("Table::new(\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(defined.len() > 10);
        for name in defined {
            assert!(TABLES.iter().any(|table| table.name() == name), "{name}");
        }
    }
}
