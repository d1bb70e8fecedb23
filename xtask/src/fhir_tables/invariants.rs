//! `invariants.txt`: the rules that definitions state as FHIRPath.

use super::{Definition, definitions, list, text};
use anyhow::{Result, bail};
use serde_json::Value;
use std::{collections::BTreeSet, fmt::Write as _, path::Path};

const HEADER: &str = "\
# FHIR R4 (4.0.1): the invariants of every resource and data type, from the StructureDefinitions of npm
# hl7.fhir.r4.examples@4.0.1 (HL7, CC0-1.0), written by `cargo xtask fhir-tables`: do not edit.
# A line is OWNER, KEY, SEVERITY, EXPRESSION and what it says, between tabs. OWNER is a type, or an
# element of one as `type#element`. Invariants of a base or of an element's type stand there alone.
";

/// The table of invariants.
pub(super) fn table(package: &Path) -> Result<String> {
    let definitions = definitions(package)?;
    let root = |d: &Definition| d.elements.first().map(keys).unwrap_or_default();
    // What a type or a base says of itself, wherever it stands.
    let shared: BTreeSet<String> = definitions
        .iter()
        .filter(|definition| definition.kind != "resource")
        .flat_map(root)
        .collect();
    let mut lines = BTreeSet::new();
    for definition in &definitions {
        for element in &definition.elements {
            let path = text(element, "path");
            let owner = match path.rsplit_once('.') {
                None => path.to_owned(),
                Some(_) if groups(element) => path.to_owned(),
                Some((owner, name)) => format!("{owner}#{name}"),
            };
            let own = definition.kind != "resource" && path == definition.name;
            for constraint in list(&element["constraint"]) {
                let key = key_of(constraint);
                if own || !shared.contains(&key) {
                    let human = text(constraint, "human").replace(['\t', '\n', '\r'], " ");
                    let line = format!("{owner}\t{key}\t{}", human.trim());
                    if line.matches('\t').count() != 4 {
                        bail!("{key}: a tab in an invariant");
                    }
                    lines.insert(line);
                }
            }
        }
    }
    drop_inherited(&mut lines);
    let mut out = String::from(HEADER);
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(out)
}

/// An invariant of `Element` or `Resource` also stands in the types that extend them.
fn drop_inherited(lines: &mut BTreeSet<String>) {
    let base = |owner: &str| -> BTreeSet<String> {
        let rest = |line: &String| {
            line.strip_prefix(owner)?
                .strip_prefix('\t')
                .map(str::to_owned)
        };
        lines.iter().filter_map(rest).collect()
    };
    let (element, resource) = (base("Element"), base("DomainResource"));
    lines.retain(|line| {
        let (owner, rest) = line.split_once('\t').unwrap_or_default();
        (owner == "Element" || !element.contains(rest))
            && (owner == "DomainResource" || !resource.contains(rest))
    });
}

/// Whether the elements below make a type of their own.
fn groups(element: &Value) -> bool {
    let of = |kind: &Value| matches!(text(kind, "code"), "BackboneElement" | "Element");
    list(&element["type"]).iter().any(of)
}

fn keys(element: &Value) -> Vec<String> {
    list(&element["constraint"]).iter().map(key_of).collect()
}

fn key_of(constraint: &Value) -> String {
    let expression = text(constraint, "expression");
    format!(
        "{}\t{}\t{expression}",
        text(constraint, "key"),
        text(constraint, "severity")
    )
}
