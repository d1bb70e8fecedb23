//! Channels that may lead nowhere, so that a lone validator opens no socket.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::SystemTime;

use commonware_actor::{Feedback, Unreliable};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{
    BlockedSubscription, Blocker, CheckedSender, LimitedSender, Message, PeerSetSubscription,
    PeerSetUpdate, Provider, Receiver, Recipients, Sender, TrackedPeers,
};
use commonware_runtime::IoBufs;
use commonware_utils::channel::{mpsc, ring};
use commonware_utils::ordered::Set;

use super::Peers;

/// A sender; `None` reaches nobody.
#[derive(Clone, Debug)]
pub struct MaybeSender<S>(pub(super) Option<S>);

/// A receiver; `None` never receives.
pub struct MaybeReceiver<R>(pub(super) Option<R>);

/// A blocker; `None` has nobody to block.
#[derive(Clone)]
pub struct MaybeBlocker<B>(pub(super) Option<B>);

/// Known peers; alone, just the epoch's validators as they were tracked.
#[derive(Clone)]
pub enum MaybePeers<P> {
    /// Peers of a network.
    Connected(P),
    /// No network.
    Alone(Alone),
}

/// The tracked validators of a node without a network.
#[derive(Clone, Debug, Default)]
pub struct Alone {
    latest: Option<(u64, Set<PublicKey>)>,
    subscribers: Vec<mpsc::UnboundedSender<PeerSetUpdate<PublicKey>>>,
}

impl<S: Sender<PublicKey = PublicKey>> LimitedSender for MaybeSender<S> {
    type PublicKey = PublicKey;
    type Checked<'a>
        = MaybeChecked<S::Checked<'a>>
    where
        Self: 'a;

    fn check(
        &mut self,
        recipients: Recipients<PublicKey>,
    ) -> Result<Self::Checked<'_>, SystemTime> {
        match &mut self.0 {
            Some(sender) => sender
                .check(recipients)
                .map(|checked| MaybeChecked(Some(checked))),
            None => Ok(MaybeChecked(None)),
        }
    }
}

/// A checked sender; `None` has no recipients.
pub struct MaybeChecked<C>(Option<C>);

impl<C: CheckedSender<PublicKey = PublicKey>> CheckedSender for MaybeChecked<C> {
    type PublicKey = PublicKey;

    fn recipients(&self) -> Vec<PublicKey> {
        self.0
            .as_ref()
            .map(CheckedSender::recipients)
            .unwrap_or_default()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        match self.0 {
            Some(checked) => checked.send(message, priority),
            None => Unreliable::new(Feedback::Ok),
        }
    }
}

impl<R: Receiver<PublicKey = PublicKey>> Receiver for MaybeReceiver<R> {
    type Error = R::Error;
    type PublicKey = PublicKey;

    async fn recv(&mut self) -> Result<Message<PublicKey>, R::Error> {
        match &mut self.0 {
            Some(receiver) => receiver.recv().await,
            None => std::future::pending().await,
        }
    }

    fn capacity(&self) -> NonZeroUsize {
        self.0
            .as_ref()
            .map_or(NonZeroUsize::MIN, Receiver::capacity)
    }
}

impl<R> fmt::Debug for MaybeReceiver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "MaybeReceiver(connected)"
        } else {
            "MaybeReceiver(alone)"
        })
    }
}

impl<B: Blocker<PublicKey = PublicKey>> Blocker for MaybeBlocker<B> {
    type PublicKey = PublicKey;

    fn block(&mut self, peer: PublicKey) -> Feedback {
        if let Some(blocker) = &mut self.0 {
            commonware_p2p::block!(blocker, peer, "blocking peer");
        }
        Feedback::Ok
    }

    fn blocked(&mut self) -> BlockedSubscription<PublicKey> {
        match &mut self.0 {
            Some(blocker) => blocker.blocked(),
            None => ring::channel(NonZeroUsize::MIN).1,
        }
    }
}

impl<P> fmt::Debug for MaybePeers<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connected(_) => "MaybePeers::Connected",
            Self::Alone(_) => "MaybePeers::Alone",
        })
    }
}

impl<P: Provider<PublicKey = PublicKey>> Provider for MaybePeers<P> {
    type PublicKey = PublicKey;

    async fn peer_set(&mut self, id: u64) -> Option<TrackedPeers<PublicKey>> {
        match self {
            Self::Connected(peers) => peers.peer_set(id).await,
            Self::Alone(alone) => alone
                .latest
                .as_ref()
                .filter(|(epoch, _)| *epoch == id)
                .map(|(_, validators)| TrackedPeers::primary(validators.clone())),
        }
    }

    async fn subscribe(&mut self) -> PeerSetSubscription<PublicKey> {
        match self {
            Self::Connected(peers) => peers.subscribe().await,
            Self::Alone(alone) => {
                let (sender, receiver) = mpsc::unbounded_channel();
                if let Some((epoch, validators)) = &alone.latest {
                    let _ = sender.send(update(*epoch, validators.clone()));
                }
                alone.subscribers.push(sender);
                receiver
            }
        }
    }
}

impl<P: Peers> Peers for MaybePeers<P> {
    fn track(&mut self, epoch: u64, validators: Set<PublicKey>) {
        match self {
            Self::Connected(peers) => peers.track(epoch, validators),
            Self::Alone(alone) => {
                alone.subscribers.retain(|subscriber| {
                    subscriber.send(update(epoch, validators.clone())).is_ok()
                });
                alone.latest = Some((epoch, validators));
            }
        }
    }
}

fn update(epoch: u64, validators: Set<PublicKey>) -> PeerSetUpdate<PublicKey> {
    let peers = TrackedPeers::primary(validators);
    PeerSetUpdate {
        index: epoch,
        latest: peers.clone(),
        all: peers,
    }
}
