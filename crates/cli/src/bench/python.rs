//! Others' tools that are in Python: a script of ours, run by a Python that has them, one JSON object a call.

use anyhow::{Context as _, Result, bail, ensure};
use serde::de::DeserializeOwned;
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A run is given up after this.
const PATIENCE: Duration = Duration::from_secs(900);

/// A script, and who runs it.
pub(super) struct Script {
    python: PathBuf,
    folder: PathBuf,
    path: PathBuf,
    /// What that Python must have.
    needs: &'static str,
}

impl Script {
    /// The script's text in a folder of this run.
    pub(super) fn new(
        python: &Path,
        folder: &Path,
        text: &str,
        needs: &'static str,
    ) -> Result<Self> {
        let path = folder.join("peers.py");
        fs::write(&path, text)?;
        Ok(Self {
            python: python.to_owned(),
            folder: folder.to_owned(),
            path,
            needs,
        })
    }

    /// Its answer: the last line that it prints.
    pub(super) fn ask<T: DeserializeOwned>(&self, arguments: &[&OsStr]) -> Result<T> {
        let (out, python) = (self.folder.join("answer.txt"), self.python.display());
        let mut child = Command::new(&self.python)
            .arg(&self.path)
            .args(arguments)
            .stdout(Stdio::from(fs::File::create(&out)?))
            .spawn()
            .with_context(|| format!("cannot start {python}"))?;
        let from = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if from.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                bail!("{python} took longer than {PATIENCE:?}");
            }
            thread::sleep(Duration::from_millis(20));
        };
        ensure!(status.success(), "{python} failed: it needs {}", self.needs);
        let answer = fs::read_to_string(&out)?;
        let last = answer.lines().last().unwrap_or_default();
        serde_json::from_str(last).context("an answer that is not understood")
    }
}
