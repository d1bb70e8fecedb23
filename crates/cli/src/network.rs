//! `ithaca network init | join`: founds a network of several institutions in one place, or joins one.
//!
//! `init`. In: a TOML file of the institutions (`docs/network.toml`). Out, below one new folder: the genesis,
//! the same with every founder's signature, everybody's address as a peer, and a data folder of each
//! institution with its own keys and a `node.toml` that names its peers. Each folder is then moved to its
//! institution's own machine.
//!
//! `join`. In: the genesis, the peers, and which member is to propose it. Out: a data folder, and an application
//! that this member hands in (`ithaca govern propose admit`).

use crate::{config, folder, passphrase, running};
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use codec::InstitutionId;
use keys::Zeroizing;
use keys::{PasswordParams, PublicKey};
use ledger::{
    Kind, Parameters,
    genesis::{NAME_MAX_BYTES, operators_are_few},
};
use node::{
    governance::{self, Applicant},
    institution::{self, Founded, Founder, Founding},
    verify,
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Most institutions that are founded at once; more join by vote.
const FOUNDERS_MAX: usize = 10;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Makes one genesis, and a data folder for each institution.
    Init(InitOptions),
    /// Makes the data folder of one more institution, and its application for membership.
    Join(JoinOptions),
}

#[derive(Args)]
pub(crate) struct JoinOptions {
    /// The new data folder.
    folder: PathBuf,
    /// The institution's name; public on the ledger.
    #[arg(long)]
    name: String,
    /// hospital, laboratory, research-institute, patient-organisation or operator.
    #[arg(long)]
    kind: Kind,
    /// The network's genesis, from a source you trust.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// The members' nodes, as `ithaca network init` wrote them.
    #[arg(long, value_name = "FILE")]
    peers: PathBuf,
    /// The member that proposes it.
    #[arg(long)]
    sponsor: InstitutionId,
    /// Last epoch at whose end it may pass; `ithaca govern status` shows the present one.
    #[arg(long)]
    until_epoch: u64,
    /// Where the node listens for its peers.
    #[arg(long)]
    listen: SocketAddr,
    /// Where the node serves; a loopback address.
    #[arg(long)]
    http: SocketAddr,
    /// The application: a new file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The passphrase, in a file. Otherwise the credential `ithaca-passphrase`, or a prompt.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct InitOptions {
    /// The institutions; docs/network.toml shows how.
    #[arg(long, value_name = "FILE")]
    institutions: PathBuf,
    /// A new folder, for all of them.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
}

/// The institutions' file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    name: String,
    #[serde(default)]
    parameters: Tuning,
    institution: Vec<Planned>,
}

/// Rules of the network; left out, the default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Tuning {
    epoch_blocks: Option<u64>,
    batch_interval_ms: Option<u64>,
    disclosure_period_ms: Option<u64>,
    subject_release_ms: Option<u64>,
    max_validity_heights: Option<u64>,
    recover_delay_ms: Option<u64>,
}

/// One institution to be founded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Planned {
    name: String,
    kind: Kind,
    validator: bool,
    peers: SocketAddr,
    http: SocketAddr,
    share: Option<SocketAddr>,
    #[serde(default)]
    allow_remote: bool,
    reach: Option<SocketAddr>,
    folder: Option<String>,
    passphrase_file: Option<PathBuf>,
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Init(options) => init(&options),
        Command::Join(options) => join(&options),
    }
}

#[expect(clippy::print_stdout, reason = "what was made")]
fn join(options: &JoinOptions) -> Result<()> {
    folder::name_check("--name", &options.name)?;
    let shown = options.folder.display();
    let read = |path: &Path, what: &str| {
        fs::read(path).with_context(|| format!("cannot read {what} {}", path.display()))
    };
    let genesis = read(&options.genesis, "the genesis")?;
    verify::genesis(&genesis)
        .with_context(|| format!("{} is refused", options.genesis.display()))?;
    let peers = String::from_utf8_lossy(&read(&options.peers, "the peers")?).into_owned();
    let at = format!(
        "[http]\nlisten = \"{}\"\n\n[ledger]\nlisten = \"{}\"\n{peers}",
        options.http, options.listen
    );
    config::Config::parse(&at)
        .with_context(|| format!("with {} no node could run", options.peers.display()))?;
    folder::must_be_new(&options.folder)?;
    let passphrase = passphrase::read(options.passphrase_file.as_deref(), true)?;
    let mut out = crate::subject::create_private(&options.out)?;
    let founding = Founding {
        name: options.name.clone(),
        kind: options.kind,
    };
    let applicant = Applicant {
        founding: &founding,
        genesis: &genesis,
        sponsor: options.sponsor,
        until_epoch: options.until_epoch,
    };
    let params = PasswordParams::default();
    let application = running::with_ambient(|ambient| {
        governance::apply(
            &options.folder,
            &applicant,
            passphrase.as_bytes(),
            params,
            ambient,
        )
    })
    .with_context(|| format!("cannot make an institution in {shown}"))
    .inspect_err(|_| drop(fs::remove_file(&options.out)))?;
    fs::write(options.folder.join("node.toml"), at)?;
    out.write_all(&application.encode())?;
    println!(
        "Made {} as {}.",
        options.name,
        folder::institution(&options.folder)?
    );
    println!(
        "  {}   for {} to propose",
        options.out.display(),
        options.sponsor
    );
    println!(
        "Every member adds this to its node.toml, before the epoch ends in which it is admitted, or starts its node again:"
    );
    print!(
        "{}",
        peer(&options.name, &application.node(), options.listen)
    );
    println!("Once admitted: ithaca up --data {shown}");
    Ok(())
}

/// How others name a node in their `node.toml`.
fn peer(name: &str, key: &PublicKey, address: SocketAddr) -> String {
    let name = toml::Value::from(name);
    format!("\n[[ledger.peers]]\nname = {name}\nkey = \"{key}\"\naddress = \"{address}\"\n")
}

#[expect(clippy::print_stdout, reason = "what was made")]
fn init(options: &InitOptions) -> Result<()> {
    let InitOptions {
        institutions: path,
        folder: root,
    } = options;
    let (plan, founded) = found(path, root)?;
    let shown = root.display();
    println!(
        "Founded {} as network {}.",
        plan.name,
        founded.genesis.genesis.network_id()
    );
    println!("  {shown}/genesis.cbor   give this to whoever verifies receipts");
    println!("  {shown}/founding.cbor  the same, signed by every founder");
    println!("  {shown}/peers.toml     the members' nodes, for whoever joins");
    for planned in &plan.institution {
        println!(
            "  {shown}/{}   the data folder of {}",
            planned.folder(),
            planned.name
        );
    }
    let validators = plan.institution.iter().filter(|i| i.validator).count();
    println!(
        "{validators} of {} validate; it goes on while {} of them are away.",
        plan.institution.len(),
        validators.saturating_sub(1) / 3
    );
    println!("Next, at each institution: ithaca up --data ITS-FOLDER");
    Ok(())
}

/// Founds what a file of institutions names, below a new folder: all of it, or nothing.
pub(crate) fn found(path: &Path, root: &Path) -> Result<(Plan, Founded)> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the institutions' file {}", path.display()))?;
    let plan = Plan::parse(&text)
        .with_context(|| format!("the institutions' file {} is refused", path.display()))?;
    folder::must_be_new(root)?;
    let mut draft = root.as_os_str().to_owned();
    draft.push(".draft");
    let draft = PathBuf::from(draft);
    ensure!(
        !draft.exists(),
        "{} was left by a run that was interrupted; delete it",
        draft.display()
    );
    let beside = path.parent().unwrap_or(Path::new(""));
    let passphrases = plan.passphrases(beside)?;
    let made = plan
        .found(&draft, &passphrases)
        .and_then(|founded| {
            // Either all of it is there, or nothing.
            fs::rename(&draft, root)?;
            Ok(founded)
        })
        .with_context(|| format!("cannot found a network in {}", root.display()));
    if made.is_err() {
        fs::remove_dir_all(&draft).ok();
    }
    Ok((plan, made?))
}

impl Plan {
    fn parse(text: &str) -> Result<Self> {
        let plan: Self = config::parsed(text)?;
        plan.check()?;
        Ok(plan)
    }

    /// The name of the data folder of one of them.
    pub(crate) fn folder(&self, at: usize) -> String {
        self.institution
            .get(at)
            .map(Planned::folder)
            .unwrap_or_default()
    }

    fn check(&self) -> Result<()> {
        ensure!(
            !self.name.trim().is_empty() && self.name.len() <= NAME_MAX_BYTES,
            "the network's name takes 1 to {NAME_MAX_BYTES} bytes of text"
        );
        let count = self.institution.len();
        ensure!(
            (1..=FOUNDERS_MAX).contains(&count),
            "it names {count} institutions; a network is founded by 1 to {FOUNDERS_MAX}"
        );
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        for planned in &self.institution {
            planned.check(count > 1)?;
            for (what, value) in planned.own() {
                if let Some(other) = taken.insert(format!("{what} {value}"), &planned.name) {
                    bail!(
                        "'{other}' and '{}' have the same {what}, {value}; each needs its own",
                        planned.name
                    );
                }
            }
        }
        let validators = || self.institution.iter().filter(|i| i.validator);
        ensure!(
            validators().next().is_some(),
            "no institution is a validator; set validator = true for one at least"
        );
        ensure!(
            operators_are_few(self.institution.iter().map(|i| i.kind))
                && operators_are_few(validators().map(|i| i.kind)),
            "operators are a third or more of the institutions or of the validators; they must be fewer"
        );
        self.parameters().check()?;
        Ok(())
    }

    fn parameters(&self) -> Parameters {
        let usual = Parameters::default();
        let Tuning {
            epoch_blocks,
            batch_interval_ms,
            disclosure_period_ms,
            subject_release_ms,
            max_validity_heights,
            recover_delay_ms,
        } = self.parameters;
        Parameters {
            epoch_blocks: epoch_blocks.unwrap_or(usual.epoch_blocks),
            batch_interval_ms: batch_interval_ms.unwrap_or(usual.batch_interval_ms),
            disclosure_period_ms: disclosure_period_ms.unwrap_or(usual.disclosure_period_ms),
            subject_release_ms: subject_release_ms.unwrap_or(usual.subject_release_ms),
            max_validity_heights: max_validity_heights.unwrap_or(usual.max_validity_heights),
            recover_delay_ms: recover_delay_ms.unwrap_or(usual.recover_delay_ms),
        }
    }

    fn passphrases(&self, beside: &Path) -> Result<Vec<Zeroizing<String>>> {
        let mut passphrases: Vec<Zeroizing<String>> = Vec::new();
        for planned in &self.institution {
            let file = planned
                .passphrase_file
                .as_ref()
                .map(|file| beside.join(file));
            let passphrase = passphrase::read_of(&planned.name, file.as_deref())?;
            if let Some(other) = passphrases.iter().position(|p| *p == passphrase) {
                let other = self.institution.get(other).map_or("", |i| &i.name);
                bail!(
                    "'{other}' and '{}' have the same passphrase; each needs its own",
                    planned.name
                );
            }
            passphrases.push(passphrase);
        }
        Ok(passphrases)
    }

    fn found(&self, root: &Path, passphrases: &[Zeroizing<String>]) -> Result<Founded> {
        let founded = running::with_ambient(|ambient| {
            let places: Vec<(PathBuf, Founding)> = self
                .institution
                .iter()
                .map(|planned| (root.join(planned.folder()), planned.founding()))
                .collect();
            let founders: Vec<Founder<'_>> = self
                .institution
                .iter()
                .zip(&places)
                .zip(passphrases)
                .map(|((planned, (folder, founding)), passphrase)| Founder {
                    folder,
                    founding,
                    validator: planned.validator,
                    passphrase: passphrase.as_bytes(),
                })
                .collect();
            let params = PasswordParams::default();
            institution::create_all(&founders, self.parameters(), params, ambient)
        })?;
        for (at, planned) in self.institution.iter().enumerate() {
            let text = self.node_config(at, &founded);
            config::Config::parse(&text)
                .with_context(|| format!("the node.toml of '{}' would be refused", planned.name))?;
            fs::write(root.join(planned.folder()).join("node.toml"), text)?;
        }
        let signed = &founded.genesis;
        fs::write(root.join("genesis.cbor"), codec::to_vec(&signed.genesis))?;
        fs::write(root.join("founding.cbor"), codec::to_vec(signed))?;
        let members = self.institution.iter().zip(&founded.members);
        let peers: String = members
            .map(|(planned, (_, key))| peer(&planned.name, key, planned.reached()))
            .collect();
        fs::write(root.join("peers.toml"), peers)?;
        Ok(founded)
    }

    /// The `node.toml` of one institution; docs/node.toml shows what else it may say.
    fn node_config(&self, at: usize, founded: &Founded) -> String {
        let mut text = String::new();
        let members = self.institution.iter().zip(&founded.members);
        for (index, (planned, (_, key))) in members.enumerate() {
            let name = toml::Value::from(planned.name.as_str());
            if index == at {
                let network = toml::Value::from(self.name.as_str());
                let head = format!(
                    "# The node of {name}. Its own key, for its peers: {key}\n\n[http]\nlisten = \"{}\"\n\
                     allow_remote = {}\n\n[ledger]\nnetwork = {network}\nlisten = \"{}\"\n",
                    planned.http, planned.allow_remote, planned.peers
                );
                text.insert_str(0, &head);
            } else {
                text.push_str(&peer(&planned.name, key, planned.reached()));
            }
        }
        text + &self.share_config(at, founded)
    }

    /// Where others ask this institution, and where it asks them.
    fn share_config(&self, at: usize, founded: &Founded) -> String {
        let mut text = String::new();
        let members = self.institution.iter().zip(&founded.members);
        for (index, (planned, (card, _))) in members.enumerate() {
            let id = card.institution.id;
            let Some(address) = planned.share else {
                continue;
            };
            if index == at {
                text.insert_str(0, &format!("\n[share]\nlisten = \"{address}\"\n"));
            } else {
                let name = toml::Value::from(planned.name.as_str());
                text.push_str(&format!(
                    "\n[[share.peers]]\nname = {name}\ninstitution = \"{id}\"\naddress = \"{address}\"\n"
                ));
            }
        }
        text
    }
}

impl Planned {
    fn check(&self, has_peers: bool) -> Result<()> {
        let name = &self.name;
        ensure!(
            !name.trim().is_empty()
                && name.len() <= NAME_MAX_BYTES
                && !name.contains(char::is_control),
            "an institution's name takes 1 to {NAME_MAX_BYTES} bytes of text on one line"
        );
        let folder = self.folder();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        ensure!(
            !folder.is_empty() && folder.len() <= 64 && folder.chars().all(plain),
            "the folder of '{name}' takes 1 to 64 letters, digits, - and _; give one with folder = \"...\""
        );
        if has_peers {
            let reached = self.reached();
            ensure!(
                self.peers.port() != 0 && reached.port() != 0 && !reached.ip().is_unspecified(),
                "the others cannot reach '{name}' at {reached}; give its own address and port as `reach`"
            );
        }
        ensure!(
            self.http.ip().is_loopback() || self.allow_remote,
            "http of '{name}' is {}, which others can reach: end TLS in front of the node and set allow_remote = true, or use a loopback address",
            self.http
        );
        Ok(())
    }

    /// What no other institution may have too.
    fn own(&self) -> impl Iterator<Item = (&'static str, String)> {
        // One process listens at an address, whatever for; at port 0 each gets a port of its own.
        let listens = [
            Some(("address", self.http)),
            Some(("address", self.peers)),
            Some(("way in", self.reached())),
            self.share.map(|share| ("address", share)),
        ];
        let listens = listens
            .into_iter()
            .flatten()
            .filter(|(_, address)| address.port() != 0)
            .map(|(what, address)| (what, address.to_string()));
        let named = [("name", self.name.clone()), ("folder", self.folder())];
        named.into_iter().chain(listens)
    }

    fn reached(&self) -> SocketAddr {
        self.reach.unwrap_or(self.peers)
    }

    fn founding(&self) -> Founding {
        Founding {
            name: self.name.clone(),
            kind: self.kind,
        }
    }

    /// The name of its data folder.
    fn folder(&self) -> String {
        if let Some(folder) = &self.folder {
            return folder.clone();
        }
        let words: Vec<String> = self
            .name
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '\'')
            .map(|word| word.replace('\'', "").to_ascii_lowercase())
            .filter(|word| !word.is_empty())
            .collect();
        words.join("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../../docs/network.toml");

    #[test]
    fn the_sample_in_docs_is_accepted_and_shows_the_defaults() {
        let plan = Plan::parse(SAMPLE).unwrap();
        let folders: Vec<String> = plan.institution.iter().map(Planned::folder).collect();
        assert_eq!(folders[0], "ithaca-childrens-hospital");
        assert_eq!(folders.len(), 4);
        let plain: String = SAMPLE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest)
                    if rest.starts_with("[parameters]")
                        || rest.contains("_ms = ")
                        || rest.contains("s = 1") =>
                {
                    rest
                }
                _ => line,
            })
            .fold(String::new(), |text, line| text + line + "\n");
        let shown = Plan::parse(&plain).unwrap();
        assert!(shown.parameters.epoch_blocks.is_some());
        assert!(shown.parameters.recover_delay_ms.is_some());
        assert_eq!(shown.parameters(), Parameters::default());
    }

    #[test]
    fn what_cannot_be_a_network_is_refused_in_a_sentence() {
        let refused = |from: &str, to: &str, word: &str| {
            assert!(SAMPLE.contains(from), "{from}");
            let error = format!(
                "{:#}",
                Plan::parse(&SAMPLE.replacen(from, to, 1)).unwrap_err()
            );
            assert!(error.contains(word) && !error.contains('\n'), "{error}");
        };
        refused(
            "kind = \"laboratory\"",
            "kind = \"lab\"",
            "none of: hospital",
        );
        refused("kind = \"laboratory\"", "sort = 1", "unknown field `sort`");
        refused("8502", "8501", "have the same address, 127.0.0.1:8501");
        refused("8602", "8502", "have the same address, 127.0.0.1:8502");
        refused(
            "Pylos Genetics Laboratory",
            "Families of Scheria",
            "have the same name",
        );
        refused(
            "\"127.0.0.1:8502\"",
            "\"0.0.0.0:8502\"",
            "give its own address and port",
        );
        refused(
            "\"127.0.0.1:8602\"",
            "\"0.0.0.0:8602\"",
            "allow_remote = true",
        );
        refused(
            "\"laboratory\"",
            "\"operator\"\nfolder = \"../x\"",
            "letters, digits",
        );
        refused("name = \"Rare", "name = \"\"\n# \"Rare", "network's name");
        refused(
            "# [parameters]",
            "parameters.epoch_blocks = 1\n#",
            "epoch_blocks is below 2",
        );
        let one = |kind: &str, validator: bool| {
            let text = format!(
                "name = \"N\"\n[[institution]]\nname = \"A\"\nkind = \"{kind}\"\nvalidator = {validator}\n\
                 peers = \"127.0.0.1:1\"\nhttp = \"127.0.0.1:2\"\n"
            );
            Plan::parse(&text).map_err(|error| format!("{error:#}"))
        };
        one("hospital", true).unwrap();
        assert!(
            one("hospital", false)
                .unwrap_err()
                .contains("no institution is a validator")
        );
        assert!(one("operator", true).unwrap_err().contains("must be fewer"));
        let two_operators = SAMPLE
            .replacen("\"laboratory\"", "\"operator\"", 1)
            .replacen("\"research-institute\"", "\"operator\"", 1);
        assert!(Plan::parse(&two_operators).is_err());
        let eleven: String = (0..11)
            .map(|n| {
                format!(
                    "[[institution]]\nname = \"A{n}\"\nkind = \"hospital\"\nvalidator = true\n\
                 peers = \"127.0.0.1:{}\"\nhttp = \"127.0.0.1:{}\"\n",
                    100 + n,
                    200 + n
                )
            })
            .collect();
        let error = Plan::parse(&format!("name = \"N\"\n{eleven}")).unwrap_err();
        assert!(error.to_string().contains("founded by 1 to 10"), "{error}");
    }
}
