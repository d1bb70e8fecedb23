//! A store in memory that outlives its node, as a disk does.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use store::{Batch, DumpError, Error, Order, Range, Store, Table, Write, dump};

type Rows = BTreeMap<(Table, Bytes), Bytes>;

/// Rows in memory; all clones are the same store.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    rows: Arc<Mutex<Rows>>,
    commits: Arc<Mutex<u64>>,
    fail_after: Arc<Mutex<Option<u64>>>,
}

impl Memory {
    /// Refuses every commit after `commits` more.
    pub(crate) fn fail_after(&self, commits: u64) {
        *self.fail_after.lock().unwrap() = Some(*self.commits.lock().unwrap() + commits);
    }

    /// Takes commits again.
    pub(crate) fn repair(&self) {
        *self.fail_after.lock().unwrap() = None;
    }

    /// Everything it holds.
    pub(crate) fn rows(&self) -> Rows {
        self.rows.lock().unwrap().clone()
    }

    /// Puts or removes a row behind everybody's back.
    pub(crate) fn set(&self, table: Table, key: &Bytes, value: Option<Bytes>) {
        let mut rows = self.rows.lock().unwrap();
        let key = (table, key.clone());
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }

    /// Flips a bit of a table's last value.
    pub(crate) fn flip(&self, table: Table) {
        let mut rows = self.rows.lock().unwrap();
        let (_, value) = rows
            .iter_mut()
            .rfind(|((of, _), value)| *of == table && !value.is_empty())
            .unwrap();
        let mut bytes = value.to_vec();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        *value = Bytes::from(bytes);
    }
}

impl Store for Memory {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let key = (table, Bytes::copy_from_slice(key));
        Ok(self.rows.lock().unwrap().get(&key).cloned())
    }

    async fn range(
        &self,
        table: Table,
        range: Range,
        limit: usize,
        order: Order,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let rows = self.rows.lock().unwrap();
        let mut found: Vec<_> = rows
            .iter()
            .filter(|((of, key), _)| *of == table && range.contains(key))
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        if order == Order::Descending {
            found.reverse();
        }
        found.truncate(limit);
        Ok(found)
    }

    async fn commit(&self, batch: Batch) -> Result<(), Error> {
        batch.check_limits()?;
        let mut rows = self.rows.lock().unwrap();
        let mut commits = self.commits.lock().unwrap();
        if self
            .fail_after
            .lock()
            .unwrap()
            .is_some_and(|last| *commits >= last)
        {
            return Err(Error::Full);
        }
        *commits += 1;
        for expectation in batch.expectations() {
            let key = (expectation.table, expectation.key.clone());
            if !expectation
                .expect
                .holds(rows.get(&key).map(|value| &value[..]))
            {
                return Err(Error::Conflict {
                    table: expectation.table,
                });
            }
        }
        for write in batch.writes() {
            match write {
                Write::Put { table, key, value } => {
                    rows.insert((*table, key.clone()), value.clone());
                }
                Write::Delete { table, key } => {
                    rows.remove(&(*table, key.clone()));
                }
                Write::DeleteRange { table, range } => {
                    rows.retain(|(of, key), _| of != table || !range.contains(key));
                }
            }
        }
        Ok(())
    }

    async fn export<W>(&self, _: W) -> Result<(W, dump::Summary), DumpError>
    where
        W: io::Write + Send + 'static,
    {
        unimplemented!("consensus does not export")
    }
}
