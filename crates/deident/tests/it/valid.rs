//! What comes out is valid R4, whatever valid resource goes in.

use crate::{examples, sample};
use deident::{Rules, StudyKey};
use fhir::{Limits, Severity, Strictness};
use std::collections::BTreeMap;

/// De-identifies each resource for the subject that it names, and validates what comes out; gives how many
/// were released, and how many refused by reason.
fn check(resources: &[Vec<u8>]) -> (u64, BTreeMap<String, u64>) {
    let study: StudyKey = examples::study(1);
    let rules = Rules::shipped();
    let mut fates = rules.fates();
    for resource in resources {
        let document: serde_json::Value = serde_json::from_slice(resource).unwrap();
        let named = ["subject", "patient"]
            .iter()
            .find_map(|name| document[*name]["reference"].as_str());
        let patient = match document["resourceType"] == "Patient" {
            true => document["id"].as_str(),
            false => named.and_then(|text| text.strip_prefix("Patient/")),
        };
        let patient = patient.unwrap_or("nobody");
        let cloak = study.subject(patient.as_bytes(), &[patient]);
        if let Ok(out) = rules.resource(&cloak, examples::at(), resource, &mut fates) {
            let issues =
                fhir::validate_bytes(&out, &Limits::default(), Strictness::Strict).unwrap();
            let errors: Vec<_> = issues
                .iter()
                .filter(|i| i.severity == Severity::Error)
                .collect();
            assert!(
                errors.is_empty(),
                "{errors:?}\n{document}\n{}",
                String::from_utf8_lossy(&out)
            );
        }
    }
    let refused = fates.refused().map(|(why, count)| (why.to_owned(), count));
    (fates.released(), refused.collect())
}

#[test]
fn official_examples_stay_valid() {
    let files = sample::official();
    let bytes: Vec<Vec<u8>> = files.into_iter().map(|(_, bytes)| bytes).collect();
    let (released, refused) = check(&bytes);
    // Three of each type with rules but for two: their subjects are a group and a device.
    let meant = [
        "not the subject: Observation.subject",
        "not the subject: ServiceRequest.subject",
    ];
    let others = refused
        .iter()
        .filter(|(why, _)| !why.starts_with("no rules: "));
    assert!(
        others.map(|(why, _)| why.as_str()).eq(meant),
        "{refused:#?}"
    );
    assert_eq!(released, 35, "{refused:#?}");
}

#[test]
fn all_official_examples_stay_valid() {
    let files = sample::official_all();
    if files.is_empty() {
        return;
    }
    let bytes: Vec<Vec<u8>> = files.into_iter().map(|(_, bytes)| bytes).collect();
    let (released, refused) = check(&bytes);
    assert!(released > 190, "{released} {refused:#?}");
}

#[test]
fn synthetic_patients_stay_valid() {
    let samples = [sample::synthea(), sample::synthea_development()];
    for resources in samples.iter().filter(|resources| !resources.is_empty()) {
        let (released, refused) = check(resources);
        assert!(released > 150);
        let others = refused.keys().find(|why| !why.starts_with("no rules: "));
        assert_eq!(others, None);
    }
}

/// Whatever single member is taken from an official example, what comes out is valid or nothing.
#[test]
fn examples_with_a_part_missing_stay_valid() {
    let mut tried = Vec::new();
    for (_, bytes) in sample::official() {
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let name = document["resourceType"].as_str().unwrap();
        if !Rules::shipped().resource_types().any(|ruled| ruled == name) {
            continue;
        }
        for way in ways(&document, "") {
            let (parent, last) = way.rsplit_once('/').unwrap();
            let mut without = document.clone();
            if let Some(members) = without
                .pointer_mut(parent)
                .and_then(|parent| parent.as_object_mut())
            {
                members.remove(last);
                tried.push(serde_json::to_vec(&without).unwrap());
            }
            let mut other = document.clone();
            *other.pointer_mut(&way).unwrap() = serde_json::json!("plain");
            tried.push(serde_json::to_vec(&other).unwrap());
        }
    }
    assert!(tried.len() > 1_000, "{}", tried.len());
    let (released, _) = check(&tried);
    assert!(released > 1_000, "{released}");
}

/// The pointers to everything in a document.
fn ways(value: &serde_json::Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    let children: Vec<(String, &serde_json::Value)> = match value {
        serde_json::Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), value))
            .collect(),
        serde_json::Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(n, value)| (n.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    for (name, child) in children {
        let way = format!("{at}/{name}");
        found.extend(ways(child, &way));
        found.push(way);
    }
    found
}
