//! Bulk export: files of what is permitted while they are downloaded, and nothing for anybody else.
//!
//! The house is shared: exports that walk over everybody here are of types that no other test makes.

use super::consents::{Child, child};
use super::{by_clinician, created, get, new_patient};
use crate::{
    house::{House, Person, run},
    wire::{Answer, Call},
};
use consent::Role;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// Looks at an export's state before it must be planned.
const LOOKS: usize = 2_000;

/// A clinician whose exports are nobody else's.
fn exporter(house: &House, name: &str) -> String {
    let person = Person::staff(house, name, &[Role::Clinician]);
    house.tokens(&[person]).remove(0)
}

fn ask(token: &str, path: &str) -> Call {
    let call = Call::get(format!("/fhir{path}")).bearer(token);
    call.header("host", "fhir.example")
}

fn ask_async(token: &str, path: &str) -> Call {
    ask(token, path).header("prefer", "respond-async")
}

/// Where an address of this server leads.
fn local(address: &str) -> &str {
    address.strip_prefix("http://fhir.example/fhir").unwrap()
}

async fn begun(house: &House, token: &str, path: &str) -> String {
    let begun = ask_async(token, path).send(house).await.is(202);
    assert_eq!(begun.value()["resourceType"], "OperationOutcome");
    local(begun.header("content-location")).to_owned()
}

/// Waits until an export is planned.
async fn planned(house: &House, token: &str, state: &str) -> Value {
    for _ in 0..LOOKS {
        let answer = ask(token, state).send(house).await;
        if answer.status == 200 {
            assert!(answer.header("expires").ends_with(" GMT"));
            return answer.value();
        }
        let answer = answer.is(202);
        assert!(answer.header("x-progress").starts_with("planning"));
        assert_eq!(answer.header("retry-after"), "1");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("no plan after {LOOKS} looks");
}

/// Every file of a manifest, read: type and resource.
async fn downloaded(house: &House, token: &str, manifest: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for output in manifest["output"].as_array().unwrap() {
        let kind = output["type"].as_str().unwrap();
        let path = local(output["url"].as_str().unwrap());
        let file = ask(token, path)
            .header("accept", "application/fhir+ndjson")
            .send(house)
            .await
            .is(200);
        assert_eq!(file.header("content-type"), "application/fhir+ndjson");
        for line in file.text().lines() {
            let resource: Value = serde_json::from_str(line).unwrap();
            assert_eq!(resource["resourceType"], kind);
            found.push((kind.to_owned(), resource));
        }
    }
    found
}

fn ids(found: &[(String, Value)]) -> BTreeSet<String> {
    let ids = found.iter().map(|(_, resource)| &resource["id"]);
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

async fn end(house: &House, token: &str, state: &str) -> Answer {
    let call = Call::delete(format!("/fhir{state}")).bearer(token);
    call.send(house).await
}

async fn group_of(house: &House, patients: &[&str]) -> String {
    let members: Vec<Value> = patients
        .iter()
        .map(|id| json!({"entity": {"reference": format!("Patient/{id}")}}))
        .collect();
    let group =
        json!({"resourceType": "Group", "type": "person", "actual": true, "member": members});
    created(house, &group).await.field("id")
}

/// A resource of some type about a patient.
async fn about(house: &House, kind: &str, patient: &str, rest: &Value) -> String {
    let mut resource = rest.clone();
    resource["resourceType"] = json!(kind);
    resource["subject"] = json!({"reference": format!("Patient/{patient}")});
    created(house, &resource).await.field("id")
}

/// Readings of a child by somebody: whether each was permitted.
async fn readings(house: &House, child: &Child, practitioner: &str) -> Vec<bool> {
    let list = Call::get(format!("/v1/subjects/{}/disclosures", child.subject));
    let list = list.bearer(&child.parent).send(house).await.is(200).value();
    let rows = list["disclosures"].as_array().unwrap().iter();
    rows.filter(|row| row["practitioner"] == practitioner && row["act"] == "fhir-export")
        .map(|row| row["permitted"].as_bool().unwrap())
        .collect()
}

#[test]
fn a_group_is_exported_as_far_as_it_is_permitted_then() {
    run(async |house| {
        let name = "exporter-of-a-group";
        let token = exporter(house, name);
        let (stays, leaves) = (
            child(house, "ExportStays").await,
            child(house, "ExportLeaves").await,
        );
        let outside = child(house, "ExportOutside").await;
        let group = group_of(house, &[&stays.patient, &leaves.patient]).await;
        let path = format!("/Group/{group}/$export?_type=Patient,Observation");
        let state = begun(house, &token, &path).await;
        let manifest = planned(house, &token, &state).await;
        assert_eq!(manifest["requiresAccessToken"], true);
        assert_eq!(
            manifest["request"],
            format!("http://fhir.example/fhir{path}")
        );
        assert_eq!(manifest["error"], json!([]));
        // Nothing was read of anybody yet.
        assert!(readings(house, &stays, name).await.is_empty());
        let found = downloaded(house, &token, &manifest).await;
        let of_both = [&stays, &leaves].map(|child| [&child.patient, &child.observation]);
        let expected: BTreeSet<String> = of_both.into_iter().flatten().cloned().collect();
        assert_eq!(ids(&found), expected);
        assert_eq!(readings(house, &stays, name).await, [true; 2]);

        let restricted = Call::put(format!("/v1/subjects/{}/restriction", leaves.subject))
            .bearer(&house.staff.desk)
            .json(&json!({"restricted": true}));
        restricted.send(house).await.is(200);
        let found = downloaded(house, &token, &manifest).await;
        let left = [&stays.patient, &stays.observation].map(String::clone);
        assert_eq!(ids(&found), BTreeSet::from(left));
        let seen = readings(house, &leaves, name).await;
        assert_eq!(seen, [true, true, false, false]);
        assert!(readings(house, &outside, name).await.is_empty());
        end(house, &token, &state).await.is(202);
    });
}

#[test]
fn patients_and_everything() {
    run(async |house| {
        let token = exporter(house, "exporter-of-all");
        let patient = new_patient(house, "ExportAll").await;
        let flag = json!({"status": "active", "code": {"text": "careful"}});
        let flag = about(house, "Flag", &patient, &flag).await;
        let service = json!({"resourceType": "HealthcareService", "comment": "of the house"});
        let service = created(house, &service).await.field("id");
        let types = "_type=Flag,HealthcareService";
        for (path, has_service) in [("/Patient/$export", false), ("/$export", true)] {
            let state = begun(house, &token, &format!("{path}?{types}")).await;
            let manifest = planned(house, &token, &state).await;
            let found = ids(&downloaded(house, &token, &manifest).await);
            assert!(found.contains(&flag), "{path}");
            assert_eq!(found.contains(&service), has_service, "{path}");
            end(house, &token, &state).await.is(202);
        }
        // With Parameters, and from a time on that has not come.
        let parameters = json!({"resourceType": "Parameters", "parameter": [
            {"name": "_type", "valueString": "Flag"},
            {"name": "_outputFormat", "valueString": "application/fhir+ndjson"},
            {"name": "_since", "valueInstant": "2199-01-01T00:00:00Z"},
        ]});
        let begin = Call::post("/fhir/Patient/$export")
            .bearer(&token)
            .header("host", "fhir.example")
            .header("prefer", "respond-async, handling=strict")
            .fhir(&parameters);
        let begun = begin.send(house).await.is(202);
        let state = local(begun.header("content-location")).to_owned();
        let manifest = planned(house, &token, &state).await;
        assert_eq!(manifest["output"][0]["type"], "Flag");
        assert!(downloaded(house, &token, &manifest).await.is_empty());
        end(house, &token, &state).await.is(202);
    });
}

/// What is exported is how things stood when the export began, a line each, however long the file is.
#[test]
fn a_file_is_of_one_moment() {
    run(async |house| {
        let token = exporter(house, "exporter-of-a-moment");
        let patient = new_patient(house, "ExportMoment").await;
        let group = group_of(house, &[&patient]).await;
        let entries: Vec<Value> = (0..300)
            .map(|at| {
                let goal = json!({
                    "resourceType": "Goal", "lifecycleStatus": "active",
                    "description": {"text": format!("goal {at}")},
                    "subject": {"reference": format!("Patient/{patient}")},
                });
                json!({"resource": goal, "request": {"method": "POST", "url": "Goal"}})
            })
            .collect();
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
        // Line ends in what was sent are white space in a line.
        let pretty = serde_json::to_string_pretty(&bundle).unwrap();
        let call = Call::post("/fhir").bytes("application/fhir+json", pretty);
        by_clinician(house, call).send(house).await.is(200);
        let state = begun(house, &token, &format!("/Group/{group}/$export?_type=Goal")).await;
        let manifest = planned(house, &token, &state).await;
        let before = downloaded(house, &token, &manifest).await;
        assert_eq!(before.len(), 300);
        assert_eq!(ids(&before).len(), 300);

        let mut changed = before[7].1.clone();
        changed["lifecycleStatus"] = json!("completed");
        let id = changed["id"].as_str().unwrap().to_owned();
        let put = Call::put(format!("/fhir/Goal/{id}")).fhir(&changed);
        by_clinician(house, put).send(house).await.is(200);
        let later = json!({"lifecycleStatus": "active", "description": {"text": "later"}});
        about(house, "Goal", &patient, &later).await;
        let gone = before[8].1["id"].as_str().unwrap();
        let delete = by_clinician(house, Call::delete(format!("/fhir/Goal/{gone}")));
        delete.send(house).await.is(204);
        let after = downloaded(house, &token, &manifest).await;
        let mut expected = ids(&before);
        expected.remove(gone);
        assert_eq!(ids(&after), expected);
        let of_id = |found: &[(String, Value)]| {
            let resource = found.iter().find(|(_, resource)| resource["id"] == *id);
            resource.unwrap().1.clone()
        };
        assert_eq!(of_id(&after), before[7].1);
        assert_eq!(
            get(house, &format!("/Goal/{id}")).await.value()["lifecycleStatus"],
            "completed"
        );
        end(house, &token, &state).await.is(202);
    });
}

#[test]
fn an_export_is_its_askers_own() {
    run(async |house| {
        let (own, other) = (
            exporter(house, "exporter-own"),
            exporter(house, "exporter-other"),
        );
        let patient = new_patient(house, "ExportOwn").await;
        let group = group_of(house, &[&patient]).await;
        let path = format!("/Group/{group}/$export?_type=Patient");
        let state = begun(house, &own, &path).await;
        let manifest = planned(house, &own, &state).await;
        let url = manifest["output"][0]["url"].as_str().unwrap();
        let file = local(url).to_owned();
        for path in [&state, &file] {
            ask(&other, path).send(house).await.is(404);
            ask("", path).send(house).await.is(401);
        }
        end(house, &other, &state).await.is(404);
        ask(&own, &file).send(house).await.is(200);
        for none in ["Patient.1.ndjson", "Observation.0.ndjson", "x", "Patient.0"] {
            let none = file.replace("Patient.0.ndjson", none);
            ask(&own, &none).send(house).await.is(404);
        }
        end(house, &own, &state).await.is(202);
        for path in [&state, &file] {
            ask(&own, path).send(house).await.is(404);
        }
        end(house, &own, &state).await.is(404);
    });
}

#[test]
fn a_parent_exports_one_child() {
    run(async |house| {
        let (own, other) = (
            child(house, "ExportParent").await,
            child(house, "ExportStranger").await,
        );
        for path in ["/$export", "/Patient/$export"] {
            let state = begun(
                house,
                &own.parent,
                &format!("{path}?_type=Patient,Observation"),
            )
            .await;
            let manifest = planned(house, &own.parent, &state).await;
            let found = ids(&downloaded(house, &own.parent, &manifest).await);
            let expected = [&own.patient, &own.observation].map(String::clone);
            assert_eq!(found, BTreeSet::from(expected));
            end(house, &own.parent, &state).await.is(202);
        }
        assert!(!readings(house, &own, "family").await.is_empty());
        assert!(readings(house, &other, "family").await.is_empty());
    });
}

#[test]
fn exports_that_are_refused() {
    run(async |house| {
        let token = exporter(house, "exporter-refused");
        let plain = ask(&token, "/Patient/$export").send(house).await.is(400);
        assert!(plain.text().contains("respond-async"));
        let cases = [
            ("/Patient/$export?_outputFormat=text/csv", 400),
            ("/Patient/$export?_since=yesterday", 400),
            ("/Patient/$export?_type=Kanarienvogel", 400),
            ("/Patient/$export?_typeFilter=Flag%3Fstatus%3Dactive", 400),
            ("/Patient/$export?favourite=Kanarienvogel", 400),
            ("/Observation/$export", 404),
            ("/Patient/x/$export", 404),
            ("/Group/no-such-group/$export", 404),
        ];
        for (path, status) in cases {
            ask_async(&token, path).send(house).await.is(status);
        }
        let lenient =
            |path: &str| ask(&token, path).header("prefer", "respond-async, handling=lenient");
        let path = "/Patient/$export?_type=Flag&_typeFilter=Flag%3Fstatus%3Dactive";
        let begun = lenient(path).send(house).await.is(202);
        assert!(begun.text().contains("_typeFilter"), "{}", begun.text());
        let state = local(begun.header("content-location")).to_owned();
        end(house, &token, &state).await.is(202);
        // What would be more than was asked for is refused all the same.
        let patient = lenient("/Patient/$export?patient=Patient/1");
        patient.send(house).await.is(400);
        lenient("/Patient/$export?_type=Kanarienvogel")
            .send(house)
            .await
            .is(400);
        let xml = ask_async(&token, "/Patient/$export").header("accept", "application/fhir+xml");
        xml.send(house).await.is(406);
        let body = Call::post("/fhir/$export")
            .bearer(&token)
            .header("prefer", "respond-async")
            .fhir(&json!({"resourceType": "Patient"}));
        body.send(house).await.is(400);
    });
}

/// One asker cannot take the places of all.
#[test]
fn exports_are_counted() {
    run(async |house| {
        let token = exporter(house, "exporter-of-many");
        let mut states = Vec::new();
        let refused = loop {
            assert!(states.len() <= 8, "no bound");
            let call = ask_async(&token, "/Patient/$export?_type=Flag");
            let answer = call.send(house).await;
            if answer.status != 202 {
                break answer;
            }
            let state = local(answer.header("content-location")).to_owned();
            planned(house, &token, &state).await;
            states.push(state);
        };
        assert_eq!((refused.status, states.len()), (429, 8));
        assert_eq!(refused.header("retry-after"), "1");
        for state in states {
            end(house, &token, &state).await.is(202);
        }
        let state = begun(house, &token, "/Patient/$export?_type=Flag").await;
        end(house, &token, &state).await.is(202);
    });
}

/// Scopes bound what is exported, when it begins and when it is downloaded.
#[test]
fn scopes_bound_an_export() {
    run(async |house| {
        let narrow = house.app_token("openid user/Observation.rs");
        let wide = house.app_token("openid user/*.rs");
        let patient = new_patient(house, "ExportScopes").await;
        let group = group_of(house, &[&patient]).await;
        // The Group itself is read.
        let path = format!("/Group/{group}/$export");
        ask_async(&narrow, &path).send(house).await.is(403);
        let state = begun(house, &wide, &format!("{path}?_type=Observation,Patient")).await;
        let manifest = planned(house, &wide, &state).await;
        let patients = manifest["output"].as_array().unwrap();
        let patients = patients.iter().find(|output| output["type"] == "Patient");
        let file = local(patients.unwrap()["url"].as_str().unwrap()).to_owned();
        ask(&wide, &file).send(house).await.is(200);
        ask(&narrow, &file).send(house).await.is(403);
        end(house, &wide, &state).await.is(202);
        let only = begun(house, &narrow, "/Patient/$export?_type=Patient,Observation").await;
        let manifest = planned(house, &narrow, &only).await;
        let kinds: Vec<&str> = manifest["output"]
            .as_array()
            .unwrap()
            .iter()
            .map(|output| output["type"].as_str().unwrap())
            .collect();
        assert!(kinds.iter().all(|kind| *kind == "Observation"), "{kinds:?}");
        end(house, &narrow, &only).await.is(202);
        let none = ask_async(&narrow, "/Patient/$export?_type=Patient");
        none.send(house).await.is(403);
        let one = house.app_token("openid launch/patient patient/*.rs");
        ask_async(&one, "/Patient/$export")
            .send(house)
            .await
            .is(403);
    });
}
