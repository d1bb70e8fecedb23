//! For implementations: the part of a commit that is the same everywhere.
//!
//! Batches that will become durable together are staged one after the other: each is checked
//! against the state left by those before it, and added whole or not at all. What remains is one
//! final change per key.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;

use crate::{Batch, Error, Range, Table, Write};

/// Changes staged so far.
#[derive(Default)]
pub struct Staging {
    changes: BTreeMap<(Table, Bytes), Option<Bytes>>,
}

impl Staging {
    /// Nothing staged.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a batch, if its expectations hold.
    ///
    /// `stored` gives the stored value of a key, `stored_keys` the stored keys of a range; both without
    /// what is staged.
    ///
    /// # Errors
    /// [`Error::Conflict`] if an expectation does not hold, or what the reads return. Nothing of
    /// the batch is staged then.
    pub fn add(
        &mut self,
        batch: &Batch,
        stored: impl Fn(Table, &Bytes) -> Result<Option<Bytes>, Error>,
        stored_keys: impl Fn(Table, &Range) -> Result<Vec<Bytes>, Error>,
    ) -> Result<(), Error> {
        for expectation in batch.expectations() {
            let (table, key) = (expectation.table, &expectation.key);
            let current = match self.changes.get(&(table, key.clone())) {
                Some(staged) => staged.clone(),
                None => stored(table, key)?,
            };
            if !expectation.expect.holds(current.as_deref()) {
                return Err(Error::Conflict { table });
            }
        }
        // Reads that can fail come before the first change.
        let mut deleted = Vec::new();
        for write in batch.writes() {
            if let Write::DeleteRange { table, range } = write {
                deleted.push(stored_keys(*table, range)?);
            }
        }
        let mut deleted = deleted.into_iter();
        for write in batch.writes() {
            match write {
                Write::Put { table, key, value } => {
                    self.changes
                        .insert((*table, key.clone()), Some(value.clone()));
                }
                Write::Delete { table, key } => {
                    self.changes.insert((*table, key.clone()), None);
                }
                Write::DeleteRange { table, range } => {
                    self.delete_staged(*table, range);
                    for key in deleted.next().unwrap_or_default() {
                        self.changes.insert((*table, key), None);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The final change to each key, in order of table and key; `None` deletes.
    pub fn changes(&self) -> impl Iterator<Item = (Table, &Bytes, Option<&Bytes>)> {
        self.changes
            .iter()
            .map(|((table, key), change)| (*table, key, change.as_ref()))
    }

    fn delete_staged(&mut self, table: Table, range: &Range) {
        let start = (table, Bytes::copy_from_slice(range.start()));
        let staged = self
            .changes
            .range_mut((Bound::Included(start), Bound::Unbounded));
        for ((of, key), change) in staged {
            if *of != table || range.end().is_some_and(|end| end <= key.as_ref()) {
                break;
            }
            *change = None;
        }
    }
}
