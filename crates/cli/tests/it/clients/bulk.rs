//! SMART's own client for bulk data gets what consent permits, whole, and nothing else.

use super::{House, fhir, patient, python, said, sources};
use crate::{
    institution::{As, Server},
    sharing::id_of,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Resources by type and id.
type Resources = BTreeMap<String, BTreeMap<String, Value>>;

fn post(server: &Server<'_>, path: &str, who: As, body: &Value) -> Value {
    let media = match path.starts_with("/v1") && path.ends_with("/grants") {
        true => "application/json",
        false => "application/fhir+json",
    };
    let headers = [("content-type", media), ("prefer", "wait=final")];
    let body = body.to_string();
    let answer = server.call("POST", path, who, &headers, Some(body.as_bytes()));
    answer.is(201).value()
}

/// What is there, as a clinician reads it.
fn read(server: &Server<'_>, there: &mut Resources, kind: &str, id: &str) {
    let path = format!("/fhir/{kind}/{id}");
    let found = server.get(&path, As::Clinician).is(200).value();
    let of_kind = there.entry(kind.to_owned()).or_default();
    of_kind.insert(id.to_owned(), found);
}

fn put_in(server: &Server<'_>, there: &mut Resources, resource: &Value) -> String {
    let kind = resource["resourceType"].as_str().unwrap();
    let made = post(server, &format!("/fhir/{kind}"), As::Clinician, resource);
    let id = made["id"].as_str().unwrap().to_owned();
    read(server, there, kind, &id);
    id
}

/// A family: the path of its subject, its Patient, and what was seen of them.
fn family(server: &Server<'_>, name: &str) -> (String, String, Resources) {
    let mut there = Resources::new();
    let path = server.open();
    let who = json!({
        "resourceType": "Patient", "name": [{"family": name}], "birthDate": "2019-03-04",
    });
    let made = post(server, &format!("{path}/records"), As::Clinician, &who);
    let patient = made["record"].as_str().unwrap().to_owned();
    read(server, &mut there, "Patient", &patient);
    let subject = json!({"reference": format!("Patient/{patient}")});
    for number in 0..20 {
        let seen = json!({
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "subject": subject,
            "valueQuantity": {"value": 60 + number, "unit": "/min"},
        });
        put_in(server, &mut there, &seen);
    }
    let ill = json!({
        "resourceType": "Condition", "code": {"text": "Zażółć \u{2028} \"x\"\n"}, "subject": subject,
    });
    put_in(server, &mut there, &ill);
    (path, patient, there)
}

/// All of several.
fn together(all: &[&Resources]) -> Resources {
    let mut sum = Resources::new();
    for (kind, resources) in all.iter().flat_map(|there| there.iter()) {
        sum.entry(kind.clone())
            .or_default()
            .extend(resources.clone());
    }
    sum
}

/// What a client printed of one level.
fn level(told: &Value, name: &str) -> Resources {
    let mut found = Resources::new();
    let of_level = told[name].as_object().unwrap();
    // A file may be empty.
    let filled = |resources: &Value| resources.as_array().is_some_and(|all| !all.is_empty());
    for (kind, resources) in of_level.iter().filter(|(_, all)| filled(all)) {
        let of_kind = found.entry(kind.clone()).or_default();
        for resource in resources.as_array().unwrap() {
            let id = resource["id"].as_str().unwrap().to_owned();
            assert_eq!(of_kind.insert(id, resource.clone()), None, "{kind} twice");
        }
    }
    found
}

#[test]
fn a_bulk_client_gets_what_is_permitted() {
    let Some(python) = python("a_bulk_client_gets_what_is_permitted") else {
        return;
    };
    let house = House::found();
    let server = house.start();
    let registry = json!({"institution": id_of(&house.institution), "practitioner": "registry"});
    let grant = json!({
        "grantee": {"practitioner": registry},
        "purposes": ["HRESCH"],
        "categories": ["identity", "phenotype", "genomic", "laboratory", "vitals", "documents"],
        "from": "2020-01-01T00:00:00Z",
        "until": "2090-01-01T00:00:00Z",
    });
    let (path, first, of_first) = family(&server, "First");
    post(&server, &format!("{path}/grants"), As::Desk, &grant);
    let (path, _, of_second) = family(&server, "Second");
    post(&server, &format!("{path}/grants"), As::Desk, &grant);
    // Nobody asked the third.
    let (_, third, _) = family(&server, "Third");
    let mut directory = Resources::new();
    let hospital = json!({"resourceType": "Organization", "name": "Tested Hospital"});
    put_in(&server, &mut directory, &hospital);
    let members =
        [&first, &third].map(|id| json!({"entity": {"reference": format!("Patient/{id}")}}));
    let group =
        json!({"resourceType": "Group", "type": "person", "actual": true, "member": members});
    let group = put_in(&server, &mut directory, &group);

    let mut command = patient(&python.program);
    command.arg("-B").arg(sources().join("bulk_client.py"));
    command.arg(fhir(&server)).arg(house.institution.data());
    command
        .arg(group)
        .env("ITHACA", env!("CARGO_BIN_EXE_ithaca"));
    let told: Value = serde_json::from_str(&said(&mut command, &house.token)).unwrap();
    let families = together(&[&of_first, &of_second]);
    let everything = together(&[&families, &directory]);
    for (name, there) in [
        ("patients", families),
        ("system", everything),
        ("group", of_first),
    ] {
        let found = level(&told, name);
        let ids = |resources: &Resources| -> BTreeSet<String> {
            resources
                .values()
                .flat_map(|all| all.keys().cloned())
                .collect()
        };
        assert_eq!(ids(&found), ids(&there), "{name}");
        assert_eq!(found, there, "{name}");
    }
    server.stop("-TERM");
}
