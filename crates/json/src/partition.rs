//! Dealing the leaves of a document into parts.
//!
//! A leaf is a value without children: a scalar, or an empty object or array. Every leaf is in
//! exactly one part: it starts in the part given to [`Assignment::new`] and can only be moved.

use crate::document::{Document, Kind, Value};
use std::fmt;

/// A set of up to eight parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts(u8);

impl Parts {
    /// No part.
    pub const NONE: Self = Self(0);

    /// Part number `part % 8`.
    pub const fn one(part: u8) -> Self {
        Self(1 << (part % 8))
    }

    /// The parts of both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every part of this set is in the other.
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether the sets share a part.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A partition that is being made: which part each leaf of one document is in.
pub struct Assignment {
    parts: Vec<Parts>,
}

impl Assignment {
    /// All leaves in one part.
    pub fn new(document: &Document<'_>, part: u8) -> Self {
        Self {
            parts: vec![Parts::one(part); document.len()],
        }
    }

    /// Moves a leaf, or every leaf below a container, into a part. The value must be one of the
    /// document that the assignment was made for.
    #[inline]
    pub fn assign(&mut self, value: Value<'_, '_>, part: u8) {
        if let Some(parts) = self.parts.get_mut(value.index()..value.next_index()) {
            parts.fill(Parts::one(part));
        }
    }

    /// Sums up which parts lie below each container. `document` must be the same document.
    pub fn finish(mut self, document: &Document<'_>) -> Partition {
        for value in document.values_backwards().filter(|value| !value.is_leaf()) {
            let parts_of = |child: Value<'_, '_>| self.parts.get(child.index()).copied();
            let below = value.children().filter_map(parts_of);
            let sum = below.fold(Parts::NONE, Parts::with);
            if let Some(parts) = self.parts.get_mut(value.index()) {
                *parts = sum;
            }
        }
        Partition { parts: self.parts }
    }
}

/// Which part each leaf of one document is in.
// INVARIANT: `parts` has an entry for each value of the document; a leaf's entry is exactly one
// part, a container's entry is the set of its leaves' parts.
pub struct Partition {
    parts: Vec<Parts>,
}

impl Partition {
    /// The parts that the leaves of a value are in.
    #[inline]
    pub fn parts(&self, value: Value<'_, '_>) -> Parts {
        let parts = self.parts.get(value.index());
        parts.copied().unwrap_or(Parts::NONE)
    }

    /// The document with only the leaves of the wanted parts: names, strings and numbers as they
    /// are written, in the order of the text, without white space between them; containers and
    /// items without a wanted leaf are left out. `None` when no leaf is wanted.
    pub fn select(&self, document: &Document<'_>, wanted: Parts) -> Option<Vec<u8>> {
        let root = document.root();
        if !self.parts(root).meets(wanted) {
            return None;
        }
        let mut out = Vec::new();
        self.write(root, wanted, &mut out);
        Some(out)
    }

    /// Recursion is bounded by [`crate::MAX_DEPTH`].
    fn write(&self, value: Value<'_, '_>, wanted: Parts, out: &mut Vec<u8>) {
        if self.parts(value).is_within(wanted) && value.document().is_compact() {
            return out.extend_from_slice(value.raw().as_bytes());
        }
        let (open, close) = match value.kind() {
            Kind::Object => (b'{', b'}'),
            Kind::Array => (b'[', b']'),
            _ => return out.extend_from_slice(value.raw().as_bytes()),
        };
        out.push(open);
        let mut first = true;
        for child in value.children() {
            if !self.parts(child).meets(wanted) {
                continue;
            }
            if !first {
                out.push(b',');
            }
            first = false;
            if let Some(key) = child.key_raw() {
                out.extend_from_slice(key.as_bytes());
                out.push(b':');
            }
            self.write(child, wanted, out);
        }
        out.push(close);
    }
}

impl fmt::Debug for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Assignment({} values)", self.parts.len())
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partition({} values)", self.parts.len())
    }
}
