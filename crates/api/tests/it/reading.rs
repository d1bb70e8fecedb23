//! The main job over HTTP: what went in comes out, to those who may, with proofs that hold offline.

use crate::{
    families::{NOTHING, family_key, keyholders, newborn, phenopacket},
    house::run,
    spy::{self, MARKER, PROBE},
    wire::Call,
};
use node::consent_change::{ConsentBundle, SignedChange};
use node::verify;
use serde_json::{Value, json};
use std::fs;

#[test]
fn bytes_come_out_as_they_went_in() {
    run(async |house| {
        let family = newborn(house).await;
        // Spacing and order of keys are the source's.
        let text = phenopacket("verbatim")
            .to_string()
            .replace("\"sex\"", " \"sex\" ");
        let kinds: [(&str, Vec<u8>, &str); 3] = [
            ("application/json", text.into_bytes(), "application/json"),
            (
                "application/octet-stream",
                vec![0, 255, 13, 10],
                "application/octet-stream",
            ),
            (
                "text/plain; charset=utf-8",
                MARKER.as_bytes().to_vec(),
                "application/octet-stream",
            ),
        ];
        for (media, bytes, shown_as) in kinds {
            let deposited = Call::post(family.path("/records"))
                .bearer(&house.staff.clinician)
                .wait()
                .bytes(media, bytes.clone())
                .send(house)
                .await
                .is(201);
            assert_eq!(deposited.value()["finality"]["state"], "final");
            assert_eq!(deposited.header("etag"), "\"1\"");
            let location = deposited.header("location").to_owned();
            assert_eq!(
                location,
                family.path(&format!("/records/{}", deposited.field("record")))
            );
            let stored = Call::get(&*location)
                .query("purpose=TREAT")
                .bearer(&house.staff.clinician)
                .header("accept", "application/octet-stream")
                .send(house)
                .await
                .is(200);
            assert_eq!(stored.body, bytes);
            assert_eq!(stored.header("content-type"), shown_as);
            assert_eq!(stored.header("etag"), "\"1\"");
            assert_eq!(stored.header("ithaca-disclosure").len(), 32);
            let receipt = Call::get(format!("{location}/receipt"))
                .query("leaf=stored&purpose=TREAT")
                .bearer(&house.staff.clinician)
                .send(house)
                .await
                .is(200);
            assert_eq!(receipt.header("ithaca-disclosure").len(), 32);
            let verdict = verify::receipt(&receipt.body, &house.genesis, Some(&bytes)).unwrap();
            assert!(verdict.leaf_checked);
            let bare = Call::get(format!("{location}/receipt"))
                .bearer(&house.staff.desk)
                .send(house)
                .await
                .is(200);
            assert!(verify::receipt(&bare.body, &house.genesis, None).is_ok());
            assert!(verify::receipt(&bare.body, &house.genesis, Some(&bytes)).is_err());
            let mut other = bytes.clone();
            other.push(b' ');
            assert!(verify::receipt(&receipt.body, &house.genesis, Some(&other)).is_err());
        }
    });
}

#[test]
fn a_fhir_resource_and_a_bundle() {
    run(async |house| {
        let family = newborn(house).await;
        let post = |body: Value| {
            Call::post(family.path("/records"))
                .bearer(&house.staff.clinician)
                .bytes("application/fhir+json", body.to_string())
        };
        let observation = json!({"resourceType": "Observation", "status": "final",
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}],
            "code": {"text": MARKER}});
        let one = post(observation.clone()).send(house).await.is(201);
        assert_eq!(one.value()["records"][0]["kind"], "Observation");
        let entry = |resource: &Value| json!({"resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}});
        let patient = json!({"resourceType": "Patient", "name": [{"family": MARKER}]});
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry(&patient), entry(&observation)]});
        let many = post(bundle).send(house).await.is(201).value();
        let kinds: Vec<_> = many["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["kind"].clone())
            .collect();
        assert_eq!(kinds, ["Patient", "Observation"]);
        let uri = family.path(&format!("/records/{}", one.field("record")));
        let stored = Call::get(&*uri)
            .query("purpose=TREAT")
            .bearer(&house.staff.clinician)
            .header("accept", "application/fhir+json; q=0.9, */*")
            .send(house)
            .await
            .is(200);
        assert_eq!(stored.header("content-type"), "application/fhir+json");
        assert_eq!(stored.value()["resourceType"], "Observation");
        assert_eq!(stored.value()["id"], one.field("record"));
        let parts = Call::get(&*uri)
            .query("purpose=TREAT&categories=laboratory")
            .bearer(&house.staff.clinician)
            .send(house)
            .await
            .is(200)
            .value();
        assert_eq!(parts["parts"][0]["category"], "laboratory");
        assert!(parts["parts"][0]["body"].is_object() || parts["parts"][0]["body"].is_array());
        assert_eq!(parts["permit"]["basis"], json!({"policy": "own-care"}));
    });
}

#[test]
fn a_grant_opens_and_its_end_closes() {
    run(async |house| {
        let mut family = newborn(house).await;
        let read = |family: &crate::families::Family, categories: &str| {
            Call::get(family.path(&format!("/records/{}", family.record)))
                .query(&format!("purpose=TREAT{categories}"))
                .bearer(&house.staff.specialist)
        };
        let refused = read(&family, "")
            .send(house)
            .await
            .refused(403, "consent-denied")
            .value();
        assert_eq!(refused["missing"][0]["reason"], "no-grant");
        assert!(
            refused["missing"][0]["says"]
                .as_str()
                .unwrap()
                .ends_with('.')
        );
        let logged = refused["disclosure"].as_str().unwrap().to_owned();
        family.share(house).await;
        let permitted = read(&family, "&categories=phenotype")
            .send(house)
            .await
            .is(200)
            .value();
        assert_eq!(permitted["permit"]["basis"], json!({"grant": family.grant}));
        let read_as = permitted["disclosure"].clone();
        let receipt = Call::get(family.path(&format!("/records/{}/receipt", family.record)))
            .query("leaf=phenotype&purpose=TREAT")
            .bearer(&house.staff.specialist)
            .send(house)
            .await
            .is(200);
        // The projection is served byte for byte, so that it checks against the receipt.
        let text = serde_json::to_string(&permitted["parts"][0]["body"]).unwrap();
        let leaf = verify::receipt(&receipt.body, &house.genesis, Some(text.as_bytes()));
        assert!(leaf.is_ok(), "{leaf:?}");
        Call::delete(family.path(&format!("/grants/{}", family.grant)))
            .bearer(&house.staff.desk)
            .send(house)
            .await
            .is(200);
        read(&family, "")
            .send(house)
            .await
            .refused(403, "consent-denied");
        let trail = Call::get(family.path("/disclosures"))
            .bearer(&house.staff.privacy)
            .send(house)
            .await
            .is(200)
            .value();
        let line = |id: &Value| {
            let all = trail["disclosures"].as_array().unwrap();
            all.iter()
                .find(|line| line["disclosure"] == *id)
                .cloned()
                .unwrap()
        };
        assert_eq!(line(&json!(logged))["permitted"], false);
        assert_eq!(line(&read_as)["permitted"], true);
        assert_eq!(line(&read_as)["practitioner"], "specialist-1");
    });
}

#[test]
fn a_family_takes_over() {
    run(async |house| {
        let family = newborn(house).await;
        let desk = &house.staff.desk;
        let sign = |bytes: &[u8]| -> SignedChange {
            ConsentBundle::decode(bytes)
                .unwrap()
                .sign(&family_key())
                .unwrap()
        };
        let prepared = Call::post(family.path("/controllers/prepare"))
            .bearer(desk)
            .json(&keyholders())
            .send(house)
            .await
            .is(200);
        let submit = |signed: &SignedChange| {
            Call::post(family.path("/consent"))
                .bearer(desk)
                .wait()
                .cbor(&signed.encode())
        };
        submit(&sign(&prepared.body)).send(house).await.is(200);
        // From now on the desk does not act for it.
        let alone = Call::put(family.path("/restriction"))
            .bearer(desk)
            .json(&json!({"restricted": true}));
        alone.send(house).await.refused(422, "invalid");
        let [parent] = house
            .tokens(&[house.controller(&family.subject, 0)])
            .try_into()
            .unwrap();
        let prepared = Call::post(family.path("/consent/prepare"))
            .bearer(&parent)
            .json(&json!({"slot": 0, "changes": [{"restrict": true}]}))
            .send(house)
            .await
            .is(200);
        let signed = sign(&prepared.body);
        // For another subject's path it does not do.
        let elsewhere = newborn(house).await;
        Call::post(elsewhere.path("/consent"))
            .bearer(desk)
            .cbor(&signed.encode())
            .send(house)
            .await
            .refused(400, "bad-request");
        let mut damaged = signed.encode();
        *damaged.last_mut().unwrap() ^= 1;
        Call::post(family.path("/consent"))
            .bearer(&parent)
            .cbor(&damaged)
            .send(house)
            .await
            .refused(422, "invalid");
        Call::post(family.path("/consent"))
            .bearer(&parent)
            .wait()
            .cbor(&signed.encode())
            .send(house)
            .await
            .is(200);
        let shown = Call::get(family.path("/consent"))
            .bearer(&parent)
            .send(house)
            .await
            .is(200)
            .value();
        assert_eq!(shown["latest"]["restricted"], true);
        assert_eq!(shown["latest"]["assisted"], false);
        let opening = shown["opening"].as_str().unwrap();
        let verdict = verify::consent_opening(&unhex(opening), &house.genesis).unwrap();
        assert!(verdict.state.restricted);
    });
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

#[test]
fn what_remains_of_the_erased() {
    run(async |house| {
        let family = newborn(house).await;
        let hold = Call::put(family.path("/hold"))
            .bearer(&house.staff.privacy)
            .json(&json!({"until": "2090-01-01T00:00:00Z", "reason_code": "litigation"}));
        hold.send(house).await.is(200);
        let erase = || Call::delete(family.path("")).bearer(&house.staff.privacy);
        let held = erase().send(house).await.refused(423, "held");
        assert_eq!(held.field("until"), "2090-01-01T00:00:00.000Z");
        Call::delete(family.path("/hold"))
            .bearer(&house.staff.privacy)
            .send(house)
            .await
            .is(204);
        let erased = erase().send(house).await.is(200).value();
        assert_eq!(erased["already"], false);
        assert_eq!(erased["audit_key"].as_str().unwrap().len(), 64);
        assert!(!erased.to_string().contains(MARKER));
        assert_eq!(erase().send(house).await.is(200).value()["already"], true);
        let status = Call::get(family.path(""))
            .bearer(&house.staff.desk)
            .send(house)
            .await
            .is(200)
            .value();
        assert_eq!(
            (&status["erased"], &status["records"]),
            (&json!(true), &json!(0))
        );
    });
}

#[test]
fn heads_and_probes() {
    run(async |house| {
        let head = Call::new("HEAD", "/health").send(house).await.is(200);
        assert!(head.body.is_empty());
        Call::new("HEAD", "/metrics").send(house).await.is(401);
        let ready = Call::get("/ready").send(house).await.is(200).value();
        assert_eq!(
            (&ready["ready"], &ready["because"]),
            (&json!(true), &json!([]))
        );
    });
}

#[test]
fn metrics_and_logs_know_nobody() {
    run(async |house| {
        let family = newborn(house).await;
        let uri = family.path(&format!("/records/{}", family.record));
        Call::get(&*uri)
            .query("purpose=TREAT")
            .bearer(&house.staff.specialist)
            .send(house)
            .await
            .is(403);
        Call::get(family.path(&format!("/records/{NOTHING}")))
            .query("purpose=TREAT")
            .bearer(&house.staff.clinician)
            .send(house)
            .await
            .is(404);
        let metrics = Call::get("/metrics")
            .bearer(&house.staff.operator)
            .send(house)
            .await
            .is(200);
        assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4");
        let text = metrics.text();
        for secret in [
            MARKER,
            &family.subject,
            &family.record,
            "clinician-1",
            "specialist-1",
        ] {
            assert!(!text.contains(secret), "{secret}");
        }
        let mut samples = 0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.split_once(' ').unwrap();
            assert!(
                name.starts_with("ithaca_") && value.parse::<u64>().is_ok(),
                "{line}"
            );
            assert!(text.contains(&format!("# TYPE {name} ")));
            samples += 1;
        }
        assert!(samples > 10);
        for uri in ["/v1/status", "/ready", "/health"] {
            let answer = Call::get(uri)
                .bearer(&house.staff.operator)
                .send(house)
                .await
                .is(200);
            assert!(!answer.text().contains(&family.subject));
        }
        // The spy hears our crates at their most talkative; `run` asks it for leaks.
        tracing::trace!(target: "api", "{PROBE}");
        tracing::trace!(target: "node", "{PROBE}");
        tracing::trace!(target: "vault", "{PROBE}");
        assert_eq!(spy::probes(), 3);
    });
}

/// Everything that these tests put in carries the marker, and none of it can be read from the disk.
#[test]
fn nothing_is_readable_at_rest() {
    run(async |house| {
        let mut family = newborn(house).await;
        family.share(house).await;
        let mut folders = vec![house.folder.clone()];
        let mut bytes = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                // A file that a compaction took away holds nothing any more.
                let Ok(content) = fs::read(&path) else {
                    continue;
                };
                let found = content
                    .windows(MARKER.len())
                    .any(|w| w == MARKER.as_bytes());
                assert!(!found, "{} can be read", path.display());
                bytes += content.len();
            }
        }
        assert!(bytes > 10_000, "{bytes} bytes seen");
    });
}
