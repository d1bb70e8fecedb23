//! Names of tables.

use std::fmt;

/// The longest table name, in bytes.
pub const TABLE_MAX_BYTES: usize = 32;

/// The name of a table: 1 to 32 bytes of `a-z`, `0-9`, `-` and `_`, fixed at compile time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(&'static str);

impl Table {
    /// Names a table; meant for constants, where a bad name does not compile.
    ///
    /// # Panics
    /// If the name is empty, longer than 32 bytes or holds any other byte.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(
            is_valid(name.as_bytes()),
            "table names are 1 to 32 of a-z 0-9 - _"
        );
        Self(name)
    }

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

const fn is_valid(name: &[u8]) -> bool {
    let mut at = 0;
    while at < name.len() {
        if !matches!(name[at], b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') {
            return false;
        }
        at += 1;
    }
    !name.is_empty() && name.len() <= TABLE_MAX_BYTES
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn names_are_checked() {
        for good in [
            "a",
            "records",
            "log-tiles_0",
            "12345678901234567890123456789012",
        ] {
            assert!(is_valid(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "Records",
            "a b",
            "a\0",
            "é",
            "123456789012345678901234567890123",
        ] {
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
    }
}
