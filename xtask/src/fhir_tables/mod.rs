//! Writes the tables of `crates/fhir`, and the codes that `crates/deident` keeps, from the official definitions of FHIR R4, and says whether the
//! committed ones are what it would write.
//!
//! The definitions are npm `hl7.fhir.r4.examples@4.0.1` (HL7, CC0-1.0): a folder of JSON files, fetched
//! by `npm pack` when none is named. Without a registry nothing is checked, and that is said.

mod bindings;
mod codes;
mod elements;
mod invariants;
mod search;

use crate::shell::{cargo, root, step};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const PACKAGE: &str = "hl7.fhir.r4.examples@4.0.1";

/// What official examples are refused for, and why.
const REPORT: &str = "docs/fhir-r4-examples.txt";

/// A table: its file below `crates`, and what makes it from the package.
type Table = (&'static str, fn(&Path) -> Result<String>);

const TABLES: &[Table] = &[
    ("fhir/src/elements.txt", elements::table),
    ("fhir/src/bindings.txt", bindings::table),
    ("fhir/src/invariants.txt", invariants::table),
    ("fhir/src/search.txt", search::table),
    ("deident/src/hl7-codes.txt", codes::table),
];

/// What to do.
pub(crate) struct Options {
    package: Option<PathBuf>,
    check: bool,
    report: bool,
}

impl Options {
    /// Reads `[PACKAGE_DIR] [--check] [--report]`.
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self {
            package: None,
            check: false,
            report: false,
        };
        for arg in args {
            match arg.as_str() {
                "--check" => options.check = true,
                "--report" => options.report = true,
                folder if !folder.starts_with('-') && options.package.is_none() => {
                    options.package = Some(PathBuf::from(folder));
                }
                other => bail!("fhir-tables does not know {other}"),
            }
        }
        Ok(options)
    }
}

/// Writes or checks the tables; with `report`, validates every official example instead.
pub(crate) fn run(options: &Options) -> Result<()> {
    let fetched;
    let package = match &options.package {
        Some(folder) => folder.clone(),
        None => match fetch() {
            Ok(folder) => {
                fetched = folder;
                fetched.package()
            }
            Err(error) => {
                eprintln!(
                    "SKIPPED: the FHIR tables were NOT checked against their definitions: {error:#}"
                );
                return Ok(());
            }
        },
    };
    if !package.join("StructureDefinition-Patient.json").exists() {
        bail!(
            "{} is not the unpacked folder of npm {PACKAGE}",
            package.display()
        );
    }
    if options.report {
        return report(&package, options.check);
    }
    let mut stale = Vec::new();
    for (name, table) in TABLES {
        let text = table(&package).with_context(|| format!("the table {name}"))?;
        let file = root().join("crates").join(name);
        if fs::read_to_string(&file).ok().as_deref() == Some(&*text) {
            println!("{name}: {} bytes, as committed", text.len());
        } else if options.check {
            stale.push(*name);
        } else {
            fs::write(&file, &text)?;
            println!("{name}: {} bytes, written", text.len());
        }
    }
    if !stale.is_empty() {
        bail!(
            "{} differ from the definitions; run `cargo xtask fhir-tables`",
            stale.join(", ")
        );
    }
    Ok(())
}

/// The crate's own program validates the examples: so that this one need not be built with it.
fn report(package: &Path, check: bool) -> Result<()> {
    step("official examples");
    let (package, file) = (package.canonicalize()?, root().join(REPORT));
    let (package, file) = (package.display().to_string(), file.display().to_string());
    let mut call = vec!["run", "--release", "--locked", "-p", "ithaca-fhir"];
    call.extend(["--example", "r4-examples", "--", &package, &file]);
    if check {
        call.push("--check");
    }
    cargo(&call)
}

/// A folder that is gone when it is dropped.
struct Fetched(PathBuf);

impl Fetched {
    fn package(&self) -> PathBuf {
        self.0.join("package")
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} stays behind: {error}", self.0.display());
        }
    }
}

fn fetch() -> Result<Fetched> {
    let place = std::env::temp_dir().join(format!("ithaca-fhir-tables-{}", std::process::id()));
    fs::create_dir_all(&place)?;
    let fetched = Fetched(place);
    let packed = Command::new("npm")
        .args([
            "pack",
            PACKAGE,
            "--silent",
            "--fetch-timeout=60000",
            "--fetch-retries=1",
        ])
        .current_dir(&fetched.0)
        .output()
        .context("cannot start npm")?;
    if !packed.status.success() {
        bail!("npm pack {PACKAGE} ended with {}", packed.status);
    }
    let archive = String::from_utf8_lossy(&packed.stdout).trim().to_owned();
    let unpacked = Command::new("tar")
        .args(["-xzf", &archive])
        .current_dir(&fetched.0)
        .status()
        .context("cannot start tar")?;
    if !unpacked.success() {
        bail!("tar -xzf {archive} ended with {unpacked}");
    }
    Ok(fetched)
}

/// A definition of a resource or of a data type that is not a primitive.
struct Definition {
    /// Its name.
    name: String,
    /// `resource`, `type`, or `base` for what no document names.
    kind: &'static str,
    /// The elements of its snapshot.
    elements: Vec<Value>,
}

/// The types that others start with, the widest first.
const BASES: [&str; 4] = ["DomainResource", "Resource", "BackboneElement", "Element"];

/// Every own definition, by name.
fn definitions(package: &Path) -> Result<Vec<Definition>> {
    let mut found = Vec::new();
    for document in documents(package, "StructureDefinition-")? {
        let name = text(&document, "name");
        let base = BASES.contains(&name);
        let kind = match text(&document, "kind") {
            "resource" | "complex-type" if base => "base",
            "resource" => "resource",
            "complex-type" => "type",
            _ => continue,
        };
        if text(&document, "derivation") == "specialization" || base {
            found.push(Definition {
                name: name.to_owned(),
                kind,
                elements: list(&document["snapshot"]["element"]).to_vec(),
            });
        }
    }
    found.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Ok(found)
}

/// The files of the package whose names start so.
fn documents(package: &Path, start: &str) -> Result<Vec<Value>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(package)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with(start) {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: &PathBuf| -> Result<Value> {
        serde_json::from_slice(&fs::read(path)?).with_context(|| path.display().to_string())
    };
    paths.iter().map(read).collect()
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
