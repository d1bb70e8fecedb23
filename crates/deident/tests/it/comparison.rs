//! The cases of two other tools, put through ours: what each of them leaves, by kind of element, as a golden
//! document (`docs/deident-comparison.md`; `ITHACA_BLESS=1` writes it).

use crate::{examples, sample};
use deident::{Rules, StudyKey};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

/// Kinds of elements: by a step of their path, and why ours does what it does with them.
pub(crate) const KINDS: &[(&str, &[&str], &str)] = &[
    (
        "narrative",
        &["text", "div", "note", "comment", "description"],
        "free text is never kept",
    ),
    (
        "contained",
        &["contained"],
        "another record inside this one",
    ),
    (
        "extension",
        &["extension", "modifierExtension"],
        "can hold anything; none is understood",
    ),
    ("name", &["name", "family", "given"], "identifies"),
    ("telecom", &["telecom"], "identifies"),
    (
        "address",
        &["address"],
        "at most the country leaves, as an ISO code",
    ),
    (
        "identifier",
        &["identifier", "accessionIdentifier", "requisition"],
        "identifies; pseudonyms are made of ids alone",
    ),
    (
        "contact, photo, link",
        &["contact", "photo", "link"],
        "other people, faces",
    ),
    (
        "birth date",
        &["birthDate", "_birthDate"],
        "becomes an age band, pooled from 90 years on",
    ),
    (
        "meta",
        &["meta"],
        "tags, sources and profiles can hold anything; PSEUDED is written",
    ),
    ("id", &["id", "fullUrl"], "keyed pseudonym of this study"),
    (
        "reference",
        &[
            "reference",
            "subject",
            "patient",
            "performer",
            "managingOrganization",
            "generalPractitioner",
        ],
        "pseudonym within the release; people and places outside it are dropped",
    ),
    (
        "date",
        &[
            "period",
            "start",
            "end",
            "issued",
            "authoredOn",
            "date",
            "effectiveDateTime",
            "deceasedDateTime",
            "onsetDateTime",
            "recordedDate",
            "occurrenceDateTime",
        ],
        "shifted, one offset per subject and study",
    ),
    (
        "code",
        &[
            "code", "coding", "system", "type", "category", "class", "status", "gender", "intent",
        ],
        "kept under known terminologies in their form; display and text dropped",
    ),
];
pub(crate) const REST: (&str, &str) = (
    "other",
    "kept only where the rule file names it and its type holds no free text",
);

/// Leaves by kind: path without positions, and value.
pub(crate) type Leaves = BTreeMap<&'static str, Vec<(String, String)>>;

fn leaves(value: &Value, path: &str, out: &mut Leaves) {
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(name, value)| leaves(value, &format!("{path}.{name}"), out)),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, path, out)),
        leaf if path.ends_with(".resourceType") || leaf.is_null() => {}
        leaf => out
            .entry(kind(path))
            .or_default()
            .push((path.to_owned(), leaf.to_string())),
    }
}

pub(crate) fn kind(path: &str) -> &'static str {
    let steps: Vec<&str> = path.split('.').collect();
    let found = KINDS
        .iter()
        .find(|(_, names, _)| steps.iter().any(|step| names.contains(step)));
    found.map_or(REST.0, |(kind, _, _)| kind)
}

/// How many leaves of a kind are as before, are there with another value, are gone.
pub(crate) fn fate(before: &[(String, String)], after: &[(String, String)]) -> [usize; 3] {
    let mut after = after.to_vec();
    let mut rest = Vec::new();
    let mut same = 0;
    for leaf in before {
        match after.iter().position(|other| other == leaf) {
            Some(at) => {
                after.swap_remove(at);
                same += 1;
            }
            None => rest.push(leaf),
        }
    }
    let mut changed = 0;
    for (path, _) in &rest {
        if let Some(at) = after.iter().position(|(other, _)| other == path) {
            after.swap_remove(at);
            changed += 1;
        }
    }
    [same, changed, rest.len() - changed]
}

/// The resources of a document: itself, or the entries of a Bundle at any depth.
pub(crate) fn resources(document: &Value) -> Vec<Value> {
    match document["resourceType"] == "Bundle" {
        true => {
            let entries = document["entry"].as_array().into_iter().flatten();
            entries
                .flat_map(|entry| resources(&entry["resource"]))
                .collect()
        }
        false => vec![document.clone()],
    }
}

/// What ours leaves of the resources of a document, and why it refused some.
pub(crate) fn ours(document: &Value) -> (Vec<Value>, Vec<String>) {
    let study: StudyKey = examples::study(1);
    let resources = resources(document);
    let patients = resources
        .iter()
        .filter(|resource| resource["resourceType"] == "Patient");
    let patients: Vec<&str> = patients
        .filter_map(|patient| patient["id"].as_str())
        .collect();
    let cloak = study.subject(b"case", &patients);
    let mut fates = Rules::shipped().fates();
    let mut out = Vec::new();
    for resource in resources.iter().filter(|resource| resource.is_object()) {
        let bytes = serde_json::to_vec(resource).unwrap();
        if let Ok(bytes) = Rules::shipped().resource(&cloak, examples::at(), &bytes, &mut fates) {
            out.push(serde_json::from_slice(&bytes).unwrap());
        }
    }
    let refused = fates.refused().map(|(why, count)| match count {
        1 => why.to_owned(),
        more => format!("{why} ({more} times)"),
    });
    (out, refused.collect())
}

pub(crate) fn of(documents: &[Value]) -> Leaves {
    let mut found = Leaves::new();
    documents
        .iter()
        .for_each(|document| leaves(document, "", &mut found));
    found
}

/// One case as a section.
fn section(name: &str, input: &str, before: &Value, target: &Value, out: &mut String) {
    let (released, refused) = ours(before);
    let input_leaves = of(&resources(before));
    let (theirs, ours) = (of(&resources(target)), of(&released));
    writeln!(out, "\n### {name}\n\nInput: {input}.").unwrap();
    if !refused.is_empty() {
        writeln!(out, "Ours refuses whole resources: {}.", refused.join("; ")).unwrap();
    }
    writeln!(out, "\n| element | in | peer: same, changed, gone | ours: same, changed, gone |\n|---|---|---|---|").unwrap();
    let none = Vec::new();
    let kinds = KINDS.iter().map(|(kind, _, _)| *kind).chain([REST.0]);
    for kind in kinds.filter(|kind| input_leaves.contains_key(kind)) {
        let before = &input_leaves[kind];
        let [a, b, c] = fate(before, theirs.get(kind).unwrap_or(&none));
        let [x, y, z] = fate(before, ours.get(kind).unwrap_or(&none));
        writeln!(
            out,
            "| {kind} | {} | {a}, {b}, {c} | {x}, {y}, {z} |",
            before.len()
        )
        .unwrap();
    }
}

/// Inputs and targets, by their names.
pub(crate) fn cases() -> BTreeMap<String, Value> {
    let folder = sample::root().join("crates/deident/testdata");
    let archive = sample::unpacked(&folder.join("peers.tar.zst"));
    let files = sample::tar_files(&archive).into_iter();
    files
        .map(|(name, bytes)| {
            let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            let value = serde_json::from_slice(text);
            (name, value.unwrap())
        })
        .collect()
}

#[test]
fn the_cases_of_others_compare_as_documented() {
    let folder = sample::root().join("crates/deident/testdata");
    let files = cases();
    let mut out = fs::read_to_string(folder.join("comparison-head.md")).unwrap();
    writeln!(out, "\n| element | what ours does, and why |\n|---|---|").unwrap();
    for (kind, _, why) in KINDS {
        writeln!(out, "| {kind} | {why} |").unwrap();
    }
    writeln!(out, "| {} | {} |", REST.0, REST.1).unwrap();
    out += &fs::read_to_string(folder.join("comparison-run.md")).unwrap();
    out.push_str("\n## The published results, case by case\n");
    let (mut cases, mut kept_names) = (0, 0);
    for (name, target) in &files {
        let Some(stem) = name.strip_suffix("-target.json") else {
            continue;
        };
        let direct = format!("{stem}.json");
        let redacted = format!("{}-basic.json", stem.trim_end_matches("-redact-all"));
        let plain = format!("{}.json", stem.trim_end_matches("-redact-all"));
        let input = match stem {
            _ if stem.starts_with("miracum/") && stem.ends_with("-patient") => {
                "miracum/patient.json".to_owned()
            }
            _ if stem.starts_with("miracum/") => {
                "miracum/conditional-crypthohash-url-put-bundle-target.json".to_owned()
            }
            _ if files.contains_key(&direct) => direct,
            _ if files.contains_key(&plain) => plain,
            _ => redacted,
        };
        let before = files
            .get(&input)
            .unwrap_or_else(|| panic!("{name} has no input"));
        section(stem, &format!("`{input}`"), before, target, &mut out);
        cases += 1;
        // Nothing that names or reaches a person is as it was.
        let (before_leaves, ours) = (of(&resources(before)), of(&ours(before).0));
        for kind in [
            "narrative",
            "name",
            "telecom",
            "identifier",
            "contact, photo, link",
            "contained",
        ] {
            let none = Vec::new();
            let [same, changed, _] = fate(
                before_leaves.get(kind).unwrap_or(&none),
                ours.get(kind).unwrap_or(&none),
            );
            kept_names += same + changed;
        }
    }
    assert!(cases >= 35, "{cases}");
    assert_eq!(kept_names, 0);
    let golden = sample::root().join("docs/deident-comparison.md");
    if std::env::var_os("ITHACA_BLESS").is_some() {
        fs::write(&golden, &out).unwrap();
    }
    let expect = fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        expect == out,
        "docs/deident-comparison.md differs from what is compared; read it and ITHACA_BLESS=1"
    );
}
