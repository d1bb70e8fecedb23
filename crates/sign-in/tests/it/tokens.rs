//! Tokens that are believed, and those that are not.

use crate::keyring::{Key, set};
use jsonwebtoken::{Algorithm as Of, EncodingKey, Header, encode};
use serde_json::{Value, json};
use sign_in::jwt::{
    Algorithm, Claims, FOR_CLIENTS, FOR_TOKENS, KeySet, MAX_TOKEN_BYTES, OneOrMany, Refused,
    Signer, peek,
};

fn claims() -> Value {
    json!({"iss": "https://a", "sub": "s", "aud": "me", "exp": 2_000})
}

fn check(keys: &[&Key], token: &str, allowed: &[Algorithm]) -> Result<Value, Refused> {
    let keys = KeySet::parse(&set(keys)).unwrap();
    keys.verify::<Value>(token, allowed).map(|v| v.claims)
}

/// The token with another head, and the signature that it had.
fn with_head(token: &str, head: &Value) -> String {
    let rest = token.split_once('.').unwrap().1;
    format!("{}.{rest}", base64url(head.to_string().as_bytes()))
}

fn base64url(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn every_allowed_algorithm_verifies_with_its_own_key_only() {
    let keys = [
        Key::rsa("rs", Of::RS256),
        Key::rsa("ps", Of::PS256),
        Key::es256("es"),
        Key::es384("es3"),
        Key::eddsa("ed"),
    ];
    let all: Vec<&Key> = keys.iter().collect();
    for key in &keys {
        let token = key.sign(&claims());
        assert_eq!(check(&all, &token, FOR_TOKENS), Ok(claims()), "{}", key.id);
        for other in keys.iter().filter(|other| other.id != key.id) {
            // Another key under this one's id.
            let mut public = other.public.clone();
            public["kid"] = json!(key.id);
            public.as_object_mut().unwrap().remove("alg");
            let set = json!({ "keys": [public] }).to_string();
            let refused = KeySet::parse(set.as_bytes())
                .unwrap()
                .verify::<Value>(&token, FOR_TOKENS)
                .unwrap_err();
            let same_kind = key.id.ends_with('s')
                && other.id.ends_with('s')
                && key.id != "es"
                && other.id != "es";
            let expect = if same_kind {
                Refused::Signature
            } else {
                Refused::Algorithm
            };
            assert_eq!(refused, expect, "{} with {}", key.id, other.id);
        }
    }
}

#[test]
fn clients_sign_with_what_smart_names() {
    let rs = Key::rsa("rs", Of::RS384);
    let es = Key::es384("es");
    let weak = Key::es256("weak");
    let keys = [&rs, &es, &weak];
    assert!(check(&keys, &rs.sign(&claims()), FOR_CLIENTS).is_ok());
    assert!(check(&keys, &es.sign(&claims()), FOR_CLIENTS).is_ok());
    let refused = check(&keys, &weak.sign(&claims()), FOR_CLIENTS);
    assert_eq!(refused, Err(Refused::Algorithm));
    let refused = check(&keys, &rs.sign(&claims()), FOR_TOKENS);
    assert_eq!(refused, Err(Refused::Algorithm));
}

#[test]
fn no_signature_and_a_shared_secret_are_refused() {
    let key = Key::rsa("k", Of::RS256);
    let token = key.sign(&claims());
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let unsigned = with_head(&token, &json!({"alg": alg, "kid": "k"}));
        let bare = unsigned.rsplit_once('.').unwrap().0.to_owned() + ".";
        for token in [unsigned, bare] {
            assert_eq!(check(&[&key], &token, FOR_TOKENS), Err(Refused::Malformed));
        }
    }
    // The public key's bytes as the secret of HS256: the attack of RFC 8725 section 2.1.
    let public = key.public.to_string();
    for secret in [
        public.as_bytes(),
        key.public["n"].as_str().unwrap().as_bytes(),
    ] {
        let mut head = Header::new(Of::HS256);
        head.kid = Some("k".to_owned());
        let token = encode(&head, &claims(), &EncodingKey::from_secret(secret)).unwrap();
        assert_eq!(check(&[&key], &token, FOR_TOKENS), Err(Refused::Algorithm));
    }
    // A symmetric key in the set is no key.
    let shared = json!({"keys": [{"kty": "oct", "kid": "k", "alg": "HS256", "k": "AAAA"}]});
    assert!(KeySet::parse(shared.to_string().as_bytes()).is_err());
}

#[test]
fn what_the_head_offers_is_not_used() {
    let key = Key::es256("k");
    let stranger = Key::es256("k");
    let mut head = stranger.head();
    head.jwk = Some(serde_json::from_value(stranger.public.clone()).unwrap());
    head.jku = Some("http://127.0.0.1:1/keys".to_owned());
    let token = encode(&head, &claims(), &stranger.private).unwrap();
    assert_eq!(check(&[&key], &token, FOR_TOKENS), Err(Refused::Signature));
    let mut head = key.head();
    head.crit = Some(vec!["b64".to_owned()]);
    let token = encode(&head, &claims(), &key.private).unwrap();
    assert_eq!(check(&[&key], &token, FOR_TOKENS), Err(Refused::Malformed));
}

#[test]
fn keys_are_chosen_by_id_and_kind() {
    let (one, two) = (Key::es256("one"), Key::es256("two"));
    let mut head = one.head();
    head.kid = None;
    let anonymous = encode(&head, &claims(), &one.private).unwrap();
    assert!(check(&[&one], &anonymous, FOR_TOKENS).is_ok());
    let refused = check(&[&one, &two], &anonymous, FOR_TOKENS);
    assert_eq!(refused, Err(Refused::UnknownKey), "which of two");
    let refused = check(&[&two], &one.sign(&claims()), FOR_TOKENS);
    assert_eq!(refused, Err(Refused::UnknownKey));
    // A key for encryption signs nothing.
    let mut public = one.public.clone();
    public["use"] = json!("enc");
    let only = json!({"keys": [public]}).to_string();
    assert!(KeySet::parse(only.as_bytes()).is_err());
}

#[test]
fn damaged_tokens_are_refused() {
    let key = Key::es256("k");
    let token = key.sign(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let evil = base64url(br#"{"iss":"https://a","sub":"root","aud":"me","exp":2000}"#);
    let swapped = format!("{}.{evil}.{}", parts[0], parts[2]);
    assert_eq!(
        check(&[&key], &swapped, FOR_TOKENS),
        Err(Refused::Signature)
    );
    for text in [
        "",
        ".",
        "..",
        "a.b.c",
        parts[0],
        &format!("{}.{}", parts[0], parts[1]),
        &format!("{token}.x"),
        &format!(" {token}"),
        &format!("{}.{}.", parts[0], parts[1]),
    ] {
        assert!(check(&[&key], text, FOR_TOKENS).is_err(), "{text}");
    }
    let long = format!("{}.{}.{}", parts[0], "A".repeat(MAX_TOKEN_BYTES), parts[2]);
    assert_eq!(check(&[&key], &long, FOR_TOKENS), Err(Refused::TooLong));
    assert_eq!(peek(&long).unwrap_err(), Refused::TooLong);
    // Two claims of a name.
    let twice = base64url(br#"{"iss":"a","iss":"b","aud":"me","exp":1}"#);
    let twice = format!("{}.{twice}.{}", parts[0], parts[2]);
    assert_eq!(peek(&twice).unwrap_err(), Refused::Malformed);
}

#[test]
fn key_sets_are_read_as_far_as_they_are_good() {
    let key = Key::es256("k");
    let token = key.sign(&claims());
    let mixed = json!({"keys": [7, {"kty": "future"}, {"kty": "EC", "crv": "P-256"}, key.public]});
    let keys = KeySet::parse(mixed.to_string().as_bytes()).unwrap();
    assert!(keys.verify::<Value>(&token, FOR_TOKENS).is_ok());
    for garbage in ["", "{}", "[]", "{\"keys\": []}", "{\"keys\": 7}", "<html>"] {
        assert!(KeySet::parse(garbage.as_bytes()).is_err(), "{garbage}");
    }
    let huge = format!("{{\"keys\": [], \"x\": \"{}\"}}", "A".repeat(300 << 10));
    assert!(KeySet::parse(huge.as_bytes()).is_err());
}

#[test]
fn claims_are_checked_with_the_callers_clock() {
    let claims = Claims {
        iss: "https://a".to_owned(),
        sub: "s".to_owned(),
        aud: OneOrMany::Many(vec!["x".to_owned(), "me".to_owned()]),
        exp: 2_000,
        nbf: Some(1_000),
        iat: None,
        jti: None,
        others: serde_json::Map::new(),
    };
    let check = |iss: &str, aud: &[&str], now_s: u64, skew_s: u64| {
        claims.check(iss, aud, now_s * 1000, skew_s)
    };
    assert_eq!(check("https://a", &["me"], 1_500, 0), Ok(()));
    assert_eq!(check("https://b", &["me"], 1_500, 0), Err(Refused::Issuer));
    assert_eq!(check("https://a/", &["me"], 1_500, 0), Err(Refused::Issuer));
    assert_eq!(check("https://a", &["m"], 1_500, 0), Err(Refused::Audience));
    assert_eq!(check("https://a", &[], 1_500, 0), Err(Refused::Audience));
    assert_eq!(check("https://a", &["me"], 1_999, 0), Ok(()));
    assert_eq!(check("https://a", &["me"], 2_000, 0), Err(Refused::Expired));
    assert_eq!(check("https://a", &["me"], 2_059, 60), Ok(()));
    assert_eq!(
        check("https://a", &["me"], 2_060, 60),
        Err(Refused::Expired)
    );
    assert_eq!(check("https://a", &["me"], 999, 0), Err(Refused::Early));
    assert_eq!(check("https://a", &["me"], 940, 60), Ok(()));
}

#[test]
fn the_nodes_own_tokens_verify_with_its_public_keys() {
    let pkcs8 = Signer::fresh().unwrap();
    let signer = Signer::new(&pkcs8).unwrap();
    let token = signer.sign("at+jwt", &claims()).unwrap();
    let public = signer.key_set().to_string();
    assert!(!public.contains("\"d\""), "the private half");
    let keys = KeySet::parse(public.as_bytes()).unwrap();
    let verified = keys.verify::<Value>(&token, &[Algorithm::Es256]).unwrap();
    assert_eq!(verified.claims, claims());
    assert_eq!(verified.kind.as_deref(), Some("at+jwt"));
    let other = Signer::new(&Signer::fresh().unwrap()).unwrap();
    let refused = other
        .keys()
        .verify::<Value>(&token, FOR_TOKENS)
        .unwrap_err();
    assert_eq!(refused, Refused::UnknownKey);
    assert!(Signer::new(&pkcs8[1..]).is_err());
}
