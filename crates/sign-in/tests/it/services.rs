//! Software that acts by itself: laboratories' systems, exports, monitors.

use crate::{
    keyring::{Key, set},
    little_issuer::LittleIssuer,
    own::{NOW_MS, Place, URL, client, pairs, random, sent},
};
use consent::{PractitionerId, Role};
use jsonwebtoken::Algorithm as Of;
use serde_json::{Value, json};
use sign_in::own::{
    Sent,
    client::{Client, Proof, Service, fresh_secret},
};
use std::collections::BTreeSet;

const TOKEN: &str = "https://node.example/auth/token";

fn service(id: &str, proof: Proof) -> Client {
    Client {
        service: Some(Service {
            practitioner: PractitionerId::new("lab-system").unwrap(),
            roles: BTreeSet::from([Role::Laboratory]),
        }),
        ..client(
            id,
            proof,
            "system/Observation.cruds system/Patient.rs ithaca",
        )
    }
}

fn keys(key: &Key) -> Proof {
    Proof::Keys {
        set: serde_json::from_slice(&set(&[key])).unwrap(),
    }
}

fn claims(id: &str) -> Value {
    json!({
        "iss": id, "sub": id, "aud": TOKEN, "exp": NOW_MS / 1000 + 300, "jti": "one",
    })
}

fn ask(place: &Place, assertion: &str, scope: &str) -> Result<Value, &'static str> {
    place.ask(
        &[
            ("grant_type", "client_credentials"),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
            ("client_assertion", assertion),
            ("scope", scope),
        ],
        NOW_MS,
    )
}

#[test]
fn a_laboratory_proves_itself_by_its_signature() {
    for key in [Key::rsa("k", Of::RS384), Key::es384("k")] {
        let place = Place::new();
        place.client(service("lab", keys(&key)));
        let assertion = key.sign(&claims("lab"));
        let tokens = ask(&place, &assertion, "system/*.rs openid user/*.r").unwrap();
        assert_eq!(tokens["scope"], "system/Observation.rs system/Patient.rs");
        assert_eq!(tokens["refresh_token"], Value::Null);
        let who = place
            .who(tokens["access_token"].as_str().unwrap(), NOW_MS)
            .unwrap();
        assert_eq!(who.practitioner.as_str(), "lab-system");
        assert_eq!(who.roles, BTreeSet::from([Role::Laboratory]));
        assert_eq!(who.client.as_deref(), Some("lab"));
        assert_eq!(
            ask(&place, &assertion, "system/*.rs"),
            Err("invalid_client"),
            "replay"
        );
    }
}

#[test]
fn assertions_that_prove_nothing() {
    let key = Key::es384("k");
    let place = Place::new();
    place.client(service("lab", keys(&key)));
    place.client(service("other", keys(&Key::es384("k"))));
    let refused = |name: &str, value: Value| {
        let mut claims = claims("lab");
        claims[name] = value;
        assert_eq!(
            ask(&place, &key.sign(&claims), "system/*.rs"),
            Err("invalid_client"),
            "{name}"
        );
    };
    let now_s = NOW_MS / 1000;
    refused("aud", json!(URL));
    refused("aud", json!("https://evil.example/auth/token"));
    refused("exp", json!(now_s - 10));
    refused("exp", json!(now_s + 600));
    refused("iss", json!("other"));
    refused("sub", json!("other"));
    refused("sub", json!("nobody"));
    refused("jti", json!(""));
    refused("jti", Value::Null);
    refused("jti", json!("x".repeat(129)));
    let weak = Key::es256("k").sign(&claims("lab"));
    assert_eq!(ask(&place, &weak, "system/*.rs"), Err("invalid_client"));
    let good = key.sign(&claims("lab"));
    let two_ways = pairs(&[
        ("grant_type", "client_credentials"),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", &good),
        ("client_secret", "x"),
    ]);
    let refused = place.issuer.token(sent(&two_ways), NOW_MS).err().unwrap();
    assert_eq!(refused.error, "invalid_request");
    assert_eq!(ask(&place, &good, "user/*.rs"), Err("invalid_scope"));
}

#[test]
fn keys_of_a_service_are_fetched_and_rotate() {
    let (old, new) = (Key::es384("old"), Key::es384("new"));
    let there = LittleIssuer::start();
    there.says("/keys", 200, set(&[&old]));
    let place = Place::new();
    let url = format!("{}/keys", there.url);
    place.client(service("lab", Proof::KeysAt { url }));
    assert!(ask(&place, &old.sign(&claims("lab")), "system/*.rs").is_ok());
    there.says("/keys", 200, set(&[&new]));
    let mut second = claims("lab");
    second["jti"] = json!("two");
    assert_eq!(
        ask(&place, &new.sign(&second), "system/*.rs"),
        Err("invalid_client"),
        "too early"
    );
    assert_eq!(there.times_asked(), 1);
}

#[test]
fn secrets_are_checked_and_not_kept() {
    let place = Place::new();
    let (secret, proof) = fresh_secret(&random);
    place.client(service("lab", proof));
    let ask = |secret: &str, id: &str| {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", id),
            ("client_secret", secret),
            ("scope", "system/*.rs"),
        ];
        place.ask(&form, NOW_MS).map(|_| ())
    };
    assert_eq!(ask(&secret, "lab"), Ok(()));
    assert_eq!(ask("wrong", "lab"), Err("invalid_client"));
    assert_eq!(ask(&secret, "app"), Err("invalid_client"));
    let nothing = [("grant_type", "client_credentials"), ("client_id", "lab")];
    assert_eq!(place.ask(&nothing, NOW_MS), Err("invalid_client"));
    // A public client is nobody by itself.
    let public = [
        ("grant_type", "client_credentials"),
        ("client_id", "app"),
        ("scope", "openid"),
    ];
    assert_eq!(place.ask(&public, NOW_MS), Err("unauthorized_client"));

    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let header = format!("Basic {}", STANDARD.encode(format!("lab:{secret}")));
    let form = pairs(&[("grant_type", "client_credentials"), ("scope", "ithaca")]);
    let by_header = |header: &str| {
        let sent = Sent {
            authorization: Some(header),
            ..sent(&form)
        };
        place
            .issuer
            .token(sent, NOW_MS)
            .map(|_| ())
            .map_err(|e| e.error)
    };
    assert_eq!(by_header(&header), Ok(()));
    assert_eq!(by_header("Basic !"), Err("invalid_client"));
    assert_eq!(by_header("Bearer x"), Err("invalid_client"));
}

#[test]
fn tokens_of_a_certificate_are_good_with_it_alone() {
    let place = Place::new();
    let pin = "ab".repeat(32);
    let mut lab = service("lab", Proof::Certificate {});
    lab.certificates = vec![pin.clone()];
    // What it may do for a person who is signed in is not what it may do by itself.
    lab.scopes = format!("user/*.cruds patient/*.rs {}", lab.scopes);
    place.client(lab);
    let form = pairs(&[
        ("grant_type", "client_credentials"),
        ("client_id", "lab"),
        ("scope", "system/*.rs"),
    ]);
    let with = |certificate: Option<&str>| {
        let sent = Sent {
            certificate,
            ..sent(&form)
        };
        let tokens = place.issuer.token(sent, NOW_MS).map_err(|e| e.error)?;
        Ok::<_, &str>(serde_json::to_value(tokens).unwrap())
    };
    assert_eq!(with(None), Err("invalid_client"));
    assert_eq!(with(Some(&"cd".repeat(32))), Err("invalid_client"));
    let tokens = with(Some(&pin)).unwrap();
    let access = tokens["access_token"].as_str().unwrap();
    assert!(place.issuer.identify(access, Some(&pin), NOW_MS).is_ok());
    assert!(place.issuer.identify(access, None, NOW_MS).is_err());
    assert!(
        place
            .issuer
            .identify(access, Some(&"cd".repeat(32)), NOW_MS)
            .is_err()
    );
    let machine = place.issuer.identify_machine(&pin).unwrap();
    assert_eq!(machine.client.as_deref(), Some("lab"));
    assert_eq!(
        machine.scopes.to_string(),
        "system/Observation.cruds system/Patient.rs ithaca"
    );
    assert!(place.issuer.identify_machine(&"cd".repeat(32)).is_none());
}

#[test]
fn only_software_that_proves_itself_looks_at_tokens() {
    let place = Place::new();
    let (secret, proof) = fresh_secret(&random);
    place.client(service("lab", proof));
    let form = pairs(&[
        ("grant_type", "client_credentials"),
        ("client_id", "lab"),
        ("client_secret", &secret),
        ("scope", "ithaca"),
    ]);
    let tokens =
        serde_json::to_value(place.issuer.token(sent(&form), NOW_MS).ok().unwrap()).unwrap();
    let access = tokens["access_token"].as_str().unwrap();
    let look = |form: &[(&str, &str)]| {
        let form = pairs(form);
        place
            .issuer
            .introspect(sent(&form), NOW_MS)
            .map_err(|e| e.error)
    };
    let proved = |token| {
        look(&[
            ("client_id", "lab"),
            ("client_secret", &secret),
            ("token", token),
        ])
    };
    let said = proved(access).unwrap();
    assert_eq!(said["active"], true);
    assert_eq!(said["client_id"], "lab");
    assert_eq!(said["scope"], "ithaca");
    assert_eq!(proved("x.y.z").unwrap(), json!({"active": false}));
    assert_eq!(
        look(&[("client_id", "app"), ("token", access)]),
        Err("invalid_client")
    );
}
