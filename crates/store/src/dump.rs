//! Dumps: every row of a store as one stream of bytes, for backups.
//!
//! Layout (integers big endian): the line `ithaca/v1/dump\n`, then for each row, in order of
//! table and key, `table length (1, never 0) || table || key length (4) || key || value length (4) ||
//! value`, then a zero byte, the number of rows (8), and the SHA-256 of everything before (32).
//!
//! A reader refuses a dump that is truncated, altered, or followed by anything. The digest is not
//! keyed: whoever must detect a *forged* dump compares [`Summary::digest`] with one kept elsewhere.
//! Rows are as opaque here as in the store; what is sealed stays sealed.

use std::io::{self, Read, Write};

use bytes::Bytes;
use keys::Sha256Hasher as Hasher;

use crate::{BATCH_MAX_BYTES, Error, KEY_MAX_BYTES, TABLE_MAX_BYTES};

const HEADER: &[u8] = b"ithaca/v1/dump\n";

/// What a dump holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Rows.
    pub rows: u64,
    /// Bytes of the whole dump.
    pub size_bytes: u64,
    /// SHA-256 of all but the dump's last 32 bytes, which repeat it.
    pub digest: [u8; 32],
}

/// One row of a dump.
#[derive(Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// The table's name.
    pub table: &'a str,
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
}

/// Why a dump was not written or not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// The stream could not be read or written.
    #[error("reading or writing the dump failed")]
    Stream(#[source] io::Error),
    /// The store could not be read or written.
    #[error("the store failed during the dump")]
    Store(#[from] Error),
    /// A stored row does not match its checksum; no dump was finished.
    #[error("a stored row of table {table} is damaged, so it cannot be dumped")]
    Damaged {
        /// The table it was read from.
        table: String,
    },
    /// It does not begin like a dump of this version.
    #[error("this is not a dump of this version of Ithaca")]
    NotADump,
    /// It ends too early.
    #[error("the dump is incomplete: it ends too early")]
    Truncated,
    /// Its content does not match its digest, or something follows it.
    #[error("the dump was altered: its content does not match its digest")]
    Altered,
    /// The place to import into already holds data.
    #[error("a dump can only be imported into an empty place")]
    NotEmpty,
}

/// Writes a dump to a stream.
pub struct Writer<W> {
    sink: W,
    hasher: Hasher,
    rows: u64,
    size_bytes: u64,
}

impl<W: Write> Writer<W> {
    /// Starts a dump. Writes many small pieces: give it a buffered sink.
    ///
    /// # Errors
    /// [`DumpError::Stream`].
    pub fn new(sink: W) -> Result<Self, DumpError> {
        let mut writer = Self {
            sink,
            hasher: Hasher::new(),
            rows: 0,
            size_bytes: 0,
        };
        writer.hashed(HEADER)?;
        Ok(writer)
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`DumpError::Stream`]; [`Error::TooLarge`] if the row is outside the limits of the port.
    pub fn row(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), DumpError> {
        let table_length = length::<u8>("a table name", table.len(), TABLE_MAX_BYTES)?;
        let key_length = length::<u32>("a key", key.len(), KEY_MAX_BYTES)?;
        let value_length = length::<u32>("a value", value.len(), BATCH_MAX_BYTES)?;
        self.hashed(&[table_length])?;
        self.hashed(table.as_bytes())?;
        self.hashed(&key_length.to_be_bytes())?;
        self.hashed(key)?;
        self.hashed(&value_length.to_be_bytes())?;
        self.hashed(value)?;
        self.rows = self.rows.saturating_add(1);
        Ok(())
    }

    /// Ends the dump and flushes the sink; making it durable is the caller's task.
    ///
    /// # Errors
    /// [`DumpError::Stream`].
    pub fn finish(mut self) -> Result<(W, Summary), DumpError> {
        self.hashed(&[0])?;
        self.hashed(&self.rows.to_be_bytes())?;
        let digest = self.hasher.finalize();
        self.sink.write_all(&digest).map_err(DumpError::Stream)?;
        self.sink.flush().map_err(DumpError::Stream)?;
        let size_bytes = self.size_bytes.saturating_add(32);
        Ok((
            self.sink,
            Summary {
                rows: self.rows,
                size_bytes,
                digest,
            },
        ))
    }

    fn hashed(&mut self, bytes: &[u8]) -> Result<(), DumpError> {
        self.hasher.update(bytes);
        let written = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.size_bytes = self.size_bytes.saturating_add(written);
        self.sink.write_all(bytes).map_err(DumpError::Stream)
    }
}

/// Reads a dump, handing each row to `row`.
///
/// Rows are handed over before the digest at the end is checked: discard them if this fails.
/// Memory stays within one row.
///
/// # Errors
/// Any [`DumpError`]; what `row` returns is passed on.
pub fn read<R: Read>(
    source: R,
    mut row: impl FnMut(Row<'_>) -> Result<(), DumpError>,
) -> Result<Summary, DumpError> {
    let mut reader = Reader {
        source,
        hasher: Hasher::new(),
        size_bytes: 0,
    };
    if reader.take(HEADER.len())? != HEADER {
        return Err(DumpError::NotADump);
    }
    let mut rows = 0u64;
    loop {
        let [table_length] = reader.array()?;
        if table_length == 0 {
            break;
        }
        let table_length = usize::from(table_length);
        if table_length > TABLE_MAX_BYTES {
            return Err(DumpError::Altered);
        }
        let table =
            String::from_utf8(reader.take(table_length)?).map_err(|_| DumpError::Altered)?;
        let key = reader.field(KEY_MAX_BYTES)?;
        let value = reader.field(BATCH_MAX_BYTES)?;
        row(Row {
            table: &table,
            key,
            value,
        })?;
        rows = rows.saturating_add(1);
    }
    let counted = u64::from_be_bytes(reader.array()?);
    reader.end(rows, counted)
}

struct Reader<R> {
    source: R,
    hasher: Hasher,
    size_bytes: u64,
}

impl<R: Read> Reader<R> {
    fn field(&mut self, limit: usize) -> Result<Bytes, DumpError> {
        let length = u32::from_be_bytes(self.array()?);
        let length = usize::try_from(length).map_err(|_| DumpError::Altered)?;
        if length > limit {
            return Err(DumpError::Altered);
        }
        Ok(Bytes::from(self.take(length)?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DumpError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, DumpError> {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), DumpError> {
        self.source.read_exact(bytes).map_err(ended)?;
        self.hasher.update(bytes);
        let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.size_bytes = self.size_bytes.saturating_add(read);
        Ok(())
    }

    fn end(mut self, rows: u64, counted: u64) -> Result<Summary, DumpError> {
        let mut claimed = [0; 32];
        self.source.read_exact(&mut claimed).map_err(ended)?;
        let digest = self.hasher.finalize();
        let mut after = [0];
        let trailing = self.source.read(&mut after).map_err(DumpError::Stream)?;
        if claimed != digest || counted != rows || trailing != 0 {
            return Err(DumpError::Altered);
        }
        Ok(Summary {
            rows,
            size_bytes: self.size_bytes.saturating_add(32),
            digest,
        })
    }
}

fn ended(error: io::Error) -> DumpError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DumpError::Truncated,
        _ => DumpError::Stream(error),
    }
}

fn length<T: TryFrom<usize>>(what: &'static str, size: usize, limit: usize) -> Result<T, Error> {
    let refusal = Error::TooLarge { what, size, limit };
    if size == 0 && what != "a value" || size > limit {
        return Err(refusal);
    }
    T::try_from(size).map_err(|_| refusal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{DumpError, Summary, Writer, read};

    type Rows = Vec<(String, Vec<u8>, Vec<u8>)>;

    fn rows() -> impl Strategy<Value = Rows> {
        let bytes = |range| prop::collection::vec(any::<u8>(), range);
        prop::collection::vec(("[a-z0-9_-]{1,32}", bytes(1..20), bytes(0..60)), 0..12)
    }

    fn write(rows: &Rows) -> (Vec<u8>, Summary) {
        let mut writer = Writer::new(Vec::new()).unwrap();
        for (table, key, value) in rows {
            writer.row(table, key, value).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read_all(dump: &[u8]) -> Result<(Rows, Summary), DumpError> {
        let mut rows = Rows::new();
        let summary = read(dump, |row| {
            rows.push((row.table.to_owned(), row.key.to_vec(), row.value.to_vec()));
            Ok(())
        })?;
        Ok((rows, summary))
    }

    #[test]
    fn bytes_are_fixed() {
        let (dump, summary) = write(&vec![("t".into(), b"k".to_vec(), b"v".to_vec())]);
        let body = b"ithaca/v1/dump\n\x01t\0\0\0\x01k\0\0\0\x01v\0\0\0\0\0\0\0\0\x01";
        assert_eq!(dump, [&body[..], &summary.digest].concat());
        assert_eq!(summary.rows, 1);
        assert_eq!(summary.size_bytes, u64::try_from(dump.len()).unwrap());
        // sha256 of `body`, computed elsewhere.
        let expected = "5d5f798fad7a747c4aee7efea2adb50c0ec89bae60d90e52388843c54532b341";
        let hex: String = summary
            .digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, expected);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(rows in rows()) {
            let (dump, summary) = write(&rows);
            prop_assert_eq!(read_all(&dump).unwrap(), (rows, summary));
        }

        #[test]
        fn truncated_is_refused(rows in rows(), cut in any::<prop::sample::Index>()) {
            let (dump, _) = write(&rows);
            let refusal = read_all(&dump[..cut.index(dump.len())]);
            prop_assert!(matches!(refusal, Err(DumpError::Truncated)), "{refusal:?}");
        }

        #[test]
        fn altered_is_refused(rows in rows(), at in any::<prop::sample::Index>(), mask in 1u8..) {
            let (mut dump, _) = write(&rows);
            let at = at.index(dump.len());
            dump[at] ^= mask;
            prop_assert!(read_all(&dump).is_err());
        }

        #[test]
        fn followed_is_refused(rows in rows(), extra in prop::collection::vec(any::<u8>(), 1..40)) {
            let (mut dump, _) = write(&rows);
            dump.extend(extra);
            prop_assert!(matches!(read_all(&dump), Err(DumpError::Altered)));
        }
    }
}
