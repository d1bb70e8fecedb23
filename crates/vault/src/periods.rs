//! Disclosure periods: closing them, and the proofs of what a period held for a subject.
//!
//! Closing has two durable steps. First the cursor moves past the period, with a seed for the padding:
//! from then on no disclosure gets in. Then the map is built from the logged rows and that seed: as
//! often as wanted, always the same. Assigning the signed entry keeps the real values beside the seed,
//! so that presence and absence can still be proved when rows of the period are gone.
//!
//! Periods are closed in order and each is assigned before the next is closed.

use crate::disclosures::{LoggedDisclosure, disclosures_root, map_key};
use crate::entries::{EntryPurpose, Position, Signed};
use crate::layout::{NODE, PERIOD_SUBJECTS, PERIODS, number_at, period_subject};
use crate::sealing::damaged;
use crate::vault::{ATTEMPTS, Pages, Vault, is_conflict};
use crate::{Conflict, Error};
use bytes::Bytes;
use codec::{Digest, EntryId, Millis, SubjectId, record};
use keys::Entropy;
use ledger::batch::{Lookup, MapLeaf, PeriodMap, PeriodValue};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use store::{Batch, Expect, Range, Store};

const CURSOR: &[u8] = b"v/periods";

record! {
    /// The value of a period's row.
    struct PeriodRow {
        // What the padding is made from.
        1 => seed: [u8; 32],
        2 => assigned: Option<Assigned>,
    }
}

record! {
    #[derive(Clone)]
    struct Assigned {
        1 => entry: EntryId,
        2 => root: Digest,
        // The map without its padding.
        3 => values: Vec<MapLeaf>,
    }
}

record! {
    struct CursorRow {
        1 => open_from: u64,
    }
}

/// The first period that is not closed, as the store has it.
#[derive(Clone, Default)]
pub(crate) struct Cursor {
    row: Option<Bytes>,
    open_from: Option<u64>,
}

/// What is known of the cursor, in memory.
#[derive(Default)]
pub(crate) struct CursorCache(Mutex<Option<Cursor>>);

/// A closed period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedPeriod {
    /// Its number.
    pub period: u64,
    /// The padded map, the same however often it is asked for.
    pub map: PeriodMap,
    /// The entry it was assigned to, if it was.
    pub entry: Option<EntryId>,
}

/// What proves a subject's disclosures of a period, or that there were none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodProof {
    /// The subject's key in the map.
    pub key: Digest,
    /// What the map says about it.
    pub lookup: Lookup,
    /// The period's entry.
    pub entry: EntryId,
    /// Where that is on the ledger, once it is.
    pub position: Option<Position>,
    /// What the root in the map opens to.
    pub disclosures: Vec<LoggedDisclosure>,
}

/// Whether there will be a proof of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeriodOutlook {
    /// There is one, or will be when the period is over and its entry final.
    Coming,
    /// The period begins later.
    NotBegun,
    /// It was over before this custodian's first period.
    BeforeFirst,
    /// It was closed, but not here: this store is a backup's that was made before.
    Lost,
}

impl<S: Store> Vault<S> {
    /// Whether there will be a proof of a period. `ledger` is the time by which periods end, `now` the
    /// latest that something may be logged at.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Store`].
    pub async fn period_outlook(
        &self,
        period: u64,
        ledger: Millis,
        now: Millis,
    ) -> Result<PeriodOutlook, Error> {
        if self.period_row(period).await?.is_some() {
            return Ok(PeriodOutlook::Coming);
        }
        let period_ms = self.inner().settings.period_ms;
        let cursor = self.period_cursor().await?;
        // The first one that is not closed; while none is, the one that would be closed first.
        let first_open = match cursor.open_from {
            Some(open_from) => open_from,
            None => {
                let first = self.page(PERIOD_SUBJECTS, Range::all(), 1).await?;
                let logged = first.first().and_then(|(key, _)| number_at(key, 0));
                let over = (ledger.get() / period_ms).saturating_sub(1);
                logged.map_or(over, |logged| logged.min(over))
            }
        };
        if period >= first_open {
            let last = first_open.max(now.get() / period_ms);
            return Ok(match period <= last {
                true => PeriodOutlook::Coming,
                false => PeriodOutlook::NotBegun,
            });
        }
        let closed = self.page(PERIODS, Range::all(), 1).await?;
        let first = closed.first().and_then(|(key, _)| number_at(key, 0));
        Ok(match first.is_some_and(|first| first < period) {
            true => PeriodOutlook::Lost,
            false => PeriodOutlook::BeforeFirst,
        })
    }

    /// The period to close or to assign next: the last closed one while it has no entry, else the
    /// first open one if it is over at `now`.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Store`].
    pub async fn period_due(&self, now: Millis) -> Result<Option<u64>, Error> {
        let running = now.get() / self.inner().settings.period_ms;
        let cursor = self.period_cursor().await?;
        let Some(open_from) = cursor.open_from else {
            let first = self.page(PERIOD_SUBJECTS, Range::all(), 1).await?;
            let first = first.first().and_then(|(key, _)| number_at(key, 0));
            let before = running.checked_sub(1);
            return Ok(first.filter(|first| *first < running).or(before));
        };
        if let Some(last) = open_from.checked_sub(1)
            && let Some((_, row)) = self.period_row(last).await?
            && row.assigned.is_none()
        {
            return Ok(Some(last));
        }
        Ok((open_from < running).then_some(open_from))
    }

    /// Closes a period (the one after the last closed one) and gives its map. A closed period gives
    /// the same map again.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless it is the next one and the one before is assigned.
    pub async fn period_close(
        &self,
        period: u64,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<ClosedPeriod, Error> {
        for _ in 0..ATTEMPTS {
            if let Some((_, row)) = self.period_row(period).await? {
                return self.period_map(period, &row).await;
            }
            let cursor = self.period_cursor().await?;
            if let Some(open_from) = cursor.open_from {
                let last = open_from.checked_sub(1);
                let last = match last {
                    Some(last) => self.period_row(last).await?,
                    None => None,
                };
                let unassigned = last.is_some_and(|(_, row)| row.assigned.is_none());
                if period != open_from || unassigned {
                    return Err(Error::invalid(
                        "period",
                        "periods are closed and assigned one after the other",
                    ));
                }
            }
            let mut seed = [0; 32];
            entropy.fill(&mut seed);
            let row = PeriodRow {
                seed,
                assigned: None,
            };
            let key = period.to_be_bytes();
            let batch = self
                .cursor_move(&cursor, period, entropy)?
                .expect(PERIODS, key, Expect::Absent)
                .put(PERIODS, key, self.period_seal(period, &row, entropy));
            match self.commit(batch).await {
                Err(error) if is_conflict(&error) => {}
                done => done?,
            }
            self.period_cursor_reload().await?;
        }
        Err(Error::Busy)
    }

    /// Keeps the signed entry of a closed period, before it is submitted anywhere. Doing it again for
    /// the same entry changes nothing.
    ///
    /// # Errors
    /// [`Error::Unknown`] unless the period is closed; [`Conflict::Done`] if it has another entry;
    /// [`Error::Full`].
    pub async fn period_assign(
        &self,
        closed: &ClosedPeriod,
        signed: &Signed,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        signed.check()?;
        let period = closed.period;
        let mut quota = self.inner().entries.take(1)?;
        let found = self.period_row(period).await?;
        let (old, row) = found.ok_or(Error::Unknown("closed period"))?;
        if let Some(assigned) = &row.assigned {
            if assigned.entry == signed.id {
                return Ok(());
            }
            return Err(Conflict::Done("the period has another entry").into());
        }
        let values = self.period_values(period).await?;
        let map = PeriodMap::build(&values, &mut seeded(row.seed));
        if map != closed.map {
            return Err(Error::invalid("closed", "the map is the period's"));
        }
        let leaves = values.into_iter();
        let row = PeriodRow {
            seed: row.seed,
            assigned: Some(Assigned {
                entry: signed.id,
                root: map.root(),
                values: leaves.map(|(key, value)| MapLeaf { key, value }).collect(),
            }),
        };
        let entry = self.entry_row(EntryPurpose::DisclosurePeriod(period), signed, now);
        let key = period.to_be_bytes();
        let batch = self
            .entry_insert(Batch::new(), &signed.id, &entry, entropy)
            .expect(PERIODS, key, Expect::Equals(old))
            .put(PERIODS, key, self.period_seal(period, &row, entropy));
        match self.commit(batch).await {
            Ok(()) => quota.keep(),
            Err(error) if is_conflict(&error) => {
                let now = self.period_row(period).await?;
                let now = now.and_then(|(_, row)| row.assigned);
                if now.is_none_or(|assigned| assigned.entry != signed.id) {
                    return Err(Conflict::Done("the period has another entry").into());
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// What proves a subject's disclosures of a period, or their absence; `None` until the period is
    /// closed and assigned.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], also once the retention of an erased subject's disclosures is over.
    pub async fn period_proof(
        &self,
        subject: &SubjectId,
        period: u64,
    ) -> Result<Option<PeriodProof>, Error> {
        let keys = self.audit(subject)?;
        let Some((_, row)) = self.period_row(period).await? else {
            return Ok(None);
        };
        let Some(assigned) = &row.assigned else {
            return Ok(None);
        };
        let map = self.period_map(period, &row).await?.map;
        let key = map_key(&keys.period, period);
        let lookup = map.lookup(&key).ok_or(damaged(PERIODS))?;
        let entry = self.entry(&assigned.entry).await?;
        Ok(Some(PeriodProof {
            key,
            lookup,
            entry: assigned.entry,
            position: entry.position(),
            disclosures: self.disclosures_in(&keys, subject, period).await?,
        }))
    }

    /// After a restore: goes on after the last period that the ledger has of this custodian.
    ///
    /// INVARIANT: called before anything is logged, or what was logged in skipped periods stays
    /// without proof.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub async fn periods_continue_after(
        &self,
        last: u64,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let cursor = self.period_cursor().await?;
            if cursor.open_from.is_some_and(|open| open > last) {
                return Ok(());
            }
            let batch = self.cursor_move(&cursor, last, entropy)?;
            let moved = self.commit(batch).await;
            self.period_cursor_reload().await?;
            match moved {
                Err(error) if is_conflict(&error) => {}
                done => return done,
            }
        }
        Err(Error::Busy)
    }

    /// Opens a period's row in its place and makes its map again.
    pub(crate) async fn period_check(&self, key: &[u8]) -> Result<(), Error> {
        let period = crate::layout::number_at(key, 0).ok_or(damaged(PERIODS))?;
        if let Some((_, row)) = self.period_row(period).await? {
            self.period_map(period, &row).await?;
        }
        Ok(())
    }

    pub(crate) async fn period_cursor(&self) -> Result<Cursor, Error> {
        if let Some(known) = self.inner().cursor.get() {
            return Ok(known);
        }
        self.period_cursor_reload().await
    }

    pub(crate) async fn period_cursor_reload(&self) -> Result<Cursor, Error> {
        let row = self.get(NODE, CURSOR).await?;
        let cursor = match row {
            None => Cursor::default(),
            Some(row) => {
                let plain = self.own_open(CURSOR, &row)?;
                let decoded: CursorRow = codec::from_slice(&plain).map_err(|_| damaged(NODE))?;
                Cursor {
                    row: Some(row),
                    open_from: Some(decoded.open_from),
                }
            }
        };
        self.inner().cursor.set(cursor.clone());
        Ok(cursor)
    }

    /// Moves the cursor past a period, from where it is known to be.
    fn cursor_move(
        &self,
        cursor: &Cursor,
        period: u64,
        entropy: &mut impl Entropy,
    ) -> Result<Batch, Error> {
        let open_from = period
            .checked_add(1)
            .ok_or(Error::invalid("period", "there are no more periods"))?;
        let row = self.own_seal(CURSOR, &codec::to_vec(&CursorRow { open_from }), entropy);
        Ok(cursor.expect(Batch::new()).put(NODE, CURSOR, row))
    }

    /// The padded map of a closed period.
    async fn period_map(&self, period: u64, row: &PeriodRow) -> Result<ClosedPeriod, Error> {
        let values = match &row.assigned {
            Some(assigned) => {
                let values = assigned.values.iter();
                values.map(|leaf| (leaf.key, leaf.value)).collect()
            }
            None => self.period_values(period).await?,
        };
        let map = PeriodMap::build(&values, &mut seeded(row.seed));
        let assigned = row.assigned.as_ref();
        if assigned.is_some_and(|assigned| assigned.root != map.root()) {
            return Err(damaged(PERIODS));
        }
        Ok(ClosedPeriod {
            period,
            map,
            entry: assigned.map(|assigned| assigned.entry),
        })
    }

    /// The map of a period without padding, from the logged rows.
    async fn period_values(&self, period: u64) -> Result<BTreeMap<Digest, PeriodValue>, Error> {
        let mut values = BTreeMap::new();
        let range = Range::prefix(period.to_be_bytes());
        let mut pages = Pages::new(PERIOD_SUBJECTS, range);
        while let Some(rows) = pages.next(self).await? {
            for (key, _) in rows {
                let (_, subject) = period_subject(&key).ok_or(damaged(PERIOD_SUBJECTS))?;
                let keys = match self.audit(&subject) {
                    // Its retention ended since: nobody is left to prove anything to.
                    Err(Error::SubjectUnknown) => continue,
                    keys => keys?,
                };
                let logged = self.disclosures_in(&keys, &subject, period).await?;
                let value = PeriodValue {
                    root: disclosures_root(&logged),
                    count: u32::try_from(logged.len()).unwrap_or(u32::MAX),
                };
                values.insert(map_key(&keys.period, period), value);
            }
        }
        Ok(values)
    }

    async fn period_row(&self, period: u64) -> Result<Option<(Bytes, PeriodRow)>, Error> {
        let key = period.to_be_bytes();
        let Some(sealed) = self.get(PERIODS, &key).await? else {
            return Ok(None);
        };
        let inner = self.inner();
        let custodian = &inner.settings.custodian;
        let row = inner.node.outbox.open(custodian, PERIODS, &key, &sealed)?;
        Ok(Some((sealed, row)))
    }

    fn period_seal(&self, period: u64, row: &PeriodRow, entropy: &mut impl Entropy) -> Vec<u8> {
        let inner = self.inner();
        let custodian = &inner.settings.custodian;
        let key = period.to_be_bytes();
        inner
            .node
            .outbox
            .seal(custodian, PERIODS, &key, row, entropy)
    }
}

impl Cursor {
    /// The first period that a disclosure can still get into.
    pub(crate) fn open_from(&self) -> u64 {
        self.open_from.unwrap_or(0)
    }

    /// Expects that no period was closed since the cursor was read.
    pub(crate) fn expect(&self, batch: Batch) -> Batch {
        let expect = self.row.clone().map_or(Expect::Absent, Expect::Equals);
        batch.expect(NODE, CURSOR, expect)
    }
}

impl CursorCache {
    fn get(&self) -> Option<Cursor> {
        let cursor = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cursor.clone()
    }

    fn set(&self, cursor: Cursor) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(cursor);
    }
}

/// Randomness that a padded map is rebuilt from: the map draws one seed.
fn seeded(seed: [u8; 32]) -> impl Entropy {
    move |out: &mut [u8]| {
        for (out, seed) in out.iter_mut().zip(seed) {
            *out = seed;
        }
    }
}
