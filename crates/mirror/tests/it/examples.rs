//! Published Consents, and what `docs/fhir-consent.md` says becomes of each.

use crate::consent_write::{HERE, frame, grant, kinds};
use crate::laws::{Own, SUBJECT};
use codec::{InstitutionId, RecordId, SubjectId};
use consent::{PractitionerAt, PractitionerId};
use mirror::{Directory, Named, Party, Stated, consent_read, consent_write};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Knows everybody whom the examples name: nothing is refused because of whom it is about.
struct Everybody;

impl Directory for Everybody {
    fn custodian(&self) -> InstitutionId {
        HERE
    }

    fn subject(&self, _: &Named<'_>) -> Option<SubjectId> {
        Some(SUBJECT)
    }

    fn party(&self, named: &Named<'_>) -> Option<Party> {
        let (of, id) = named.reference.as_ref()?.split_once('/')?;
        match of {
            "Organization" => Some(Party::Institution(HERE)),
            "Practitioner" => Some(Party::Practitioner(PractitionerAt {
                institution: HERE,
                practitioner: PractitionerId::new(id).ok()?,
            })),
            _ => None,
        }
    }

    fn record(&self, _: &Named<'_>) -> Option<RecordId> {
        Some(RecordId::new([1; 16]))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fhir-consent.md");
    fs::read_to_string(page).unwrap()
}

/// What becomes of each example, as a row of the table; the places without positions in lists, each once.
fn rows() -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for file in fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let row = match consent_read(&fs::read(&path).unwrap(), &Everybody) {
            Ok(stated) => format!("{stated:?}"),
            Err(issues) => {
                let places = issues.iter().flat_map(|issue| &issue.expression);
                let places = places.map(|place| {
                    let is_name = |c: char| c.is_ascii_alphabetic() || c == '.';
                    let names: String = place.chars().filter(|c| is_name(*c)).collect();
                    format!("`{}`", names.trim_start_matches("Consent."))
                });
                let places: Vec<String> = places.collect::<BTreeSet<_>>().into_iter().collect();
                places.join(", ")
            }
        };
        rows.insert(name, row);
    }
    rows
}

#[test]
fn the_page_says_what_becomes_of_each_example() {
    let rows = rows();
    assert_eq!(rows.len(), 13);
    let page = page();
    let told: BTreeMap<String, String> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let name = cells.next()?.strip_suffix('`')?.to_owned();
            let places = cells.last()?.strip_suffix(" |")?.to_owned();
            (name.starts_with("hl7-") || name.starts_with("cases-")).then_some((name, places))
        })
        .collect();
    assert_eq!(told, rows);
}

#[test]
fn the_examples_of_the_page_are_grants() {
    let page = page();
    let blocks: Vec<&str> = page.split("```json\n").skip(1).collect();
    assert_eq!(blocks.len(), 2);
    let mut stated = blocks.iter().map(|block| {
        let (source, _) = block.split_once("```").unwrap();
        consent_read(source.as_bytes(), &Own)
    });
    // As a record system sends it, and as it is written here.
    let Some(Ok(Stated::Grant(sent))) = stated.next() else {
        panic!("the first is no grant");
    };
    let Some(Ok(Stated::Grant(written))) = stated.next() else {
        panic!("the second is no grant");
    };
    let id = grant().id;
    assert_eq!(sent.grant(id), grant());
    assert_eq!(written.grant(id), grant());
    let (source, _) = blocks[1].split_once("```").unwrap();
    let meant: serde_json::Value = serde_json::from_str(source).unwrap();
    crate::check(&consent_write(&grant(), &kinds(), &frame()), &meant);
}
