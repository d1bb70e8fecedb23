//! The institutions of the demo: four data folders, and a process of this very binary for each node.
//!
//! A node is killed without warning. Its standard input is a pipe that only this process
//! holds, so that none outlives the demo, however the demo ends.

use super::told::Told;
use crate::{
    folder,
    http::{Answer, Call},
    network,
    token::{self, Options as TokenOptions},
};
use anyhow::{Context, Result, anyhow, bail};
use codec::{InstitutionId, SubjectId};
use consent::Role;
use std::{
    fs::{self, File, OpenOptions},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How many institutions there are; each validates.
pub(crate) const COUNT: usize = 4;
/// How many of them must run for blocks to become final.
pub(crate) const QUORUM: usize = 3;

/// The places of the institutions.
pub(crate) const CHILDRENS: usize = 0;
pub(crate) const PYLOS: usize = 1;
pub(crate) const LABORATORY: usize = 2;
pub(crate) const FAMILIES: usize = 3;

const FOUNDERS: [(&str, &str); COUNT] = [
    ("Ithaca Children's Hospital", "hospital"),
    ("Pylos University Hospital", "hospital"),
    ("Sparta Genetics Laboratory", "laboratory"),
    ("Families of Scheria", "patient-organisation"),
];

/// The longest that anything here may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const ANSWER_MAX_BYTES: u64 = 64 << 20;
/// What begins the part of a `node.toml` that the demo changes.
const DIAGNOSIS: &str = "\n[diagnosis]\n";

/// One institution.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) id: InstitutionId,
    pub(crate) data: PathBuf,
    passphrase: PathBuf,
    log: PathBuf,
    base: String,
}

/// The processes that run, by institution.
#[derive(Default)]
pub(crate) struct Processes(Mutex<Running>);

#[derive(Default)]
struct Running {
    children: [Option<Child>; COUNT],
    /// The demo ends: nothing is started any more.
    over: bool,
}

impl Processes {
    fn locked(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills whatever runs, for good.
    pub(crate) fn end(&self) {
        let mut running = self.locked();
        running.over = true;
        for child in running.children.iter_mut().filter_map(Option::take) {
            // What has ended already needs no ending.
            kill(child).ok();
        }
    }
}

fn kill(mut child: Child) -> Result<()> {
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Where a node's view of the ledger is.
pub(crate) struct View {
    pub(crate) height: u64,
    pub(crate) fresh: bool,
}

/// The institutions, founded together.
pub(crate) struct Network {
    pub(crate) members: [Member; COUNT],
    pub(crate) genesis: PathBuf,
    processes: Arc<Processes>,
}

impl Network {
    /// Founds them below a folder, as `ithaca network init` does.
    pub(crate) fn found(below: &Path, processes: Arc<Processes>) -> Result<Self> {
        let ports = free_ports(3 * COUNT)?;
        let mut text = "name = \"Rare diseases of the Ionian Sea (demo)\"\n[parameters]\n\
                        disclosure_period_ms = 2000\n"
            .to_owned();
        let file = |name: &str, ending: &str| {
            let word = name.split(' ').next().unwrap_or(name).to_lowercase();
            below.join(format!("{word}.{ending}"))
        };
        for ((name, kind), ports) in FOUNDERS.iter().zip(ports.chunks(3)) {
            let passphrase = file(name, "passphrase");
            folder::fresh_passphrase(&passphrase)?;
            let passphrase = passphrase.file_name().unwrap_or_default().display();
            text += &format!(
                "[[institution]]\nname = \"{name}\"\nkind = \"{kind}\"\nvalidator = true\n\
                 peers = \"127.0.0.1:{}\"\nhttp = \"127.0.0.1:{}\"\nshare = \"127.0.0.1:{}\"\n\
                 passphrase_file = \"{passphrase}\"\n",
                ports[0], ports[1], ports[2]
            );
        }
        let plan = below.join("institutions.toml");
        fs::write(&plan, text)?;
        let root = below.join("network");
        let (plan, _) = network::found(&plan, &root)?;
        let member = |at: usize| -> Result<Member> {
            let (name, _) = FOUNDERS[at];
            let data = root.join(plan.folder(at));
            Ok(Member {
                name,
                id: folder::institution(&data)?,
                data,
                passphrase: file(name, "passphrase"),
                log: file(name, "log"),
                base: format!("http://127.0.0.1:{}", ports[3 * at + 1]),
            })
        };
        Ok(Self {
            members: [member(0)?, member(1)?, member(2)?, member(3)?],
            genesis: root.join("genesis.cbor"),
            processes,
        })
    }

    /// Starts the node of an institution.
    pub(crate) fn start(&self, at: usize) -> Result<()> {
        let member = &self.members[at];
        let log = || -> Result<File> {
            let mut options = OpenOptions::new();
            Ok(options.create(true).append(true).open(&member.log)?)
        };
        let mut running = self.processes.locked();
        if running.over {
            bail!("the demo is over");
        }
        let child = Command::new(std::env::current_exe()?)
            .arg("node")
            .arg("--config")
            .arg(member.data.join("node.toml"))
            .arg("--passphrase-file")
            .arg(&member.passphrase)
            .arg("--until-stdin-ends")
            .stdin(Stdio::piped())
            .stdout(log()?)
            .stderr(log()?)
            .spawn()
            .with_context(|| format!("cannot start the node of {}", member.name))?;
        running.children[at] = Some(child);
        Ok(())
    }

    /// What the node of an institution knows of diseases from its next start on: an index, or nothing.
    pub(crate) fn knows(&self, at: usize, index: Option<&Path>) -> Result<()> {
        let path = self.members[at].data.join("node.toml");
        let mut text = fs::read_to_string(&path)?;
        text.truncate(text.find(DIAGNOSIS).unwrap_or(text.len()));
        text += DIAGNOSIS;
        text += &match index {
            Some(index) => {
                let index = index.to_str().context("a path that is no text")?;
                format!("index = {}\n", toml::Value::from(index))
            }
            None => "enabled = false\n".to_owned(),
        };
        Ok(fs::write(&path, text)?)
    }

    /// Stops the node of an institution, as its operator does.
    pub(crate) fn stop(&self, at: usize) -> Result<()> {
        let child = self.processes.locked().children[at].take();
        let mut child = child.context("the node to be stopped does not run")?;
        drop(child.stdin.take());
        let ended = wait_for("a node to stop", || Ok(child.try_wait()?));
        if ended.is_err() {
            kill(child)?;
        }
        ended.map(drop)
    }

    /// Follows what the node of an institution tells somebody.
    pub(crate) fn told(&self, at: usize, token: &str) -> Result<Told> {
        Told::follow(&format!("{}/v1/events", self.members[at].base), token)
    }

    /// Kills the node of an institution without warning.
    pub(crate) fn crash(&self, at: usize) -> Result<()> {
        let child = self.processes.locked().children[at].take();
        kill(child.context("the node to be killed does not run")?)
    }

    /// Whether the node of an institution runs.
    pub(crate) fn runs(&self, at: usize) -> bool {
        self.processes.locked().children[at].is_some()
    }

    /// The process of a node.
    pub(crate) fn process(&self, at: usize) -> Option<u32> {
        self.processes.locked().children[at].as_ref().map(Child::id)
    }

    /// Where a node's view is; none while it does not answer.
    pub(crate) fn view(&self, at: usize) -> Option<View> {
        let answer = self.call(at, "GET", "/ready", "", &[], None).ok()?;
        let value: serde_json::Value = answer.read().ok()?;
        Some(View {
            height: value["height"].as_u64()?,
            fresh: value["fresh"] == true,
        })
    }

    /// Waits until a node can serve, sharing too.
    pub(crate) fn wait_fresh(&self, at: usize) -> Result<View> {
        let name = self.members[at].name;
        wait_for(&format!("{name} to be ready"), || {
            self.lives(at)?;
            Ok(self.view(at).filter(|view| view.fresh))
        })
    }

    /// An error, if a node that should run has ended by itself.
    fn lives(&self, at: usize) -> Result<()> {
        let mut running = self.processes.locked();
        let ended = match &mut running.children[at] {
            Some(child) => child.try_wait()?,
            None => bail!("the node of {} does not run", self.members[at].name),
        };
        let Some(status) = ended else { return Ok(()) };
        let log = fs::read_to_string(&self.members[at].log).unwrap_or_default();
        Err(anyhow!(
            "the node of {} ended with {status}: {}",
            self.members[at].name,
            log.trim_end().lines().last().unwrap_or_default()
        ))
    }

    /// An address at a node.
    pub(crate) fn url(&self, at: usize, path: &str) -> String {
        format!("{}{path}", self.members[at].base)
    }

    /// One request to a node.
    pub(crate) fn call(
        &self,
        at: usize,
        method: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer> {
        let member = &self.members[at];
        let call = Call {
            method,
            url: &self.url(at, path),
            token,
            headers,
            body,
            patience: PATIENCE,
            answer_max_bytes: ANSWER_MAX_BYTES,
        };
        call.send()
            .with_context(|| format!("the node of {} did not answer", member.name))
    }

    /// A token at a node, for somebody who works there.
    pub(crate) fn token(&self, at: usize, who: &str, roles: &[Role]) -> Result<String> {
        self.token_for(at, who, roles, None)
    }

    /// The same, for somebody who may act for one subject only.
    pub(crate) fn token_for(
        &self,
        at: usize,
        who: &str,
        roles: &[Role],
        subject: Option<SubjectId>,
    ) -> Result<String> {
        token::issue(&TokenOptions {
            data: self.members[at].data.clone(),
            roles: roles.to_vec(),
            practitioner: who.to_owned(),
            institution: None,
            subject,
            slot: subject.map(|_| 0),
            days: 1,
        })
    }
}

/// Waits for something, a minute at most.
pub(crate) fn wait_for<T>(what: &str, mut found: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let from = Instant::now();
    loop {
        if let Some(found) = found()? {
            return Ok(found);
        }
        if from.elapsed() > PATIENCE {
            bail!("waited {} s in vain for {what}", PATIENCE.as_secs());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Ports that nobody listens at, below those that systems give to whoever connects: while a node is away,
/// nobody may get its port by chance.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    const FIRST: u16 = 20_000;
    const LAST: u16 = 32_000;
    let mut seed = [0_u8; 2];
    crate::entropy::fill(&mut seed)?;
    let from = u16::from_le_bytes(seed) % (LAST - FIRST);
    let ports = (0..LAST - FIRST).map(|step| FIRST + (from + step) % (LAST - FIRST));
    let free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let free: Vec<u16> = free.take(count).collect();
    if free.len() < count {
        bail!("this machine has no {count} free ports between {FIRST} and {LAST}");
    }
    Ok(free)
}
