//! Consent states of a compartment: the finalised one and every accepted change after it.
//!
//! One sealed row for each subject, with the salts that open the ledger's commitments; it makes the
//! compartment exist. Changes are serialised by an expectation on that row. A state that a later one
//! replaced is kept beside it, so that what stood at an earlier time can still be opened.

use crate::custody::KeyKind;
use crate::derived::due;
use crate::entries::{EntryPurpose, Position, Signed};
use crate::layout::{CONSENT_HISTORY, CONSENTS, ERASURES, OPENINGS, join};
use crate::record::ClientKey;
use crate::sealing::{CompartmentKeys, damaged};
use crate::vault::{ATTEMPTS, Vault, is_conflict};
use crate::{Conflict, Error};
use bytes::Bytes;
use codec::{Digest, Domain, EntryId, Millis, SubjectId, record};
use consent::ConsentState;
use keys::Entropy;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use store::{Batch, Expect, Range, Store};

/// The most changes of one subject that are not final.
pub const MAX_PENDING: usize = 64;

record! {
    /// A consent state with what opens its commitment on the ledger.
    #[derive(Clone, PartialEq, Eq)]
    pub struct ConsentOpening {
        /// The state.
        1 => pub state: ConsentState,
        /// The salt of its commitment.
        2 => pub salt: [u8; 32],
        /// The entry that carries the commitment.
        3 => pub entry: EntryId,
        /// When it was accepted here.
        4 => pub accepted: Millis,
        /// Where the entry is on the ledger, once it is.
        5 => pub position: Option<Position>,
    }
}

record! {
    /// A closing of the compartment to new data.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Closing {
        /// The entry.
        1 => pub entry: EntryId,
        /// When it was accepted here.
        2 => pub accepted: Millis,
        /// Where the entry is on the ledger, once it is.
        3 => pub position: Option<Position>,
    }
}

record! {
    /// The value of a consent row.
    #[derive(Clone)]
    pub(crate) struct ConsentRow {
        1 => opened: Millis,
        // INVARIANT: never empty, in the order of sequences; all but the first are pending.
        2 => states: Vec<ConsentOpening>,
        3 => closing: Option<Closing>,
        // States that were replaced since the row was read; empty in the store.
        4 => replaced: Vec<ConsentOpening>,
    }
}

record! {
    /// The value of an opening's row.
    struct OpeningRow {
        1 => received: Digest,
        2 => subject: SubjectId,
    }
}

/// A consent row as it was opened last, good for the very bytes it was opened from.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Option<(Bytes, ConsentRow)>>);

impl Seen {
    fn of(&self, sealed: &Bytes) -> Option<ConsentRow> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, row) = seen.as_ref().filter(|(bytes, _)| bytes == sealed)?;
        Some(row.clone())
    }

    fn keep(&self, sealed: &Bytes, row: &ConsentRow) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some((sealed.clone(), row.clone()));
    }
}

/// Opens a compartment.
#[derive(Clone)]
pub struct CompartmentOpen {
    /// The source's own key for this, if it has one.
    pub client: Option<ClientKey>,
    /// The first consent state; names the subject.
    pub state: ConsentState,
    /// The salt of its commitment.
    pub salt: [u8; 32],
    /// The signed opening entry.
    pub signed: Signed,
}

/// The answer to an opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompartmentOpened {
    /// The subject; an earlier one if the client key was used before.
    pub subject: SubjectId,
    /// Whether this call opened it.
    pub created: bool,
}

/// A change of consent.
#[derive(Clone)]
pub struct ConsentChange {
    /// The next state: one more than the latest accepted sequence.
    pub state: ConsentState,
    /// The salt of its commitment.
    pub salt: [u8; 32],
    /// The signed update entry.
    pub signed: Signed,
}

/// The consent states of a subject.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsentView {
    /// When the compartment was opened.
    pub opened: Millis,
    /// The finalised state; while the opening is not final, the first state, without a position.
    pub finalised: ConsentOpening,
    /// The accepted changes after it, in order.
    pub pending: Vec<ConsentOpening>,
    /// The closing, if the compartment was closed.
    pub closing: Option<Closing>,
}

impl<S: Store> Vault<S> {
    /// Opens a compartment: keys, first consent state and opening entry, durable when it returns.
    ///
    /// The same client key with the same digest gives the subject opened before.
    ///
    /// # Errors
    /// [`Conflict::SubjectOpen`]; [`Error::SubjectErased`]; [`Error::Full`].
    pub async fn compartment_open(
        &self,
        open: &CompartmentOpen,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<CompartmentOpened, Error> {
        open.signed.check()?;
        let subject = open.state.subject;
        let client_row = match &open.client {
            Some(client) => {
                client.check()?;
                let keys = &self.inner().node;
                Some(keys.client.mac(Domain::IdempotencyKey, &[&client.key]))
            }
            None => None,
        };
        if let Some(opened) = self.opened_before(open, client_row.as_ref()).await? {
            return Ok(opened);
        }
        let mut quota = self.inner().entries.take(1)?;
        // Keys first: a key without rows is harmless and found again, rows without a key are not.
        let keychain = &self.inner().keychain;
        let (key, _) = keychain.key_ensure(KeyKind::Compartment, &subject, now.get(), entropy)?;
        keychain.key_ensure(KeyKind::Audit, &subject, now.get(), entropy)?;
        let compartment = CompartmentKeys::derive(&key);
        let batch = self.opening_batch(open, client_row.as_ref(), &compartment, now, entropy);
        match self.commit(batch).await {
            Ok(()) => quota.keep(),
            Err(error) if is_conflict(&error) => {
                let opened = self.opened_before(open, client_row.as_ref()).await?;
                return opened.ok_or(Error::Busy);
            }
            Err(error) => return Err(error),
        }
        let created = true;
        Ok(CompartmentOpened { subject, created })
    }

    pub(crate) fn opening_batch(
        &self,
        open: &CompartmentOpen,
        client_row: Option<&Digest>,
        compartment: &CompartmentKeys,
        now: Millis,
        entropy: &mut impl Entropy,
    ) -> Batch {
        let inner = self.inner();
        let custodian = &inner.settings.custodian;
        let subject = open.state.subject;
        let row = ConsentRow {
            opened: now,
            states: vec![ConsentOpening {
                state: open.state.clone(),
                salt: open.salt,
                entry: open.signed.id,
                accepted: now,
                position: None,
            }],
            closing: None,
            replaced: Vec::new(),
        };
        let key = subject.as_bytes();
        let sealed = compartment
            .consent
            .seal(custodian, CONSENTS, key, &row, entropy);
        let entry = self.entry_row(EntryPurpose::SubjectOpen(subject), &open.signed, now);
        let mut batch = Batch::new()
            .deferrable()
            .expect(ERASURES, key, Expect::Absent)
            .expect(CONSENTS, key, Expect::Absent)
            .put(CONSENTS, key, sealed);
        batch = self.entry_insert(batch, &open.signed.id, &entry, entropy);
        if let (Some(row), Some(client)) = (client_row, &open.client) {
            let opening = OpeningRow {
                received: client.received,
                subject,
            };
            let key = row.as_bytes();
            let rows = &inner.node.rows;
            let sealed = rows.seal(custodian, OPENINGS, key, &opening, entropy);
            batch = batch
                .expect(OPENINGS, key, Expect::Absent)
                .put(OPENINGS, key, sealed);
        }
        batch
    }

    pub(crate) async fn opened_before(
        &self,
        open: &CompartmentOpen,
        client_row: Option<&Digest>,
    ) -> Result<Option<CompartmentOpened>, Error> {
        if let (Some(row), Some(client)) = (client_row, &open.client)
            && let Some(sealed) = self.get(OPENINGS, row.as_bytes()).await?
        {
            let inner = self.inner();
            let custodian = &inner.settings.custodian;
            let opening: OpeningRow =
                inner
                    .node
                    .rows
                    .open(custodian, OPENINGS, row.as_bytes(), &sealed)?;
            if opening.received != client.received {
                return Err(Conflict::SubjectOpen.into());
            }
            return Ok(Some(CompartmentOpened {
                subject: opening.subject,
                created: false,
            }));
        }
        let key = open.state.subject.as_bytes();
        if self.get(ERASURES, key).await?.is_some() {
            return Err(Error::SubjectErased);
        }
        if self.get(CONSENTS, key).await?.is_some() {
            return Err(Conflict::SubjectOpen.into());
        }
        Ok(None)
    }

    /// The consent states of a subject.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::SubjectErased`], [`Error::Damaged`].
    pub async fn consent_current(&self, subject: &SubjectId) -> Result<ConsentView, Error> {
        let (_, row) = self.consent_row(subject).await?;
        let mut states = row.states.into_iter();
        Ok(ConsentView {
            opened: row.opened,
            finalised: states.next().ok_or(damaged(CONSENTS))?,
            pending: states.collect(),
            closing: row.closing,
        })
    }

    /// Accepts a change: durable when it returns, and binding from then on where it narrows. Doing it
    /// again for the same entry changes nothing.
    ///
    /// # Errors
    /// [`Conflict::Sequence`] unless it follows the latest accepted state; [`Error::Full`].
    pub async fn consent_accept(
        &self,
        change: &ConsentChange,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let subject = change.state.subject;
        let opening = ConsentOpening {
            state: change.state.clone(),
            salt: change.salt,
            entry: change.signed.id,
            accepted: now,
            position: None,
        };
        let accept = |row: &mut ConsentRow| {
            if row.states.iter().any(|state| state.entry == opening.entry) {
                return Ok(false);
            }
            let sequence = row.latest_sequence();
            if sequence.checked_add(1) != Some(opening.state.sequence) {
                return Err(Conflict::Sequence { sequence }.into());
            }
            if row.states.len() > MAX_PENDING {
                return Err(Error::Full {
                    queue: "the list of pending consent changes",
                    limit: MAX_PENDING,
                });
            }
            row.states.push(opening.clone());
            Ok(true)
        };
        let purpose = EntryPurpose::SubjectUpdate(subject);
        self.consent_change(&subject, accept, purpose, &change.signed, now, entropy)
            .await
    }

    /// Up to `limit` subjects with a compartment here, in the order of their ids, after `after`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn compartments(
        &self,
        after: Option<&SubjectId>,
        limit: usize,
    ) -> Result<Vec<SubjectId>, Error> {
        let range = match after {
            Some(after) => Range::all().after(after.as_bytes()),
            None => Range::all(),
        };
        let rows = self.page(CONSENTS, range, limit).await?;
        rows.iter()
            .map(|(key, _)| SubjectId::try_from(&key[..]).map_err(|_| damaged(CONSENTS)))
            .collect()
    }

    /// Closes a compartment to new data, with the signed entry: durable when it returns.
    ///
    /// # Errors
    /// [`Conflict::Done`] if it is closed already.
    pub async fn compartment_close(
        &self,
        subject: &SubjectId,
        signed: &Signed,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let close = |row: &mut ConsentRow| match &row.closing {
            Some(closing) if closing.entry == signed.id => Ok(false),
            Some(_) => Err(Conflict::Done("the compartment is closed already").into()),
            None => {
                row.closing = Some(Closing {
                    entry: signed.id,
                    accepted: now,
                    position: None,
                });
                Ok(true)
            }
        };
        let purpose = EntryPurpose::SubjectClose(*subject);
        self.consent_change(subject, close, purpose, signed, now, entropy)
            .await
    }

    /// Up to `limit` finalised states that were replaced, from a sequence on, in order.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::SubjectErased`], [`Error::Damaged`].
    pub async fn consent_history(
        &self,
        subject: &SubjectId,
        from_sequence: u64,
        limit: usize,
    ) -> Result<Vec<ConsentOpening>, Error> {
        let compartment = self.compartment(subject).await?;
        let custodian = &self.inner().settings.custodian;
        let all = Range::prefix(subject.as_bytes());
        let from = history_key(subject, from_sequence);
        let range = match all.end() {
            Some(end) => Range::between(from, end),
            None => Range::from(from),
        };
        let rows = self.page(CONSENT_HISTORY, range, limit).await?;
        let opened = rows.iter().map(|(key, sealed)| {
            compartment
                .consent
                .open(custodian, CONSENT_HISTORY, key, sealed)
        });
        opened.collect()
    }

    async fn consent_change(
        &self,
        subject: &SubjectId,
        change: impl Fn(&mut ConsentRow) -> Result<bool, Error> + Send,
        purpose: EntryPurpose,
        signed: &Signed,
        now: Millis,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        signed.check()?;
        let mut quota = self.inner().entries.take(1)?;
        for _ in 0..ATTEMPTS {
            let (old, mut row) = self.consent_row(subject).await?;
            // Its place is behind what this state rests on.
            let entry = self.entry_row(purpose.clone(), signed, now);
            if !change(&mut row)? {
                return Ok(());
            }
            let batch = self.entry_insert(Batch::new(), &signed.id, &entry, entropy);
            let replacement = self.consent_replace(subject, old, row, entropy).await?;
            match self.commit(batch.and(replacement)).await {
                Ok(()) => {
                    quota.keep();
                    return Ok(());
                }
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(error),
            }
            if self.entry_found(&signed.id).await?.is_some() {
                return Err(Conflict::Done("the entry is queued already").into());
            }
        }
        Err(Error::Busy)
    }

    pub(crate) async fn consent_row(
        &self,
        subject: &SubjectId,
    ) -> Result<(Bytes, ConsentRow), Error> {
        let compartment = self.compartment(subject).await?;
        let sealed = self.get(CONSENTS, subject.as_bytes()).await?;
        let sealed = sealed.ok_or(Error::SubjectErased)?;
        if let Some(row) = compartment.consent_seen.of(&sealed) {
            return Ok((sealed, row));
        }
        let custodian = &self.inner().settings.custodian;
        let row: ConsentRow =
            compartment
                .consent
                .open(custodian, CONSENTS, subject.as_bytes(), &sealed)?;
        compartment.consent_seen.keep(&sealed, &row);
        Ok((sealed, row))
    }

    /// Replaces a consent row that must be as it was read, and keeps what it no longer holds.
    pub(crate) async fn consent_replace(
        &self,
        subject: &SubjectId,
        old: Bytes,
        mut row: ConsentRow,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Batch, Error> {
        let compartment = self.compartment(subject).await?;
        let custodian = &self.inner().settings.custodian;
        let mut batch = Batch::new();
        for replaced in std::mem::take(&mut row.replaced) {
            let key = history_key(subject, replaced.state.sequence);
            let sealed =
                compartment
                    .consent
                    .seal(custodian, CONSENT_HISTORY, &key, &replaced, entropy);
            batch = batch.put(CONSENT_HISTORY, key, sealed);
        }
        let key = subject.as_bytes();
        let sealed = compartment
            .consent
            .seal(custodian, CONSENTS, key, &row, entropy);
        // What may be derived depends on consent.
        Ok(due(batch, subject, entropy)
            .expect(ERASURES, key, Expect::Absent)
            .expect(CONSENTS, key, Expect::Equals(old))
            .put(CONSENTS, key, sealed))
    }
}

impl ConsentRow {
    /// The latest accepted state.
    pub(crate) fn latest(&self) -> Option<&ConsentOpening> {
        self.states.last()
    }

    fn latest_sequence(&self) -> u64 {
        self.latest().map_or(0, |last| last.state.sequence)
    }

    /// An entry became final: its state is the finalised one now, or its closing holds.
    pub(crate) fn finalise(&mut self, entry: &EntryId, position: Position) {
        if let Some(closing) = self.closing.as_mut().filter(|c| c.entry == *entry) {
            closing.position = Some(position);
        }
        let Some(index) = self.states.iter().position(|state| state.entry == *entry) else {
            return;
        };
        if let Some(state) = self.states.get_mut(index) {
            state.position = Some(position);
        }
        self.replaced.extend(self.states.drain(..index));
    }

    /// An entry will never be final: a change it carried is gone, and those that followed it with it.
    pub(crate) fn forget(&mut self, entry: &EntryId) {
        if self.closing.as_ref().is_some_and(|c| c.entry == *entry) {
            self.closing = None;
        }
        // The first state stays: without one there is no compartment.
        let from = self.states.iter().position(|state| state.entry == *entry);
        if let Some(from) = from.filter(|from| *from > 0) {
            self.states.truncate(from);
        }
    }
}

impl ConsentOpening {
    /// The commitment on the ledger that this opens.
    #[must_use]
    pub fn commitment(&self) -> Digest {
        self.state.commitment(&self.salt)
    }
}

impl ConsentView {
    /// The latest accepted state.
    #[must_use]
    pub fn latest(&self) -> &ConsentOpening {
        self.pending.last().unwrap_or(&self.finalised)
    }
}

fn history_key(subject: &SubjectId, sequence: u64) -> Vec<u8> {
    join(&[subject.as_bytes(), &sequence.to_be_bytes()])
}

macro_rules! redacted {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    )*};
}
redacted!(
    ConsentOpening,
    ConsentRow,
    CompartmentOpen,
    ConsentChange,
    ConsentView
);
