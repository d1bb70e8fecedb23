//! Single resources: what goes in and what comes out.

use codec::time::Date;
use deident::{Cloak, Fates, Refusal, Rules, StudyKey};
use keys::Secret;
use serde_json::{Value, json};

pub(crate) fn at() -> Date {
    Date::new(2026, 6, 15).unwrap()
}

pub(crate) fn study(number: u8) -> StudyKey {
    StudyKey::derive(&Secret::from_bytes([7; 32]), &[number; 16])
}

pub(crate) fn cloak() -> Cloak {
    study(1).subject(&[9; 32], &["p1"])
}

pub(crate) fn run(resource: &Value) -> (Result<Value, Refusal>, Fates) {
    let mut fates = Rules::shipped().fates();
    let bytes = serde_json::to_vec(resource).unwrap();
    let out = Rules::shipped().resource(&cloak(), at(), &bytes, &mut fates);
    (out.map(|out| serde_json::from_slice(&out).unwrap()), fates)
}

/// What becomes of a resource, without what every resource has.
fn check(resource: Value, expect: Value) {
    let mut out = run(&resource).0.unwrap();
    let meta = out.as_object_mut().unwrap().remove("meta").unwrap();
    assert_eq!(meta["security"][0]["code"], "PSEUDED");
    assert_eq!(out, expect);
}

#[test]
fn an_observation_keeps_codes_and_values() {
    let patient = format!("Patient/{}", cloak().pseudonym());
    check(
        json!({"resourceType": "Observation", "status": "final", "text": {"status": "generated", "div": "<div/>"},
            "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2", "display": "Body Height"},
                {"system": "http://hospital.example", "code": "MRN-77"}], "text": "height of Ann"},
            "subject": {"reference": "Patient/p1", "display": "Ann"},
            "performer": [{"reference": "Practitioner/x"}],
            "valueQuantity": {"value": 166.034_583_2, "unit": "cm", "system": "http://unitsofmeasure.org", "code": "cm"}}),
        json!({"resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]},
            "subject": {"reference": patient},
            "valueQuantity": {"value": 166.035, "unit": "cm", "system": "http://unitsofmeasure.org", "code": "cm"}}),
    );
}
