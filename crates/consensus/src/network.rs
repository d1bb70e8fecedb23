//! The network port: six authenticated channels between validators, and who they are.
//!
//! [`Network::open`] gives the engine its channels before anything is sent; each implementation
//! sizes and starts what it needs. [`Lookup`] is the real one (authenticated, encrypted TCP to
//! peers at known addresses; no socket at all while there are no peers), [`Simulated`] the seeded
//! one. A network knows also of members that do not validate: they follow, and may submit.
//!
//! Does not know blocks, votes or entries: payloads are opaque and bounded by
//! [`ChannelPlan::max_message_bytes`].

mod lookup;
mod optional;
mod simulated;

use std::future::Future;

use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p as p2p;
use commonware_runtime::Quota;
use commonware_utils::ordered::Set;

pub use lookup::{Lookup, PeerList, PeerSource};
pub use simulated::Simulated;

/// What travels on a channel, in the order the channels are opened; the position is the channel
/// number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Votes of the epoch's engine.
    Votes,
    /// Certificates of the epoch's engine.
    Certificates,
    /// Requests for missing certificates.
    Resolver,
    /// Requests for missing blocks and finalisations.
    Backfill,
    /// Proposed blocks.
    Blocks,
    /// Pending entries.
    Gossip,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 6] = [
        Self::Votes,
        Self::Certificates,
        Self::Resolver,
        Self::Backfill,
        Self::Blocks,
        Self::Gossip,
    ];

    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::Votes => 0,
            Self::Certificates => 1,
            Self::Resolver => 2,
            Self::Backfill => 3,
            Self::Blocks => 4,
            Self::Gossip => 5,
        }
    }

    /// Messages a second that one peer may send on it, and a quarter of that at once.
    ///
    /// Queues hold what all peers may send at once, at about 0.6 KB a slot: raise it with care.
    /// Votes and certificates go out twice a block, so their quota caps the block rate.
    #[must_use]
    pub const fn quota(self) -> Quota {
        let per_second = match self {
            Self::Votes | Self::Certificates => 1_024,
            Self::Blocks | Self::Gossip => 512,
            Self::Resolver | Self::Backfill => 256,
        };
        let of = std::num::NonZeroU32::new;
        match (of(per_second), of(per_second / 4)) {
            (Some(messages), Some(at_once)) => Quota::per_second(messages).allow_burst(at_once),
            _ => unreachable!(),
        }
    }
}

/// What a network is asked to carry.
#[derive(Clone, Debug)]
pub struct ChannelPlan {
    /// The largest payload on any channel, in bytes.
    pub max_message_bytes: u32,
    /// Keeps the networks of different ledgers apart.
    pub namespace: Vec<u8>,
}

/// Sends and receives between validators. Cheap to construct; nothing happens before `open`.
pub trait Network<E>: Send + 'static {
    /// Sending half of a channel.
    type Sender: p2p::Sender<PublicKey = PublicKey>;
    /// Receiving half of a channel.
    type Receiver: p2p::Receiver<PublicKey = PublicKey>;
    /// Who the peers are.
    type Peers: Peers;
    /// Shuts out misbehaving peers.
    type Blocker: p2p::Blocker<PublicKey = PublicKey>;

    /// Opens every channel and starts the network.
    fn open(
        self,
        context: E,
        plan: ChannelPlan,
    ) -> impl Future<Output = Result<Opened<E, Self>, OpenError>> + Send
    where
        Self: Sized;
}

/// One open channel of a network.
pub type Link<E, N> = (<N as Network<E>>::Sender, <N as Network<E>>::Receiver);

/// An open network.
pub struct Opened<E, N: Network<E>> {
    /// Channel [`Channel::Votes`].
    pub votes: Link<E, N>,
    /// Channel [`Channel::Certificates`].
    pub certificates: Link<E, N>,
    /// Channel [`Channel::Resolver`].
    pub resolver: Link<E, N>,
    /// Channel [`Channel::Backfill`].
    pub backfill: Link<E, N>,
    /// Channel [`Channel::Blocks`].
    pub blocks: Link<E, N>,
    /// Channel [`Channel::Gossip`].
    pub gossip: Link<E, N>,
    /// Who the peers are.
    pub peers: N::Peers,
    /// Shuts out misbehaving peers.
    pub blocker: N::Blocker,
}

/// The peers of a network, epoch by epoch.
pub trait Peers: p2p::Provider<PublicKey = PublicKey> {
    /// Makes `validators` the peers from `epoch` on; those of recent epochs stay connected. Members
    /// that do not validate may connect, follow and be heard, but are not dialled.
    fn track(&mut self, epoch: u64, validators: Set<PublicKey>);
}

/// Why a network could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The network was closed before all channels were open.
    #[error("the network closed while channel {0:?} was being opened")]
    Closed(Channel),
    /// A configured peer's key is not a point of the curve.
    #[error("the key of the peer at {0} is malformed")]
    MalformedPeer(std::net::SocketAddr),
    /// Two configured peers have the same key.
    #[error("two configured peers have the same key")]
    DuplicatePeer,
    /// Payloads would be larger than the transport allows.
    #[error("messages of {bytes} bytes; the transport carries at most {limit}")]
    TooLarge {
        /// What was asked for.
        bytes: u32,
        /// The transport's limit.
        limit: u32,
    },
}
