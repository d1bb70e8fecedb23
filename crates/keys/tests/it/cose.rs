//! COSE_Sign1: the working group's examples, another implementation, and what is refused.

use crate::vectors::{Hex, load};
use codec::{Error, Value, hex};
use coset::{CborSerializable, TaggedCborSerializable};
use keys::cose::{Sign1, protected_application, protected_header};
use keys::{BadSignature, Secret, Signature, SigningKey};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    file: String,
    cbor: Hex,
    #[serde(default)]
    tbs: Hex,
    external: Hex,
    sign0: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    key: Key,
}

#[derive(Deserialize)]
struct Key {
    crv: String,
    #[serde(default)]
    d_hex: String,
}

fn key() -> SigningKey {
    SigningKey::from_seed(Secret::from_bytes([5; 32]))
}

fn signed() -> Sign1 {
    Sign1::sign(protected_header(&7u64), b"payload".to_vec(), b"aad", &key())
}

/// The parts of a message with any unprotected header.
fn parts(cbor: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let Ok(Value::Tag(18, message)) = codec::from_slice(cbor) else {
        unreachable!("a COSE_Sign1 message");
    };
    let Value::Array(items) = *message else {
        unreachable!("an array");
    };
    match <[Value; 4]>::try_from(items).unwrap() {
        [
            Value::Bytes(protected),
            _,
            Value::Bytes(payload),
            Value::Bytes(signature),
        ] => (protected, payload, signature),
        _ => unreachable!("three byte strings"),
    }
}

#[test]
fn working_group_examples() {
    let cases: Vec<Case> = load(include_bytes!("../../testdata/cose_sign1.json.zst"));
    let mut ed25519 = 0;
    for case in &cases {
        // All of them carry a key id outside the signature, or are of another form altogether.
        assert!(Sign1::decode(&case.cbor.0).is_err(), "{}", case.file);
        let Some(message) = &case.sign0 else { continue };
        if message.key.crv != "Ed25519" {
            continue;
        }
        ed25519 += 1;
        let (protected, payload, signature) = parts(&case.cbor.0);
        let seed = hex::decode_exact(&message.key.d_hex).unwrap();
        let key = SigningKey::from_seed(Secret::from_bytes(seed));
        let signed = Sign1::sign(protected, payload, &case.external.0, &key);
        assert_eq!(signed.to_be_signed(&case.external.0), case.tbs.0);
        assert_eq!(signed.signature.as_bytes().as_slice(), signature);
        signed.verify(&case.external.0, &key.public()).unwrap();
    }
    assert_eq!((cases.len(), ed25519), (13, 1));
}

#[test]
fn another_implementation_agrees() {
    let signed = signed();
    let theirs = coset::CoseSign1::from_tagged_slice(&signed.encode()).unwrap();
    assert_eq!(theirs.payload.as_deref(), Some(b"payload".as_slice()));
    assert_eq!(
        theirs.protected.header.alg,
        Some(coset::Algorithm::Assigned(coset::iana::Algorithm::EdDSA))
    );
    assert_eq!(theirs.tbs_data(b"aad"), signed.to_be_signed(b"aad"));
    theirs
        .verify_signature(b"aad", |signature, message| {
            let signature = Signature::try_from(signature).unwrap();
            key().public().verify(message, &signature)
        })
        .unwrap();
    let ours = Sign1::decode(&theirs.to_tagged_vec().unwrap()).unwrap();
    assert_eq!(ours, signed);
    assert!(Sign1::decode(&signed_untagged()).is_err());
}

fn signed_untagged() -> Vec<u8> {
    coset::CoseSign1::from_tagged_slice(&signed().encode())
        .unwrap()
        .to_vec()
        .unwrap()
}

#[test]
fn golden_bytes() {
    assert_eq!(
        hex::encode(&signed().encode()),
        "d2844ba201276669746861636107a0477061796c6f61645840371caeb3f5dd17eda03438094cddefd6c07899f9670e46dcbdf9f685e629109c5b167bafd2544db428ff28f12aa75c167d7ab24c18e29cf3a3c582af13d5d40e"
    );
}

#[test]
fn every_mutation_is_refused() {
    let bytes = signed().encode();
    let accepted = |bytes: &[u8]| {
        Sign1::decode(bytes).is_ok_and(|signed| signed.verify(b"aad", &key().public()).is_ok())
    };
    assert!(accepted(&bytes));
    for at in 0..bytes.len() {
        for byte in 0..=255 {
            let mut altered = bytes.clone();
            altered[at] = byte;
            assert!(altered == bytes || !accepted(&altered), "{at} {byte}");
        }
        assert!(!accepted(&bytes[..at]));
    }
    assert!(!accepted(&[&bytes[..], &[0]].concat()));
    assert_eq!(signed().verify(b"", &key().public()), Err(BadSignature));
}

#[test]
fn only_one_form_is_read() {
    let Ok(Value::Tag(tag, message)) = codec::from_slice(&signed().encode()) else {
        unreachable!("a tagged message");
    };
    let Value::Array(items) = *message else {
        unreachable!("an array");
    };
    let refused = |at: usize, item: Value| {
        let mut items = items.clone();
        items[at] = item;
        let message = Value::Tag(tag, Box::new(Value::Array(items)));
        Sign1::decode(&codec::to_vec(&message)).unwrap_err()
    };
    let header = |pairs: &[(u64, Value)]| {
        let pairs = pairs.iter().map(|(k, v)| (Value::Unsigned(*k), v.clone()));
        Value::Map(pairs.collect())
    };
    let protected = |value: &Value| Value::Bytes(codec::to_vec(value));
    let not_eddsa = Error::Invalid("the protected header is not EdDSA's");
    let eddsa = Value::Negative(7);
    // An unprotected header, a detached payload, a short signature.
    let kid = header(&[(4, Value::Bytes(b"11".to_vec()))]);
    assert_eq!(
        refused(1, kid),
        Error::Invalid("the unprotected header is not empty")
    );
    assert!(matches!(refused(2, Value::Null), Error::Unexpected { .. }));
    let short = Value::Bytes(vec![0; 63]);
    assert!(matches!(
        refused(3, short),
        Error::WrongLength { expected: 64, .. }
    ));
    // Another algorithm, none, none at all, not a map, not deterministic.
    let es256 = header(&[(1, Value::Negative(6))]);
    assert_eq!(refused(0, protected(&es256)), not_eddsa);
    assert_eq!(
        refused(0, protected(&header(&[(2, eddsa.clone())]))),
        not_eddsa
    );
    assert_eq!(refused(0, protected(&header(&[]))), not_eddsa);
    assert_eq!(refused(0, protected(&eddsa)), not_eddsa);
    assert!(matches!(
        refused(0, Value::Bytes(vec![])),
        Error::Truncated { .. }
    ));
    let long = Value::Bytes(hex::decode("a1013807").unwrap());
    assert!(matches!(refused(0, long), Error::NotMinimal { .. }));
    // Further labels are the caller's.
    let mut with_content_type = items.clone();
    with_content_type[0] = protected(&header(&[(1, eddsa), (3, Value::Unsigned(0))]));
    let message = Value::Tag(tag, Box::new(Value::Array(with_content_type)));
    assert!(Sign1::decode(&codec::to_vec(&message)).is_ok());
}

#[test]
fn application_header() {
    let protected = protected_header(&7u64);
    assert_eq!(hex::encode(&protected), "a201276669746861636107");
    assert_eq!(protected_application::<u64>(&protected), Ok(7));
    for text in [
        "a101276669746861636107",
        "a1012707",
        "a201266669746861636107",
        "a20127666974686163621807",
        "a20127666974686163620700",
        "a201276669746861636207",
        "a266697468616361070127",
        "a20127666974686163611807",
        "a20127666974686163610700",
    ] {
        let refused = protected_application::<u64>(&hex::decode(text).unwrap());
        assert!(refused.is_err(), "{text}");
    }
}
