//! What the compiler does not check: which crate may depend on which, what a crate may name, how
//! long a file may be, and words that have no place in the repository.

use crate::shell::root;
use anyhow::{Context, Result, bail};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Crates that know no clock, entropy, network or storage.
const PURE: &[&str] = &[
    "anonymity",
    "answer",
    "cds",
    "codec",
    "consent",
    "deident",
    "diagnosis",
    "discovery",
    "extract",
    "fhir",
    "findings",
    "institution-policy",
    "json",
    "keys",
    "ledger",
    "mirror",
    "ontology",
    "phenopacket",
    "release",
    "smart",
];

/// Allowed arrows: a crate and what it may depend on. Arrows point down the list.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "anonymity",
            "answer",
            "api",
            "codec",
            "consensus",
            "consent",
            "deident",
            "diagnosis",
            "discovery",
            "extract",
            "fhir",
            "findings",
            "institution-policy",
            "keys",
            "ledger",
            "node",
            "noise",
            "ontology",
            "peers",
            "phenopacket",
            "release",
            "sign-in",
            "store",
            "store-fjall",
            "vault",
        ],
    ),
    (
        "sim",
        &["codec", "consensus", "keys", "ledger", "node", "sim-world"],
    ),
    (
        "sim-world",
        &["consensus", "keys", "ledger", "node", "store-sim", "vault"],
    ),
    (
        "api",
        &[
            "answer",
            "cds",
            "codec",
            "consent",
            "discovery",
            "fhir",
            "json",
            "keys",
            "mirror",
            "node",
            "release",
            "sign-in",
            "smart",
        ],
    ),
    ("peers", &["codec", "keys", "node"]),
    (
        "node",
        &[
            "answer",
            "codec",
            "consensus",
            "consent",
            "deident",
            "diagnosis",
            "discovery",
            "extract",
            "fhir",
            "findings",
            "institution-policy",
            "json",
            "keys",
            "ledger",
            "mirror",
            "ontology",
            "phenopacket",
            "release",
            "smart",
            "store",
            "vault",
        ],
    ),
    ("vault", &["codec", "consent", "keys", "ledger", "store"]),
    ("consensus", &["codec", "keys", "ledger", "store"]),
    ("store-fjall", &["store"]),
    ("store-sim", &["store"]),
    ("store", &["keys"]),
    ("consent", &["codec", "keys"]),
    ("cds", &["answer", "codec", "fhir", "findings", "json"]),
    ("deident", &["codec", "fhir", "json", "keys", "phenopacket"]),
    ("release", &["codec", "extract", "keys", "ontology"]),
    ("mirror", &["codec", "consent", "fhir", "json"]),
    ("answer", &["diagnosis", "findings", "ontology"]),
    (
        "findings",
        &["codec", "fhir", "json", "ontology", "phenopacket"],
    ),
    ("fhir", &["codec", "json"]),
    ("phenopacket", &["codec", "json"]),
    ("json", &["codec"]),
    ("diagnosis", &["ontology"]),
    ("extract", &["ontology"]),
    ("discovery", &["codec", "json", "keys"]),
    ("noise", &[]),
    ("ontology", &[]),
    ("anonymity", &[]),
    ("institution-policy", &["codec", "consent"]),
    ("sign-in", &["codec", "consent", "keys", "smart"]),
    ("smart", &[]),
    ("ledger", &["codec", "keys"]),
    ("keys", &["codec"]),
    ("codec", &[]),
    ("xtask", &[]),
];

/// Outside libraries that only the named crates may use directly.
const RESERVED: &[(&str, &[&str])] = &[
    ("aws-lc-rs", &["keys"]),
    ("ed25519-consensus", &["keys"]),
    ("hpke", &["keys"]),
    ("argon2", &["keys"]),
    ("jsonwebtoken", &["sign-in"]),
    ("webauthn-rs", &["sign-in"]),
    ("cedar-policy", &["institution-policy"]),
    ("opendp", &["noise"]),
    (
        "commonware-cryptography",
        &["consensus", "sim", "sim-world"],
    ),
    ("commonware-consensus", &["consensus"]),
    ("commonware-p2p", &["consensus", "sim", "sim-world"]),
    ("tokio", &["api", "cli", "peers"]),
    ("rustls", &["api", "peers", "sign-in"]),
    ("tokio-rustls", &["api", "peers"]),
    ("axum", &["api"]),
    ("fjall", &["store-fjall"]),
];

/// What a pure crate must not write.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "async fn",
    "tokio::",
    "getrandom",
];

const FORBIDDEN_NAMES: &[&str] = &[
    "common", "util", "utils", "core", "types", "helpers", "misc", "manager",
];

const MAX_LINES: usize = 700;

/// Runs every check; reports all faults at once.
pub(crate) fn check(bless: bool) -> Result<()> {
    let mut faults = Vec::new();
    arrows(bless, &mut faults)?;
    for file in sources(&root())? {
        file_checks(&file, &mut faults)?;
    }
    if faults.is_empty() {
        println!("tidy: clean");
        return Ok(());
    }
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    bail!("{} faults", faults.len())
}

fn arrows(bless: bool, faults: &mut Vec<String>) -> Result<()> {
    let graph = direct_dependencies()?;
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut drawn =
        String::from("# crate -> the workspace's crates it uses (cargo xtask tidy --bless)\n");
    for (name, (normal, dev)) in &graph {
        let Some(down) = allowed.get(name.as_str()) else {
            faults.push(format!(
                "crate {name} has no place in xtask/src/tidy.rs ARROWS"
            ));
            continue;
        };
        let ours: Vec<_> = normal.iter().filter(|d| graph.contains_key(*d)).collect();
        for dependency in &ours {
            if !down.contains(&dependency.as_str()) {
                faults.push(format!("{name} must not depend on {dependency}"));
            }
        }
        for (library, users) in RESERVED {
            if normal.contains(*library)
                && !users.contains(&name.as_str())
                && !dev.contains(*library)
            {
                faults.push(format!(
                    "{name} must not use {library}: only {} may",
                    users.join(", ")
                ));
            }
        }
        let list: Vec<_> = ours.iter().map(|s| s.as_str()).collect();
        writeln!(drawn, "{name} -> {}", list.join(" "))?;
    }
    let golden = root().join("docs/crate-graph.txt");
    if bless {
        fs::write(&golden, &drawn)?;
    } else if fs::read_to_string(&golden).unwrap_or_default() != drawn {
        faults.push("docs/crate-graph.txt differs from the code: if the change is meant, run `cargo xtask tidy --bless`".into());
    }
    Ok(())
}

type Dependencies = (BTreeSet<String>, BTreeSet<String>);

/// Workspace crates (without the `ithaca-` prefix) with their normal and their dev dependencies.
fn direct_dependencies() -> Result<BTreeMap<String, Dependencies>> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .context("cannot start cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let mut graph = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let mut normal = BTreeSet::new();
        let mut dev = BTreeSet::new();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let name = short(dependency["name"].as_str().unwrap_or_default());
            match dependency["kind"].as_str() {
                None => normal.insert(name),
                Some(_) => dev.insert(name),
            };
        }
        graph.insert(
            short(package["name"].as_str().unwrap_or_default()),
            (normal, dev),
        );
    }
    Ok(graph)
}

fn short(package: &str) -> String {
    package
        .strip_prefix("ithaca-")
        .unwrap_or(package)
        .to_owned()
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(folder)
        .output()
        .context("cannot start git")?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| folder.join(line))
        .filter(|path| path.exists())
        .collect())
}

fn file_checks(path: &Path, faults: &mut Vec<String>) -> Result<()> {
    let base = root();
    let shown = path
        .strip_prefix(&base)
        .unwrap_or(path)
        .display()
        .to_string();
    if path.extension().is_none_or(|e| e != "rs") {
        return Ok(());
    }
    let stem = path
        .file_stem()
        .and_then(|s| s.to_str())
        .unwrap_or_default();
    if FORBIDDEN_NAMES.contains(&stem) {
        faults.push(format!(
            "{shown}: a file is named after what it owns, not '{stem}'"
        ));
    }
    let text = fs::read_to_string(path).with_context(|| shown.clone())?;
    let lines = text.lines().count();
    if lines > MAX_LINES {
        faults.push(format!(
            "{shown}: {lines} lines; split it into rooms of at most {MAX_LINES}"
        ));
    }
    if stem != "mod" && shown.contains("/src/") && !text.starts_with("//!") {
        faults.push(format!("{shown}: starts without module documentation"));
    }
    let parts: Vec<_> = shown.split('/').collect();
    let pure = matches!(parts.as_slice(), ["crates", name, "src", ..] if PURE.contains(name));
    if pure {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in IMPURE {
                if code.contains(word) {
                    faults.push(format!(
                        "{shown}:{}: a pure crate must not name {word}",
                        number + 1
                    ));
                }
            }
        }
    }
    Ok(())
}
