//! What waits to be told of a subject's records, sealed in the compartment: it dies with it.
//!
//! Rows of bytes whose form is the node's. One is *noted* in the batch of the records that it is about, whomever
//! they may concern; it is *sorted* later into rows that *wait*, one for each telling. Their names say whose they
//! are and nothing else, their sizes are padded, and no row under the node's key is written with them: who is to be
//! told, of what, and how often that was tried can be told only with the subject's key.

use crate::layout::{ERASURES, NOTED, WAITING, join};
use crate::sealing::{CompartmentKeys, damaged, padded, unpadded};
use crate::vault::{Vault, is_conflict};
use crate::{Error, PUT_MAX_RECORDS};
use bytes::Bytes;
use codec::SubjectId;
use keys::{Entropy, Zeroizing};
use std::fmt;
use store::{Batch, Expect, Range, Store, Table};

/// The longest row, in bytes: room for a put's records, each for everybody.
pub const NOTE_MAX_BYTES: usize = PUT_MAX_RECORDS * 2_048;
/// What rows are padded to a multiple of.
const PADDED_TO: usize = 256;
const ID_LEN: usize = 16;

/// What is noted with a write.
#[derive(Clone, PartialEq, Eq)]
pub struct NewNote {
    /// Of whom.
    pub subject: SubjectId,
    /// What, at most [`NOTE_MAX_BYTES`].
    pub value: Zeroizing<Vec<u8>>,
}

/// Where a row lies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotePlace {
    is_waiting: bool,
    subject: SubjectId,
    id: [u8; ID_LEN],
}

/// A row as it was read, still sealed.
#[derive(Clone)]
pub struct Note {
    /// Where it lies.
    pub place: NotePlace,
    sealed: Bytes,
}

impl NotePlace {
    /// Of whom it is.
    #[must_use]
    pub const fn subject(&self) -> &SubjectId {
        &self.subject
    }

    fn new(table: Table, subject: SubjectId, entropy: &mut impl Entropy) -> Self {
        let mut id = [0; ID_LEN];
        entropy.fill(&mut id);
        Self {
            is_waiting: table == WAITING,
            subject,
            id,
        }
    }

    fn of(table: Table, key: &[u8]) -> Option<Self> {
        let (subject, id) = key.split_at_checked(SubjectId::LEN)?;
        Some(Self {
            is_waiting: table == WAITING,
            subject: subject.try_into().ok()?,
            id: id.try_into().ok()?,
        })
    }

    const fn table(&self) -> Table {
        if self.is_waiting { WAITING } else { NOTED }
    }

    fn key(&self) -> Vec<u8> {
        join(&[self.subject.as_bytes(), &self.id])
    }
}

impl<S: Store> Vault<S> {
    /// Up to `limit` rows that were noted and not sorted, after `after`, in the order of their places. What is
    /// noted comes with a put or a [`Transaction`](crate::Transaction).
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Store`].
    pub async fn notes_noted(
        &self,
        after: Option<&NotePlace>,
        limit: usize,
    ) -> Result<Vec<Note>, Error> {
        self.notes(NOTED, after, limit).await
    }

    /// Up to `limit` rows that wait, after `after`, in the order of their places.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Store`].
    pub async fn notes_waiting(
        &self,
        after: Option<&NotePlace>,
        limit: usize,
    ) -> Result<Vec<Note>, Error> {
        self.notes(WAITING, after, limit).await
    }

    /// The row at a place.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn note(&self, place: &NotePlace) -> Result<Option<Note>, Error> {
        let sealed = self.get(place.table(), &place.key()).await?;
        Ok(sealed.map(|sealed| Note {
            place: *place,
            sealed,
        }))
    }

    /// What a row says.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::SubjectErased`], [`Error::Damaged`].
    pub async fn note_open(&self, note: &Note) -> Result<Zeroizing<Vec<u8>>, Error> {
        let place = &note.place;
        let keys = self.compartment(&place.subject).await?;
        let custodian = &self.inner().settings.custodian;
        let table = place.table();
        let padded = keys
            .index
            .open_bytes(custodian, table, &place.key(), &note.sealed)?;
        unpadded(&padded).ok_or(damaged(table))
    }

    /// Puts rows that wait in the place of one that was noted, all or nothing; `left` is what stays noted. Gives the
    /// places of what waits, and what is left; none if the row is not as it was read, or the subject's erasure has
    /// begun.
    ///
    /// # Errors
    /// As [`Vault::note_open`]; [`Error::Invalid`] if one is too long.
    pub async fn notes_sort(
        &self,
        note: &Note,
        waiting: &[Zeroizing<Vec<u8>>],
        left: Option<&[u8]>,
        entropy: &mut (impl Entropy + Send),
    ) -> Result<Option<(Vec<NotePlace>, Option<Note>)>, Error> {
        let keys = self.compartment(&note.place.subject).await?;
        let mut batch = changed(note).deferrable();
        let mut places = Vec::with_capacity(waiting.len());
        for value in waiting {
            let place = NotePlace::new(WAITING, note.place.subject, entropy);
            let sealed = self.note_seal(&keys, &place, value, entropy)?;
            batch = batch.put(WAITING, place.key(), sealed);
            places.push(place);
        }
        let left = match left {
            Some(left) => Some(self.note_seal(&keys, &note.place, left, entropy)?),
            None => None,
        };
        let (table, key) = (note.place.table(), note.place.key());
        batch = match &left {
            Some(left) => batch.put(table, key, left.clone()),
            None => batch.delete(table, key),
        };
        let left = left.map(|sealed| Note {
            place: note.place,
            sealed,
        });
        let done = self.commit_unless_changed(batch).await?;
        Ok(done.then_some((places, left)))
    }

    /// Replaces a row. Whether it was as it was read; otherwise nothing is done.
    ///
    /// # Errors
    /// As [`Vault::notes_sort`].
    pub async fn note_put(
        &self,
        note: &Note,
        value: &[u8],
        entropy: &mut (impl Entropy + Send),
    ) -> Result<bool, Error> {
        let place = &note.place;
        let keys = self.compartment(&place.subject).await?;
        let sealed = self.note_seal(&keys, place, value, entropy)?;
        let batch = changed(note).put(place.table(), place.key(), sealed);
        self.commit_unless_changed(batch).await
    }

    /// Removes rows together, whatever they hold; one that is not there is no error.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn notes_remove(&self, places: &[NotePlace]) -> Result<(), Error> {
        if places.is_empty() {
            return Ok(());
        }
        let batch = places.iter().fold(Batch::new(), |batch, place| {
            batch.delete(place.table(), place.key())
        });
        self.commit(batch).await
    }

    /// Notes something, in a batch with others.
    pub(crate) fn noted(
        &self,
        batch: Batch,
        note: &NewNote,
        keys: &CompartmentKeys,
        entropy: &mut impl Entropy,
    ) -> Result<Batch, Error> {
        let place = NotePlace::new(NOTED, note.subject, entropy);
        let sealed = self.note_seal(keys, &place, &note.value, entropy)?;
        Ok(batch
            .expect(ERASURES, note.subject.as_bytes(), Expect::Absent)
            .put(NOTED, place.key(), sealed))
    }

    async fn notes(
        &self,
        table: Table,
        after: Option<&NotePlace>,
        limit: usize,
    ) -> Result<Vec<Note>, Error> {
        let range = match after {
            Some(after) => Range::all().after(after.key()),
            None => Range::all(),
        };
        let rows = self.page(table, range, limit).await?;
        rows.into_iter()
            .map(|(key, sealed)| {
                let place = NotePlace::of(table, &key).ok_or(damaged(table))?;
                Ok(Note { place, sealed })
            })
            .collect()
    }

    fn note_seal(
        &self,
        keys: &CompartmentKeys,
        place: &NotePlace,
        value: &[u8],
        entropy: &mut impl Entropy,
    ) -> Result<Bytes, Error> {
        if value.len() > NOTE_MAX_BYTES {
            return Err(Error::invalid("note", "at most 4 MB are noted at once"));
        }
        let custodian = &self.inner().settings.custodian;
        let (table, key, value) = (place.table(), place.key(), padded(value, PADDED_TO));
        let sealed = keys
            .index
            .seal_bytes(custodian, table, &key, &value, entropy);
        Ok(sealed.into())
    }

    async fn commit_unless_changed(&self, batch: Batch) -> Result<bool, Error> {
        match self.commit(batch).await {
            Ok(()) => Ok(true),
            Err(error) if is_conflict(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A batch that changes a row as it was read, of somebody who is not being erased.
fn changed(note: &Note) -> Batch {
    let place = &note.place;
    let there = Expect::Equals(note.sealed.clone());
    Batch::new()
        .expect(ERASURES, place.subject.as_bytes(), Expect::Absent)
        .expect(place.table(), place.key(), there)
}

impl fmt::Debug for NewNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewNote(<redacted>)")
    }
}

impl fmt::Debug for NotePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NotePlace({})", self.table().name())
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Note(<redacted>, {:?})", self.place)
    }
}
