//! UUIDs (RFC 9562): read, and derived without entropy.

use serde::{Serialize, Serializer};
use std::fmt;
use xxhash_rust::xxh3::xxh3_128;

/// A UUID; written in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(u128);

impl Uuid {
    /// Reads `8-4-4-4-12` hexadecimal digits of either case, of any version.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
        if text.len() != 36 {
            return None;
        }
        let mut value = 0_u128;
        for (at, byte) in text.bytes().enumerate() {
            if is_dash(at) {
                if byte != b'-' {
                    return None;
                }
                continue;
            }
            let digit = char::from(byte).to_digit(16)?;
            value = value << 4 | u128::from(digit);
        }
        Some(Self(value))
    }

    /// The UUID (version 8) of something that belongs to this one; it proves nothing.
    pub(crate) fn derive(self, what: &str) -> Self {
        let named = [self.0.to_be_bytes().as_slice(), what.as_bytes()].concat();
        let hash = xxh3_128(&named);
        let fields = (0xF_u128 << 76) | (0b11_u128 << 62);
        let version_and_variant = (8_u128 << 76) | (0b10_u128 << 62);
        Self(hash & !fields | version_and_variant)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        for (at, digit) in digits.chars().enumerate() {
            if matches!(at, 8 | 12 | 16 | 20) {
                f.write_str("-")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_read_and_written() {
        let text = "259cf767-4b52-4e14-a741-04da147a430f";
        let upper = Uuid::parse(&text.to_uppercase()).unwrap();
        assert_eq!(upper.to_string(), text);
        for wrong in [
            "",
            "259cf7674b524e14a74104da147a430f",
            "259cf767-4b52-4e14-a741-04da147a430",
            "259cf767-4b52-4e14-a741-04da147a430g",
            "259cf767-4b52-4e14-a741-04da147a43+f",
            "259cf767-4b52-4e14a-741-04da147a430f",
            "{259cf767-4b52-4e14-a741-04da147a430f}",
            "259cf767-4b52-4e14-a741-04da147a43é",
        ] {
            assert_eq!(Uuid::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_derived_is_a_uuid_of_its_own() {
        let of = |text: &str, what| Uuid::parse(text).unwrap().derive(what);
        let one = of("259cf767-4b52-4e14-a741-04da147a430f", "card");
        assert_eq!(one, of("259cf767-4b52-4e14-a741-04da147a430f", "card"));
        assert_ne!(one, of("259cf767-4b52-4e14-a741-04da147a430f", "cards"));
        assert_ne!(one, of("259cf767-4b52-4e14-a741-04da147a4310", "card"));
        let text = one.to_string();
        assert_eq!(Uuid::parse(&text), Some(one));
        assert_eq!(&text[14..15], "8", "{text}");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
    }
}
