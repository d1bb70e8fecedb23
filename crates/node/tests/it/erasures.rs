//! Erasure: refused while held, final when done, and what outlives it goes to the subject.

use crate::disclosures::trail;
use crate::world::{World, run, stranger};
use node::erase::Erase;
use node::hold::{HoldClear, HoldSet};
use node::{Category, Error, Kind, Missing, Purpose, RuleName, verify};

#[test]
fn a_hold_stops_erasure_and_says_until_when() {
    run(50, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        let until = world.now().saturating_add(1_000_000);
        let hold = |caller| HoldSet {
            caller,
            subject,
            until,
            reason_code: RuleName::new("litigation").unwrap(),
        };
        let error = world
            .handle()
            .hold_set(hold(world.desk()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Forbidden);
        world
            .handle()
            .hold_set(hold(world.officer()))
            .await
            .unwrap();
        let handle = world.handle();
        let error = handle
            .erase(Erase {
                caller: world.parent(subject, 1),
                subject,
            })
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Locked);
        assert!(error.to_string().contains(&until.to_rfc3339()), "{error}");
        let clear = HoldClear {
            caller: world.officer(),
            subject,
        };
        handle.hold_clear(clear).await.unwrap();
        let erase = Erase {
            caller: world.parent(subject, 1),
            subject,
        };
        handle.erase(erase).await.unwrap();
    });
}

#[test]
fn the_retention_law_of_the_policy_counts_from_the_last_record() {
    run(51, |context| async move {
        let mut world = World::founded(context).await;
        let mut config = world.node_config();
        config.policy.retention = Some(consent::RetentionPolicy {
            rule: RuleName::new("bgb-630f").unwrap(),
            years: 10,
        });
        world.start_with(config).await;
        let (empty, subject) = (world.subject().await, world.subject().await);
        world.deposit(subject, "case-1").await;
        let erase = |subject| Erase {
            caller: world.officer(),
            subject,
        };
        let error = world.handle().erase(erase(subject)).await.unwrap_err();
        assert!(error.to_string().contains("bgb-630f"), "{error}");
        assert!(error.to_string().contains("2036"), "{error}");
        world.handle().erase(erase(empty)).await.unwrap();
    });
}

#[test]
fn nothing_opens_again_and_the_trail_is_handed_over_with_proofs() {
    run(52, |context| async move {
        let mut world = World::new(context).await;
        let subject = world.subject().await;
        world.deposit_final(subject, "case-1").await;
        world
            .fetch(world.clinician(), Purpose::Treat, subject, Category::ALL)
            .await
            .unwrap();
        world.sleep_ms(40_000).await;
        let erase = || Erase {
            caller: world.parent(subject, 1),
            subject,
        };
        let erased = world.handle().erase(erase()).await.unwrap();
        assert!(erased.entry.is_some() && !erased.already);
        let handover = erased.handover;
        assert!(
            handover
                .disclosures
                .iter()
                .any(|seen| seen.practitioner.as_str() == "dr-homer")
        );
        let key = Some(&handover.audit_key);
        let verdict = verify::disclosure(&handover.proofs[0], &world.genesis, key).unwrap();
        assert_eq!(verdict.count, 1);
        assert!(verify::disclosure(&handover.proofs[0], &world.genesis, Some(&[0; 32])).is_err());

        for restarted in [false, true] {
            if restarted {
                world.restart().await;
            }
            let Err(Error::Denied { denial, .. }) = world
                .fetch(world.clinician(), Purpose::Treat, subject, Category::ALL)
                .await
            else {
                panic!("not denied");
            };
            assert_eq!(denial.missing, [Missing::Erased]);
            let deposit = world
                .handle()
                .record_deposit(world.phenopacket(subject, "late"))
                .await;
            assert_eq!(deposit.unwrap_err().kind(), Kind::Gone);
        }
        // Refusals after the erasure are in the trail, and the erasure is reported again.
        let again = Erase {
            caller: world.parent(subject, 1),
            subject,
        };
        let again = world.handle().erase(again).await.unwrap();
        assert!(again.already && again.entry.is_none());
        assert_eq!(again.handover.audit_key, handover.audit_key);
        let seen = trail(&world, world.parent(subject, 1), subject).await;
        assert_eq!(seen.len(), handover.disclosures.len() + 2);
        let error = world
            .fetch(stranger(), Purpose::Treat, subject, Category::ALL)
            .await;
        assert_eq!(error.unwrap_err().kind(), Kind::Denied);
        world.sleep_ms(20_000).await;
        let again = Erase {
            caller: world.officer(),
            subject,
        };
        assert!(
            world
                .handle()
                .erase(again)
                .await
                .unwrap()
                .finality
                .is_final()
        );
    });
}
