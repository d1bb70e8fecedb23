//! Packages: what is in them, and what a check finds.

use codec::{Digest, InstitutionId, Millis, StudyId};
use extract::{AttackTable, Cohort, Config, Kept, Limits, Share, verdicts};
use ontology::HpoId;
use release::check::{BESIDE, Files, check};
use release::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

struct Folder(BTreeMap<String, Vec<u8>>);

impl Files for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let bytes = self.0.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(bytes.as_slice()))
    }
}

fn header() -> Header {
    Header {
        format: FORMAT.to_owned(),
        study: StudyText {
            id: StudyId::new([7; 16]),
            institution: InstitutionId::new([8; 16]),
            purpose: "What comes with noncompaction".to_owned(),
            policy: Digest::new([9; 32]),
            agreement: Some(Digest::new([1; 32])),
        },
        number: 2,
        tier: Tier::T3,
        k: 5,
        cohort: "everybody with a recorded diagnosis".to_owned(),
        made: Millis::new(1_790_000_000_000),
        versions: vec![("HPO".to_owned(), "2025-01-16".to_owned())],
        formats: BTreeSet::from(Format::ALL),
        statement: STATEMENT.to_owned(),
    }
}

fn feature(term: &str, label: &str, share: Share) -> Feature {
    Feature {
        term: term.parse::<HpoId>().unwrap(),
        label: label.to_owned(),
        share,
    }
}

fn group(number: u64) -> Group {
    Group {
        id: check::name(number),
        at_least: 5,
        sex: vec![Sexes::Female],
        ages: Some(Ages {
            from: 1,
            to: Some(4),
        }),
        diagnoses: vec![Diagnosis {
            id: "OMIM:147791".to_owned(),
            label: "Jacobsen syndrome".to_owned(),
            all: number.is_multiple_of(2),
        }],
        observed: vec![
            feature("HP:0001250", "Seizure", Share::NearlyAll),
            feature("HP:0000252", "Microcephaly", Share::Many),
        ],
        excluded: vec![feature(
            "HP:0001249",
            "Intellectual disability",
            Share::Many,
        )],
        measured: vec![Measure {
            system: "http://loinc.org".to_owned(),
            code: "2345-7".to_owned(),
            unit: "mg/dL".to_owned(),
            at_least: 5,
            mean: 98.2,
            deviation: 7.5,
        }],
        recontact: vec!["00ff".to_owned(); 5],
    }
}

/// An attack table in which nothing was achieved.
fn attacks(limits: &Limits) -> AttackTable {
    let text = include_str!("attacks.json");
    let mut table: AttackTable = serde_json::from_str(text).unwrap();
    table.verdicts = verdicts(&table, limits);
    table
}

fn made(groups: u64) -> Folder {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut put = |pieces: Vec<Piece>| {
        for (file, bytes) in pieces {
            files.entry(file.to_owned()).or_default().extend(bytes);
        }
    };
    let (mut package, pieces) = Package::new(header()).unwrap();
    put(pieces);
    for number in 1..=groups {
        put(package.group(&group(number)).unwrap());
    }
    let (pieces, manifest) = package.finish().unwrap();
    put(pieces);
    let limits = Limits::default();
    let certificate = Certificate::new(
        &header(),
        manifest.digest(),
        Config {
            cohort: Cohort::Diagnosis,
            ..Config::default()
        },
        Population {
            released: 10,
            without_feature: 0,
            without_diagnosis: 0,
            too_few_alike: 5,
            measurements_withheld: 0,
        },
        attacks(&limits),
        attacks(&limits),
        limits,
        Kept {
            recall: 0.5,
            precision: 0.5,
        },
        Vec::new(),
        Canaries {
            planted: 10,
            survived: 0,
        },
    );
    files.insert("manifest.json".to_owned(), manifest.bytes());
    files.insert("certificate.json".to_owned(), certificate.bytes());
    Folder(files)
}

#[test]
fn what_was_made_checks() {
    let folder = made(3);
    let checked = check(&folder).unwrap();
    assert_eq!(checked.faults, Vec::<String>::new());
    assert_eq!((checked.groups, checked.subjects), (3, 15));
    assert_eq!(checked.which, Some((StudyId::new([7; 16]), 2)));
    for format in Format::ALL {
        for file in check::files_of(format) {
            assert!(!folder.0[file].is_empty(), "{file}");
        }
    }
    // The same again gives the same bytes.
    assert_eq!(made(3).0, folder.0);
}

#[test]
fn a_changed_byte_of_any_file_is_found() {
    let whole = made(2);
    for name in whole.0.keys() {
        let length = whole.0[name].len();
        for at in [0, length / 2, length - 1] {
            let mut folder = Folder(whole.0.clone());
            let bytes = folder.0.get_mut(name).unwrap();
            bytes[at] ^= 1;
            let checked = check(&folder).unwrap();
            let before = check(&whole).unwrap();
            let told = !checked.faults.is_empty() || checked.certificate != before.certificate;
            assert!(told, "{name}, byte {at}");
        }
    }
}

#[test]
fn missing_and_added_files_are_found() {
    let whole = made(1);
    for name in whole.0.keys() {
        let mut folder = Folder(whole.0.clone());
        folder.0.remove(name);
        assert!(!check(&folder).unwrap().faults.is_empty(), "{name}");
    }
    let mut folder = Folder(whole.0);
    folder.0.insert("notes.txt".to_owned(), b"more".to_vec());
    let faults = check(&folder).unwrap().faults;
    assert_eq!(faults, ["notes.txt is not part of the release"]);
}

/// Makes the manifest and certificate fit again after a change, as a dishonest custodian would.
fn forged(change: impl Fn(&mut Group)) -> Vec<String> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let (mut package, pieces) = Package::new(header()).unwrap();
    let mut all = pieces;
    let mut changed = group(1);
    change(&mut changed);
    all.extend(package.group(&changed).unwrap());
    let (pieces, manifest) = package.finish().unwrap();
    all.extend(pieces);
    for (file, bytes) in all {
        files.entry(file.to_owned()).or_default().extend(bytes);
    }
    files.insert("manifest.json".to_owned(), manifest.bytes());
    let certificate = Certificate::read(&made(1).0["certificate.json"]).unwrap();
    let certificate = Certificate {
        content: manifest.digest(),
        ..certificate
    };
    files.insert("certificate.json".to_owned(), certificate.bytes());
    check(&Folder(files)).unwrap().faults
}

#[test]
fn who_writes_all_files_anew_still_keeps_the_rules() {
    assert_eq!(forged(|_| {}), Vec::<String>::new());
    assert_eq!(forged(|group| group.at_least = 4).len(), 2);
    assert_eq!(forged(|group| group.at_least = 7).len(), 1);
    assert_eq!(forged(|group| group.measured[0].at_least = 3).len(), 1);
    assert_eq!(forged(|group| group.measured[0].at_least = 10).len(), 1);
    assert_eq!(forged(|group| group.id = "anna".to_owned()).len(), 1);
    assert_eq!(forged(|group| drop(group.recontact.pop())).len(), 1);
    assert_eq!(forged(|group| group.recontact[0].push('0')).len(), 1);
}

#[test]
fn a_certificate_that_contradicts_itself_is_found() {
    let whole = made(1);
    let read = Certificate::read(&whole.0["certificate.json"]).unwrap();
    assert!(read.verdict.passes, "{:?}", read.verdict);
    let with = |change: &dyn Fn(&mut Certificate)| {
        let mut certificate = read.clone();
        change(&mut certificate);
        let mut folder = Folder(whole.0.clone());
        folder
            .0
            .insert("certificate.json".to_owned(), certificate.bytes());
        check(&folder).unwrap().faults
    };
    assert_eq!(with(&|c| c.attacks.linkage[2].rate = 0.2).len(), 1);
    assert_eq!(with(&|c| c.canaries.survived = 1).len(), 1);
    assert_eq!(with(&|c| c.number = 1).len(), 1);
    assert_eq!(with(&|c| c.content = Digest::new([3; 32])).len(), 1);
    let refused = |c: &mut Certificate| {
        c.canaries.survived = 1;
        c.verdict.passes = false;
        c.verdict.exceeded = vec!["canaries".to_owned()];
    };
    assert_eq!(
        with(&refused),
        ["certificate.json says that this must not leave"]
    );
}

#[test]
fn the_fhir_is_valid() {
    let folder = made(4);
    for file in check::files_of(Format::Fhir) {
        for line in folder.0[file].split(|byte| *byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            let limits = fhir::Limits::default();
            let issues = fhir::validate_bytes(line, &limits, fhir::Strictness::Strict).unwrap();
            let errors = issues
                .iter()
                .filter(|i| i.severity == fhir::Severity::Error);
            assert_eq!(errors.count(), 0, "{file}: {issues:?}");
        }
    }
}

#[test]
fn the_phenopackets_are_phenopackets() {
    let folder = made(2);
    for line in folder.0["phenopackets.ndjson"].split(|byte| *byte == b'\n') {
        if !line.is_empty() {
            let parsed = phenopacket::Parsed::parse(line).unwrap();
            assert_eq!(parsed.findings().len(), 3);
        }
    }
}

#[test]
fn the_parquet_is_read_by_another_reader() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;
    // More rows than one row group holds.
    let folder = made(3_000);
    let rows = |file: &str| {
        let bytes = parquet_bytes(&folder.0[file]);
        SerializedFileReader::new(bytes).unwrap()
    };
    let groups = rows("groups.parquet");
    assert_eq!(groups.metadata().file_metadata().num_rows(), 3_000);
    let first = groups.get_row_iter(None).unwrap().next().unwrap().unwrap();
    assert_eq!(first.get_string(0).unwrap(), "G00001");
    assert_eq!(
        (first.get_int(1).unwrap(), first.get_int(2).unwrap()),
        (5, 1)
    );
    assert_eq!(
        (first.get_int(4).unwrap(), first.get_int(5).unwrap()),
        (1, 4)
    );
    let features = rows("features.parquet");
    assert_eq!(features.metadata().file_metadata().num_rows(), 9_000);
    assert!(features.num_row_groups() > 1);
    let measured = rows("measurements.parquet");
    let first = measured
        .get_row_iter(None)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(first.get_double(5).unwrap(), 98.2);
}

fn parquet_bytes(bytes: &[u8]) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(bytes)
}

#[test]
fn the_dictionary_names_every_file_that_is_data() {
    let folder = made(1);
    let dictionary: serde_json::Value =
        serde_json::from_slice(&folder.0["dictionary.json"]).unwrap();
    let named: BTreeSet<&str> = dictionary["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["file"].as_str().unwrap())
        .collect();
    let about = ["README.md", "dictionary.json", "release.json"];
    let data: BTreeSet<&str> = folder
        .0
        .keys()
        .map(String::as_str)
        .filter(|name| !about.contains(name) && !BESIDE.contains(name))
        .collect();
    assert_eq!(named, data);
    let readme = String::from_utf8(folder.0["README.md"].clone()).unwrap();
    for said in [
        "To cite it",
        "cannot be recalled",
        "release 2",
        "fewer than 5",
    ] {
        assert!(readme.contains(said), "{said}");
    }
    assert!(!readme.contains("anonymous"));
}
