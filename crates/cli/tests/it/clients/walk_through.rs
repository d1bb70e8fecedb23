//! `docs/fhir-walkthrough.md` is true: its commands are run, and what it shows comes back.

use super::{House, succeeded};
use crate::python::text;
use std::{fmt::Write as _, os::unix::fs::symlink, path::Path, process::Command};

/// A block of commands, and what it shows below them.
struct Step<'d> {
    commands: &'d str,
    shown: &'d str,
}

/// The steps of a page: each block of shell, with the plain block that follows it at once.
fn steps(page: &str) -> Vec<Step<'_>> {
    let mut rest = page;
    let mut steps = Vec::new();
    while let Some((_, after)) = rest.split_once("```sh\n") {
        let (commands, after) = after.split_once("```\n").unwrap();
        let shown = after
            .strip_prefix("```\n")
            .map(|shown| shown.split_once("```\n").unwrap());
        let (shown, after) = shown.unwrap_or(("", after));
        steps.push(Step { commands, shown });
        rest = after;
    }
    steps
}

#[test]
fn the_walk_through_is_true() {
    for tool in ["bash", "curl", "jq"] {
        succeeded(
            Command::new(tool).arg("--version"),
            "the walk-through needs bash, curl and jq",
        );
    }
    let page = include_str!("../../../../../docs/fhir-walkthrough.md");
    let steps = steps(page);
    assert!(steps.len() >= 8, "{} steps", steps.len());
    let house = House::found();
    let server = house.start();
    let folder = house.folder.path();
    symlink(house.institution.data(), folder.join("hospital")).unwrap();
    let mut script = "set -euo pipefail\n".to_owned();
    for (number, step) in steps.iter().enumerate() {
        writeln!(script, "{}echo; echo '<<<{number}>>>'", step.commands).unwrap();
    }
    let program = Path::new(env!("CARGO_BIN_EXE_ithaca")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    // A loop of the page that never ends would be this test's too.
    let output = Command::new("timeout")
        .args(["120", "bash", "-c", &script])
        .current_dir(folder)
        .env("NODE", server.base())
        .env("PATH", format!("{}:{path}", program.display()))
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut rest = out.as_str();
    for (number, step) in steps.iter().enumerate() {
        let Some((came, after)) = rest.split_once(&format!("\n<<<{number}>>>\n")) else {
            panic!(
                "step {number} broke off: {}\n{}",
                step.commands,
                text(&output)
            );
        };
        let missing: Vec<&str> = step
            .shown
            .lines()
            .filter(|line| !came.contains(*line))
            .collect();
        assert!(
            missing.is_empty(),
            "step {number} lacks {missing:?}: {came}"
        );
        rest = after;
    }
    assert!(output.status.success(), "{}", text(&output));
    server.stop("-TERM");
}
