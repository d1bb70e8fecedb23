//! The simulated network: seeded delivery between validators in one process, links set by a test.

use std::fmt;

use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::simulated::{Control, Manager, Oracle, Receiver, Sender};
use commonware_p2p::{PeerSetSubscription, Provider, TrackedPeers};
use commonware_runtime::Clock;
use commonware_utils::ordered::Set;

use super::{Channel, ChannelPlan, Link, Network, OpenError, Opened, Peers};

/// One validator's place in a simulated network.
pub struct Simulated<E: Clock> {
    oracle: Oracle<PublicKey, E>,
    me: PublicKey,
    followers: Set<PublicKey>,
}

impl<E: Clock> Simulated<E> {
    /// The place of the validator with key `me`; none if the key is malformed.
    #[must_use]
    pub fn new(oracle: Oracle<PublicKey, E>, me: &keys::PublicKey) -> Option<Self> {
        let me = crate::certificates::engine_key(me)?;
        Some(Self {
            oracle,
            me,
            followers: Set::default(),
        })
    }

    /// The members that follow without being validators: the same ones at every place, for who is
    /// tracked first says it for all.
    #[must_use]
    pub fn with_followers(mut self, followers: &[keys::PublicKey]) -> Self {
        let keys = followers.iter().filter_map(crate::certificates::engine_key);
        self.followers = Set::from_iter_dedup(keys);
        self
    }
}

impl<E: Clock + Send + Sync + 'static> Network<E> for Simulated<E> {
    type Sender = Sender<PublicKey, E>;
    type Receiver = Receiver<PublicKey>;
    type Peers = Members<E>;
    type Blocker = Control<PublicKey, E>;

    async fn open(self, _: E, _: ChannelPlan) -> Result<Opened<E, Self>, OpenError> {
        let control = self.oracle.control(self.me);
        Ok(Opened {
            votes: register(&control, Channel::Votes).await?,
            certificates: register(&control, Channel::Certificates).await?,
            resolver: register(&control, Channel::Resolver).await?,
            backfill: register(&control, Channel::Backfill).await?,
            blocks: register(&control, Channel::Blocks).await?,
            gossip: register(&control, Channel::Gossip).await?,
            peers: Members {
                manager: self.oracle.manager(),
                followers: self.followers,
            },
            blocker: control,
        })
    }
}

async fn register<E: Clock + Send + Sync + 'static>(
    control: &Control<PublicKey, E>,
    channel: Channel,
) -> Result<Link<E, Simulated<E>>, OpenError> {
    control
        .register(channel.number(), channel.quota())
        .await
        .map_err(|_| OpenError::Closed(channel))
}

/// The tracked validators and the members that follow.
pub struct Members<E: Clock> {
    manager: Manager<PublicKey, E>,
    followers: Set<PublicKey>,
}

impl<E: Clock> Clone for Members<E> {
    fn clone(&self) -> Self {
        Self {
            manager: self.manager.clone(),
            followers: self.followers.clone(),
        }
    }
}

impl<E: Clock> fmt::Debug for Members<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members")
            .field("followers", &self.followers.len())
            .finish_non_exhaustive()
    }
}

impl<E: Clock> Provider for Members<E> {
    type PublicKey = PublicKey;

    async fn peer_set(&mut self, id: u64) -> Option<TrackedPeers<PublicKey>> {
        self.manager.peer_set(id).await
    }

    async fn subscribe(&mut self) -> PeerSetSubscription<PublicKey> {
        self.manager.subscribe().await
    }
}

impl<E: Clock> Peers for Members<E> {
    fn track(&mut self, epoch: u64, validators: Set<PublicKey>) {
        let peers = TrackedPeers::new(validators, self.followers.clone());
        let _ = commonware_p2p::Manager::track(&mut self.manager, epoch, peers);
    }
}
