//! Writes CBOR items with minimal heads.
//!
//! The writer does not count: after `array(n)` or `map(n)` the caller writes exactly `n` items or
//! `n` key-value pairs. Keys of a map are written in the bytewise order of their encodings.

/// An append-only buffer of CBOR items.
#[derive(Default)]
pub struct Writer {
    buf: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            buf: Vec::with_capacity(bytes),
        }
    }

    /// The bytes written so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.buf
    }

    /// The bytes written.
    pub fn into_vec(self) -> Vec<u8> {
        self.buf
    }

    /// An unsigned integer (major type 0).
    pub fn uint(&mut self, value: u64) {
        self.head(0, value);
    }

    /// A signed integer (major type 0 or 1).
    pub fn int(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.head(0, value),
            // -1 - value, which is the bitwise complement and never negative here.
            Err(_) => self.head(1, (!value).unsigned_abs()),
        }
    }

    /// The negative integer `-1 - complement` (major type 1).
    pub(crate) fn negative(&mut self, complement: u64) {
        self.head(1, complement);
    }

    /// A byte string.
    pub fn bytes(&mut self, value: &[u8]) {
        self.head(2, value.len() as u64);
        self.buf.extend_from_slice(value);
    }

    /// A text string.
    pub fn text(&mut self, value: &str) {
        self.head(3, value.len() as u64);
        self.buf.extend_from_slice(value.as_bytes());
    }

    /// The head of an array of `count` items.
    pub fn array(&mut self, count: usize) {
        self.head(4, count as u64);
    }

    /// The head of a map of `count` key-value pairs.
    pub fn map(&mut self, count: usize) {
        self.head(5, count as u64);
    }

    /// A tag; the tagged item follows.
    pub fn tag(&mut self, tag: u64) {
        self.head(6, tag);
    }

    /// `false` or `true`.
    pub fn bool(&mut self, value: bool) {
        self.buf.push(if value { 0xf5 } else { 0xf4 });
    }

    /// `null`.
    pub fn null(&mut self) {
        self.buf.push(0xf6);
    }

    /// Bytes that are already the encoding of one or more items.
    pub fn raw(&mut self, encoded: &[u8]) {
        self.buf.extend_from_slice(encoded);
    }

    fn head(&mut self, major: u8, argument: u64) {
        let major = major << 5;
        let be = argument.to_be_bytes();
        match argument {
            0..=23 => self.buf.push(major | be[7]),
            24..=0xff => self.buf.extend_from_slice(&[major | 24, be[7]]),
            0x100..=0xffff => self.long_head(major | 25, &be[6..]),
            0x1_0000..=0xffff_ffff => self.long_head(major | 26, &be[4..]),
            _ => self.long_head(major | 27, &be),
        }
    }

    fn long_head(&mut self, initial: u8, argument: &[u8]) {
        self.buf.push(initial);
        self.buf.extend_from_slice(argument);
    }
}
