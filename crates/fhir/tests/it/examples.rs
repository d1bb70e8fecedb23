//! Official examples of almost every resource type are valid, and so are the shipped patients.

use crate::corpus::{root, tar_files};
use fhir::{Issue, Limits, Parsed, Severity, Strictness};
use std::collections::BTreeSet;
use std::fs;

/// Examples that break the rules of R4, with the element.
const WRONG: &[(&str, &str)] = &[
    ("DeviceMetric-example.json", "DeviceMetric.parent.reference"),
    (
        "DeviceUseStatement-example.json",
        "DeviceUseStatement.reasonReference[0].reference",
    ),
    ("EventDefinition-example.json", "EventDefinition.text.div"),
];

/// Types of which the package has no example of its own.
const ABSENT: &[&str] = &[
    "Parameters",
    "SubstanceNucleicAcid",
    "SubstancePolymer",
    "SubstanceProtein",
    "SubstanceReferenceInformation",
    "SubstanceSourceMaterial",
];

/// Name and text of each shipped example.
pub(crate) fn shipped() -> Vec<(String, Vec<u8>)> {
    let packed = fs::read(root().join("testdata/fhir-r4/examples.tar.zst")).unwrap();
    let archive = zstd::decode_all(packed.as_slice()).unwrap();
    let files = tar_files(&archive).into_iter();
    files
        .map(|(name, source)| (name, source.to_vec()))
        .collect()
}

pub(crate) fn errors(source: &[u8], strictness: Strictness) -> Vec<Issue> {
    let issues = fhir::validate_bytes(source, &Limits::default(), strictness).unwrap();
    let is_error = |issue: &Issue| issue.severity == Severity::Error;
    issues.into_iter().filter(is_error).collect()
}

#[test]
fn official_examples_are_valid() {
    let mut types = BTreeSet::new();
    for (name, source) in shipped() {
        let found = errors(&source, Strictness::Strict);
        match WRONG.iter().find(|(wrong, _)| *wrong == name) {
            None => assert_eq!(found, [], "{name}"),
            Some((_, expression)) => {
                assert_eq!(found.len(), 1, "{name}: {found:?}");
                assert_eq!(found[0].expression, *expression, "{name}");
            }
        }
        let text = String::from_utf8_lossy(&source);
        let (_, rest) = text.split_once("\"resourceType\"").unwrap();
        types.insert(rest.split('"').nth(1).unwrap().to_owned());
    }
    let elements = include_str!("../../src/elements.txt").lines();
    let names = elements.filter_map(|line| line.strip_prefix("resource ")?.split(' ').next());
    let absent: Vec<&str> = names.filter(|name| !types.contains(*name)).collect();
    assert_eq!(absent, ABSENT);
}

/// The texts of the examples stay as they are: digits, extensions of primitives, order.
#[test]
fn examples_are_stored_as_they_came() {
    let assigned = fhir::Assigned {
        id: "0a1b2c3d-0000-4000-8000-0123456789ab",
        version_id: "1",
        last_updated: codec::time::Millis::from_rfc3339("2026-01-02T03:04:05Z").unwrap(),
    };
    let mut count = 0;
    for (name, source) in shipped() {
        for resource in fhir::resources(&source, &Limits::default()).unwrap() {
            let received = std::str::from_utf8(resource.parsed.received()).unwrap();
            let stored = resource.parsed.stored_form(&assigned, &|_| None).unwrap();
            let stored = std::str::from_utf8(&stored).unwrap();
            let (before, after) = (members(received), members(stored));
            let kept = |(key, _): &&(String, String)| key != "id" && key != "meta";
            let before: Vec<_> = before.iter().filter(kept).collect();
            let after: Vec<_> = after.iter().filter(kept).collect();
            assert_eq!(before, after, "{name}");
            count += 1;
        }
    }
    assert!(count > 280);
}

/// The members of an object as they are written, in their order.
fn members(source: &str) -> Vec<(String, String)> {
    struct Members(Vec<(String, String)>);
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Self;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
            while let Some((key, value)) =
                map.next_entry::<String, Box<serde_json::value::RawValue>>()?
            {
                self.0.push((key, value.get().to_owned()));
            }
            Ok(self)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(source);
    let read = serde::Deserializer::deserialize_map(&mut reader, Members(Vec::new()));
    read.unwrap().0
}

#[test]
fn shipped_patients_are_valid() {
    let mut count = 0;
    for entry in fs::read_dir(root().join("testdata/fhir")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "zst") {
            let source = zstd::decode_all(fs::read(&path).unwrap().as_slice()).unwrap();
            assert_eq!(
                errors(&source, Strictness::Strict),
                [],
                "{}",
                path.display()
            );
            for entry in fhir::Bundle::parse(&source).unwrap().entries() {
                let resource: &Parsed<'_> = entry.resource().unwrap();
                let issues = fhir::validate(resource, Strictness::Strict);
                assert!(
                    issues
                        .iter()
                        .all(|issue| issue.severity == Severity::Warning)
                );
                count += 1;
            }
        }
    }
    assert!(count > 150);
}
