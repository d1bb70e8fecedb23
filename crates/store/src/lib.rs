//! The storage port: an ordered, transactional, durable key-value store.
//!
//! Rows live in [`Table`]s and are ordered bytewise by key within their table. Writes go through
//! [`Store::commit`] as one atomic [`Batch`], which may carry expectations (compare-and-set).
//! Sizes are bytes: a key holds 1 to [`KEY_MAX_BYTES`], a batch at most [`BATCH_MAX_BYTES`].
//!
//! What an implementation promises:
//! - **Durable.** `commit` returns `Ok` only once the batch would survive loss of power.
//! - **Atomic and serial.** All of a batch or nothing; batches happen one after the other, and a
//!   batch's expectations are checked against the state left by the batch before it.
//! - **No wrong value.** Every value is stored with a checksum over table, key and value
//!   ([`row`]), checked at each read: a damaged or moved row is [`Error::Corrupt`].
//! - **Fail stop.** After a failed write or sync nothing more is acknowledged until the store is
//!   opened again: [`Error::Poisoned`].
//! - **Bounded.** A full queue makes `commit` wait; nothing grows without limit.
//!
//! Dropping a `commit` future does not cancel the batch: it is then unknown whether it happened.
//!
//! It knows nothing of what it stores: no encryption, no expiry, no secondary indexes, no
//! transactions that stay open across calls.

mod batch;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod dump;
mod range;
pub mod row;
pub mod staging;
mod table;

use std::{future::Future, io};

pub use batch::{Batch, Expect, Expectation, Write};
use bytes::Bytes;
pub use dump::DumpError;
pub use range::{Order, Range};
pub use table::{TABLE_MAX_BYTES, Table};

/// The longest key, in bytes.
pub const KEY_MAX_BYTES: usize = 2_048;

/// The most a batch may hold, in bytes of keys and values (expected values included).
pub const BATCH_MAX_BYTES: usize = 32 * 1024 * 1024;

/// An open store. Cheap to clone; all clones are the same store.
pub trait Store: Clone + Send + Sync + 'static {
    /// The value under `key`, if any.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the row is damaged, [`Error::Io`] if it cannot be read.
    fn get(
        &self,
        table: Table,
        key: &[u8],
    ) -> impl Future<Output = Result<Option<Bytes>, Error>> + Send;

    /// Up to `limit` rows of `range`, in `order`: one consistent view of one instant.
    ///
    /// Fewer than `limit` rows means the range is exhausted. Continue after the last row with
    /// [`Range::after`] (ascending) or [`Range::before`] (descending).
    ///
    /// # Errors
    /// [`Error::Corrupt`] if any row met is damaged, [`Error::Io`] if it cannot be read.
    fn range(
        &self,
        table: Table,
        range: Range,
        limit: usize,
        order: Order,
    ) -> impl Future<Output = Result<Vec<(Bytes, Bytes)>, Error>> + Send;

    /// The rows of several ranges, one range after the other and each in ascending order, up to `limit` in
    /// all. Each range is seen as at one instant; two of them may be of different ones.
    ///
    /// # Errors
    /// As [`Store::range`].
    fn ranges(
        &self,
        table: Table,
        ranges: Vec<Range>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Bytes, Bytes)>, Error>> + Send {
        async move {
            let mut rows = Vec::new();
            for range in ranges {
                let left = limit.saturating_sub(rows.len());
                if left == 0 {
                    break;
                }
                rows.append(&mut self.range(table, range, left, Order::Ascending).await?);
            }
            Ok(rows)
        }
    }

    /// Checks the batch's expectations and, if all hold, applies its writes: atomic, and durable
    /// when it returns `Ok`.
    ///
    /// # Errors
    /// [`Error::Conflict`] and [`Error::TooLarge`] leave the store as it was and usable.
    /// [`Error::Full`] and [`Error::Io`] acknowledge nothing; the store may be
    /// [`Error::Poisoned`] from then on, and whether the batch happened is known only after
    /// reopening.
    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), Error>> + Send;

    /// Writes every row to `sink` as one [`dump`]: a consistent view of one instant, taken while
    /// reads and commits go on. Gives the sink back, flushed but not synced.
    ///
    /// # Errors
    /// [`DumpError::Stream`] if the sink fails, [`DumpError::Store`] if a row cannot be read or is
    /// damaged: a dump never carries a damaged row.
    fn export<W>(
        &self,
        sink: W,
    ) -> impl Future<Output = Result<(W, dump::Summary), DumpError>> + Send
    where
        W: io::Write + Send + 'static;
}

/// Why the store did not do what was asked. Never carries keys or values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An expectation of the batch did not hold; nothing was written.
    #[error("a row of table {table} is not as the batch expected; read it again and retry")]
    Conflict {
        /// The table of the first expectation that failed.
        table: Table,
    },
    /// No room left for the write; nothing was acknowledged.
    #[error("the disk is full; free some space, and restart if writing is still refused")]
    Full,
    /// An earlier write or sync failed.
    #[error("an earlier write to disk failed, so nothing more is accepted; restart to recover")]
    Poisoned,
    /// A stored row does not match its checksum.
    #[error("a stored row of table {table} is damaged; restore it from a backup or a peer")]
    Corrupt {
        /// The table it was read from.
        table: Table,
    },
    /// The store was closed, or its writer is gone.
    #[error("the store is closed")]
    Closed,
    /// A key or batch outside the limits; nothing was written.
    #[error("{what} of {size} bytes; the limit is {limit}")]
    TooLarge {
        /// What was outside its limits: a key or a batch.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The operating system or the engine failed.
    #[error("{doing} failed: {kind}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The kind of failure.
        kind: std::io::ErrorKind,
    },
}
