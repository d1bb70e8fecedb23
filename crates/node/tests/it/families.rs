//! Families with keys of their own: opening, enrolling, changing, one change at a time.

use crate::world::{World, final_wait, guardian, key, run, specialist};
use consent::listing::GrantStanding;
use node::consent_change::{
    BundleError, ConsentBundle, ConsentChange, ConsentDesk, ConsentPrepare, ConsentQuery,
    ConsentSubmit, GenesisNames, SignedChange,
};
use node::subject::{Keyholder, SubjectEnrolPrepare, SubjectOpenPrepare, SubjectOpenSubmit, Wait};
use node::{Category, Conflict, Error, Kind, Purpose, SubjectId, verify};

fn holder(slot: u8, seed: u8) -> Keyholder {
    Keyholder {
        controller: guardian(slot),
        key: key(seed).public(),
    }
}

/// A subject under the family's own key in slot 1.
async fn family(world: &World) -> SubjectId {
    let prepare = SubjectOpenPrepare {
        caller: world.desk(),
        controllers: vec![holder(1, 1), holder(2, 2)],
        slot: 1,
        matures: None,
    };
    let bundle = world.handle().subject_open_prepare(prepare).await.unwrap();
    let signed = at_home(&bundle, 1);
    let submit = SubjectOpenSubmit {
        caller: world.desk(),
        signed,
        wait: final_wait(),
    };
    let opened = world
        .handle()
        .subject_open_submit(submit.clone())
        .await
        .unwrap();
    assert!(opened.created && !opened.assisted && opened.finality.is_final());
    let again = world.handle().subject_open_submit(submit).await.unwrap();
    assert!(!again.created);
    assert_eq!((again.subject, again.entry), (opened.subject, opened.entry));
    opened.subject
}

/// What the family's tool does: bytes in, look, sign, bytes out.
fn at_home(bundle: &ConsentBundle, seed: u8) -> SignedChange {
    let bundle = ConsentBundle::decode(&bundle.encode()).unwrap();
    let signed = bundle.sign(&key(seed)).unwrap();
    SignedChange::decode(&signed.encode()).unwrap()
}

async fn prepared(
    world: &World,
    subject: SubjectId,
    slot: u8,
    change: ConsentChange,
) -> ConsentBundle {
    let prepare = ConsentPrepare {
        caller: world.parent(subject, slot),
        subject,
        slot,
        changes: vec![change],
    };
    world.handle().consent_prepare(prepare).await.unwrap()
}

fn submission(
    world: &World,
    subject: SubjectId,
    change: SignedChange,
    wait: Wait,
) -> ConsentSubmit {
    ConsentSubmit {
        caller: world.parent(subject, 1),
        change,
        wait,
    }
}

#[test]
fn a_family_changes_its_consent_from_home() {
    run(60, |context| async move {
        let world = World::new(context).await;
        let subject = family(&world).await;
        world.deposit_final(subject, "case-1").await;
        let change = ConsentChange::GrantAdd(world.grant());
        let bundle = prepared(&world, subject, 1, change).await;
        let lines = bundle.summary(world.now(), &GenesisNames(&world.genesis));
        let told = |line: &String| line.contains("r-specialist") && line.contains("symptoms");
        assert!(lines.iter().any(told), "{lines:?}");
        let signed = at_home(&bundle, 1);
        let submit = submission(&world, subject, signed, final_wait());
        let accepted = world.handle().consent_submit(submit.clone()).await.unwrap();
        assert!(accepted.finality.is_final());
        assert_eq!((accepted.sequence, accepted.grants.len()), (1, 1));
        let again = world.handle().consent_submit(submit).await.unwrap();
        assert_eq!(again, accepted, "a replay is answered as before");
        let read = world.fetch(
            specialist(),
            Purpose::Treat,
            subject,
            &[Category::Phenotype],
        );
        assert!(read.await.is_ok());

        let query = ConsentQuery {
            caller: world.parent(subject, 1),
            subject,
        };
        let shown = world.handle().consent_show(query).await.unwrap();
        assert_eq!(shown.grants[0].standing, GrantStanding::InForce);
        let opening = verify::consent_opening(&shown.opening.unwrap(), &world.genesis).unwrap();
        assert_eq!(opening.state, shown.latest);
        // The desk has nothing to say here.
        let desk = world
            .consent(subject, ConsentChange::Restrict(true), Wait::Durable)
            .await;
        assert_eq!(desk.unwrap_err().kind(), Kind::Invalid);
    });
}

#[test]
fn only_the_slots_own_key_signs() {
    run(61, |context| async move {
        let world = World::new(context).await;
        let subject = family(&world).await;
        let change = || ConsentChange::GrantAdd(world.grant());
        let bundle = prepared(&world, subject, 1, change()).await;
        for seed in [2, 9] {
            let signed = at_home(&bundle, seed);
            let submit = submission(&world, subject, signed, Wait::Durable);
            let error = world.handle().consent_submit(submit).await.unwrap_err();
            assert!(matches!(error, Error::Signature { .. }), "{error}");
        }
        // A bundle that says one thing and commits to another is not signed.
        let mut forged = bundle.clone();
        forged.salt = [0; 32];
        assert_eq!(forged.sign(&key(1)).unwrap_err(), BundleError::Commitment);
        let mut forged = bundle;
        forged.state = forged.previous.clone().unwrap();
        assert!(forged.sign(&key(1)).is_err());
        // A guardian cannot replace the other's key under cover of a grant.
        let steal = ConsentPrepare {
            caller: world.parent(subject, 1),
            subject,
            slot: 1,
            changes: vec![ConsentChange::ControllerSet(
                guardian(2),
                Some(key(9).public()),
            )],
        };
        let bundle = world.handle().consent_prepare(steal).await;
        if let Ok(bundle) = bundle {
            let submit = submission(&world, subject, at_home(&bundle, 1), Wait::Durable);
            assert!(world.handle().consent_submit(submit).await.is_err());
        }
    });
}

#[test]
fn of_two_concurrent_changes_one_wins() {
    run(62, |context| async move {
        let world = World::new(context).await;
        let subject = family(&world).await;
        let one = prepared(&world, subject, 1, ConsentChange::GrantAdd(world.grant())).await;
        let two = prepared(&world, subject, 2, ConsentChange::Restrict(true)).await;
        let mut other = submission(&world, subject, at_home(&two, 2), Wait::Durable);
        other.caller = world.parent(subject, 2);
        let (handle, second) = (world.handle(), world.handle());
        let (a, b) = futures::join!(
            handle.consent_submit(submission(&world, subject, at_home(&one, 1), Wait::Durable)),
            second.consent_submit(other)
        );
        assert_ne!(a.is_ok(), b.is_ok());
        let lost = a.err().or(b.err()).unwrap();
        assert_eq!(lost, Error::Conflict(Conflict::Sequence { sequence: 1 }));
        assert_eq!(lost.kind(), Kind::PreconditionFailed);

        // At the desk too, for who says what they saw.
        let assisted = world.subject().await;
        let change = |restricted| ConsentDesk {
            caller: world.desk(),
            subject: assisted,
            expect_sequence: Some(0),
            changes: vec![ConsentChange::Restrict(restricted)],
            wait: Wait::Durable,
        };
        let (a, b) = futures::join!(
            handle.consent_desk(change(true)),
            second.consent_desk(change(true))
        );
        assert_ne!(a.is_ok(), b.is_ok());
    });
}

#[test]
fn enrolling_a_key_ends_the_desks_part_for_good() {
    run(63, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        world
            .consent(
                subject,
                ConsentChange::GrantAdd(world.grant()),
                final_wait(),
            )
            .await
            .unwrap();
        let prepare = SubjectEnrolPrepare {
            caller: world.desk(),
            subject,
            controllers: vec![holder(1, 1)],
            slot: 1,
        };
        let bundle = world.handle().subject_enrol_prepare(prepare).await.unwrap();
        // Nobody but the holder of the key can complete it.
        assert_eq!(bundle.sign(&key(9)).unwrap_err(), BundleError::Key(1));
        let mut submit = submission(&world, subject, at_home(&bundle, 1), final_wait());
        submit.caller = world.desk();
        let accepted = world.handle().consent_submit(submit).await.unwrap();
        assert!(accepted.finality.is_final());
        let desk = world
            .consent(subject, ConsentChange::Restrict(true), Wait::Durable)
            .await;
        assert!(desk.unwrap_err().to_string().contains("own key"));
        let bundle = prepared(&world, subject, 1, ConsentChange::Restrict(true)).await;
        let submit = submission(&world, subject, at_home(&bundle, 1), final_wait());
        let accepted = world.handle().consent_submit(submit).await.unwrap();
        assert!(accepted.finality.is_final());
        let status = world.handle().subject_status(node::subject::SubjectQuery {
            caller: world.parent(subject, 1),
            subject,
        });
        let status = status.await.unwrap();
        assert!(!status.assisted && status.restricted && status.opening_matches);
        assert_eq!(status.final_sequence, Some(3));
    });
}

#[test]
fn many_changes_in_a_row_all_become_final_in_order() {
    run(64, |context| async move {
        let mut world = World::new(context).await;
        let subject = world.subject().await;
        for restricted in [true, false, true, false, true] {
            world
                .consent(subject, ConsentChange::Restrict(restricted), Wait::Durable)
                .await
                .unwrap();
        }
        world.sleep_ms(3_000).await;
        world.restart().await;
        world.sleep_ms(40_000).await;
        let query = ConsentQuery {
            caller: world.desk(),
            subject,
        };
        let shown = world.handle().consent_show(query).await.unwrap();
        assert!(shown.pending.is_empty() && shown.opening_matches);
        assert_eq!(shown.finalised.unwrap().sequence, 5);
    });
}

#[test]
fn the_same_client_key_opens_one_subject() {
    run(65, |context| async move {
        let world = World::new(context).await;
        let opening = || {
            let mut opening = world.opening(Wait::Durable);
            opening.client_key = Some("family-17".to_owned());
            opening
        };
        let first = world.handle().subject_open(opening()).await.unwrap();
        let again = world.handle().subject_open(opening()).await.unwrap();
        assert!(first.created && !again.created);
        assert_eq!((first.subject, first.entry), (again.subject, again.entry));
        let mut other = opening();
        other.controllers.clear();
        let error = world.handle().subject_open(other).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
    });
}

#[test]
fn another_institutions_desk_has_no_say_here() {
    run(66, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        let elsewhere = |role| {
            let mut caller = specialist();
            caller.actor.roles = [role].into();
            caller
        };
        let mut opening = world.opening(Wait::Durable);
        opening.caller = elsewhere(node::Role::Desk);
        let desk = ConsentDesk {
            caller: elsewhere(node::Role::Desk),
            subject,
            expect_sequence: None,
            changes: vec![ConsentChange::Restrict(true)],
            wait: Wait::Durable,
        };
        let show = ConsentQuery {
            caller: elsewhere(node::Role::Auditor),
            subject,
        };
        let mut stranger = world.parent(subject, 1);
        stranger.actor.institution = crate::world::ELSEWHERE;
        let trail = node::disclosure::DisclosureQuery {
            caller: stranger,
            subject,
            from: node::Millis::ZERO,
            until: world.now(),
        };
        let handle = world.handle();
        for refused in [
            handle.subject_open(opening).await.map(drop),
            handle.consent_desk(desk).await.map(drop),
            handle.consent_show(show).await.map(drop),
            handle.disclosure_list(trail).await.map(drop),
        ] {
            assert_eq!(refused.unwrap_err(), Error::Elsewhere);
        }
    });
}
