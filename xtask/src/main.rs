//! Project automation: `cargo xtask test | ci | deny | tidy | torture | faults | sim | fit-diagnosis |
//! fhir-tables`.
//!
//! Each command is what a person would type by hand, in the order that fails fastest. Nothing
//! here is part of the product.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command-line tool that watches real processes by the real clock"
)]

mod faults;
mod fhir_tables;
mod shell;
mod tidy;
mod torture;

use anyhow::{Context as _, Result, bail};
use shell::{cargo, run, step};
use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

const USAGE: &str = "\
usage: cargo xtask <command>

  test                         every test of the workspace, the simulator's first seeds, and a minute of faults
  ci                           format, tidy, lints, licences, tests and torture, as in CI
  deny                         licences, bans and sources of the dependencies, by cargo-deny
  tidy [--bless]               crate arrows, forbidden names, file sizes; --bless rewrites the golden graph
  torture [--kills N] [--seed S] [--release | --binary FILE]
                               SIGKILL a live node at random moments; check that nothing acknowledged is lost
  faults [--seed S] [--rounds N] [--minutes N] [--stop-seconds N] [--cut-seconds N] [--release | --binary FILE]
                               four live nodes under load: killed, stopped, cut off, a disk filled, one lost
  sim [--seeds A..B] [--jobs N] [--troubles] [--release]
                               the whole network under seeds: faults, attackers, crashes; ends with the first
                               seed that fails, which alone reproduces it
  fit-diagnosis --cases FILE [--without FEATURE,...] [--replay] [--stored] [--reanalysis] [--dry]
                               fit the weights of the diagnosis engine on the development cases (not part of the
                               repository), measure them by cross-validation; --dry writes nothing
  fhir-tables [PACKAGE_DIR] [--check | --report [--check]]
                               write the tables of the FHIR crate from the official definitions (fetched by npm where
                               no folder is named); --report validates every official example";

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
        "deny" => deny(),
        "tidy" => tidy::check(rest.iter().any(|a| a == "--bless")),
        "faults" => faults::run(&faults::Options::parse(rest)?),
        "torture" => torture::run(&torture::Options::parse(rest)?),
        "sim" => sim(rest),
        "fit-diagnosis" => fit_diagnosis(rest),
        "fhir-tables" => fhir_tables::run(&fhir_tables::Options::parse(rest)?),
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

/// Seeds of the simulator that every test run goes through.
const SIM_SEEDS: &str = "0..40";

fn test() -> Result<()> {
    cargo(&["test", "--workspace", "--locked"])?;
    step("simulation");
    simulate(&shell::tested("ithaca-sim")?, &["--seeds", SIM_SEEDS])?;
    step("faults");
    // Each fault once and briefly; `cargo xtask faults` takes its time.
    let ithaca = shell::tested("ithaca")?.display().to_string();
    let brief = [
        "--stop-seconds",
        "2",
        "--cut-seconds",
        "1",
        "--binary",
        &ithaca,
    ];
    faults::run(&faults::Options::parse(&brief.map(str::to_owned))?)
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
    step("licences");
    deny()?;
    step("tests");
    test()?;
    step("torture");
    let ithaca = shell::tested("ithaca")?.display().to_string();
    let options = ["--kills", "15", "--binary", &ithaca];
    torture::run(&torture::Options::parse(&options.map(str::to_owned))?)
}

/// cargo-deny checks licences, bans and sources. Where it is not installed, it is installed; where that
/// cannot be done either, the check has failed: what was not checked did not pass.
fn deny() -> Result<()> {
    let place = env::var_os("ITHACA_TOOLS").map_or_else(|| TOOLS.into(), PathBuf::from);
    let kept = place.join("bin").join("cargo-deny");
    let present = [kept.clone(), PathBuf::from("cargo-deny")]
        .into_iter()
        .find(|tool| answers(tool));
    let tool = match present {
        Some(tool) => tool,
        None => {
            println!("cargo-deny is not installed; installing it takes a few minutes");
            let root = place.display().to_string();
            cargo(&["install", "--locked", "--root", &root, "cargo-deny"]).context(
                "licences were NOT checked: cargo-deny is missing and could not be installed; run `cargo install --locked cargo-deny`",
            )?;
            kept
        }
    };
    println!("$ {} check licenses bans sources", tool.display());
    run(&tool, &["check", "licenses", "bans", "sources"], &[])
}

/// Where tools are kept that are not part of the toolchain; `ITHACA_TOOLS` names another folder.
const TOOLS: &str = "/var/tmp/tools";

fn answers(tool: &Path) -> bool {
    std::process::Command::new(tool)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Fits and measures the diagnosis engine: its own program, so that this one stays cheap to build.
fn fit_diagnosis(args: &[String]) -> Result<()> {
    let absent = "the development cases are not part of the repository: say where they are with --cases FILE";
    let cases = flag(args, "--cases")?.context(absent)?;
    if !Path::new(cases).exists() {
        bail!("no cases at {cases}; {absent}");
    }
    let mut call = vec!["run", "--release", "--locked", "-p", "ithaca-diagnosis"];
    call.extend(["--example", "fit", "--", "--bench", "--cases", cases]);
    if !args.iter().any(|a| a == "--dry") {
        call.extend(["--out", "crates/diagnosis/data/weights.json"]);
    }
    if let Some(features) = flag(args, "--without")? {
        call.extend(["--without", features]);
    }
    for option in ["--replay", "--stored", "--reanalysis"] {
        if args.iter().any(|a| a == option) {
            call.push(option);
        }
    }
    cargo(&call)
}

/// Runs the simulator; it says how far it is and prints the seed of a failure.
fn sim(args: &[String]) -> Result<()> {
    let release = args.iter().any(|arg| arg == "--release");
    let simulator = shell::binary("ithaca-sim", "ithaca-sim", release)?;
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let args: Vec<&str> = args.into_iter().filter(|arg| *arg != "--release").collect();
    simulate(&simulator, &args)
}

fn simulate(simulator: &Path, args: &[&str]) -> Result<()> {
    println!("$ {} {}", simulator.display(), args.join(" "));
    run(simulator, args, &[])
}
