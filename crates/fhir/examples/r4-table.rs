//! Writes `src/r4.txt` from the official definitions.
//!
//! `npm pack hl7.fhir.r4.examples@4.0.1` (CC0-1.0), unpack it, then
//! `cargo run -p ithaca-fhir --example r4-table -- package > crates/fhir/src/r4.txt`.

#![expect(clippy::print_stdout, reason = "a program that prints a file")]

use json::{Document, Limits, Value};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

const HEADER: &str = "\
# FHIR R4 (4.0.1): the elements of every resource and data type, in the order of the definitions.
# From the StructureDefinitions of npm hl7.fhir.r4.examples@4.0.1 (HL7, CC0-1.0), written by
# examples/r4-table.rs: do not edit. A line is `resource|type NAME name:type name*:type ...`; `*`
# marks repeating elements, value[x] is spelled out, PersonReference is a Reference whose targets
# include a person. Elements below an element are a type named by their path.
";

/// Element references that can name a person.
const PEOPLE: [&str; 6] = [
    "Patient",
    "RelatedPerson",
    "Person",
    "Practitioner",
    "PractitionerRole",
    "Resource",
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name the package folder")?;
    let mut lines = BTreeMap::new();
    for entry in fs::read_dir(Path::new(&folder))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("StructureDefinition-") {
            let text = fs::read(&path)?;
            definition(&json::parse(&text, &Limits::default())?, &mut lines);
        }
    }
    print!("{HEADER}");
    for ((kind, name), elements) in lines {
        println!("{kind} {name} {}", elements.join(" "));
    }
    Ok(())
}

type Lines = BTreeMap<(&'static str, String), Vec<String>>;

fn definition(document: &Document<'_>, lines: &mut Lines) {
    let root = document.root();
    let name = text(root, "name");
    let kind = match text(root, "kind").as_str() {
        "resource" => "resource",
        "complex-type" => "type",
        _ => return,
    };
    let own = text(root, "derivation") == "specialization" || name == "Element";
    if !own || ["DomainResource", "BackboneElement"].contains(&name.as_str()) {
        return;
    }
    let snapshot = root.get("snapshot").and_then(|s| s.get("element"));
    for element in snapshot.into_iter().flat_map(Value::children) {
        let path = text(element, "path");
        let Some((owner, name)) = path.rsplit_once('.') else {
            continue;
        };
        let owner_kind = if owner.contains('.') { "type" } else { kind };
        let repeats = if text(element, "max") == "*" { "*" } else { "" };
        let tokens = lines.entry((owner_kind, owner.to_owned())).or_default();
        for (suffix, of) in types(element, &path, kind) {
            let name = name
                .strip_suffix("[x]")
                .map(|stem| format!("{stem}{suffix}"));
            let name = name.unwrap_or_else(|| path.rsplit('.').next().unwrap_or_default().into());
            tokens.push(format!("{name}{repeats}:{of}"));
        }
    }
}

/// The types of an element, each with what it adds to the name of a choice element.
fn types(element: Value<'_, '_>, path: &str, kind: &str) -> Vec<(String, String)> {
    if let Some(reference) = element.get("contentReference").and_then(Value::text) {
        return vec![(String::new(), reference.trim_start_matches('#').to_owned())];
    }
    let listed = element.get("type").into_iter().flat_map(Value::children);
    listed
        .map(|of| {
            let code = text(of, "code");
            let suffix = capital(&code);
            let of = match code.as_str() {
                "BackboneElement" | "Element" => path.to_owned(),
                "Reference" if names_people(of) => "PersonReference".to_owned(),
                system if system.starts_with("http:") => system_type(path, kind).to_owned(),
                other => other.to_owned(),
            };
            (suffix, of)
        })
        .collect()
}

fn names_people(of: Value<'_, '_>) -> bool {
    let Some(targets) = of.get("targetProfile") else {
        return true;
    };
    targets.children().filter_map(Value::text).any(|target| {
        let target = target.rsplit('/').next().unwrap_or_default();
        PEOPLE.contains(&target)
    })
}

/// The FHIR type of the few elements that are typed as FHIRPath strings.
fn system_type(path: &str, kind: &str) -> &'static str {
    match path.matches('.').count() {
        1 if kind == "resource" && path.ends_with(".id") => "id",
        _ if path == "Extension.url" => "uri",
        _ => "string",
    }
}

fn capital(code: &str) -> String {
    let mut letters = code.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn text(object: Value<'_, '_>, name: &str) -> String {
    let member = object.get(name).and_then(Value::text);
    member.unwrap_or_default().into_owned()
}
