//! Bodies: malformed, of the wrong kind, too large, without end.

use super::{check, kept, required, some_path, suitable};
use crate::{
    families::{newborn, phenopacket},
    house::{JSON_BYTES, PAYLOAD_BYTES, run},
    spy::MARKER,
    wire::Call,
};
use api::endpoint::{ENDPOINTS, Shape};
use axum::body::{Body, Bytes};
use futures::stream;
use serde_json::json;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

const PHENOPACKET: &str = "application/json";
const FHIR: &str = "application/fhir+json";

fn deep(depth: usize) -> String {
    format!("{{\"id\":\"{MARKER}\",\"a\":{}", "[".repeat(depth))
}

#[test]
fn payloads_that_are_no_json() {
    run(async |house| {
        check(house, |family| {
            let desk = &house.staff.desk;
            let deposit = |media: &str, bytes: Vec<u8>| {
                Call::post(family.path("/records")).bearer(desk).bytes(media, bytes)
            };
            let twice = format!("{{\"id\":\"a\",\"id\":\"{MARKER}\",\"subject\":{{\"id\":\"{MARKER}\"}}}}");
            let inside = phenopacket("x")
                .to_string()
                .replacen("\"sex\"", &format!("\"id\":\"{MARKER}\",\"sex\""), 1);
            let closed = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
            let bad: [(&str, Vec<u8>); 9] = [
                ("deep and whole", format!("{{\"id\":\"{MARKER}\",\"a\":{closed}}}").into_bytes()),
                ("empty", Vec::new()),
                ("cut off", format!("{{\"id\": \"{MARKER}").into_bytes()),
                ("no quotes", format!("{{id: {MARKER}}}").into_bytes()),
                ("after the end", format!("{} {MARKER}", phenopacket("x")).into_bytes()),
                ("deep", deep(100_000).into_bytes()),
                ("no UTF-8", [b"{\"id\":\"\xff", MARKER.as_bytes(), b"\"}"].concat()),
                ("a key twice", twice.into_bytes()),
                ("a key twice inside", inside.into_bytes()),
            ];
            let mut calls = Vec::new();
            for (what, bytes) in bad {
                calls.push((what, deposit(PHENOPACKET, bytes.clone()), 422, "invalid"));
                calls.push((what, deposit(FHIR, bytes), 422, "invalid"));
            }
            let unheard = json!({"resourceType": MARKER});
            calls.push(("no resource", deposit(FHIR, unheard.to_string().into_bytes()), 422, "invalid"));
            let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
                {"resource": {"resourceType": "Patient", "gender": "female"}, "request": {"method": "POST", "url": "Patient"}},
                {"resource": {"resourceType": MARKER}, "request": {"method": "POST", "url": MARKER}},
            ]});
            calls.push(("half a bundle", deposit(FHIR, bundle.to_string().into_bytes()), 422, "invalid"));
            calls.push(("an empty document", deposit("text/plain", Vec::new()), 422, "invalid"));
            calls
        })
        .await;
    });
}

#[test]
fn bodies_that_are_no_request() {
    run(async |house| {
        check(house, |family| {
            let restrict = |bytes: Vec<u8>| {
                Call::put(family.path("/restriction"))
                    .bearer(&house.staff.desk)
                    .bytes("application/json", bytes)
            };
            let glass = |body: serde_json::Value| {
                Call::post(family.path("/break-glass"))
                    .bearer(&house.staff.emergency)
                    .json(&body)
            };
            let signed = |bytes: &[u8]| {
                Call::post(family.path("/consent")).bearer(&house.staff.desk).cbor(bytes)
            };
            let key = json!({"controllers": [{"controller": {"slot": 0, "role": "guardian", "label": MARKER},
                "key": MARKER}], "slot": 0});
            let enrol = Call::post(family.path("/controllers/prepare"))
                .bearer(&house.staff.desk)
                .json(&key);
            let opt = |code: &str| {
                Call::put(family.path("/consent"))
                    .bearer(&house.staff.desk)
                    .json(&json!({"changes": [{"opt-out": code}]}))
            };
            let new = "5".repeat(64);
            let recover = |keys: serde_json::Value, witness: &str| {
                Call::post(family.path("/recovery/prepare"))
                    .bearer(&house.staff.desk)
                    .json(&json!({"keys": keys, "witness": witness}))
            };
            let own = house.institution.to_string();
            let validates = |claim: &str| {
                let change = json!({"validator": {"institution": own, "claim": claim}});
                Call::post("/v1/network/proposals")
                    .bearer(&house.staff.operator)
                    .json(&json!({"change": change}))
            };
            let other = house.elsewhere.to_string();
            let draft = |path: String| Call::post(path).bearer(&house.staff.desk).cbor(MARKER.as_bytes());
            let many = json!({"restricted": true, "pad": MARKER.repeat(JSON_BYTES)}).to_string();
            vec![
                ("empty", restrict(Vec::new()), 422, "invalid"),
                ("cut off", restrict(b"{\"restricted\": tr".to_vec()), 422, "invalid"),
                ("deep", restrict(deep(20_000).into_bytes()), 422, "invalid"),
                ("no UTF-8", restrict(b"{\"restricted\": \"\xff\"}".to_vec()), 422, "invalid"),
                ("twice", restrict(b"{\"restricted\": true, \"restricted\": true}".to_vec()), 422, "invalid"),
                ("unknown field", restrict(format!("{{\"restricted\":true,\"{MARKER}\":1}}").into_bytes()), 422, "invalid"),
                ("wrong kind", restrict(format!("{{\"restricted\":\"{MARKER}\"}}").into_bytes()), 422, "invalid"),
                ("too large", restrict(many.into_bytes()), 413, "too-large"),
                ("unknown purpose", opt(MARKER), 422, "invalid"),
                ("no such key", enrol, 400, "bad-request"),
                ("a key that is none", recover(json!([{"slot": 0, "key": MARKER}]), &other), 400, "bad-request"),
                ("a slot twice", recover(json!([{"slot": 0, "key": new}, {"slot": 0, "key": new}]), &other), 400, "bad-request"),
                ("no such witness", recover(json!([{"slot": 0, "key": new}]), MARKER), 400, "bad-request"),
                ("a claim that is none", validates(MARKER), 400, "bad-request"),
                ("a key without its signature", validates(&new), 400, "bad-request"),
                ("a claim that its key did not sign", validates(&"5".repeat(192)), 422, "invalid"),
                ("no recovery to countersign", draft("/v1/recoveries/endorse".to_owned()), 422, "invalid"),
                ("no recovery", draft(family.path("/recovery")), 422, "invalid"),
                ("no CBOR", signed(MARKER.as_bytes()), 422, "invalid"),
                ("deep CBOR", signed(&[0x81; 50_000]), 422, "invalid"),
                ("no reason", glass(json!({"reason": " ", "minutes": 5})), 422, "invalid"),
                ("a long reason", glass(json!({"reason": MARKER.repeat(200), "minutes": 5})), 422, "invalid"),
                ("no minutes", glass(json!({"reason": MARKER, "minutes": 0})), 422, "invalid"),
                ("too many minutes", glass(json!({"reason": MARKER, "minutes": 241})), 422, "invalid"),
                ("minutes without end", glass(json!({"reason": MARKER, "minutes": 65_536})), 422, "invalid"),
            ]
        })
        .await;
    });
}

#[test]
fn media_types() {
    run(async |house| {
        check(house, |family| {
            let deposit = || Call::post(family.path("/records")).bearer(&house.staff.desk);
            let body = phenopacket("x").to_string();
            let refused = (415, "unsupported-media-type");
            let bad = [
                ("none", deposit().header("content-length", "9")),
                ("XML", deposit().bytes("application/xml", body.clone())),
                (
                    "a form",
                    deposit().bytes("application/x-www-form-urlencoded", body.clone()),
                ),
                ("no type", deposit().bytes(MARKER, body.clone())),
                (
                    "packed",
                    deposit()
                        .header("content-encoding", "gzip")
                        .bytes(PHENOPACKET, body.clone()),
                ),
                (
                    "CBOR for JSON",
                    Call::put(family.path("/restriction"))
                        .bearer(&house.staff.desk)
                        .cbor(b"\xf5"),
                ),
                (
                    "JSON for CBOR",
                    Call::post(family.path("/consent"))
                        .bearer(&house.staff.desk)
                        .json(&json!({})),
                ),
            ];
            bad.into_iter()
                .map(|(what, call)| (what, call, refused.0, refused.1))
                .collect()
        })
        .await;
    });
}

#[test]
fn every_body_has_its_media_type() {
    run(async |house| {
        for endpoint in ENDPOINTS {
            let call = Call::new(endpoint.method.as_str(), some_path(endpoint, "0"))
                .query(&required(endpoint))
                .bearer(suitable(house, endpoint))
                .bytes("application/vnd.unheard-of", MARKER);
            let answer = call.send(house).await;
            let takes_any = matches!(endpoint.request, Shape::Nothing);
            assert_eq!(
                answer.status == 415,
                !takes_any,
                "{}: {}",
                endpoint.id,
                answer.status
            );
        }
    });
}

/// A body that says how large it is and must not be looked at.
fn untouchable() -> Body {
    Body::from_stream(stream::poll_fn(
        |_| -> std::task::Poll<Option<Result<Bytes, Infallible>>> { panic!("the body was read") },
    ))
}

/// A body without an announced length that never ends, and how much of it was read.
fn endless() -> (Body, Arc<AtomicUsize>) {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = read.clone();
    let chunk = Bytes::from(MARKER.repeat(5_000));
    let chunks = stream::repeat_with(move || {
        counter.fetch_add(chunk.len(), Ordering::Relaxed);
        Ok::<_, Infallible>(chunk.clone())
    });
    (Body::from_stream(chunks), read)
}

#[test]
fn bodies_without_measure() {
    run(async |house| {
        let family = newborn(house).await;
        let before = kept(house, &family).await;
        let targets = [
            (
                Call::post(family.path("/records")),
                PHENOPACKET,
                PAYLOAD_BYTES,
            ),
            (
                Call::post(family.path("/records")),
                "application/octet-stream",
                PAYLOAD_BYTES,
            ),
            (
                Call::put(family.path("/consent")),
                "application/json",
                JSON_BYTES,
            ),
            (
                Call::post(family.path("/consent")),
                "application/cbor",
                JSON_BYTES,
            ),
        ];
        for (call, media, limit_bytes) in targets {
            let (method, uri) = call.line();
            let again = Call::new(&method, uri);
            call.bearer(&house.staff.desk)
                .header("content-length", "104857600")
                .stream(media, untouchable())
                .send(house)
                .await
                .refused(413, "too-large");
            let (body, read) = endless();
            again
                .bearer(&house.staff.desk)
                .stream(media, body)
                .send(house)
                .await
                .refused(413, "too-large");
            let read = read.load(Ordering::Relaxed);
            assert!(
                read < limit_bytes + (256 << 10),
                "{read} bytes read of at most {limit_bytes}"
            );
        }
        // Strangers do not even get that far.
        Call::post(family.path("/records"))
            .stream(PHENOPACKET, untouchable())
            .send(house)
            .await
            .refused(401, "unauthenticated");
        assert_eq!(kept(house, &family).await, before);
    });
}
