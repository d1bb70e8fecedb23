//! Several institutions, each with a node of its own, on one simulated network.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::simulated::{self, Link, Oracle};
use commonware_runtime::{Clock, Supervisor};
use commonware_utils::probability;
use consensus::network::Simulated;
use keys::PasswordParams;
use ledger::{Genesis, Kind, Parameters};
use node::backup::Restore;
use node::governance::{NetworkChange, NetworkPropose, NetworkVote};
use node::institution::{Card, Founding, found, keychain_create};
use node::receipt::{ReceiptAnswer, ReceiptQuery};
use node::record::{Content, Payload, Submission};
use node::subject::{Keyholder, SubjectOpen, SubjectOpenPrepare, SubjectOpenSubmit, Wait};
use node::{
    Ambient, Caller, Config, Digest, InstitutionId, Node, RecordId, Role, SubjectId, verify,
};
use store_sim::SimStore;
use vault::{Keychain, MemoryCustody};

use crate::world::{
    Context, PASSPHRASE, STORED, Store, actor, final_wait, guardian, key, parameters, phenopacket,
};

pub(crate) struct Member {
    pub(crate) card: Card,
    pub(crate) custody: MemoryCustody,
    pub(crate) store: Store,
    /// The key by which its peers know its node.
    pub(crate) peer: keys::PublicKey,
    pub(crate) node: Option<Node>,
}

pub(crate) struct Network {
    pub(crate) context: Context,
    pub(crate) genesis: Genesis,
    pub(crate) members: Vec<Member>,
    pub(crate) oracle: Oracle<PublicKey, Context>,
    pub(crate) followers: Vec<keys::PublicKey>,
    pub(crate) starts: u64,
}

/// What an institution is at the start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Validates,
    Follows,
    /// Not yet a member.
    Applies,
}

impl Network {
    /// Four hospitals that validate.
    pub(crate) async fn new(context: Context) -> Self {
        let parameters = ledger::Parameters {
            max_validity_heights: 8,
            ..parameters()
        };
        let parts = ["Ithaca", "Pylos", "Sparta", "Scheria"]
            .map(|name| (name, Kind::Hospital, Part::Validates));
        Self::of(context, &parts, parameters).await
    }

    pub(crate) async fn of(
        context: Context,
        parts: &[(&str, Kind, Part)],
        parameters: Parameters,
    ) -> Self {
        let ambient = Ambient::of(&context);
        let mut members = Vec::new();
        for (index, (name, kind, part)) in parts.iter().enumerate() {
            let custody = MemoryCustody::new();
            let founding = Founding {
                name: (*name).to_owned(),
                kind: *kind,
            };
            let (keychain, card) = keychain_create(
                Arc::new(custody.clone()),
                &founding,
                *part == Part::Validates,
                PASSPHRASE,
                PasswordParams::INSECURE_FAST,
                &ambient,
            )
            .unwrap();
            let partition = format!("store-{index}");
            let store = SimStore::open(context.child("store"), &partition)
                .await
                .unwrap();
            members.push(Member {
                peer: peer_key(&keychain),
                card,
                custody,
                store,
                node: None,
            });
        }
        let founders = members.iter().zip(parts);
        let cards: Vec<Card> = founders
            .filter(|(_, (.., part))| *part != Part::Applies)
            .map(|(member, _)| member.card.clone())
            .collect();
        let genesis = found(&cards, parameters, &ambient).unwrap();
        let followers = members.iter().zip(parts);
        let followers = followers
            .filter(|(_, (.., part))| *part != Part::Validates)
            .map(|(member, _)| member.peer)
            .collect();
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
        let mut this = Self {
            context,
            genesis,
            members,
            oracle,
            followers,
            starts: 0,
        };
        for a in 0..parts.len() {
            for b in 0..a {
                this.link(a, b).await;
            }
        }
        for index in 0..parts.len() {
            this.start(index).await;
        }
        this
    }

    pub(crate) fn id(&self, index: usize) -> InstitutionId {
        self.members[index].card.institution.id
    }

    pub(crate) fn keychain(&self, index: usize) -> Keychain {
        let custody = Arc::new(self.members[index].custody.clone());
        Keychain::open(custody, PASSPHRASE).unwrap()
    }

    pub(crate) fn peer(&self, index: usize) -> PublicKey {
        PublicKey::decode(Copying(self.members[index].peer.as_bytes())).unwrap()
    }

    /// Ends a member's node, and starts it with the keys that its custody holds now.
    pub(crate) async fn restart(&mut self, index: usize) {
        self.members[index].node.take().unwrap().crash().await;
        let peer = peer_key(&self.keychain(index));
        if std::mem::replace(&mut self.members[index].peer, peer) != peer {
            for other in (0..self.members.len()).filter(|other| *other != index) {
                self.link(index, other).await;
            }
        }
        self.start(index).await;
    }

    pub(crate) async fn link(&self, a: usize, b: usize) {
        let link = Link {
            latency: Duration::from_millis(10),
            jitter: Duration::from_millis(2),
            success_rate: probability!(1.0),
        };
        for (from, to) in [(a, b), (b, a)] {
            let (from, to) = (self.peer(from), self.peer(to));
            self.oracle.add_link(from, to, link.clone()).await.unwrap();
        }
    }

    pub(crate) async fn cut(&self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            let (from, to) = (self.peer(from), self.peer(to));
            self.oracle.remove_link(from, to).await.unwrap();
        }
    }

    pub(crate) async fn start(&mut self, index: usize) {
        let keychain = self.keychain(index);
        self.start_with(index, &format!("member-{index}"), keychain)
            .await;
    }

    pub(crate) async fn start_with(&mut self, index: usize, partition: &str, keychain: Keychain) {
        let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let member = &self.members[index];
        let mut config = Config::new(self.genesis.clone(), member.card.institution.id, listen);
        config.partition = partition.to_owned();
        config.idle_block_ms = 5_000;
        // Entries that wait longer than a cut are signed again.
        config.limits.validity_heights = 8;
        let network = Simulated::new(self.oracle.clone(), &member.peer)
            .unwrap()
            .with_followers(&self.followers);
        self.starts += 1;
        let context = self
            .context
            .child("member")
            .with_attribute("n", self.starts);
        let node = Node::start_over(context, config, network, member.store.clone(), keychain);
        self.members[index].node = Some(node.await.unwrap());
    }

    /// Makes a member's node from a backup, under a new validator key.
    pub(crate) async fn restore(&mut self, index: usize, directory: &Path, target: &Path) {
        let ambient = Ambient::of(&self.context);
        let restore = Restore::open(directory, b"backup", &ambient).unwrap();
        let rows = restore.rows().unwrap();
        let context = self.context.child("restoring");
        SimStore::import(context, "restored", rows).await.unwrap();
        let genesis = codec::to_vec(&self.genesis);
        let params = PasswordParams::INSECURE_FAST;
        restore
            .finish(
                target,
                &genesis,
                PASSPHRASE,
                params,
                &BTreeSet::new(),
                &ambient,
            )
            .unwrap();
        let keychain = node::institution::open(target, PASSPHRASE)
            .unwrap()
            .keychain;
        let store = SimStore::open(self.context.child("restored"), "restored")
            .await
            .unwrap();
        self.members[index].peer = peer_key(&keychain);
        self.members[index].store = store;
        for other in (0..4).filter(|other| *other != index) {
            self.link(index, other).await;
        }
        self.start_with(index, "restored", keychain).await;
    }

    /// The other members make a member's present key a validator's.
    pub(crate) async fn vote_in(&self, index: usize) {
        let institution = self.members[index].card.institution.id;
        let operator = self.staff(index, Role::Operator);
        let own = self.handle(index).network_show(operator).await.unwrap();
        assert_eq!(own.claim.key, self.members[index].peer);
        let proposal = self.handle(0).network_propose(NetworkPropose {
            caller: self.staff(0, Role::Operator),
            change: NetworkChange::Validator {
                institution,
                claim: Some(own.claim),
            },
            open_epochs: 10,
            wait: final_wait(),
        });
        let proposal = proposal.await.unwrap();
        assert!(proposal.finality.is_final());
        for voter in [1, 2] {
            let shown = self
                .handle(voter)
                .network_show(self.staff(voter, Role::Operator));
            assert_eq!(shown.await.unwrap().proposals[0].proposal, proposal.entry);
            let vote = self.handle(voter).network_vote(NetworkVote {
                caller: self.staff(voter, Role::Operator),
                proposal: proposal.entry,
                approve: true,
                wait: final_wait(),
            });
            assert!(vote.await.unwrap().finality.is_final());
        }
    }

    pub(crate) fn handle(&self, index: usize) -> node::Handle {
        self.members[index].node.as_ref().unwrap().handle()
    }

    pub(crate) fn staff(&self, index: usize, role: Role) -> Caller {
        let id = self.members[index].card.institution.id;
        Caller::staff(actor(id, "staff-1", role))
    }

    pub(crate) async fn sleep_ms(&self, duration_ms: u64) {
        self.context.sleep(Duration::from_millis(duration_ms)).await;
    }

    pub(crate) fn now_ms(&self) -> u64 {
        Ambient::of(&self.context).now_ms()
    }

    pub(crate) async fn tip(&self, index: usize) -> node::status::TipView {
        let operator = self.staff(index, Role::Operator);
        self.handle(index).status(operator).await.unwrap().tip
    }

    pub(crate) async fn open(&self, index: usize, wait: Wait) -> SubjectId {
        let opened = self.handle(index).subject_open(SubjectOpen {
            caller: self.staff(index, Role::Desk),
            controllers: vec![guardian(1)],
            matures: None,
            client_key: None,
            wait,
        });
        let opened = opened.await.unwrap();
        assert_eq!(opened.finality.is_final(), wait != Wait::Durable);
        opened.subject
    }

    /// Opens a subject under a family's own key in slot 1.
    pub(crate) async fn family(&self, index: usize) -> SubjectId {
        let prepared = self.handle(index).subject_open_prepare(SubjectOpenPrepare {
            caller: self.staff(index, Role::Desk),
            controllers: vec![Keyholder {
                controller: guardian(1),
                key: key(1).public(),
            }],
            slot: 1,
            matures: None,
        });
        let signed = prepared.await.unwrap().sign(&key(1)).unwrap();
        let opened = self.handle(index).subject_open_submit(SubjectOpenSubmit {
            caller: self.staff(index, Role::Desk),
            signed,
            wait: final_wait(),
        });
        opened.await.unwrap().subject
    }

    pub(crate) fn parent(&self, index: usize, subject: SubjectId) -> Caller {
        let id = self.members[index].card.institution.id;
        let mut actor = actor(id, "account-1", Role::Controller);
        actor.slot = Some(1);
        Caller::bound(actor, subject)
    }

    pub(crate) async fn metric(&self, index: usize, name: &str) -> u64 {
        let metrics = self.handle(index).metrics(()).await.unwrap();
        metrics
            .samples
            .iter()
            .find(|s| s.name == name)
            .unwrap()
            .value
    }

    pub(crate) fn submission(&self, index: usize, subject: SubjectId, case: &str) -> Submission {
        Submission {
            caller: self.staff(index, Role::Clinician),
            subject,
            payload: Payload::Phenopacket(Content::new(phenopacket(case))),
            record: None,
            client_key: Some(case.to_owned()),
            expect_version: None,
            provenance: Default::default(),
            wait: Wait::Durable,
        }
    }

    /// Deposits at a member and checks the receipt offline.
    pub(crate) async fn deposit(&self, index: usize, subject: SubjectId, case: &str) -> Digest {
        let mut submission = self.submission(index, subject, case);
        submission.wait = final_wait();
        let deposited = self.handle(index).record_deposit(submission).await.unwrap();
        assert!(deposited.finality.is_final());
        self.verify(index, subject, deposited.records[0].record, case)
            .await;
        deposited.records[0].commitment
    }

    /// The receipt of a record holds by the genesis alone; the epochs' ends it passes.
    pub(crate) async fn verify(
        &self,
        index: usize,
        subject: SubjectId,
        record: RecordId,
        case: &str,
    ) -> usize {
        let query = ReceiptQuery {
            caller: self.staff(index, Role::Clinician),
            subject,
            record,
            version: None,
            leaf: Some(STORED),
        };
        let ReceiptAnswer::Ready(receipt) = self.handle(index).receipt(query).await.unwrap() else {
            panic!("pending");
        };
        let content = phenopacket(case);
        verify::receipt(&receipt.bytes, &self.genesis, Some(&content)).unwrap();
        let receipt: ledger::receipt::Receipt = codec::from_slice(&receipt.bytes).unwrap();
        receipt.logged.finality.boundaries.len()
    }
}

fn peer_key(keychain: &Keychain) -> keys::PublicKey {
    consensus::engine::public_key(&keychain.identity().validator_seed).unwrap()
}
