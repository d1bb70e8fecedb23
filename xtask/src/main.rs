//! Project automation: `cargo xtask test | ci | tidy | torture | sim`.
//!
//! Each command is what a person would type by hand, in the order that fails fastest. Nothing
//! here is part of the product.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command-line tool that watches real processes by the real clock"
)]

mod shell;
mod tidy;
mod torture;

use anyhow::{Result, bail};
use shell::{cargo, run, step};
use std::{env, process::ExitCode};

const USAGE: &str = "\
usage: cargo xtask <command>

  test                         every test of the workspace
  ci                           format, lints, tidy, licences, tests, torture and simulation, as in CI
  tidy [--bless]               crate arrows, forbidden names, file sizes; --bless rewrites the golden graph
  torture [--kills N] [--seed S] [--release | --binary FILE]
                               SIGKILL a live node at random moments; check that nothing acknowledged is lost
  sim [--seeds A..B]           seeded four-node runs under the deterministic runtime";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<()> {
    let (command, rest) = match args.split_first() {
        Some((first, rest)) => (first.as_str(), rest),
        None => bail!("{USAGE}"),
    };
    match command {
        "test" => test(),
        "ci" => ci(),
        "tidy" => tidy::check(rest.iter().any(|a| a == "--bless")),
        "torture" => torture::run(&torture::Options::parse(rest)?),
        "sim" => sim(flag(rest, "--seeds")?.unwrap_or("0..4")),
        _ => bail!("unknown command '{command}'\n{USAGE}"),
    }
}

/// Value of `--name VALUE`, if given.
fn flag<'a>(args: &'a [String], name: &str) -> Result<Option<&'a str>> {
    match args.iter().position(|a| a == name) {
        None => Ok(None),
        Some(at) => match args.get(at + 1) {
            Some(value) => Ok(Some(value)),
            None => bail!("{name} needs a value"),
        },
    }
}

fn test() -> Result<()> {
    cargo(&["test", "--workspace", "--locked"])
}

fn ci() -> Result<()> {
    step("format");
    cargo(&["fmt", "--all", "--check"])?;
    step("tidy");
    tidy::check(false)?;
    step("lints");
    cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ])?;
    step("licences and advisories");
    deny()?;
    step("tests");
    test()?;
    step("simulation");
    sim("0..4")?;
    step("torture");
    torture::run(&torture::Options::parse(&["--kills".into(), "15".into()])?)
}

/// cargo-deny checks licences, bans and sources. It is installed beforehand or skipped loudly:
/// building it takes longer than the whole test suite.
fn deny() -> Result<()> {
    let present = std::process::Command::new("cargo")
        .args(["deny", "--version"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !present {
        println!("SKIPPED: cargo-deny is not installed (cargo install cargo-deny --locked)");
        return Ok(());
    }
    cargo(&["deny", "check", "licenses", "bans", "sources"])
}

/// Runs the simulator's seeds; each failure prints its seed, and the seed alone reproduces it.
fn sim(seeds: &str) -> Result<()> {
    let Some((from, to)) = seeds.split_once("..") else {
        bail!("--seeds takes A..B, not '{seeds}'");
    };
    let (from, to): (u64, u64) = (from.parse()?, to.parse()?);
    if from >= to {
        bail!("--seeds {seeds} is empty");
    }
    let binary = shell::test_binary("ithaca-node", "it")?;
    for seed in from..to {
        println!("sim: seed {seed} ({} of {})", seed - from + 1, to - from);
        let value = seed.to_string();
        if run(
            &binary,
            &["--exact", "network::seeded", "--include-ignored"],
            &[("ITHACA_SIM_SEED", &value)],
        )
        .is_err()
        {
            bail!(
                "simulation failed: reproduce with `cargo xtask sim --seeds {seed}..{}`",
                seed + 1
            );
        }
    }
    Ok(())
}
