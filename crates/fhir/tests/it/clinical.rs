//! What is read of Bundles of any type, and of patients, conditions and observations.

use fhir::{Limits, MAX_ENTRIES, Measured, Onset, Parsed, resources};
use serde_json::{Value, json};

fn parse(resource: &Value, look: impl FnOnce(&Parsed<'_>)) {
    look(&Parsed::parse(resource.to_string().as_bytes()).unwrap());
}

#[test]
fn a_bundle_of_any_type_is_looked_into() {
    let entry = json!({"fullUrl": "urn:uuid:a", "resource": {"resourceType": "Patient", "gender": "female"}});
    for kind in [
        "searchset",
        "history",
        "document",
        "transaction",
        "collection",
    ] {
        let bundle =
            json!({"resourceType": "Bundle", "type": kind, "entry": [entry, {"search": {}}]});
        let source = bundle.to_string();
        let found = resources(source.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(found.len(), 1, "{kind}");
        assert_eq!(found[0].full_url.as_deref(), Some("urn:uuid:a"));
        assert_eq!(found[0].parsed.patient().unwrap().gender, "female");
        assert!(found[0].parsed.condition().is_none());
    }
    let many =
        json!({"resourceType": "Bundle", "entry": vec![json!({}); MAX_ENTRIES + 1]}).to_string();
    let refused = resources(many.as_bytes(), &Limits::default())
        .unwrap_err()
        .to_string();
    assert!(refused.contains("($.entry[20000])"), "{refused}");
}

#[test]
fn a_condition_and_an_observation_in_plain_values() {
    let condition = json!({"resourceType": "Condition", "code": {"text": "a", "coding": "not a list"},
        "onsetAge": {"value": 3.50, "code": "a"}, "recordedDate": "2020"});
    parse(&condition, |parsed| {
        let condition = parsed.condition().unwrap();
        let Some(Onset::Age(age)) = condition.onset else {
            panic!()
        };
        assert_eq!(age.value.as_deref(), Some("3.5"));
        assert_eq!(
            (&*condition.code.text, condition.code.codings.len()),
            ("a", 0)
        );
        assert_eq!(condition.date.as_deref(), Some("2020"));
    });
    let observation = json!({"resourceType": "Observation", "status": "final", "effectivePeriod": {"start": "2019", "end": "2020"},
        "code": {}, "component": [{"code": {}, "valueInteger": 4}, {"code": {}, "valueRange": {}}, {"code": {}, "dataAbsentReason": {}}]});
    parse(&observation, |parsed| {
        let observation = parsed.observation().unwrap();
        assert_eq!(observation.date.as_deref(), Some("2020"));
        let [whole, other, absent] = observation.components.as_slice() else {
            panic!()
        };
        assert!(
            matches!(&whole.value, Some(Measured::Quantity(q)) if q.value.as_deref() == Some("4"))
        );
        assert!(matches!(other.value, Some(Measured::Other)));
        assert!(absent.value.is_none() && absent.is_absent);
        assert_eq!(format!("{observation:?}"), "Observation(<redacted>)");
    });
}

#[test]
fn what_changes_the_meaning_is_seen_at_any_depth() {
    let extension = json!([{"url": "http://x", "valueBoolean": true}]);
    let plain = json!({"resourceType": "Observation", "status": "final", "code": {}, "component": [{"code": {}}]});
    parse(&plain, |parsed| assert!(!parsed.is_modified()));
    for pointer in ["", "/component/0"] {
        let mut modified = plain.clone();
        modified.pointer_mut(pointer).unwrap()["modifierExtension"] = extension.clone();
        parse(&modified, |parsed| {
            assert!(parsed.is_modified(), "{pointer}")
        });
    }
    let mut ruled = plain;
    ruled["implicitRules"] = json!("http://x");
    parse(&ruled, |parsed| assert!(parsed.is_modified()));
}
