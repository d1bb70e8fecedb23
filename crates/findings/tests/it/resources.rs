//! FHIR resources and Bundles: conditions, observations, people.

use crate::{ONTOLOGY, id, ids, of, read, refusal};
use findings::{Basis, Case, Decision, LeftOut, State, When, Why};
use ontology::Sex;
use serde_json::{Value, json};

pub(crate) const HPO: &str = "http://human-phenotype-ontology.org";

pub(crate) fn bundle(resources: Vec<Value>) -> String {
    let entries: Vec<Value> = resources
        .into_iter()
        .map(|r| json!({"resource": r}))
        .collect();
    json!({"resourceType": "Bundle", "type": "searchset", "entry": entries}).to_string()
}

pub(crate) fn condition(id: &str, system: &str, code: &str, status: &str, date: &str) -> Value {
    json!({"resourceType": "Condition", "id": id, "recordedDate": date, "subject": {"reference": "Patient/p"},
        "verificationStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": status}]},
        "code": {"coding": [{"system": system, "code": code}]}})
}

fn seizure(id: &str, status: &str, date: &str) -> Value {
    condition(id, HPO, "HP:0001250", status, date)
}

fn feature(value: Value) -> Value {
    let mut observation = json!({"resourceType": "Observation", "id": "o", "status": "final", "effectiveDateTime": "2020-01-01",
        "code": {"coding": [{"system": HPO, "code": "HP:0001250"}]}});
    for (name, value) in value.as_object().unwrap() {
        observation[name] = value.clone();
    }
    observation
}

fn patient(gender: &str, born: &str) -> Value {
    json!({"resourceType": "Patient", "id": "p", "gender": gender, "birthDate": born})
}

#[track_caller]
fn seen(resources: Vec<Value>, state: Option<State>) -> Case {
    let case = read(&bundle(resources));
    let states: Vec<_> = case
        .findings
        .iter()
        .map(|f| (id(f.term), f.state))
        .collect();
    let expect: Vec<_> = state
        .iter()
        .map(|&s| ("HP:0001250".to_owned(), s))
        .collect();
    assert_eq!(states, expect);
    case
}

#[test]
fn verification_decides() {
    seen(
        vec![seizure("1", "confirmed", "2020")],
        Some(State::Observed),
    );
    seen(vec![seizure("1", "refuted", "2020")], Some(State::Excluded));
    for possible in ["provisional", "differential", "unconfirmed"] {
        let case = seen(vec![seizure("1", possible, "2020")], Some(State::Candidate));
        assert_eq!(case.findings[0].basis, Basis::Provisional);
    }
    // Provisional twice is still provisional.
    let twice = vec![
        seizure("1", "provisional", "2020"),
        seizure("2", "provisional", "2021"),
    ];
    seen(twice, Some(State::Candidate));
    let case = seen(vec![seizure("1", "entered-in-error", "2020")], None);
    assert_eq!(case.left_out.get(&LeftOut::EnteredInError), Some(&1));
    let case = seen(vec![seizure("1", "who-knows", "2020")], None);
    assert_eq!(case.unresolved[0].why, Why::UnclearState);
    let mut plain = seizure("1", "confirmed", "2020");
    plain.as_object_mut().unwrap().remove("verificationStatus");
    seen(vec![plain.clone()], Some(State::Observed));
    // One resource without a Bundle.
    assert_eq!(
        of(&read(&plain.to_string()), State::Observed),
        ["HP:0001250"]
    );
}

#[test]
fn every_usual_name_of_the_code_system() {
    for system in [
        "http://human-phenotype-ontology.org",
        "https://www.human-phenotype-ontology.org/",
        "http://purl.obolibrary.org/obo/hp.owl",
        "http://purl.obolibrary.org/obo/hp.fhir",
        "urn:oid:2.16.840.1.113883.6.339",
        "https://hpo.jax.org",
        "",
    ] {
        seen(
            vec![condition("1", system, "HP:0001250", "confirmed", "2020")],
            Some(State::Observed),
        );
    }
    for code in ["HP_0001250", "0001250", "hp:0001250"] {
        seen(
            vec![condition("1", HPO, code, "confirmed", "2020")],
            Some(State::Observed),
        );
    }
    let case = seen(
        vec![condition("1", HPO, "seizure", "confirmed", "2020")],
        None,
    );
    assert_eq!(case.unresolved[0].why, Why::UnknownId);
}

#[test]
fn other_systems_are_questions_and_diseases_are_kept_apart() {
    let mut anemia = condition(
        "1",
        "http://snomed.info/sct",
        "271737000",
        "confirmed",
        "2020",
    );
    anemia["code"]["text"] = json!("Anemia (disorder)");
    let case = seen(vec![anemia], None);
    assert_eq!(
        (
            case.unresolved[0].why,
            ids(case.unresolved[0].suggestions.clone())
        ),
        (Why::OtherSystem, vec!["HP:0001903".to_owned()])
    );
    assert_eq!(case.unresolved[0].place.to_string(), "Condition/1");
    let case = seen(
        vec![condition(
            "1",
            "http://www.omim.org",
            "154700",
            "provisional",
            "2020",
        )],
        None,
    );
    assert_eq!(case.recorded_diagnoses[0].id, "OMIM:154700");
    assert!(case.unresolved.is_empty());
}

#[test]
fn several_codes_of_one_concept() {
    let mut both = seizure("1", "confirmed", "2020");
    both["code"]["coding"] =
        json!([{"system": HPO, "code": "HP:0001250"}, {"system": HPO, "code": "HP:0007359"}]);
    assert_eq!(
        of(&read(&both.to_string()), State::Observed),
        ["HP:0007359"]
    );
    both["code"]["coding"] =
        json!([{"system": HPO, "code": "HP:0001250"}, {"system": HPO, "code": "HP:0000252"}]);
    let case = read(&both.to_string());
    assert!(case.findings.is_empty());
    assert_eq!(
        (case.unresolved[0].why, case.unresolved[0].suggestions.len()),
        (Why::Ambiguous, 2)
    );
}

#[test]
fn observations_of_features() {
    let snomed =
        |code: &str| json!({"coding": [{"system": "http://snomed.info/sct", "code": code}]});
    let interpretation = |code: &str| json!([{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": code}]}]);
    seen(vec![feature(json!({}))], Some(State::Observed));
    seen(
        vec![feature(json!({"valueBoolean": true}))],
        Some(State::Observed),
    );
    seen(
        vec![feature(json!({"valueBoolean": false}))],
        Some(State::Excluded),
    );
    seen(
        vec![feature(json!({"valueCodeableConcept": snomed("52101004")}))],
        Some(State::Observed),
    );
    seen(
        vec![feature(json!({"valueCodeableConcept": snomed("2667000")}))],
        Some(State::Excluded),
    );
    seen(
        vec![feature(json!({"interpretation": interpretation("NEG")}))],
        Some(State::Excluded),
    );
    seen(
        vec![feature(json!({"interpretation": interpretation("POS")}))],
        Some(State::Observed),
    );
    for unclear in [
        json!({"dataAbsentReason": snomed("1")}),
        json!({"valueCodeableConcept": snomed("1")}),
        json!({"valueString": "no"}),
        json!({"valueQuantity": {"value": 3}}),
    ] {
        let case = seen(vec![feature(unclear)], None);
        assert_eq!(case.unresolved[0].why, Why::UnclearState);
    }
    // The feature as the answer.
    let answer = json!({"code": {"coding": [{"system": "http://loinc.org", "code": "75325-1"}]}, "valueCodeableConcept": {"coding": [{"system": HPO, "code": "HP:0001250"}]}});
    seen(vec![feature(answer.clone())], Some(State::Observed));
    let mut absent = answer;
    absent["interpretation"] = interpretation("ND");
    seen(vec![feature(absent)], Some(State::Excluded));
    for (status, why) in [
        ("preliminary", LeftOut::NotFinal),
        ("registered", LeftOut::NotFinal),
        ("entered-in-error", LeftOut::EnteredInError),
    ] {
        let case = seen(vec![feature(json!({"status": status}))], None);
        assert_eq!(case.left_out.get(&why), Some(&1), "{status}");
    }
    for status in ["amended", "corrected"] {
        seen(
            vec![feature(json!({"status": status}))],
            Some(State::Observed),
        );
    }
    let case = seen(
        vec![feature(
            json!({"modifierExtension": [{"url": "http://x", "valueBoolean": true}]}),
        )],
        None,
    );
    assert_eq!(case.left_out.get(&LeftOut::Modified), Some(&1));
}

#[test]
fn once_seen_stays_unless_it_is_taken_back() {
    // Seen in 2018, absent in 2020: it was there.
    let mut absent = feature(json!({"valueBoolean": false}));
    absent["effectiveDateTime"] = json!("2020-05-05");
    let case = seen(
        vec![seizure("1", "confirmed", "2018"), absent],
        Some(State::Observed),
    );
    assert_eq!(case.contradictions[0].decision, Decision::Observed);
    // Refuted later: it never was.
    let case = seen(
        vec![
            seizure("1", "confirmed", "2018"),
            seizure("2", "refuted", "2020"),
        ],
        Some(State::Excluded),
    );
    assert_eq!(case.contradictions[0].decision, Decision::Retracted);
    assert_eq!(
        case.contradictions[0].not_followed[0].place.to_string(),
        "Condition/1"
    );
    // Refuted earlier, in the same year, or without a date: it counts as seen.
    for date in ["2017", "2018", "2018-12-31", "soon"] {
        seen(
            vec![
                seizure("1", "confirmed", "2018"),
                seizure("2", "refuted", date),
            ],
            Some(State::Observed),
        );
    }
    // Held possible against an exclusion: neither counts.
    let case = seen(
        vec![
            seizure("1", "provisional", "2018"),
            seizure("2", "refuted", "2019"),
        ],
        Some(State::Candidate),
    );
    assert_eq!(case.contradictions[0].decision, Decision::Open);
}

#[test]
fn the_newest_version_of_a_resource_counts() {
    let version = |status, updated: &str| {
        let mut condition = seizure("1", status, "2020");
        condition["meta"] = json!({"lastUpdated": updated});
        condition
    };
    let (old, new) = (
        version("confirmed", "2020-01-01T00:00:00Z"),
        version("entered-in-error", "2021-01-01T00:00:00+01:00"),
    );
    let case = seen(vec![old.clone(), new.clone()], None);
    assert_eq!(case.left_out.get(&LeftOut::OlderVersion), Some(&1));
    seen(vec![new, old], None);
}

#[test]
fn the_person_and_the_newest_date() {
    let case = read(&bundle(vec![
        patient("male", "2010-06"),
        seizure("1", "confirmed", "2018"),
        feature(json!({"effectiveDateTime": "2020-06-15T23:00:00Z"})),
    ]));
    assert_eq!(case.sex, Some(Sex::Male));
    // Born on one of 30 days.
    assert_eq!(
        case.age,
        Some(When::Days {
            from: 3638,
            to: 3667
        })
    );
    let mut began = seizure("1", "confirmed", "2020");
    began["onsetAge"] = json!({"value": 6, "unit": "months", "code": "mo"});
    assert_eq!(
        read(&began.to_string()).onset,
        Some(When::Days { from: 182, to: 182 })
    );
    began["onsetDateTime"] = json!("2010-06-20");
    let case = read(&bundle(vec![patient("other", "2010-06-15"), began]));
    assert_eq!(
        (case.onset, case.sex),
        (Some(When::Days { from: 5, to: 5 }), None)
    );
    assert_eq!(
        case.onset
            .and_then(|o| o.onset_term(&ONTOLOGY))
            .map(id)
            .unwrap(),
        "HP:0003623"
    );
    // A birth after the findings gives no age.
    assert_eq!(
        read(&bundle(vec![
            patient("male", "2030"),
            seizure("1", "confirmed", "2018")
        ]))
        .age,
        None
    );
}

#[test]
fn several_people_are_refused() {
    let mut other = seizure("2", "confirmed", "2020");
    other["subject"]["reference"] = json!("https://elsewhere.org/fhir/Patient/q");
    let message =
        refusal(bundle(vec![seizure("1", "confirmed", "2020"), other.clone()]).as_bytes());
    assert_eq!(
        message,
        "the Bundle is about 2 people; send one Bundle for each of them, with one Patient"
    );
    other["subject"]["reference"] = json!("https://elsewhere.org/fhir/Patient/p/_history/3");
    assert_eq!(
        read(&bundle(vec![
            patient("male", "2000"),
            seizure("1", "confirmed", "2020"),
            other.clone()
        ]))
        .findings
        .len(),
        1
    );
    other["subject"]["reference"] = json!("Group/g");
    let case = read(&bundle(vec![patient("male", "2000"), other]));
    assert_eq!(case.left_out.get(&LeftOut::NotThePatient), Some(&1));
    assert!(case.findings.is_empty());
}

#[test]
fn refusals_say_where() {
    assert_eq!(
        refusal(br#"{"resourceType": "Nonsense"}"#),
        "the resourceType at line 1, column 18 ($.resourceType) is not one of FHIR R4 (4.0.1); send an R4 resource"
    );
    let many: Vec<Value> = vec![json!({"resourceType": "Basic"}); fhir::MAX_ENTRIES + 1];
    assert!(refusal(bundle(many).as_bytes()).contains("more than 20000 entries"));
    assert!(read(&bundle(Vec::new())).findings.is_empty());
}

#[test]
fn what_is_said_in_ways_that_are_not_understood_is_not_taken_for_seen() {
    // Why there is no answer, instead of one.
    let missing = json!({"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"});
    seen(
        vec![feature(json!({"_valueBoolean": {"extension": [missing]}}))],
        None,
    );
    // A status in words alone.
    let mut worded = seizure("1", "confirmed", "2020");
    worded["verificationStatus"] = json!({"text": "refuted"});
    let case = seen(vec![worded], None);
    assert_eq!(case.unresolved[0].why, Why::UnclearState);
    // About the child that the patient carries.
    let focus = json!({"valueBoolean": true, "focus": [{"reference": "Patient/fetus"}]});
    let case = seen(vec![feature(focus)], None);
    assert_eq!(case.left_out.get(&LeftOut::NotThePatient), Some(&1));
}
