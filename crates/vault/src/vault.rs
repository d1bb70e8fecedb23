//! The open vault: store, keys, and what is kept in memory.

use crate::cache::Cache;
use crate::custody::KeyKind;
use crate::filter::Filters;
use crate::keychain::Keychain;
use crate::layout::{CONSENTS, ENTRY_QUEUE, ERASURES, OUTBOX, number_at};
use crate::outbox::Quota;
use crate::periods::CursorCache;
use crate::postings::Shards;
use crate::sealing::{AuditKeys, CompartmentKeys, NodeKeys};
use crate::{Error, Projector, erasure, node_rows};
use bytes::Bytes;
use codec::{InstitutionId, SubjectId};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Batch, Order, Range, Store, Table};

/// How often a change is tried again when other writers get ahead.
pub(crate) const ATTEMPTS: usize = 8;
/// Rows read at a time.
pub(crate) const PAGE: usize = 512;

/// What a vault is told when it is opened.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The institution whose vault it is: bound into every ciphertext.
    pub custodian: InstitutionId,
    /// Length of a disclosure period, from the network's parameters.
    pub period_ms: u64,
    /// The most record commitments that wait for a batch.
    pub outbox_max: usize,
    /// The most entries that are not final.
    pub entries_max: usize,
    /// The most compartments whose keys are kept in memory.
    pub compartments_cached: usize,
    /// How long disclosures outlive the erasure of the records.
    pub audit_retention_ms: u64,
    /// Makes the projections of records.
    pub projector: Arc<dyn Projector>,
}

/// A custodian's vault. Cheap to clone; all clones are the same vault.
pub struct Vault<S> {
    inner: Arc<Inner<S>>,
}

pub(crate) struct Inner<S> {
    pub(crate) store: S,
    pub(crate) keychain: Keychain,
    pub(crate) settings: Settings,
    pub(crate) node: NodeKeys,
    pub(crate) compartments: Cache<CompartmentKeys>,
    pub(crate) audits: Cache<AuditKeys>,
    pub(crate) shards: Shards,
    pub(crate) filters: Filters,
    pub(crate) cursor: CursorCache,
    pub(crate) outbox: Arc<Quota>,
    pub(crate) entries: Arc<Quota>,
    // The place of the last entry queued.
    pub(crate) queued_ms: AtomicU64,
    // One erasure at a time: each rewrites a whole shard across many commits.
    pub(crate) erasing: futures::lock::Mutex<()>,
}

impl Settings {
    /// Defaults for an institution: 60 s periods, ten years of disclosures.
    #[must_use]
    pub fn new(custodian: InstitutionId, projector: Arc<dyn Projector>) -> Self {
        Self {
            custodian,
            period_ms: 60_000,
            outbox_max: 100_000,
            entries_max: 20_000,
            compartments_cached: 4_096,
            audit_retention_ms: 10 * 365 * 24 * 3_600_000,
            projector,
        }
    }
}

impl<S: Store> Vault<S> {
    /// Opens a vault over a store and its keys. Undoes what an interrupted erasure had only prepared;
    /// call [`Vault::erasures_resume`] to finish interrupted erasures.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Custody`]; [`Error::Damaged`] if the keys are not those of the store.
    pub async fn open(store: S, keychain: Keychain, settings: Settings) -> Result<Self, Error> {
        if settings.period_ms == 0 {
            return Err(Error::invalid("period_ms", "a period has a length"));
        }
        let vault = Self::unchecked(store, keychain, settings);
        node_rows::owner_check(&vault).await?;
        for (table, quota) in [
            (OUTBOX, &vault.inner.outbox),
            (ENTRY_QUEUE, &vault.inner.entries),
        ] {
            quota.set(vault.count(table, Range::all()).await?);
        }
        let store = &vault.inner.store;
        let last = store.range(ENTRY_QUEUE, Range::all(), 1, Order::Descending);
        let last = last.await?.first().and_then(|(key, _)| number_at(key, 0));
        vault
            .inner
            .queued_ms
            .store(last.unwrap_or(0), Ordering::SeqCst);
        erasure::reconcile(&vault).await?;
        Ok(vault)
    }

    /// Store and keys together, before anything is read or written.
    pub(crate) fn unchecked(store: S, keychain: Keychain, settings: Settings) -> Self {
        let node = NodeKeys::derive(&keychain.identity().node_key);
        Self {
            inner: Arc::new(Inner {
                node,
                compartments: Cache::new(settings.compartments_cached),
                audits: Cache::new(settings.compartments_cached),
                shards: Shards::default(),
                filters: Filters::default(),
                cursor: CursorCache::default(),
                outbox: Quota::new("the outbox of record commitments", settings.outbox_max),
                entries: Quota::new("the queue of ledger entries", settings.entries_max),
                queued_ms: AtomicU64::new(0),
                erasing: futures::lock::Mutex::new(()),
                store,
                keychain,
                settings,
            }),
        }
    }

    /// The institution's keys.
    #[must_use]
    pub fn keychain(&self) -> &Keychain {
        &self.inner.keychain
    }

    /// The institution.
    #[must_use]
    pub fn custodian(&self) -> InstitutionId {
        self.inner.settings.custodian
    }

    /// What it was told when it was opened.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(crate) fn inner(&self) -> &Inner<S> {
        &self.inner
    }

    pub(crate) async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.inner.store.get(table, key).await?)
    }

    pub(crate) async fn commit(&self, batch: Batch) -> Result<(), Error> {
        Ok(self.inner.store.commit(batch).await?)
    }

    /// One page of a range, in ascending order.
    pub(crate) async fn page(
        &self,
        table: Table,
        range: Range,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let rows = self
            .inner
            .store
            .range(table, range, limit, Order::Ascending);
        Ok(rows.await?)
    }

    /// The last row of a range.
    pub(crate) async fn last(
        &self,
        table: Table,
        range: Range,
    ) -> Result<Option<(Bytes, Bytes)>, Error> {
        let rows = self.inner.store.range(table, range, 1, Order::Descending);
        Ok(rows.await?.pop())
    }

    pub(crate) async fn count(&self, table: Table, range: Range) -> Result<usize, Error> {
        let mut pages = Pages::new(table, range);
        let mut count = 0_usize;
        while let Some(rows) = pages.next(self).await? {
            count = count.saturating_add(rows.len());
        }
        Ok(count)
    }

    /// The opened keys of a live compartment.
    pub(crate) async fn compartment(
        &self,
        subject: &SubjectId,
    ) -> Result<Arc<CompartmentKeys>, Error> {
        let cache = &self.inner.compartments;
        if let Some(found) = cache.hit(subject).map_err(|_| Error::SubjectErased)? {
            return Ok(found);
        }
        let key = self.inner.keychain.key(KeyKind::Compartment, subject)?;
        if self.get(ERASURES, subject.as_bytes()).await?.is_some() {
            return Err(Error::SubjectErased);
        }
        if self.get(CONSENTS, subject.as_bytes()).await?.is_none() {
            return Err(Error::SubjectUnknown);
        }
        let keys = CompartmentKeys::derive(&key.ok_or(Error::KeyLost)?);
        cache
            .insert(*subject, keys)
            .map_err(|_| Error::SubjectErased)
    }

    /// The opened keys of an audit compartment, which may outlive the records.
    pub(crate) fn audit(&self, subject: &SubjectId) -> Result<Arc<AuditKeys>, Error> {
        let cache = &self.inner.audits;
        if let Some(found) = cache.hit(subject).map_err(|_| Error::SubjectUnknown)? {
            return Ok(found);
        }
        let key = self.inner.keychain.key(KeyKind::Audit, subject)?;
        let keys = AuditKeys::derive(&key.ok_or(Error::SubjectUnknown)?);
        cache
            .insert(*subject, keys)
            .map_err(|_| Error::SubjectUnknown)
    }
}

impl<S> Clone for Vault<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<S> fmt::Debug for Vault<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("custodian", &self.inner.settings.custodian)
            .finish_non_exhaustive()
    }
}

/// A walk over a range, page by page.
pub(crate) struct Pages {
    table: Table,
    range: Option<Range>,
}

impl Pages {
    pub(crate) const fn new(table: Table, range: Range) -> Self {
        Self {
            table,
            range: Some(range),
        }
    }

    /// The next rows; `None` after the last.
    pub(crate) async fn next<S: Store>(
        &mut self,
        vault: &Vault<S>,
    ) -> Result<Option<Vec<(Bytes, Bytes)>>, Error> {
        let Some(range) = self.range.take() else {
            return Ok(None);
        };
        let rows = vault.page(self.table, range.clone(), PAGE).await?;
        if rows.len() == PAGE {
            self.range = rows.last().map(|(key, _)| range.after(key));
        }
        Ok((!rows.is_empty()).then_some(rows))
    }
}

/// Whether a commit failed because an expectation did not hold.
pub(crate) const fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Store(store::Error::Conflict { .. }))
}
