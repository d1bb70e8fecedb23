//! Clocks that are wrong, and ledgers that are out of sight.

use crate::disclosures::{proof, trail};
use crate::world::{World, final_wait, run, specialist};
use node::consent_change::ConsentChange;
use node::disclosure::PeriodProof;
use node::{Category, Error, Missing, Purpose};
use std::sync::atomic::Ordering;

const PHENOTYPE: &[Category] = &[Category::Phenotype];

#[test]
fn a_stale_ledger_denies_others_but_not_own_care() {
    run(70, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        world.deposit_final(subject, "case-1").await;
        world
            .consent(
                subject,
                ConsentChange::GrantAdd(world.grant()),
                final_wait(),
            )
            .await
            .unwrap();
        let read = || world.fetch(specialist(), Purpose::Treat, subject, PHENOTYPE);
        assert!(read().await.is_ok());
        world.skew_ms.store(120_000, Ordering::Relaxed);
        let Err(Error::Denied { denial, .. }) = read().await else {
            panic!("not denied");
        };
        assert!(
            denial
                .missing
                .iter()
                .any(|m| matches!(m, Missing::LedgerStale(_)))
        );
        let own = world
            .fetch(world.clinician(), Purpose::Treat, subject, PHENOTYPE)
            .await
            .unwrap();
        assert!(own.permit.stale);
        world.skew_ms.store(0, Ordering::Relaxed);
        assert!(!read().await.unwrap().permit.stale);
    });
}

#[test]
fn a_clock_that_jumps_puts_no_disclosure_out_of_reach_of_proof() {
    run(71, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        world.deposit_final(subject, "case-1").await;
        for skew_ms in [
            0,
            365 * 86_400_000,
            -40 * 365 * 86_400_000,
            3_600_000,
            -3_600_000,
        ] {
            world.skew_ms.store(skew_ms, Ordering::Relaxed);
            let own = world.fetch(world.clinician(), Purpose::Treat, subject, PHENOTYPE);
            own.await.unwrap();
            world.sleep_ms(12_000).await;
        }
        world.skew_ms.store(0, Ordering::Relaxed);
        let seen = trail(&world, world.parent(subject, 1), subject).await;
        assert_eq!(seen.len(), 5);
        let now = world.now();
        for view in &seen {
            assert!(view.at.get().abs_diff(now.get()) < 200_000, "{}", view.at);
        }
        world.sleep_ms(120_000).await;
        for view in &seen {
            let found = proof(&world, world.parent(subject, 1), subject, view.period).await;
            assert!(
                matches!(found, PeriodProof::Ready { count, .. } if count > 0),
                "{found:?}"
            );
        }
    });
}

#[test]
fn a_clock_set_back_does_not_prolong_a_grant() {
    run(72, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        world.deposit_final(subject, "case-1").await;
        let mut draft = world.grant();
        draft.until = world.now().saturating_add(30_000);
        world
            .consent(subject, ConsentChange::GrantAdd(draft), final_wait())
            .await
            .unwrap();
        world.sleep_ms(40_000).await;
        world.skew_ms.store(-3_600_000, Ordering::Relaxed);
        let Err(Error::Denied { denial, .. }) = world
            .fetch(specialist(), Purpose::Treat, subject, PHENOTYPE)
            .await
        else {
            panic!("not denied");
        };
        assert!(
            denial
                .missing
                .iter()
                .any(|m| matches!(m, Missing::GrantExpired(_)))
        );
    });
}
