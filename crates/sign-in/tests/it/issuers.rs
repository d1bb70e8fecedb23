//! Tokens of a hospital's single sign-on.

use crate::{
    keyring::{Key, set},
    little_issuer::LittleIssuer,
};
use codec::InstitutionId;
use consent::Role;
use jsonwebtoken::{Algorithm as Of, EncodingKey, Header, encode};
use serde_json::{Value, json};
use sign_in::{
    fetch::Web,
    issuers::{FRESH_MS, Identity, Issuer, Issuers, KEEP_MS, Outcome, RETRY_MS},
    jwt::{Refused, peek},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const NOW_MS: u64 = 1_800_000_000_000;

fn issuer(url: &str) -> Issuer {
    Issuer {
        url: url.to_owned(),
        audience: "ithaca".to_owned(),
        skew_s: 60,
        roles_claim: "realm_access.roles".to_owned(),
        roles: BTreeMap::from([
            ("Doctors".to_owned(), BTreeSet::from([Role::Clinician])),
            ("Admins".to_owned(), BTreeSet::from([Role::Operator])),
        ]),
        scopes: "ithaca".to_owned(),
        practitioner_claim: "preferred_username".to_owned(),
        subject_claim: Some("ithaca_subject".to_owned()),
        slot_claim: Some("ithaca_slot".to_owned()),
    }
}

fn issuers(url: &str) -> Issuers {
    let all = vec![issuer(url)];
    all.iter().for_each(|issuer| issuer.validate().unwrap());
    Issuers::new(
        all,
        InstitutionId::new([7; 16]),
        Arc::new(Web::new(None).unwrap()),
    )
}

fn claims(url: &str) -> Value {
    json!({
        "iss": url, "sub": "8d1", "aud": ["account", "ithaca"], "exp": NOW_MS / 1000 + 300,
        "preferred_username": "dr-odyssey", "azp": "ehr", "scope": "openid user/*.rs",
        "realm_access": {"roles": ["Doctors", "Cooks"]},
    })
}

/// Checks as an edge does: once, and again after fetching.
fn check(issuers: &Issuers, token: &str, now_ms: u64) -> Result<Identity, Refused> {
    check_with(issuers, token, None, now_ms)
}

/// As on a connection that was made with a certificate.
fn check_with(
    issuers: &Issuers,
    token: &str,
    certificate: Option<&str>,
    now_ms: u64,
) -> Result<Identity, Refused> {
    let unverified = peek(token)?;
    let mut outcome = issuers.check(token, &unverified, certificate, now_ms);
    if outcome == Outcome::Fetch {
        issuers.fetch(&unverified, now_ms);
        outcome = issuers.check(token, &unverified, certificate, now_ms);
    }
    match outcome {
        Outcome::Good(identity) => Ok(*identity),
        Outcome::Refused(refused) => Err(refused),
        Outcome::Fetch => panic!("fetching again at once"),
    }
}

#[test]
fn a_good_token_says_who_and_what_for() {
    let key = Key::es256("k");
    let there = LittleIssuer::with_keys(set(&[&key]));
    let issuers = issuers(&there.url);
    let identity = check(&issuers, &key.sign(&claims(&there.url)), NOW_MS).unwrap();
    assert_eq!(identity.practitioner.as_str(), "dr-odyssey");
    assert_eq!(identity.roles, BTreeSet::from([Role::Clinician]));
    assert_eq!(identity.institution, InstitutionId::new([7; 16]));
    assert_eq!(identity.scopes.to_string(), "openid user/*.rs ithaca");
    assert_eq!(identity.client.as_deref(), Some("ehr"));
    assert_eq!(identity.subject, None);
    assert_eq!(there.times_asked(), 1);
    for _ in 0..5 {
        check(&issuers, &key.sign(&claims(&there.url)), NOW_MS).unwrap();
    }
    assert_eq!(there.times_asked(), 1, "keys are kept");
}

#[test]
fn a_family_is_bound_by_its_claims() {
    let key = Key::es256("k");
    let there = LittleIssuer::with_keys(set(&[&key]));
    let issuers = issuers(&there.url);
    let mut claims = claims(&there.url);
    claims["ithaca_subject"] = json!("ab".repeat(32));
    claims["ithaca_slot"] = json!(1);
    let identity = check(&issuers, &key.sign(&claims), NOW_MS).unwrap();
    assert_eq!(identity.subject.unwrap().to_string(), "ab".repeat(32));
    assert_eq!(identity.slot, Some(1));
}

#[test]
fn an_identity_token_is_no_access_token() {
    let key = Key::es256("k");
    let there = LittleIssuer::with_keys(set(&[&key]));
    let issuers = issuers(&there.url);
    let with = |name: &str, value: Value| {
        let mut claims = claims(&there.url);
        claims[name] = value;
        check(&issuers, &key.sign(&claims), NOW_MS)
    };
    assert!(with("typ", json!("Bearer")).is_ok());
    for name in ["nonce", "at_hash", "c_hash", "events"] {
        assert_eq!(with(name, json!("x")), Err(Refused::Malformed), "{name}");
    }
    assert_eq!(with("typ", json!("ID")), Err(Refused::Malformed));
    let mut claims = claims(&there.url);
    claims.as_object_mut().unwrap().remove("scope");
    let refused = check(&issuers, &key.sign(&claims), NOW_MS);
    assert_eq!(refused, Err(Refused::Malformed));
    // What says of itself that it is one needs no scope: the configuration may add some.
    let mut head = key.head();
    head.typ = Some("at+jwt".to_owned());
    let token = encode(&head, &claims, &key.private).unwrap();
    assert!(check(&issuers, &token, NOW_MS).is_ok());
}

#[test]
fn a_token_bound_to_a_certificate_is_good_with_it_alone() {
    let key = Key::es256("k");
    let there = LittleIssuer::with_keys(set(&[&key]));
    let issuers = issuers(&there.url);
    let bound = |cnf: Value, certificate: Option<&str>| {
        let mut claims = claims(&there.url);
        claims["cnf"] = cnf;
        check_with(&issuers, &key.sign(&claims), certificate, NOW_MS).map(drop)
    };
    let pin = json!({"x5t#S256": "pin"});
    assert_eq!(bound(pin.clone(), Some("pin")), Ok(()));
    assert_eq!(bound(pin.clone(), Some("other")), Err(Refused::Audience));
    assert_eq!(bound(pin, None), Err(Refused::Audience));
    // A proof that this node does not check.
    let other = json!({"jkt": "key"});
    assert_eq!(bound(other, Some("pin")), Err(Refused::Audience));
}

#[test]
fn wrong_claims_are_refused() {
    let key = Key::es256("k");
    let there = LittleIssuer::with_keys(set(&[&key]));
    let issuers = issuers(&there.url);
    let refused = |name: &str, value: Value| {
        let mut claims = claims(&there.url);
        claims[name] = value;
        check(&issuers, &key.sign(&claims), NOW_MS).unwrap_err()
    };
    let now_s = NOW_MS / 1000;
    assert_eq!(refused("iss", json!("https://evil")), Refused::Issuer);
    assert_eq!(
        refused("iss", json!(format!("{}/", there.url))),
        Refused::Issuer
    );
    assert_eq!(refused("aud", json!("account")), Refused::Audience);
    assert_eq!(refused("aud", json!([])), Refused::Audience);
    assert_eq!(refused("exp", json!(now_s - 60)), Refused::Expired);
    assert_eq!(refused("nbf", json!(now_s + 61)), Refused::Early);
    assert_eq!(refused("exp", json!("tomorrow")), Refused::Malformed);
    assert_eq!(refused("exp", Value::Null), Refused::Malformed);
    assert_eq!(
        refused("scope", json!("patient/Nonsense")),
        Refused::Malformed
    );
    assert_eq!(refused("ithaca_subject", json!("zz")), Refused::Malformed);
    assert_eq!(refused("ithaca_slot", json!(256)), Refused::Malformed);
    assert_eq!(refused("ithaca_slot", json!("1")), Refused::Malformed);
    assert_eq!(refused("preferred_username", json!("")), Refused::Malformed);
    // A token for logging out, signed with the same key.
    let mut head = key.head();
    head.typ = Some("logout+jwt".to_owned());
    let token = encode(&head, &claims(&there.url), &key.private).unwrap();
    assert_eq!(check(&issuers, &token, NOW_MS), Err(Refused::Malformed));
}

#[test]
fn attacks_on_the_signature_are_refused() {
    let key = Key::rsa("k", Of::RS256);
    let there = LittleIssuer::with_keys(set(&[&key]));
    let issuers = issuers(&there.url);
    let good = key.sign(&claims(&there.url));
    assert!(check(&issuers, &good, NOW_MS).is_ok());
    let secret = EncodingKey::from_secret(key.public["n"].as_str().unwrap().as_bytes());
    let mut head = Header::new(Of::HS256);
    head.kid = Some("k".to_owned());
    let forged = encode(&head, &claims(&there.url), &secret).unwrap();
    assert_eq!(check(&issuers, &forged, NOW_MS), Err(Refused::Algorithm));
    let stranger = Key::rsa("k", Of::RS256).sign(&claims(&there.url));
    assert_eq!(check(&issuers, &stranger, NOW_MS), Err(Refused::Signature));
}

#[test]
fn rotated_keys_are_found_and_asked_for_no_more_often_than_allowed() {
    let (old, new) = (Key::es256("old"), Key::es256("new"));
    let there = LittleIssuer::with_keys(set(&[&old]));
    let issuers = issuers(&there.url);
    let (by_old, by_new) = (old.sign(&claims(&there.url)), new.sign(&claims(&there.url)));
    assert!(check(&issuers, &by_old, NOW_MS).is_ok());
    there.says("/keys", 200, set(&[&new]));
    // Too early to ask again, however many unknown keys are named.
    for _ in 0..20 {
        assert_eq!(
            check(&issuers, &by_new, NOW_MS + 1),
            Err(Refused::UnknownKey)
        );
    }
    assert_eq!(there.times_asked(), 1);
    assert!(check(&issuers, &by_new, NOW_MS + RETRY_MS).is_ok());
    assert_eq!(there.times_asked(), 2);
    // The old key is gone with the old set.
    assert_eq!(
        check(&issuers, &by_old, NOW_MS + RETRY_MS + 1),
        Err(Refused::UnknownKey)
    );
    assert_eq!(there.times_asked(), 2);
}

#[test]
fn keys_outlive_an_issuer_that_is_away_but_not_for_ever() {
    let key = Key::es256("k");
    let there = LittleIssuer::with_keys(set(&[&key]));
    let issuers = issuers(&there.url);
    let mut lasting = claims(&there.url);
    lasting["exp"] = json!((NOW_MS + 2 * KEEP_MS) / 1000);
    let token = key.sign(&lasting);
    assert!(check(&issuers, &token, NOW_MS).is_ok());
    for (status, body) in [
        (500, ""),
        (200, "<html>"),
        (302, ""),
        (200, "{\"keys\": []}"),
    ] {
        there.says("/keys", status, body.as_bytes().to_vec());
        let now_ms =
            NOW_MS + FRESH_MS + u64::from(status) * RETRY_MS + body.len() as u64 * RETRY_MS;
        let before = there.times_asked();
        assert!(check(&issuers, &token, now_ms).is_ok(), "{status} {body}");
        assert_eq!(there.times_asked(), before + 1, "{status} {body}");
    }
    assert_eq!(
        check(&issuers, &token, NOW_MS + KEEP_MS),
        Err(Refused::UnknownKey)
    );
    there.says("/keys", 200, set(&[&key]));
    assert!(check(&issuers, &token, NOW_MS + KEEP_MS + RETRY_MS).is_ok());
}

#[test]
fn an_issuer_that_is_not_what_it_should_be_gives_no_keys() {
    let key = Key::es256("k");
    let check_discovery = |configure: fn(&LittleIssuer)| {
        let there = LittleIssuer::with_keys(set(&[&key]));
        configure(&there);
        let issuers = issuers(&there.url);
        let refused = check(&issuers, &key.sign(&claims(&there.url)), NOW_MS).unwrap_err();
        assert_eq!(refused, Refused::UnknownKey);
        there.times_asked()
    };
    assert_eq!(
        check_discovery(|there| there.configure("https://other", &format!("{}/keys", there.url))),
        0
    );
    assert_eq!(
        check_discovery(|there| there.configure(&there.url, "http://192.0.2.1/keys")),
        0
    );
    assert_eq!(
        check_discovery(|there| there.says("/keys", 200, vec![b' '; 600 << 10])),
        1
    );
    assert_eq!(
        check_discovery(|there| {
            there.says("/.well-known/openid-configuration", 302, Vec::new());
        }),
        0
    );
    // Nobody there.
    let issuers = issuers("http://127.0.0.1:1");
    let token = key.sign(&claims("http://127.0.0.1:1"));
    assert_eq!(check(&issuers, &token, NOW_MS), Err(Refused::UnknownKey));
}

#[test]
fn configurations_that_are_refused() {
    let check = |change: fn(&mut Issuer), word: &str| {
        let mut issuer = issuer("https://idp.example/realms/x");
        assert_eq!(issuer.validate(), Ok(()));
        change(&mut issuer);
        let why = issuer.validate().unwrap_err();
        assert!(why.contains(word), "{why}");
    };
    check(|i| i.url = "http://idp.example".to_owned(), "https");
    check(|i| i.url.push_str("?x"), "query");
    check(|i| i.audience.clear(), "audience");
    check(|i| i.scopes = "user/x".to_owned(), "scopes");
    check(|i| i.skew_s = 301, "skew_s");
    check(
        |i| {
            i.roles
                .insert("x".to_owned(), BTreeSet::from([Role::System]));
        },
        "system",
    );
}
