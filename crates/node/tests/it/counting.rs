//! Solved cases that count for others: by a grant, as far and as long as it goes, and never for themselves.

use std::collections::BTreeSet;

use crate::differentials::{known, packet, world};
use crate::world::{World, final_wait, run};
use node::consent_change::{ConsentChange, GrantDraft};
use node::erase::Erase;
use node::record::{Content, Payload};
use node::subject::Wait;
use node::{Category, Grantee, Millis, Purpose};

/// A grant that lets the case count for others.
fn counting(world: &World) -> ConsentChange {
    ConsentChange::GrantAdd(GrantDraft {
        grantee: Grantee::Institution(world.id),
        purposes: BTreeSet::from([Purpose::Dximp]),
        categories: BTreeSet::from([Category::Phenotype, Category::Identity]),
        from: Millis::ZERO,
        until: world.now().saturating_add(86_400_000),
        exceptions: BTreeSet::new(),
    })
}

#[test]
fn a_solved_case_counts_for_others_only_while_its_subject_agrees() {
    run(6, |context| async move {
        let world = world(context, known()).await;
        // Shown by the solved case, and not a known feature of the disease.
        let odd = "HP:0000518";
        let (kim, sam) = (world.subject().await, world.subject().await);
        world.found(sam, "sam", &["HP:0001083", odd], false).await;
        let alone = world.posterior(sam).await;
        world
            .found(kim, "kim", &["HP:0001083", "HP:0001166", odd], true)
            .await;
        let own = world.posterior(kim).await;
        assert_eq!(world.posterior(sam).await, alone, "nobody agreed");

        let accepted = world
            .consent(kim, counting(&world), final_wait())
            .await
            .unwrap();
        world.sleep_ms(30_000).await;
        let counted = world.posterior(sam).await;
        assert!(counted > alone, "{counted} {alone}");
        // Nothing of it speaks for its own disease; how common a finding is among all diseases is shared.
        let again = world.posterior(kim).await;
        assert!((again - own).abs() < 1e-6, "{again} {own}");
        let trail = world.trail(kim).await;
        assert!(trail.iter().any(|row| row.contains("case-count")));

        let grant = *accepted.grants.first().unwrap();
        world
            .consent(kim, ConsentChange::GrantRevoke(grant), final_wait())
            .await
            .unwrap();
        world.sleep_ms(30_000).await;
        assert_eq!(world.posterior(sam).await, alone, "withdrawn");
    });
}

#[test]
fn a_case_stops_counting_when_its_grant_ends() {
    run(11, |context| async move {
        let world = world(context, known()).await;
        let odd = "HP:0000518";
        let (kim, sam) = (world.subject().await, world.subject().await);
        world.found(sam, "sam", &["HP:0001083", odd], false).await;
        let alone = world.posterior(sam).await;
        world.found(kim, "kim", &["HP:0001083", odd], true).await;
        let ConsentChange::GrantAdd(mut grant) = counting(&world) else {
            panic!("it is a grant");
        };
        grant.until = world.now().saturating_add(120_000);
        let grant = ConsentChange::GrantAdd(grant);
        world.consent(kim, grant, final_wait()).await.unwrap();
        world.sleep_ms(30_000).await;
        assert!(world.posterior(sam).await > alone);
        world.sleep_ms(240_000).await;
        assert_eq!(world.posterior(sam).await, alone, "over");
    });
}

#[test]
fn withdrawal_is_not_put_off_by_a_node_that_is_busy() {
    run(13, |context| async move {
        let world = world(context, known()).await;
        let odd = "HP:0000518";
        let (kim, sam) = (world.subject().await, world.subject().await);
        world.found(sam, "sam", &["HP:0001083", odd], false).await;
        let alone = world.posterior(sam).await;
        world.found(kim, "kim", &["HP:0001083", odd], true).await;
        let accepted = world
            .consent(kim, counting(&world), final_wait())
            .await
            .unwrap();
        world.sleep_ms(30_000).await;
        assert!(world.posterior(sam).await > alone);
        let grant = *accepted.grants.first().unwrap();
        world
            .consent(kim, ConsentChange::GrantRevoke(grant), Wait::Durable)
            .await
            .unwrap();
        let other = world.subject().await;
        for n in 0..15 {
            world
                .found(other, &format!("{n}"), &["HP:0001250"], false)
                .await;
        }
        assert_eq!(world.posterior(sam).await, alone);
    });
}

#[test]
fn a_case_counts_only_as_far_as_the_grant_goes() {
    run(14, |context| async move {
        let world = world(context, known()).await;
        let odd = "HP:0000518";
        let (kim, sam) = (world.subject().await, world.subject().await);
        world.found(sam, "sam", &["HP:0001083", odd], false).await;
        let alone = world.posterior(sam).await;
        world.found(kim, "kim", &["HP:0001083", odd], true).await;
        let ConsentChange::GrantAdd(mut grant) = counting(&world) else {
            panic!("it is a grant");
        };
        // The diagnosis stands among the phenotypes, of which this grant says nothing.
        grant.categories = BTreeSet::from([Category::Laboratory]);
        let grant = ConsentChange::GrantAdd(grant);
        world.consent(kim, grant, final_wait()).await.unwrap();
        world.sleep_ms(30_000).await;
        assert_eq!(world.posterior(sam).await, alone);
    });
}

#[test]
fn a_case_is_no_evidence_for_another_of_its_paper() {
    run(15, |context| async move {
        let world = world(context, known()).await;
        let of_paper = |id: &str, solved| {
            let packet =
                String::from_utf8(packet(id, &["HP:0001083", "HP:0000518"], solved)).unwrap();
            packet.replace(
                r#""resources": []"#,
                r#""resources": [], "externalReferences": [{"id": "PMID:1"}]"#,
            )
        };
        let (kim, sam, pat) = (
            world.subject().await,
            world.subject().await,
            world.subject().await,
        );
        for (subject, body) in [
            (sam, of_paper("sam", false)),
            (pat, of_paper("pat", false).replace("PMID:1", "PMID:2")),
            (kim, of_paper("kim", true)),
        ] {
            let mut submission = world.phenopacket(subject, "x");
            submission.payload = Payload::Phenopacket(Content::new(body.into_bytes()));
            submission.wait = final_wait();
            world.handle().record_deposit(submission).await.unwrap();
        }
        world.sleep_ms(2_000).await;
        let alone = world.posterior(sam).await;
        world
            .consent(kim, counting(&world), final_wait())
            .await
            .unwrap();
        world.sleep_ms(30_000).await;
        assert!(world.posterior(pat).await > alone, "of another paper");
        let same = world.posterior(sam).await;
        assert!((same - alone).abs() < 1e-6, "{same} {alone}");
    });
}

#[test]
fn erasure_takes_the_profile_and_what_was_counted() {
    run(7, |context| async move {
        let mut world = world(context, known()).await;
        let (kim, sam) = (world.subject().await, world.subject().await);
        let odd = "HP:0000518";
        world.found(sam, "sam", &["HP:0001083", odd], false).await;
        let alone = world.posterior(sam).await;
        world.found(kim, "kim", &["HP:0001083", odd], true).await;
        world
            .consent(kim, counting(&world), final_wait())
            .await
            .unwrap();
        world.sleep_ms(30_000).await;
        assert!(world.posterior(sam).await > alone);
        let erase = Erase {
            caller: world.officer(),
            subject: kim,
        };
        world.handle().erase(erase).await.unwrap();
        world.sleep_ms(30_000).await;
        assert_eq!(world.posterior(sam).await, alone);
        assert!(world.differential(world.clinician(), kim).await.is_err());
        world.restart().await;
        world.sleep_ms(2_000).await;
        assert_eq!(world.posterior(sam).await, alone);
    });
}
