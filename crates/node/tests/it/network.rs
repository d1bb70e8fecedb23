//! Four institutions, one ledger: finalise, lose one and catch up, and the same seed gives the same run.

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
use ledger::Genesis;
use node::backup::{Backup, Restore};
use node::consent_change::{ConsentBundle, ConsentChange, ConsentPrepare, ConsentSubmit};
use node::governance::{NetworkChange, NetworkPropose, NetworkVote};
use node::institution::{Card, found, keychain_create};
use node::receipt::{ReceiptAnswer, ReceiptQuery};
use node::record::{Content, Payload, Submission};
use node::subject::{
    Keyholder, RecoveryEndorse, RecoverySubmit, SubjectOpen, SubjectOpenPrepare, SubjectOpenSubmit,
    SubjectRecover, Wait,
};
use node::{Ambient, Caller, Config, Digest, Node, Role, SubjectId, verify};
use store_sim::SimStore;
use vault::{Keychain, MemoryCustody};

use crate::world::{
    Context, PASSPHRASE, STORED, Store, actor, final_wait, founding, guardian, key, parameters,
    phenopacket, run,
};

pub(crate) struct Member {
    pub(crate) card: Card,
    pub(crate) custody: MemoryCustody,
    pub(crate) store: Store,
    pub(crate) node: Option<Node>,
}

pub(crate) struct Network {
    context: Context,
    pub(crate) genesis: Genesis,
    pub(crate) members: Vec<Member>,
    oracle: Oracle<PublicKey, Context>,
    starts: u64,
}

impl Network {
    pub(crate) async fn new(context: Context) -> Self {
        let ambient = Ambient::of(&context);
        let mut members = Vec::new();
        for (index, name) in ["Ithaca", "Pylos", "Sparta", "Scheria"]
            .into_iter()
            .enumerate()
        {
            let custody = MemoryCustody::new();
            let (_, card) = keychain_create(
                Arc::new(custody.clone()),
                &founding(name),
                true,
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
                card,
                custody,
                store,
                node: None,
            });
        }
        let cards: Vec<Card> = members.iter().map(|member| member.card.clone()).collect();
        let parameters = ledger::Parameters {
            max_validity_heights: 8,
            ..parameters()
        };
        let genesis = found(&cards, parameters, &ambient).unwrap();
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
            starts: 0,
        };
        for a in 0..4 {
            for b in 0..a {
                this.link(a, b).await;
            }
        }
        for index in 0..4 {
            this.start(index).await;
        }
        this
    }

    fn validator(&self, index: usize) -> keys::PublicKey {
        self.members[index].card.validator.unwrap()
    }

    fn peer(&self, index: usize) -> PublicKey {
        PublicKey::decode(Copying(self.validator(index).as_bytes())).unwrap()
    }

    async fn link(&self, a: usize, b: usize) {
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

    async fn cut(&self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            let (from, to) = (self.peer(from), self.peer(to));
            self.oracle.remove_link(from, to).await.unwrap();
        }
    }

    pub(crate) async fn start(&mut self, index: usize) {
        let custody = Arc::new(self.members[index].custody.clone());
        let keychain = Keychain::open(custody, PASSPHRASE).unwrap();
        self.start_with(index, &format!("member-{index}"), keychain)
            .await;
    }

    async fn start_with(&mut self, index: usize, partition: &str, keychain: Keychain) {
        let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let validator = self.validator(index);
        let member = &self.members[index];
        let mut config = Config::new(self.genesis.clone(), member.card.institution.id, listen);
        config.partition = partition.to_owned();
        config.idle_block_ms = 5_000;
        // Entries that wait longer than a cut are signed again.
        config.limits.validity_heights = 8;
        let network = Simulated::new(self.oracle.clone(), &validator).unwrap();
        self.starts += 1;
        let context = self
            .context
            .child("member")
            .with_attribute("n", self.starts);
        let node = Node::start_over(context, config, network, member.store.clone(), keychain);
        self.members[index].node = Some(node.await.unwrap());
    }

    /// Makes a member's node from a backup, under a new validator key.
    async fn restore(&mut self, index: usize, directory: &Path, target: &Path) {
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
        let seed = keychain.identity().validator_seed;
        let store = SimStore::open(self.context.child("restored"), "restored")
            .await
            .unwrap();
        self.members[index].card.validator = consensus::engine::public_key(&seed);
        self.members[index].store = store;
        for other in (0..4).filter(|other| *other != index) {
            self.link(index, other).await;
        }
        self.start_with(index, "restored", keychain).await;
    }

    /// The other members make a member's present key a validator's.
    async fn vote_in(&self, index: usize) {
        let institution = self.members[index].card.institution.id;
        let proposal = self.handle(0).network_propose(NetworkPropose {
            caller: self.staff(0, Role::Operator),
            change: NetworkChange::Validator {
                institution,
                key: self.members[index].card.validator,
            },
            open_epochs: 10,
            wait: final_wait(),
        });
        let proposal = proposal.await.unwrap();
        assert!(proposal.finality.is_final());
        for voter in [1, 2] {
            let agenda = self
                .handle(voter)
                .network_agenda(self.staff(voter, Role::Operator));
            assert_eq!(agenda.await.unwrap()[0].proposal, proposal.entry);
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

    async fn tip(&self, index: usize) -> node::status::TipView {
        let operator = self.staff(index, Role::Operator);
        self.handle(index).status(operator).await.unwrap().tip
    }

    async fn open(&self, index: usize, wait: Wait) -> SubjectId {
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
    async fn family(&self, index: usize) -> SubjectId {
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

    fn parent(&self, index: usize, subject: SubjectId) -> Caller {
        let id = self.members[index].card.institution.id;
        let mut actor = actor(id, "account-1", Role::Controller);
        actor.slot = Some(1);
        Caller::bound(actor, subject)
    }

    async fn metric(&self, index: usize, name: &str) -> u64 {
        let metrics = self.handle(index).metrics(()).await.unwrap();
        metrics
            .samples
            .iter()
            .find(|s| s.name == name)
            .unwrap()
            .value
    }

    fn submission(&self, index: usize, subject: SubjectId, case: &str) -> Submission {
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
    async fn deposit(&self, index: usize, subject: SubjectId, case: &str) -> Digest {
        let mut submission = self.submission(index, subject, case);
        submission.wait = final_wait();
        let deposited = self.handle(index).record_deposit(submission).await.unwrap();
        assert!(deposited.finality.is_final());
        let query = ReceiptQuery {
            caller: self.staff(index, Role::Clinician),
            subject,
            record: deposited.records[0].record,
            version: None,
            leaf: Some(STORED),
        };
        let ReceiptAnswer::Ready(receipt) = self.handle(index).receipt(query).await.unwrap() else {
            panic!("pending");
        };
        let content = phenopacket(case);
        verify::receipt(&receipt.bytes, &self.genesis, Some(&content)).unwrap();
        deposited.records[0].commitment
    }
}

/// The whole story under a seed; what it comes to.
fn story(seed: u64) -> (u64, Vec<Digest>, String) {
    run(seed, |context| async move {
        let mut network = Network::new(context).await;
        let mut commitments = Vec::new();
        let mut subjects = Vec::new();
        for index in 0..4 {
            let subject = network.open(index, final_wait()).await;
            commitments.push(network.deposit(index, subject, "case-1").await);
            subjects.push(subject);
        }
        // One dies; the rest go on, over an epoch's end.
        network.members[3].node.take().unwrap().crash().await;
        let before = network.tip(0).await.height;
        for case in ["case-2", "case-3"] {
            commitments.push(network.deposit(0, subjects[0], case).await);
        }
        network.sleep_ms(60_000).await;
        assert!(network.tip(0).await.height > before + 5);
        network.start(3).await;
        network.sleep_ms(30_000).await;
        let (tip, back) = (network.tip(0).await, network.tip(3).await);
        assert!(tip.height.abs_diff(back.height) <= 2, "{tip:?} {back:?}");
        commitments.push(network.deposit(3, subjects[3], "case-4").await);
        let auditor = network.context.auditor().state();
        (network.tip(0).await.height, commitments, auditor)
    })
}

#[test]
fn four_finalise_and_one_that_died_catches_up() {
    let (height, commitments, auditor) = story(90);
    assert!(height > 20, "an epoch's end was passed");
    let again = story(90);
    assert_eq!(
        (height, &commitments, &auditor),
        (again.0, &again.1, &again.2)
    );
    let (_, other, _) = story(91);
    assert_ne!(commitments, other);
}

#[test]
fn a_member_cut_off_keeps_caring_for_its_own_and_shares_nothing() {
    run(92, |context| async move {
        let network = Network::new(context).await;
        let subject = network.open(3, final_wait()).await;
        network.deposit(3, subject, "case-1").await;
        for other in 0..3 {
            network.cut(3, other).await;
        }
        network.sleep_ms(90_000).await;
        let ready = network.handle(3).ready(()).await.unwrap();
        assert!(ready.ready && !ready.fresh, "{ready:?}");
        let own = node::record::Fetch {
            caller: network.staff(3, Role::Clinician),
            purpose: node::Purpose::Treat,
            subject,
            selection: node::Selection::everything(),
            study: None,
            partial: false,
            version: None,
        };
        let fetched = network.handle(3).record_fetch(own).await.unwrap();
        assert!(fetched.permit.stale && fetched.records.len() == 1);
        // What is written meanwhile is durable, and final once the cut heals.
        let late = network.open(3, Wait::Durable).await;
        let deposited = network
            .handle(3)
            .record_deposit(network.submission(3, late, "case-2"));
        let deposited = deposited.await.unwrap();
        network.sleep_ms(90_000).await;
        for other in 0..3 {
            network.link(3, other).await;
        }
        network.sleep_ms(60_000).await;
        let ready = network.handle(3).ready(()).await.unwrap();
        assert!(ready.fresh, "{ready:?}");
        let query = node::subject::SubjectQuery {
            caller: network.staff(3, Role::Desk),
            subject: late,
        };
        let status = network.handle(3).subject_status(query).await.unwrap();
        assert_eq!(status.final_sequence, Some(0));
        let query = ReceiptQuery {
            caller: network.staff(3, Role::Clinician),
            subject: late,
            record: deposited.records[0].record,
            version: None,
            leaf: Some(STORED),
        };
        let answer = network.handle(3).receipt(query).await.unwrap();
        assert!(matches!(answer, ReceiptAnswer::Ready(_)));
        assert!(network.metric(3, "ithaca_entries_resigned_total").await >= 2);
        assert_eq!(network.metric(3, "ithaca_entries_dropped_total").await, 0);
    });
}

#[test]
fn a_familys_change_that_came_too_late_is_given_up_and_told() {
    run(94, |context| async move {
        let network = Network::new(context).await;
        let handle = network.handle(3);
        let subject = network.family(3).await;
        let parent = network.parent(3, subject);
        let prepare = || {
            handle.consent_prepare(ConsentPrepare {
                caller: parent.clone(),
                subject,
                slot: 1,
                changes: vec![ConsentChange::Restrict(true)],
            })
        };
        let submit = |bundle: ConsentBundle, wait| {
            handle.consent_submit(ConsentSubmit {
                caller: parent.clone(),
                change: bundle.sign(&key(1)).unwrap(),
                wait,
            })
        };
        for other in 0..3 {
            network.cut(3, other).await;
        }
        let accepted = submit(prepare().await.unwrap(), Wait::Durable)
            .await
            .unwrap();
        assert_eq!(accepted.sequence, 1);
        network.sleep_ms(120_000).await;
        for other in 0..3 {
            network.link(3, other).await;
        }
        network.sleep_ms(60_000).await;
        let query = || node::subject::SubjectQuery {
            caller: parent.clone(),
            subject,
        };
        let status = handle.subject_status(query()).await.unwrap();
        assert_eq!((status.accepted_sequence, status.restricted), (0, false));
        let notices = handle.subject_notices(query()).await.unwrap();
        assert!(
            notices[0].sentence.contains("make it again"),
            "{}",
            notices[0].sentence
        );
        let again = submit(prepare().await.unwrap(), final_wait())
            .await
            .unwrap();
        assert_eq!(again.sequence, 1);
        assert!(again.finality.is_final());
    });
}

#[test]
fn a_second_institution_countersigns_a_recovery() {
    run(93, |context| async move {
        let network = Network::new(context).await;
        let handle = network.handle(0);
        let subject = network.family(0).await;
        let draft = handle.subject_recover(SubjectRecover {
            caller: network.staff(0, Role::Desk),
            subject,
            keys: [(1, key(5).public())].into(),
            witness: network.members[1].card.institution.id,
        });
        let draft = draft.await.unwrap();
        let submit = |draft| {
            handle.subject_recover_submit(RecoverySubmit {
                caller: network.staff(0, Role::Desk),
                subject,
                draft,
                wait: final_wait(),
            })
        };
        assert!(submit(draft.clone()).await.is_err(), "not countersigned");
        let endorse = |index: usize| {
            let endorse = RecoveryEndorse {
                caller: network.staff(index, Role::Desk),
                draft: draft.clone(),
            };
            let handle = network.handle(index);
            async move { handle.subject_recover_endorse(endorse).await }
        };
        assert!(endorse(2).await.is_err(), "another one than named");
        let endorsed = endorse(1).await.unwrap();
        let entry = submit(endorsed).await.unwrap();
        assert!(entry.finality.is_final());
    });
}

/// One seed of `cargo xtask sim`: the story holds, and the seed alone makes the same run again.
#[test]
fn seeded() {
    let seed = std::env::var("ITHACA_SIM_SEED").map_or(17, |text| text.parse().unwrap());
    assert_eq!(story(seed), story(seed), "seed {seed}");
}

#[test]
fn a_restored_member_comes_back_by_vote_and_serves_who_matches_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    run(95, |context| async move {
        let mut network = Network::new(context).await;
        let (old, new) = (
            network.open(3, final_wait()).await,
            network.open(3, final_wait()).await,
        );
        network.deposit(3, old, "case-1").await;
        network.deposit(3, new, "case-2").await;
        let directory = folder.path().join("backup");
        let backup = network.handle(3).backup(Backup {
            caller: network.staff(3, Role::Operator),
            directory: directory.clone(),
            passphrase: Content::new(b"backup".to_vec()),
            params: PasswordParams::INSECURE_FAST,
            expires: node::Millis::new(u64::MAX),
        });
        backup.await.unwrap();
        // This consent is on the ledger, not in the backup.
        let changed = network
            .handle(3)
            .consent_desk(node::consent_change::ConsentDesk {
                caller: network.staff(3, Role::Desk),
                subject: new,
                expect_sequence: None,
                changes: vec![ConsentChange::Restrict(true)],
                wait: final_wait(),
            });
        assert!(changed.await.unwrap().finality.is_final());
        network.members[3].node.take().unwrap().crash().await;
        network
            .restore(3, &directory, &folder.path().join("restored"))
            .await;

        let fetch = |network: &Network, subject| {
            network.handle(3).record_fetch(node::record::Fetch {
                caller: network.staff(3, Role::Clinician),
                purpose: node::Purpose::Treat,
                subject,
                selection: node::Selection::everything(),
                study: None,
                partial: false,
                version: None,
            })
        };
        network.sleep_ms(70_000).await;
        let error = fetch(&network, old).await.unwrap_err();
        assert_eq!(error.kind(), node::Kind::Unavailable, "{error}");
        network.vote_in(3).await;
        network.sleep_ms(150_000).await;
        assert!(network.handle(3).ready(()).await.unwrap().fresh);
        fetch(&network, old).await.unwrap();
        let error = fetch(&network, new).await.unwrap_err();
        assert_eq!(error.kind(), node::Kind::Unavailable, "{error}");
        let status = network
            .handle(3)
            .status(network.staff(3, Role::Operator))
            .await
            .unwrap();
        assert!(status.restored && status.validator, "{status:?}");
        // It works on: what is new here becomes final.
        let later = network.open(3, final_wait()).await;
        network.deposit(3, later, "case-3").await;
    });
}
