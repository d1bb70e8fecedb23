//! `elements.txt`: which elements a type has, how often, and what stands in them.

use super::{BASES, bindings, definitions, list, text};
use anyhow::{Result, bail};
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write as _, path::Path};

const HEADER: &str = "\
# FHIR R4 (4.0.1): the elements of every resource and data type, in the order of the definitions.
# From the StructureDefinitions of npm hl7.fhir.r4.examples@4.0.1 (HL7, CC0-1.0), written by
# `cargo xtask fhir-tables`: do not edit. A line is
#   resource|type|base NAME BASE element...
# where BASE is the type whose elements come first (`-`: none), an element is NAME[!*+]:TYPE,TYPE...
# (`!` exactly one, `*` any number, `+` at least one, otherwise at most one), `value[x]` is one of its
# types, and a type is NAME[@VALUESET][>TARGET|TARGET...]: the value set that binds its code, and what
# a reference may name (without: anything). Elements below an element are a type named by their path.
";

/// The table of elements.
pub(super) fn table(package: &Path) -> Result<String> {
    let mut lines: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
    for definition in &definitions(package)? {
        for element in &definition.elements {
            let path = text(element, "path");
            let Some((owner, name)) = path.rsplit_once('.') else {
                continue;
            };
            let kind = match owner.contains('.') {
                true => "type",
                false => definition.kind,
            };
            let types = types(element, path, definition.kind);
            let token = format!("{name}{}:{}", cardinality(element)?, types.join(","));
            lines
                .entry((kind, owner.to_owned()))
                .or_default()
                .push(token);
        }
    }
    let bases: Vec<(&str, Vec<String>)> = BASES
        .iter()
        .filter_map(|&name| Some((name, lines.get(&("base", name.to_owned()))?.clone())))
        .collect();
    let mut out = String::from(HEADER);
    for ((kind, name), tokens) in &lines {
        let starts =
            |(base, first): &&(&str, Vec<String>)| base != name && tokens.starts_with(first);
        let (base, skipped) = match bases.iter().find(starts) {
            Some((base, first)) => (*base, first.len()),
            None => ("-", 0),
        };
        write!(out, "{kind} {name} {base}")?;
        for token in tokens.iter().skip(skipped) {
            write!(out, " {token}")?;
        }
        out.push('\n');
    }
    Ok(out)
}

fn cardinality(element: &Value) -> Result<&'static str> {
    Ok(match (element["min"].as_u64(), text(element, "max")) {
        (Some(0), "1") => "",
        (Some(1), "1") => "!",
        (Some(0), "*") => "*",
        (Some(1), "*") => "+",
        _ => bail!("{}: this cardinality has no sign", text(element, "path")),
    })
}

/// The types of an element with their value set and targets.
fn types(element: &Value, path: &str, kind: &str) -> Vec<String> {
    if let Some(reference) = element["contentReference"].as_str() {
        return vec![reference.trim_start_matches('#').to_owned()];
    }
    let bound = bindings::required(element).map(|url| format!("@{}", bindings::name(url)));
    let spelled = |of: &Value| match text(of, "code") {
        "BackboneElement" | "Element" => path.to_owned(),
        "Reference" => format!("Reference{}", targets(of)),
        system if system.starts_with("http:") => system_type(path, kind).to_owned(),
        code @ ("code" | "Coding" | "CodeableConcept") => {
            format!("{code}{}", bound.as_deref().unwrap_or_default())
        }
        other => other.to_owned(),
    };
    list(&element["type"]).iter().map(spelled).collect()
}

fn targets(of: &Value) -> String {
    let profiles = list(&of["targetProfile"]).iter().filter_map(Value::as_str);
    let names: Vec<&str> = profiles
        .map(|profile| profile.rsplit('/').next().unwrap_or_default())
        .collect();
    match names.is_empty() || names.contains(&"Resource") {
        true => String::new(),
        false => format!(">{}", names.join("|")),
    }
}

/// The FHIR type of the few elements that are typed as FHIRPath strings.
fn system_type(path: &str, kind: &str) -> &'static str {
    let of_resource = kind == "resource" || matches!(path, "Resource.id" | "DomainResource.id");
    match path.matches('.').count() {
        1 if of_resource && path.ends_with(".id") => "id",
        _ if path == "Extension.url" => "uri",
        _ => "string",
    }
}
