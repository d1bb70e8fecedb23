//! Signed ledger entries on their way: the queue that makes "exactly once".
//!
//! *Queued* (durable, with whatever it is about, before anybody else sees it) -> *submitted* ->
//! *final* at a height and log index, or *dropped* for good. The same bytes are sent again and again
//! until then; only when the ledger has passed an entry's last valid height without it is the same
//! meaning signed again, under the same entry id.
//!
//! When an entry becomes final, what it is about changes in the same commit: a consent state becomes
//! the finalised one, a closing takes hold.

use crate::consents::ConsentRow;
use crate::layout::{ENTRIES, ENTRY_QUEUE, queue_key, queued_entry};
use crate::sealing::damaged;
use crate::vault::{ATTEMPTS, Vault, is_conflict};
use crate::{Conflict, Error};
use bytes::Bytes;
use codec::{EntryId, Millis, SubjectId, choice, record};
use keys::Entropy;
use ledger::SignedEntry;
use ledger::entry::ENTRY_MAX_BYTES;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use store::{Batch, Expect, Range, Store};

/// A signed entry.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// Its id: over its meaning, not its signature or validity.
    pub id: EntryId,
    /// The exact bytes to submit.
    pub bytes: Vec<u8>,
    /// The last height at which they may be included.
    pub last_valid: u64,
}

choice! {
    /// What an entry is about.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum EntryPurpose {
        /// A batch of record commitments.
        1 => RecordBatch,
        /// A compartment's opening, with its first consent state.
        2 => SubjectOpen(SubjectId),
        /// A consent state.
        3 => SubjectUpdate(SubjectId),
        /// A compartment's closing.
        4 => SubjectClose(SubjectId),
        /// A recovery of a subject's controller keys.
        5 => SubjectRecover(SubjectId),
        /// A period's disclosures.
        6 => DisclosurePeriod(u64),
        /// Anything else, by a name of the caller's.
        7 => Other(String),
    }
}

record! {
    /// Where a final entry is on the ledger.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Position {
        /// The block's height.
        1 => pub height: u64,
        /// The entry's index in the log.
        2 => pub log_index: u64,
        /// The block's time.
        3 => pub time: Millis,
    }
}

choice! {
    /// Where an entry stands.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum EntryState {
        /// Durable here.
        1 => Queued,
        /// Handed to consensus, last at this time.
        2 => Submitted(Millis),
        /// On the ledger.
        3 => Final(Position),
        /// The ledger will never take it, for this reason.
        4 => Dropped(String),
    }
}

record! {
    /// An entry of this node.
    #[derive(Clone, PartialEq, Eq)]
    pub struct EntryRow {
        /// What it is about.
        1 => pub purpose: EntryPurpose,
        /// The exact bytes to submit.
        2 => pub bytes: Vec<u8>,
        /// The last height at which they may be included.
        3 => pub last_valid: u64,
        /// Since when it is queued; later than every entry queued before.
        4 => pub queued: Millis,
        /// Where it stands.
        5 => pub state: EntryState,
    }
}

/// An own entry in a finalised block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalEntry {
    /// The entry.
    pub id: EntryId,
    /// What it was about.
    pub purpose: EntryPurpose,
    /// Where it is.
    pub position: Position,
}

/// What becomes of entries, gathered for one commit.
#[derive(Default)]
struct Settling {
    entries: BTreeMap<EntryId, (Bytes, EntryRow)>,
    consents: BTreeMap<SubjectId, Option<(Bytes, ConsentRow)>>,
    settled: Vec<FinalEntry>,
    // How many of the entries leave the queue.
    left: usize,
}

impl<S: Store> Vault<S> {
    /// Queues a signed entry that is about nothing kept here. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Invalid`].
    pub async fn entry_queue(
        &self,
        purpose: EntryPurpose,
        signed: &Signed,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        signed.check()?;
        let mut quota = self.inner().entries.take(1)?;
        let row = self.entry_row(purpose, signed, now);
        let batch = self.entry_insert(Batch::new(), &signed.id, &row, entropy);
        match self.commit(batch).await {
            Ok(()) => {
                quota.keep();
                Ok(())
            }
            Err(error) if is_conflict(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Up to `limit` entries that are not final, the oldest first, after `after`.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Store`].
    pub async fn entries_pending(
        &self,
        after: Option<(Millis, EntryId)>,
        limit: usize,
    ) -> Result<Vec<(EntryId, EntryRow)>, Error> {
        let mut range = Range::all();
        if let Some((queued, id)) = after {
            range = range.after(queue_key(queued.get(), id.as_bytes()));
        }
        let mut entries = Vec::new();
        for (key, _) in self.page(ENTRY_QUEUE, range, limit).await? {
            let id = queued_entry(&key).ok_or(damaged(ENTRY_QUEUE))?;
            match self.entry(&id).await {
                Ok(row) if row.is_settled() => {}
                Ok(row) => entries.push((id, row)),
                Err(Error::Unknown(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    /// How many entries are not final.
    #[must_use]
    pub fn entries_len(&self) -> usize {
        self.inner().entries.taken()
    }

    /// An entry of this node.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Damaged`].
    pub async fn entry(&self, id: &EntryId) -> Result<EntryRow, Error> {
        let found = self.entry_found(id).await?;
        found.map(|(_, row)| row).ok_or(Error::Unknown("entry"))
    }

    /// Notes that an entry was handed to consensus.
    ///
    /// # Errors
    /// [`Error::Unknown`]; [`Error::Busy`].
    pub async fn entry_submitted(
        &self,
        id: &EntryId,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let submitted = |row: &mut EntryRow| {
            if !row.is_settled() {
                row.state = EntryState::Submitted(now);
            }
            Ok(())
        };
        self.entry_change(id, submitted, entropy).await
    }

    /// Replaces an entry's bytes by newly signed ones of the same meaning.
    ///
    /// INVARIANT: callers do this only after finality has passed the old bytes' last valid height.
    ///
    /// # Errors
    /// [`Conflict::Done`] if the entry is final or dropped, or the new bytes do not outlive the old.
    pub async fn entry_resign(
        &self,
        signed: &Signed,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        signed.check()?;
        let resign = |row: &mut EntryRow| {
            if row.is_settled() {
                return Err(Conflict::Done("the entry is final or dropped").into());
            }
            if signed.last_valid <= row.last_valid {
                return Err(Conflict::Done("the entry was signed again already").into());
            }
            row.bytes.clone_from(&signed.bytes);
            row.last_valid = signed.last_valid;
            row.state = EntryState::Queued;
            Ok(())
        };
        self.entry_change(&signed.id, resign, entropy).await
    }

    /// The entries of a finalised block: own ones become final, and what they are about with them, in
    /// one commit. Returns the own ones; doing it again changes nothing and returns none.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Busy`].
    pub async fn block_final(
        &self,
        height: u64,
        time: Millis,
        entries: &[(EntryId, u64)],
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Vec<FinalEntry>, Error> {
        for _ in 0..ATTEMPTS {
            let mut settling = Settling::default();
            for (id, log_index) in entries {
                let position = Position {
                    height,
                    log_index: *log_index,
                    time,
                };
                self.settle(&mut settling, id, EntryState::Final(position))
                    .await?;
            }
            if let Some(settled) = self.settle_commit(settling, entropy).await? {
                return Ok(settled);
            }
        }
        Err(Error::Busy)
    }

    /// Gives an entry up: the ledger refused it for good. A consent state it carried is no longer
    /// pending, nor are those that followed it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a record batch, whose meaning stays valid: sign it again;
    /// [`Error::Unknown`], [`Error::Busy`].
    pub async fn entry_drop(
        &self,
        id: &EntryId,
        reason: &str,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        if self.entry(id).await?.purpose == EntryPurpose::RecordBatch {
            return Err(Error::invalid("entry", "a record batch is signed again"));
        }
        for _ in 0..ATTEMPTS {
            let mut settling = Settling::default();
            let state = EntryState::Dropped(reason.to_owned());
            self.settle(&mut settling, id, state).await?;
            if self.settle_commit(settling, entropy).await?.is_some() {
                return Ok(());
            }
        }
        Err(Error::Busy)
    }

    /// Adds what follows from one entry's end to what is gathered.
    async fn settle(
        &self,
        settling: &mut Settling,
        id: &EntryId,
        state: EntryState,
    ) -> Result<(), Error> {
        let Some((old, mut row)) = self.entry_found(id).await? else {
            return Ok(());
        };
        let position = match &state {
            EntryState::Final(position) => Some(*position),
            _ => None,
        };
        // The ledger has the last word, also over what was given up here.
        if row.position().is_some() || (row.is_settled() && position.is_none()) {
            return Ok(());
        }
        settling.left += usize::from(!row.is_settled());
        row.state = state;
        if let Some(subject) = row.purpose.consent_of() {
            let found = match settling.consents.remove(&subject) {
                Some(found) => found,
                None => self.consent_found(&subject).await?,
            };
            let found = settling.consents.entry(subject).or_insert(found);
            if let Some((_, consents)) = found {
                match position {
                    Some(position) => consents.finalise(id, position),
                    None => consents.forget(id),
                }
            }
        }
        if let Some(position) = position {
            settling.settled.push(FinalEntry {
                id: *id,
                purpose: row.purpose.clone(),
                position,
            });
        }
        settling.entries.insert(*id, (old, row));
        Ok(())
    }

    /// Commits what was gathered; `None` if other writers got ahead.
    async fn settle_commit(
        &self,
        settling: Settling,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Option<Vec<FinalEntry>>, Error> {
        if settling.entries.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let mut batch = Batch::new();
        for (id, (old, row)) in settling.entries {
            batch = self
                .entry_replace(batch, &id, old, &row, entropy)
                .delete(ENTRY_QUEUE, queue_key(row.queued.get(), id.as_bytes()));
        }
        for (subject, found) in settling.consents {
            let Some((old, row)) = found else {
                continue;
            };
            match self.consent_replace(&subject, old, row, entropy).await {
                Ok(replacement) => batch = batch.and(replacement),
                // Its erasure began since it was read.
                Err(Error::SubjectErased) => {}
                Err(error) => return Err(error),
            }
        }
        match self.commit(batch).await {
            Ok(()) => {
                self.inner().entries.give_back(settling.left);
                Ok(Some(settling.settled))
            }
            Err(error) if is_conflict(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn entry_change(
        &self,
        id: &EntryId,
        change: impl Fn(&mut EntryRow) -> Result<(), Error> + Send,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let found = self.entry_found(id).await?;
            let (old, mut row) = found.ok_or(Error::Unknown("entry"))?;
            change(&mut row)?;
            let batch = self.entry_replace(Batch::new(), id, old, &row, entropy);
            match self.commit(batch).await {
                Err(error) if is_conflict(&error) => {}
                done => return done,
            }
        }
        Err(Error::Busy)
    }

    pub(crate) async fn entry_found(
        &self,
        id: &EntryId,
    ) -> Result<Option<(Bytes, EntryRow)>, Error> {
        let Some(sealed) = self.get(ENTRIES, id.as_bytes()).await? else {
            return Ok(None);
        };
        let inner = self.inner();
        let custodian = &inner.settings.custodian;
        let row = inner
            .node
            .outbox
            .open(custodian, ENTRIES, id.as_bytes(), &sealed)?;
        Ok(Some((sealed, row)))
    }

    /// A new entry, behind every one queued before it: of one subject they can become final in that order
    /// only, whatever the clock says meanwhile.
    pub(crate) fn entry_row(
        &self,
        purpose: EntryPurpose,
        signed: &Signed,
        now: Millis,
    ) -> EntryRow {
        let behind = |last: u64| now.get().max(last.saturating_add(1));
        let queued = &self.inner().queued_ms;
        let last = queued.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| {
            Some(behind(last))
        });
        let (Ok(last) | Err(last)) = last;
        EntryRow {
            purpose,
            bytes: signed.bytes.clone(),
            last_valid: signed.last_valid,
            queued: Millis::new(behind(last)),
            state: EntryState::Queued,
        }
    }

    /// Adds a new entry, expected not to be there, and its place in the queue.
    pub(crate) fn entry_insert(
        &self,
        batch: Batch,
        id: &EntryId,
        row: &EntryRow,
        entropy: &mut impl Entropy,
    ) -> Batch {
        let queue = queue_key(row.queued.get(), id.as_bytes());
        batch
            .expect(ENTRIES, id.as_bytes(), Expect::Absent)
            .put(ENTRIES, id.as_bytes(), self.entry_seal(id, row, entropy))
            .put(ENTRY_QUEUE, queue, Bytes::new())
    }

    fn entry_replace(
        &self,
        batch: Batch,
        id: &EntryId,
        old: Bytes,
        row: &EntryRow,
        entropy: &mut impl Entropy,
    ) -> Batch {
        batch
            .expect(ENTRIES, id.as_bytes(), Expect::Equals(old))
            .put(ENTRIES, id.as_bytes(), self.entry_seal(id, row, entropy))
    }

    fn entry_seal(&self, id: &EntryId, row: &EntryRow, entropy: &mut impl Entropy) -> Vec<u8> {
        let inner = self.inner();
        let custodian = &inner.settings.custodian;
        inner
            .node
            .outbox
            .seal(custodian, ENTRIES, id.as_bytes(), row, entropy)
    }

    /// The consent states of a subject whose compartment is live.
    async fn consent_found(
        &self,
        subject: &SubjectId,
    ) -> Result<Option<(Bytes, ConsentRow)>, Error> {
        match self.consent_row(subject).await {
            Ok((sealed, row)) => Ok(Some((sealed, row))),
            Err(Error::SubjectErased | Error::SubjectUnknown) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl From<&SignedEntry> for Signed {
    fn from(entry: &SignedEntry) -> Self {
        Self {
            id: entry.entry_id(),
            bytes: entry.bytes().to_vec(),
            last_valid: entry.header().last_valid,
        }
    }
}

impl Signed {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.bytes.len() > ENTRY_MAX_BYTES {
            return Err(Error::invalid("signed", "an entry has at most 65535 bytes"));
        }
        Ok(())
    }
}

impl EntryRow {
    /// Where it is on the ledger, once it is.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match &self.state {
            EntryState::Final(position) => Some(*position),
            _ => None,
        }
    }

    /// Whether nothing more becomes of it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self.state, EntryState::Final(_) | EntryState::Dropped(_))
    }
}

impl EntryPurpose {
    /// The subject whose consent states change when the entry is settled.
    fn consent_of(&self) -> Option<SubjectId> {
        match self {
            Self::SubjectOpen(subject)
            | Self::SubjectUpdate(subject)
            | Self::SubjectClose(subject) => Some(*subject),
            _ => None,
        }
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("id", &self.id)
            .field("last_valid", &self.last_valid)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for EntryRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryRow")
            .field("purpose", &self.purpose)
            .field("last_valid", &self.last_valid)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
