//! Members decide: each kind of change is proposed, voted on and takes effect; what was proved before it
//! and after it holds by the genesis alone.

use std::collections::BTreeSet;

use ledger::{Kind, Parameters};
use node::governance::{
    Application, MemberView, NetworkChange, NetworkEntry, NetworkPropose, NetworkView, NetworkVote,
    OwnKey, ParameterChange, ValidatorClaim,
};
use node::subject::Wait;
use node::{EntryId, Error, RecordId, Role, SubjectId};

use crate::members::{Network, Part};
use crate::world::{Context, final_wait, parameters, run};

const HOSPITALS: [&str; 4] = ["Ithaca", "Pylos", "Sparta", "Scheria"];
const EPOCH_BLOCKS: u64 = 8;

/// Short epochs.
fn short() -> Parameters {
    Parameters {
        epoch_blocks: EPOCH_BLOCKS,
        ..parameters()
    }
}

/// Four hospitals that validate, and one more institution.
async fn four_and(context: Context, name: &str, kind: Kind, part: Part) -> Network {
    let mut parts: Vec<_> = HOSPITALS
        .map(|name| (name, Kind::Hospital, Part::Validates))
        .to_vec();
    parts.push((name, kind, part));
    Network::of(context, &parts, short()).await
}

impl Network {
    async fn shown(&self, index: usize) -> NetworkView {
        let operator = self.staff(index, Role::Operator);
        self.handle(index).network_show(operator).await.unwrap()
    }

    async fn propose(&self, by: usize, change: NetworkChange) -> Result<NetworkEntry, Error> {
        let proposal = self.handle(by).network_propose(NetworkPropose {
            caller: self.staff(by, Role::Operator),
            change,
            open_epochs: 3,
            wait: final_wait(),
        });
        proposal.await
    }

    async fn vote(
        &self,
        by: usize,
        proposal: EntryId,
        approve: bool,
    ) -> Result<NetworkEntry, Error> {
        let vote = self.handle(by).network_vote(NetworkVote {
            caller: self.staff(by, Role::Operator),
            proposal,
            approve,
            wait: final_wait(),
        });
        vote.await
    }

    /// Proposes, has others approve, and waits until it took effect at the first of them.
    async fn decide(&self, by: usize, change: NetworkChange, voters: &[usize]) -> String {
        let proposal = self.propose(by, change).await.unwrap();
        assert!(proposal.finality.is_final());
        for voter in voters {
            let mut vote = self.vote(*voter, proposal.entry, true).await;
            // The block that is final at the proposer may not be there yet.
            for _ in 0..50 {
                if !matches!(vote, Err(Error::Unknown(_))) {
                    break;
                }
                self.sleep_ms(100).await;
                vote = self.vote(*voter, proposal.entry, true).await;
            }
            assert_eq!(vote.unwrap().says, proposal.says);
        }
        self.epochs(by, 1).await;
        assert!(self.shown(by).await.proposals.is_empty());
        proposal.says
    }

    /// Waits for so many epochs' ends, as a member sees them.
    async fn epochs(&self, index: usize, count: u64) {
        let from = self.shown(index).await.epoch;
        while self.shown(index).await.epoch < from + count {
            self.sleep_ms(500).await;
        }
    }

    async fn member(&self, seen_by: usize, index: usize) -> Option<MemberView> {
        let members = self.shown(seen_by).await.members;
        members
            .into_iter()
            .find(|member| member.id == self.id(index))
    }

    /// A deposit that waits for nothing.
    async fn leave(&self, index: usize, subject: SubjectId, case: &str) -> RecordId {
        let submission = self.submission(index, subject, case);
        let deposited = self.handle(index).record_deposit(submission).await.unwrap();
        deposited.records[0].record
    }

    async fn until_final(&self, index: usize) {
        while self.metric(index, "ithaca_outbox_commitments").await > 0
            || self.metric(index, "ithaca_outbox_entries").await > 0
        {
            self.sleep_ms(200).await;
        }
    }
}

fn keys(which: impl IntoIterator<Item = OwnKey>) -> NetworkChange {
    NetworkChange::Rotate(which.into_iter().collect())
}

#[test]
fn an_institution_is_admitted_serves_and_retires() {
    run(200, |context| async move {
        let network = four_and(context, "Argos", Kind::Laboratory, Part::Applies).await;
        let application = |sponsor: usize, until_epoch: u64| {
            let (keychain, card) = (network.keychain(4), network.members[4].card.clone());
            let id = network.genesis.network_id();
            Application::sign(&keychain, card, id, network.id(sponsor), until_epoch).unwrap()
        };
        // It follows already; what it submits is no member's.
        let early = network.open(4, Wait::Durable).await;
        network.epochs(4, 1).await;
        assert!(network.metric(4, "ithaca_outbox_entries").await > 0);
        assert_eq!(network.member(4, 4).await, None);

        let travelled = Application::decode(&application(0, 20).encode()).unwrap();
        assert_eq!(travelled.node(), network.members[4].peer);
        let elsewhere = NetworkChange::Admit(Box::new(travelled.clone()));
        let error = network.propose(1, elsewhere).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("another institution as its sponsor"),
            "{error}"
        );
        let admit = NetworkChange::Admit(Box::new(travelled));
        let says = network.decide(0, admit, &[1, 2]).await;
        assert!(says.starts_with("Argos (laboratory, "), "{says}");
        let member = network.member(0, 4).await.unwrap();
        assert_eq!(
            (member.name.as_str(), member.kind),
            ("Argos", Kind::Laboratory)
        );
        assert_eq!(member.validator, None);
        let again = NetworkChange::Admit(Box::new(application(1, 20)));
        assert!(network.propose(1, again).await.is_err());
        // What it accepted before is final now, and it works as the others do.
        network.until_final(4).await;
        network.deposit(4, early, "case-1").await;

        // Four of five are needed now.
        assert_eq!(network.shown(3).await.approvals_needed, 4);
        let retire = NetworkChange::Retire(network.id(4));
        network.decide(1, retire, &[0, 2, 3]).await;
        assert_eq!(network.member(0, 4).await, None);
        network.leave(4, early, "case-2").await;
        network.epochs(0, 1).await;
        assert!(network.metric(4, "ithaca_outbox_entries").await > 0);
        let subject = network.open(0, final_wait()).await;
        network.deposit(0, subject, "case-3").await;
    });
}

#[test]
fn every_key_rotates_and_what_waits_is_signed_again() {
    run(201, |context| async move {
        let mut network = four_and(context, "Argos", Kind::Laboratory, Part::Follows).await;
        let subject = network.open(4, final_wait()).await;
        let before = network.leave(4, subject, "case-1").await;
        network.until_final(4).await;
        let old = network.keychain(4).identity();
        let outdated = network.members[4].custody.copied();

        let all = [OwnKey::Signing, OwnKey::Governance, OwnKey::Sealing];
        for refused in [keys([]), keys([OwnKey::Validator, OwnKey::Signing])] {
            assert!(network.propose(4, refused).await.is_err());
        }
        let proposal = network.propose(4, keys(all)).await.unwrap();
        assert!(
            proposal
                .says
                .ends_with("replaces its signing and governance and sealing key"),
            "{}",
            proposal.says
        );
        // One at a time.
        assert!(network.propose(4, keys([OwnKey::Sealing])).await.is_err());
        // The new keys outlive a crash.
        network.restart(4).await;
        for voter in [0, 1, 2] {
            network.vote(voter, proposal.entry, true).await.unwrap();
        }
        // Cut off over the epoch's end, it signs under the old key what the ledger takes under the new one
        // only.
        for other in 0..4 {
            network.cut(4, other).await;
        }
        network.leave(4, subject, "case-2").await;
        network.epochs(0, 1).await;
        network.leave(4, subject, "case-3").await;
        for other in 0..4 {
            network.link(4, other).await;
        }
        network.until_final(4).await;
        assert!(network.metric(4, "ithaca_entries_resigned_total").await > 0);
        assert_eq!(network.metric(4, "ithaca_entries_dropped_total").await, 0);
        let new = network.keychain(4).identity();
        for (old, new) in [
            (&old.signing_seed, &new.signing_seed),
            (&old.pq_signing_seed, &new.pq_signing_seed),
            (&old.hybrid_seed, &new.hybrid_seed),
        ] {
            assert_ne!(old.expose(), new.expose());
        }
        assert_eq!(old.validator_seed.expose(), new.validator_seed.expose());
        // What the old key signed stays proved; what the new keys sign is taken, votes too.
        network.verify(4, subject, before, "case-1").await;
        let later = network.open(4, final_wait()).await;
        network.deposit(4, later, "case-6").await;
        let change = ParameterChange {
            batch_interval_ms: Some(500),
            ..ParameterChange::default()
        };
        network
            .decide(4, NetworkChange::Parameters(change), &[0, 1, 2])
            .await;
        assert_eq!(network.shown(0).await.parameters.batch_interval_ms, 500);

        // One key alone; and one of which nobody approves leaves everything as it is.
        network.decide(4, keys([OwnKey::Sealing]), &[0, 1, 2]).await;
        let sealed = network.keychain(4).identity();
        assert_ne!(sealed.hybrid_seed.expose(), new.hybrid_seed.expose());
        assert_eq!(sealed.signing_seed.expose(), new.signing_seed.expose());
        network.propose(4, keys([OwnKey::Signing])).await.unwrap();
        network.epochs(4, 5).await;
        let kept = network.keychain(4).identity();
        assert_eq!(kept.signing_seed.expose(), sealed.signing_seed.expose());
        network.restart(4).await;
        network
            .propose(4, keys([OwnKey::Governance]))
            .await
            .unwrap();
        network.deposit(4, later, "case-7").await;

        // Keys from before a replacement serve no longer, and the node says so.
        let warned = async |network: &Network| {
            let operator = network.staff(4, Role::Operator);
            let status = network.handle(4).status(operator).await.unwrap();
            status
                .warnings
                .concat()
                .contains("knows other keys of this institution")
        };
        assert!(!warned(&network).await);
        network.members[4].node.take().unwrap().crash().await;
        network.members[4].custody = outdated;
        network.start(4).await;
        network.epochs(4, 5).await;
        assert!(warned(&network).await);
    });
}

#[test]
fn validators_change_and_receipts_of_every_epoch_hold_by_the_genesis() {
    run(202, |context| async move {
        let mut network = four_and(context, "Argos", Kind::Hospital, Part::Follows).await;
        let subject = network.open(0, final_wait()).await;
        let mut records: Vec<(RecordId, String)> = Vec::new();
        // Epochs' ends that each receipt passed when it was handed out.
        let mut passed: Vec<usize> = Vec::new();
        let mut keep = async |network: &Network, case: &str| {
            let record = network.leave(0, subject, case).await;
            network.until_final(0).await;
            passed.push(network.verify(0, subject, record, case).await);
            records.push((record, case.to_owned()));
        };
        let validates = async |network: &Network, index: usize| {
            network.member(0, index).await.unwrap().validator
        };
        keep(&network, "case-1").await;

        // Nobody makes a validator of a key that did not ask for it, or asked for another institution.
        let shown = network.shown(4).await;
        assert_eq!(shown.claim.key, shown.node);
        let forged = ValidatorClaim {
            key: shown.claim.key,
            ..network.shown(0).await.claim
        };
        for (index, claim) in [(4, forged), (3, shown.claim)] {
            let change = NetworkChange::Validator {
                institution: network.id(index),
                claim: Some(claim),
            };
            let error = network.propose(0, change).await.unwrap_err();
            assert_eq!(error.kind(), node::Kind::Invalid, "{error}");
            assert!(
                error.to_string().contains("not signed by its key"),
                "{error}"
            );
        }

        // The fifth joins, by its own proposal.
        network.decide(4, NetworkChange::Validate, &[0, 1, 2]).await;
        assert_eq!(validates(&network, 4).await, Some(network.members[4].peer));
        keep(&network, "case-2").await;

        // Its vote is needed when one of the old ones leaves and another dies.
        let remove = NetworkChange::Validator {
            institution: network.id(3),
            claim: None,
        };
        network.decide(1, remove, &[0, 2, 4]).await;
        assert_eq!(validates(&network, 3).await, None);
        network.members[2].node.take().unwrap().crash().await;
        keep(&network, "case-3").await;
        network.start(2).await;

        // One changes its key in the engine.
        let old = network.members[1].peer;
        network
            .decide(1, keys([OwnKey::Validator]), &[0, 2, 4])
            .await;
        let status = async |network: &Network| {
            let operator = network.staff(1, Role::Operator);
            network.handle(1).status(operator).await.unwrap()
        };
        while !status(&network)
            .await
            .warnings
            .concat()
            .contains("start this node again")
        {
            network.sleep_ms(500).await;
        }
        assert!(!status(&network).await.validator);
        // What it claims from now on is its new key's, even before the start.
        let shown = network.shown(1).await;
        assert_eq!(shown.node, old);
        assert_eq!(validates(&network, 1).await, Some(shown.claim.key));
        network.restart(1).await;
        assert_ne!(network.members[1].peer, old);
        assert_eq!(validates(&network, 1).await, Some(network.members[1].peer));
        keep(&network, "case-4").await;
        // Under the new key its vote counts: with another one away it is needed.
        network.members[2].node.take().unwrap().crash().await;
        keep(&network, "case-5").await;
        assert!(status(&network).await.validator);
        network.start(2).await;

        // Who left comes back.
        network.decide(3, NetworkChange::Validate, &[0, 1, 4]).await;
        keep(&network, "case-6").await;
        let now = network.shown(0).await.epoch;
        network.epochs(0, 20_u64.saturating_sub(now)).await;
        keep(&network, "case-7").await;

        let epoch = usize::try_from(network.shown(0).await.epoch).unwrap();
        assert!(epoch >= 20);
        assert_eq!(passed[0], 0, "made in the first epoch");
        assert!(passed.is_sorted() && passed[6] >= 20, "{passed:?}");
        let distinct: BTreeSet<_> = passed.iter().collect();
        assert!(distinct.len() >= 6, "{passed:?}");
        // And now, over all the validators there ever were.
        for (record, case) in &records {
            let passes = network.verify(0, subject, *record, case).await;
            assert!(passes >= 20, "{passes}");
        }
    });
}

#[test]
fn operators_stay_below_a_third_and_only_the_institutions_own_operators_govern() {
    run(203, |context| async move {
        let parts = [
            ("Ithaca", Kind::Hospital, Part::Validates),
            ("Pylos", Kind::Hospital, Part::Validates),
            ("Sparta", Kind::Hospital, Part::Follows),
            ("Scheria", Kind::Hospital, Part::Follows),
            ("Centre", Kind::Operator, Part::Follows),
            ("Second Centre", Kind::Operator, Part::Applies),
        ];
        let network = Network::of(context, &parts, short()).await;
        let refused = async |by: usize, change: NetworkChange| {
            let error = network.propose(by, change).await.unwrap_err();
            assert!(error.to_string().contains("a third or more"), "{error}");
        };
        // One of three validators, two of six members.
        refused(4, NetworkChange::Validate).await;
        let id = network.genesis.network_id();
        let card = network.members[5].card.clone();
        let second = Application::sign(&network.keychain(5), card, id, network.id(0), 10).unwrap();
        refused(0, NetworkChange::Admit(Box::new(second))).await;
        // Of four members one may be an operator, of three none.
        network
            .decide(0, NetworkChange::Retire(network.id(3)), &[1, 2, 4])
            .await;
        refused(0, NetworkChange::Retire(network.id(2))).await;
        // Votes count the same whoever proposes, and an operator's vote is one.
        let parameters = |ms| {
            NetworkChange::Parameters(ParameterChange {
                subject_release_ms: Some(ms),
                ..ParameterChange::default()
            })
        };
        let proposal = network.propose(4, parameters(100)).await.unwrap();
        assert_eq!(proposal.says, "subject_release_ms becomes 100");
        network.vote(0, proposal.entry, true).await.unwrap();
        let twice = network.vote(0, proposal.entry, true).await.unwrap_err();
        assert_eq!(twice.kind(), node::Kind::Conflict, "{twice}");
        network.vote(1, proposal.entry, false).await.unwrap();
        let open = network.shown(1).await.proposals;
        assert_eq!((open[0].approve.len(), open[0].reject.len()), (2, 1));
        // Two of four are too few, and the proposal's time ends.
        network.epochs(0, 5).await;
        let shown = network.shown(0).await;
        assert!(shown.proposals.is_empty());
        assert_ne!(shown.parameters.subject_release_ms, 100);
        let late = network.vote(2, proposal.entry, true).await.unwrap_err();
        assert_eq!(late.kind(), node::Kind::NotFound, "{late}");

        for caller in [
            network.staff(0, Role::Desk),
            network.staff(1, Role::Operator),
        ] {
            let propose = network.handle(0).network_propose(NetworkPropose {
                caller: caller.clone(),
                change: parameters(100),
                open_epochs: 3,
                wait: Wait::Durable,
            });
            assert_eq!(propose.await.unwrap_err().kind(), node::Kind::Forbidden);
            let shown = network.handle(0).network_show(caller).await;
            assert_eq!(shown.unwrap_err().kind(), node::Kind::Forbidden);
        }
        let unchanged = parameters(shown.parameters.subject_release_ms);
        let error = network.propose(0, unchanged).await.unwrap_err();
        assert!(
            error.to_string().contains("nothing would change"),
            "{error}"
        );
    });
}
