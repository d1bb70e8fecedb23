//! Reads CBOR items and refuses everything outside the deterministic dialect.
//!
//! The reader keeps the open containers and how many items each still expects, so that nesting is
//! bounded wherever a decoder recurses. Strings are borrowed from the input.

use crate::{Decode, Encode, Error};

/// The deepest nesting of arrays, maps and tags that is read.
pub const MAX_DEPTH: usize = 32;

/// A position in a byte string that holds CBOR items.
pub struct Reader<'a> {
    input: &'a [u8],
    pos: usize,
    /// Items that each open container still expects; the first `depth` are in use.
    open: [u64; MAX_DEPTH],
    depth: usize,
}

struct Head {
    at: usize,
    major: u8,
    argument: u64,
}

impl<'a> Reader<'a> {
    /// Reads from the start of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            pos: 0,
            open: [0; MAX_DEPTH],
            depth: 0,
        }
    }

    /// Bytes consumed so far.
    pub fn position(&self) -> usize {
        self.pos
    }

    /// Whether every byte was consumed.
    pub fn is_at_end(&self) -> bool {
        self.pos == self.input.len()
    }

    /// Refuses bytes after what was read.
    ///
    /// # Errors
    /// [`Error::Trailing`].
    pub fn finish(&self) -> Result<(), Error> {
        if self.is_at_end() {
            Ok(())
        } else {
            Err(Error::Trailing { at: self.pos })
        }
    }

    /// The input between `start` (an earlier [`Reader::position`]) and here.
    pub fn since(&self, start: usize) -> &'a [u8] {
        self.input.get(start..self.pos).unwrap_or_default()
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// Any other item.
    pub fn uint(&mut self) -> Result<u64, Error> {
        self.expect(0, "an unsigned integer").map(|h| h.argument)
    }

    /// A signed integer.
    ///
    /// # Errors
    /// Any other item, or an integer outside 64 signed bits.
    pub fn int(&mut self) -> Result<i64, Error> {
        let head = self.head()?;
        let magnitude = i64::try_from(head.argument).map_err(|_| Error::Range { at: head.at });
        match head.major {
            0 => magnitude,
            1 => magnitude.map(|n| !n),
            _ => Err(Error::Unexpected {
                at: head.at,
                expected: "an integer",
            }),
        }
    }

    /// The complement `n` of the negative integer `-1 - n`.
    pub(crate) fn negative(&mut self) -> Result<u64, Error> {
        self.expect(1, "a negative integer").map(|h| h.argument)
    }

    /// A byte string.
    ///
    /// # Errors
    /// Any other item.
    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let head = self.expect(2, "a byte string")?;
        self.take(&head)
    }

    /// A byte string of exactly `N` bytes.
    ///
    /// # Errors
    /// Any other item or length.
    pub fn bytes_exact<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let at = self.pos;
        self.bytes()?
            .try_into()
            .map_err(|_| Error::WrongLength { at, expected: N })
    }

    /// A text string.
    ///
    /// # Errors
    /// Any other item, or bytes that are not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Error> {
        let head = self.expect(3, "a text string")?;
        std::str::from_utf8(self.take(&head)?).map_err(|_| Error::Utf8 { at: head.at })
    }

    /// The number of items of an array, which follow.
    ///
    /// # Errors
    /// Any other item, or a count that exceeds the bytes left.
    pub fn array(&mut self) -> Result<usize, Error> {
        let head = self.expect(4, "an array")?;
        self.enter(&head, 1)
    }

    /// An array of exactly `count` items, which follow.
    ///
    /// # Errors
    /// Any other item or count.
    pub fn array_exact(&mut self, count: usize) -> Result<(), Error> {
        let at = self.pos;
        if self.array()? == count {
            Ok(())
        } else {
            Err(Error::WrongLength {
                at,
                expected: count,
            })
        }
    }

    /// The number of key-value pairs of a map, which follow. The caller checks the key order
    /// (`BTreeMap`, [`Value`](crate::Value) and [`Reader::fields`] do).
    ///
    /// # Errors
    /// Any other item, or a count that exceeds the bytes left.
    pub fn map(&mut self) -> Result<usize, Error> {
        let head = self.expect(5, "a map")?;
        self.enter(&head, 2)
    }

    /// A tag; the tagged item follows.
    ///
    /// # Errors
    /// Any other item.
    pub fn tag(&mut self) -> Result<u64, Error> {
        let head = self.expect(6, "a tag")?;
        self.push(head.at, 1)?;
        Ok(head.argument)
    }

    /// `false` or `true`.
    ///
    /// # Errors
    /// Any other item.
    pub fn bool(&mut self) -> Result<bool, Error> {
        let head = self.expect(7, "a boolean")?;
        match head.argument {
            20 => Ok(false),
            21 => Ok(true),
            _ => Err(Error::Unexpected {
                at: head.at,
                expected: "a boolean",
            }),
        }
    }

    /// `null`.
    ///
    /// # Errors
    /// Any other item.
    pub fn null(&mut self) -> Result<(), Error> {
        let head = self.expect(7, "null")?;
        if head.argument == 22 {
            Ok(())
        } else {
            Err(Error::Unexpected {
                at: head.at,
                expected: "null",
            })
        }
    }

    /// Whether the next item is `null`.
    pub fn peek_null(&self) -> bool {
        self.input.get(self.pos) == Some(&0xf6)
    }

    /// The major type (0 to 7) of the next item, if there is one.
    pub fn peek_major(&self) -> Option<u8> {
        self.input.get(self.pos).map(|b| b >> 5)
    }

    /// The encoded bytes of the next item, whatever it is, checked to be deterministic.
    ///
    /// # Errors
    /// An item outside the dialect.
    pub fn raw_item(&mut self) -> Result<&'a [u8], Error> {
        let start = self.pos;
        crate::Value::decode(self)?;
        Ok(self.since(start))
    }

    /// The fields of a record (an integer-keyed map), to be taken in ascending key order.
    ///
    /// # Errors
    /// Anything but a map.
    pub fn fields(&mut self) -> Result<Fields, Error> {
        let mut fields = Fields {
            left: self.map()?,
            next: None,
        };
        fields.advance(self)?;
        Ok(fields)
    }

    fn expect(&mut self, major: u8, expected: &'static str) -> Result<Head, Error> {
        let head = self.head()?;
        if head.major == major {
            Ok(head)
        } else {
            Err(Error::Unexpected {
                at: head.at,
                expected,
            })
        }
    }

    fn head(&mut self) -> Result<Head, Error> {
        self.count_item();
        let at = self.pos;
        let initial = *self.input.get(at).ok_or(Error::Truncated { at })?;
        self.pos += 1;
        let (major, info) = (initial >> 5, initial & 31);
        let argument = match (major, info) {
            (7, 20..=22) => u64::from(info),
            (7, _) | (_, 28..) => return Err(Error::Unsupported { at }),
            (_, 0..=23) => u64::from(info),
            (_, 24) => self.long_argument::<1>(at, 24)?,
            (_, 25) => self.long_argument::<2>(at, 0x100)?,
            (_, 26) => self.long_argument::<4>(at, 0x1_0000)?,
            (_, _) => self.long_argument::<8>(at, 0x1_0000_0000)?,
        };
        Ok(Head {
            at,
            major,
            argument,
        })
    }

    /// An argument of `N` bytes, which would have been shorter below `least`.
    fn long_argument<const N: usize>(&mut self, at: usize, least: u64) -> Result<u64, Error> {
        let bytes = self
            .input
            .get(self.pos..)
            .and_then(|rest| rest.get(..N))
            .ok_or(Error::Truncated { at })?;
        self.pos += N;
        let argument = bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b));
        if argument < least {
            return Err(Error::NotMinimal { at });
        }
        Ok(argument)
    }

    fn take(&mut self, head: &Head) -> Result<&'a [u8], Error> {
        let too_long = Error::TooLong { at: head.at };
        let len = usize::try_from(head.argument).map_err(|_| too_long)?;
        let end = self.pos.checked_add(len).ok_or(too_long)?;
        let bytes = self.input.get(self.pos..end).ok_or(too_long)?;
        self.pos = end;
        Ok(bytes)
    }

    /// Opens a container whose every entry takes at least `min_bytes` bytes.
    fn enter(&mut self, head: &Head, min_bytes: usize) -> Result<usize, Error> {
        let too_long = Error::TooLong { at: head.at };
        let count = usize::try_from(head.argument).map_err(|_| too_long)?;
        let least = count.checked_mul(min_bytes).ok_or(too_long)?;
        if least > self.input.len() - self.pos {
            return Err(too_long);
        }
        self.push(head.at, least as u64)?;
        Ok(count)
    }

    fn push(&mut self, at: usize, items: u64) -> Result<(), Error> {
        let slot = self.open.get_mut(self.depth).ok_or(Error::Depth { at })?;
        *slot = items;
        self.depth += 1;
        Ok(())
    }

    /// Closes containers that have all their items and counts the next one.
    fn count_item(&mut self) {
        // INVARIANT: depth <= MAX_DEPTH, so that every index below it exists.
        while let Some(innermost) = self.depth.checked_sub(1) {
            if self.open[innermost] > 0 {
                self.open[innermost] -= 1;
                return;
            }
            self.depth = innermost;
        }
    }
}

/// The fields of a record that is being read.
pub struct Fields {
    /// Pairs whose key was not read yet.
    left: usize,
    /// The key that was read and whose value follows.
    next: Option<u64>,
}

impl Fields {
    /// The field under `key`; keys are asked for in ascending order.
    ///
    /// # Errors
    /// [`Error::MissingKey`] for a required field, [`Error::NotCanonical`] for an explicit `null`
    /// in place of an absent key.
    pub fn take<T: Encode + Decode>(&mut self, key: u64, r: &mut Reader<'_>) -> Result<T, Error> {
        if self.next != Some(key) {
            return T::absent().ok_or(Error::MissingKey { key });
        }
        let value = T::decode(r)?;
        if value.is_absent() {
            return Err(Error::NotCanonical);
        }
        self.advance(r)?;
        Ok(value)
    }

    /// Refuses fields that were not asked for.
    ///
    /// # Errors
    /// [`Error::UnknownKey`].
    pub fn end(self) -> Result<(), Error> {
        match self.next {
            None => Ok(()),
            Some(key) => Err(Error::UnknownKey { key }),
        }
    }

    fn advance(&mut self, r: &mut Reader<'_>) -> Result<(), Error> {
        self.next = None;
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            self.next = Some(r.uint()?);
        }
        Ok(())
    }
}
