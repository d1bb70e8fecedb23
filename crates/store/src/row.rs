//! For implementations: the checksum every stored value carries.
//!
//! A stored value is `value || CRC-64/NVME`, the checksum (8 bytes, big endian) taken over
//! `table length (1) || table || key length (4) || key || value`. Binding table and key makes a value
//! that turns up under another key as detectable as a flipped bit. The checksum comes last, so that
//! the value can be cut off a shared buffer without copying.
//!
//! It guards against faults, not against an attacker: whoever can write the file can also write
//! the checksum. Integrity against attackers is the sealing's task, above this port.

use bytes::{BufMut, Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, Digest};

/// Bytes the checksum adds to a value.
pub const CHECKSUM_BYTES: usize = 8;

/// The stored form of a value.
#[must_use]
pub fn seal(table: &str, key: &[u8], value: &[u8]) -> Bytes {
    let mut stored = BytesMut::with_capacity(value.len().saturating_add(CHECKSUM_BYTES));
    stored.put_slice(value);
    stored.put_u64(checksum(table, key, value));
    stored.freeze()
}

/// The value in a stored form, without copying it; `None` if it is damaged or belongs elsewhere.
#[must_use]
pub fn open(table: &str, key: &[u8], mut stored: Bytes) -> Option<Bytes> {
    if !is_intact(table, key, &stored) {
        return None;
    }
    stored.truncate(stored.len().checked_sub(CHECKSUM_BYTES)?);
    Some(stored)
}

/// Whether a stored form is undamaged and belongs to this table and key.
#[must_use]
pub fn is_intact(table: &str, key: &[u8], stored: &[u8]) -> bool {
    stored
        .split_last_chunk::<CHECKSUM_BYTES>()
        .is_some_and(|(value, sum)| u64::from_be_bytes(*sum) == checksum(table, key, value))
}

/// The checksum itself.
#[must_use]
pub fn checksum(table: &str, key: &[u8], value: &[u8]) -> u64 {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    // Names and keys are far shorter than these lengths hold; a saturated length still binds.
    digest.update(&[u8::try_from(table.len()).unwrap_or(u8::MAX)]);
    digest.update(table.as_bytes());
    digest.update(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes());
    digest.update(key);
    digest.update(value);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{open, seal};

    #[test]
    fn stored_form_is_fixed() {
        let stored = seal("records", b"key", b"value");
        assert_eq!(&stored[..5], b"value");
        assert_eq!(stored[5..], 0x864a_6142_33b7_b507_u64.to_be_bytes());
    }

    proptest! {
        #[test]
        fn any_flip_or_move_is_noticed(
            key in prop::collection::vec(any::<u8>(), 1..40),
            value in prop::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            mask in 1u8..,
        ) {
            let stored = seal("records", &key, &value);
            prop_assert_eq!(open("records", &key, stored.clone()), Some(Bytes::from(value)));

            let mut flipped = stored.to_vec();
            let at = at.index(flipped.len());
            flipped[at] ^= mask;
            prop_assert_eq!(open("records", &key, Bytes::from(flipped)), None);
            prop_assert_eq!(open("consents", &key, stored.clone()), None);
            let mut other = key.clone();
            other.push(0);
            prop_assert_eq!(open("records", &other, stored.clone()), None);
            prop_assert_eq!(open("records", &key, stored.slice(..stored.len() - 1)), None);
        }
    }
}
