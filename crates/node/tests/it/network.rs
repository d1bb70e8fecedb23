//! Four institutions, one ledger: finalise, lose one and catch up, and the same seed gives the same run.

pub(crate) use crate::members::Network;
use crate::world::{STORED, final_wait, key, run};
use keys::PasswordParams;
use node::backup::Backup;
use node::consent_change::{ConsentBundle, ConsentChange, ConsentPrepare, ConsentSubmit};
use node::receipt::{ReceiptAnswer, ReceiptQuery};
use node::record::Content;
use node::subject::{RecoveryEndorse, RecoverySubmit, SubjectRecover, Wait};
use node::{Digest, Role};
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
        // What it makes up for is no fresh view, however fast it comes.
        let mut behind = 0;
        for _ in 0..3_000 {
            let before = network.handle(3).ready(()).await.unwrap();
            let (now_ms, tip) = (network.now_ms(), network.tip(3).await);
            let after = network.handle(3).ready(()).await.unwrap();
            if before.behind && after.behind {
                assert!(before.height < before.of_about, "{before:?}");
                assert!(tip.age_ms >= now_ms - tip.time_ms, "{tip:?}");
                behind += 1;
            }
            network.sleep_ms(10).await;
        }
        assert!(behind > 0, "it never knew that it was behind");
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
