//! Sealing under a passphrase.

use crate::vectors::Seeded;
use argon2::{Algorithm, Argon2, Params, Version};
use codec::{Value, hex};
use keys::{PasswordError, PasswordParams, password_open, password_seal};

const FAST: PasswordParams = PasswordParams::INSECURE_FAST;

fn sealed() -> Vec<u8> {
    password_seal(b"open sesame", FAST, b"content", &mut Seeded::new(0)).unwrap()
}

/// The reference implementation's own test (phc-winner-argon2 `test.c`).
#[test]
fn argon2id_known_answer() {
    let mut tag = [0; 32];
    let params = Params::new(256, 2, 1, Some(32)).unwrap();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(b"password", b"somesalt", &mut tag)
        .unwrap();
    assert_eq!(
        hex::encode(&tag),
        "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"
    );
}

#[test]
fn golden_bytes() {
    assert_eq!(
        hex::encode(&sealed()),
        "a60101020803010401055820374708fff7719dd5979ec875d56cd2286f6d3cf7ec317a3b25632aab28ec37bb065824017c3ccd10bb7ec37b46d379269ee97f7b643da97901ed121dd85b0c2791042548c7d509"
    );
}

#[test]
fn round_trip_and_refusals() {
    let sealed = sealed();
    assert_eq!(*password_open(b"open sesame", &sealed).unwrap(), b"content");
    let wrong = password_open(b"open sesam", &sealed).unwrap_err();
    assert_eq!(wrong, PasswordError::Refused);
    assert_eq!(
        password_open(b"", &[]).unwrap_err(),
        PasswordError::Malformed
    );
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut altered = sealed.clone();
            altered[at] ^= 1 << bit;
            // A high bit of a cost can ask for more memory than a test should take.
            if let Ok(Value::Map(pairs)) = codec::from_slice(&altered)
                && let Some((_, Value::Unsigned(m_kib))) = pairs.get(1)
                && *m_kib > 1024
                && *m_kib <= 1 << 20
            {
                continue;
            }
            assert!(password_open(b"open sesame", &altered).is_err(), "{at}");
        }
    }
}

#[test]
fn costs_are_bounded() {
    let check = |m_kib, t, p| {
        let params = PasswordParams { m_kib, t, p };
        let outcome = password_seal(b"x", params, b"", &mut Seeded::new(0));
        assert_eq!(outcome, Err(PasswordError::Params));
    };
    check((1 << 20) + 1, 1, 1);
    check(u32::MAX, 1, 1);
    check(8, 65, 1);
    check(8, 0, 1);
    check(8, 1, 0);
    check(1024, 1, 65);
    check(7, 1, 1);
    check(15, 1, 2);
    // A file that asks for too much is refused before anything is derived.
    let Value::Map(mut pairs) = codec::from_slice(&sealed()).unwrap() else {
        unreachable!("a record");
    };
    pairs[1].1 = Value::Unsigned(u64::from(u32::MAX));
    let bomb = codec::to_vec(&Value::Map(pairs));
    assert_eq!(
        password_open(b"x", &bomb).unwrap_err(),
        PasswordError::Params
    );
}

#[test]
fn the_default_works() {
    let sealed = password_seal(
        b"x",
        PasswordParams::default(),
        b"content",
        &mut Seeded::new(0),
    )
    .unwrap();
    assert_eq!(*password_open(b"x", &sealed).unwrap(), b"content");
}
