//! The four institutions: founded as an operator would, their nodes as processes, and what is seen of them.

use super::{COUNT, NAMES, disk, disk::Disk, wires::Wires};
use crate::torture::server::{Answer, Institution, Server, call_within, command};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Long enough for anything that is to happen by itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// How long a node may take to say how it is.
const GLANCE: Duration = Duration::from_secs(1);
/// Which institution has the small disk, if one can be mounted.
pub(crate) const SMALL: usize = 2;

const PARAMETERS: &str = "epoch_blocks = 20\nbatch_interval_ms = 200\nsubject_release_ms = 200\n\
                          disclosure_period_ms = 2000\n";

pub(crate) struct Cluster {
    folder: PathBuf,
    ithaca: PathBuf,
    pub(crate) institutions: Vec<Institution>,
    servers: Vec<Option<Server>>,
    http: Vec<u16>,
    pub(crate) wires: Wires,
    pub(crate) disk: Option<Disk>,
}

/// What a node says of itself.
pub(crate) struct Seen {
    pub(crate) height: u64,
    pub(crate) ready: bool,
}

impl Cluster {
    /// Founds a network of four with wires between them; no node runs yet.
    pub(crate) fn found(ithaca: &Path, folder: &Path) -> Result<Self> {
        let ports = free_ports(2 * COUNT)?;
        let (peers, http) = ports.split_at(COUNT);
        let mut text = format!("name = \"Faults\"\n[parameters]\n{PARAMETERS}");
        for (at, name) in NAMES.iter().enumerate() {
            fs::write(
                folder.join(format!("{name}.pass")),
                format!("faults at {name}\n"),
            )?;
            text += &format!(
                "[[institution]]\nname = \"{name}\"\nkind = \"hospital\"\nvalidator = true\n\
                 peers = \"127.0.0.1:{}\"\nhttp = \"127.0.0.1:{}\"\npassphrase_file = \"{name}.pass\"\n",
                peers[at], http[at]
            );
        }
        fs::write(folder.join("backup.pass"), "faults of backups\n")?;
        let plan = folder.join("institutions.toml");
        fs::write(&plan, text)?;
        let root = folder.join("network");
        let words = [
            "network",
            "init",
            "--institutions",
            &plan.display().to_string(),
            "--folder",
            &root.display().to_string(),
        ];
        command(ithaca, &words)?;
        let mut cluster = Self {
            folder: folder.to_owned(),
            ithaca: ithaca.to_owned(),
            institutions: Vec::new(),
            servers: (0..COUNT).map(|_| None).collect(),
            http: http.to_vec(),
            wires: Wires::default(),
            disk: None,
        };
        for (at, name) in NAMES.iter().enumerate() {
            let mut data = root.join(name.to_lowercase());
            if at == SMALL && disk::may_mount() {
                data = cluster.move_to_small_disk(&data)?;
            }
            cluster.wire(at, &data, peers)?;
            let logs = folder.join(format!("{name}-logs"));
            fs::create_dir_all(&logs)?;
            let passphrase = folder.join(format!("{name}.pass"));
            let institution = Institution::of(ithaca, &logs, &data, &passphrase)?;
            cluster.institutions.push(institution);
        }
        Ok(cluster)
    }

    fn move_to_small_disk(&mut self, data: &Path) -> Result<PathBuf> {
        let at = self.folder.join("small");
        self.disk = Some(Disk::mount(&at)?);
        let moved = at.join("node");
        let done = Command::new("mv").arg(data).arg(&moved).status()?;
        ensure!(done.success(), "cannot move {}", data.display());
        let config = moved.join("node.toml");
        let text = fs::read_to_string(&config)? + disk::SETTINGS;
        fs::write(config, text)?;
        Ok(moved)
    }

    /// Puts a proxy between an institution and each of its peers.
    fn wire(&self, from: usize, data: &Path, peers: &[u16]) -> Result<()> {
        let config = data.join("node.toml");
        let mut text = fs::read_to_string(&config)?;
        for (to, port) in peers.iter().enumerate().filter(|(to, _)| *to != from) {
            let direct = format!("\naddress = \"127.0.0.1:{port}\"");
            ensure!(
                text.contains(&direct),
                "{} does not name {}",
                config.display(),
                NAMES[to]
            );
            let target = SocketAddr::from(([127, 0, 0, 1], *port));
            let proxy = self.wires.lay(from, to, target)?;
            text = text.replace(&direct, &format!("\naddress = \"{proxy}\""));
        }
        fs::write(config, text)?;
        Ok(())
    }

    pub(crate) fn base(&self, at: usize) -> String {
        format!("http://127.0.0.1:{}", self.http[at])
    }

    /// Starts a node, and waits until it serves.
    pub(crate) fn start(&mut self, at: usize) -> Result<()> {
        let server = Server::start_at(&self.institutions[at], self.http[at]);
        let server = server.with_context(|| format!("the node of {}", NAMES[at]))?;
        self.servers[at] = Some(server);
        Ok(())
    }

    fn running(&mut self, at: usize) -> Result<&mut Server> {
        let server = self.servers[at].as_mut();
        server.with_context(|| format!("the node of {} does not run", NAMES[at]))
    }

    pub(crate) fn kill(&mut self, at: usize) -> Result<()> {
        self.running(at)?.kill()?;
        self.servers[at] = None;
        Ok(())
    }

    /// Ends a node as an operator would.
    pub(crate) fn stop(&mut self, at: usize) -> Result<()> {
        self.running(at)?;
        match self.servers[at].take() {
            Some(server) => server.end(),
            None => Ok(()),
        }
    }

    pub(crate) fn signal(&mut self, at: usize, signal: &str) -> Result<()> {
        self.running(at)?.signal(signal)
    }

    /// Whether a node has ended by itself.
    pub(crate) fn has_ended(&mut self, at: usize) -> Result<bool> {
        Ok(self.running(at)?.ended()?.is_some())
    }

    /// How a node is, if it answers at all.
    pub(crate) fn seen(&self, at: usize) -> Option<Seen> {
        let url = format!("{}/ready", self.base(at));
        let answer = call_within(GLANCE, "GET", &url, "", &[], None).ok()?;
        let value = answer.json().ok()?;
        Some(Seen {
            height: value["height"].as_u64()?,
            ready: answer.status == 200,
        })
    }

    pub(crate) fn heights(&self) -> Vec<Option<u64>> {
        let seen = (0..COUNT).map(|at| self.seen(at));
        seen.map(|seen| seen.map(|seen| seen.height)).collect()
    }

    /// A request by an institution's operator.
    pub(crate) fn operate(
        &self,
        at: usize,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Answer> {
        let url = format!("{}{path}", self.base(at));
        let json = [
            ("Content-Type", "application/json"),
            ("Prefer", "wait=final"),
        ];
        let body = body.to_string();
        let (headers, body): (&[_], _) = match method {
            "GET" => (&[], None),
            _ => (&json, Some(body.as_bytes())),
        };
        let token = &self.institutions[at].operator;
        call_within(PATIENCE, method, &url, token, headers, body)
    }

    pub(crate) fn shown(&self, at: usize, path: &str) -> Result<Value> {
        let answer = self.operate(at, "GET", path, &Value::Null)?;
        if answer.status != 200 {
            bail!("{} answered {path} with {}", NAMES[at], answer.status);
        }
        answer.json()
    }

    /// What waits for the ledger at a node.
    pub(crate) fn waiting(&self, at: usize) -> Result<u64> {
        let status = self.shown(at, "/v1/status")?;
        let count = |name: &str| status[name].as_u64().context("a status without counts");
        Ok(count("waiting_commitments")? + count("waiting_entries")?)
    }

    /// A disk is lost: the folder is made again from a backup, under a new validator key, and the members vote
    /// that key in. Nobody may work at the institution meanwhile, and what was final must be in the backup.
    pub(crate) fn lose_disk(&mut self, at: usize) -> Result<()> {
        let shown = |path: &Path| path.display().to_string();
        let institution = self.institutions[at].clone();
        let (data, own) = (institution.data(), institution.passphrase());
        let backup = self.folder.join("backup");
        let other = shown(&self.folder.join("backup.pass"));
        self.stop(at)?;
        command(
            &self.ithaca,
            &[
                "backup",
                "--data",
                &shown(data),
                "--out",
                &shown(&backup),
                "--passphrase-file",
                &shown(own),
                "--backup-passphrase-file",
                &other,
            ],
        )?;
        // An operator keeps these elsewhere.
        let config = fs::read_to_string(data.join("node.toml"))?;
        let tokens = fs::read(data.join("tokens.json"))?;
        let old = self.shown((at + 1) % COUNT, "/v1/network")?;
        let id = fs::read_to_string(data.join("institution"))?
            .trim()
            .to_owned();
        let old = member(&old, &id)?["validator"].clone();
        let old = old.as_str().context("it is no validator")?.to_owned();
        fs::remove_dir_all(data)?;
        let genesis = shown(&self.folder.join("network/genesis.cbor"));
        command(
            &self.ithaca,
            &[
                "restore",
                "--backup",
                &shown(&backup),
                "--data",
                &shown(data),
                "--genesis",
                &genesis,
                "--backup-passphrase-file",
                &other,
                "--passphrase-file",
                &shown(own),
            ],
        )?;
        fs::remove_dir_all(&backup)?;
        fs::write(data.join("node.toml"), config)?;
        fs::write(data.join("tokens.json"), tokens)?;
        let (key, claim) = self.new_key(at)?;
        ensure!(key != old, "the restored node has its old validator key");
        for peer in (0..COUNT).filter(|peer| *peer != at) {
            // One after the other: the three that are left are just enough.
            let config = self.institutions[peer].data().join("node.toml");
            let text = fs::read_to_string(&config)?;
            ensure!(
                text.contains(&old),
                "{} does not know its peer",
                NAMES[peer]
            );
            fs::write(&config, text.replace(&old, &key))?;
            self.stop(peer)?;
            self.start(peer)?;
        }
        self.wait(PATIENCE, "the restored node to serve", |cluster| {
            Ok(cluster.seen(at).filter(|seen| seen.ready).map(drop))
        })?;
        self.vote_in(at, &id, &key, &claim)
    }

    /// Starts a node whose key nobody knows yet; the key, and its claim to validate.
    fn new_key(&mut self, at: usize) -> Result<(String, String)> {
        let server = Server::start_unready(&self.institutions[at], self.http[at])?;
        self.servers[at] = Some(server);
        self.wait(PATIENCE, "the restored node to answer", |cluster| {
            if cluster.has_ended(at)? {
                bail!("the restored node ended; see stderr.log");
            }
            let Ok(shown) = cluster.shown(at, "/v1/network") else {
                return Ok(None);
            };
            let text = |name: &str| shown[name].as_str().map(str::to_owned);
            Ok(text("node_key").zip(text("validator_claim")))
        })
    }

    fn vote_in(&mut self, at: usize, id: &str, key: &str, claim: &str) -> Result<()> {
        let other = |step: usize| (at + step) % COUNT;
        let change = json!({"validator": {"institution": id, "claim": claim}});
        let body = json!({"change": change, "open_epochs": 20});
        let proposed = self.operate(other(1), "POST", "/v1/network/proposals", &body)?;
        ensure!(
            proposed.status == 201,
            "a proposal was answered with {}",
            proposed.status
        );
        let proposal = proposed.json()?["entry"].clone();
        let proposal = proposal
            .as_str()
            .context("a proposal without a name")?
            .to_owned();
        for step in [2, 3] {
            let path = format!("/v1/network/proposals/{proposal}/vote");
            self.wait(PATIENCE, "a vote to be taken", |cluster| {
                // A voter may hear of the proposal a moment later.
                let voted =
                    cluster.operate(other(step), "POST", &path, &json!({"approve": true}))?;
                Ok((voted.status == 200).then_some(()))
            })?;
        }
        self.wait(PATIENCE, "the new key to validate", |cluster| {
            let shown = cluster.shown(at, "/v1/network")?;
            Ok((member(&shown, id)?["validator"] == key).then_some(()))
        })
    }

    /// Waits for something.
    pub(crate) fn wait<T>(
        &mut self,
        patience: Duration,
        what: &str,
        mut found: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let from = Instant::now();
        loop {
            if let Some(found) = found(self)? {
                return Ok(found);
            }
            if from.elapsed() > patience {
                bail!("waited {} s in vain for {what}", patience.as_secs());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn member<'a>(network: &'a Value, id: &str) -> Result<&'a Value> {
    let members = network["members"].as_array();
    let mut members = members.into_iter().flatten();
    members
        .find(|member| member["institution"] == id)
        .context("an institution is no member")
}

/// Ports that nobody listens at, below those that systems give to whoever connects: while a node is away,
/// nobody may get its port by chance.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let from = 20_000 + u16::try_from(std::process::id() % 100)? * 100;
    let free = (from..32_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let free: Vec<u16> = free.take(count).collect();
    ensure!(free.len() == count, "no {count} free ports from {from} on");
    Ok(free)
}
