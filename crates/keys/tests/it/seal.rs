//! Sealing at rest against Wycheproof, and what it refuses.

use crate::vectors::{Hex, Outcome, Seeded, fixed, load};
use codec::hex;
use keys::{SEAL_OVERHEAD, SealError, Secret, open, seal};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: u64,
    key: Hex,
    iv: Hex,
    aad: Hex,
    msg: Hex,
    ct: Hex,
    tag: Hex,
    result: Outcome,
}

fn secret(byte: u8) -> Secret {
    Secret::from_bytes([byte; 32])
}

#[test]
fn wycheproof() {
    let cases: Vec<Case> = load(include_bytes!("../../testdata/aes_256_gcm.json.zst"));
    assert_eq!(cases.len(), 66);
    let mut refused = 0;
    for case in cases {
        let key = Secret::from_bytes(case.key.0.as_slice().try_into().unwrap());
        let sealed = [&[1], &case.iv.0[..], &case.ct.0, &case.tag.0].concat();
        let opened = open(&key, &case.aad.0, &sealed);
        if case.result == Outcome::Valid {
            assert_eq!(*opened.unwrap(), case.msg.0, "{}", case.tc_id);
            let made = seal(&key, &case.aad.0, &case.msg.0, &mut fixed(&case.iv.0));
            assert_eq!(made, sealed, "{}", case.tc_id);
        } else {
            assert_eq!(opened.unwrap_err(), SealError::Refused, "{}", case.tc_id);
            refused += 1;
        }
    }
    assert!(refused > 0);
}

#[test]
fn golden_bytes() {
    let sealed = seal(&secret(1), b"place", b"content", &mut Seeded::new(0));
    assert_eq!(
        hex::encode(&sealed),
        "01374708fff7719dd5979ec875a1067f40f6d68f9d22abb9e1f119ef495e666600b35736"
    );
    assert_eq!(sealed.len(), SEAL_OVERHEAD + 7);
}

#[test]
fn refusals() {
    let sealed = seal(&secret(1), b"place", b"content", &mut Seeded::new(0));
    let refused = |key: u8, aad: &[u8], sealed: &[u8]| open(&secret(key), aad, sealed).unwrap_err();
    assert_eq!(refused(2, b"place", &sealed), SealError::Refused);
    assert_eq!(refused(1, b"elsewhere", &sealed), SealError::Refused);
    assert_eq!(refused(1, b"", &sealed), SealError::Refused);
    for len in 0..sealed.len() {
        let expect = if len < SEAL_OVERHEAD {
            SealError::Truncated
        } else {
            SealError::Refused
        };
        assert_eq!(refused(1, b"place", &sealed[..len]), expect);
    }
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut altered = sealed.clone();
            altered[at] ^= 1 << bit;
            let expect = if at == 0 {
                SealError::UnknownSuite(altered[0])
            } else {
                SealError::Refused
            };
            assert_eq!(refused(1, b"place", &altered), expect);
        }
    }
}

#[test]
fn nonces_differ() {
    let entropy = &mut Seeded::new(0);
    let one = seal(&secret(1), b"", b"content", entropy);
    let two = seal(&secret(1), b"", b"content", entropy);
    assert_ne!(one[1..13], two[1..13]);
    assert_ne!(one[13..], two[13..]);
}

proptest! {
    #[test]
    fn round_trip(
        key in any::<[u8; 32]>(),
        aad in prop::collection::vec(any::<u8>(), 0..200),
        plaintext in prop::collection::vec(any::<u8>(), 0..5000),
        seed in any::<u64>(),
    ) {
        let key = Secret::from_bytes(key);
        let sealed = seal(&key, &aad, &plaintext, &mut Seeded::new(seed));
        prop_assert_eq!(sealed.len(), plaintext.len() + SEAL_OVERHEAD);
        prop_assert_eq!(&*open(&key, &aad, &sealed).unwrap(), &plaintext);
    }
}
