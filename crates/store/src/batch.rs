//! Atomic batches of writes, with expectations.

use std::fmt;

use bytes::Bytes;

use crate::{BATCH_MAX_BYTES, Error, KEY_MAX_BYTES, Range, Table};

/// Writes that happen together or not at all, if every expectation holds.
///
/// Expectations see the state before the batch, never the batch's own writes. Writes apply in the
/// order they were added, so the last write to a key wins.
#[derive(Clone, Default)]
pub struct Batch {
    expectations: Vec<Expectation>,
    writes: Vec<Write>,
    size_bytes: usize,
    is_deferrable: bool,
}

/// What must be true of one key before a batch may happen.
#[derive(Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The table.
    pub table: Table,
    /// The key.
    pub key: Bytes,
    /// What must be true.
    pub expect: Expect,
}

/// The expected state of a key.
#[derive(Clone, PartialEq, Eq)]
pub enum Expect {
    /// There is no row.
    Absent,
    /// There is a row, whatever its value.
    Present,
    /// There is a row with exactly this value.
    Equals(Bytes),
}

/// One write of a batch.
#[derive(Clone, PartialEq, Eq)]
pub enum Write {
    /// Inserts or replaces a row.
    Put {
        /// The table.
        table: Table,
        /// The key.
        key: Bytes,
        /// The value; may be empty.
        value: Bytes,
    },
    /// Removes a row, if there is one.
    Delete {
        /// The table.
        table: Table,
        /// The key.
        key: Bytes,
    },
    /// Removes every row of a range that is there when the write is applied.
    DeleteRange {
        /// The table.
        table: Table,
        /// The range.
        range: Range,
    },
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds: insert or replace a row.
    #[must_use]
    pub fn put(self, table: Table, key: impl AsRef<[u8]>, value: impl Into<Bytes>) -> Self {
        self.with(Write::Put {
            table,
            key: Bytes::copy_from_slice(key.as_ref()),
            value: value.into(),
        })
    }

    /// Adds: remove a row, if there is one.
    #[must_use]
    pub fn delete(self, table: Table, key: impl AsRef<[u8]>) -> Self {
        self.with(Write::Delete {
            table,
            key: Bytes::copy_from_slice(key.as_ref()),
        })
    }

    /// Adds: remove every row of a range.
    #[must_use]
    pub fn delete_range(self, table: Table, range: Range) -> Self {
        self.with(Write::DeleteRange { table, range })
    }

    /// Adds an expectation.
    #[must_use]
    pub fn expect(mut self, table: Table, key: impl AsRef<[u8]>, expect: Expect) -> Self {
        let key = Bytes::copy_from_slice(key.as_ref());
        let value_bytes = match &expect {
            Expect::Equals(value) => value.len(),
            Expect::Absent | Expect::Present => 0,
        };
        self.size_bytes = self
            .size_bytes
            .saturating_add(key.len())
            .saturating_add(value_bytes);
        self.expectations.push(Expectation { table, key, expect });
        self
    }

    /// Adds a write.
    #[must_use]
    pub fn with(mut self, write: Write) -> Self {
        let write_bytes = match &write {
            Write::Put { key, value, .. } => key.len().saturating_add(value.len()),
            Write::Delete { key, .. } => key.len(),
            Write::DeleteRange { .. } => 0,
        };
        self.size_bytes = self.size_bytes.saturating_add(write_bytes);
        self.writes.push(write);
        self
    }

    /// Adds everything in `other` after what is here.
    #[must_use]
    pub fn and(mut self, mut other: Self) -> Self {
        self.size_bytes = self.size_bytes.saturating_add(other.size_bytes);
        self.expectations.append(&mut other.expectations);
        self.writes.append(&mut other.writes);
        self.is_deferrable |= other.is_deferrable;
        self
    }

    /// Says that this can wait for another day: it is refused with [`Error::Full`] while there is still room
    /// for what cannot.
    #[must_use]
    pub fn deferrable(mut self) -> Self {
        self.is_deferrable = true;
        self
    }

    /// Whether it can wait.
    #[must_use]
    pub fn is_deferrable(&self) -> bool {
        self.is_deferrable
    }

    /// Whether it neither expects nor writes anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expectations.is_empty() && self.writes.is_empty()
    }

    /// Bytes of keys and values, expected values included.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The expectations, in the order they were added.
    #[must_use]
    pub fn expectations(&self) -> &[Expectation] {
        &self.expectations
    }

    /// The writes, in the order they were added.
    #[must_use]
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// For implementations: checks the limits of the port.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn check_limits(&self) -> Result<(), Error> {
        let written = self.writes.iter().filter_map(Write::key);
        for key in self.expectations.iter().map(|e| &e.key).chain(written) {
            if key.is_empty() || key.len() > KEY_MAX_BYTES {
                return Err(Error::TooLarge {
                    what: "a key",
                    size: key.len(),
                    limit: KEY_MAX_BYTES,
                });
            }
        }
        if self.size_bytes > BATCH_MAX_BYTES {
            return Err(Error::TooLarge {
                what: "a batch",
                size: self.size_bytes,
                limit: BATCH_MAX_BYTES,
            });
        }
        Ok(())
    }
}

impl Write {
    fn key(&self) -> Option<&Bytes> {
        match self {
            Self::Put { key, .. } | Self::Delete { key, .. } => Some(key),
            Self::DeleteRange { .. } => None,
        }
    }
}

impl Expect {
    /// For implementations: whether it holds of the current value.
    #[must_use]
    pub fn holds(&self, current: Option<&[u8]>) -> bool {
        match (self, current) {
            (Self::Absent, None) | (Self::Present, Some(_)) => true,
            (Self::Equals(expected), Some(value)) => expected == value,
            _ => false,
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("expectations", &self.expectations)
            .field("writes", &self.writes)
            .field("size_bytes", &self.size_bytes)
            .field("is_deferrable", &self.is_deferrable)
            .finish()
    }
}

impl fmt::Debug for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of <redacted> in {}", self.expect, self.table)
    }
}

impl fmt::Debug for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Present => "Present",
            Self::Equals(_) => "Equals(<redacted>)",
        })
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put { table, value, .. } => {
                write!(f, "Put <redacted> of {} bytes in {table}", value.len())
            }
            Self::Delete { table, .. } => write!(f, "Delete <redacted> in {table}"),
            Self::DeleteRange { table, .. } => write!(f, "DeleteRange <redacted> in {table}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Batch, Expect};
    use crate::{Range, Table};

    #[test]
    fn debug_shows_tables_and_sizes_but_no_data() {
        const T: Table = Table::new("t");
        let batch = Batch::new()
            .put(T, "SECRET", "SECRET value")
            .delete(T, "SECRET")
            .delete_range(T, Range::between("SECRET", "SECRET2"))
            .expect(T, "SECRET", Expect::Equals(Bytes::from_static(b"SECRET")));
        assert_eq!(batch.size_bytes(), 6 + 12 + 6 + 12);
        let shown = format!("{batch:?}");
        assert!(
            !shown.contains("SECRET") && !shown.contains("83, 69"),
            "{shown}"
        );
        assert!(shown.contains("Put <redacted> of 12 bytes in t"), "{shown}");
    }
}
