//! A disk that is small enough to be filled: a tmpfs in a mount namespace of this run's own.

use anyhow::{Context, Result, ensure};
use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Says to this program that it may mount.
const MOUNTED: &str = "ITHACA_FAULTS_MOUNTED";
const NAMESPACES: [&str; 3] = ["--user", "--map-root-user", "--mount"];
/// Large enough for what a run puts there, small enough to be filled.
const SIZE: &str = "size=320m";
/// Room that the node on it keeps for what cannot wait; `[store]` of its configuration.
pub(crate) const SETTINGS: &str = "\n[store]\nreserve_bytes = 33554432\n";

/// Whether this process may mount: it runs in namespaces of its own.
pub(crate) fn may_mount() -> bool {
    env::var_os(MOUNTED).is_some()
}

/// Runs this program with these arguments in namespaces in which it may mount, if there can be any; whether it did.
pub(crate) fn run_again(arguments: &[String]) -> Result<bool> {
    if may_mount() {
        return Ok(false);
    }
    let probe = Command::new("unshare")
        .args(NAMESPACES)
        .args(["sh", "-c", "mount -t tmpfs -o size=1m ithaca-probe /tmp"])
        .stderr(Stdio::null())
        .status();
    if !probe.is_ok_and(|status| status.success()) {
        return Ok(false);
    }
    let status = Command::new("unshare")
        .args(NAMESPACES)
        .arg(env::current_exe()?)
        .args(arguments)
        .env(MOUNTED, "1")
        .status()
        .context("cannot start in a namespace")?;
    ensure!(
        status.success(),
        "the run in its own namespace failed, see above"
    );
    Ok(true)
}

/// A small disk, mounted until this process ends.
pub(crate) struct Disk(PathBuf);

impl Disk {
    pub(crate) fn mount(at: &Path) -> Result<Self> {
        fs::create_dir_all(at)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "ithaca-faults"])
            .arg(at)
            .status()?;
        ensure!(
            mounted.success(),
            "cannot mount a tmpfs at {}",
            at.display()
        );
        Ok(Self(at.to_owned()))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Somebody else writes until there is no block left.
    pub(crate) fn fill(&self) -> Result<()> {
        let mut rest = fs::File::create(self.filler())?;
        for block in [1 << 20, 4_096] {
            let bytes = vec![1; block];
            while rest.write_all(&bytes).is_ok() {}
        }
        Ok(())
    }

    pub(crate) fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}
