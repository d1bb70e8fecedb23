//! Ed25519 under ZIP-215: Wycheproof, the small-order matrix, and agreement with the engine's own.

use crate::vectors::{Hex, Outcome, Seeded, load};
use codec::hex;
use commonware_codec::{Copying, DecodeExt};
use commonware_cryptography::{Signer, Verifier, ed25519 as engine};
use keys::{BadBatch, PublicKey, Secret, Signature, SigningKey, verify_batch};
use proptest::prelude::*;
use serde::Deserialize;

/// Cases that Wycheproof calls invalid and ZIP-215 accepts: R is the identity with the sign bit
/// set, a non-canonical encoding that decodes.
const ZIP_215_ACCEPTS: &[u64] = &[151];

/// Every encoding of the eight points of small order, the last six non-canonical.
const SMALL_ORDER: [&str; 14] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: u64,
    pk: Hex,
    msg: Hex,
    sig: Hex,
    result: Outcome,
}

fn cases() -> Vec<Case> {
    load(include_bytes!("../../testdata/ed25519.json.zst"))
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Secret::from_bytes([seed; 32]))
}

fn ours(pk: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(pk), Ok(signature)) = (PublicKey::try_from(pk), Signature::try_from(signature)) else {
        return false;
    };
    let single = pk.verify(message, &signature).is_ok();
    // Enough for them to be verified together.
    let good = key(1);
    let mut batch = vec![(good.public(), &b"good"[..], good.sign(b"good")); 10];
    batch[1] = (pk, message, signature);
    let expect = if single {
        Ok(())
    } else {
        Err(BadBatch { index: 1 })
    };
    assert_eq!(verify_batch(&batch, &mut Seeded::new(1)), expect);
    single
}

/// The engine's verdict on a message of the form that it signs: a namespace with its length (below
/// 128), then the message.
fn engines(pk: &[u8], framed: &[u8], signature: &[u8]) -> bool {
    let namespace_end = 1 + usize::from(framed[0]);
    let (namespace, message) = (&framed[1..namespace_end], &framed[namespace_end..]);
    let Ok(pk) = engine::PublicKey::decode(Copying(pk)) else {
        return false;
    };
    let Ok(signature) = engine::Signature::decode(Copying(signature)) else {
        return false;
    };
    pk.verify(namespace, message, &signature)
}

fn is_framed(message: &[u8]) -> bool {
    message
        .first()
        .is_some_and(|len| *len < 128 && message.len() > usize::from(*len))
}

#[test]
fn wycheproof() {
    let cases = cases();
    assert_eq!(cases.len(), 151);
    let mut by_engine = 0;
    for case in cases {
        let accepted = ours(&case.pk.0, &case.msg.0, &case.sig.0);
        let expect = case.result == Outcome::Valid || ZIP_215_ACCEPTS.contains(&case.tc_id);
        assert_eq!(accepted, expect, "{}", case.tc_id);
        if is_framed(&case.msg.0) {
            let engine = engines(&case.pk.0, &case.msg.0, &case.sig.0);
            assert_eq!(engine, accepted, "{}", case.tc_id);
            by_engine += 1;
        }
    }
    assert_eq!(by_engine, 13);
}

/// The ZIP-215 conformance matrix: S = 0 with A and R of small order verifies for every message.
#[test]
fn zip_215_matrix() {
    let framed = b"\x05Zcash";
    for a in SMALL_ORDER {
        let a = hex::decode(a).unwrap();
        assert!(PublicKey::try_from(a.as_slice()).unwrap().is_point());
        for r in SMALL_ORDER {
            let mut signature = hex::decode(r).unwrap();
            signature.resize(64, 0);
            assert!(ours(&a, framed, &signature));
            assert!(engines(&a, framed, &signature));
            // S = 1 leaves a point of large order.
            signature[32] = 1;
            assert!(!ours(&a, framed, &signature));
            assert!(!engines(&a, framed, &signature));
        }
    }
}

/// RFC 8032 section 7.1, tests 1 to 3: both libraries make and accept these very bytes.
#[test]
fn rfc_8032() {
    let check = |seed: &str, public: &str, message: &str, signature: &str| {
        let key = SigningKey::from_seed(Secret::from_bytes(hex::decode_exact(seed).unwrap()));
        let message = hex::decode(message).unwrap();
        assert_eq!(key.public(), public.parse().unwrap());
        assert_eq!(key.sign(&message).to_string(), signature);
        key.public().verify(&message, &key.sign(&message)).unwrap();
    };
    check(
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    );
    check(
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    );
    check(
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    );
}

#[test]
fn batches_name_the_first_bad_signature() {
    let messages: Vec<Vec<u8>> = (0u8..20).map(|i| vec![i; usize::from(i)]).collect();
    let mut items: Vec<_> = messages
        .iter()
        .enumerate()
        .map(|(i, message)| {
            let key = key(u8::try_from(i % 3).unwrap());
            (key.public(), message.as_slice(), key.sign(message))
        })
        .collect();
    let entropy = &mut Seeded::new(7);
    assert_eq!(verify_batch(&[], entropy), Ok(()));
    assert_eq!(verify_batch(&items[..1], entropy), Ok(()));
    assert_eq!(verify_batch(&items, entropy), Ok(()));
    items[17].1 = b"other";
    items[11].2 = items[12].2;
    assert_eq!(verify_batch(&items, entropy), Err(BadBatch { index: 11 }));
    assert_eq!(
        verify_batch(&items[12..], entropy),
        Err(BadBatch { index: 5 })
    );
    assert_eq!(
        verify_batch(&items[17..18], entropy),
        Err(BadBatch { index: 0 })
    );
}

#[test]
fn keys_have_one_text_form() {
    let public = key(3).public();
    assert_eq!(public.to_string().parse::<PublicKey>().unwrap(), public);
    assert!(
        public
            .to_string()
            .to_uppercase()
            .parse::<PublicKey>()
            .is_err()
    );
    assert_eq!(
        codec::from_slice::<PublicKey>(&codec::to_vec(&public)).unwrap(),
        public
    );
    assert_eq!(format!("{:?}", key(3)), "<redacted>");
    assert_eq!(key(3).seed(), &Secret::from_bytes([3; 32]));
    assert_ne!(key(3).public().id(), key(4).public().id());
    assert!(!PublicKey::from_bytes([2; 32]).is_point());
}

/// A framed message, who signs it, and what is then done to key, signature and message.
fn altered() -> impl Strategy<Value = (u8, Vec<u8>, Vec<(prop::sample::Index, u8)>)> {
    let message = (0..20usize, prop::collection::vec(any::<u8>(), 20..60)).prop_map(
        |(namespace, mut message)| {
            message[0] = u8::try_from(namespace).unwrap();
            message
        },
    );
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (any::<u8>(), message, edits)
}

proptest! {
    #[test]
    fn agrees_with_the_engine((seed, message, edits) in altered()) {
        let key = key(seed);
        let mut bytes = [
            key.public().as_bytes().as_slice(),
            key.sign(&message).as_bytes(),
        ]
        .concat();
        for (at, xor) in edits {
            let at = at.index(bytes.len());
            bytes[at] ^= xor;
        }
        let (pk, signature) = bytes.split_at(32);
        let accepted = ours(pk, &message, signature);
        prop_assert_eq!(accepted, engines(pk, &message, signature));
        let intact = pk == key.public().as_bytes() && signature == key.sign(&message).as_bytes();
        prop_assert_eq!(accepted, intact);
    }

    #[test]
    fn signs_what_the_engine_signs(seed in any::<[u8; 32]>(), message in ".{0,40}") {
        let engine_key = engine::PrivateKey::decode(Copying(&seed)).unwrap();
        let theirs = engine_key.sign(b"ns", message.as_bytes());
        let key = SigningKey::from_seed(Secret::from_bytes(seed));
        let framed = [b"\x02ns", message.as_bytes()].concat();
        let signature = key.sign(&framed);
        prop_assert_eq!(signature.as_bytes().as_slice(), theirs.as_ref());
        let (public, engines) = (key.public(), engine_key.public_key());
        prop_assert_eq!(public.as_bytes().as_slice(), engines.as_ref());
    }
}
