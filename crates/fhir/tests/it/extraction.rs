//! What is read out of a resource.

use crate::sample;
use fhir::Parsed;

#[test]
fn the_facts_of_an_observation_are_found() {
    let (resource, _) = sample::all().swap_remove(1);
    let source = resource.to_string();
    let parsed = Parsed::parse(source.as_bytes()).unwrap();
    assert_eq!(parsed.resource_type(), "Observation");
    assert_eq!(parsed.id().unwrap(), "0a1b2c3d-0000-4000-8000-0123456789ab");
    assert_eq!(parsed.version_id().unwrap(), "open");
    assert_eq!(parsed.last_updated().unwrap(), "2020-01-01T00:00:00Z");
    assert_eq!(parsed.subject().unwrap(), "Patient/secret-1");
    let dates: Vec<_> = parsed
        .dates()
        .into_iter()
        .map(|d| (d.path, d.text))
        .collect();
    let date = |path: &str, text: &str| dates.contains(&(path.to_owned(), text.to_owned().into()));
    assert!(date("effectivePeriod.start", "2020-01-01"));
    assert!(date("effectivePeriod.end", "2020-01-02"));
    assert!(date("issued", "2020-01-01T00:00:00Z"));
    assert_eq!(dates.len(), 4, "{dates:?}");
    let codes = parsed.codes();
    let code = |path: &str, system: &str, code: &str| {
        let same = |c: &&fhir::Code<'_>| c.path == path && c.system == system && c.code == code;
        codes.iter().filter(same).count()
    };
    assert_eq!(code("code", "http://loinc.org", "718-7"), 1);
    assert_eq!(code("component.code", "http://open", "open"), 3);
    assert_eq!(code("interpretation", "http://open", "H"), 1);
    assert_eq!(code("meta.tag", "", "open"), 1);
    let references = parsed.references();
    let reference = |path: &str| references.iter().filter(|r| r.path == path).count();
    assert_eq!(reference("subject.reference"), 1);
    assert_eq!(reference("basedOn.reference"), 1);
}

#[test]
fn references_in_contained_resources_and_extensions_are_found() {
    let source = br#"{"resourceType":"Observation","contained":[{"resourceType":"Condition",
        "subject":{"reference":"Patient/1"}}],"extension":[{"url":"u","valueReference":
        {"reference":"Patient/2"}}],"patient":{"reference":"Patient/3"}}"#;
    let parsed = Parsed::parse(source).unwrap();
    let found: Vec<_> = parsed
        .references()
        .into_iter()
        .map(|l| (l.path, l.text))
        .collect();
    let expect = [
        ("contained.subject.reference", "Patient/1"),
        ("extension.valueReference.reference", "Patient/2"),
    ];
    assert_eq!(
        found,
        expect.map(|(path, text)| (path.to_owned(), text.into()))
    );
}

#[test]
fn debug_shows_no_content() {
    for (resource, _) in sample::all() {
        let source = resource.to_string();
        let parsed = Parsed::parse(source.as_bytes()).unwrap();
        let shown = format!(
            "{parsed:?} {:?} {:?} {:?}",
            parsed.codes(),
            parsed.dates(),
            parsed.references(),
        );
        for hidden in ["secret", "open", "2020", "loinc", "0a1b2c3d"] {
            assert!(!shown.contains(hidden), "{hidden} in {shown}");
        }
    }
}
