//! The configuration file of a node: one TOML file, unknown fields refused.
//!
//! Everything has a default; `docs/node.toml` shows all of it.

use crate::{notify::Notifying, ontologies, research::Research};
use anyhow::{Context, Result, anyhow, bail};
use api::Machines;
use consensus::network::PeerList;
use consent::Policy;
use keys::{PublicKey, Zeroizing};
use node::{InstitutionId, differential::Knowledge};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use sign_in::{
    fetch::{Web, is_safe},
    issuers::{Issuer, Issuers, MAX_ISSUERS},
};
use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

/// `node.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) http: Http,
    pub(crate) ledger: Ledger,
    pub(crate) share: Share,
    pub(crate) store: Store,
    pub(crate) diagnosis: Diagnosis,
    pub(crate) research: Research,
    pub(crate) sign_in: SignIn,
    pub(crate) machines: Option<MachinesAt>,
    pub(crate) subscriptions: Notifying,
    /// Who may see what for the institution's own care, how long records are kept, who breaks glass; what is
    /// left out is as built in.
    pub(crate) policy: Option<Policy>,
    /// What it lets its people do, beside consent: a Cedar policy.
    pub(crate) institution_policy: Option<InstitutionPolicy>,
    /// The file that it was read from.
    #[serde(skip)]
    pub(crate) path: Option<PathBuf>,
}

/// Where the Cedar policy is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstitutionPolicy {
    /// The file, from the data folder.
    pub(crate) file: PathBuf,
}

impl Config {
    /// The institution's policy, checked.
    pub(crate) fn institution_policy(
        &self,
        data: &Path,
    ) -> Result<Option<Arc<institution_policy::Policy>>> {
        let Some(at) = &self.institution_policy else {
            return Ok(None);
        };
        let path = data.join(&at.file);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read the policy {}", path.display()))?;
        let policy = institution_policy::Policy::parse(&text)
            .with_context(|| format!("the policy {} is refused", path.display()))?;
        Ok(Some(Arc::new(policy)))
    }
}

/// The HTTP edge.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Http {
    /// Where it listens. Anything but loopback needs `allow_remote`.
    pub(crate) listen: SocketAddr,
    /// TLS must then end in front of the node.
    pub(crate) allow_remote: bool,
    pub(crate) payload_bytes: usize,
    pub(crate) bodies_bytes: usize,
    pub(crate) request_ms: u64,
    pub(crate) header_ms: u64,
    pub(crate) connections: usize,
}

/// The network of the institutions' nodes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ledger {
    /// What people call the network.
    pub(crate) network: Option<String>,
    /// Where the consensus engine listens for its peers; without peers, nothing listens.
    pub(crate) listen: SocketAddr,
    /// The other institutions' nodes.
    pub(crate) peers: Vec<Peer>,
}

/// Sharing with other institutions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Share {
    /// Where other institutions ask, over TLS; nothing listens when left out.
    pub(crate) listen: Option<SocketAddr>,
    /// Whom this one may ask.
    pub(crate) peers: Vec<SharePeer>,
}

/// Another institution's answering side.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SharePeer {
    /// Whose it is, for people.
    pub(crate) name: String,
    /// The institution.
    pub(crate) institution: InstitutionId,
    /// Where it is reached. Who answers there is told by its key, not by this.
    pub(crate) address: SocketAddr,
}

/// Another institution's node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Peer {
    /// Whose node it is, for people.
    pub(crate) name: String,
    /// The key by which it is known; of a validator, that key.
    #[serde(deserialize_with = "peer_key")]
    pub(crate) key: PublicKey,
    /// Where it is reached.
    pub(crate) address: SocketAddr,
}

fn peer_key<'de, D: Deserializer<'de>>(from: D) -> Result<PublicKey, D::Error> {
    let text = String::deserialize(from)?;
    let key: Option<PublicKey> = text.parse().ok();
    key.filter(PublicKey::is_point)
        .ok_or_else(|| D::Error::custom("a key is 64 hexadecimal digits of a node's public key"))
}

/// A second listener, on which machines prove a certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MachinesAt {
    /// Where it listens; others may reach it, for it speaks TLS.
    pub(crate) listen: SocketAddr,
    /// The node's own certificate chain (PEM).
    certificate: PathBuf,
    /// Its key (PEM).
    key: PathBuf,
    /// Whose clients are let in (PEM); left out: whoever holds a key, for only pinned certificates open anything.
    authorities: Option<PathBuf>,
}

impl MachinesAt {
    /// How it listens.
    pub(crate) fn open(&self) -> Result<Machines> {
        let read =
            |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let authorities = self.authorities.as_deref().map(read).transpose()?;
        let key = Zeroizing::new(read(&self.key)?);
        Machines::new(&read(&self.certificate)?, &key, authorities.as_deref())
            .context("machines cannot connect")
    }
}

/// Who is believed about who asks, beside the tokens of `ithaca token`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SignIn {
    /// Whether people with accounts here (`ithaca account`) and registered software (`ithaca client`) sign in here.
    pub(crate) accounts: bool,
    /// Where people and software reach this node; needed where it does not listen on loopback itself.
    pub(crate) url: Option<String>,
    /// OpenID Connect issuers whose access tokens are believed.
    pub(crate) issuer: Vec<Issuer>,
    /// Certificate authorities (PEM) that are believed about https of issuers; the system's when left out.
    pub(crate) authorities: Option<PathBuf>,
}

impl Default for SignIn {
    fn default() -> Self {
        Self {
            accounts: true,
            url: None,
            issuer: Vec::new(),
            authorities: None,
        }
    }
}

impl SignIn {
    /// The URL of the node's own issuer, if it listens there; none if it has none.
    pub(crate) fn own_url(&self, listens: SocketAddr) -> Option<String> {
        match &self.url {
            _ if !self.accounts => None,
            Some(url) => Some(url.trim_end_matches('/').to_owned()),
            None if listens.ip().is_loopback() => Some(format!("http://{listens}")),
            // Nobody knows where people reach it.
            None => None,
        }
    }

    /// The issuers, for an edge; none when none is configured. Nothing is fetched yet.
    pub(crate) fn issuers(&self, institution: InstitutionId) -> Result<Option<Issuers>> {
        if self.issuer.is_empty() {
            return Ok(None);
        }
        let web = Arc::new(self.web()?);
        Ok(Some(Issuers::new(self.issuer.clone(), institution, web)))
    }

    /// How keys are fetched.
    pub(crate) fn web(&self) -> Result<Web> {
        let Some(path) = &self.authorities else {
            return Ok(Web::new(None)?);
        };
        let shown = path.display();
        let pem = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
        Web::new(Some(&pem)).with_context(|| format!("{shown} is of no use"))
    }

    fn check(&self) -> Result<()> {
        if self.issuer.len() > MAX_ISSUERS {
            bail!(
                "sign_in names {} issuers; it takes {MAX_ISSUERS}",
                self.issuer.len()
            );
        }
        if let Some(url) = &self.url
            && (!is_safe(url) || url.contains(['?', '#']))
        {
            bail!("sign_in.url is {url}; it must be https, or http on loopback, without query");
        }
        let mut known = BTreeSet::new();
        for issuer in &self.issuer {
            issuer.validate().map_err(|why| anyhow!(why))?;
            if !known.insert(&issuer.url) {
                bail!("sign_in names the issuer {} twice", issuer.url);
            }
        }
        Ok(())
    }
}

/// What the node knows of diseases.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Diagnosis {
    /// Without it the node makes no differentials, and needs 130 MB less.
    pub(crate) enabled: bool,
    /// An index made by `ithaca ontology import`; the data that come with the program when left out.
    pub(crate) index: Option<PathBuf>,
}

impl Diagnosis {
    /// Opens it. The index of the data that come with the program is kept in the data folder.
    pub(crate) fn knowledge(&self, data: &Path) -> Result<Option<Arc<Knowledge>>> {
        if !self.enabled {
            return Ok(None);
        }
        let ontology = match &self.index {
            Some(index) => ontologies::open(Some(index))?,
            None => ontologies::shipped(Some(data))?,
        };
        let knowledge = Knowledge::new(ontology)
            .context("the weights that come with the program are damaged")?;
        Ok(Some(Arc::new(knowledge)))
    }
}

impl Default for Diagnosis {
    fn default() -> Self {
        Self {
            enabled: true,
            index: None,
        }
    }
}

/// The key-value store.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Store {
    pub(crate) cache_bytes: u64,
    /// Free disk that is kept for what cannot wait.
    pub(crate) reserve_bytes: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8420)),
            allow_remote: false,
            payload_bytes: 16 << 20,
            bodies_bytes: 64 << 20,
            request_ms: 60_000,
            header_ms: 10_000,
            connections: 256,
        }
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            network: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8421)),
            peers: Vec::new(),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self {
            cache_bytes: 32 << 20,
            reserve_bytes: 128 << 20,
        }
    }
}

impl Config {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        let config = Self::parse(&text)
            .with_context(|| format!("the configuration {} is refused", path.display()))?;
        Ok(Self {
            path: Some(path.to_owned()),
            ..config
        })
    }

    /// Parses and checks.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let config: Self = parsed(text)?;
        if !config.http.listen.ip().is_loopback() && !config.http.allow_remote {
            bail!(
                "http.listen is {}, which others can reach: end TLS in front of the node and set http.allow_remote = true, or use a loopback address",
                config.http.listen
            );
        }
        config.http.check()?;
        config.ledger.check()?;
        config.share.check()?;
        config.sign_in.check()?;
        config.subscriptions.check()?;
        config.research.check()?;
        within(
            "store.cache_bytes",
            config.store.cache_bytes,
            1 << 20,
            1 << 40,
        )?;
        Ok(config)
    }
}

impl Http {
    fn check(&self) -> Result<()> {
        let bytes = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        within(
            "http.payload_bytes",
            bytes(self.payload_bytes),
            1,
            256 << 20,
        )?;
        within("http.bodies_bytes", bytes(self.bodies_bytes), 1, 64 << 30)?;
        within("http.request_ms", self.request_ms, 100, 3_600_000)?;
        within("http.header_ms", self.header_ms, 100, 600_000)?;
        within("http.connections", bytes(self.connections), 1, 65_536)
    }
}

impl Share {
    fn check(&self) -> Result<()> {
        let mut known = BTreeSet::new();
        for peer in &self.peers {
            let SharePeer { name, address, .. } = peer;
            if address.ip().is_unspecified() || address.port() == 0 {
                bail!("'{name}' cannot be asked at {address}; give its own address");
            }
            if !known.insert(peer.institution) {
                bail!("share.peers names the institution of '{name}' twice");
            }
        }
        Ok(())
    }
}

impl Ledger {
    /// The peers, for the node.
    pub(crate) fn peer_list(&self) -> PeerList {
        let peers = self.peers.iter();
        peers.map(|peer| (peer.key, peer.address)).collect()
    }

    fn check(&self) -> Result<()> {
        let mut keys = BTreeSet::new();
        for peer in &self.peers {
            let Peer { name, address, .. } = peer;
            if address.ip().is_unspecified() || address.port() == 0 {
                bail!("the peer '{name}' cannot be reached at {address}; give its own address");
            }
            if !keys.insert(peer.key.to_string()) {
                bail!("two peers have the key of '{name}'; each node has its own");
            }
        }
        if !self.peers.is_empty() && self.listen.port() == 0 {
            bail!("ledger.listen has no port; the peers must know it");
        }
        Ok(())
    }
}

/// Reads TOML; a fault in one line, with the line it is in.
pub(crate) fn parsed<T: DeserializeOwned>(text: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        // Its own display is a drawing of several lines.
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        let said = text.lines().nth(line - 1).unwrap_or_default().trim();
        let why = error.message().replace('\n', " ");
        anyhow!("line {line}: {why} (in `{said}`)")
    })
}

pub(crate) fn within(name: &str, value: u64, least: u64, most: u64) -> Result<()> {
    if value < least || value > most {
        bail!("{name} is {value}; it takes {least} to {most}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_in_docs_are_accepted() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let mut read = 0;
        for entry in fs::read_dir(docs).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("node") && name.ends_with(".toml") {
                Config::read(&path).unwrap();
                read += 1;
            }
        }
        assert!(read >= 2, "docs/ holds {read} sample configurations");
    }

    #[test]
    fn the_sample_shows_the_defaults() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let text = fs::read_to_string(docs.join("node.toml")).unwrap();
        let shown = Config::parse(&text).unwrap();
        assert_eq!(format!("{shown:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn peers_that_cannot_be_reached_or_told_apart_are_refused() {
        // The base point of the curve, and another point.
        let key = format!("58{}", "66".repeat(31));
        let other = keys::SigningKey::from_seed(keys::Secret::from_bytes([7; 32])).public();
        let peer = |key: &str, address: &str| {
            format!("[[ledger.peers]]\nname = \"P\"\nkey = \"{key}\"\naddress = \"{address}\"\n")
        };
        let both = peer(&key, "192.0.2.7:1") + &peer(&other.to_string(), "192.0.2.7:2");
        let config = Config::parse(&both).unwrap();
        assert_eq!(config.ledger.peers.len(), 2);
        assert_eq!(config.ledger.peers[1].key, other);
        let refused = |text: &str, word: &str| {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(error.contains(word), "{error}");
        };
        refused(&peer(&key[1..], "192.0.2.7:1"), "64 hexadecimal digits");
        refused(
            &peer(&"02".repeat(32), "192.0.2.7:1"),
            "64 hexadecimal digits",
        );
        refused(&peer(&key, "0.0.0.0:1"), "cannot be reached");
        refused(&peer(&key, "192.0.2.7:0"), "cannot be reached");
        refused(
            &(peer(&key, "192.0.2.7:1") + &peer(&key, "192.0.2.7:2")),
            "the key of 'P'",
        );
        let anywhere = "[ledger]\nlisten = \"127.0.0.1:0\"\n".to_owned();
        refused(&(anywhere + &both), "ledger.listen has no port");
    }

    #[test]
    fn issuers_are_checked_as_they_are_read() {
        let issuer = |url: &str, more: &str| {
            format!("[[sign_in.issuer]]\nurl = \"{url}\"\naudience = \"ithaca\"\n{more}")
        };
        let good = issuer(
            "https://idp.example",
            "[sign_in.issuer.roles]\nDoctors = [\"clinician\"]\n",
        );
        let config = Config::parse(&good).unwrap();
        assert_eq!(config.sign_in.issuer[0].skew_s, 60);
        let refused = |text: &str, word: &str| {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(error.contains(word), "{error}");
        };
        refused(&issuer("http://idp.example", ""), "must be an https URL");
        refused(&issuer("https://idp.example", "skew_s = 3600"), "skew_s");
        refused(
            &issuer("https://idp.example", "audiences = 1"),
            "unknown field",
        );
        refused(&format!("{good}{good}"), "twice");
        let system = "[sign_in.issuer.roles]\nx = [\"system\"]\n";
        refused(&issuer("https://idp.example", system), "node's own");
    }

    #[test]
    fn unknown_fields_and_open_doors_are_refused() {
        let refused = |text: &str, word: &str| {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(error.contains(word), "{error}");
        };
        refused(
            "[http]\nlisten_on = \"127.0.0.1:1\"",
            "line 2: unknown field",
        );
        refused("[http]\nlisten = \"0.0.0.0:80\"", "allow_remote");
        refused("[policy.retention]\nyears = 1", "rule");
        refused("[polici]", "unknown field");
        for field in [
            "payload_bytes",
            "bodies_bytes",
            "request_ms",
            "header_ms",
            "connections",
        ] {
            refused(
                &format!("[http]\n{field} = 0"),
                &format!("http.{field} is 0; it takes "),
            );
            refused(&format!("[http]\n{field} = -1"), field);
            refused(
                &format!("[http]\n{field} = 9223372036854775807"),
                "it takes ",
            );
        }
        refused(
            "[store]\ncache_bytes = 0",
            "store.cache_bytes is 0; it takes ",
        );
        assert!(Config::parse("").is_ok());
    }
}
