//! Erasure: destroying a subject's compartment key for good, and what it opened.
//!
//! 1. *Intent*: a row that shuts the subject out; every write of its compartment expects none. With it, in
//!    one batch, the audit compartment learns who controls the subject: the consent state goes, and those
//!    who controlled it may go on seeing who looked.
//! 2. *Repost*: the other subjects of its shard are posted anew under the index key of the next
//!    generation, while writers post to both.
//! 3. *Destroy*: the shard's keys without the subject's are written under a fresh table key, then the
//!    ring is replaced: the commit point. Nothing opens the old key table or the old postings again.
//! 4. *Settle*: the next generation becomes the current one; old postings are removed.
//! 5. *Remove*: the subject's rows, by prefix. The audit compartment stays.
//! 6. *Done*: the intent becomes a tombstone, and the audit compartment's retention begins.
//!
//! A crash before 3 leaves the subject shut out and its erasure to be resumed; a crash after 3 leaves
//! only rows that nobody can open, which resuming removes.

use crate::Error;
use crate::audit::{AuditId, Work, work_key};
use crate::custody::{KeyKind, Slot};
use crate::keychain::{compartment_slot, slot_of};
use crate::layout::{
    CONSENTS, DISCLOSURES, ERASURES, INDEX, INDEX_GENERATIONS, OF_AUDIT, OF_COMPARTMENT,
    PERIOD_SUBJECTS, WORKLIST, disclosure_period, period_subject_key, version_key, version_of,
};
use crate::postings::{Generation, GenerationsRow, Posting, Shard};
use crate::record_meta::Meta;
use crate::sealing::{CompartmentKeys, damaged};
use crate::vault::{ATTEMPTS, PAGE, Pages, Vault, is_conflict};
use bytes::Bytes;
use codec::{Millis, SubjectId, record};
use consent::ErasureRefused;
use keys::Entropy;
use std::collections::BTreeSet;
use std::sync::Arc;
use store::{Batch, Expect, Range, Store};

record! {
    /// The value of an erasure's row.
    #[derive(Clone, Debug)]
    struct ErasureRow {
        1 => requested: Millis,
        // The shard's generation when the erasure was requested: a later one does not hold the key.
        2 => generation: u64,
        3 => done: Option<Millis>,
    }
}

/// An erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Whose.
    pub subject: SubjectId,
    /// When it was requested.
    pub requested: Millis,
    /// When the last row was removed; `None` while it is to be resumed.
    pub done: Option<Millis>,
}

impl<S: Store> Vault<S> {
    /// Erases a subject's compartment: when it returns, the key is destroyed and the rows are gone. An
    /// interrupted erasure is resumed, a finished one is reported again.
    ///
    /// # Errors
    /// [`Error::Held`] under a legal hold or retention; [`Error::SubjectUnknown`]. After any other
    /// error call again, or [`Vault::erasures_resume`] after reopening; once the erasure has begun
    /// the subject stays shut out.
    pub async fn erase(
        &self,
        subject: &SubjectId,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Erasure, Error> {
        let _one = self.inner().erasing.lock().await;
        let row = match self.erasure_row(subject).await? {
            Some((_, row)) => row,
            None => self.erasure_intend(subject, now, entropy).await?,
        };
        self.erasure_finish(subject, row, now, entropy).await
    }

    /// Finishes every interrupted erasure, and after a restore repeats those that were made since the
    /// backup; call after opening.
    ///
    /// # Errors
    /// As [`Vault::erase`].
    pub async fn erasures_resume(
        &self,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Vec<Erasure>, Error> {
        let _one = self.inner().erasing.lock().await;
        let restored = self.restored();
        for subject in restored.iter().flat_map(|restored| &restored.tombstones) {
            self.tombstone_put(subject, now, entropy).await?;
        }
        let mut finished = Vec::new();
        for erasure in self.erasures().await? {
            if erasure.done.is_none()
                && let Some((_, row)) = self.erasure_row(&erasure.subject).await?
            {
                let erasure = self
                    .erasure_finish(&erasure.subject, row, now, entropy)
                    .await?;
                finished.push(erasure);
            }
        }
        Ok(finished)
    }

    /// Every erasure there was: the tombstones, and what is to be resumed.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Store`].
    pub async fn erasures(&self) -> Result<Vec<Erasure>, Error> {
        let mut found = Vec::new();
        let mut pages = Pages::new(ERASURES, Range::all());
        while let Some(rows) = pages.next(self).await? {
            for (key, sealed) in rows {
                let subject = SubjectId::try_from(&key[..]).map_err(|_| damaged(ERASURES))?;
                let row = self.erasure_open(&subject, &sealed)?;
                found.push(row.shown(&subject));
            }
        }
        Ok(found)
    }

    /// The erasure of a subject, if there was one.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Store`].
    pub async fn erasure(&self, subject: &SubjectId) -> Result<Option<Erasure>, Error> {
        let found = self.erasure_row(subject).await?;
        Ok(found.map(|(_, row)| row.shown(subject)))
    }

    /// Up to `limit` erased subjects whose disclosures need not be kept any longer.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn audit_due(&self, now: Millis, limit: usize) -> Result<Vec<SubjectId>, Error> {
        let due = self.work(Work::AuditErase, Some(now), limit).await?;
        Ok(due.into_iter().map(|due| due.subject).collect())
    }

    /// Destroys the audit compartment of an erased subject whose retention is over.
    ///
    /// # Errors
    /// [`Error::Retained`]; [`Error::Unknown`] unless the subject was erased.
    pub async fn audit_erase(
        &self,
        subject: &SubjectId,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let inner = self.inner();
        let _one = inner.erasing.lock().await;
        let found = self.erasure_row(subject).await?;
        let done = found.and_then(|(_, row)| row.done);
        let done = done.ok_or(Error::Unknown("erased subject"))?;
        let until = self.audit_until(done);
        if now < until {
            return Err(Error::Retained { until });
        }
        inner.audits.shut_out(*subject);
        let slot = slot_of(KeyKind::Audit, subject);
        if inner.keychain.key(KeyKind::Audit, subject)?.is_some() {
            let next = next_generation(inner.keychain.generation(slot))?;
            inner.keychain.rotation_begin(slot, next, entropy)?;
            let dropped = BTreeSet::from([*subject]);
            inner.keychain.rotation_commit(slot, &dropped, entropy)?;
        }
        let range = Range::prefix(subject.as_bytes());
        let mut pages = Pages::new(DISCLOSURES, range.clone());
        while let Some(rows) = pages.next(self).await? {
            let mut batch = Batch::new();
            for (key, _) in rows {
                let period = disclosure_period(&key).ok_or(damaged(DISCLOSURES))?;
                batch = batch.delete(PERIOD_SUBJECTS, period_subject_key(period, subject));
            }
            self.commit(batch).await?;
        }
        let mut batch = Batch::new();
        for table in OF_AUDIT {
            batch = batch.delete_range(table, range.clone());
        }
        // Last, with the rows: until then it is due again after a crash.
        let work = work_key(Work::AuditErase, until, subject, &RETENTION);
        self.commit(batch.delete(WORKLIST, work)).await
    }

    async fn erasure_intend(
        &self,
        subject: &SubjectId,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<ErasureRow, Error> {
        for _ in 0..ATTEMPTS {
            match self.erasure_intend_once(subject, now, entropy).await {
                // The consent changed in between, and with it perhaps who controls.
                Err(error) if is_conflict(&error) => {}
                done => return done,
            }
        }
        Err(Error::Busy)
    }

    async fn erasure_intend_once(
        &self,
        subject: &SubjectId,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<ErasureRow, Error> {
        let inner = self.inner();
        let (consents, states) = self.consent_row(subject).await?;
        let control = states.latest().ok_or(damaged(CONSENTS))?.state.control();
        let holds = self.holds(subject).await?;
        consent::erasure_allowed(&holds.holds, &holds.retentions, now).map_err(held)?;
        let row = ErasureRow {
            requested: now,
            generation: inner
                .keychain
                .generation(slot_of(KeyKind::Compartment, subject)),
            done: None,
        };
        let batch = Batch::new()
            .expect(ERASURES, subject.as_bytes(), Expect::Absent)
            .expect(CONSENTS, subject.as_bytes(), Expect::Equals(consents))
            .put(
                ERASURES,
                subject.as_bytes(),
                self.erasure_seal(subject, &row, entropy),
            );
        let batch = self.control_put(batch, subject, &control, entropy)?;
        inner.compartments.shut_out(*subject);
        let intended = self.commit(batch).await;
        if intended.is_err() {
            // Whether the row is there is for the store to say from now on.
            inner.compartments.let_in(subject);
        }
        intended.map(|()| row)
    }

    async fn erasure_finish(
        &self,
        subject: &SubjectId,
        row: ErasureRow,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Erasure, Error> {
        if row.done.is_some() {
            return Ok(row.shown(subject));
        }
        let inner = self.inner();
        inner.compartments.shut_out(*subject);
        let slot = slot_of(KeyKind::Compartment, subject);
        let key = inner.keychain.key(KeyKind::Compartment, subject)?;
        if key.is_some() || inner.keychain.generation(slot) <= row.generation {
            self.key_destroy(subject, slot, entropy).await?;
        }
        self.shard_settle(slot.shard).await?;
        let mut batch = Batch::new();
        for table in OF_COMPARTMENT {
            batch = batch.delete_range(table, Range::prefix(subject.as_bytes()));
        }
        self.commit(batch).await?;
        let row = ErasureRow {
            done: Some(now),
            ..row
        };
        let work = work_key(Work::AuditErase, self.audit_until(now), subject, &RETENTION);
        let sealed = self.erasure_seal(subject, &row, entropy);
        let batch = Batch::new().put(ERASURES, subject.as_bytes(), sealed).put(
            WORKLIST,
            work,
            Bytes::new(),
        );
        self.commit(batch).await?;
        Ok(row.shown(subject))
    }

    /// Posts the rest of the shard anew and replaces its keys.
    async fn key_destroy(
        &self,
        subject: &SubjectId,
        slot: Slot,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let keychain = &self.inner().keychain;
        let Some(shard) = self.shard(slot.shard).await? else {
            // No key table at all: there is no key to destroy.
            return Ok(());
        };
        let next = next_generation(shard.newest())?;
        let filter = self.inner().filters.of(slot.shard, next);
        let next = Arc::new(Generation::of(
            &keychain.rotation_begin(slot, next, entropy)?,
            filter,
        ));
        let current = shard.current();
        let shard = self.shard_change(&shard, &current, Some(&next)).await?;
        for (other, key) in keychain.keys(slot)? {
            if other != *subject {
                let keys = CompartmentKeys::derive(&key);
                self.repost(&shard, &next, &other, &keys, entropy).await?;
            }
        }
        let dropped = BTreeSet::from([*subject]);
        keychain.rotation_commit(slot, &dropped, entropy)?;
        Ok(())
    }

    /// Posts the latest versions of a subject's records to the next generation.
    async fn repost(
        &self,
        shard: &Shard,
        next: &Generation,
        subject: &SubjectId,
        keys: &CompartmentKeys,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        'again: for _ in 0..ATTEMPTS {
            let mut pages = Pages::new(INDEX, Range::prefix(subject.as_bytes()));
            let mut latest: Option<(Posting, Meta)> = None;
            let mut batch = Batch::new();
            loop {
                let rows = pages.next(self).await?;
                let at_end = rows.is_none();
                for (key, value) in rows.unwrap_or_default() {
                    let (record, version) = version_of(&key).ok_or(damaged(INDEX))?;
                    let meta = self.meta_open(keys, &key, &value)?;
                    let posting = Posting {
                        subject: *subject,
                        record,
                        version,
                    };
                    if let Some((last, meta)) = latest.replace((posting, meta))
                        && last.record != record
                    {
                        batch = repost_one(shard, next, batch, &last, &meta, entropy);
                    }
                }
                if at_end && let Some((last, meta)) = latest.take() {
                    batch = repost_one(shard, next, batch, &last, &meta, entropy);
                }
                if batch.writes().len() >= PAGE || at_end {
                    match self.commit(std::mem::take(&mut batch)).await {
                        // A new version came in between.
                        Err(error) if is_conflict(&error) => continue 'again,
                        done => done?,
                    }
                }
                if at_end {
                    return Ok(());
                }
            }
        }
        Err(Error::Busy)
    }

    /// Makes the generation in the ring the only one that is posted to, and removes all others.
    async fn shard_settle(&self, number: u8) -> Result<(), Error> {
        let Some(shard) = self.shard(number).await? else {
            return Ok(());
        };
        let keychain = &self.inner().keychain;
        let generation = keychain.generation(compartment_slot(number));
        if let Some(current) = shard.settled(generation) {
            self.shard_change(&shard, &current, None).await?;
        }
        self.postings_sweep(number, &[generation]).await
    }

    async fn erasure_row(&self, subject: &SubjectId) -> Result<Option<(Bytes, ErasureRow)>, Error> {
        match self.get(ERASURES, subject.as_bytes()).await? {
            Some(sealed) => {
                let row = self.erasure_open(subject, &sealed)?;
                Ok(Some((sealed, row)))
            }
            None => Ok(None),
        }
    }

    fn erasure_open(&self, subject: &SubjectId, sealed: &[u8]) -> Result<ErasureRow, Error> {
        let inner = self.inner();
        let custodian = &inner.settings.custodian;
        let rows = &inner.node.rows;
        rows.open(custodian, ERASURES, subject.as_bytes(), sealed)
    }

    fn erasure_seal(
        &self,
        subject: &SubjectId,
        row: &ErasureRow,
        entropy: &mut impl Entropy,
    ) -> Vec<u8> {
        let inner = self.inner();
        let custodian = &inner.settings.custodian;
        let rows = &inner.node.rows;
        rows.seal(custodian, ERASURES, subject.as_bytes(), row, entropy)
    }

    fn audit_until(&self, done: Millis) -> Millis {
        done.saturating_add(self.inner().settings.audit_retention_ms)
    }

    /// Writes down that a subject is to be erased again, whether or not it is here (after a restore). Who
    /// controlled it is not written down: the backup's consent may be older than a guardian's removal, so
    /// its trail then goes through the privacy officer.
    async fn tombstone_put(
        &self,
        subject: &SubjectId,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        if self.erasure_row(subject).await?.is_some() {
            return Ok(());
        }
        let slot = slot_of(KeyKind::Compartment, subject);
        let row = ErasureRow {
            requested: now,
            generation: self.inner().keychain.generation(slot),
            done: None,
        };
        self.inner().compartments.shut_out(*subject);
        let sealed = self.erasure_seal(subject, &row, entropy);
        let batch = Batch::new().put(ERASURES, subject.as_bytes(), sealed);
        self.commit(batch).await
    }
}

/// On opening: shuts out what is being erased, and undoes or completes what an interrupted erasure
/// did to the generations of a shard.
pub(crate) async fn reconcile<S: Store>(vault: &Vault<S>) -> Result<(), Error> {
    let inner = vault.inner();
    for erasure in vault.erasures().await? {
        if erasure.done.is_none() {
            inner.compartments.shut_out(erasure.subject);
        }
    }
    for (key, value) in vault.page(INDEX_GENERATIONS, Range::all(), 256).await? {
        let Some(number) = key.first().copied() else {
            continue;
        };
        let row: GenerationsRow =
            codec::from_slice(&value).map_err(|_| damaged(INDEX_GENERATIONS))?;
        let generation = inner.keychain.generation(compartment_slot(number));
        if row.current == generation && row.next.is_none() {
            continue;
        }
        if row.current != generation && row.next != Some(generation) {
            // The ring is older or newer than the store: one of them was put back by hand.
            return Err(damaged(INDEX_GENERATIONS));
        }
        let settled = GenerationsRow {
            current: generation,
            next: None,
        };
        let batch = Batch::new()
            .expect(INDEX_GENERATIONS, &key, Expect::Equals(value))
            .put(INDEX_GENERATIONS, &key, codec::to_vec(&settled));
        vault.commit(batch).await?;
        vault.postings_sweep(number, &[generation]).await?;
    }
    Ok(())
}

/// The id of the work list's row for a retention.
const RETENTION: AuditId = AuditId::new([0; 16]);

fn repost_one(
    shard: &Shard,
    next: &Generation,
    mut batch: Batch,
    posting: &Posting,
    meta: &Meta,
    entropy: &mut impl Entropy,
) -> Batch {
    if meta.tokens.is_empty() {
        return batch;
    }
    if let Some(newer) = posting.version.checked_add(1) {
        let newer = version_key(&posting.subject, &posting.record, newer);
        batch = batch.expect(INDEX, newer, Expect::Absent);
    }
    for token in &meta.tokens {
        batch = shard.post_to(next, batch, posting, token, entropy);
    }
    batch
}

fn next_generation(generation: u64) -> Result<u64, Error> {
    generation.checked_add(1).ok_or(Error::invalid(
        "generation",
        "there are no more generations",
    ))
}

fn held(refused: ErasureRefused) -> Error {
    let reason_code = match &refused {
        ErasureRefused::LegalHold(hold) => hold.reason_code.to_string(),
        ErasureRefused::Retention(retention) => retention.rule.to_string(),
    };
    Error::Held {
        until: refused.until(),
        reason_code,
    }
}

impl ErasureRow {
    fn shown(&self, subject: &SubjectId) -> Erasure {
        Erasure {
            subject: *subject,
            requested: self.requested,
            done: self.done,
        }
    }
}
