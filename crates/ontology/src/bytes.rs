//! The primitives of the index file: little-endian, integers as LEB128, every length checked
//! against the bytes that are left before anything is allocated.

use crate::index::OpenError;

/// Writes.
#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) out: Vec<u8>,
}

impl Writer {
    pub(crate) fn byte(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(crate) fn number(&mut self, value: impl Into<u64>) {
        let mut rest = value.into();
        while rest >= 0x80 {
            self.out.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        #[expect(clippy::cast_possible_truncation, reason = "under 0x80")]
        self.out.push(rest as u8);
    }

    pub(crate) fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }
}

/// Reads what [`Writer`] wrote.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, OpenError> {
        let (&first, rest) = self.rest.split_first().ok_or(OpenError::Malformed)?;
        self.rest = rest;
        Ok(first)
    }

    pub(crate) fn raw(&mut self, size_bytes: usize) -> Result<&'a [u8], OpenError> {
        let (head, rest) = self
            .rest
            .split_at_checked(size_bytes)
            .ok_or(OpenError::Malformed)?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], OpenError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(OpenError::Malformed)?;
        self.rest = rest;
        Ok(*head)
    }

    #[inline]
    pub(crate) fn long(&mut self) -> Result<u64, OpenError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(OpenError::Malformed)
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Result<u32, OpenError> {
        u32::try_from(self.long()?).map_err(|_| OpenError::Malformed)
    }

    /// A position in a table of `count` rows.
    #[inline]
    pub(crate) fn below(&mut self, count: usize) -> Result<u32, OpenError> {
        let value = self.number()?;
        if (value as usize) < count {
            Ok(value)
        } else {
            Err(OpenError::Malformed)
        }
    }

    /// A list whose entries take at least one byte each.
    pub(crate) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, OpenError>,
    ) -> Result<Vec<T>, OpenError> {
        let count = self.number()? as usize;
        if count > self.rest.len() {
            return Err(OpenError::Malformed);
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }
}
