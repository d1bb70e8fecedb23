//! Bytes that are wiped when they are dropped.
//!
//! What `zeroize` does byte by byte is done here with one fill over the whole capacity and its barrier, which
//! keeps the compiler from leaving the fill out: records are large and are wiped often.

use std::fmt;
use std::ops::{Deref, DerefMut};
use zeroize::optimization_barrier;

/// What can be overwritten with zeros.
pub trait Wipe {
    /// Overwrites everything it holds or has room for.
    fn wipe(&mut self);
}

impl Wipe for Vec<u8> {
    fn wipe(&mut self) {
        self.clear();
        self.resize(self.capacity(), 0);
        optimization_barrier(self.as_slice());
        self.clear();
    }
}

impl Wipe for String {
    fn wipe(&mut self) {
        let mut bytes = std::mem::take(self).into_bytes();
        bytes.wipe();
    }
}

impl<const N: usize> Wipe for [u8; N] {
    fn wipe(&mut self) {
        self.fill(0);
        optimization_barrier(self);
    }
}

/// A value that is wiped when it is dropped. Growing it may leave copies behind: give it its size first.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zeroizing<T: Wipe>(T);

impl<T: Wipe> Zeroizing<T> {
    /// Takes a value over.
    pub const fn new(value: T) -> Self {
        Self(value)
    }
}

impl<T: Wipe> Drop for Zeroizing<T> {
    fn drop(&mut self) {
        self.0.wipe();
    }
}

impl<T: Wipe> Deref for Zeroizing<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Wipe> DerefMut for Zeroizing<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Wipe> From<T> for Zeroizing<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: Wipe> fmt::Debug for Zeroizing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

#[cfg(test)]
mod tests {
    use super::Wipe as _;

    #[test]
    fn nothing_of_it_stays() {
        let mut bytes = Vec::with_capacity(100);
        bytes.extend_from_slice(b"secret");
        bytes.truncate(3);
        bytes.wipe();
        assert!(bytes.is_empty() && bytes.capacity() >= 100);
        // All that the vector has room for was written.
        bytes.resize(bytes.capacity(), 1);
        bytes.wipe();
        let mut array = *b"secret";
        array.wipe();
        assert_eq!(array, [0; 6]);
        let mut text = "secret".to_owned();
        text.wipe();
        assert!(text.is_empty());
    }
}
