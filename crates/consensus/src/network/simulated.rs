//! The simulated network: seeded delivery between validators in one process, links set by a test.

use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::TrackedPeers;
use commonware_p2p::simulated::{Control, Manager, Oracle, Receiver, Sender};
use commonware_runtime::Clock;
use commonware_utils::ordered::Set;

use super::{Channel, ChannelPlan, Link, Network, OpenError, Opened, Peers};

/// One validator's place in a simulated network.
pub struct Simulated<E: Clock> {
    oracle: Oracle<PublicKey, E>,
    me: PublicKey,
}

impl<E: Clock> Simulated<E> {
    /// The place of the validator with key `me`; none if the key is malformed.
    #[must_use]
    pub fn new(oracle: Oracle<PublicKey, E>, me: &keys::PublicKey) -> Option<Self> {
        let me = crate::certificates::engine_key(me)?;
        Some(Self { oracle, me })
    }
}

impl<E: Clock + Send + Sync + 'static> Network<E> for Simulated<E> {
    type Sender = Sender<PublicKey, E>;
    type Receiver = Receiver<PublicKey>;
    type Peers = Manager<PublicKey, E>;
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
            peers: self.oracle.manager(),
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

impl<E: Clock> Peers for Manager<PublicKey, E> {
    fn track(&mut self, epoch: u64, validators: Set<PublicKey>) {
        let _ = commonware_p2p::Manager::track(self, epoch, TrackedPeers::primary(validators));
    }
}
