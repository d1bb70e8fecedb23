//! `hl7-codes.txt`: every code of the code systems of HL7 that the rules of de-identification name.

use super::{bindings::concepts, documents, text};
use crate::shell::root;
use anyhow::{Context as _, Result, bail};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

/// Where the systems are named: a line each, quoted, in the list `systems` of `[hl7]`.
const RULES: &str = "crates/deident/src/rules.toml";

const HEADER: &str = "\
# The codes of the code systems of HL7 that rules.toml names, from the CodeSystems of npm
# hl7.fhir.r4.examples@4.0.1 (HL7, CC0-1.0), written by `cargo xtask fhir-tables`: do not edit.
# A line is SYSTEM and its codes, between tabs.
";

/// The table of codes.
pub(super) fn table(package: &Path) -> Result<String> {
    let read = documents(package, "CodeSystem-")?.into_iter();
    let systems: BTreeMap<_, _> = read.map(|s| (text(&s, "url").to_owned(), s)).collect();
    let rules = fs::read_to_string(root().join(RULES)).context(RULES)?;
    let (_, listed) = rules.split_once("[hl7]").context("no [hl7] in the rules")?;
    let mut out = String::from(HEADER);
    for url in listed.split('"').skip(1).step_by(2) {
        let system = systems.get(url);
        let Some(system) = system.filter(|system| text(system, "content") == "complete") else {
            bail!("the package does not hold every code of {url}");
        };
        let mut codes = BTreeSet::new();
        concepts(&system["concept"], &mut codes);
        let plain = |code: &String| code.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !codes.iter().all(plain) {
            bail!("a code of {url} is not of plain characters");
        }
        let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
        writeln!(out, "{url}\t{}", codes.join("\t"))?;
    }
    Ok(out)
}
