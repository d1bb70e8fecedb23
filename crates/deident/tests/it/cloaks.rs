//! Pseudonyms, shifted dates and re-contact tokens.

use crate::examples::{at, cloak, run, study};
use deident::{Fate, RECONTACT_BYTES, RecontactError, Refusal, Rules, StudyKey};
use keys::Secret;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A condition of patient `p1` with an onset and an end.
fn condition(start: &str, end: &str) -> Value {
    json!({"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p1"},
        "onsetPeriod": {"start": start, "end": end}, "recordedDate": start})
}

fn deidentified(key: &StudyKey, resource: &Value) -> Value {
    let cloak = key.subject(&[9; 32], &["p1"]);
    let bytes = serde_json::to_vec(resource).unwrap();
    let mut fates = Rules::shipped().fates();
    let out = Rules::shipped()
        .resource(&cloak, at(), &bytes, &mut fates)
        .unwrap();
    serde_json::from_slice(&out).unwrap()
}

/// Two studies, or two custodians, have nothing of a subject in common.
#[test]
fn studies_do_not_link() {
    let resource = condition("2020-01-01", "2020-02-01");
    let other_custodian = StudyKey::derive(&Secret::from_bytes([8; 32]), &[1; 16]);
    let [a, b, c] = [study(1), study(2), other_custodian].map(|key| deidentified(&key, &resource));
    for at in ["/id", "/subject/reference"] {
        let [a, b, c] = [&a, &b, &c].map(|out| out.pointer(at).unwrap());
        assert!(a != b && b != c && a != c, "{at}");
    }
    // Within a study everything of a subject leads to it, and the same again gives the same.
    assert_eq!(a, deidentified(&study(1), &resource));
    let patient = deidentified(&study(1), &json!({"resourceType": "Patient", "id": "p1"}));
    assert_eq!(
        a["subject"]["reference"],
        format!("Patient/{}", patient["id"].as_str().unwrap())
    );
    assert_eq!(
        patient["id"],
        study(1).subject(&[9; 32], &[]).pseudonym().to_string()
    );
    assert_ne!(
        study(1).subject(&[1; 32], &[]).pseudonym(),
        study(1).subject(&[2; 32], &[]).pseudonym()
    );
}

/// Shifts of many subjects: never none, and independent between studies.
#[test]
fn shifts_differ_between_studies() {
    let day = |key: &StudyKey, number: u8| {
        let cloak = key.subject(&[number; 32], &["p1"]);
        let bytes = serde_json::to_vec(&condition("2020-01-01", "2020-02-01")).unwrap();
        let out = Rules::shipped()
            .resource(&cloak, at(), &bytes, &mut Rules::shipped().fates())
            .unwrap();
        let out: Value = serde_json::from_slice(&out).unwrap();
        out["recordedDate"].as_str().unwrap().to_owned()
    };
    let (one, two) = (study(1), study(2));
    let pairs: Vec<_> = (0..100)
        .map(|number| (day(&one, number), day(&two, number)))
        .collect();
    assert!(
        pairs
            .iter()
            .all(|(a, b)| a != "2020-01-01" && b != "2020-01-01")
    );
    let same = pairs.iter().filter(|(a, b)| a == b).count();
    assert!(same < 10, "{same}");
    let distinct: std::collections::BTreeSet<_> = pairs.iter().map(|(a, _)| a).collect();
    assert!(distinct.len() > 40, "{}", distinct.len());
}

#[test]
fn another_person_is_refused() {
    for reference in [
        "Patient/p2",
        "Group/p1",
        "http://h.example/Patient/p1",
        "urn:uuid:p1",
        "#p1",
    ] {
        let mut resource = condition("2020-01-01", "2020-02-01");
        resource["subject"]["reference"] = json!(reference);
        let (out, fates) = run(&resource);
        assert!(
            matches!(out, Err(Refusal::NotTheSubject { .. })),
            "{reference}"
        );
        assert_eq!(
            fates.refused().next(),
            Some(("not the subject: Condition.subject", 1))
        );
        assert_eq!(fates.paths().count(), 0);
    }
    let (out, _) = run(&json!({"resourceType": "Patient", "id": "p2"}));
    assert!(matches!(out, Err(Refusal::NotTheSubject { .. })));
}

/// What would mean something else without what cannot leave is refused, or dropped with what it qualifies.
#[test]
fn meaning_is_not_changed() {
    let base = condition("2020-01-01", "2020-02-01");
    let refuted = |code: &str| {
        json!({"coding": [{
        "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": code}]})
    };
    for (name, value) in [
        (
            "modifierExtension",
            json!([{"url": "http://x.example", "valueBoolean": true}]),
        ),
        ("implicitRules", json!("http://x.example")),
        ("verificationStatus", refuted("not a code")),
        ("clinicalStatus", json!({"text": "resolved"})),
    ] {
        let mut resource = base.clone();
        resource[name] = value;
        assert!(
            matches!(run(&resource).0, Err(Refusal::Meaning { .. })),
            "{name}"
        );
    }
    let mut resource = base.clone();
    resource["verificationStatus"] = refuted("refuted");
    assert_eq!(
        run(&resource).0.unwrap()["verificationStatus"],
        refuted("refuted")
    );
    // "Less than 5" is not 5.
    let observation = |quantity: Value| {
        json!({"resourceType": "Observation", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]}, "valueQuantity": quantity})
    };
    let ucum = |value: Value, code: &str| json!({"value": value, "system": "http://unitsofmeasure.org", "code": code});
    let mut less = ucum(json!(5), "mg");
    less["comparator"] = json!("<");
    assert_eq!(
        run(&observation(less.clone())).0.unwrap()["valueQuantity"],
        less
    );
    for dropped in [
        json!({"value": 5, "comparator": "about"}),
        json!({"value": 5, "unit": "teaspoons of Ann"}),
        ucum(json!(5), "{Ann}"),
        ucum(json!(97), "a"),
    ] {
        let out = run(&observation(dropped.clone())).0.unwrap();
        assert!(out.get("valueQuantity").is_none(), "{dropped}");
    }
}

#[test]
fn old_age_is_pooled() {
    let patient = |birth: &str| {
        let (out, fates) = run(&json!({"resourceType": "Patient", "id": "p1", "birthDate": birth}));
        assert_eq!(fates.count("Patient.birthDate", Fate::Banded), 1, "{birth}");
        let out = out.unwrap();
        assert!(out.get("birthDate").is_none());
        let range = out["extension"][0]["valueRange"].clone();
        (
            range["low"]["value"].as_u64().unwrap(),
            range["high"]["value"].as_u64(),
        )
    };
    assert_eq!(patient("1926-01-02"), (90, None));
    assert_eq!(patient("1901"), (90, None));
    assert_eq!(patient("1936-06-16"), (85, Some(89)));
    assert_eq!(patient("1936-06-15"), (90, None));
    assert_eq!(patient("1936-12"), (85, Some(89)));
    assert_eq!(patient("1980-05"), (45, Some(49)));
    assert_eq!(patient("2025-12-01"), (0, Some(0)));
    let (out, _) = run(&json!({"resourceType": "Patient", "id": "p1", "birthDate": "2030-01-01"}));
    assert!(out.unwrap().get("extension").is_none());
    // An age, and a date so long ago that it shows one.
    let mut aged = condition("1930-01-01", "2020-02-01");
    aged.as_object_mut().unwrap().remove("recordedDate");
    let out = run(&aged).0.unwrap();
    assert!(out["onsetPeriod"].get("start").is_none() && out["onsetPeriod"].get("end").is_some());
    let age = |value: f64| {
        let mut resource = condition("2020-01-01", "2020-02-01");
        resource.as_object_mut().unwrap().remove("onsetPeriod");
        resource["onsetAge"] = json!({"value": value, "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"});
        let age = run(&resource).0.unwrap()["onsetAge"].clone();
        (
            age["value"].as_u64().unwrap(),
            age["comparator"].as_str().map(str::to_owned),
        )
    };
    assert_eq!(age(52.5), (52, None));
    assert_eq!(age(97.0), (90, Some(">=".into())));
    let (out, fates) =
        run(&json!({"resourceType": "Patient", "id": "p1", "deceasedDateTime": "1905"}));
    assert_eq!(out.unwrap()["deceasedBoolean"], true);
    assert_eq!(fates.count("Patient.deceasedDateTime", Fate::Banded), 1);
}

#[test]
fn tokens_open_for_their_study_and_custodian_alone() {
    let mut number = 0_u8;
    let mut entropy = |out: &mut [u8]| {
        number += 1;
        out.fill(number);
    };
    let key = study(1);
    let subject = [3; 32];
    let token = key.seal_recontact(&subject, &mut entropy).unwrap();
    let again = key.seal_recontact(&subject, &mut entropy).unwrap();
    assert_ne!(token, again);
    let short = key.seal_recontact(b"x", &mut entropy).unwrap();
    assert_eq!(
        (token.len(), short.len()),
        (RECONTACT_BYTES, RECONTACT_BYTES)
    );
    assert_eq!(*key.open_recontact(&token).unwrap(), subject);
    assert_eq!(&**key.open_recontact(&short).unwrap(), b"x");
    assert!(!token.windows(4).any(|bytes| bytes == [3; 4]));
    let other = StudyKey::derive(&Secret::from_bytes([8; 32]), &[1; 16]);
    for stranger in [study(2), other] {
        assert_eq!(
            stranger.open_recontact(&token).unwrap_err(),
            RecontactError::Refused
        );
    }
    for at in 0..token.len() {
        let mut altered = token.clone();
        altered[at] ^= 1;
        assert!(key.open_recontact(&altered).is_err(), "{at}");
    }
    assert!(key.open_recontact(&token[1..]).is_err());
    assert_eq!(
        key.seal_recontact(&[0; 65], &mut entropy),
        Err(RecontactError::TooLong)
    );
}

#[test]
fn nothing_prints_keys() {
    let shown = format!("{:?} {:?}", study(1), cloak());
    assert_eq!(shown, "StudyKey(<redacted>) Cloak(<redacted>)");
}

/// Days of a date that is written in full.
fn days(value: &Value) -> i64 {
    value
        .as_str()
        .unwrap()
        .parse::<codec::time::Date>()
        .unwrap()
        .days()
}

proptest! {
    /// Intervals between full dates are kept exactly, and the shift is of whole weeks, at most a year.
    #[test]
    fn intervals_are_kept(start in 0_i64..16_000, length in 0_i64..1_500, subject in any::<[u8; 8]>()) {
        let base = "1970-01-01".parse::<codec::time::Date>().unwrap().days();
        let text = |days: i64| codec::time::Date::from_days(base + days).unwrap().to_string();
        let (first, last) = (text(start), text(start + length));
        let cloak = study(1).subject(&subject, &["p1"]);
        let bytes = serde_json::to_vec(&condition(&first, &last)).unwrap();
        let out = Rules::shipped().resource(&cloak, at(), &bytes, &mut Rules::shipped().fates()).unwrap();
        let out: Value = serde_json::from_slice(&out).unwrap();
        let period = &out["onsetPeriod"];
        prop_assert_eq!(days(&period["end"]) - days(&period["start"]), length);
        prop_assert_eq!(&period["start"], &out["recordedDate"]);
        let moved = days(&period["start"]) - base - start;
        prop_assert!(moved % 7 == 0 && moved != 0 && moved.abs() <= 364, "{}", moved);
    }

    /// So are those between times, in whatever zones they are written.
    #[test]
    fn intervals_of_times_are_kept(start in 0_u64..400_000_000, length in 0_u64..40_000_000, zone in -12_i64..14) {
        let base = codec::time::Millis::from_rfc3339("2010-01-01T00:00:00Z").unwrap().get();
        let text = |seconds: u64| codec::time::Millis::new(base + seconds * 1000).to_rfc3339();
        let local = |seconds: u64| {
            let shifted = i64::try_from(seconds).unwrap() + zone * 3600 + 86_400;
            let day = codec::time::Millis::new(base - 86_400_000 + u64::try_from(shifted).unwrap() * 1000).to_rfc3339();
            format!("{}{}{:02}:00", day.trim_end_matches('Z'), if zone < 0 { '-' } else { '+' }, zone.abs())
        };
        let out = run(&condition(&text(start), &local(start + length))).0.unwrap();
        let at = |name: &str| codec::time::Millis::from_rfc3339(out["onsetPeriod"][name].as_str().unwrap()).unwrap().get();
        prop_assert_eq!(at("end") - at("start"), length * 1000);
        prop_assert!(out["onsetPeriod"]["end"].as_str().unwrap().ends_with('Z'));
    }
}
