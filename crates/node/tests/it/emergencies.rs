//! Break-glass: without consent and without quorum, logged, noticed, reviewed.

use crate::disclosures::trail;
use crate::world::{World, run, text};
use consent::break_glass::Verdict;
use node::break_glass::{BreakGlassOpen, BreakGlassQuery, BreakGlassReview};
use node::consent_change::ConsentChange;
use node::subject::Wait;
use node::{Caller, Category, Error, Kind, Missing, Purpose, Reason, SubjectId};
use std::sync::atomic::Ordering;

fn opening(caller: Caller, subject: SubjectId, minutes: u16) -> BreakGlassOpen {
    BreakGlassOpen {
        caller,
        subject,
        reason: Reason::new("unconscious, seizing").unwrap(),
        minutes,
    }
}

#[test]
fn glass_is_broken_noticed_and_reviewed_by_a_second_person() {
    run(40, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        world.deposit(subject, "case-1").await;
        world
            .consent(subject, ConsentChange::Restrict(true), Wait::Durable)
            .await
            .unwrap();
        let doctor = || world.emergency();
        let read = || world.fetch(doctor(), Purpose::Btg, subject, &[Category::Phenotype]);
        let Err(Error::Denied { denial, .. }) = read().await else {
            panic!("not denied");
        };
        assert!(denial.missing.contains(&Missing::BreakGlassNotOpen));
        let opened = world
            .handle()
            .break_glass_open(opening(doctor(), subject, 5))
            .await
            .unwrap();
        let fetched = read().await.unwrap();
        assert_eq!(fetched.permit.basis, node::Basis::BreakGlass);
        assert!(text(&fetched).contains(crate::world::FINDING));
        // It serves nobody else.
        let other = world.staff("dr-other", node::Role::EmergencyClinician);
        let error = world
            .fetch(other, Purpose::Btg, subject, &[Category::Phenotype])
            .await;
        assert_eq!(error.unwrap_err().kind(), Kind::Denied);

        let seen = trail(&world, world.parent(subject, 1), subject).await;
        let used = seen
            .iter()
            .find(|view| view.id == fetched.disclosure)
            .unwrap();
        assert_eq!(used.session, Some(opened.session));
        let query = |caller, subject| BreakGlassQuery { caller, subject };
        let due = world
            .handle()
            .break_glass_list(query(world.officer(), None))
            .await
            .unwrap();
        assert_eq!(due.len(), 1);
        let parents = query(world.parent(subject, 1), Some(subject));
        let told = world.handle().break_glass_list(parents).await.unwrap();
        assert!(told[0].notice.contains("emergency"));
        let notices = |caller| {
            world
                .handle()
                .subject_notices(node::subject::SubjectQuery { caller, subject })
        };
        assert_eq!(notices(world.officer()).await.unwrap()[0].told, None);
        let seen = notices(world.parent(subject, 1)).await.unwrap();
        assert_eq!(seen[0].about, Some(opened.session));
        assert!(seen[0].told.is_some());

        let review = |caller| BreakGlassReview {
            caller,
            subject,
            session: opened.session,
            verdict: Verdict::Justified,
            note: Reason::new("status epilepticus").unwrap(),
        };
        let own = world.handle().break_glass_review(review(doctor())).await;
        assert!(own.is_err());
        world
            .handle()
            .break_glass_review(review(world.officer()))
            .await
            .unwrap();
        let twice = world
            .handle()
            .break_glass_review(review(world.officer()))
            .await;
        assert_eq!(twice.unwrap_err().kind(), Kind::Conflict);
        let due = world
            .handle()
            .break_glass_list(query(world.officer(), None))
            .await
            .unwrap();
        assert!(due.is_empty());

        world.sleep_ms(6 * 60_000).await;
        let Err(Error::Denied { denial, .. }) = read().await else {
            panic!("not denied");
        };
        assert!(
            denial
                .missing
                .iter()
                .any(|m| matches!(m, Missing::BreakGlassOver(_)))
        );
    });
}

#[test]
fn roles_and_lengths_are_bounded() {
    run(41, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        for (caller, minutes, kind) in [
            (world.desk(), 30, Kind::Forbidden),
            (crate::world::specialist(), 30, Kind::Forbidden),
            (world.emergency(), 241, Kind::Invalid),
            (world.emergency(), 0, Kind::Invalid),
        ] {
            let opened = world
                .handle()
                .break_glass_open(opening(caller, subject, minutes))
                .await;
            assert_eq!(opened.unwrap_err().kind(), kind);
        }
    });
}

#[test]
fn it_works_while_the_ledger_is_out_of_sight() {
    run(42, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        world.deposit_final(subject, "case-1").await;
        world.skew_ms.store(600_000, Ordering::Relaxed);
        let ready = world.handle().ready(()).await.unwrap();
        assert!(ready.ready && !ready.fresh, "{ready:?}");
        world
            .handle()
            .break_glass_open(opening(world.emergency(), subject, 60))
            .await
            .unwrap();
        let fetched = world
            .fetch(
                world.emergency(),
                Purpose::Btg,
                subject,
                &[Category::Phenotype],
            )
            .await
            .unwrap();
        assert_eq!(fetched.records.len(), 1);
    });
}
