//! Random crashes and partitions: nothing final is lost, doubled or contradicted, and a whole
//! network goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use codec::EntryId;
use commonware_runtime::{Clock, Runner, deterministic};
use rand_core::Rng as _;

use crate::cluster::{Cluster, Context, Node, millis};
use crate::fixture::Fixture;
use crate::memory::Memory;

const NODES: usize = 4;

struct Chaos {
    cluster: Cluster,
    context: Context,
    stores: Vec<Memory>,
    nodes: Vec<Option<Node>>,
    cut: BTreeSet<(usize, usize)>,
    submitted: u64,
    /// Entries that some node called final, and where.
    known: BTreeMap<EntryId, consensus::Position>,
    waiting: BTreeSet<EntryId>,
}

impl Chaos {
    async fn new(context: Context) -> Self {
        let cluster = Cluster::new(&context, Fixture::new(4, 4, 12)).await;
        let stores: Vec<Memory> = (0..NODES).map(|_| Memory::default()).collect();
        let mut nodes = Vec::new();
        for (index, store) in stores.iter().enumerate() {
            nodes.push(Some(cluster.start(index, store).await));
        }
        Self {
            cluster,
            context,
            stores,
            nodes,
            cut: BTreeSet::new(),
            submitted: 0,
            known: BTreeMap::new(),
            waiting: BTreeSet::new(),
        }
    }

    fn pick(&mut self, below: usize) -> usize {
        let random = self.context.next_u32();
        usize::try_from(random).unwrap() % below
    }

    async fn step(&mut self) {
        let (at, other) = (self.pick(NODES), self.pick(NODES));
        match self.pick(12) {
            0 => {
                if let Some(node) = self.nodes[at].take() {
                    node.crash().await;
                }
            }
            1 | 2 => self.revive(at).await,
            3 if at != other => {
                let pair = (at.max(other), at.min(other));
                if self.cut.insert(pair) {
                    self.cluster.cut(pair.0, pair.1).await;
                }
            }
            4 | 5 => self.heal().await,
            _ => {
                if let Some(node) = &self.nodes[at] {
                    let entry = self.cluster.fixture.entry(at, self.submitted);
                    self.submitted += 1;
                    self.waiting.insert(node.submit(&entry).await);
                }
            }
        }
        let pause = u64::try_from(self.pick(400)).unwrap();
        self.context.sleep(Duration::from_millis(pause)).await;
        self.observe().await;
    }

    async fn revive(&mut self, at: usize) {
        if self.nodes[at].is_none() {
            let store = self.stores[at].clone();
            self.nodes[at] = Some(self.cluster.start(at, &store).await);
        }
    }

    async fn heal(&mut self) {
        for (a, b) in std::mem::take(&mut self.cut) {
            self.cluster.link(a, b).await;
        }
    }

    /// Nobody contradicts what somebody called final.
    async fn observe(&mut self) {
        for node in self.nodes.iter().flatten() {
            for id in self.known.keys().chain(&self.waiting) {
                let position = node.ledger.entry_position(id).await.unwrap();
                if let (Some(found), Some(known)) = (position, self.known.get(id)) {
                    assert_eq!(found, *known);
                }
            }
            for id in self.waiting.clone() {
                if let Some(position) = node.ledger.entry_position(&id).await.unwrap() {
                    self.known.insert(id, position);
                    self.waiting.remove(&id);
                }
            }
            assert_eq!(node.ledger.halted(), None);
        }
    }

    /// Heals and restarts everything; then the network finalises within seconds.
    async fn settle(&mut self) {
        self.heal().await;
        for at in 0..NODES {
            self.revive(at).await;
        }
        let before = millis(&self.context);
        let entry = self.cluster.fixture.entry(0, 1_000_000 + self.submitted);
        let last = self.nodes[0].as_ref().unwrap().submit(&entry).await;
        for node in self.nodes.iter().flatten() {
            node.wait_for(&last, &self.context).await;
        }
        let took = millis(&self.context) - before;
        assert!(took < 10_000, "resumed after {took} ms");
        self.observe().await;
        let positions: BTreeSet<u64> = self.known.values().map(|at| at.log_index).collect();
        assert_eq!(positions.len(), self.known.len());
        for node in self.nodes.iter().flatten() {
            for (id, position) in &self.known {
                let found = node.wait_for(id, &self.context).await;
                assert_eq!(found, *position);
            }
            node.ledger.audit().await.unwrap();
            assert!(node.ledger.faults().is_empty());
        }
    }
}

fn run(seed: u64, steps: usize) {
    let config = deterministic::Config::default().with_seed(seed);
    deterministic::Runner::new(config).start(|context| async move {
        let mut chaos = Chaos::new(context).await;
        for _ in 0..steps {
            chaos.step().await;
        }
        chaos.settle().await;
        assert!(!chaos.known.is_empty(), "seed {seed}: nothing was final");
    });
}

#[test]
fn crashes_and_partitions_in_any_order() {
    for seed in 0..3 {
        run(seed, 60);
    }
}

#[test]
#[ignore = "minutes; for looking further"]
fn crashes_and_partitions_for_longer() {
    for seed in 100..400 {
        println!("seed {seed}");
        run(seed, 250);
    }
}
