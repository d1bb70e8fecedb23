//! Apps in a browser: somebody opens one, signs in through the node's own pages, agrees, and it reads.

use super::{House, kept, patient, said, skipped, sources};
use crate::{
    binary::ithaca,
    institution::{As, Server},
    network::free_ports,
    npm::Npm,
};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const PASSWORD: &str = "the bow that nobody else bends";

/// What Debian, its offspring and the maker call it.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
];

/// A browser of this machine.
fn chromium(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = NAMES
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)));
    let found = all.find(|program| program.is_file());
    if found.is_none() {
        skipped(test, "no chromium is installed (apt-get install chromium)");
    }
    found
}

fn npm(test: &str) -> Option<Npm> {
    let npm = Npm::ready(&sources(), &kept("clients-npm"));
    if npm.is_none() {
        skipped(test, "npm's registry cannot be reached");
    }
    npm
}

/// A script of the browser's, not yet run.
fn script(npm: &Npm, name: &str, chromium: &Path) -> Command {
    let mut command = patient("node");
    command
        .arg(npm.folder.join(name))
        .env("CHROMIUM", chromium)
        .env("ITHACA", env!("CARGO_BIN_EXE_ithaca"));
    command
}

/// A family with a Patient, and an account that is its mother's.
fn family(server: &Server<'_>, data: &Path, folder: &Path) {
    let path = server.open();
    let child = json!({
        "resourceType": "Patient",
        "name": [{"given": ["Telemachus"], "family": "of Ithaca"}],
    });
    let (records, body) = (format!("{path}/records"), child.to_string());
    let media = [("content-type", "application/fhir+json")];
    let made = server.call(
        "POST",
        &records,
        As::Clinician,
        &media,
        Some(body.as_bytes()),
    );
    let id = made.is(201).value()["record"].as_str().unwrap().to_owned();
    let password = folder.join("password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let mut add = ithaca();
    add.args(["account", "add", "penelope", "--role", "controller"])
        .args(["--practitioner", "family-3", "--slot", "0"])
        .args(["--subject", path.rsplit('/').next().unwrap()])
        .args(["--patient", &id, "--fhir-user", &format!("Patient/{id}")])
        .arg("--password-file")
        .arg(password)
        .arg("--data")
        .arg(data);
    let added = add.output().unwrap();
    assert!(added.status.success(), "{added:?}");
}

#[test]
fn an_app_in_a_browser_is_launched_and_reads() {
    let test = "an_app_in_a_browser_is_launched_and_reads";
    let Some((chromium, npm)) = chromium(test).zip(npm(test)) else {
        return;
    };
    let house = House::found();
    let server = house.start();
    let data = house.institution.data();
    family(&server, &data, house.folder.path());
    let mut command = script(&npm, "app_launch.mjs", &chromium);
    command.arg(server.base()).arg(&data);
    command.args(["penelope", PASSWORD]);
    assert_eq!(
        said(&mut command, &house.token),
        "a browser app: 1 launches, 6 scopes, 1 refreshes\n"
    );
    server.stop("-TERM");
}

#[test]
fn a_passkey_is_made_signs_in_and_is_removed() {
    let test = "a_passkey_is_made_signs_in_and_is_removed";
    let Some((chromium, npm)) = chromium(test).zip(npm(test)) else {
        return;
    };
    let house = House::found();
    // Passkeys are of a name, and an address in numbers has none.
    let [port] = free_ports();
    let url = format!("http://localhost:{port}");
    let settings = format!("[sign_in]\nurl = \"{url}\"\n");
    house.institution.configure_at(port, &settings);
    let server = house.start();
    let data = house.institution.data();
    family(&server, &data, house.folder.path());
    let mut command = script(&npm, "passkey.mjs", &chromium);
    command.arg(&url).arg(&data).args(["penelope", PASSWORD]);
    assert_eq!(
        said(&mut command, &house.token),
        "passkeys: 1 made, 3 launches, 1 removed\n"
    );
    let log = server.stop("-TERM");
    assert!(log.contains("it may have been copied"), "{log}");
    assert!(!log.contains("penelope"), "{log}");
}
