//! `bindings.txt`: the codes of the value sets that bind an element (strength `required`).

use super::{definitions, documents, list, text};
use anyhow::{Result, bail};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
};

const HEADER: &str = "\
# FHIR R4 (4.0.1): the codes that required bindings allow, expanded from the ValueSets and CodeSystems
# of npm hl7.fhir.r4.examples@4.0.1 (HL7, CC0-1.0), written by `cargo xtask fhir-tables`: do not edit.
# A line is `VALUESET SYSTEM CODE CODE...`, one for each code system of a value set. `VALUESET open` is
# a value set whose codes the package does not hold (languages, media types, currencies, units, LOINC):
# there, any code is accepted.
";

/// The table of value sets.
pub(super) fn table(package: &Path) -> Result<String> {
    let by_url = |start| -> Result<BTreeMap<String, Value>> {
        let read = documents(package, start)?.into_iter();
        Ok(read
            .map(|set| (text(&set, "url").to_owned(), set))
            .collect())
    };
    let (sets, systems) = (by_url("ValueSet-")?, by_url("CodeSystem-")?);
    let mut bound = BTreeMap::new();
    let definitions = definitions(package)?;
    for element in definitions.iter().flat_map(|d| &d.elements) {
        if let Some(url) = required(element)
            && bound
                .insert(name(url), url.to_owned())
                .is_some_and(|other| other != url)
        {
            bail!("two value sets are named {}", name(url));
        }
    }
    let mut out = String::from(HEADER);
    for (name, url) in &bound {
        match sets.get(url).and_then(|set| expand(set, &systems)) {
            Some(codes) => {
                for (system, codes) in codes {
                    if codes.iter().any(|code| code.contains(char::is_whitespace)) {
                        bail!("a code of {url} holds a space, and the table has no sign for it");
                    }
                    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
                    writeln!(out, "{name} {system} {}", codes.join(" "))?;
                }
            }
            None => writeln!(out, "{name} open")?,
        }
    }
    Ok(out)
}

/// The value set that binds an element, without its version.
pub(super) fn required(element: &Value) -> Option<&str> {
    let binding = &element["binding"];
    let set = binding["valueSet"].as_str()?;
    let bound = binding["strength"] == "required";
    bound.then(|| set.split('|').next().unwrap_or_default())
}

/// The short name of a value set.
pub(super) fn name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

/// The codes of each system; `None` when the package does not say which they are.
fn expand(
    set: &Value,
    systems: &BTreeMap<String, Value>,
) -> Option<BTreeMap<String, BTreeSet<String>>> {
    let compose = &set["compose"];
    if compose.get("exclude").is_some() {
        return None;
    }
    let mut codes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for include in list(&compose["include"]) {
        if include.get("filter").is_some() || include.get("valueSet").is_some() {
            return None;
        }
        let system = text(include, "system");
        let into = codes.entry(system.to_owned()).or_default();
        match include.get("concept") {
            Some(concepts) => {
                into.extend(list(concepts).iter().map(|c| text(c, "code").to_owned()))
            }
            None => {
                let system = systems.get(system)?;
                if text(system, "content") != "complete" {
                    return None;
                }
                concepts(&system["concept"], into);
            }
        }
    }
    Some(codes)
}

/// Adds the codes of a list of concepts, and of those below them.
pub(super) fn concepts(of: &Value, into: &mut BTreeSet<String>) {
    for concept in list(of) {
        into.insert(text(concept, "code").to_owned());
        concepts(&concept["concept"], into);
    }
}
