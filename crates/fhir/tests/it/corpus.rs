//! Synthetic patients: the shipped ones always, the development sample when it is there; and the
//! official examples when a folder of them is named.

use crate::leaves;
use codec::time::Millis;
use fhir::{Assigned, Bundle, Parsed, Received, Severity, Strictness};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Checks the partition by an independent reader.
fn check_resource(name: &str, resource: &Parsed<'_>) {
    let document: serde_json::Value = serde_json::from_slice(resource.received()).unwrap();
    let mut found = Vec::new();
    for (_, bytes) in resource.projections() {
        found.extend(leaves::of(&serde_json::from_slice(&bytes).unwrap()));
    }
    found.sort();
    assert_eq!(found, leaves::of(&document), "{name}");
}

/// Stores each resource of a bundle under an id of its own; gives the number of resources.
fn check_bundle(name: &str, source: &[u8]) -> usize {
    let bundle = Bundle::parse(source).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(bundle.dangling().is_empty(), "{name}");
    let mut targets = BTreeMap::new();
    for (position, entry) in bundle.entries().iter().enumerate() {
        let resource_type = entry.resource().unwrap().resource_type();
        let target = format!("{resource_type}/{position:032x}");
        targets.insert(entry.full_url().unwrap().to_owned(), target);
    }
    let resolve = |text: &str| targets.get(text).cloned();
    for (position, entry) in bundle.entries().iter().enumerate() {
        let resource = entry.resource().unwrap();
        check_resource(name, resource);
        let issues = fhir::validate(resource, Strictness::Strict);
        let errors: Vec<_> = issues
            .iter()
            .filter(|i| i.severity == Severity::Error)
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        let assigned = Assigned {
            id: &format!("{position:032x}"),
            version_id: "1",
            last_updated: Millis::from_rfc3339("2026-01-02T03:04:05Z").unwrap(),
        };
        let stored = resource.stored_form(&assigned, &resolve).unwrap();
        let stored = Parsed::parse(&stored).unwrap_or_else(|error| panic!("{name}: {error}"));
        check_resource(name, &stored);
        assert_eq!(stored.id().unwrap(), assigned.id);
        assert_eq!(stored.category(), resource.category());
        let received = resource.references();
        let rewritten = stored.references();
        assert_eq!(received.len(), rewritten.len());
        for (before, after) in received.iter().zip(&rewritten) {
            let expect = resolve(&before.text).unwrap_or_else(|| before.text.clone().into_owned());
            assert_eq!(after.text, expect, "{name}: {}", after.path);
        }
        let expect: serde_json::Value = serde_json::from_slice(resource.received()).unwrap();
        let found: serde_json::Value = serde_json::from_slice(stored.received()).unwrap();
        let (expect, found) = (expect.as_object().unwrap(), found.as_object().unwrap());
        assert!(expect.keys().all(|name| found.contains_key(name)), "{name}");
        assert!(!fhir::search::terms(&stored).is_empty());
    }
    bundle.entries().len()
}

/// Calls `seen` for each resource of the shipped patients, and of the official examples when their
/// folder is named.
pub(crate) fn each(seen: &mut dyn FnMut(&str, &Parsed<'_>)) {
    let mut files = Vec::new();
    for entry in fs::read_dir(root().join("testdata/fhir")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "zst") {
            let source = zstd::decode_all(fs::read(&path).unwrap().as_slice()).unwrap();
            files.push((path, source));
        }
    }
    if let Some(folder) = std::env::var_os("ITHACA_FHIR_EXAMPLES") {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            files.push((path.clone(), fs::read(path).unwrap_or_default()));
        }
    }
    for (path, source) in files {
        let name = path.display().to_string();
        match Received::parse(&source) {
            Ok(Received::Resource(resource)) => seen(&name, &resource),
            Ok(Received::Bundle(bundle)) => {
                let resources = bundle.entries().iter().filter_map(|entry| entry.resource());
                resources.for_each(|resource| seen(&name, resource));
            }
            Err(_) => {}
        }
    }
}

#[test]
fn shipped_patients_parse() {
    let mut count = 0;
    for entry in fs::read_dir(root().join("testdata/fhir")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "zst") {
            let source = zstd::decode_all(fs::read(&path).unwrap().as_slice()).unwrap();
            assert!(check_bundle(&path.display().to_string(), &source) > 50);
            count += 1;
        }
    }
    assert_eq!(count, 4);
}

/// The sample lies beside the repository, or in the folder that `ITHACA_DATA` names.
#[test]
fn the_development_sample_parses() {
    let data = std::env::var_os("ITHACA_DATA").map(PathBuf::from);
    let data = data.unwrap_or_else(|| root().join("../shared/data"));
    let archive = data.join("fhir/synthea-dev.tar.zst");
    let Ok(packed) = fs::read(&archive) else {
        eprintln!("SKIPPED: no development sample at {}", archive.display());
        return;
    };
    let mut count = 0;
    for (name, source) in tar_files(&zstd::decode_all(packed.as_slice()).unwrap()) {
        count += usize::from(check_bundle(&name, source) > 0);
    }
    assert_eq!(count, 16);
}

/// `ITHACA_FHIR_EXAMPLES` names the unpacked folder of npm `hl7.fhir.r4.examples@4.0.1`.
#[test]
fn the_official_examples_parse() {
    let Some(folder) = std::env::var_os("ITHACA_FHIR_EXAMPLES") else {
        eprintln!("SKIPPED: set ITHACA_FHIR_EXAMPLES to the folder of the official R4 examples");
        return;
    };
    let limits = fhir::Limits {
        size_bytes: 64 << 20,
        ..fhir::Limits::default()
    };
    let (mut resources, mut refused) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if !name.ends_with(".json") || name.ends_with("package.json") {
            continue;
        }
        let source = fs::read(&path).unwrap();
        match Received::parse_within(&source, &limits) {
            Ok(Received::Resource(resource)) => {
                check_resource(&name, &resource);
                resources += 1;
            }
            Ok(Received::Bundle(bundle)) => {
                for resource in bundle.entries().iter().filter_map(|entry| entry.resource()) {
                    check_resource(&name, resource);
                    resources += 1;
                }
            }
            Err(error) => refused.push(format!("{name}: {error}")),
        }
    }
    // One id has 67 characters; one Bundle holds Bundles.
    assert_eq!(refused.len(), 2, "{refused:#?}");
    assert!(resources > 5_000);
}

/// The files of a tar archive; a name of more than 100 bytes comes cut.
pub(crate) fn tar_files(archive: &[u8]) -> Vec<(String, &[u8])> {
    let text = |field: &[u8]| {
        let field = field.split(|&byte| byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(field).trim().to_owned()
    };
    let mut files = Vec::new();
    let mut at = 0;
    while let Some(header) = archive.get(at..at + 512) {
        let size = usize::from_str_radix(&text(&header[124..136]), 8).unwrap_or(0);
        let body = &archive[at + 512..at + 512 + size];
        if header[156] == b'0' {
            files.push((text(&header[..100]), body));
        }
        at += 512 + size.div_ceil(512) * 512;
    }
    files
}
