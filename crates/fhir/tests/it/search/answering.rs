//! What a query says about the answer: subsets, order, includes, chains, compartments.

use super::{BASE, pairs, query};
use crate::corpus;
use fhir::Parsed;
use fhir::search::{
    Handling, Query, SortKey, Subset, Summary, Target, Total, compartment_parameters,
    compartment_references, parameters, pointing_at, references, subset,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn with<T>(source: &Value, seen: impl FnOnce(&Parsed<'_>) -> T) -> T {
    let text = source.to_string();
    seen(&Parsed::parse(text.as_bytes()).unwrap())
}

fn part(source: &str, by: &Subset) -> String {
    let resource = Parsed::parse(source.as_bytes()).unwrap();
    String::from_utf8(subset(&resource, by)).unwrap()
}

const SUBSETTED: &str =
    r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}"#;

const OBSERVATION: &str = r##"{"resourceType":"Observation", "id":"x","text":{"status":"generated","div":"<div>t</div>"},
 "contained":[{"resourceType":"Patient","id":"p"}],
 "extension":[{"url":"u","valueString":"e"}],
 "modifierExtension":[{"url":"m","valueBoolean":true}],
 "status" : "final", "_status":{"id":"s"}, "category":[{"text":"c"}],
 "code":{"coding":[{"system":"l","code":"1","extension":[{"url":"n","valueCode":"q"}]}]},
 "subject":{"reference":"Patient/1"},
 "valueQuantity":{"value":13.500,"unit":"g\u002fdl"},
 "component":[{"code":{"text":"k"},"referenceRange":[{"text":"r"}],"valueString":"\u00e4"}]}"##;

#[test]
fn subsets_keep_bytes_and_what_is_mandatory() {
    let elements = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned());
        part(OBSERVATION, &Subset::Elements(names.collect()))
    };
    let head =
        format!(r#"{{"resourceType":"Observation","id":"x","meta":{{"tag":[{SUBSETTED}]}},"#);
    let always = r#""modifierExtension":[{"url":"m","valueBoolean":true}],"status":"final","_status":{"id":"s"},"#;
    let code = r#""code":{"coding":[{"system":"l","code":"1","extension":[{"url":"n","valueCode":"q"}]}]}"#;
    assert_eq!(
        elements(&["subject"]),
        format!(r#"{head}{always}{code},"subject":{{"reference":"Patient/1"}}}}"#)
    );
    let value = r#""valueQuantity":{"value":13.500,"unit":"g\u002fdl"}"#;
    assert_eq!(
        elements(&["value"]),
        format!("{head}{always}{code},{value}}}")
    );
    assert_eq!(elements(&["value[x]"]), elements(&["value"]));
    let text = part(OBSERVATION, &Subset::Text);
    assert!(text.contains(r#""text":{"status":"generated","div":"<div>t</div>"}"#));
    assert!(!text.contains("subject") && text.contains(r#""status":"final""#));
    let data = part(OBSERVATION, &Subset::Data);
    assert!(!data.contains("<div>") && data.contains(r#""contained""#) && data.contains(value));
    let summary = part(OBSERVATION, &Subset::Summary);
    let component = r#""component":[{"code":{"text":"k"},"valueString":"\u00e4"}]"#;
    let plain_code = r#""code":{"coding":[{"system":"l","code":"1"}]}"#;
    let subject = r#""subject":{"reference":"Patient/1"}"#;
    assert_eq!(
        summary,
        format!("{head}{always}{plain_code},{subject},{value},{component}}}")
    );
}

#[test]
fn the_tag_is_added_once_to_whatever_meta_there_is() {
    let tags = |meta: &str| {
        let source = format!(r#"{{"resourceType":"Basic","meta":{meta},"code":{{"text":"c"}}}}"#);
        part(&source, &Subset::Data)
    };
    assert_eq!(
        tags(r#"{"versionId":"1"}"#),
        format!(
            r#"{{"resourceType":"Basic","meta":{{"versionId":"1","tag":[{SUBSETTED}]}},"code":{{"text":"c"}}}}"#
        )
    );
    assert!(
        tags(r#"{"tag":[{"code":"a"}]}"#)
            .contains(&format!(r#""tag":[{{"code":"a"}},{SUBSETTED}]"#))
    );
    let again = tags(&format!(r#"{{"tag":[{SUBSETTED}]}}"#));
    assert_eq!(again.matches("SUBSETTED").count(), 1);
    let bare = part(
        r#"{"resourceType":"Basic","code":{"text":"c"}}"#,
        &Subset::Summary,
    );
    assert_eq!(
        bare,
        format!(
            r#"{{"resourceType":"Basic","meta":{{"tag":[{SUBSETTED}]}},"code":{{"text":"c"}}}}"#
        )
    );
}

#[test]
fn contained_resources_stay_when_they_are_pointed_at() {
    let source = OBSERVATION.replace("Patient/1", "#p");
    let of = |names: &[&str]| {
        part(
            &source,
            &Subset::Elements(names.iter().map(|n| (*n).into()).collect()),
        )
    };
    assert!(of(&["subject"]).contains(r##""contained":[{"resourceType":"Patient","id":"p"}]"##));
    assert!(!of(&["category"]).contains("contained"));
    assert!(part(&source, &Subset::Summary).contains("contained"));
}

/// Whether every value of a part stands in the whole at the same place, but for the tag.
fn is_within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => part.iter().all(|(name, value)| {
            name == "meta" || whole.get(name).is_some_and(|there| is_within(value, there))
        }),
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(p, w)| is_within(p, w))
        }
        (part, whole) => part == whole,
    }
}

fn has_empty(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.is_empty() || members.values().any(has_empty),
        Value::Array(items) => items.is_empty() || items.iter().any(has_empty),
        _ => false,
    }
}

#[test]
fn subsets_of_real_resources_are_resources() {
    let mut count = 0;
    corpus::each(&mut |name, resource| {
        let whole: Value = serde_json::from_slice(resource.received()).unwrap();
        let kinds = [
            Subset::Summary,
            Subset::Text,
            Subset::Data,
            Subset::Elements(vec!["identifier".to_owned()]),
        ];
        for by in kinds {
            let bytes = subset(resource, &by);
            let again = Parsed::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(again.id(), resource.id());
            let part: Value = serde_json::from_slice(&bytes).unwrap();
            assert!(is_within(&part, &whole), "{name}: {by:?}");
            assert!(has_empty(&whole) || !has_empty(&part), "{name}: {by:?}");
            count += 1;
        }
    });
    assert!(count > 800);
}

#[test]
fn results_are_read() {
    let query = query(
        "Observation",
        "_count=20&_total=accurate&_summary=true&_elements=code,subject&_type=Observation,Patient\
         &_include=Observation:subject:Patient&_include:iterate=Patient:organization\
         &_revinclude=Provenance:target&_format=json",
    );
    let results = query.results();
    assert_eq!(results.count, Some(20));
    assert_eq!(results.total, Total::Accurate);
    assert_eq!(results.summary, Summary::True);
    assert_eq!(results.elements, ["code", "subject"]);
    assert_eq!(results.types, ["Observation", "Patient"]);
    assert_eq!(results.subset(), Some(Subset::Summary));
    let include = &results.includes[0];
    assert_eq!(
        (include.source_type, include.parameter),
        ("Observation", "subject")
    );
    assert_eq!(
        (include.target_type, include.iterate),
        (Some("Patient"), false)
    );
    assert!(results.includes[1].iterate);
    assert_eq!(results.revincludes[0].source_type, "Provenance");
    let all = super::query("Observation", "_include=Observation:*");
    assert!(
        all.results()
            .includes
            .iter()
            .any(|i| i.parameter == "encounter")
    );
    let other = super::query("Observation", "_type=Patient");
    with(
        &json!({"resourceType": "Observation", "id": "x"}),
        |resource| {
            assert!(!other.matches(resource, 0));
        },
    );
}

#[test]
fn ids_and_patients_confine() {
    let ids = |of, asked| query(of, asked).ids();
    let some = |ids: &[&str]| Some(ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
    assert_eq!(ids("Patient", "_id=a,b"), some(&["a", "b"]));
    assert_eq!(ids("Patient", "_id=a,b&_id=b,c"), some(&["b"]));
    assert_eq!(ids("Patient", "_id:not=a"), None);
    let patients = |of, asked| query(of, asked).patients();
    assert_eq!(patients("Patient", "_id=a"), some(&["a"]));
    assert_eq!(patients("Observation", "_id=a"), None);
    assert_eq!(patients("Observation", "patient=a"), some(&["a"]));
    assert_eq!(patients("Observation", "subject=Patient/a"), some(&["a"]));
    assert_eq!(
        patients("Observation", "subject=http://here/fhir/Patient/a"),
        some(&["a"])
    );
    assert_eq!(
        patients("Observation", "subject=http://elsewhere/fhir/Patient/a"),
        None
    );
    assert_eq!(patients("Observation", "subject:Patient=a"), some(&["a"]));
    assert_eq!(patients("Observation", "subject=a"), None);
    assert_eq!(patients("Observation", "subject=Patient/a,Group/b"), None);
    assert_eq!(
        patients("Observation", "subject=Patient/a,Patient/b&patient=b"),
        some(&["b"])
    );
    assert_eq!(patients("Observation", "focus=Patient/a"), None);
    assert_eq!(patients("Observation", "encounter=a"), None);
    assert_eq!(patients("ServiceRequest", "patient=a"), some(&["a"]));
}

#[test]
fn chains_are_resolved() {
    let observation = json!({"resourceType": "Observation", "id": "o", "status": "final",
        "subject": {"reference": "Patient/a"}});
    let mut query = query("Observation", "subject:Patient.name=peter&status=final");
    assert_eq!(query.chains().len(), 1);
    assert_eq!(query.chains()[0].parameter, "subject");
    let (of, inner) = &query.chains()[0].targets[0];
    assert_eq!(*of, "Patient");
    with(
        &json!({"resourceType": "Patient", "id": "a", "name": [{"given": ["Peter"]}]}),
        |patient| {
            assert!(inner.matches(patient, 0));
        },
    );
    with(&observation, |resource| {
        assert!(!query.matches(resource, 0), "unresolved");
        query.resolve_chain(0, &[("Patient".to_owned(), "a".to_owned())]);
        assert!(query.matches(resource, 0) && super::is_candidate(resource, &query));
        assert_eq!(query.patients(), Some(vec!["a".to_owned()]));
        query.resolve_chain(0, &[("Group".to_owned(), "a".to_owned())]);
        assert!(!query.matches(resource, 0) && query.patients().is_none());
        query.resolve_chain(0, &[("Patient".to_owned(), "b".to_owned())]);
        assert!(!query.matches(resource, 0) && !super::is_candidate(resource, &query));
        query.resolve_chain(0, &[]);
        assert!(!query.matches(resource, 0) && !super::is_candidate(resource, &query));
    });
    // Each type that has the parameter is asked.
    let several = super::query("Observation", "subject.name=x");
    let types: Vec<_> = several.chains()[0]
        .targets
        .iter()
        .map(|(of, _)| *of)
        .collect();
    assert_eq!(types, ["Patient", "Location"]);
}

#[test]
fn reverse_chains_are_resolved() {
    let patient = json!({"resourceType": "Patient", "id": "a"});
    let mut query = query(
        "Patient",
        "_has:Observation:patient:code=http://loinc.org|1",
    );
    let has = &query.has()[0];
    assert_eq!(
        (has.resource_type, has.parameter),
        ("Observation", "patient")
    );
    let observation = json!({"resourceType": "Observation", "subject": {"reference": "Patient/a"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "1"}]}});
    with(&observation, |resource| {
        assert!(has.query.matches(resource, 0))
    });
    with(&patient, |resource| {
        assert!(!query.matches(resource, 0), "unresolved");
        query.resolve_has(0, &["b".to_owned(), "a".to_owned()]);
        assert!(query.matches(resource, 0) && super::is_candidate(resource, &query));
        query.resolve_has(0, &[]);
        assert!(!query.matches(resource, 0) && !super::is_candidate(resource, &query));
    });
}

#[test]
fn matches_are_sorted() {
    let source = |id: &str, date: Option<&str>, value: Option<f64>| {
        let mut source = json!({"resourceType": "Observation", "id": id});
        if let Some(date) = date {
            source["effectiveDateTime"] = json!(date);
        }
        if let Some(value) = value {
            source["valueQuantity"] = json!({"value": value});
        }
        source
    };
    let sources = [
        source("a", Some("2020-02"), Some(-5.0)),
        source("b", Some("2020-01-01"), Some(10.0)),
        source("c", None, Some(9.5)),
        source("d", Some("1960"), None),
        source("e", Some("2020-02"), Some(-0.5)),
    ];
    let sorted = |asked: &str| {
        let query = query("Observation", asked);
        let mut keys: Vec<SortKey> = Vec::new();
        for (at, source) in sources.iter().enumerate() {
            let key = with(source, |resource| query.sort_key(resource, 100 - at as u64));
            let text = key.to_text();
            assert!(text.len() <= 700 && text.bytes().all(|b| b.is_ascii_graphic()));
            assert!(SortKey::from_text(&text) == Some(key.clone()), "{text}");
            keys.push(key);
        }
        keys.sort();
        keys.iter()
            .map(|key| key.id().to_owned())
            .collect::<String>()
    };
    assert_eq!(sorted("_sort=date"), "dbaec");
    assert_eq!(sorted("_sort=-date"), "aebdc");
    assert_eq!(sorted("_sort=value-quantity"), "aecbd");
    assert_eq!(sorted("_sort=-value-quantity"), "bcead");
    assert_eq!(sorted("_sort=-date,-_id"), "eabdc");
    assert_eq!(sorted("_sort=_lastUpdated"), "edcba");
    assert_eq!(sorted(""), "abcde");
    assert!(query("Observation", "").is_sorted_by_id_or_none());
    assert!(query("Observation", "_sort=_id").is_sorted_by_id_or_none());
    assert!(!query("Observation", "_sort=-_id").is_sorted_by_id_or_none());
    for wrong in ["", "x", "a", "a12", "azz.ix", "i a", "a-.a-.a-.a-.a-.ix"] {
        assert!(SortKey::from_text(wrong).is_none(), "{wrong}");
    }
}

fn owned((reference, is_about): (Option<&str>, bool)) -> (Option<String>, bool) {
    (reference.map(str::to_owned), is_about)
}

fn placings(resource: &Parsed<'_>) -> Vec<(Option<String>, bool)> {
    let placings = compartment_references(resource).into_iter();
    placings.map(|p| (p.reference, p.is_about)).collect()
}

#[test]
fn references_and_compartments_are_read() {
    let source = json!({"resourceType": "Observation", "id": "o",
        "contained": [{"resourceType": "Patient", "id": "p"}],
        "subject": {"reference": "Patient/a/_history/2"}, "encounter": {"reference": "Encounter/e"},
        "performer": [{"reference": "Practitioner/d"}, {"reference": "urn:uuid:1"},
            {"reference": "http://x/fhir/Patient/b"}, {"reference": "#p"}, {"reference": "Patient/a"},
            {"reference": "bare", "type": "Patient"}, {"reference": "other", "type": "Device"}]});
    with(&source, |resource| {
        let encounters = references(resource, "encounter");
        assert!(encounters == [Target::read("Encounter/e".into()).unwrap()]);
        assert_eq!(references(resource, "subject")[0].text(), "Patient/a");
        assert_eq!(references(resource, "performer").len(), 6);
        assert!(references(resource, "code").is_empty());
        let placed = [
            (Some("#p"), true),
            (Some("Patient/a"), true),
            (Some("bare"), true),
            (Some("http://x/fhir/Patient/b"), true),
            (Some("urn:uuid:1"), false),
        ];
        assert_eq!(placings(resource), placed.map(owned));
    });
    // Somebody who is named by an identifier or by words alone is named all the same.
    let source = json!({"resourceType": "AllergyIntolerance", "patient": {"identifier": {"value": "7"}},
        "recorder": {"display": "a nurse"}, "asserter": {"reference": "https://x/fhir/Patient?identifier=7"}});
    with(&source, |resource| {
        let placed = [
            (None, false),
            (None, true),
            (Some("https://x/fhir/Patient?identifier=7"), false),
        ];
        assert_eq!(placings(resource), placed.map(owned));
    });
    let source = json!({"resourceType": "Observation",
        "contained": [{"resourceType": "Practitioner", "id": "d"}], "subject": {"extension": []},
        "performer": [{"display": "a nurse"}, {"identifier": {"value": "9"}, "type": "Practitioner"},
            {"display": "Ann", "type": "Patient"}, {"reference": "#d"}]});
    with(&source, |resource| {
        assert_eq!(placings(resource), [(None, false), (None, true)]);
    });
    assert_eq!(
        compartment_parameters("Observation"),
        ["subject", "performer"]
    );
    assert!(compartment_parameters("Medication").is_empty());
    assert!(pointing_at("Patient").contains(&("Observation", "subject")));
    assert!(pointing_at("Patient").contains(&("Provenance", "target")));
    assert!(!pointing_at("Medication").contains(&("Observation", "subject")));
}

#[test]
fn every_type_lists_its_parameters() {
    let of = |name| parameters(name).map(|p| p.name).collect::<BTreeSet<_>>();
    let observation = of("Observation");
    for name in [
        "code",
        "date",
        "combo-code",
        "_id",
        "_lastUpdated",
        "component-code-value-quantity",
    ] {
        assert!(observation.contains(name), "{name}");
    }
    assert!(of("Binary").contains("_tag"));
    assert!(of("Nothing").is_empty());
    let date = parameters("Observation")
        .find(|p| p.name == "date")
        .unwrap();
    assert_eq!(
        date.definition(),
        "http://hl7.org/fhir/SearchParameter/clinical-date"
    );
    assert_eq!(date.kind.code(), "date");
    let subject = parameters("Observation")
        .find(|p| p.name == "subject")
        .unwrap();
    assert!(subject.targets.contains(&"Patient"));
    // The parameters of every type's compartment are known.
    for name in [
        "Observation",
        "Condition",
        "Group",
        "Coverage",
        "Claim",
        "Person",
    ] {
        for parameter in compartment_parameters(name) {
            assert!(of(name).contains(parameter), "{name} {parameter}");
        }
    }
}

#[test]
fn debug_and_errors_show_no_values() {
    let asked = "name=secret&_has:Observation:patient:code=secret&general-practitioner:Practitioner.name=secret";
    let query = Query::parse("Patient", &pairs(asked), Handling::Strict, BASE).unwrap();
    let mut shown = format!("{query:?} {:?} {:?}", query.chains(), query.has());
    let source = json!({"resourceType": "Patient", "id": "secret", "name": [{"family": "secret"}],
        "birthDate": "2020", "managingOrganization": {"reference": "Organization/secret"}});
    with(&source, |resource| {
        let found = fhir::search::index(resource);
        shown += &format!("{found:?} {:?}", query.sort_key(resource, 0));
        shown += &format!("{:?}", references(resource, "organization"));
    });
    assert!(
        !shown.contains("secret") && !shown.contains("2020"),
        "{shown}"
    );
}
