//! Receipts: of the commitment for those who work with records, with a leaf for those who may read it.

use crate::disclosures::trail;
use crate::world::{STORED, World, actor, final_wait, phenopacket, run, specialist};
use ledger::receipt::Receipt;
use node::consent_change::ConsentChange;
use node::disclosure::Outcome;
use node::receipt::{LeafAsked, ReceiptAnswer, ReceiptBundle, ReceiptLeaf, ReceiptQuery};
use node::subject::Wait;
use node::{Caller, Category, Error, Kind, Missing, Purpose, RecordId, Role, SubjectId, verify};

async fn asked(
    world: &World,
    caller: Caller,
    (subject, record): (SubjectId, RecordId),
    leaf: Option<(ReceiptLeaf, Purpose)>,
) -> Result<ReceiptBundle, Error> {
    let query = ReceiptQuery {
        caller,
        subject,
        record,
        version: None,
        leaf: leaf.map(|(leaf, purpose)| LeafAsked { leaf, purpose }),
    };
    match world.handle().receipt(query).await? {
        ReceiptAnswer::Ready(bundle) => Ok(bundle),
        ReceiptAnswer::Pending => panic!("pending"),
    }
}

fn opened(bundle: &ReceiptBundle) -> usize {
    Receipt::decode(&bundle.bytes).unwrap().leaves.len()
}

const PHENOTYPE: ReceiptLeaf = ReceiptLeaf::Projection(Category::Phenotype);
const GENOMIC: ReceiptLeaf = ReceiptLeaf::Projection(Category::Genomic);
const IDENTITY: ReceiptLeaf = ReceiptLeaf::Projection(Category::Identity);

async fn recorded(world: &World) -> (SubjectId, RecordId) {
    let subject = world.subject().await;
    (subject, world.deposit_final(subject, "case-1").await)
}

#[test]
fn without_a_leaf_a_receipt_proves_the_commitment_and_no_more() {
    run(120, |context| async move {
        let world = World::new(context).await;
        let of = recorded(&world).await;
        let device = Caller::bound(actor(world.id, "pump-1", Role::Device), of.0);
        for caller in [
            world.desk(),
            world.officer(),
            world.clinician(),
            world.staff("auditor-1", Role::Auditor),
            world.staff("lab-1", Role::Laboratory),
            device,
            world.parent(of.0, 1),
        ] {
            let bundle = asked(&world, caller, of, None).await.unwrap();
            assert_eq!((opened(&bundle), bundle.disclosure), (0, None));
            let verdict = verify::receipt(&bundle.bytes, &world.genesis, None).unwrap();
            assert_eq!(verdict.commitment, bundle.commitment);
            assert!(!verdict.leaf_opened && !verdict.leaf_checked);
            let content = phenopacket("case-1");
            let refused = verify::receipt(&bundle.bytes, &world.genesis, Some(&content));
            assert!(refused.unwrap_err().to_string().contains("opens no leaf"));
        }
        assert_eq!(
            trail(&world, world.officer(), of.0).await.len(),
            1,
            "the list itself"
        );
    });
}

#[test]
fn a_leaf_is_opened_for_those_who_may_read_it_and_logged() {
    run(121, |context| async move {
        let world = World::new(context).await;
        let of = recorded(&world).await;
        let admin = Purpose::Patadmin;
        let (nurse, auditor) = (
            || world.staff("nurse-1", Role::Nurse),
            world.staff("auditor-1", Role::Auditor),
        );
        let device = Caller::bound(actor(world.id, "pump-1", Role::Device), of.0);
        let mut refusals = 0;
        for (caller, leaf, purpose) in [
            (world.desk(), PHENOTYPE, admin),
            (world.desk(), GENOMIC, admin),
            (world.desk(), ReceiptLeaf::Stored, admin),
            (auditor, IDENTITY, Purpose::Hcompl),
            (nurse(), GENOMIC, Purpose::Treat),
            (nurse(), ReceiptLeaf::Stored, Purpose::Treat),
            (device, ReceiptLeaf::Stored, Purpose::Treat),
            (world.clinician(), PHENOTYPE, Purpose::Hresch),
        ] {
            let who = caller.actor.practitioner.clone();
            let refused = asked(&world, caller, of, Some((leaf, purpose))).await;
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), Kind::Denied, "{who} {leaf:?}: {error}");
            refusals += 1;
        }
        let refused = asked(
            &world,
            nurse(),
            of,
            Some((ReceiptLeaf::Stored, Purpose::Treat)),
        );
        let Err(Error::Denied { denial, .. }) = refused.await else {
            panic!("not denied");
        };
        let genomic = [Category::Genomic].into();
        assert_eq!(denial.missing, [Missing::CategoriesNotPermitted(genomic)]);
        refusals += 1;
        let mut permits = Vec::new();
        for (caller, leaf, purpose) in [
            (world.desk(), IDENTITY, admin),
            (nurse(), PHENOTYPE, Purpose::Treat),
            (world.clinician(), GENOMIC, Purpose::Treat),
            (world.clinician(), ReceiptLeaf::Stored, Purpose::Treat),
            (world.parent(of.0, 1), ReceiptLeaf::Stored, Purpose::Famrqt),
        ] {
            let bundle = asked(&world, caller, of, Some((leaf, purpose)))
                .await
                .unwrap();
            assert_eq!(opened(&bundle), 1);
            permits.push(bundle.disclosure.unwrap());
        }
        let seen = trail(&world, world.parent(of.0, 1), of.0).await;
        let refused = seen
            .iter()
            .filter(|view| matches!(view.outcome, Outcome::Refused(_)));
        assert_eq!(refused.count(), refusals);
        for id in permits {
            let view = seen.iter().find(|view| view.id == id).unwrap();
            assert_eq!(view.act.as_deref(), Some("receipt"));
            assert_eq!(view.records, [of.1]);
            assert!(!view.categories.is_empty());
        }
    });
}

#[test]
fn a_grantee_elsewhere_has_receipts_of_what_it_may_read() {
    run(122, |context| async move {
        let world = World::new(context).await;
        let of = recorded(&world).await;
        let treat = |leaf| Some((leaf, Purpose::Treat));
        let before = asked(&world, specialist(), of, treat(PHENOTYPE)).await;
        assert_eq!(before.unwrap_err().kind(), Kind::Denied);
        let grant = ConsentChange::GrantAdd(world.grant());
        let granted = world.consent(of.0, grant, final_wait()).await.unwrap();
        let bundle = asked(&world, specialist(), of, treat(PHENOTYPE))
            .await
            .unwrap();
        let fetched = world
            .fetch(specialist(), Purpose::Treat, of.0, &[Category::Phenotype])
            .await
            .unwrap();
        let content = fetched.records[0].projections[0].bytes.as_bytes();
        let verdict = verify::receipt(&bundle.bytes, &world.genesis, Some(content));
        assert!(verdict.unwrap().leaf_checked);
        for leaf in [GENOMIC, ReceiptLeaf::Stored] {
            let refused = asked(&world, specialist(), of, treat(leaf)).await;
            assert_eq!(refused.unwrap_err().kind(), Kind::Denied);
        }
        let bare = asked(&world, specialist(), of, None).await;
        assert_eq!(bare.unwrap_err(), Error::Elsewhere);
        let revoke = ConsentChange::GrantRevoke(granted.grants[0]);
        world.consent(of.0, revoke, Wait::Durable).await.unwrap();
        let after = asked(&world, specialist(), of, treat(PHENOTYPE)).await;
        assert_eq!(after.unwrap_err().kind(), Kind::Denied);
    });
}

#[test]
fn waiting_for_a_receipt_is_no_disclosure() {
    run(123, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        let deposited = world.deposit(subject, "case-1").await;
        let query = ReceiptQuery {
            caller: world.clinician(),
            subject,
            record: deposited.records[0].record,
            version: None,
            leaf: Some(STORED),
        };
        for _ in 0..5 {
            let answer = world.handle().receipt(query.clone()).await.unwrap();
            assert_eq!(answer, ReceiptAnswer::Pending);
        }
        let parent = || world.parent(subject, 1);
        assert!(trail(&world, parent(), subject).await.is_empty());
        world.sleep_ms(20_000).await;
        let answer = world.handle().receipt(query).await.unwrap();
        assert!(matches!(answer, ReceiptAnswer::Ready(_)));
        assert_eq!(trail(&world, parent(), subject).await.len(), 1);
    });
}

#[test]
fn what_is_not_there_is_told_only_to_those_who_may_read() {
    run(124, |context| async move {
        let world = World::new(context).await;
        let (subject, _) = recorded(&world).await;
        let nothing = (subject, RecordId::new([0; 16]));
        let desk = asked(
            &world,
            world.desk(),
            nothing,
            Some((PHENOTYPE, Purpose::Patadmin)),
        );
        assert_eq!(desk.await.unwrap_err().kind(), Kind::Denied);
        let clinician = asked(
            &world,
            world.clinician(),
            nothing,
            Some((PHENOTYPE, Purpose::Treat)),
        );
        assert_eq!(
            clinician.await.unwrap_err(),
            Error::RecordUnknown(nothing.1)
        );
    });
}
