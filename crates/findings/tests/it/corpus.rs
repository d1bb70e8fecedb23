//! Published phenopackets and synthetic patients: the shipped ones always, the development samples
//! when they are there.

use crate::{ONTOLOGY, id, of};
use findings::{Case, LeftOut, State};
use ontology::HpoId;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str, source: &[u8]) -> Case {
    findings::read(source, &ONTOLOGY).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn shipped(folder: &str) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(root().join("testdata").join(folder)).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let packed = paths.filter(|path| path.extension().is_some_and(|e| e == "zst"));
    let unpack = |path: PathBuf| {
        let source = zstd::decode_all(fs::read(&path).unwrap().as_slice()).unwrap();
        (path.display().to_string(), source)
    };
    packed.map(unpack).collect()
}

/// The development sample beside the repository, or in the folder that `ITHACA_DATA` names.
pub(crate) fn sample(archive: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let data = std::env::var_os("ITHACA_DATA").map(PathBuf::from);
    let path = data
        .unwrap_or_else(|| root().join("../shared/data"))
        .join(archive);
    let Ok(packed) = fs::read(&path) else {
        eprintln!("SKIPPED: no development sample at {}", path.display());
        return None;
    };
    Some(tar_files(&zstd::decode_all(packed.as_slice()).unwrap()))
}

/// The files of a tar archive.
fn tar_files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let text = |field: &[u8]| {
        let field = field.split(|&byte| byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(field).into_owned()
    };
    let (mut files, mut at) = (Vec::new(), 0);
    while let Some(header) = archive.get(at..at + 512).filter(|h| h[0] != 0) {
        let size = usize::from_str_radix(text(&header[124..136]).trim(), 8).unwrap();
        let body = archive.get(at + 512..at + 512 + size).unwrap();
        if matches!(header[156], b'0' | 0) {
            files.push((text(&header[..100]), body.to_vec()));
        }
        at += 512 + size.div_ceil(512) * 512;
    }
    files
}

/// Every feature is found again, by an independent reader, or is said not to be understood.
fn check_packet(name: &str, source: &[u8]) -> Case {
    let case = read(name, source);
    let document: Value = serde_json::from_slice(source).unwrap();
    let mut expect: [BTreeSet<String>; 2] = Default::default();
    for feature in document["phenotypicFeatures"].as_array().unwrap() {
        let given: HpoId = feature["type"]["id"].as_str().unwrap().parse().unwrap();
        let term = ONTOLOGY.resolve(given).term();
        let excluded = feature["excluded"].as_bool() == Some(true);
        expect[usize::from(excluded)].extend(term.map(id));
    }
    let found = |state| of(&case, state).into_iter().collect::<BTreeSet<_>>();
    let (observed, excluded) = (found(State::Observed), found(State::Excluded));
    let unresolved = case.unresolved.len();
    assert!(
        expect[0].difference(&observed).count() <= unresolved,
        "{name}"
    );
    assert!(
        observed.is_subset(&expect[0]) && excluded.is_subset(&expect[1]),
        "{name}"
    );
    let settled = case.contradictions.len() + unresolved;
    assert!(expect[1].difference(&excluded).count() <= settled, "{name}");
    assert!(
        !case.recorded_diagnoses.is_empty() && !case.variants.is_empty(),
        "{name}"
    );
    case
}

#[test]
fn shipped_phenopackets() {
    let cases = shipped("phenopackets");
    assert_eq!(cases.len(), 24);
    for (name, source) in cases {
        assert!(!check_packet(&name, &source).findings.is_empty(), "{name}");
    }
}

#[test]
fn the_development_phenopackets() {
    let Some(files) = sample("phenopackets/phenopacket-store-dev.tar.zst") else {
        return;
    };
    let (mut count, mut unresolved, mut aged) = (0, 0, 0);
    for (name, source) in files.iter().filter(|(name, _)| !name.ends_with("LICENSE")) {
        let case = check_packet(name, source);
        count += 1;
        unresolved += case.unresolved.len();
        aged += usize::from(case.age.is_some());
    }
    eprintln!("{count} phenopackets, {unresolved} items not understood, {aged} with an age");
    assert_eq!(count, 600);
    // Genes and terms that are newer than the shipped release.
    assert!(unresolved < 100, "{unresolved}");
    assert!(aged > 200, "{aged}");
}

/// Reference ranges in the units of the synthetic patients (of haemoglobin for men, of cholesterol
/// what is acceptable in the young): they come without ranges and interpretations, from which
/// nothing is concluded.
const USUAL: &[(&str, f64, f64, &str, &str, &str)] = &[
    ("718-7", 13.5, 17.5, "g/dL", "HP:0020062", "HP:0020063"),
    ("777-3", 150.0, 450.0, "10*3/uL", "HP:0001873", "HP:0001894"),
    ("6690-2", 4.0, 11.0, "10*3/uL", "HP:0001882", "HP:0001974"),
    ("2571-8", 0.0, 150.0, "mg/dL", "HP:0012153", "HP:0002155"),
    ("2093-3", 0.0, 170.0, "mg/dL", "HP:0003146", "HP:0003124"),
];

/// Adds the ranges; what must come out: per term the days of its values.
pub(crate) fn with_ranges(source: &[u8]) -> (Vec<u8>, Vec<(String, BTreeSet<String>)>) {
    let mut document: Value = serde_json::from_slice(source).unwrap();
    let mut expect: Vec<(String, BTreeSet<String>)> = Vec::new();
    for entry in document["entry"].as_array_mut().unwrap() {
        let resource = &mut entry["resource"];
        let loinc = resource["code"]["coding"][0]["code"]
            .as_str()
            .unwrap_or_default();
        let Some((_, low, high, unit, below, above)) = USUAL.iter().find(|u| u.0 == loinc) else {
            continue;
        };
        if resource["valueQuantity"]["unit"] != *unit {
            continue;
        }
        let value = resource["valueQuantity"]["value"].as_f64().unwrap();
        let day = resource["effectiveDateTime"].as_str().unwrap()[..10].to_owned();
        resource["referenceRange"] =
            json!([{"low": {"value": low, "unit": unit}, "high": {"value": high, "unit": unit}}]);
        let term = if value < *low {
            below
        } else if value > *high {
            above
        } else {
            continue;
        };
        match expect.iter_mut().find(|(known, _)| known == term) {
            Some((_, days)) => drop(days.insert(day)),
            None => expect.push(((*term).to_owned(), BTreeSet::from([day]))),
        }
    }
    (document.to_string().into_bytes(), expect)
}

/// How many candidates and how many repeated ones a synthetic patient has.
fn check_patient(name: &str, source: &[u8]) -> (usize, usize) {
    let bare = read(name, source);
    assert!(
        bare.findings.is_empty(),
        "{name}: no interpretation, no range"
    );
    let is_person = bare.age.is_some();
    let (ranged, expect) = with_ranges(source);
    let case = read(name, &ranged);
    let mut counts = (0, 0);
    for (term, days) in &expect {
        let state = if days.len() > 1 {
            State::Observed
        } else {
            State::Candidate
        };
        assert!(of(&case, state).contains(term), "{name}: {term} {days:?}");
        let finding = case.findings.iter().find(|f| id(f.term) == *term).unwrap();
        eprintln!(
            "{} {:?} on {days:?}",
            ONTOLOGY.term(finding.term).label(),
            finding.state
        );
        match state {
            State::Observed => counts.1 += 1,
            _ => counts.0 += 1,
        }
    }
    let positive = of(&case, State::Observed).len() + of(&case, State::Candidate).len();
    assert_eq!(positive, expect.len(), "{name}");
    let uninterpreted = bare.left_out.get(&LeftOut::NotInterpreted).copied();
    assert!(!is_person || uninterpreted.unwrap_or(0) > 0, "{name}");
    counts
}

#[test]
fn shipped_synthetic_patients() {
    let mut patients = shipped("fhir");
    // Beside them there is a directory of those who treat them.
    patients.retain(|(name, _)| !name.contains("practitioners"));
    assert_eq!(patients.len(), 3);
    for (name, source) in patients {
        check_patient(&name, &source);
    }
}

#[test]
fn the_development_synthetic_patients() {
    let Some(files) = sample("fhir/synthea-dev.tar.zst") else {
        return;
    };
    let (mut once, mut repeated) = (0, 0);
    for (name, source) in &files {
        let (candidates, observed) = check_patient(name, source);
        once += candidates;
        repeated += observed;
    }
    eprintln!(
        "{} bundles: {once} candidates, {repeated} repeated",
        files.len()
    );
    assert_eq!(files.len(), 16);
    assert!(once > 0 && repeated > 0);
}
