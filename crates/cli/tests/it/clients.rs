//! The FHIR front door, used by clients and judged by models that nobody here wrote. They come from PyPI and
//! npm, once; after that the tests need no network. Without a way there they say so and are skipped.

mod browser;
mod bulk;
mod examples;
mod openapi;
mod synthea;
mod walk_through;

use crate::{
    institution::{Institution, Server},
    npm::Npm,
    python::{Python, succeeded, text},
};
use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// Where the scripts are.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn python(test: &str) -> Option<Python> {
    let python = Python::ready(&sources(), &kept("clients-python"));
    if python.is_none() {
        skipped(test, "PyPI cannot be reached");
    }
    python
}

fn skipped(test: &str, why: &str) {
    // Not through the test's own output, which is shown only if it fails.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: {test}: {why}, so the clients are not here"
    );
}

/// An institution of a test, and the token that its clients bring.
struct House {
    folder: TempDir,
    institution: Institution,
    token: String,
}

impl House {
    fn found() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let institution = Institution::found(folder.path());
        let token = institution.token("clinician");
        Self {
            folder,
            institution,
            token,
        }
    }

    fn start(&self) -> Server<'_> {
        self.institution.start()
    }
}

/// A program that is ended if it does not end by itself: some clients would wait for weeks.
fn patient(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.arg("300").arg(program);
    command
}

/// What a client printed; it must have come to its end.
fn said(command: &mut Command, token: &str) -> String {
    let output = command.env("ITHACA_TOKEN", token).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}: {}",
        output.status,
        text(&output)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn fhir(server: &Server<'_>) -> String {
    format!("{}/fhir", server.base())
}

#[test]
fn clients_of_pypi_are_at_home() {
    let Some(python) = python("clients_of_pypi_are_at_home") else {
        return;
    };
    let house = House::found();
    let server = house.start();
    for (script, done) in [
        (
            "fhirpy_client.py",
            "fhirpy: 1 patients, 25 observations, 3 versions\n",
        ),
        (
            "smart_client.py",
            "fhirclient (PyPI): 1 patients, 28 observations, 3 pages\n",
        ),
    ] {
        let mut command = patient(&python.program);
        command.arg("-B").arg(sources().join(script));
        assert_eq!(said(command.arg(fhir(&server)), &house.token), done);
    }
    server.stop("-TERM");
}

#[test]
fn clients_of_npm_are_at_home() {
    let Some(npm) = Npm::ready(&sources(), &kept("clients-npm")) else {
        return skipped(
            "clients_of_npm_are_at_home",
            "npm's registry cannot be reached",
        );
    };
    let house = House::found();
    let server = house.start();
    for (script, done) in [
        (
            "kit_client.mjs",
            "fhir-kit-client: 1 patients, 27 observations, 9 pages\n",
        ),
        (
            "smart_client.mjs",
            "fhirclient (npm): 1 patients, 25 observations, 3 pages\n",
        ),
    ] {
        let mut command = patient("node");
        command.arg(npm.folder.join(script));
        assert_eq!(said(command.arg(fhir(&server)), &house.token), done);
    }
    server.stop("-TERM");
}

/// Unpacks a tar archive under zstd to a new folder.
fn unpack(archive: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    let tar = to.with_extension("tar");
    fs::write(
        &tar,
        zstd::decode_all(fs::read(archive).unwrap().as_slice()).unwrap(),
    )
    .unwrap();
    succeeded(
        Command::new("tar").arg("-xf").arg(tar).arg("-C").arg(to),
        "tar must be installed",
    );
}
