//! The real network: authenticated, encrypted connections to validators at known addresses.
//!
//! Handshake: the engine's SAKE (Ed25519 identities) and CUPS (ChaCha20-Poly1305), under a
//! namespace that names the ledger. Configured peers that do not validate in an epoch may connect and
//! follow. A validator without a configured address cannot be dialled
//! and is logged; it may still be reached through the others' blocks.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use commonware_cryptography::Signer as _;
use commonware_cryptography::chacha20_poly1305::ChaCha20Poly1305;
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_p2p::authenticated::lookup;
use commonware_p2p::{
    Address, AddressableManager, AddressableTrackedPeers, PeerSetSubscription, Provider,
    TrackedPeers,
};
use commonware_runtime::{Clock, Metrics, Network as RuntimeNetwork, Resolver, Spawner};
use commonware_stream::cups::{self, Cups};
use commonware_stream::sake::{self, Sake};
use commonware_utils::ordered::{Map, Set};
use rand_core::CryptoRng;

use super::optional::{Alone, MaybeBlocker, MaybePeers, MaybeReceiver, MaybeSender};
use super::{Channel, ChannelPlan, Link, Network, OpenError, Opened, Peers};
use crate::certificates::{engine_key, engine_signer};

/// Peer sets kept connected: this epoch's and the last one's.
const TRACKED_EPOCHS: NonZeroUsize = match NonZeroUsize::new(2) {
    Some(epochs) => epochs,
    None => unreachable!(),
};

/// Capacity of the network's internal queues.
const MAILBOX: NonZeroUsize = match NonZeroUsize::new(1_024) {
    Some(messages) => messages,
    None => unreachable!(),
};

/// Room for peers that join while a node runs.
const ROOM: usize = 3;

/// Furthest a peer's clock may be ahead at a handshake.
const HANDSHAKE_AHEAD: Duration = Duration::from_secs(15 * 60);

/// Oldest handshake message accepted.
const HANDSHAKE_AGE: Duration = Duration::from_secs(15 * 60);

/// How often a connection with nothing else to carry is shown to be alive.
///
/// Whoever reads pings that come faster than twice this stops reading that connection until they no longer do. What
/// a wire held back while it was dead arrives at once, so that pings every few seconds would keep a mended
/// connection dumb for about as long as it was dead. With more than half of the time after which a dead connection
/// is given up (`read_write_timeout` of the runtime, 60 s), two of them wait at most.
const PING: Duration = Duration::from_secs(50);

/// Peers: keys and addresses.
pub type PeerList = Vec<(keys::PublicKey, SocketAddr)>;

/// Asked at each epoch's start for the peers as they are known then; none keeps those of before.
#[derive(Clone)]
pub struct PeerSource(Arc<dyn Fn() -> Option<PeerList> + Send + Sync>);

impl PeerSource {
    /// A source that asks this. It may read a file; it must not wait for anything else.
    #[must_use]
    pub fn new(ask: impl Fn() -> Option<PeerList> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }
}

impl fmt::Debug for PeerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerSource")
    }
}

/// Validators at known addresses.
pub struct Lookup {
    signer: PrivateKey,
    listen: SocketAddr,
    peers: PeerList,
    again: Option<PeerSource>,
    allow_private_ips: bool,
}

impl Lookup {
    /// A network for the validator with this seed; none if the seed is malformed.
    ///
    /// With no peers, nothing listens and nothing is dialled.
    #[must_use]
    pub fn new(seed: &keys::Secret, listen: SocketAddr, peers: PeerList) -> Option<Self> {
        let (signer, _) = engine_signer(seed)?;
        Some(Self {
            signer,
            listen,
            peers,
            again: None,
            allow_private_ips: true,
        })
    }

    /// Whether peers may have private addresses (they may, unless this says otherwise).
    #[must_use]
    pub fn allow_private_ips(mut self, allow: bool) -> Self {
        self.allow_private_ips = allow;
        self
    }

    /// Asks again for the peers at each epoch's start, so that who joins and whose key is new is reached
    /// without a restart.
    #[must_use]
    pub fn asking_again(mut self, source: Option<PeerSource>) -> Self {
        self.again = source;
        self
    }

    fn own(&self) -> (PublicKey, Address) {
        (self.signer.public_key(), Address::from(self.listen))
    }

    fn config(
        self,
        plan: &ChannelPlan,
        peers: usize,
    ) -> lookup::Config<Cups<Sake<PrivateKey>, ChaCha20Poly1305>> {
        let handshake = Cups::new(
            Sake {
                signer: self.signer,
                synchrony_bound: HANDSHAKE_AHEAD,
                max_handshake_age: HANDSHAKE_AGE,
                version: sake::Version::V1,
            },
            cups::Version::V1,
        );
        let per_set = NonZeroUsize::MIN.saturating_add(peers.saturating_add(ROOM));
        let mut config = lookup::Config::local(
            handshake,
            &plan.namespace,
            self.listen,
            per_set,
            plan.max_message_bytes,
            MAILBOX,
        );
        config.allow_private_ips = self.allow_private_ips;
        config.tracked_peer_sets = TRACKED_EPOCHS;
        config.ping_frequency = PING;
        // Institutions sit behind address translation; the handshake authenticates them.
        config.bypass_ip_check = true;
        config
    }
}

/// The node itself, which is one of the peers it tracks, and the others.
fn directory(
    own: (PublicKey, Address),
    peers: &PeerList,
) -> Result<Map<PublicKey, Address>, OpenError> {
    let mut known = vec![own];
    for (key, address) in peers {
        let key = engine_key(key).ok_or(OpenError::MalformedPeer(*address))?;
        known.push((key, Address::from(*address)));
    }
    Map::try_from(known).map_err(|_| OpenError::DuplicatePeer)
}

impl<E> Network<E> for Lookup
where
    E: Spawner + Clock + CryptoRng + RuntimeNetwork + Resolver + Metrics,
{
    type Sender = MaybeSender<lookup::Sender<PublicKey, E>>;
    type Receiver = MaybeReceiver<lookup::Receiver<PublicKey>>;
    type Peers = MaybePeers<Directory>;
    type Blocker = MaybeBlocker<lookup::Oracle<PublicKey>>;

    async fn open(self, context: E, plan: ChannelPlan) -> Result<Opened<E, Self>, OpenError> {
        let (own, again) = (self.own(), self.again.clone());
        let addresses = directory(own.clone(), &self.peers)?;
        let mut network = None;
        let mut oracle = None;
        if !self.peers.is_empty() {
            let limit = lookup::max_size::<Cups<Sake<PrivateKey>, ChaCha20Poly1305>>();
            if plan.max_message_bytes > limit {
                return Err(OpenError::TooLarge {
                    bytes: plan.max_message_bytes,
                    limit,
                });
            }
            let config = self.config(&plan, addresses.len());
            let (opened, control) = lookup::Network::new(context, config);
            network = Some(opened);
            oracle = Some(control);
        }
        let mut channel = |channel: Channel| -> Link<E, Self> {
            match &mut network {
                Some(network) => {
                    let (sender, receiver) = network.register(channel.number(), channel.quota());
                    (MaybeSender(Some(sender)), MaybeReceiver(Some(receiver)))
                }
                None => (MaybeSender(None), MaybeReceiver(None)),
            }
        };
        let opened = Opened {
            votes: channel(Channel::Votes),
            certificates: channel(Channel::Certificates),
            resolver: channel(Channel::Resolver),
            backfill: channel(Channel::Backfill),
            blocks: channel(Channel::Blocks),
            gossip: channel(Channel::Gossip),
            peers: match &oracle {
                Some(oracle) => MaybePeers::Connected(Directory {
                    oracle: oracle.clone(),
                    room: addresses.len().saturating_add(ROOM),
                    addresses,
                    own,
                    again,
                }),
                None => MaybePeers::Alone(Alone::default()),
            },
            blocker: MaybeBlocker(oracle),
        };
        if let Some(network) = network {
            network.start();
        }
        Ok(opened)
    }
}

/// The tracked peers and where they are.
#[derive(Clone, Debug)]
pub struct Directory {
    oracle: lookup::Oracle<PublicKey>,
    addresses: Map<PublicKey, Address>,
    own: (PublicKey, Address),
    again: Option<PeerSource>,
    /// The most peers that the network was opened for.
    room: usize,
}

impl Directory {
    /// Whether there are other validators, and no address of any.
    fn is_cut_off(&self, validators: &Set<PublicKey>, addresses: &Map<PublicKey, Address>) -> bool {
        let mut others = validators
            .iter()
            .filter(|key| **key != self.own.0)
            .peekable();
        others.peek().is_some() && !others.any(|key| addresses.position(key).is_some())
    }

    /// Takes the peers as they are known now; what cannot be used leaves those of before.
    fn ask_again(&mut self, validators: &Set<PublicKey>) {
        let Some(peers) = self.again.as_ref().and_then(|again| (again.0)()) else {
            return;
        };
        match directory(self.own.clone(), &peers) {
            Ok(addresses) if addresses.len() > self.room => {
                tracing::warn!(
                    peers = addresses.len(),
                    room = self.room,
                    "too many new peers for this network; start this node again"
                );
            }
            // A file that is being written, or was emptied: nobody would be left to hear of the next epoch.
            Ok(addresses) if self.is_cut_off(validators, &addresses) => {
                tracing::warn!("the peers now named hold no other validator; those of before stay");
            }
            Ok(addresses) => self.addresses = addresses,
            Err(error) => tracing::warn!(%error, "the peers are not taken; those of before stay"),
        }
    }
}

impl Provider for Directory {
    type PublicKey = PublicKey;

    async fn peer_set(&mut self, id: u64) -> Option<TrackedPeers<PublicKey>> {
        self.oracle.peer_set(id).await
    }

    async fn subscribe(&mut self) -> PeerSetSubscription<PublicKey> {
        self.oracle.subscribe().await
    }
}

impl Peers for Directory {
    fn track(&mut self, epoch: u64, validators: Set<PublicKey>) {
        self.ask_again(&validators);
        for validator in &validators {
            if self.addresses.position(validator).is_none() {
                tracing::warn!(epoch, %validator, "no address is configured of this validator");
            }
        }
        let (validating, following): (Vec<_>, Vec<_>) = self
            .addresses
            .iter_pairs()
            .map(|(key, address)| (key.clone(), address.clone()))
            .partition(|(key, _)| validators.position(key).is_some());
        if let (Ok(primary), Ok(secondary)) = (Map::try_from(validating), Map::try_from(following))
        {
            let peers = AddressableTrackedPeers::new(primary, secondary);
            let _ = self.oracle.track(epoch, peers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// See [`PING`].
    #[test]
    fn a_connection_that_was_dead_has_no_backlog_of_pings() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 1));
        let seed = keys::Secret::from_bytes([7; 32]);
        let lookup = Lookup::new(&seed, listen, Vec::new()).unwrap();
        let plan = ChannelPlan {
            max_message_bytes: 1 << 20,
            namespace: Vec::new(),
        };
        let ping = lookup.config(&plan, 3).ping_frequency;
        let given_up = commonware_runtime::tokio::Config::new().read_write_timeout();
        assert!(ping < given_up, "an idle connection would be given up");
        assert!(ping.saturating_mul(2) > given_up, "{ping:?}");
    }
}
