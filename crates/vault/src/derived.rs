//! What the node derives from a subject's records, and for which subjects that is due.
//!
//! One row of bytes a subject, whose form is the node's, sealed in the compartment: it dies with it. That it
//! is due is marked in the same batch as the deposit or the change of consent that makes it so, so that no
//! crash forgets it; the mark names nothing but the subject. A row's size is padded: it says little.

use crate::Error;
use crate::layout::{DERIVED, DUE, ERASURES};
use crate::sealing::{damaged, padded, unpadded};
use crate::vault::{Vault, is_conflict};
use bytes::Bytes;
use codec::SubjectId;
use keys::{Entropy, Zeroizing};
use std::fmt;
use store::{Batch, Expect, Range, Store};

/// The longest derived row, in bytes.
pub const DERIVED_MAX_BYTES: usize = 1 << 20;

/// A derived row as it was read.
pub struct Derived {
    /// What was put.
    pub value: Zeroizing<Vec<u8>>,
    sealed: Bytes,
}

/// A derived row to be put.
pub struct DerivedPut<'a> {
    /// Whose.
    pub subject: SubjectId,
    /// What must be there; none: nothing.
    pub old: Option<&'a Derived>,
    /// What is to be there, at most [`DERIVED_MAX_BYTES`].
    pub value: &'a [u8],
}

/// A mark that a subject's derivation is due. A later one is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueMark(Bytes);

impl<S: Store> Vault<S> {
    /// What was derived from a subject's records.
    ///
    /// # Errors
    /// [`Error::SubjectUnknown`], [`Error::SubjectErased`], [`Error::Damaged`].
    pub async fn derived(&self, subject: &SubjectId) -> Result<Option<Derived>, Error> {
        let compartment = self.compartment(subject).await?;
        let key = subject.as_bytes();
        let Some(sealed) = self.get(DERIVED, key).await? else {
            return Ok(None);
        };
        let custodian = &self.inner().settings.custodian;
        let padded = compartment
            .index
            .open_bytes(custodian, DERIVED, key, &sealed)?;
        let value = unpadded(&padded).ok_or(damaged(DERIVED))?;
        Ok(Some(Derived { value, sealed }))
    }

    /// Whether anything was derived of a subject's records; opens nothing.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn derived_is(&self, subject: &SubjectId) -> Result<bool, Error> {
        Ok(self.get(DERIVED, subject.as_bytes()).await?.is_some())
    }

    /// Puts derived rows, all or none: durable when it returns.
    ///
    /// # Errors
    /// [`Error::Busy`] if one is not as it was read; [`Error::SubjectUnknown`], [`Error::SubjectErased`];
    /// [`Error::Invalid`] if one is too long.
    pub async fn derived_put(
        &self,
        puts: &[DerivedPut<'_>],
        entropy: &mut (impl Entropy + Send),
    ) -> Result<(), Error> {
        let custodian = self.inner().settings.custodian;
        // On a disk that runs full this waits: it can be derived again.
        let mut batch = Batch::new().deferrable();
        for put in puts {
            if put.value.len() > DERIVED_MAX_BYTES {
                return Err(Error::invalid("derived", "at most 1 MiB is kept"));
            }
            let compartment = self.compartment(&put.subject).await?;
            let key = put.subject.as_bytes();
            let expect = match put.old {
                Some(old) => Expect::Equals(old.sealed.clone()),
                None => Expect::Absent,
            };
            let value = padded(put.value, PADDED_TO);
            let sealed = compartment
                .index
                .seal_bytes(&custodian, DERIVED, key, &value, entropy);
            batch = batch
                .expect(ERASURES, key, Expect::Absent)
                .expect(DERIVED, key, expect)
                .put(DERIVED, key, sealed);
        }
        self.commit(batch).await.map_err(|error| {
            if is_conflict(&error) {
                Error::Busy
            } else {
                error
            }
        })
    }

    /// Up to `limit` subjects whose derivation is due, in the order of their ids, after `after`.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub async fn derive_due(
        &self,
        after: Option<&SubjectId>,
        limit: usize,
    ) -> Result<Vec<(SubjectId, DueMark)>, Error> {
        let range = match after {
            Some(after) => Range::all().after(after.as_bytes()),
            None => Range::all(),
        };
        let rows = self.page(DUE, range, limit).await?;
        rows.into_iter()
            .map(|(key, mark)| {
                let subject = SubjectId::try_from(&key[..]).map_err(|_| damaged(DUE))?;
                Ok((subject, DueMark(mark)))
            })
            .collect()
    }

    /// The mark of one subject, if its derivation is due.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn derive_mark(&self, subject: &SubjectId) -> Result<Option<DueMark>, Error> {
        Ok(self.get(DUE, subject.as_bytes()).await?.map(DueMark))
    }

    /// A subject's derivation was done: removes the mark that was there before it began. A later one stays.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn derive_done(&self, subject: &SubjectId, mark: DueMark) -> Result<(), Error> {
        let key = subject.as_bytes();
        let batch = Batch::new()
            .expect(DUE, key, Expect::Equals(mark.0))
            .delete(DUE, key);
        match self.commit(batch).await {
            Err(error) if !is_conflict(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// What rows are padded to a multiple of.
const PADDED_TO: usize = 2_048;

/// Marks a subject's derivation as due.
pub(crate) fn due(batch: Batch, subject: &SubjectId, entropy: &mut impl Entropy) -> Batch {
    let mut mark = [0; 16];
    entropy.fill(&mut mark);
    batch.put(DUE, subject.as_bytes(), mark.to_vec())
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Derived(<redacted>, {} bytes)", self.value.len())
    }
}

impl fmt::Debug for DerivedPut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DerivedPut({})", self.subject)
    }
}
