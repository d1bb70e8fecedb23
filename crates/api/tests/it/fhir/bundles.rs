//! Transactions and batches.

use super::{by_clinician, get, new_patient, observation, patient};
use crate::{house::run, wire::Call};
use serde_json::{Value, json};

pub(super) fn entry(url: &str, method: &str, resource: Value, full_url: &str) -> Value {
    json!({"fullUrl": full_url, "resource": resource, "request": {"method": method, "url": url}})
}

pub(super) fn bundle(of: &str, entries: &[Value]) -> Value {
    json!({"resourceType": "Bundle", "type": of, "entry": entries})
}

fn observed(reference: &str) -> Value {
    let text = observation("x", "718-7", "1.0");
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["subject"]["reference"] = json!(reference);
    value
}

const ONE: &str = "urn:uuid:00000000-0000-4000-8000-000000000001";
const TWO: &str = "urn:uuid:00000000-0000-4000-8000-000000000002";
const THREE: &str = "urn:uuid:00000000-0000-4000-8000-000000000003";
const FOUR: &str = "urn:uuid:00000000-0000-4000-8000-000000000004";

#[test]
fn a_transaction_links_what_it_creates() {
    run(async |house| {
        let sent = bundle(
            "transaction",
            &[
                entry("Observation", "POST", observed(ONE), TWO),
                entry("Patient", "POST", patient("LinkedOne"), ONE),
                entry("Observation", "POST", observed(FOUR), THREE),
                entry("Patient", "POST", patient("LinkedTwo"), FOUR),
                json!({"request": {"method": "GET", "url": "Patient?identifier=http://example.org/mrn|LinkedTwo"}}),
            ],
        );
        let call = by_clinician(house, Call::post("/fhir").fhir(&sent));
        let answer = call.send(house).await.is(200).value();
        assert_eq!(answer["type"], "transaction-response");
        let entries = answer["entry"].as_array().unwrap();
        assert_eq!(entries.len(), 5);
        for entry in &entries[..4] {
            assert_eq!(entry["response"]["status"], "201 Created");
            assert_eq!(entry["response"]["etag"], "W/\"1\"");
        }
        // Reads see what was written.
        assert_eq!(entries[4]["resource"]["total"], 1);
        let location = entries[0]["response"]["location"].as_str().unwrap();
        let first = get(
            house,
            &format!("/{}", location.split("/_history").next().unwrap()),
        )
        .await;
        let first = first.is(200).value();
        let subject = first["subject"]["reference"].as_str().unwrap();
        let linked = get(house, &format!("/{subject}")).await.is(200).value();
        assert_eq!(linked["name"][0]["family"], "LinkedOne");
    });
}

/// One entry that cannot be: nothing of the others, of whichever patient.
#[test]
fn a_transaction_is_whole_or_nothing() {
    run(async |house| {
        let missing = bundle(
            "transaction",
            &[
                entry("Patient", "POST", patient("NothingOne"), ONE),
                entry("Patient", "POST", patient("NothingTwo"), TWO),
                entry("Observation", "POST", observed("Patient/nobody"), THREE),
            ],
        );
        let call = by_clinician(house, Call::post("/fhir").fhir(&missing));
        let refused = call.send(house).await.is(422).value();
        let place = refused["issue"][0]["expression"][0].as_str().unwrap();
        assert!(place.starts_with("Bundle.entry[2].resource"), "{refused}");

        // A stale version in the last entry.
        let there = new_patient(house, "NothingThere").await;
        let mut stale = patient("NothingThere");
        stale["id"] = json!(there);
        let mut update = entry(&format!("Patient/{there}"), "PUT", stale, FOUR);
        update["request"]["ifMatch"] = json!("W/\"9\"");
        let entries = [entry("Patient", "POST", patient("NothingOne"), ONE), update];
        let call = Call::post("/fhir").fhir(&bundle("transaction", &entries));
        by_clinician(house, call).send(house).await.is(412);

        let dangling = [
            entry("Patient", "POST", patient("NothingTwo"), ONE),
            entry("Observation", "POST", observed(TWO), THREE),
        ];
        let call = Call::post("/fhir").fhir(&bundle("transaction", &dangling));
        by_clinician(house, call).send(house).await.is(422);

        let twice = [
            entry(&format!("Patient/{there}"), "DELETE", Value::Null, ONE),
            entry(&format!("Patient/{there}"), "DELETE", Value::Null, TWO),
        ]
        .map(|mut entry| {
            entry.as_object_mut().unwrap().remove("resource");
            entry
        });
        let call = Call::post("/fhir").fhir(&bundle("transaction", &twice));
        by_clinician(house, call).send(house).await.is(422);

        for family in ["NothingOne", "NothingTwo"] {
            let path = format!("/Patient?identifier=http://example.org/mrn%7C{family}");
            let found = get(house, &path).await.is(200).value();
            assert_eq!(found["total"], 0, "{family}");
        }
        get(house, &format!("/Patient/{there}")).await.is(200);
    });
}

#[test]
fn references_by_a_search_are_resolved() {
    run(async |house| {
        let there = new_patient(house, "BySearch").await;
        let by = "Patient?identifier=http://example.org/mrn|BySearch";
        let entries = [entry("Observation", "POST", observed(by), ONE)];
        let call = Call::post("/fhir").fhir(&bundle("transaction", &entries));
        let answer = by_clinician(house, call).send(house).await.is(200).value();
        let location = answer["entry"][0]["response"]["location"].as_str().unwrap();
        let made = get(
            house,
            &format!("/{}", location.split("/_history").next().unwrap()),
        )
        .await;
        let made = made.is(200).value();
        assert_eq!(made["subject"]["reference"], format!("Patient/{there}"));
        let nobody = "Patient?identifier=http://example.org/mrn|NobodyAtAll";
        let entries = [entry("Observation", "POST", observed(nobody), ONE)];
        let call = Call::post("/fhir").fhir(&bundle("transaction", &entries));
        by_clinician(house, call).send(house).await.is(422);
    });
}

/// The records of two people are never one.
#[test]
fn what_is_of_two_people_is_refused() {
    run(async |house| {
        let (one, two) = (
            new_patient(house, "TwoA").await,
            new_patient(house, "TwoB").await,
        );
        let mut moved: Value = serde_json::from_str(&observation(&one, "718-7", "1")).unwrap();
        let call = Call::post("/fhir/Observation").fhir(&moved);
        let made = by_clinician(house, call).send(house).await.is(201);
        moved["id"] = json!(made.field("id"));
        moved["subject"]["reference"] = json!(format!("Patient/{two}"));
        let call = Call::put(format!("/fhir/Observation/{}", made.field("id"))).fhir(&moved);
        by_clinician(house, call).send(house).await.is(422);
        let mut both: Value = serde_json::from_str(&observation(&one, "718-7", "1")).unwrap();
        both["performer"] = json!([{"reference": format!("Patient/{two}")}]);
        let call = Call::post("/fhir/Observation").fhir(&both);
        by_clinician(house, call).send(house).await.is(422);
        // A group of people is nobody's record.
        let group = json!({
            "resourceType": "Group", "type": "person", "actual": true,
            "member": [{"entity": {"reference": format!("Patient/{one}")}}, {"entity": {"reference": format!("Patient/{two}")}}],
        });
        let call = Call::post("/fhir/Group").fhir(&group);
        by_clinician(house, call).send(house).await.is(201);
    });
}

#[test]
fn the_entries_of_a_batch_are_each_for_themselves() {
    run(async |house| {
        let there = new_patient(house, "Batch").await;
        let patch = json!({
            "resourceType": "Binary",
            "contentType": "application/json-patch+json",
            "data": codec::base64::encode(br#"[{"op":"add","path":"/active","value":true}]"#),
        });
        let entries = [
            entry(
                "Observation",
                "POST",
                observed(&format!("Patient/{there}")),
                ONE,
            ),
            entry("Observation", "POST", observed("Patient/nobody"), TWO),
            json!({"request": {"method": "GET", "url": format!("Patient/{there}")}}),
            json!({"request": {"method": "GET", "url": "Patient/nobody"}}),
            entry(&format!("Patient/{there}"), "PATCH", patch, THREE),
            json!({"request": {"method": "GET", "url": format!("Patient/{there}"), "ifNoneMatch": "W/\"2\""}}),
            json!({"request": {"method": "GET", "url": "Nonsense/1"}}),
        ];
        let call = Call::post("/fhir").fhir(&bundle("batch", &entries));
        let answer = by_clinician(house, call).send(house).await.is(200).value();
        assert_eq!(answer["type"], "batch-response");
        let statuses: Vec<&str> = answer["entry"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                entry["response"]["status"]
                    .as_str()
                    .unwrap()
                    .split(' ')
                    .next()
                    .unwrap()
            })
            .collect();
        assert_eq!(statuses, ["201", "422", "200", "404", "200", "304", "404"]);
        let refused = &answer["entry"][1]["response"]["outcome"];
        assert_eq!(refused["resourceType"], "OperationOutcome");
        assert_eq!(answer["entry"][2]["resource"]["id"], json!(there));
    });
}

#[test]
fn what_is_no_transaction_is_refused() {
    run(async |house| {
        let send = async |value: Value| {
            let call = by_clinician(house, Call::post("/fhir").fhir(&value));
            call.send(house).await
        };
        send(json!({"resourceType": "Bundle", "type": "searchset"}))
            .await
            .is(422);
        send(json!({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient("None")}]})).await.is(422);
        send(patient("None")).await.is(422);
        let nameless = json!({"resource": patient("None")});
        send(bundle("transaction", &[nameless])).await.is(422);
        let empty = send(bundle("transaction", &[])).await.is(200).value();
        assert_eq!(empty["type"], "transaction-response");
        let nobody = Call::post("/fhir").fhir(&bundle("batch", &[]));
        nobody.send(house).await.is(401);
    });
}
