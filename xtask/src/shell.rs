//! Running other programs, with the command shown and a clear error.

use anyhow::{Context, Result, bail};
use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Prints a heading.
pub(crate) fn step(name: &str) {
    println!("\n== {name}");
}

/// Runs `cargo` with these arguments in the workspace's root.
pub(crate) fn cargo(args: &[&str]) -> Result<()> {
    println!("$ cargo {}", args.join(" "));
    run(Path::new("cargo"), args, &[])
}

/// Runs a program to its end; anything but exit code 0 is an error.
pub(crate) fn run(program: &Path, args: &[&str], vars: &[(&str, &str)]) -> Result<()> {
    let status = Command::new(program)
        .args(args)
        .envs(vars.iter().copied())
        .current_dir(root())
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    if !status.success() {
        bail!(
            "{} {} ended with {status}",
            program.display(),
            args.join(" ")
        );
    }
    Ok(())
}

/// Builds and names a package's binary. With `release`, the optimised one.
pub(crate) fn binary(package: &str, name: &str, release: bool) -> Result<PathBuf> {
    let mut args = vec!["build", "--locked", "--package", package, "--bin", name];
    if release {
        args.push("--release");
    }
    artifact(&args, name)
}

/// Names a binary that the workspace's tests were run with: cargo put it beside this program. To build it by itself
/// would build most of what it needs once more, with fewer features.
pub(crate) fn tested(name: &str) -> Result<PathBuf> {
    let own = env::current_exe().context("cannot tell where this program is")?;
    let beside = own.with_file_name(name);
    match beside.is_file() {
        true => Ok(beside),
        false => bail!("the tests left no {}", beside.display()),
    }
}

fn artifact(args: &[&str], target: &str) -> Result<PathBuf> {
    let output = Command::new("cargo")
        .args(args)
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo {} failed", args.join(" "));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|m| m["reason"] == "compiler-artifact" && m["target"]["name"] == target)
        .filter_map(|m| m["executable"].as_str().map(PathBuf::from))
        .next_back()
        .with_context(|| format!("cargo {} made no executable {target}", args.join(" ")))
}
