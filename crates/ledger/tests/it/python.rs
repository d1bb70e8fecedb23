//! Tools from PyPI for tests, each by its hash, fetched once and kept beside the build.
//!
//! Needs `python3` of version 3.11 or later with `venv`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A virtual environment with the tools; nobody else touches its folder while this lives.
pub(crate) struct Python {
    /// The interpreter.
    pub(crate) program: PathBuf,
    _lock: fs::File,
}

impl Python {
    /// The tools of `sources/requirements.txt`, which names all that they need; fetched to `kept` if they are
    /// not there. None if PyPI cannot be reached.
    pub(crate) fn ready(sources: &Path, kept: &Path) -> Option<Self> {
        fs::create_dir_all(kept).unwrap();
        // Two runs at a time share what is kept.
        let lock = fs::File::create(kept.join("lock")).unwrap();
        lock.lock().unwrap();
        let program = kept.join("venv/bin/python");
        let wanted = fs::read_to_string(sources.join("requirements.txt")).unwrap();
        let stamp = kept.join("installed");
        if fs::read_to_string(&stamp).ok().as_deref() != Some(&wanted) {
            install(&kept.join("venv"), &program, sources)?;
            fs::write(&stamp, &wanted).unwrap();
        }
        Some(Self {
            program,
            _lock: lock,
        })
    }
}

/// Makes a virtual environment with the tools; none if PyPI cannot be reached.
fn install(venv: &Path, python: &Path, sources: &Path) -> Option<()> {
    if venv.exists() {
        fs::remove_dir_all(venv).unwrap();
    }
    succeeded(
        Command::new("python3").args(["-m", "venv"]).arg(venv),
        "python3 of version 3.11 or later with its venv module must be installed",
    );
    let output = Command::new(python)
        .args([
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
        ])
        .args([
            "--no-compile",
            "--only-binary=:all:",
            "--retries=1",
            "--no-deps",
            "--ignore-requires-python",
            "--require-hashes",
            "-r",
        ])
        .arg(sources.join("requirements.txt"))
        .output()
        .unwrap();
    if output.status.success() {
        return Some(());
    }
    let errors = text(&output);
    // How pip says that it got no connection, or lost it.
    if errors.contains("after connection broken by") || errors.contains("Read timed out") {
        return None;
    }
    panic!("PyPI can be reached, but the tools cannot be installed: {errors}");
}

pub(crate) fn succeeded(command: &mut Command, otherwise: &str) {
    match command.output() {
        Ok(output) => assert!(output.status.success(), "{otherwise}: {}", text(&output)),
        Err(error) => panic!("{otherwise}: {error}"),
    }
}

pub(crate) fn text(output: &Output) -> String {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}
