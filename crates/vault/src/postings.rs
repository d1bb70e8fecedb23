//! The cross-subject index: which records carry a token, without the token.
//!
//! A posting's row key is
//! `shard (1) || generation (8) || HMAC(token) (16) || HMAC(token, subject) (12) || HMAC(token, subject, record) (12)`,
//! its value is sealed: so all that carries a token stands together, and within it what is of one subject.
//! Both keys come from the shard's index key, which lives in the shard's key table. Erasing a
//! subject replaces that key and posts the other subjects of its shard anew, so that old copies of the
//! store show nothing of an erased subject, not even with the root key in hand. Whoever holds the disk
//! but no key learns how many postings are equal, how many of those are of one subject, and how many there are.
//!
//! Only the latest version of a record is posted.

use crate::Error;
use crate::filter::{Filter, Known};
use crate::keychain::IndexKey;
use crate::layout::{INDEX_GENERATIONS, POSTINGS, join};
use crate::sealing::{PostingKeys, damaged};
use crate::vault::{ATTEMPTS, PAGE, Vault};
use bytes::Bytes;
use codec::{Digest, Domain, InstitutionId, RecordId, SubjectId, record};
use keys::Entropy;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{Batch, Expect, Range, Store};

/// Pages of a filter that is not complete that are read with a search.
const FILTER_PAGES: usize = 16;
/// Bytes of a blinded token.
const BLIND_BYTES: usize = 16;
/// Bytes of a blinded subject, and of a blinded record of it, under one token.
const NAME_BYTES: usize = 12;

record! {
    /// A record that carries a token.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Posting {
        /// Whose.
        1 => pub subject: SubjectId,
        /// Which record.
        2 => pub record: RecordId,
        /// Its latest version.
        3 => pub version: u32,
    }
}

record! {
    /// The generations of a shard's postings. While an erasure prepares the next one, writers post to
    /// both; every put expects this row as it knows it.
    #[derive(Clone, Copy)]
    pub(crate) struct GenerationsRow {
        1 => pub(crate) current: u64,
        2 => pub(crate) next: Option<u64>,
    }
}

/// What is known of the shards, in memory.
#[derive(Default)]
pub(crate) struct Shards(Mutex<BTreeMap<u8, Shard>>);

/// A shard as one writer sees it.
#[derive(Clone)]
pub(crate) struct Shard {
    number: u8,
    custodian: InstitutionId,
    // The row in the store; none until the first rotation.
    row: Option<Bytes>,
    current: Arc<Generation>,
    next: Option<Arc<Generation>>,
}

/// One generation of a shard's postings.
pub(crate) struct Generation {
    pub(crate) number: u64,
    keys: PostingKeys,
    filter: Arc<Filter>,
}

impl<S: Store> Vault<S> {
    /// Up to `limit` records that carry a token, of subjects in no particular order: fewer only if no more do.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Store`], [`Error::Custody`]; [`Error::Busy`] if erasures never let it finish.
    pub async fn search(&self, token: &[u8], limit: usize) -> Result<Vec<Posting>, Error> {
        for _ in 0..ATTEMPTS {
            let mut shards = Vec::new();
            for number in 0..=u8::MAX {
                shards.extend(self.shard(number).await?);
            }
            let prefix = |shard: &Shard| shard.token_prefix(&shard.current, token);
            let found = self.postings(&shards, prefix, limit).await?;
            let unread = shards
                .iter()
                .find(|shard| shard.current.filter.left().is_some());
            if let Some(shard) = unread {
                self.filter_read(shard, PAGE, FILTER_PAGES).await?;
            }
            if let Some(found) = found {
                return Ok(found);
            }
        }
        Err(Error::Busy)
    }

    /// Takes up to so many pages of a generation's keys into its filter.
    async fn filter_read(&self, shard: &Shard, page: usize, pages: usize) -> Result<(), Error> {
        let generation = &shard.current;
        let all = Range::prefix(generation_prefix(shard.number, generation.number));
        for _ in 0..pages {
            let Some(from) = generation.filter.left() else {
                break;
            };
            let range = match &from {
                Some(from) => all.clone().after(from),
                None => all.clone(),
            };
            let rows = self.page(POSTINGS, range, page).await?;
            let keys = rows.iter().map(|(key, _)| key.as_ref());
            let is_end = rows.len() < page;
            generation.filter.take_up(from.as_deref(), keys, is_end);
        }
        Ok(())
    }

    /// Up to `limit` records of one subject that carry a token.
    ///
    /// # Errors
    /// As [`Vault::search`].
    pub async fn search_within(
        &self,
        subject: &SubjectId,
        token: &[u8],
        limit: usize,
    ) -> Result<Vec<Posting>, Error> {
        let [number, ..] = *subject.as_bytes();
        let prefix = |shard: &Shard| shard.subject_prefix(&shard.current, subject, token);
        self.search_shard(number, prefix, limit).await
    }

    /// The record of this id, if it carries the token: by the id alone, when it came from [`Vault::record_id`].
    ///
    /// # Errors
    /// As [`Vault::search`].
    pub async fn locate(&self, record: &RecordId, token: &[u8]) -> Result<Option<Posting>, Error> {
        let id = record.as_bytes();
        let [.., last] = *id;
        let number = last ^ self.mask(id);
        let prefix = |shard: &Shard| shard.token_prefix(&shard.current, token);
        let found = self.search_shard(number, prefix, 1).await?;
        Ok(found.first().copied())
    }

    async fn search_shard(
        &self,
        number: u8,
        prefix: impl Fn(&Shard) -> Vec<u8>,
        limit: usize,
    ) -> Result<Vec<Posting>, Error> {
        for _ in 0..ATTEMPTS {
            let Some(shard) = self.shard(number).await? else {
                return Ok(Vec::new());
            };
            if let Some(found) = self.postings(&[shard], &prefix, limit).await? {
                return Ok(found);
            }
        }
        Err(Error::Busy)
    }

    /// A fresh id for a record of a subject. It is random but for one byte, which tells this vault alone in
    /// which shard the subject is.
    pub fn record_id(&self, subject: &SubjectId, entropy: &mut impl Entropy) -> RecordId {
        let mut id = [0; RecordId::LEN];
        entropy.fill(&mut id);
        let [number, ..] = *subject.as_bytes();
        let mask = self.mask(&id);
        let [.., last] = &mut id;
        *last = number ^ mask;
        RecordId::new(id)
    }

    /// What masks the last byte of an id: it follows from the bytes before it.
    fn mask(&self, id: &[u8; RecordId::LEN]) -> u8 {
        let [rest @ .., _] = id;
        let mask = self.inner().node.hint.mac(Domain::BlindToken, &[rest]);
        let [first, ..] = *mask.as_bytes();
        first
    }

    /// Up to `limit` postings, in these shards in ascending order, whose keys start so. `None` if an erasure
    /// replaced a generation meanwhile: what was not read yet may have been gone.
    async fn postings(
        &self,
        shards: &[Shard],
        prefix: impl Fn(&Shard) -> Vec<u8>,
        limit: usize,
    ) -> Result<Option<Vec<Posting>>, Error> {
        let ranges = shards.iter().filter_map(|shard| {
            let prefix = prefix(shard);
            let may_be = shard.current.filter.knows(&prefix) == Known::Perhaps;
            may_be.then(|| Range::prefix(prefix))
        });
        let mut ranges: Vec<Range> = ranges.collect();
        let mut found = Vec::new();
        // Rows of subjects that are shut out do not count.
        while found.len() < limit && !ranges.is_empty() {
            let wanted = limit - found.len();
            let rows = self.inner().store.ranges(POSTINGS, ranges.clone(), wanted);
            let rows = rows.await?;
            for (key, sealed) in &rows {
                let number = key.first().copied().ok_or(damaged(POSTINGS))?;
                let shard = shards.iter().find(|shard| shard.number == number);
                found.extend(self.posting_open(shard.ok_or(damaged(POSTINGS))?, key, sealed)?);
            }
            match rows.last() {
                Some((last, _)) if rows.len() == wanted => {
                    ranges.retain(|range| range.end().is_none_or(|end| end > last.as_ref()));
                    ranges = ranges.into_iter().map(|range| range.after(last)).collect();
                }
                _ => break,
            }
        }
        let known = self.inner().shards.lock();
        let is_current = |shard: &Shard| {
            let now = known.get(&shard.number);
            now.is_some_and(|now| now.current.number == shard.current.number)
        };
        Ok(shards.iter().all(is_current).then_some(found))
    }

    /// A posting of the current generation, unless its subject is shut out.
    fn posting_open(
        &self,
        shard: &Shard,
        key: &[u8],
        sealed: &[u8],
    ) -> Result<Option<Posting>, Error> {
        let seal = &shard.current.keys.seal;
        let posting: Posting = seal.open(&shard.custodian, POSTINGS, key, sealed)?;
        let is_shut_out = self.inner().compartments.is_shut_out(&posting.subject);
        Ok((!is_shut_out).then_some(posting))
    }

    /// Opens a posting in its place; of another generation than the current one there is nothing to open.
    pub(crate) async fn posting_check(&self, key: &[u8], sealed: &[u8]) -> Result<(), Error> {
        let number = key.first().copied().ok_or(damaged(POSTINGS))?;
        let shard = self.shard(number).await?.ok_or(Error::KeyLost)?;
        if key.starts_with(&generation_prefix(number, shard.current.number)) {
            let seal = &shard.current.keys.seal;
            let _: Posting = seal.open(&shard.custodian, POSTINGS, key, sealed)?;
        }
        Ok(())
    }

    /// The shard of a subject that has a compartment.
    pub(crate) async fn shard_of(&self, subject: &SubjectId) -> Result<Shard, Error> {
        let [number, ..] = *subject.as_bytes();
        self.shard(number).await?.ok_or(Error::KeyLost)
    }

    /// A shard; `None` while it has no subjects.
    pub(crate) async fn shard(&self, number: u8) -> Result<Option<Shard>, Error> {
        let inner = self.inner();
        if let Some(known) = inner.shards.lock().get(&number) {
            return Ok(Some(known.clone()));
        }
        let row = self.get(INDEX_GENERATIONS, &[number]).await?;
        let Some(index_key) = inner.keychain.index_key(number)? else {
            return Ok(None);
        };
        if let Some(row) = &row {
            let row: GenerationsRow =
                codec::from_slice(row).map_err(|_| damaged(INDEX_GENERATIONS))?;
            // The keys have the last word: an erasure may have ended before it wrote the row.
            if row.current != index_key.generation && row.next != Some(index_key.generation) {
                return Err(damaged(INDEX_GENERATIONS));
            }
        }
        let filter = inner.filters.of(number, index_key.generation);
        let shard = Shard {
            number,
            custodian: inner.settings.custodian,
            row,
            current: Arc::new(Generation::of(&index_key, filter)),
            next: None,
        };
        // While it is empty, that costs nothing; later each search does a part.
        self.filter_read(&shard, 1, 1).await?;
        // Another reader may have been faster, or an erasure may have begun since.
        let mut shards = inner.shards.lock();
        Ok(Some(shards.entry(number).or_insert(shard).clone()))
    }

    /// Lets writers post to `next` too (or no more), from now on: first in memory, so that whoever
    /// writes by the old view fails the expectation once the row is there.
    pub(crate) async fn shard_change(
        &self,
        shard: &Shard,
        current: &Arc<Generation>,
        next: Option<&Arc<Generation>>,
    ) -> Result<Shard, Error> {
        let row = GenerationsRow {
            current: current.number,
            next: next.map(|next| next.number),
        };
        let row = Bytes::from(codec::to_vec(&row));
        let changed = Shard {
            row: Some(row.clone()),
            current: Arc::clone(current),
            next: next.map(Arc::clone),
            ..shard.clone()
        };
        let shards = &self.inner().shards;
        shards.lock().insert(shard.number, changed.clone());
        let batch = shard
            .expect(Batch::new())
            .put(INDEX_GENERATIONS, [shard.number], row);
        match self.commit(batch).await {
            Ok(()) => Ok(changed),
            Err(error) => {
                shards.lock().remove(&shard.number);
                Err(error)
            }
        }
    }

    /// Removes every posting of a shard but those of the generations to keep.
    pub(crate) async fn postings_sweep(&self, number: u8, keep: &[u64]) -> Result<(), Error> {
        self.inner().filters.keep(number, keep);
        let mut keep = keep.to_vec();
        keep.sort_unstable();
        let mut from = vec![number];
        let mut batch = Batch::new();
        for generation in keep {
            let to = generation_prefix(number, generation);
            batch = batch.delete_range(POSTINGS, Range::between(&from, &to));
            match generation.checked_add(1) {
                Some(next) => from = generation_prefix(number, next),
                None => return self.commit(batch).await,
            }
        }
        let to = number.checked_add(1).map(|next| vec![next]);
        let rest = to.map_or_else(|| Range::from(&from), |to| Range::between(&from, to));
        self.commit(batch.delete_range(POSTINGS, rest)).await
    }
}

impl Shards {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u8, Shard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    /// Expects that writers still post to the generations this view knows.
    pub(crate) fn expect(&self, batch: Batch) -> Batch {
        let expect = self.row.clone().map_or(Expect::Absent, Expect::Equals);
        batch.expect(INDEX_GENERATIONS, [self.number], expect)
    }

    /// Posts a record under a token, in every generation.
    pub(crate) fn post(
        &self,
        mut batch: Batch,
        posting: &Posting,
        token: &[u8],
        entropy: &mut impl Entropy,
    ) -> Batch {
        for generation in self.generations() {
            batch = self.post_to(generation, batch, posting, token, entropy);
        }
        batch
    }

    /// Posts a record under a token, in one generation.
    pub(crate) fn post_to(
        &self,
        generation: &Generation,
        batch: Batch,
        posting: &Posting,
        token: &[u8],
        entropy: &mut impl Entropy,
    ) -> Batch {
        let key = self.posting_key(generation, posting, token);
        generation.filter.note(&key);
        let seal = &generation.keys.seal;
        let sealed = seal.seal(&self.custodian, POSTINGS, &key, posting, entropy);
        batch.put(POSTINGS, key, sealed)
    }

    /// Takes a record's posting under a token back, from every generation.
    pub(crate) fn forget(&self, mut batch: Batch, posting: &Posting, token: &[u8]) -> Batch {
        for generation in self.generations() {
            batch = batch.delete(POSTINGS, self.posting_key(generation, posting, token));
        }
        batch
    }

    /// The current generation.
    pub(crate) fn current(&self) -> Arc<Generation> {
        Arc::clone(&self.current)
    }

    /// The highest number of a generation that anything was posted to, also by an erasure that failed.
    pub(crate) fn newest(&self) -> u64 {
        let next = self.row_known().and_then(|row| row.next);
        next.max(Some(self.current.number))
            .unwrap_or(self.current.number)
    }

    /// The generation of this number, unless the shard knows no other, in memory and in its row.
    pub(crate) fn settled(&self, number: u64) -> Option<Arc<Generation>> {
        let row = self.row_known();
        let row_settled = row.is_none_or(|row| row.current == number && row.next.is_none());
        if row_settled && self.next.is_none() && self.current.number == number {
            return None;
        }
        let mut generations = self.generations();
        generations.find(|known| known.number == number).cloned()
    }

    fn row_known(&self) -> Option<GenerationsRow> {
        let row = self.row.as_deref()?;
        codec::from_slice(row).ok()
    }

    fn generations(&self) -> impl Iterator<Item = &Arc<Generation>> {
        std::iter::once(&self.current).chain(&self.next)
    }

    fn token_prefix(&self, generation: &Generation, token: &[u8]) -> Vec<u8> {
        let blind = generation.keys.blind.mac(Domain::BlindToken, &[token]);
        join(&[
            &generation_prefix(self.number, generation.number),
            shortened(&blind, BLIND_BYTES),
        ])
    }

    fn subject_prefix(
        &self,
        generation: &Generation,
        subject: &SubjectId,
        token: &[u8],
    ) -> Vec<u8> {
        let blind = &generation.keys.blind;
        let name = blind.mac(Domain::BlindToken, &[token, subject.as_bytes()]);
        join(&[
            &self.token_prefix(generation, token),
            shortened(&name, NAME_BYTES),
        ])
    }

    fn posting_key(&self, generation: &Generation, posting: &Posting, token: &[u8]) -> Vec<u8> {
        let name = generation.keys.blind.mac(
            Domain::BlindToken,
            &[token, posting.subject.as_bytes(), posting.record.as_bytes()],
        );
        join(&[
            &self.subject_prefix(generation, &posting.subject, token),
            shortened(&name, NAME_BYTES),
        ])
    }
}

impl Generation {
    pub(crate) fn of(key: &IndexKey, filter: Arc<Filter>) -> Self {
        Self {
            number: key.generation,
            keys: PostingKeys::derive(&key.key),
            filter,
        }
    }
}

fn generation_prefix(number: u8, generation: u64) -> Vec<u8> {
    join(&[&[number], &generation.to_be_bytes()])
}

fn shortened(blind: &Digest, size_bytes: usize) -> &[u8] {
    blind.as_bytes().get(..size_bytes).unwrap_or_default()
}
