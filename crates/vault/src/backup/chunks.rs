//! A stream sealed in chunks.
//!
//! Each chunk is `length (4) || sealed`, sealed under a key of its own, derived from the stream's key
//! and the chunk's number, and bound to whether it is the last. So chunks cannot be altered, left out,
//! put in another order or cut off at the end.

use super::BackupError;
use super::folder::io_error;
use codec::Domain;
use keys::{SEAL_OVERHEAD, Secret, Zeroizing};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Error, ErrorKind, Read, Write};

const CHUNK_BYTES: usize = 256 * 1024;

/// Seals what is written to it.
pub(super) struct ChunkWriter {
    sink: BufWriter<File>,
    key: Secret,
    number: u64,
    plain: Zeroizing<Vec<u8>>,
}

/// Opens a backup's rows: a dump as the store's import reads it.
pub struct RowsReader {
    source: BufReader<File>,
    key: Secret,
    number: u64,
    plain: Zeroizing<Vec<u8>>,
    at: usize,
    ended: bool,
}

impl ChunkWriter {
    pub(super) fn new(sink: BufWriter<File>, key: Secret) -> Self {
        Self {
            sink,
            key,
            number: 0,
            plain: Zeroizing::new(Vec::with_capacity(CHUNK_BYTES)),
        }
    }

    /// Writes the last chunk and makes the file durable.
    pub(super) fn finish(mut self, name: &'static str) -> Result<(), BackupError> {
        let finish = || -> io::Result<()> {
            self.chunk(true)?;
            self.sink.flush()?;
            self.sink.get_ref().sync_all()
        };
        let mut finish = finish;
        finish().map_err(|error| io_error("writing", name, &error))
    }

    fn chunk(&mut self, last: bool) -> io::Result<()> {
        let key = chunk_key(&self.key, self.number);
        // The key seals this one message, so that any nonce will do.
        let sealed = keys::seal(&key, &aad(last), &self.plain, &mut |_: &mut [u8]| {});
        let length = u32::try_from(sealed.len()).map_err(|_| ErrorKind::InvalidData)?;
        self.sink.write_all(&length.to_be_bytes())?;
        self.sink.write_all(&sealed)?;
        self.number = self.number.saturating_add(1);
        self.plain.clear();
        Ok(())
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.plain.len() >= CHUNK_BYTES {
            self.chunk(false)?;
        }
        let room = CHUNK_BYTES.saturating_sub(self.plain.len());
        let now = bytes.get(..room).unwrap_or(bytes);
        self.plain.extend_from_slice(now);
        Ok(now.len())
    }

    /// Chunks are written when they are full; only the end makes a short one.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RowsReader {
    pub(super) fn new(source: BufReader<File>, key: Secret) -> Self {
        Self {
            source,
            key,
            number: 0,
            plain: Zeroizing::new(Vec::new()),
            at: 0,
            ended: false,
        }
    }

    fn chunk(&mut self) -> io::Result<()> {
        let mut length = [0; 4];
        self.source.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > CHUNK_BYTES + SEAL_OVERHEAD {
            return Err(altered());
        }
        let mut sealed = vec![0; length];
        self.source.read_exact(&mut sealed)?;
        let key = chunk_key(&self.key, self.number);
        self.number = self.number.saturating_add(1);
        self.at = 0;
        if let Ok(plain) = keys::open(&key, &aad(false), &sealed) {
            self.plain = plain;
            return Ok(());
        }
        self.plain = keys::open(&key, &aad(true), &sealed).map_err(|_| altered())?;
        self.ended = true;
        // Nothing may follow.
        let mut more = [0];
        if self.source.read(&mut more)? == 0 {
            Ok(())
        } else {
            Err(altered())
        }
    }
}

impl Read for RowsReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.plain.len() {
            if self.ended {
                return Ok(0);
            }
            self.chunk()?;
        }
        let left = self.plain.get(self.at..).unwrap_or_default();
        let count = left.len().min(out.len());
        for (out, plain) in out.iter_mut().zip(left) {
            *out = *plain;
        }
        self.at = self.at.saturating_add(count);
        Ok(count)
    }
}

impl std::fmt::Debug for RowsReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RowsReader(<redacted>)")
    }
}

fn chunk_key(key: &Secret, number: u64) -> Secret {
    key.derive(Domain::BackupSeal, &number.to_be_bytes())
}

fn aad(last: bool) -> Vec<u8> {
    keys::aad(Domain::BackupSeal, &[b"rows", &[u8::from(last)]])
}

fn altered() -> Error {
    Error::new(ErrorKind::InvalidData, "the backup's rows were altered")
}
