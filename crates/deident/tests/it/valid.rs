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
    eprintln!("{released} {refused:#?}");
    assert!(released >= 20, "{released} {refused:#?}");
}

#[test]
fn all_official_examples_stay_valid() {
    let files = sample::official_all();
    let bytes: Vec<Vec<u8>> = files.into_iter().map(|(_, bytes)| bytes).collect();
    let (released, refused) = check(&bytes);
    eprintln!("{released} {refused:#?}");
}

#[test]
fn synthetic_patients_stay_valid() {
    let (released, refused) = check(&sample::synthea());
    eprintln!("{released} {refused:#?}");
    assert!(released > 150);
    let (released, refused) = check(&sample::synthea_development());
    eprintln!("{released} {refused:#?}");
}
