//! A node under test: run with `ithaca up`, spoken to over HTTP; for torture, made with `ithaca init`.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    fs::{self, File, OpenOptions},
    io::Read as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// An institution that was founded, with one token per role.
#[derive(Clone)]
pub(crate) struct Institution {
    pub(crate) ithaca: PathBuf,
    /// For its logs, and for what is made on its behalf.
    pub(crate) folder: PathBuf,
    data: PathBuf,
    passphrase: PathBuf,
    pub(crate) desk: String,
    pub(crate) clinician: String,
    pub(crate) officer: String,
    pub(crate) operator: String,
    /// A practitioner of another institution, who reads by grant alone.
    pub(crate) specialist: String,
    pub(crate) specialist_institution: String,
}

impl Institution {
    /// Founds one with a ledger of its own.
    pub(crate) fn create(ithaca: &Path, folder: &Path) -> Result<Self> {
        let passphrase = folder.join("passphrase");
        fs::write(&passphrase, "torture only\n")?;
        let data = folder.join("node");
        command(
            ithaca,
            &[
                "init",
                &data.display().to_string(),
                "--name",
                "Torture Hospital",
                "--passphrase-file",
                &passphrase.display().to_string(),
            ],
        )?;
        Self::of(ithaca, folder, &data, &passphrase)
    }

    /// One that was founded: where its logs go, its data folder, and where its passphrase is.
    pub(crate) fn of(ithaca: &Path, folder: &Path, data: &Path, passphrase: &Path) -> Result<Self> {
        let elsewhere = "e1".repeat(16);
        let token = |role: &str, who: &str, institution: Option<&str>| -> Result<String> {
            let data = data.display().to_string();
            let mut args = vec![
                "token",
                "--data",
                &data,
                "--role",
                role,
                "--practitioner",
                who,
            ];
            if let Some(id) = institution {
                args.extend(["--institution", id]);
            }
            Ok(command(ithaca, &args)?.trim().to_owned())
        };
        Ok(Self {
            ithaca: ithaca.to_owned(),
            folder: folder.to_owned(),
            data: data.to_owned(),
            passphrase: passphrase.to_owned(),
            desk: token("desk", "desk-1", None)?,
            clinician: token("clinician", "clinician-1", None)?,
            officer: token("privacy-officer", "officer-1", None)?,
            operator: token("operator", "operator-1", None)?,
            specialist: token("clinician", "specialist-1", Some(&elsewhere))?,
            specialist_institution: elsewhere,
        })
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn passphrase(&self) -> &Path {
        &self.passphrase
    }
}

/// Runs the binary to its end and gives its standard output.
pub(crate) fn command(ithaca: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new(ithaca)
        .args(args)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        bail!(
            "ithaca {} failed: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A running `ithaca up`.
pub(crate) struct Server {
    child: Child,
    base: String,
}

impl Server {
    /// Starts the node on some free port, and waits until it says it is ready.
    pub(crate) fn start(institution: &Institution) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Self::start_at(institution, port)
    }

    /// The same, on this port.
    pub(crate) fn start_at(institution: &Institution, port: u16) -> Result<Self> {
        let mut server = Self::start_unready(institution, port)?;
        let from = Instant::now();
        loop {
            if let Some(status) = server.ended()? {
                bail!("ithaca up ended with {status} instead of becoming ready; see stderr.log");
            }
            if let Ok(answer) = call("GET", &format!("{}/ready", server.base), "", &[], None)
                && answer.status == 200
            {
                return Ok(server);
            }
            if from.elapsed() > READY_TIMEOUT {
                server.child.kill().ok();
                bail!(
                    "ithaca up was not ready within {} s",
                    READY_TIMEOUT.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The same, without waiting.
    pub(crate) fn start_unready(institution: &Institution, port: u16) -> Result<Self> {
        let log = |name: &str| -> Result<File> {
            Ok(OpenOptions::new()
                .create(true)
                .append(true)
                .open(institution.folder.join(name))?)
        };
        let child = Command::new(&institution.ithaca)
            .args(["up", "--data"])
            .arg(institution.data())
            .arg("--passphrase-file")
            .arg(institution.passphrase())
            .arg("--listen")
            .arg(format!("127.0.0.1:{port}"))
            // So that none outlives this process.
            .arg("--until-stdin-ends")
            .stdin(Stdio::piped())
            .stdout(log("stdout.log")?)
            .stderr(log("stderr.log")?)
            .spawn()
            .context("cannot start ithaca up")?;
        Ok(Self {
            child,
            base: format!("http://127.0.0.1:{port}"),
        })
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sends it a signal, by its name for `kill`.
    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        let process = self.child.id().to_string();
        let told = Command::new("kill").args([signal, &process]).status()?;
        if !told.success() {
            bail!("kill {signal} {process} ended with {told}");
        }
        Ok(())
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// SIGTERM, and wait until it is gone; it must end well.
    pub(crate) fn end(mut self) -> Result<()> {
        self.signal("-TERM")?;
        let from = Instant::now();
        while from.elapsed() < READY_TIMEOUT {
            if let Some(status) = self.ended()? {
                if !status.success() {
                    bail!("a node that was told to stop ended with {status}; see stderr.log");
                }
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("a node that was told to stop did not");
    }

    /// SIGKILL, and wait until it is gone.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// The end of the run; the process has nothing left to lose.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.kill()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// An HTTP answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).context("the answer is not JSON")
    }
}

/// One request. An error means that no answer came: the request may or may not have happened.
pub(crate) fn call(
    method: &str,
    url: &str,
    token: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Result<Answer> {
    call_within(PATIENCE, method, url, token, headers, body)
}

/// The same, with another patience.
pub(crate) fn call_within(
    patience: Duration,
    method: &str,
    url: &str,
    token: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Result<Answer> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(patience))
        .build()
        .into();
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    if !token.is_empty() {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = match body {
        Some(bytes) => agent.run(request.body(bytes)?)?,
        None => agent.run(request.body(())?)?,
    };
    let status = response.status().as_u16();
    let mut body = Vec::new();
    response
        .into_body()
        .into_reader()
        .take(64 << 20)
        .read_to_end(&mut body)?;
    Ok(Answer { status, body })
}
