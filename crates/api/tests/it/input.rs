//! Bad input: each is refused with a problem that says what to do, tells nothing of what was sent, and
//! leaves nothing behind. What holds of every answer is checked where they are read (`wire`).

use crate::{
    families::{Family, newborn, phenopacket},
    house::{House, JSON_BYTES, PAYLOAD_BYTES, run},
    spy::MARKER,
    wire::Call,
};
use api::endpoint::{Access, ENDPOINTS, Endpoint, Shape};
use axum::body::{Body, Bytes};
use futures::stream;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

const PHENOPACKET: &str = "application/json";
const FHIR: &str = "application/fhir+json";

/// What is kept of a subject: its records, the sequence of its consent, its break-glass sessions.
async fn kept(house: &House, family: &Family) -> (u64, u64, usize) {
    let sessions = Call::get("/v1/break-glass")
        .query(&format!("subject={}", family.subject))
        .bearer(&house.staff.privacy)
        .send(house)
        .await
        .is(200)
        .value();
    let status = Call::get(family.path(""))
        .bearer(&house.staff.desk)
        .send(house)
        .await
        .is(200)
        .value();
    (
        status["records"].as_u64().unwrap(),
        status["sequence"].as_u64().unwrap(),
        sessions.as_array().unwrap().len(),
    )
}

/// Refused, and nothing stored.
async fn check(
    house: &House,
    calls: impl FnOnce(&Family) -> Vec<(&'static str, Call, u16, &'static str)>,
) {
    let family = newborn(house).await;
    let before = kept(house, &family).await;
    for (what, call, status, class) in calls(&family) {
        let answer = call.send(house).await;
        let got = (answer.status, answer.class());
        assert_eq!(got, (status, class.to_owned()), "{what}: {}", answer.text());
        assert_eq!(
            kept(house, &family).await,
            before,
            "{what} left something behind"
        );
    }
}

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

/// A path with this in place of each id.
fn some_path(endpoint: &Endpoint, id: &str) -> String {
    endpoint
        .in_path()
        .fold(endpoint.path.to_owned(), |path, name| {
            let digits = if name == "subject" { 64 } else { 32 };
            let id = if id == "0" {
                "0".repeat(digits)
            } else {
                id.to_owned()
            };
            path.replace(&format!("{{{name}}}"), &id)
        })
}

/// What its query cannot lack.
fn required(endpoint: &Endpoint) -> String {
    let pairs = endpoint
        .query()
        .filter(|p| p.required)
        .map(|p| match p.name {
            "purpose" => "purpose=TREAT".to_owned(),
            name if p.number => format!("{name}=1"),
            name => panic!("no value for {name}"),
        });
    pairs.collect::<Vec<_>>().join("&")
}

/// A token that gets past the edge there.
fn suitable<'a>(house: &'a House, endpoint: &Endpoint) -> &'a str {
    match endpoint.access {
        Access::Open => "",
        Access::Bearer => &house.staff.desk,
        Access::Only(_) => &house.staff.operator,
    }
}

#[test]
fn ids_that_are_none() {
    run(async |house| {
        let long = "0".repeat(65);
        let bad = [
            "Kanarienvogel",
            "0",
            "00",
            &long,
            "%ff%fe",
            "..%2f..%2fetc",
            "%00",
            "0x00",
        ];
        let upper = "A".repeat(64);
        for endpoint in ENDPOINTS.iter().filter(|e| e.in_path().next().is_some()) {
            for id in bad.iter().copied().chain([upper.as_str()]) {
                let call = Call::new(
                    endpoint.method.as_str(),
                    some_path(endpoint, if id == "0" { "00" } else { id }),
                );
                let answer = well_formed(call.query(&required(endpoint)), endpoint)
                    .bearer(suitable(house, endpoint))
                    .send(house)
                    .await;
                assert_eq!(
                    (answer.status, answer.class().as_str()),
                    (400, "bad-request"),
                    "{} {id}",
                    endpoint.id
                );
            }
        }
    });
}

/// With a body of a media type that the endpoint takes.
fn well_formed(call: Call, endpoint: &Endpoint) -> Call {
    match endpoint.request {
        Shape::Nothing => call,
        Shape::Json(_) | Shape::JsonOr(..) => call.json(&json!({})),
        Shape::Bytes(types) => call.bytes(types[0], "{}"),
    }
}

#[test]
fn subjects_that_are_nobody() {
    run(async |house| {
        let staff = &house.staff;
        let mut found = BTreeMap::new();
        for endpoint in ENDPOINTS.iter().filter(|e| e.path.contains("{subject}")) {
            for token in [
                &staff.desk,
                &staff.clinician,
                &staff.privacy,
                &staff.specialist,
            ] {
                let call = Call::new(endpoint.method.as_str(), some_path(endpoint, "0"));
                let answer = crate::matrix::well_formed(call, endpoint.id, house)
                    .await
                    .bearer(token)
                    .send(house)
                    .await;
                let statuses: &mut BTreeSet<u16> = found.entry(endpoint.id).or_default();
                statuses.insert(answer.status);
            }
        }
        for (id, statuses) in found {
            assert!(
                statuses.is_subset(&[400, 403, 404].into()),
                "{id}: {statuses:?}"
            );
            // Whose signed change it is shows before anything is looked up.
            let shows = if id == "consent_submit" { 400 } else { 404 };
            assert!(statuses.contains(&shows), "{id}: {statuses:?}");
        }
    });
}

#[test]
fn queries() {
    run(async |house| {
        for endpoint in ENDPOINTS {
            let asked = required(endpoint);
            for query in [
                format!("{asked}&{MARKER}={MARKER}"),
                format!("{asked}&purpos=TREAT"),
                format!("{asked}&%70urpose=TREAT"),
                format!("{asked}&token=x"),
            ] {
                let call =
                    Call::new(endpoint.method.as_str(), some_path(endpoint, "0")).query(&query);
                well_formed(call, endpoint)
                    .bearer(suitable(house, endpoint))
                    .send(house)
                    .await
                    .refused(400, "bad-request");
            }
            for needed in endpoint.query().filter(|p| p.required) {
                let call = Call::new(endpoint.method.as_str(), some_path(endpoint, "0"));
                let answer = well_formed(call, endpoint)
                    .bearer(suitable(house, endpoint))
                    .send(house)
                    .await
                    .refused(400, "bad-request");
                assert!(answer.text().contains(needed.name), "{}", answer.text());
            }
        }
        check(house, |family| {
            let record = family.path(&format!("/records/{}", family.record));
            let disclosures = family.path("/disclosures");
            let get =
                |uri: &str, query: &str| Call::get(uri).bearer(&house.staff.clinician).query(query);
            let bad = [
                ("twice", get(&record, "purpose=TREAT&purpose=BTG")),
                ("no purpose", get(&record, "purpose=")),
                ("unknown purpose", get(&record, "purpose=Kanarienvogel")),
                (
                    "unknown category",
                    get(&record, "purpose=TREAT&categories=phenotype,Kanarienvogel"),
                ),
                (
                    "no number",
                    get(&record, "purpose=TREAT&version=Kanarienvogel"),
                ),
                ("negative", get(&record, "purpose=TREAT&version=-1")),
                (
                    "a large number",
                    get(&record, "purpose=TREAT&version=4294967296"),
                ),
                ("no text", get(&record, "purpose=%ff")),
                ("no time", get(&disclosures, "from=Kanarienvogel")),
                (
                    "no leaf",
                    get(
                        &family.path(&format!("/records/{}/receipt", family.record)),
                        "leaf=Kanarienvogel",
                    ),
                ),
                (
                    "no subject",
                    get("/v1/break-glass", "subject=Kanarienvogel"),
                ),
            ];
            bad.into_iter()
                .map(|(what, call)| (what, call, 400, "bad-request"))
                .collect()
        })
        .await;
        let family = newborn(house).await;
        let record = family.path(&format!("/records/{}", family.record));
        for version in ["0", "2", "4294967295"] {
            Call::get(&*record)
                .bearer(&house.staff.clinician)
                .query(&format!("purpose=TREAT&version={version}"))
                .send(house)
                .await
                .refused(404, "not-found");
        }
    });
}

#[test]
fn entity_tags() {
    run(async |house| {
        check(house, |family| {
            let record = family.path(&format!("/records/{}", family.record));
            let replace = || {
                Call::put(&*record)
                    .bearer(&house.staff.desk)
                    .json(&phenopacket("second"))
            };
            let restrict = || {
                Call::put(family.path("/restriction"))
                    .bearer(&house.staff.desk)
                    .json(&json!({"restricted": true}))
            };
            let mut calls = vec![
                ("none", replace(), 428, "precondition-required"),
                (
                    "twice",
                    replace()
                        .header("if-match", "\"1\"")
                        .header("if-match", "\"1\""),
                    400,
                    "bad-request",
                ),
                (
                    "ahead",
                    replace().header("if-match", "\"2\""),
                    412,
                    "precondition-failed",
                ),
                (
                    "behind",
                    replace().header("if-match", "\"0\""),
                    412,
                    "precondition-failed",
                ),
                (
                    "too large",
                    replace().header("if-match", "\"4294967296\""),
                    412,
                    "precondition-failed",
                ),
                (
                    "of consent",
                    restrict().header("if-match", "\"7\""),
                    412,
                    "precondition-failed",
                ),
            ];
            for tag in [
                "1",
                "W/\"1\"",
                "\"+1\"",
                "\"\"",
                "*",
                "\"1\", \"2\"",
                "\"99999999999999999999\"",
                MARKER,
            ] {
                calls.push((
                    "malformed",
                    replace().header("if-match", tag),
                    400,
                    "bad-request",
                ));
                calls.push((
                    "malformed",
                    restrict().header("if-match", tag),
                    400,
                    "bad-request",
                ));
            }
            calls
        })
        .await;
    });
}

#[test]
fn a_stale_entity_tag() {
    run(async |house| {
        let family = newborn(house).await;
        let record = family.path(&format!("/records/{}", family.record));
        let replace = |bytes: &str| {
            Call::put(&*record)
                .bearer(&house.staff.desk)
                .header("if-match", "\"1\"")
                .json(&phenopacket(bytes))
        };
        let second = replace("second").send(house).await.is(200);
        assert_eq!(second.header("etag"), "\"2\"");
        replace("third")
            .send(house)
            .await
            .refused(412, "precondition-failed");
        let consent = Call::get(family.path("/consent"))
            .bearer(&house.staff.desk)
            .send(house)
            .await
            .is(200);
        let seen = consent.header("etag").to_owned();
        let restrict = |on: bool| {
            Call::put(family.path("/restriction"))
                .bearer(&house.staff.desk)
                .header("if-match", &seen)
                .json(&json!({"restricted": on}))
        };
        restrict(true).send(house).await.is(200);
        restrict(false)
            .send(house)
            .await
            .refused(412, "precondition-failed");
    });
}

#[test]
fn idempotency_keys() {
    run(async |house| {
        let family = newborn(house).await;
        let deposit = |family: &Family, key: &str, id: &str| {
            Call::post(family.path("/records"))
                .bearer(&house.staff.desk)
                .header("idempotency-key", key)
                .json(&phenopacket(id))
        };
        let first = deposit(&family, "k", "a").send(house).await.is(201);
        let again = deposit(&family, "k", "a").send(house).await.is(200);
        assert_eq!(first.field("record"), again.field("record"));
        assert_eq!(
            first.value()["records"][0]["commitment"],
            again.value()["records"][0]["commitment"]
        );
        assert_eq!(
            (
                &first.value()["records"][0]["created"],
                &again.value()["records"][0]["created"]
            ),
            (&json!(true), &json!(false))
        );
        let before = kept(house, &family).await;
        deposit(&family, "k", "b")
            .send(house)
            .await
            .refused(409, "conflict");
        deposit(&family, &MARKER.repeat(10), "c")
            .send(house)
            .await
            .refused(422, "invalid");
        deposit(&family, "", "c")
            .send(house)
            .await
            .refused(422, "invalid");
        deposit(&family, "k2", "c")
            .header("idempotency-key", "k3")
            .send(house)
            .await
            .refused(400, "bad-request");
        assert_eq!(kept(house, &family).await, before);
        // Another family's key is another key.
        let other = newborn(house).await;
        deposit(&other, "k", "b").send(house).await.is(201);
        // And a source too long to be one.
        deposit(&family, "k4", "d")
            .header("ithaca-source", &MARKER.repeat(500))
            .send(house)
            .await
            .refused(413, "too-large");
        assert_eq!(kept(house, &family).await, before);
    });
}

#[test]
fn paths_and_methods_that_are_none() {
    run(async |house| {
        let desk = &house.staff.desk;
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/v1/subjects/",
            "/v2/subjects",
            "/health/",
            "//health",
            "/Kanarienvogel",
            "/v1/../metrics",
        ] {
            Call::get(path)
                .bearer(desk)
                .send(house)
                .await
                .refused(404, "not-found");
        }
        let paths: BTreeSet<&str> = ENDPOINTS.iter().map(|e| e.path).collect();
        for path in paths {
            let of = |method: &str| {
                ENDPOINTS
                    .iter()
                    .find(|e| e.path == path && e.method.as_str() == method)
            };
            for method in [
                "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "KANARIE",
            ] {
                if of(method).is_some() {
                    continue;
                }
                let some = ENDPOINTS.iter().find(|e| e.path == path).unwrap();
                let answer = Call::new(method, some_path(some, "0"))
                    .bearer(desk)
                    .send(house)
                    .await
                    .refused(405, "method-not-allowed");
                let allowed: BTreeSet<&str> = answer
                    .allow()
                    .split(',')
                    .map(str::trim)
                    .filter(|m| *m != "HEAD")
                    .collect();
                let there: BTreeSet<&str> = ENDPOINTS
                    .iter()
                    .filter(|e| e.path == path)
                    .map(|e| e.method.as_str())
                    .collect();
                assert_eq!(allowed, there, "{method} {path}");
            }
        }
    });
}
