//! Ranges of keys.

use std::{fmt, ops::Bound};

use bytes::Bytes;

/// Keys from an inclusive start up to an exclusive end, in bytewise order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Range {
    from: Bytes,
    // `None`: to the end of the table.
    to: Option<Bytes>,
}

/// The order in which a range is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Ascending,
    /// Largest key first.
    Descending,
}

impl Range {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Every key that starts with `prefix`.
    #[must_use]
    pub fn prefix(prefix: impl AsRef<[u8]>) -> Self {
        let prefix = prefix.as_ref();
        Self {
            from: Bytes::copy_from_slice(prefix),
            to: successor(prefix),
        }
    }

    /// Keys `from <= key < to`; empty if `to <= from`.
    #[must_use]
    pub fn between(from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Self {
        Self {
            from: Bytes::copy_from_slice(from.as_ref()),
            to: Some(Bytes::copy_from_slice(to.as_ref())),
        }
    }

    /// Keys `from <= key`.
    #[must_use]
    pub fn from(from: impl AsRef<[u8]>) -> Self {
        Self {
            from: Bytes::copy_from_slice(from.as_ref()),
            to: None,
        }
    }

    /// The part of this range after `key`: the next page when reading in ascending order.
    #[must_use]
    pub fn after(mut self, key: impl AsRef<[u8]>) -> Self {
        let mut next = key.as_ref().to_vec();
        next.push(0);
        if self.from.as_ref() < next.as_slice() {
            self.from = Bytes::from(next);
        }
        self
    }

    /// The part of this range before `key`: the next page when reading in descending order.
    #[must_use]
    pub fn before(mut self, key: impl AsRef<[u8]>) -> Self {
        let key = key.as_ref();
        if self.to.as_ref().is_none_or(|to| key < to.as_ref()) {
            self.to = Some(Bytes::copy_from_slice(key));
        }
        self
    }

    /// The first key that could be in it.
    #[must_use]
    pub fn start(&self) -> &[u8] {
        &self.from
    }

    /// The first key after it; `None` if it reaches to the end of the table.
    #[must_use]
    pub fn end(&self) -> Option<&[u8]> {
        self.to.as_deref()
    }

    /// The bounds, as the standard library's ordered maps take them; check
    /// [`Range::is_empty`] first, since those panic on an inverted range.
    #[must_use]
    pub fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let to = self.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        (Bound::Included(&self.from), to)
    }

    /// Whether no key can be in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }

    /// Whether `key` is in it.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.from.as_ref() <= key && self.to.as_ref().is_none_or(|to| key < to.as_ref())
    }
}

/// The smallest key larger than every key with this prefix; none if the prefix is all `0xff`.
fn successor(prefix: &[u8]) -> Option<Bytes> {
    let kept = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut next = prefix.get(..=kept)?.to_vec();
    let last = next.last_mut()?;
    *last = last.checked_add(1)?;
    Some(Bytes::from(next))
}

impl fmt::Debug for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Range(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Range;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        // Few distinct bytes, so that prefixes and neighbours are common.
        prop::collection::vec(
            prop_oneof![Just(0u8), Just(1), Just(0xfe), Just(0xff)],
            0..5,
        )
    }

    proptest! {
        #[test]
        fn prefix_contains_exactly_what_starts_with_it(prefix in key(), key in key()) {
            prop_assert_eq!(Range::prefix(&prefix).contains(&key), key.starts_with(&prefix));
        }

        #[test]
        fn pages_split_a_range(from in key(), to in key(), at in key(), key in key()) {
            let range = Range::between(&from, &to);
            let inside = range.contains(&key);
            prop_assert_eq!(inside, from <= key && key < to);
            prop_assert!(!(range.is_empty() && inside));
            prop_assert_eq!(range.clone().after(&at).contains(&key), inside && key > at);
            prop_assert_eq!(range.before(&at).contains(&key), inside && key < at);
        }
    }
}
