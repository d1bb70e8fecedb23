//! Digests, MACs and derivation against published vectors and golden bytes.

use crate::vectors::{Hex, Outcome, load};
use aws_lc_rs::hmac;
use codec::{Domain, hex};
use keys::{Secret, Sha256Hasher, aad, digest, sha256};
use serde::Deserialize;

fn secret(byte: u8) -> Secret {
    Secret::from_bytes([byte; 32])
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, message).as_ref().to_vec()
}

/// RFC 5869 sections 2.2 and 2.3, from HMAC alone.
pub(crate) fn hkdf_extract(salt: &[u8], ikm: &[u8]) -> Vec<u8> {
    hmac_sha256(salt, ikm)
}

/// RFC 5869 section 2.3.
pub(crate) fn hkdf_expand(prk: &[u8], info: &[u8], len: usize) -> Vec<u8> {
    let mut okm = Vec::new();
    let mut block = Vec::new();
    for counter in 1u8..=255 {
        if okm.len() >= len {
            break;
        }
        block = hmac_sha256(prk, &[&block, info, &[counter]].concat());
        okm.extend_from_slice(&block);
    }
    okm.truncate(len);
    okm
}

#[test]
fn sha256_known_answers() {
    // FIPS 180-4 examples.
    let check = |parts: &[&[u8]], expect: &str| {
        assert_eq!(sha256(parts).to_string(), expect);
        let mut hasher = Sha256Hasher::new();
        parts.iter().for_each(|part| hasher.update(part));
        assert_eq!(hex::encode(&hasher.finalize()), expect);
    };
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    check(
        &[],
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    );
    check(&[b"abc"], abc);
    check(&[b"a", b"", b"bc"], abc);
    check(
        &[b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"],
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    );
}

#[test]
fn digest_is_framed() {
    let framed = aad(Domain::EntryId, &[b"ab", b""]);
    let mut expect = 18u64.to_be_bytes().to_vec();
    expect.extend_from_slice(b"ithaca/v1/entry-id");
    expect.extend_from_slice(&2u64.to_be_bytes());
    expect.extend_from_slice(b"ab");
    expect.extend_from_slice(&0u64.to_be_bytes());
    assert_eq!(framed, expect);
    assert_eq!(digest(Domain::EntryId, &[b"ab", b""]), sha256(&[&expect]));
    let distinct = [
        digest(Domain::EntryId, &[b"ab", b""]),
        digest(Domain::EntryId, &[b"ab"]),
        digest(Domain::EntryId, &[b"a", b"b"]),
        digest(Domain::EntryId, &[b"", b"ab"]),
        digest(Domain::Header, &[b"ab", b""]),
    ];
    for (i, one) in distinct.iter().enumerate() {
        assert!(distinct.iter().skip(i + 1).all(|other| other != one));
    }
}

#[test]
fn hmac_rfc_4231() {
    let check = |key: &[u8], message: &[u8], expect: &str| {
        assert_eq!(hex::encode(&hmac_sha256(key, message)), expect);
    };
    check(
        &[0x0b; 20],
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    );
    check(
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
    check(
        &[0xaa; 20],
        &[0xdd; 50],
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    );
    check(
        &[0xaa; 131],
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    );
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HkdfCase {
    tc_id: u64,
    ikm: Hex,
    salt: Hex,
    info: Hex,
    size: usize,
    okm: Hex,
    result: Outcome,
}

/// The reference that [`derivation_is_hkdf`] compares with is HKDF.
#[test]
fn hkdf_wycheproof() {
    let cases: Vec<HkdfCase> = load(include_bytes!("../../testdata/hkdf_sha256.json.zst"));
    assert_eq!(cases.len(), 86);
    for case in cases {
        if case.result == Outcome::Invalid {
            assert!(case.size > 255 * 32);
            continue;
        }
        let prk = hkdf_extract(&case.salt.0, &case.ikm.0);
        let okm = hkdf_expand(&prk, &case.info.0, case.size);
        assert_eq!(okm, case.okm.0, "{}", case.tc_id);
    }
}

#[test]
fn derivation_is_hkdf() {
    for info in [&b""[..], b"subject", &[7; 5000]] {
        let derived = secret(1).derive(Domain::CompartmentKey, info);
        let prk = hkdf_extract(&[], &[1; 32]);
        let expect = hkdf_expand(&prk, &aad(Domain::CompartmentKey, &[info]), 32);
        assert_eq!(derived.expose().as_slice(), expect);
    }
}

#[test]
fn mac_is_hmac() {
    let parts: &[&[u8]] = &[b"period", &[9; 300]];
    let expect = hmac_sha256(&[2; 32], &aad(Domain::DisclosureKey, parts));
    let mac = secret(2).mac(Domain::DisclosureKey, parts);
    assert_eq!(mac.as_bytes().as_slice(), expect);
}

/// Changing one of these loses every stored key, token and commitment.
#[test]
fn golden_bytes() {
    let check = |what: String, expect: &str| assert_eq!(what, expect);
    check(
        digest(Domain::EntryId, &[b"ab", b""]).to_string(),
        "17037283374f2684449390b7b6c88e77d87c5530829e365c7b12488e1c034858",
    );
    check(
        hex::encode(
            secret(1)
                .derive(Domain::CompartmentKey, b"subject")
                .expose(),
        ),
        "129586fd792edc9213badd030168923e82db8762ce33e56acfba71b9a1349e3c",
    );
    check(
        secret(2).mac(Domain::BlindToken, &[b"term"]).to_string(),
        "bb72deed58197495d0d2c047d9964793ac58102bfa4822b3328b93150f455a50",
    );
}

#[test]
fn secrets_do_not_print() {
    assert_eq!(format!("{:?}", secret(1)), "<redacted>");
    assert_eq!(secret(1), secret(1));
    assert_ne!(secret(1), secret(2));
    let mut counter = 0;
    let generated = Secret::generate(&mut |out: &mut [u8]| {
        counter += 1;
        out.fill(counter);
    });
    assert_eq!(generated, secret(1));
    assert!(keys::constant_time_eq(b"ab", b"ab"));
    assert!(!keys::constant_time_eq(b"ab", b"ac"));
    assert!(!keys::constant_time_eq(b"ab", b"abc"));
}
