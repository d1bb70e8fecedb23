//! Sealing to an institution: X-Wing's vectors, HPKE's key schedule written out from RFC 9180, and
//! the parts of X-Wing against Wycheproof.

use crate::hash::{hkdf_expand, hkdf_extract};
use crate::vectors::{Hex, Outcome, Seeded, fixed, load};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use codec::hex;
use hpke::kem::{MlKem768, X25519HkdfSha256};
use hpke::{Deserializable, Kem, Serializable};
use keys::{
    HYBRID_OVERHEAD, HybridPublicKey, HybridSecretKey, SealError, Secret, hybrid_open, hybrid_seal,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct XWingCase {
    eseed: Hex,
    ss: Hex,
    sk: Hex,
    pk: Hex,
    ct: Hex,
}

/// RFC 9180 section 4: `LabeledExtract` under HKDF-SHA256.
fn labeled_extract(suite: &[u8], salt: &[u8], label: &str, ikm: &[u8]) -> Vec<u8> {
    hkdf_extract(salt, &[b"HPKE-v1", suite, label.as_bytes(), ikm].concat())
}

/// RFC 9180 section 4: `LabeledExpand` under HKDF-SHA256.
fn labeled_expand(suite: &[u8], prk: &[u8], label: &str, info: &[u8], len: u16) -> Vec<u8> {
    let info = [
        &len.to_be_bytes(),
        &b"HPKE-v1"[..],
        suite,
        label.as_bytes(),
        info,
    ]
    .concat();
    hkdf_expand(prk, &info, usize::from(len))
}

/// RFC 9180 sections 5.1 and 5.2, base mode: what the shared secret seals as the first message.
fn seal_by_hand(shared_secret: &[u8], info: &[u8], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    // KEM 0x647a, KDF 0x0001 (HKDF-SHA256), AEAD 0x0002 (AES-256-GCM).
    let suite = b"HPKE\x64\x7a\x00\x01\x00\x02";
    let psk_id_hash = labeled_extract(suite, b"", "psk_id_hash", b"");
    let info_hash = labeled_extract(suite, b"", "info_hash", info);
    let context = [&[0], &psk_id_hash[..], &info_hash].concat();
    let secret = labeled_extract(suite, shared_secret, "secret", b"");
    let key = labeled_expand(suite, &secret, "key", &context, 32);
    let nonce = labeled_expand(suite, &secret, "base_nonce", &context, 12);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(&nonce).unwrap();
    let mut sealed = plaintext.to_vec();
    key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed)
        .unwrap();
    sealed
}

fn key(seed: &[u8]) -> HybridSecretKey {
    HybridSecretKey::from_seed(Secret::from_bytes(seed.try_into().unwrap()))
}

#[test]
fn x_wing_draft_in_hpke_by_hand() {
    let cases: Vec<XWingCase> = load(include_bytes!("../../testdata/x_wing.json.zst"));
    assert_eq!(cases.len(), 3);
    for case in cases {
        let key = key(&case.sk.0);
        assert_eq!(key.public().as_bytes(), case.pk.0);
        let (info, aad) = (b"info", b"aad");
        let sealed = hybrid_seal(
            &key.public(),
            info,
            aad,
            b"content",
            &mut fixed(&case.eseed.0),
        );
        let by_hand = [
            &[2],
            &case.ct.0[..],
            &seal_by_hand(&case.ss.0, info, aad, b"content"),
        ]
        .concat();
        assert_eq!(sealed, by_hand);
        assert_eq!(*hybrid_open(&key, info, aad, &sealed).unwrap(), b"content");
    }
}

#[test]
fn golden_bytes() {
    let key = key(&[1; 32]);
    let sealed = hybrid_seal(
        &key.public(),
        b"share",
        b"place",
        b"content",
        &mut Seeded::new(0),
    );
    assert_eq!(sealed.len(), HYBRID_OVERHEAD + 7);
    assert_eq!(
        keys::sha256(&[&sealed]).to_string(),
        "ae94a489bf6986a333779ec61f1d4316293c8cf097e52779814e826f1413b6a7"
    );
    assert_eq!(
        keys::sha256(&[key.public().as_bytes()]).to_string(),
        "f37b99b2db732a7df55f61fa442606133b1aeea462df9f8225fb5c82674523db"
    );
}

#[test]
fn refusals() {
    let (to, other) = (key(&[1; 32]), key(&[2; 32]));
    let sealed = hybrid_seal(
        &to.public(),
        b"info",
        b"aad",
        b"content",
        &mut Seeded::new(0),
    );
    let refused = |key: &HybridSecretKey, info: &[u8], aad: &[u8], sealed: &[u8]| {
        hybrid_open(key, info, aad, sealed).unwrap_err()
    };
    assert_eq!(
        refused(&other, b"info", b"aad", &sealed),
        SealError::Refused
    );
    assert_eq!(refused(&to, b"inf", b"aad", &sealed), SealError::Refused);
    assert_eq!(refused(&to, b"info", b"aad2", &sealed), SealError::Refused);
    for len in [0, 1, 1120, HYBRID_OVERHEAD - 1] {
        let error = refused(&to, b"info", b"aad", &sealed[..len]);
        assert_eq!(error, SealError::Truncated);
    }
    for at in (0..1121).step_by(101).chain(1089..sealed.len()) {
        let mut altered = sealed.clone();
        altered[at] ^= 0x01;
        let expect = if at == 0 {
            SealError::UnknownSuite(3)
        } else {
            SealError::Refused
        };
        assert_eq!(refused(&to, b"info", b"aad", &altered), expect, "{at}");
    }
    // What one suite makes does not open under the other.
    let at_rest = keys::seal(to.seed(), b"aad", b"content", &mut Seeded::new(0));
    let error = refused(&to, b"info", b"aad", &at_rest);
    assert_eq!(error, SealError::UnknownSuite(1));
}

#[test]
fn public_keys_are_checked() {
    let public = key(&[1; 32]).public();
    let encoded = codec::to_vec(&public);
    assert_eq!(
        codec::from_slice::<HybridPublicKey>(&encoded).unwrap(),
        public
    );
    assert!(HybridPublicKey::from_bytes(&public.as_bytes()[1..]).is_err());
    // Coefficients of the ML-KEM part lie below 3329.
    let mut out_of_range = public.as_bytes().to_vec();
    out_of_range[..3].fill(0xff);
    assert!(HybridPublicKey::from_bytes(&out_of_range).is_err());
    assert_eq!(format!("{:?}", key(&[1; 32])), "<redacted>");
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MlKemCase {
    tc_id: u64,
    seed: Hex,
    #[serde(default)]
    ek: Hex,
    c: Hex,
    #[serde(rename = "K")]
    k: Hex,
    result: Outcome,
}

#[test]
fn ml_kem_768_wycheproof() {
    type PrivateKey = <MlKem768 as Kem>::PrivateKey;
    type EncappedKey = <MlKem768 as Kem>::EncappedKey;
    let cases: Vec<MlKemCase> = load(include_bytes!("../../testdata/mlkem_768.json.zst"));
    assert_eq!(cases.len(), 30);
    for case in cases {
        let parsed = PrivateKey::from_bytes(&case.seed.0)
            .and_then(|sk| Ok((sk, EncappedKey::from_bytes(&case.c.0)?)));
        if case.result == Outcome::Invalid {
            assert!(parsed.is_err(), "{}", case.tc_id);
            continue;
        }
        let (sk, ciphertext) = parsed.unwrap();
        let public = MlKem768::sk_to_pk(&sk).to_bytes();
        assert_eq!(public.as_slice(), case.ek.0, "{}", case.tc_id);
        let shared = MlKem768::decap(&sk, None, &ciphertext).unwrap();
        assert_eq!(shared.0.as_slice(), case.k.0, "{}", case.tc_id);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct X25519Case {
    tc_id: u64,
    public: Hex,
    private: Hex,
    shared: Hex,
    result: Outcome,
}

/// Through HPKE's own X25519 KEM (RFC 9180 section 4.1), which refuses the all-zero secret.
#[test]
fn x25519_wycheproof() {
    type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
    type EncappedKey = <X25519HkdfSha256 as Kem>::EncappedKey;
    let cases: Vec<X25519Case> = load(include_bytes!("../../testdata/x25519.json.zst"));
    assert_eq!(cases.len(), 518);
    let mut zero = 0;
    for case in cases {
        let sk = PrivateKey::from_bytes(&case.private.0).unwrap();
        let encapped = EncappedKey::from_bytes(&case.public.0).unwrap();
        let shared = X25519HkdfSha256::decap(&sk, None, &encapped);
        if case.shared.0.iter().all(|byte| *byte == 0) {
            assert!(shared.is_err() && case.result == Outcome::Acceptable);
            zero += 1;
            continue;
        }
        let own = X25519HkdfSha256::sk_to_pk(&sk).to_bytes();
        let context = [&case.public.0[..], &own].concat();
        let prk = labeled_extract(b"KEM\x00\x20", b"", "eae_prk", &case.shared.0);
        let expect = labeled_expand(b"KEM\x00\x20", &prk, "shared_secret", &context, 32);
        let shared = shared.unwrap();
        assert_eq!(
            hex::encode(&shared.0),
            hex::encode(&expect),
            "{}",
            case.tc_id
        );
    }
    assert!(zero > 0);
}
