//! A simulated network of validators in one process.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use codec::EntryId;
use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::simulated::{self, Link, Oracle};
use commonware_runtime::{Clock, Handle as Task, Spawner, Supervisor, deterministic};
use commonware_utils::channel::oneshot;
use commonware_utils::{Probability, probability};
use consensus::network::Simulated;
use consensus::{Config, Handle, start};

use store::Store;

use crate::fixture::{Fixture, public};
use crate::memory::Memory;

pub(crate) type Context = deterministic::Context;

/// A seeded network of validators, fully linked.
pub(crate) struct Cluster {
    pub(crate) fixture: Fixture,
    oracle: Oracle<PublicKey, Context>,
    context: Context,
}

/// A running validator.
pub(crate) struct Node<S: Store = Memory> {
    pub(crate) ledger: Handle<S>,
    task: Task<()>,
}

impl<S: Store> Node<S> {
    /// Ends it at once: nothing is flushed or said.
    pub(crate) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Waits until an entry is final here.
    pub(crate) async fn wait_for(&self, id: &EntryId, context: &Context) -> consensus::Position {
        loop {
            if let Some(position) = self.ledger.entry_position(id).await.unwrap() {
                return position;
            }
            context.sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until a height is final here.
    pub(crate) async fn wait_height(&self, height: u64, context: &Context) {
        while self.ledger.tip().height < height {
            context.sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn submit(&self, entry: &Bytes) -> EntryId {
        self.ledger.submit(entry.clone()).await.unwrap()
    }
}

impl Cluster {
    pub(crate) async fn new(context: &Context, fixture: Fixture) -> Self {
        let (network, oracle) = simulated::Network::new(
            context.child("simulation"),
            simulated::Config {
                max_size: 8 * 1024 * 1024,
                max_peers_per_set: NonZeroUsize::new(16).unwrap(),
                disconnect_on_block: true,
                tracked_peer_sets: NonZeroUsize::new(4).unwrap(),
            },
        );
        network.start();
        let cluster = Self {
            fixture,
            oracle,
            context: context.child("cluster"),
        };
        for a in 0..cluster.fixture.members.len() {
            for b in 0..a {
                cluster.link(a, b).await;
            }
        }
        cluster
    }

    pub(crate) fn network(&self, index: usize) -> Simulated<Context> {
        let seed = &self.fixture.members[index].validator;
        let validators = self.fixture.genesis.validators.by_institution();
        let others = self.fixture.members.iter();
        let followers: Vec<_> = others
            .filter(|member| !validators.contains_key(&member.id))
            .map(|member| public(&member.validator))
            .collect();
        Simulated::new(self.oracle.clone(), &public(seed))
            .unwrap()
            .with_followers(&followers)
    }

    /// Starts member `index` on its own disk.
    pub(crate) async fn start<S: Store>(&self, index: usize, store: &S) -> Node<S> {
        let config = Config {
            partition: format!("node-{index}"),
            ..Config::new(
                self.fixture.genesis.clone(),
                self.fixture.members[index].validator.clone(),
            )
        };
        let (network, store) = (self.network(index), store.clone());
        let (started, ledger) = oneshot::channel();
        let context = self.context.child("node").with_attribute("index", index);
        let task = context.spawn(move |context| async move {
            let ledger = start(context.child("consensus"), network, store, config)
                .await
                .unwrap();
            let _ = started.send(ledger.clone());
            ledger.stopped().await;
        });
        Node {
            ledger: ledger.await.unwrap(),
            task,
        }
    }

    /// Links two members both ways.
    pub(crate) async fn link(&self, a: usize, b: usize) {
        self.link_with(a, b, probability!(1.0)).await;
    }

    /// Links two members both ways; messages arrive with this probability.
    pub(crate) async fn link_with(&self, a: usize, b: usize, success_rate: Probability) {
        let link = Link {
            latency: Duration::from_millis(10),
            jitter: Duration::from_millis(2),
            success_rate,
        };
        for (from, to) in [(a, b), (b, a)] {
            self.oracle
                .add_link(self.key(from), self.key(to), link.clone())
                .await
                .unwrap();
        }
    }

    /// Cuts the link between two members both ways.
    pub(crate) async fn cut(&self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            self.oracle
                .remove_link(self.key(from), self.key(to))
                .await
                .unwrap();
        }
    }

    fn key(&self, index: usize) -> PublicKey {
        let key = public(&self.fixture.members[index].validator);
        PublicKey::decode(Copying(key.as_bytes())).unwrap()
    }
}

pub(crate) fn millis(context: &impl Clock) -> u64 {
    let since = context
        .current()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    u64::try_from(since.as_millis()).unwrap()
}
