//! Packages from npm for tests, each by its hash, fetched once and kept beside the build.
//!
//! Needs `node` of version 20 or later with `npm`.

use crate::python::{succeeded, text};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A folder with the packages, and with the scripts that use them.
pub(crate) struct Npm {
    pub(crate) folder: PathBuf,
    _lock: fs::File,
}

/// How npm says that it got no connection, or lost it.
const UNREACHED: &[&str] = &[
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ETIMEDOUT",
    "ENETUNREACH",
    "EHOSTUNREACH",
];

impl Npm {
    /// The packages of `sources/package-lock.json` in `kept`, fetched if they are not there, beside the scripts of
    /// `sources`. None if npm's registry cannot be reached.
    pub(crate) fn ready(sources: &Path, kept: &Path) -> Option<Self> {
        succeeded(
            Command::new("npm").arg("--version"),
            "node of version 20 or later with npm must be installed",
        );
        fs::create_dir_all(kept).unwrap();
        // Two runs at a time share what is kept.
        let lock = fs::File::create(kept.join("lock")).unwrap();
        lock.lock().unwrap();
        for entry in fs::read_dir(sources).unwrap() {
            let path = entry.unwrap().path();
            // Modules are looked for beside the script that imports them.
            if path.extension().is_some_and(|extension| extension == "mjs") {
                fs::copy(&path, kept.join(path.file_name().unwrap())).unwrap();
            }
        }
        let wanted = fs::read_to_string(sources.join("package-lock.json")).unwrap();
        let stamp = kept.join("installed");
        if fs::read_to_string(&stamp).ok().as_deref() != Some(&wanted) {
            for name in ["package.json", "package-lock.json"] {
                fs::copy(sources.join(name), kept.join(name)).unwrap();
            }
            install(kept)?;
            fs::write(&stamp, &wanted).unwrap();
        }
        Some(Self {
            folder: kept.to_owned(),
            _lock: lock,
        })
    }
}

/// Installs what the lock names; none if the registry cannot be reached.
fn install(kept: &Path) -> Option<()> {
    let output = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args(["--omit=optional", "--omit=peer", "--legacy-peer-deps"])
        .args(["--fetch-retries=1", "--fetch-timeout=60000"])
        .current_dir(kept)
        .output()
        .unwrap();
    if output.status.success() {
        return Some(());
    }
    let errors = text(&output);
    if UNREACHED.iter().any(|code| errors.contains(code)) {
        return None;
    }
    panic!("npm's registry can be reached, but the packages cannot be installed: {errors}");
}
