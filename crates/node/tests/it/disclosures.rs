//! The trail: every disclosure and refusal, provable for periods with and without one.

use crate::world::{World, final_wait, guardian, key, run, stranger};
use node::consent_change::{ConsentChange, ConsentDesk, ConsentPrepare, ConsentSubmit};
use node::disclosure::{
    DisclosureProofQuery, DisclosureQuery, DisclosureView, Outcome, PeriodProof,
};
use node::safeguarding::{SafeguardingApprove, SafeguardingLift, SafeguardingPropose};
use node::subject::{Keyholder, SubjectClose, SubjectEnrolPrepare, SubjectQuery, Wait};
use node::{Caller, Category, Error, Kind, Millis, Purpose, Reason, SubjectId, verify};
use std::collections::BTreeSet;

pub(crate) async fn trail(
    world: &World,
    caller: Caller,
    subject: SubjectId,
) -> Vec<DisclosureView> {
    let query = DisclosureQuery {
        caller,
        subject,
        from: Millis::ZERO,
        until: Millis::new(u64::MAX),
    };
    world
        .handle()
        .disclosure_list(query)
        .await
        .unwrap()
        .disclosures
}

pub(crate) async fn proof(
    world: &World,
    caller: Caller,
    subject: SubjectId,
    period: u64,
) -> PeriodProof {
    let query = DisclosureProofQuery {
        caller,
        subject,
        period,
    };
    world.handle().disclosure_proof(query).await.unwrap()
}

#[test]
fn presence_and_absence_are_proved() {
    run(30, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        let other = world.subject().await;
        world.deposit_final(subject, "case-1").await;
        let parent = || world.parent(subject, 1);
        world
            .fetch(world.clinician(), Purpose::Treat, subject, Category::ALL)
            .await
            .unwrap();
        world
            .fetch(stranger(), Purpose::Treat, subject, Category::ALL)
            .await
            .unwrap_err();
        let seen = trail(&world, parent(), subject).await;
        assert_eq!(seen.len(), 2);
        assert!(matches!(seen[0].outcome, Outcome::Permitted(_)));
        assert_eq!(seen[0].practitioner.as_str(), "dr-homer");
        assert!(matches!(seen[1].outcome, Outcome::Refused(_)));
        let period = seen[0].period;
        assert_eq!(
            proof(&world, parent(), subject, period).await,
            PeriodProof::Pending
        );
        world.sleep_ms(40_000).await;

        let PeriodProof::Ready { count, bytes } = proof(&world, parent(), subject, period).await
        else {
            panic!("pending");
        };
        assert_eq!(count, 2);
        let verdict = verify::disclosure(&bytes, &world.genesis, None).unwrap();
        assert_eq!((verdict.count, verdict.period), (2, period));
        assert_eq!(verdict.disclosures.len(), 2);
        let mut forged = bytes.clone();
        let middle = forged.len() - 40;
        forged[middle] ^= 1;
        assert!(verify::disclosure(&forged, &world.genesis, None).is_err());

        // Nobody looked in the next period, and at the other subject never.
        for (caller, of, when) in [
            (parent(), subject, period + 1),
            (world.parent(other, 1), other, period),
        ] {
            let PeriodProof::Ready { count, bytes } = proof(&world, caller, of, when).await else {
                panic!("pending");
            };
            assert_eq!(count, 0);
            let verdict = verify::disclosure(&bytes, &world.genesis, None).unwrap();
            assert_eq!(verdict.count, 0);
        }
    });
}

#[test]
fn periods_are_contiguous_also_over_a_restart() {
    run(31, |context| async move {
        let mut world = World::new(context).await;
        let subject = world.subject().await;
        world.sleep_ms(30_000).await;
        world.node.take().unwrap().stop().await;
        world.sleep_ms(95_000).await;
        world.start().await;
        world.sleep_ms(60_000).await;
        let first = world.now().get() / 10_000 - 17;
        for period in first..first + 14 {
            let found = proof(&world, world.parent(subject, 1), subject, period).await;
            assert!(
                matches!(found, PeriodProof::Ready { count: 0, .. }),
                "{period}"
            );
        }
    });
}

#[test]
fn a_trail_is_for_those_it_concerns() {
    run(32, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        let query = |caller| DisclosureQuery {
            caller,
            subject,
            from: Millis::ZERO,
            until: Millis::new(u64::MAX),
        };
        for (caller, kind) in [
            (world.clinician(), Kind::Forbidden),
            (world.parent(SubjectId::new([1; 32]), 1), Kind::Forbidden),
            (world.parent(subject, 3), Kind::Forbidden),
        ] {
            let error = world
                .handle()
                .disclosure_list(query(caller))
                .await
                .unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
        }
    });
}

#[test]
fn two_people_delay_what_a_guardian_sees_for_a_time() {
    run(33, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        world.deposit_final(subject, "case-1").await;
        let fetched = world
            .fetch(world.clinician(), Purpose::Treat, subject, Category::ALL)
            .await
            .unwrap();
        let disclosure = fetched.disclosure;
        let period = trail(&world, world.parent(subject, 1), subject).await[0].period;
        world.sleep_ms(40_000).await;
        let propose = SafeguardingPropose {
            caller: world.emergency(),
            subject,
            disclosure,
            audience: consent::safeguarding::Audience::Guardians,
            ground: consent::safeguarding::Ground::SuspectedAbuse,
            reason: Reason::new("bruises that do not fit the story").unwrap(),
            days: 10,
        };
        world.handle().safeguarding_propose(propose).await.unwrap();
        // One pair of eyes hides nothing.
        assert_eq!(
            trail(&world, world.parent(subject, 1), subject).await.len(),
            1
        );
        let approve = |caller| SafeguardingApprove {
            caller,
            subject,
            disclosure,
        };
        let own = world
            .handle()
            .safeguarding_approve(approve(world.emergency()))
            .await;
        assert_eq!(own.unwrap_err().kind(), Kind::Forbidden);
        world
            .handle()
            .safeguarding_approve(approve(world.officer()))
            .await
            .unwrap();
        assert!(
            trail(&world, world.parent(subject, 1), subject)
                .await
                .is_empty()
        );
        let hidden = proof(&world, world.parent(subject, 1), subject, period).await;
        assert_eq!(hidden, PeriodProof::Pending, "a count would tell");
        let seen = proof(&world, world.officer(), subject, period).await;
        assert!(
            matches!(seen, PeriodProof::Ready { count: 1, .. }),
            "{seen:?}"
        );
        let lift = SafeguardingLift {
            caller: world.officer(),
            subject,
            disclosure,
        };
        world.handle().safeguarding_lift(lift).await.unwrap();
        let seen = trail(&world, world.parent(subject, 1), subject).await;
        assert!(
            seen.iter()
                .any(|view| view.id == disclosure && view.delayed)
        );
    });
}

#[test]
fn a_period_that_never_was_is_not_waited_for() {
    run(34, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        let asked = |period| {
            let query = DisclosureProofQuery {
                caller: world.parent(subject, 1),
                subject,
                period,
            };
            world.handle().disclosure_proof(query)
        };
        let current = |world: &World| world.now().get() / 10_000;
        assert_eq!(asked(current(&world)).await, Ok(PeriodProof::Pending));
        world.sleep_ms(60_000).await;
        let last = current(&world);
        // In the order of time: before the first period, proved, still to come, not begun.
        let mut stages = Vec::new();
        for period in [0, 1]
            .into_iter()
            .chain(last - 40..last + 4)
            .chain([u64::MAX])
        {
            let stage = match asked(period).await {
                Ok(PeriodProof::Ready { .. }) => "proved",
                Ok(PeriodProof::Pending) => "to come",
                Err(error) => {
                    assert_eq!(error.kind(), Kind::NotFound);
                    assert!(error.to_string().contains(&period.to_string()), "{error}");
                    match error {
                        Error::PeriodUnknown { why, .. } => why,
                        error => panic!("{error}"),
                    }
                }
            };
            if stages.last() != Some(&stage) {
                stages.push(stage);
            }
            let begun = period <= current(&world);
            assert_eq!(stage == "that period has not begun", !begun, "{period}");
        }
        let before = "it was over before this custodian's first period";
        let after = "that period has not begun";
        assert_eq!(stages, [before, "proved", "to come", after]);
    });
}

#[test]
fn whoever_touches_a_familys_consent_is_in_its_trail() {
    run(35, |context| async move {
        let mut world = World::new(context).await;
        let subject = world.subject().await;
        let desk = || world.desk();
        let parent = || world.parent(subject, 1);
        let handle = world.handle();
        let status = |caller| handle.subject_status(SubjectQuery { caller, subject });
        let prepare = |caller| {
            handle.consent_prepare(ConsentPrepare {
                caller,
                subject,
                slot: 1,
                changes: vec![ConsentChange::OptOut(Purpose::Hqualimp)],
            })
        };
        status(desk()).await.unwrap();
        // Nobody else's business, and asked for again and again.
        status(parent()).await.unwrap();
        world
            .consent(subject, ConsentChange::Restrict(true), final_wait())
            .await
            .unwrap();
        let enrol = handle.subject_enrol_prepare(SubjectEnrolPrepare {
            caller: desk(),
            subject,
            controllers: vec![Keyholder {
                controller: guardian(1),
                key: key(1).public(),
            }],
            slot: 1,
        });
        let signed = enrol.await.unwrap().sign(&key(1)).unwrap();
        let submit = |caller, change| {
            handle.consent_submit(ConsentSubmit {
                caller,
                change,
                wait: final_wait(),
            })
        };
        submit(desk(), signed.clone()).await.unwrap();
        // Sent again, it is nothing new.
        submit(desk(), signed).await.unwrap();
        let bundle = prepare(parent()).await.unwrap();
        prepare(desk()).await.unwrap();
        submit(parent(), bundle.sign(&key(1)).unwrap())
            .await
            .unwrap();
        let close = SubjectClose {
            caller: desk(),
            subject,
            wait: Wait::Durable,
        };
        handle.subject_close(close).await.unwrap();
        let acts = [
            ("desk-1", "subject-status"),
            ("desk-1", "consent-change"),
            ("desk-1", "enrol-prepare"),
            ("desk-1", "consent-submit"),
            ("account-1", "consent-prepare"),
            ("desk-1", "consent-prepare"),
            ("account-1", "consent-submit"),
            ("desk-1", "subject-close"),
        ];
        // The answers were given, so all of it is durable.
        world.restart().await;
        let seen = trail(&world, world.parent(subject, 1), subject).await;
        let told = |view: &DisclosureView| {
            let act = view.act.clone().unwrap_or_default();
            (view.practitioner.to_string(), act)
        };
        let told: BTreeSet<(String, String)> = seen.iter().map(told).collect();
        let acts: BTreeSet<_> = acts
            .map(|(who, act)| (who.to_owned(), act.to_owned()))
            .into();
        assert_eq!(told, acts);
        assert_eq!(seen.len(), acts.len(), "each once");
    });
}

#[test]
fn what_was_refused_is_not_logged_as_done() {
    run(36, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        let stale = ConsentDesk {
            caller: world.desk(),
            subject,
            expect_sequence: Some(7),
            changes: vec![ConsentChange::Restrict(true)],
            wait: Wait::Durable,
        };
        world.handle().consent_desk(stale).await.unwrap_err();
        let nobody = SubjectClose {
            caller: world.desk(),
            subject: SubjectId::new([1; 32]),
            wait: Wait::Durable,
        };
        let error = world.handle().subject_close(nobody).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(
            trail(&world, world.parent(subject, 1), subject)
                .await
                .is_empty()
        );
    });
}
