//! ML-DSA-44 against Wycheproof.

use crate::vectors::{Hex, Outcome, Seeded, load};
use keys::{BadSignature, PqPublicKey, PqSignature, PqSigningKey, Secret};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: u64,
    msg: Hex,
    #[serde(default)]
    ctx: Hex,
    sig: Hex,
    result: Outcome,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    seed: Hex,
    pk: Hex,
    tests: Vec<Case>,
}

fn accepted(pk: &[u8], case: &Case) -> bool {
    let (Ok(pk), Ok(signature)) = (
        PqPublicKey::from_bytes(pk),
        PqSignature::from_bytes(&case.sig.0),
    ) else {
        return false;
    };
    pk.verify(&case.msg.0, &signature).is_ok()
}

#[test]
fn verify_wycheproof() {
    let groups: Vec<Group> = load(include_bytes!("../../testdata/mldsa_44_verify.json.zst"));
    let (mut valid, mut invalid, mut other_context) = (0, 0, 0);
    for group in &groups {
        for case in &group.tests {
            // Only the empty context is used; a signature under another one is refused.
            let expect = case.result == Outcome::Valid && case.ctx.0.is_empty();
            assert_eq!(accepted(&group.pk.0, case), expect, "{}", case.tc_id);
            match (expect, case.ctx.0.is_empty()) {
                (true, _) => valid += 1,
                (false, true) => invalid += 1,
                (false, false) => other_context += 1,
            }
        }
    }
    assert_eq!((valid, invalid, other_context), (75, 98, 7));
}

#[test]
fn seeds_wycheproof() {
    let groups: Vec<Group> = load(include_bytes!("../../testdata/mldsa_44_seed.json.zst"));
    assert!(groups.len() > 20);
    for group in &groups {
        let seed = Secret::from_bytes(group.seed.0.as_slice().try_into().unwrap());
        let key = PqSigningKey::from_seed(seed);
        assert_eq!(key.public().as_bytes(), group.pk.0);
        for case in &group.tests {
            assert!(accepted(&group.pk.0, case), "{}", case.tc_id);
            let signature = key.sign(&case.msg.0);
            key.public().verify(&case.msg.0, &signature).unwrap();
        }
    }
}

#[test]
fn signatures_bind_message_and_key() {
    let key = PqSigningKey::generate(&mut Seeded::new(1));
    let other = PqSigningKey::generate(&mut Seeded::new(2));
    let signature = key.sign(b"message");
    assert_eq!(key.public().verify(b"message", &signature), Ok(()));
    assert_eq!(
        key.public().verify(b"massage", &signature),
        Err(BadSignature)
    );
    assert_eq!(
        other.public().verify(b"message", &signature),
        Err(BadSignature)
    );
    for at in (0..signature.as_bytes().len()).step_by(97) {
        let mut altered = signature.as_bytes().to_vec();
        altered[at] ^= 1;
        let altered = PqSignature::from_bytes(&altered).unwrap();
        assert_eq!(key.public().verify(b"message", &altered), Err(BadSignature));
    }
    let encoded = codec::to_vec(&signature);
    assert_eq!(
        codec::from_slice::<PqSignature>(&encoded).unwrap(),
        signature
    );
    assert!(codec::from_slice::<PqPublicKey>(&encoded).is_err());
    assert_eq!(format!("{key:?}"), "<redacted>");
}
