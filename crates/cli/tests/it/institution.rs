//! An institution in a folder of its own, and its running node.

use crate::binary::{ithaca, run};
use commonware_runtime::{Runner as _, tokio as runtime};
use keys::PasswordParams;
use ledger::{Kind, Parameters};
use node::{
    Ambient,
    institution::{self, Founding},
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Long enough for anything on a busy machine; a test that waits so long fails.
const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const PASSPHRASE: &str = "correct horse";
/// Periods of disclosure, in milliseconds.
pub(crate) const PERIOD_MS: u64 = 1_000;

/// A founded institution: its folder, and who works there.
pub(crate) struct Institution {
    pub(crate) folder: PathBuf,
    data: PathBuf,
    passphrase: PathBuf,
    desk: String,
    clinician: String,
    officer: String,
    operator: String,
}

/// Who asks.
#[derive(Clone, Copy)]
pub(crate) enum As {
    Desk,
    Clinician,
    Officer,
    Operator,
}

impl Institution {
    /// Founds one below a folder, with a passphrase that is cheap to check.
    pub(crate) fn found(below: &Path) -> Self {
        let data = below.join("data");
        let founding = Founding {
            name: "Tested Hospital".to_owned(),
            kind: Kind::Hospital,
        };
        let parameters = Parameters {
            disclosure_period_ms: PERIOD_MS,
            batch_interval_ms: 20,
            subject_release_ms: 20,
            ..Parameters::default()
        };
        let settings = runtime::Config::new().with_worker_threads(1);
        runtime::Runner::new(settings).start(|context| async move {
            let ambient = Ambient::of(&context);
            let (passphrase, fast) = (PASSPHRASE.as_bytes(), PasswordParams::INSECURE_FAST);
            institution::create(&data, &founding, parameters, passphrase, fast, &ambient).unwrap();
        });
        let passphrase = below.join("passphrase");
        fs::write(&passphrase, PASSPHRASE).unwrap();
        let institution = Self::of(below, below.join("data"), passphrase);
        institution.configure("");
        institution
    }

    /// One that was founded: its data folder, and where its passphrase is.
    pub(crate) fn of(folder: &Path, data: PathBuf, passphrase: PathBuf) -> Self {
        let mut institution = Self {
            folder: folder.to_owned(),
            data,
            passphrase,
            desk: String::new(),
            clinician: String::new(),
            officer: String::new(),
            operator: String::new(),
        };
        institution.desk = institution.token("desk");
        institution.clinician = institution.token("clinician");
        institution.officer = institution.token("privacy-officer");
        institution.operator = institution.token("operator");
        institution
    }

    pub(crate) fn token(&self, role: &str) -> String {
        self.token_of(&[role])
    }

    /// A token of somebody who is all of these.
    pub(crate) fn token_of(&self, roles: &[&str]) -> String {
        let data = self.data().display().to_string();
        let mut line = vec!["token", "--data", &data, "--practitioner", roles[0]];
        line.extend(roles.iter().flat_map(|role| ["--role", *role]));
        run(line).succeeded().out.trim().to_owned()
    }

    /// A token of whoever controls a subject's consent.
    pub(crate) fn parent_of(&self, subject: &str) -> String {
        let data = self.data().display().to_string();
        let who = ["--practitioner", "mother", "--role", "controller"];
        let line = [
            "token",
            "--data",
            &data,
            "--subject",
            subject,
            "--slot",
            "0",
        ];
        run(line.into_iter().chain(who))
            .succeeded()
            .out
            .trim()
            .to_owned()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    pub(crate) fn passphrase(&self) -> PathBuf {
        self.passphrase.clone()
    }

    pub(crate) fn genesis(&self) -> PathBuf {
        self.data().join("genesis.cbor")
    }

    /// Writes `node.toml`: whatever ports are free, and this.
    pub(crate) fn configure(&self, more: &str) {
        self.configure_at(0, more);
    }

    /// Writes `node.toml`: the port at which people reach it, and this.
    pub(crate) fn configure_at(&self, port: u16, more: &str) {
        let (http, ledger) = (format!("127.0.0.1:{port}"), "127.0.0.1:0");
        let text =
            format!("[http]\nlisten = \"{http}\"\n[ledger]\nlisten = \"{ledger}\"\n{more}\n");
        fs::write(self.data().join("node.toml"), text).unwrap();
    }

    /// `ithaca up`, not yet started.
    pub(crate) fn up(&self) -> Command {
        let mut command = ithaca();
        command
            .args(["up", "--data"])
            .arg(self.data())
            .arg("--passphrase-file")
            .arg(self.passphrase());
        command
    }

    pub(crate) fn start(&self) -> Server<'_> {
        self.start_as(self.up())
    }

    /// Starts a node by this command, and waits until it is ready.
    #[track_caller]
    pub(crate) fn start_as(&self, command: Command) -> Server<'_> {
        let server = self.try_start(command);
        let server = server.unwrap_or_else(|output| panic!("ithaca up ended: {output:?}"));
        server.wait_for("ready", || {
            let ready = server.call("GET", "/ready", As::Desk, &[], None);
            (ready.status == 200).then_some(())
        });
        server
    }

    /// Starts a node by this command, up to the point where it listens; how it ended if it does not.
    pub(crate) fn try_start(&self, mut command: Command) -> Result<Server<'_>, Output> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let base = loop {
            let from = said.len();
            if lines.read_line(&mut said).unwrap() == 0 {
                let mut output = child.wait_with_output().unwrap();
                output.stderr = said.into_bytes();
                return Err(output);
            }
            if let Some((_, address)) = said[from..].trim_end().split_once(" listens on ") {
                break address.to_owned();
            }
        };
        let log = thread::spawn(move || {
            lines.read_to_string(&mut said).unwrap();
            said
        });
        Ok(Server {
            institution: self,
            child,
            base,
            log: Some(log),
        })
    }

    /// Verifies a receipt with the binary.
    #[track_caller]
    pub(crate) fn verify_receipt(&self, receipt: &[u8], record: &[u8]) {
        let (file, leaf) = (self.folder.join("receipt"), self.folder.join("leaf"));
        fs::write(&file, receipt).unwrap();
        fs::write(&leaf, record).unwrap();
        let genesis = self.genesis();
        let words = [
            "verify".as_ref(),
            file.as_os_str(),
            "--genesis".as_ref(),
            genesis.as_os_str(),
            "--leaf".as_ref(),
            leaf.as_os_str(),
        ];
        run(words).succeeded();
    }
}

/// Waits for something to be found.
pub(crate) fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let from = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(from.elapsed() < PATIENCE, "waiting for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A running node.
pub(crate) struct Server<'a> {
    institution: &'a Institution,
    child: Child,
    base: String,
    log: Option<JoinHandle<String>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl Server<'_> {
    pub(crate) fn institution(&self) -> &Institution {
        self.institution
    }

    /// Where it serves.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// One request; the node must answer.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        who: As,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let token = match who {
            As::Desk => &self.institution.desk,
            As::Clinician => &self.institution.clinician,
            As::Officer => &self.institution.officer,
            As::Operator => &self.institution.operator,
        };
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match body {
            Some(bytes) => agent.run(request.body(bytes).unwrap()).unwrap(),
            None => agent.run(request.body(()).unwrap()).unwrap(),
        };
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let mut reader = response.into_body().into_reader();
        reader.read_to_end(&mut body).unwrap();
        Answer { status, body }
    }

    pub(crate) fn get(&self, path: &str, who: As) -> Answer {
        self.call("GET", path, who, &[], None)
    }

    /// Opens a subject; the path of all that is its.
    pub(crate) fn open(&self) -> String {
        let controllers = json!([{"slot": 0, "role": "guardian", "label": "mother"}]);
        let body = json!({"assisted": true, "controllers": controllers}).to_string();
        let json = [("content-type", "application/json")];
        let opened = self
            .call(
                "POST",
                "/v1/subjects",
                As::Desk,
                &json,
                Some(body.as_bytes()),
            )
            .is(201)
            .value();
        format!("/v1/subjects/{}", opened["subject"].as_str().unwrap())
    }

    /// Deposits a document.
    pub(crate) fn deposit(&self, subject: &str, bytes: &[u8]) -> Answer {
        let text = [("content-type", "application/octet-stream")];
        let path = format!("{subject}/records");
        self.call("POST", &path, As::Desk, &text, Some(bytes))
    }

    /// Reads a record's stored form, as for care.
    pub(crate) fn read(&self, subject: &str, record: &str) -> Answer {
        let path = format!("{subject}/records/{record}?purpose=TREAT");
        let bytes = [("accept", "application/octet-stream")];
        self.call("GET", &path, As::Clinician, &bytes, None)
    }

    /// Waits for a record's receipt, which opens the stored form.
    pub(crate) fn receipt(&self, subject: &str, record: &str) -> Vec<u8> {
        let leaf = "receipt?leaf=stored&purpose=TREAT";
        self.ready_at(&format!("{subject}/records/{record}/{leaf}"), As::Clinician)
    }

    /// What is at a path, once it is there.
    pub(crate) fn ready_at(&self, path: &str, who: As) -> Vec<u8> {
        self.wait_for(path, || {
            let answer = self.get(path, who);
            match answer.status {
                202 => None,
                _ => Some(answer.is(200).body),
            }
        })
    }

    pub(crate) fn wait_for<T>(&self, what: &str, found: impl FnMut() -> Option<T>) -> T {
        wait_for(what, found)
    }

    /// Ends it as a loss of power would; what it wrote to its standard error.
    pub(crate) fn crash(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log.take().unwrap().join().unwrap()
    }

    /// Tells it to stop; what it wrote to its standard error.
    pub(crate) fn stop(mut self, signal: &str) -> String {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(told.success());
        let ended = self.child.wait().unwrap();
        let said = self.log.take().unwrap().join().unwrap();
        assert!(ended.success(), "{ended}: {said}");
        said
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
