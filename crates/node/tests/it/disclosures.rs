//! The trail: every disclosure and refusal, provable for periods with and without one.

use crate::world::{World, run, stranger};
use node::disclosure::{
    DisclosureProofQuery, DisclosureQuery, DisclosureView, Outcome, PeriodProof,
};
use node::safeguarding::{SafeguardingApprove, SafeguardingLift, SafeguardingPropose};
use node::{Caller, Category, Kind, Millis, Purpose, Reason, SubjectId, verify};

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
