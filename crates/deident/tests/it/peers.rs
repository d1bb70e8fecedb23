//! Tools of others that run here, beside ours: what they leave of the same inputs, and of identifiers that are planted.
//!
//! `ITHACA_PEERS_PYTHON` names a Python that has what they need, `ITHACA_FHIR_DIET` a checkout of docunque/fhir-diet,
//! `ITHACA_DEIDENTIFY_FHIR` one of josephbartlett/deidentify-fhir; nothing of them is in this repository. What is found
//! is part of `docs/deident-comparison.md` (`ITHACA_BLESS=1` writes it, then the test `comparison` the document).

use crate::{
    canaries::{WORD, fhir_paths::texts_planted},
    comparison::{KINDS, Leaves, REST, cases, fate, kind, of, ours, resources},
    examples, sample,
};
use deident::Rules;
use serde_json::Value;
use std::{
    collections::BTreeMap, env, ffi::OsString, fmt::Write as _, fs, path::PathBuf, process::Command,
};

const TOOLS: [(&str, &str); 2] = [
    ("fhir-diet", "ITHACA_FHIR_DIET"),
    ("deidentify-fhir", "ITHACA_DEIDENTIFY_FHIR"),
];

/// Where the peers are.
struct Peers {
    python: OsString,
    folders: [PathBuf; 2],
}

impl Peers {
    fn here() -> Option<Self> {
        let named = |(_, name)| env::var_os(name).map(PathBuf::from);
        let [Some(first), Some(second)] = TOOLS.map(named) else {
            return None;
        };
        Some(Self {
            python: env::var_os("ITHACA_PEERS_PYTHON")?,
            folders: [first, second],
        })
    }

    /// What each tool leaves of each document; null where it stopped with an error.
    fn leave(&self, documents: &[Value]) -> [Vec<Value>; 2] {
        [0, 1].map(|tool| {
            let below = env::temp_dir().join(format!("ithaca-peers-{}", std::process::id()));
            fs::create_dir_all(&below).unwrap();
            let (from, to) = (below.join("in"), below.join("out"));
            let lines: Vec<String> = documents.iter().map(Value::to_string).collect();
            fs::write(&from, lines.join("\n") + "\n").unwrap();
            let done = Command::new(&self.python)
                .arg(sample::root().join("crates/cli/src/bench/deident/peers.py"))
                .arg(TOOLS[tool].0)
                .args([&self.folders[tool], &from, &to])
                .output()
                .unwrap();
            assert!(done.status.success(), "{done:?}");
            let text = fs::read_to_string(&to).unwrap();
            fs::remove_dir_all(&below).unwrap();
            let left = text.lines().map(|line| serde_json::from_str(line).unwrap());
            let left: Vec<Value> = left.collect();
            assert_eq!(left.len(), documents.len());
            left
        })
    }
}

fn is_patient(document: &Value) -> bool {
    document["resourceType"] == "Patient"
}

/// The inputs that were published, by what the tools leave of them.
fn inputs(peers: &Peers, out: &mut String) {
    let cases = cases();
    let inputs = cases
        .iter()
        .filter(|(name, _)| !name.ends_with("-target.json"));
    let documents: Vec<Value> = inputs.flat_map(|(_, input)| resources(input)).collect();
    let documents: Vec<Value> = documents.into_iter().filter(Value::is_object).collect();
    let (patients, others): (Vec<Value>, Vec<Value>) = documents.into_iter().partition(is_patient);
    writeln!(
        out,
        "\n### The {} Patients of the inputs, and the {} other resources\n\n\
         | element of Patients | in | FHIR-Diet: same, changed, gone | deidentify-fhir: same, changed, gone | ours: same, \
         changed, gone |\n|---|---|---|---|---|",
        patients.len(),
        others.len()
    )
    .unwrap();
    // Ours knows by the Patients of a document whom it is about.
    let kept = cases
        .iter()
        .filter(|(name, _)| !name.ends_with("-target.json"));
    let kept: Vec<Value> = kept.flat_map(|(_, input)| ours(input).0).collect();
    let (kept, kept_others): (Vec<Value>, Vec<Value>) = kept.into_iter().partition(is_patient);
    let [first, second] = peers.leave(&patients);
    let sides = [of(&first), of(&second), of(&kept)];
    rows(&of(&patients), &sides, out);
    let stops = |left: &[Value]| left.iter().filter(|left| left.is_null()).count();
    let empty = stops(&first);
    let [first, second] = peers.leave(&others);
    assert!(second.iter().all(Value::is_object));
    writeln!(
        out,
        "\nFHIR-Diet stopped at {empty} of the Patients and at {} of the others with an error and wrote nothing; ours refused \
         {} of the others.",
        stops(&first),
        others.len() - kept_others.len()
    )
    .unwrap();
}

fn rows(before: &Leaves, sides: &[Leaves; 3], out: &mut String) {
    let none = Vec::new();
    let kinds = KINDS.iter().map(|(kind, _, _)| *kind).chain([REST.0]);
    for kind in kinds.filter(|kind| before.contains_key(kind)) {
        let cells = sides.each_ref().map(|side| {
            let [same, changed, gone] = fate(&before[kind], side.get(kind).unwrap_or(&none));
            format!("{same}, {changed}, {gone}")
        });
        writeln!(
            out,
            "| {kind} | {} | {} |",
            before[kind].len(),
            cells.join(" | ")
        )
        .unwrap();
    }
}

/// Planted, and of these how many each tool left: FHIR-Diet, deidentify-fhir, ours.
type Survived = [usize; 4];

/// One identifier in each text of each type that ours has rules for, one document for each.
fn planted(peers: &Peers, out: &mut String) {
    let mut of_patients: BTreeMap<&str, Survived> = BTreeMap::new();
    let (mut of_others, mut types, mut stopped, mut refused) = ([0; 4], 0, 0, 0);
    for name in Rules::shipped().resource_types() {
        let (paths, documents): (Vec<String>, Vec<Value>) = texts_planted(name).into_iter().unzip();
        let [first, second] = peers.leave(&documents);
        for (at, path) in paths.iter().enumerate() {
            let ours = released(&documents[at]);
            refused += usize::from(ours.is_null());
            stopped += usize::from(first[at].is_null() && name != "Patient");
            assert!(!first[at].is_null() || name != "Patient", "{path}");
            let sides = [&first[at], &second[at], &ours];
            let sums = match name {
                "Patient" => of_patients.entry(kind(path)).or_default(),
                _ => &mut of_others,
            };
            sums[0] += 1;
            for (sum, left) in sums[1..].iter_mut().zip(sides) {
                *sum += usize::from(left.to_string().contains(WORD));
            }
        }
        types += usize::from(name != "Patient");
    }
    out.push_str(
        "\n### Identifiers planted in texts, one a document, and how many were left\n\n\
         Most of these places are not where an identifier belongs (a unit, a system, a code): they show what happens to what \
         no rule names.\n\n\
         | element | planted | FHIR-Diet | deidentify-fhir | ours |\n|---|---|---|---|---|\n",
    );
    let mut all = [0; 4];
    let kinds = KINDS.iter().map(|(kind, _, _)| *kind).chain([REST.0]);
    for kind in kinds {
        let Some(sums) = of_patients.get(kind) else {
            continue;
        };
        line(&format!("Patient: {kind}"), sums, out);
        all.iter_mut()
            .zip(sums)
            .for_each(|(sum, more)| *sum += more);
    }
    line("Patient: all", &all, out);
    let [planted, first, second, ours] = of_others.map(|sum| sum.to_string());
    // Nothing left, where nothing came out.
    let first = match stopped == of_others[0] {
        true => "stopped".to_owned(),
        false => first,
    };
    row(
        &format!("{types} other types"),
        [planted, first, second, ours],
        out,
    );
    writeln!(
        out,
        "\nFHIR-Diet stopped at {stopped} of the {} documents of other types with an error and wrote nothing. Ours refused \
         {refused} of all documents, and released the others without what was planted.",
        of_others[0]
    )
    .unwrap();
    assert_eq!(all[3] + of_others[3], 0);
    assert!(refused * 2 < all[0] + of_others[0], "{refused}");
}

fn line(name: &str, sums: &Survived, out: &mut String) {
    row(name, sums.map(|sum| sum.to_string()), out);
}

fn row(name: &str, cells: [String; 4], out: &mut String) {
    writeln!(out, "| {name} | {} |", cells.join(" | ")).unwrap();
}

/// What ours leaves; not validated, for what is planted is often not valid and must not be gone for that alone.
fn released(document: &Value) -> Value {
    let mut fates = Rules::shipped().fates();
    let bytes = serde_json::to_vec(document).unwrap();
    let (cloak, at) = (examples::cloak(), examples::at());
    let out = Rules::shipped().resource_unvalidated(&cloak, at, &bytes, &mut fates);
    out.map_or(Value::Null, |out| serde_json::from_slice(&out).unwrap())
}

#[test]
fn tools_that_run_here_leave_what_is_documented() {
    let Some(peers) = Peers::here() else {
        eprintln!("SKIPPED: set ITHACA_PEERS_PYTHON, ITHACA_FHIR_DIET and ITHACA_DEIDENTIFY_FHIR");
        return;
    };
    let folder = sample::root().join("crates/deident/testdata");
    let mut out = fs::read_to_string(folder.join("comparison-run-head.md")).unwrap();
    inputs(&peers, &mut out);
    planted(&peers, &mut out);
    let golden = folder.join("comparison-run.md");
    if env::var_os("ITHACA_BLESS").is_some() {
        fs::write(&golden, &out).unwrap();
    }
    let expect = fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        expect == out,
        "comparison-run.md differs from what was found; read it and ITHACA_BLESS=1"
    );
}
