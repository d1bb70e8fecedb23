//! The records of the log.
//!
//! Record (integers big endian): `"ithlog1\n" (8) || number (8) || kind (1) || length (4) || CRC-64 (8)
//! || payload`, the checksum taken over number, kind, length and payload. Payload: operations `1 || table
//! length (1) || table || key length (4) || key || stored length (4) || stored value` (put) or `0 ||
//! table length || table || key length || key` (delete).
//!
//! A generation is `Part` records with all rows it starts from, one `Start`, then one `Commit` per group
//! of commits, numbered on from the `Start`'s number.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use store::row;

pub(crate) const MAGIC: &[u8; 8] = b"ithlog1\n";
pub(crate) const HEADER_BYTES: usize = 29;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Part = 1,
    Start = 2,
    Commit = 3,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) number: u64,
    pub(crate) kind: Kind,
    pub(crate) payload_bytes: usize,
    checksum: u64,
}

impl Header {
    /// Reads a header; `None` if these bytes are not one.
    pub(crate) fn parse(mut bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
            return None;
        }
        bytes.advance(MAGIC.len());
        let number = bytes.get_u64();
        let kind = match bytes.get_u8() {
            1 => Kind::Part,
            2 => Kind::Start,
            3 => Kind::Commit,
            _ => return None,
        };
        let payload_bytes = usize::try_from(bytes.get_u32()).ok()?;
        Some(Self {
            number,
            kind,
            payload_bytes,
            checksum: bytes.get_u64(),
        })
    }

    /// Whether this is the header of that payload.
    pub(crate) fn matches(&self, payload: &[u8]) -> bool {
        payload.len() == self.payload_bytes
            && self.checksum == checksum(self.number, self.kind, payload)
    }
}

/// One operation of a payload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) table: String,
    pub(crate) key: Bytes,
    /// Where the stored value lies in the payload; `None` deletes.
    pub(crate) stored: Option<std::ops::Range<usize>>,
}

/// Builds a record.
pub(crate) struct Record {
    bytes: BytesMut,
}

impl Record {
    pub(crate) fn new() -> Self {
        let mut bytes = BytesMut::new();
        bytes.put_bytes(0, HEADER_BYTES);
        Self { bytes }
    }

    pub(crate) fn payload_bytes(&self) -> usize {
        self.bytes.len().saturating_sub(HEADER_BYTES)
    }

    /// Adds a row; where its stored value lies in the record.
    pub(crate) fn put(&mut self, table: &str, key: &[u8], stored: &[u8]) -> std::ops::Range<usize> {
        self.bytes.put_u8(1);
        self.put_key(table, key);
        self.put_length(stored);
        let start = self.bytes.len();
        self.bytes.put_slice(stored);
        start..self.bytes.len()
    }

    pub(crate) fn delete(&mut self, table: &str, key: &[u8]) {
        self.bytes.put_u8(0);
        self.put_key(table, key);
    }

    pub(crate) fn finish(mut self, number: u64, kind: Kind) -> Bytes {
        let (header, payload) = self.bytes.split_at_mut(HEADER_BYTES);
        let checksum = checksum(number, kind, payload);
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let mut header = &mut header[..];
        header.put_slice(MAGIC);
        header.put_u64(number);
        header.put_u8(kind as u8);
        header.put_u32(length);
        header.put_u64(checksum);
        self.bytes.freeze()
    }

    fn put_key(&mut self, table: &str, key: &[u8]) {
        // INVARIANT: table names are at most 32 bytes (`store::Table`, and dumps check it).
        self.bytes
            .put_u8(u8::try_from(table.len()).unwrap_or(u8::MAX));
        self.bytes.put_slice(table.as_bytes());
        self.put_length(key);
        self.bytes.put_slice(key);
    }

    fn put_length(&mut self, bytes: &[u8]) {
        // INVARIANT: keys and batches are far smaller than this (`Batch::check_limits`).
        self.bytes
            .put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    }
}

/// The operations of an intact payload; `None` if it is not made of operations.
pub(crate) fn operations(payload: &Bytes) -> Option<Vec<Operation>> {
    let mut operations = Vec::new();
    let mut at = 0usize;
    while at < payload.len() {
        let is_put = take(payload, &mut at, 1)?.get_u8() == 1;
        let table_bytes = usize::from(take(payload, &mut at, 1)?.get_u8());
        let table = String::from_utf8(take(payload, &mut at, table_bytes)?.to_vec()).ok()?;
        let key_bytes = usize::try_from(take(payload, &mut at, 4)?.get_u32()).ok()?;
        let key = Bytes::copy_from_slice(&take(payload, &mut at, key_bytes)?);
        let stored = if is_put {
            let stored_bytes = usize::try_from(take(payload, &mut at, 4)?.get_u32()).ok()?;
            let start = at;
            take(payload, &mut at, stored_bytes)?;
            Some(start..at)
        } else {
            None
        };
        operations.push(Operation { table, key, stored });
    }
    Some(operations)
}

fn take(payload: &Bytes, at: &mut usize, length: usize) -> Option<Bytes> {
    let end = at.checked_add(length).filter(|&end| end <= payload.len())?;
    let taken = payload.slice(*at..end);
    *at = end;
    Some(taken)
}

fn checksum(number: u64, kind: Kind, payload: &[u8]) -> u64 {
    let mut header = [0; 9];
    let mut fields = &mut header[..];
    fields.put_u64(number);
    fields.put_u8(kind as u8);
    row::checksum("", &header, payload)
}

#[cfg(test)]
mod tests {
    use super::{HEADER_BYTES, Header, Kind, Operation, Record, operations};

    #[test]
    fn what_is_written_is_read_and_every_flip_is_noticed() {
        let mut record = Record::new();
        let stored = record.put("a", b"key", b"stored");
        record.delete("bc", b"\0");
        let bytes = record.finish(7, Kind::Commit);
        assert_eq!(&bytes[stored.clone()], b"stored");

        let header = Header::parse(&bytes).unwrap();
        assert_eq!((header.number, header.kind), (7, Kind::Commit));
        let payload = bytes.slice(HEADER_BYTES..);
        assert!(header.matches(&payload));
        let expected = [
            Operation {
                table: "a".into(),
                key: "key".into(),
                stored: Some(stored.start - HEADER_BYTES..stored.end - HEADER_BYTES),
            },
            Operation {
                table: "bc".into(),
                key: "\0".into(),
                stored: None,
            },
        ];
        assert_eq!(operations(&payload).unwrap(), expected);

        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.to_vec();
                flipped[at] ^= 1 << bit;
                let is_noticed = Header::parse(&flipped)
                    .is_none_or(|header| !header.matches(&flipped[HEADER_BYTES..]));
                assert!(is_noticed, "byte {at}");
            }
        }
    }
}
