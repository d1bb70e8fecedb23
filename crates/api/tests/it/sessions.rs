//! Access tokens of single sign-on, from outside: what is believed, and what their scopes reach.

use crate::{
    house::{House, run},
    wire::{Answer, Call},
};
use api::{Edge, Limits, Tokens};
use axum::Router;
use consent::Role;
use serde_json::{Value, json};
use sign_in::{
    fetch::{Fetch, Unreachable},
    issuers::{Issuer, Issuers},
    jwt::Signer,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

const URL: &str = "https://idp.example";

/// An issuer that is there or not.
struct There {
    keys: Value,
    away: AtomicBool,
}

impl Fetch for There {
    fn get(&self, url: &str) -> Result<Vec<u8>, Unreachable> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Unreachable {
                url: url.to_owned(),
                why: "away".to_owned(),
            });
        }
        let document = match url {
            "https://idp.example/keys" => self.keys.clone(),
            _ => json!({"issuer": URL, "jwks_uri": "https://idp.example/keys"}),
        };
        Ok(document.to_string().into_bytes())
    }
}

fn signer() -> Signer {
    Signer::new(&Signer::fresh().unwrap()).unwrap()
}

fn edge(house: &House, signer: &Signer) -> (Router, Arc<There>) {
    let there = Arc::new(There {
        keys: signer.key_set(),
        away: AtomicBool::new(false),
    });
    let role = |name: &str, role| (name.to_owned(), BTreeSet::from([role]));
    let issuer = Issuer {
        url: URL.to_owned(),
        audience: "ithaca".to_owned(),
        skew_s: 60,
        roles_claim: "roles".to_owned(),
        roles: BTreeMap::from([
            role("doctor", Role::Clinician),
            role("admin", Role::Operator),
            role("kin", Role::Controller),
        ]),
        practitioner_claim: "sub".to_owned(),
        scopes: String::new(),
        subject_claim: None,
        slot_claim: None,
    };
    let issuers = Issuers::new(vec![issuer], house.institution, there.clone());
    let edge = Edge::new(
        house.handle.clone(),
        house.ambient.clone(),
        Tokens::at(house.folder.join("no-tokens.json")),
        Limits::default(),
    );
    (api::router(edge.with_issuers(issuers)), there)
}

fn claims(house: &House, role: &str, scope: &str) -> Value {
    json!({
        "iss": URL, "sub": "odysseus", "aud": "ithaca", "exp": house.now_ms() / 1000 + 60,
        "roles": [role], "scope": scope,
    })
}

/// A clinician who signed on elsewhere, through software of whatever scopes.
pub(crate) struct Doctor {
    signer: Signer,
    router: Router,
}

pub(crate) fn doctor(house: &House) -> Doctor {
    let signer = signer();
    let (router, _) = edge(house, &signer);
    Doctor { signer, router }
}

impl Doctor {
    pub(crate) fn token(&self, house: &House, scope: &str) -> String {
        let claims = claims(house, "doctor", scope);
        self.signer.sign("at+jwt", &claims).unwrap()
    }

    /// Of a session that is about a patient.
    pub(crate) fn launched(&self, house: &House, scope: &str, patient: &str) -> String {
        let mut claims = claims(house, "doctor", scope);
        claims["patient"] = json!(patient);
        self.signer.sign("at+jwt", &claims).unwrap()
    }

    pub(crate) async fn send(&self, call: Call) -> Answer {
        let call = call.header("host", "fhir.example");
        call.send_to(&self.router).await
    }
}

async fn ask(router: &Router, path: &str, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let call = Call::get(path).header("authorization", &bearer);
    call.send_to(router).await
}

#[test]
fn single_sign_on_is_believed_within_roles_and_scopes() {
    run(async |house| {
        let signer = signer();
        let (router, _) = edge(house, &signer);
        let sign = |claims: &Value| signer.sign("at+jwt", claims).unwrap();
        let operator = sign(&claims(house, "admin", "openid ithaca"));
        assert_eq!(ask(&router, "/v1/status", &operator).await.status, 200);
        assert_eq!(ask(&router, "/metrics", &operator).await.status, 200);
        // Another role.
        let doctor = sign(&claims(house, "doctor", "ithaca"));
        let answer = ask(&router, "/metrics", &doctor).await;
        assert_eq!((answer.status, answer.class()), (403, "forbidden".into()));
        // The role, but software without the right.
        for scope in ["", "openid", "user/*.cruds system/*.cruds"] {
            let narrow = sign(&claims(house, "admin", scope));
            let answer = ask(&router, "/metrics", &narrow).await;
            assert_eq!(answer.status, 403, "{scope}");
            assert_eq!(answer.class(), "insufficient-scope", "{scope}");
            assert_eq!(
                answer.header("www-authenticate"),
                "Bearer error=\"insufficient_scope\", scope=\"ithaca\""
            );
        }
        // A family's role needs its subject.
        let kin = sign(&claims(house, "kin", "ithaca"));
        assert_eq!(ask(&router, "/v1/status", &kin).await.status, 401);
    });
}

#[test]
fn what_single_sign_on_did_not_sign_is_not_believed() {
    run(async |house| {
        let ours = signer();
        let (router, _) = edge(house, &ours);
        let good = claims(house, "admin", "ithaca");
        let changed = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            ours.sign("at+jwt", &claims).unwrap()
        };
        let over = json!(house.now_ms() / 1000 - 61);
        for token in [
            signer().sign("at+jwt", &good).unwrap(),
            ours.sign("logout+jwt", &good).unwrap(),
            changed("iss", json!("https://evil.example")),
            changed("aud", json!("other")),
            changed("exp", over),
            changed("scope", json!("user/nonsense")),
            "a.b.c".to_owned(),
            format!("{}.x", "A".repeat(40_000)),
        ] {
            let answer = ask(&router, "/v1/status", &token).await;
            assert_eq!(answer.status, 401);
            assert_eq!(
                answer.header("www-authenticate"),
                "Bearer error=\"invalid_token\""
            );
            assert_eq!(answer.class(), "unauthenticated");
        }
        let token = ours.sign("at+jwt", &good).unwrap();
        assert_eq!(ask(&router, "/v1/status", &token).await.status, 200);
        let twice = Call::get("/v1/status")
            .header("authorization", &format!("Bearer {token}"))
            .header("authorization", "Bearer other");
        assert_eq!(twice.send_to(&router).await.status, 401);
    });
}

#[test]
fn a_node_serves_while_single_sign_on_is_away() {
    run(async |house| {
        let signer = signer();
        let (router, there) = edge(house, &signer);
        there.away.store(true, Ordering::SeqCst);
        let token = signer
            .sign("at+jwt", &claims(house, "admin", "ithaca"))
            .unwrap();
        assert_eq!(ask(&router, "/v1/status", &token).await.status, 401);
        let open = Call::get("/openapi.json").send_to(&router).await;
        assert_eq!(open.status, 200);
    });
}
