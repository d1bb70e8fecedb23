//! Parses, validates and stores every official example of R4, and writes what is refused and why.
//!
//! `cargo xtask fhir-tables PACKAGE_DIR --report [--check]` runs it: the folder of the unpacked package
//! and the file of the report; with `--check` the report is compared and not written.

#![expect(clippy::print_stdout, reason = "a program that reports")]

use codec::time::Millis;
use fhir::{Assigned, Error, Issue, Limits, Parsed, Severity, Strictness};
use json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

const HEADER: &str = "\
# What of the official examples of FHIR R4 (npm hl7.fhir.r4.examples@4.0.1) is refused, and why; written
# by `cargo xtask fhir-tables --report`. Every example is parsed, stored, read back with every byte but
# the server's own, and validated strictly; warnings are counted, not listed.
";

/// Stands where no sentence is given.
const UNEXPLAINED: &str = "NOT EXPLAINED";

/// Why official examples break these rules: the start of an issue, and a sentence.
const REASONS: &[(&str, &str)] = &[
    (
        "sdf-4:",
        "the logical models of the workflow patterns have no baseDefinition, which the rule exempts only abstract \
         definitions from",
    ),
    (
        "bdl-7:",
        "the bundle of data elements holds several under the same fullUrl, without versions",
    ),
    (
        "this element is required",
        "the files lack elements that their definitions require: the two copies of the core guide (name, status), \
         a questionnaire (linkId) and the search parameters of extensions (base)",
    ),
    (
        "a narrative has",
        "the narrative of these files is an empty div, against txt-2",
    ),
    (
        "a reference is",
        "the core guide names a search parameter whose id has 67 characters, more than an id can have",
    ),
    (
        "a resource of this type",
        "the reference names a type that the definition of the element does not list, such as an encounter as the \
         performer of an observation",
    ),
    (
        "an id is",
        "the id of this search parameter has 67 characters",
    ),
];

#[derive(Default)]
struct Report {
    files: usize,
    resources: usize,
    warnings: usize,
    /// Refused when they are parsed.
    unread: Vec<String>,
    /// File and issues.
    refused: Vec<(String, Vec<Issue>)>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (Some(folder), Some(file)) = (args.first(), args.get(1)) else {
        return Err("name the package folder and the file of the report".into());
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    let mut report = Report::default();
    for path in paths {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".json") && name != "package.json" && !name.starts_with('.') {
            example(&name, &fs::read(&path)?, &mut report)?;
        }
    }
    let text = report.text()?;
    println!("{}", report.summary());
    if args.iter().any(|arg| arg == "--check") {
        if fs::read_to_string(file)? != text {
            return Err(
                format!("{file} is not what the examples give; run without --check").into(),
            );
        }
    } else {
        fs::write(file, &text)?;
    }
    if text.contains(UNEXPLAINED) {
        return Err(format!("{file} holds an issue without a reason; see REASONS").into());
    }
    Ok(())
}

fn example(name: &str, source: &[u8], report: &mut Report) -> Result<(), String> {
    let limits = Limits {
        size_bytes: 64 << 20,
        ..Limits::default()
    };
    report.files += 1;
    match fhir::resources(source, &limits) {
        Ok(resources) => {
            for resource in &resources {
                report.resources += 1;
                stores(&resource.parsed).map_err(|why| format!("{name}: {why}"))?;
            }
        }
        Err(error) => report.unread.push(format!("{name}: {error}")),
    }
    let issues = match fhir::validate_bytes(source, &limits, Strictness::Strict) {
        Ok(issues) => issues,
        Err(Error::Json(error)) => return Err(format!("{name}: {error}")),
        Err(_) => return Ok(()),
    };
    let (errors, warnings): (Vec<_>, Vec<_>) = issues
        .into_iter()
        .partition(|issue| issue.severity == Severity::Error);
    report.warnings += warnings.len();
    if !errors.is_empty() {
        report.refused.push((name.to_owned(), errors));
    }
    Ok(())
}

/// Whether the stored form is the received bytes but for id, version and time.
fn stores(resource: &Parsed<'_>) -> Result<(), String> {
    let assigned = Assigned {
        id: "0a1b2c3d-0000-4000-8000-0123456789ab",
        version_id: "1",
        last_updated: Millis::from_rfc3339("2026-01-02T03:04:05Z").map_err(|e| e.to_string())?,
    };
    let stored = resource
        .stored_form(&assigned, &|_| None)
        .map_err(|e| e.to_string())?;
    let parse = |bytes| json::parse(bytes, &Limits::default()).map_err(|e| e.to_string());
    let (received, stored) = (resource.received(), stored.as_slice());
    let (before, after) = (parse(received)?, parse(stored)?);
    let (before, after) = (rest(before.root()), rest(after.root()));
    match before == after {
        true => Ok(()),
        false => Err("the stored form differs from what was received".into()),
    }
}

/// Every member but those that the server sets, as it is written.
fn rest<'a>(root: Value<'_, 'a>) -> Vec<(String, &'a str)> {
    let mut found = Vec::new();
    for member in root.children() {
        match member.key().unwrap_or_default().as_ref() {
            "id" => {}
            "meta" => {
                for inner in member.children() {
                    let key = inner.key().unwrap_or_default().into_owned();
                    if !matches!(key.as_str(), "versionId" | "lastUpdated") {
                        found.push((format!("meta.{key}"), inner.raw()));
                    }
                }
            }
            name => found.push((name.to_owned(), member.raw())),
        }
    }
    found
}

impl Report {
    fn summary(&self) -> String {
        format!(
            "{} files with {} resources: {} not taken apart, {} with errors, {} warnings",
            self.files,
            self.resources,
            self.unread.len(),
            self.refused.len(),
            self.warnings
        )
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::from(HEADER);
        writeln!(out, "\n{}", self.summary())?;
        writeln!(out, "\n## Invariants that are not checked")?;
        for (key, owner, reason) in fhir::unchecked_invariants() {
            writeln!(out, "{key} of {owner}: {reason}")?;
        }
        writeln!(
            out,
            "\n## Not taken apart (an id of 67 characters; a Bundle within a Bundle, validated as a whole)"
        )?;
        for line in &self.unread {
            writeln!(out, "{line}")?;
        }
        let mut kinds: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        for (name, issues) in &self.refused {
            for issue in issues {
                let places = kinds
                    .entry((issue.code.as_str(), &issue.message))
                    .or_default();
                places.push(format!("{name}: {}", issue.expression));
            }
        }
        writeln!(out, "\n## Refused")?;
        for ((code, message), places) in kinds {
            writeln!(out, "\n{code}: {message} ({})", places.len())?;
            let reason = REASONS.iter().find(|(start, _)| message.starts_with(start));
            let reason = reason.map_or(UNEXPLAINED, |(_, reason)| reason);
            writeln!(out, "why: {reason}")?;
            for place in places {
                writeln!(out, "  {place}")?;
            }
        }
        Ok(out)
    }
}
