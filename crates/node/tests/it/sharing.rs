//! Sharing under grants: exactly what was granted, to whom, for what, until when.

use crate::world::{FINDING, GENE, NAME, World, final_wait, run, specialist, stranger, text};
use node::consent_change::{ConsentChange, Effect};
use node::subject::Wait;
use node::{Caller, Category, Error, Kind, Missing, Purpose, SubjectId};

async fn denied(
    world: &World,
    caller: Caller,
    purpose: Purpose,
    subject: SubjectId,
    categories: &[Category],
) -> Vec<Missing> {
    match world.fetch(caller, purpose, subject, categories).await {
        Err(Error::Denied { denial, .. }) => denial.missing,
        other => panic!("not denied: {other:?}"),
    }
}

const PHENOTYPE: &[Category] = &[Category::Phenotype];

#[test]
fn a_specialist_reads_exactly_the_phenotype() {
    run(20, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        world.deposit_final(subject, "case-1").await;
        assert_eq!(
            denied(&world, specialist(), Purpose::Treat, subject, PHENOTYPE).await,
            [Missing::NoGrant]
        );
        let change = ConsentChange::GrantAdd(world.grant());
        let accepted = world.consent(subject, change, final_wait()).await.unwrap();
        assert_eq!(accepted.effect, Effect::Widening);
        let fetched = world
            .fetch(specialist(), Purpose::Treat, subject, PHENOTYPE)
            .await
            .unwrap();
        assert_eq!(fetched.permit.basis, node::Basis::Grant(accepted.grants[0]));
        let seen = text(&fetched);
        assert!(seen.contains(FINDING), "{seen}");
        assert!(!seen.contains(NAME) && !seen.contains(GENE), "{seen}");
        assert!(fetched.records[0].stored_form.is_none());
        assert_eq!(fetched.records[0].meta.categories, PHENOTYPE);
        assert_eq!(
            fetched.records[0].meta.size_bytes, 0,
            "the whole's size is not told"
        );
    });
}

#[test]
fn everything_outside_the_grant_is_refused_with_its_reason() {
    run(21, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        world.deposit_final(subject, "case-1").await;
        let mut draft = world.grant();
        draft.until = world.now().saturating_add(60_000);
        world
            .consent(subject, ConsentChange::GrantAdd(draft), final_wait())
            .await
            .unwrap();
        let genomic = &[Category::Genomic];
        let missing = denied(&world, specialist(), Purpose::Treat, subject, genomic).await;
        assert!(
            missing
                .iter()
                .any(|m| matches!(m, Missing::CategoriesNotPermitted(_))),
            "{missing:?}"
        );
        let missing = denied(&world, specialist(), Purpose::Coc, subject, PHENOTYPE).await;
        assert!(
            missing.contains(&Missing::PurposeNotGranted(Purpose::Coc)),
            "{missing:?}"
        );
        let missing = denied(&world, stranger(), Purpose::Treat, subject, PHENOTYPE).await;
        assert_eq!(missing, [Missing::NoGrant]);
        let desk = world.desk();
        let missing = denied(&world, desk, Purpose::Treat, subject, PHENOTYPE).await;
        assert!(!missing.is_empty());
        assert!(
            world
                .fetch(specialist(), Purpose::Treat, subject, PHENOTYPE)
                .await
                .is_ok()
        );
        world.sleep_ms(61_000).await;
        let missing = denied(&world, specialist(), Purpose::Treat, subject, PHENOTYPE).await;
        assert!(
            missing
                .iter()
                .any(|m| matches!(m, Missing::GrantExpired(_))),
            "{missing:?}"
        );
    });
}

/// A grant whose answer got lost is asked for again: one grant, and one revocation ends it.
#[test]
fn the_same_grant_is_granted_once() {
    run(25, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        world.deposit_final(subject, "case-1").await;
        let draft = world.grant();
        let add = ConsentChange::GrantAdd(draft.clone());
        let first = world
            .consent(subject, add.clone(), Wait::Durable)
            .await
            .unwrap();
        let again = world.consent(subject, add, final_wait()).await.unwrap();
        assert_eq!(again.grants, first.grants);
        let other = node::consent_change::GrantDraft {
            until: draft.until.saturating_add(1),
            ..draft
        };
        let other = ConsentChange::GrantAdd(other);
        let other = world.consent(subject, other, final_wait()).await.unwrap();
        assert_ne!(other.grants, first.grants);
        for grant in [first.grants[0], other.grants[0]] {
            let revoke = ConsentChange::GrantRevoke(grant);
            world.consent(subject, revoke, Wait::Durable).await.unwrap();
        }
        let missing = denied(&world, specialist(), Purpose::Treat, subject, PHENOTYPE).await;
        assert!(missing.contains(&Missing::NoGrant), "{missing:?}");
    });
}

#[test]
fn widening_waits_for_finality_and_narrowing_does_not() {
    run(22, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        world.deposit_final(subject, "case-1").await;
        let change = ConsentChange::GrantAdd(world.grant());
        let accepted = world.consent(subject, change, Wait::Durable).await.unwrap();
        assert!(!accepted.finality.is_final());
        let missing = denied(&world, specialist(), Purpose::Treat, subject, PHENOTYPE).await;
        assert!(missing.contains(&Missing::ChangeNotFinal), "{missing:?}");
        world.sleep_ms(15_000).await;
        assert!(
            world
                .fetch(specialist(), Purpose::Treat, subject, PHENOTYPE)
                .await
                .is_ok()
        );

        let revoke = ConsentChange::GrantRevoke(accepted.grants[0]);
        let revoked = world.consent(subject, revoke, Wait::Durable).await.unwrap();
        assert_eq!(revoked.effect, Effect::Narrowing);
        assert!(!revoked.finality.is_final());
        let missing = denied(&world, specialist(), Purpose::Treat, subject, PHENOTYPE).await;
        assert!(!missing.is_empty());
        // Its finality changes nothing.
        world.sleep_ms(15_000).await;
        let missing = denied(&world, specialist(), Purpose::Treat, subject, PHENOTYPE).await;
        assert_eq!(missing, [Missing::NoGrant]);
    });
}

#[test]
fn own_care_works_before_anything_is_final_and_restriction_stops_it() {
    run(23, |context| async move {
        let world = World::new(context).await;
        let opened = world
            .handle()
            .subject_open(world.opening(Wait::Durable))
            .await
            .unwrap();
        assert!(!opened.finality.is_final());
        let subject = opened.subject;
        world.deposit(subject, "case-1").await;
        let fetched = world
            .fetch(world.clinician(), Purpose::Treat, subject, Category::ALL)
            .await
            .unwrap();
        let stored = fetched.records[0].stored_form.as_ref().unwrap();
        assert_eq!(stored.as_bytes(), crate::world::phenopacket("case-1"));
        world
            .consent(subject, ConsentChange::Restrict(true), Wait::Durable)
            .await
            .unwrap();
        let clinician = world.clinician();
        let missing = denied(&world, clinician, Purpose::Treat, subject, PHENOTYPE).await;
        assert!(missing.contains(&Missing::Restricted), "{missing:?}");
    });
}

#[test]
fn a_list_names_what_may_be_known_and_is_logged() {
    run(24, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        world.deposit_final(subject, "case-1").await;
        let list = |caller: Caller, purpose| node::record::List {
            caller,
            purpose,
            study: None,
            subject,
            record: None,
        };
        let desk = list(world.desk(), Purpose::Patadmin);
        let listed = world.handle().record_list(desk).await.unwrap();
        assert_eq!(listed.records[0].categories, [Category::Identity]);
        let outsider = list(stranger(), Purpose::Treat);
        let error = world.handle().record_list(outsider).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Denied);
        let trail = crate::disclosures::trail(&world, world.officer(), subject).await;
        assert!(trail.iter().any(|seen| seen.id == listed.disclosure));
    });
}
