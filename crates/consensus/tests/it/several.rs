//! Several validators: agreement, crashes, partitions, idling, governance.

use std::time::Duration;

use codec::Digest;
use commonware_runtime::{Clock, Runner, deterministic};
use commonware_utils::probability;
use ledger::Entry;
use ledger::entry::{
    Change, InstitutionPropose, InstitutionVote, ProposeTerms, SetValidator, ValidatorClaim,
    VoteTerms, governance_sign,
};

use crate::cluster::{Cluster, Context, Node, millis};
use crate::fixture::Fixture;
use crate::memory::Memory;

struct Network {
    cluster: Cluster,
    stores: Vec<Memory>,
    nodes: Vec<Option<Node>>,
}

impl Network {
    async fn start(context: &Context, fixture: Fixture) -> Self {
        let cluster = Cluster::new(context, fixture).await;
        let members = cluster.fixture.members.len();
        let stores: Vec<Memory> = (0..members).map(|_| Memory::default()).collect();
        let mut nodes = Vec::new();
        for (index, store) in stores.iter().enumerate() {
            nodes.push(Some(cluster.start(index, store).await));
        }
        Self {
            cluster,
            stores,
            nodes,
        }
    }

    fn node(&self, index: usize) -> &Node {
        self.nodes[index].as_ref().unwrap()
    }

    /// Submits entries at the nodes that run, in turn, and waits until all are final everywhere.
    async fn finalise(&self, numbers: std::ops::Range<u64>, context: &Context) {
        let running: Vec<usize> = (0..self.nodes.len())
            .filter(|at| self.nodes[*at].is_some())
            .collect();
        let mut ids = Vec::new();
        for (turn, number) in numbers.enumerate() {
            let at = running[turn % running.len()];
            let entry = self.cluster.fixture.entry(at, number);
            ids.push(self.node(at).submit(&entry).await);
            context.sleep(Duration::from_millis(45)).await;
        }
        for at in running {
            for id in &ids {
                self.node(at).wait_for(id, context).await;
            }
        }
    }

    /// The headers of every node are the same up to the lowest tip; the digest of that one.
    async fn agree(&self) -> (u64, Digest) {
        let height = self
            .nodes
            .iter()
            .flatten()
            .map(|node| node.ledger.tip().height)
            .min()
            .unwrap();
        for at in 0..=height {
            let header = self.node(0).ledger.header(at).await.unwrap().unwrap();
            for node in self.nodes.iter().flatten() {
                assert_eq!(
                    node.ledger.header(at).await.unwrap().as_ref(),
                    Some(&header)
                );
            }
        }
        let header = self.node(0).ledger.header(height).await.unwrap().unwrap();
        (height, header.digest())
    }
}

fn run(seed: u64) -> (u64, Digest, String) {
    deterministic::Runner::seeded(seed).start(|context| async move {
        let mut four = Network::start(&context, Fixture::new(4, 4, 20)).await;
        four.finalise(0..20, &context).await;
        four.agree().await;

        four.nodes[3].take().unwrap().crash().await;
        four.finalise(100..130, &context).await;
        let ahead = four.node(0).ledger.tip().height;

        let store = four.stores[3].clone();
        four.nodes[3] = Some(four.cluster.start(3, &store).await);
        let before = millis(&context);
        four.node(3).wait_height(ahead, &context).await;
        let took = millis(&context) - before;
        assert!(took < 10_000, "caught up in {took} ms");

        four.finalise(200..210, &context).await;
        let (height, digest) = four.agree().await;
        assert!(height > 20, "no epoch was crossed");
        for node in four.nodes.iter().flatten() {
            node.ledger.audit().await.unwrap();
            assert!(node.ledger.faults().is_empty());
        }
        (height, digest, context.auditor().state())
    })
}

#[test]
fn a_crashed_validator_catches_up_and_a_seed_repeats_itself() {
    let first = run(11);
    assert_eq!(first, run(11));
}

#[test]
fn idle_validators_make_one_block_in_ten_seconds() {
    deterministic::Runner::seeded(13).start(|context| async move {
        let four = Network::start(&context, Fixture::new(4, 4, 20)).await;
        context.sleep(Duration::from_secs(121)).await;
        let (height, _) = four.agree().await;
        assert!(
            (10..=13).contains(&height),
            "{height} empty blocks in two minutes"
        );
        // An entry ends the idling from any node, at three hops and the way to the leader.
        let mut slowest = 0;
        for number in 0..20 {
            let at = usize::try_from(number % 4).unwrap();
            context
                .sleep(Duration::from_millis(2_000 + 77 * number))
                .await;
            let before = millis(&context);
            let id = four
                .node(at)
                .submit(&four.cluster.fixture.entry(at, number))
                .await;
            four.node(at).wait_for(&id, &context).await;
            slowest = slowest.max(millis(&context) - before);
        }
        assert!(slowest < 200, "{slowest} ms");
    });
}

#[test]
fn no_half_decides_and_healing_resumes() {
    deterministic::Runner::seeded(14).start(|context| async move {
        let four = Network::start(&context, Fixture::new(4, 4, 20)).await;
        four.finalise(0..8, &context).await;
        for a in [0, 1] {
            for b in [2, 3] {
                four.cluster.cut(a, b).await;
            }
        }
        context.sleep(Duration::from_secs(2)).await;
        let stuck: Vec<u64> = (0..4).map(|at| four.node(at).ledger.tip().height).collect();
        let left = four
            .node(0)
            .submit(&four.cluster.fixture.entry(0, 50))
            .await;
        let right = four
            .node(2)
            .submit(&four.cluster.fixture.entry(2, 51))
            .await;
        context.sleep(Duration::from_secs(60)).await;
        for (at, height) in stuck.iter().enumerate() {
            assert_eq!(four.node(at).ledger.tip().height, *height);
        }
        for a in [0, 1] {
            for b in [2, 3] {
                four.cluster.link(a, b).await;
            }
        }
        let before = millis(&context);
        for at in 0..4 {
            four.node(at).wait_for(&left, &context).await;
            four.node(at).wait_for(&right, &context).await;
        }
        let took = millis(&context) - before;
        assert!(took < 10_000, "resumed after {took} ms");
        four.agree().await;
    });
}

#[test]
fn lost_messages_only_delay() {
    deterministic::Runner::seeded(15).start(|context| async move {
        let four = Network::start(&context, Fixture::new(4, 4, 20)).await;
        for a in 0..4 {
            for b in 0..a {
                four.cluster.cut(a, b).await;
                four.cluster.link_with(a, b, probability!(0.8)).await;
            }
        }
        four.finalise(0..40, &context).await;
        four.agree().await;
    });
}

#[test]
fn a_member_that_does_not_validate_follows_and_submits() {
    deterministic::Runner::seeded(18).start(|context| async move {
        let mut five = Network::start(&context, Fixture::new(5, 4, 20)).await;
        // The follower submits in its turn, and everything is final at it too.
        five.finalise(0..30, &context).await;
        let (height, _) = five.agree().await;
        assert!(height > 20, "no epoch was crossed");
        five.node(4).ledger.audit().await.unwrap();
        let followed = five.nodes[4].take().unwrap();
        let horizon = followed.ledger.horizon();
        assert!(horizon >= height, "{horizon} {height}");
        followed.crash().await;

        // Away over two epochs' ends, it comes back to where the others are and knows how far that is.
        five.finalise(100..160, &context).await;
        let ahead = five.node(0).ledger.tip().height;
        assert!(ahead > height + 40, "{height} {ahead}");
        let store = five.stores[4].clone();
        five.nodes[4] = Some(five.cluster.start(4, &store).await);
        let mut behind = false;
        let before = millis(&context);
        while five.node(4).ledger.tip().height < ahead {
            behind |= five.node(4).ledger.horizon() > five.node(4).ledger.tip().height;
            context.sleep(Duration::from_millis(1)).await;
        }
        assert!(behind, "it never knew that it was behind");
        let took = millis(&context) - before;
        assert!(took < 20_000, "caught up in {took} ms");
        five.finalise(200..205, &context).await;
        five.agree().await;
    });
}

#[test]
fn members_vote_a_fifth_validator_in() {
    deterministic::Runner::seeded(16).start(|context| async move {
        let mut five = Network::start(&context, Fixture::new(5, 4, 20)).await;
        let fixture = &five.cluster.fixture;
        let network = fixture.genesis.network_id();
        let fifth = &fixture.members[4];
        let key = keys::SigningKey::from_seed(fifth.validator.clone());
        let terms = ProposeTerms {
            institution: fixture.members[0].id,
            change: Change::SetValidator(SetValidator {
                institution: fifth.id,
                key: Some(ValidatorClaim::sign(&network, &fifth.id, &key)),
            }),
            expires_epoch: 3,
        };
        let proposal = terms.id(&network);
        let governance_signature = governance_sign(&proposal, &fixture.members[0].governance);
        let propose = Entry::InstitutionPropose(Box::new(InstitutionPropose {
            terms,
            governance_signature,
            candidate: None,
        }));
        let id = five.node(0).submit(&fixture.sign(0, &propose)).await;
        five.node(1).wait_for(&id, &context).await;
        for at in 1..4 {
            let terms = VoteTerms {
                institution: fixture.members[at].id,
                proposal,
                approve: true,
            };
            let id = terms.id(&network);
            let vote = Entry::InstitutionVote(Box::new(InstitutionVote {
                terms,
                governance_signature: governance_sign(&id, &fixture.members[at].governance),
            }));
            let id = five.node(at).submit(&fixture.sign(at, &vote)).await;
            five.node(at).wait_for(&id, &context).await;
        }
        // To the end of the epoch, the fifth still outside.
        let fifth = five.nodes[4].take().unwrap();
        while five.node(0).ledger.tip().height < 20 {
            let next = five.node(0).ledger.tip().height;
            let id = five
                .node(0)
                .submit(&five.cluster.fixture.entry(0, next))
                .await;
            five.node(0).wait_for(&id, &context).await;
        }
        assert_eq!(
            five.node(0)
                .ledger
                .state_view()
                .validators(1)
                .unwrap()
                .len(),
            5
        );
        five.nodes[4] = Some(fifth);
        five.finalise(300..340, &context).await;
        five.agree().await;

        // Without one of the old ones its vote is needed.
        five.nodes[0].take().unwrap().crash().await;
        five.nodes[0] = None;
        let fixture = &five.cluster.fixture;
        let id = five.node(4).submit(&fixture.entry(4, 500)).await;
        let position = five.node(4).wait_for(&id, &context).await;
        let logged = five
            .node(4)
            .ledger
            .logged_entry(position.log_index)
            .await
            .unwrap();
        let anchor = ledger::Anchor::genesis(&fixture.genesis);
        let check = five.node(4).ledger.certificates();
        assert!(!logged.finality.boundaries.is_empty());
        logged.finality.verify(&anchor, &check).unwrap();
    });
}
