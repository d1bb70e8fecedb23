//! Deposits: durable, once, and provable offline.

use crate::world::{STORED, World, actor, final_wait, phenopacket, run};
use node::receipt::{LeafAsked, ReceiptAnswer, ReceiptLeaf, ReceiptQuery};
use node::record::{Content, Payload};
use node::{
    Actor, Caller, Category, Conflict, Error, Kind, Purpose, RecordId, Role, SubjectId, verify,
};

async fn receipt(world: &World, subject: SubjectId, record: RecordId, leaf: LeafAsked) -> Vec<u8> {
    let query = ReceiptQuery {
        caller: world.clinician(),
        subject,
        record,
        version: None,
        leaf: Some(leaf),
    };
    match world.handle().receipt(query).await.unwrap() {
        ReceiptAnswer::Ready(bundle) => bundle.bytes,
        ReceiptAnswer::Pending => panic!("pending"),
    }
}

#[test]
fn a_receipt_verifies_offline_and_only_with_what_was_deposited() {
    run(1, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        let record = world.deposit_final(subject, "case-1").await;
        let bytes = receipt(&world, subject, record, STORED).await;

        let content = phenopacket("case-1");
        let verdict = verify::receipt(&bytes, &world.genesis, Some(&content)).unwrap();
        assert_eq!(verdict.custodian, world.id);
        assert!(verdict.leaf_checked && verdict.height > 0);
        assert!(verify::receipt(&bytes, &world.genesis, None).is_ok());

        let other = phenopacket("case-2");
        let refused = verify::receipt(&bytes, &world.genesis, Some(&other)).unwrap_err();
        assert!(refused.to_string().contains("content"), "{refused}");
        let mut elsewhere = world.genesis.clone();
        elsewhere.nonce = [9; 32];
        assert!(verify::receipt(&bytes, &elsewhere, None).is_err());
        for at in (0..bytes.len()).step_by(7) {
            let mut forged = bytes.clone();
            forged[at] ^= 1;
            assert!(
                verify::receipt(&forged, &world.genesis, Some(&content)).is_err(),
                "byte {at}"
            );
        }
    });
}

#[test]
fn a_receipt_opens_the_projection_that_a_reader_has() {
    run(2, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        let record = world.deposit_final(subject, "case-1").await;
        let leaf = LeafAsked {
            leaf: ReceiptLeaf::Projection(Category::Phenotype),
            purpose: Purpose::Treat,
        };
        let bytes = receipt(&world, subject, record, leaf).await;
        let fetched = world
            .fetch(
                world.clinician(),
                Purpose::Treat,
                subject,
                &[Category::Phenotype],
            )
            .await
            .unwrap();
        let part = &fetched.records[0].projections[0];
        let verdict = verify::receipt(&bytes, &world.genesis, Some(part.bytes.as_bytes()));
        assert!(verdict.unwrap().leaf_checked);
        // The stored form is another leaf, which this receipt does not open.
        let whole = phenopacket("case-1");
        assert!(verify::receipt(&bytes, &world.genesis, Some(&whole)).is_err());
    });
}

#[test]
fn the_receipt_of_a_pending_record_says_so() {
    run(3, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        let deposited = world.deposit(subject, "case-1").await;
        assert!(!deposited.finality.is_final());
        let query = ReceiptQuery {
            caller: world.clinician(),
            subject,
            record: deposited.records[0].record,
            version: None,
            leaf: Some(STORED),
        };
        let answer = world.handle().receipt(query.clone()).await.unwrap();
        assert_eq!(answer, ReceiptAnswer::Pending);
        world.sleep_ms(20_000).await;
        let answer = world.handle().receipt(query).await.unwrap();
        assert!(matches!(answer, ReceiptAnswer::Ready(_)));
    });
}

#[test]
fn the_same_deposit_twice_is_one() {
    run(4, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        let first = world.deposit(subject, "case-1").await;
        let again = world.deposit(subject, "case-1").await;
        assert!(first.records[0].created && !again.records[0].created);
        assert_eq!(first.records[0].record, again.records[0].record);
        assert_eq!(first.records[0].commitment, again.records[0].commitment);

        let mut other = world.phenopacket(subject, "case-1");
        other.payload = Payload::Phenopacket(Content::new(phenopacket("case-2")));
        let error = world.handle().record_deposit(other).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        let expected = Conflict::OtherBytes {
            record: first.records[0].record,
            version: 1,
        };
        assert_eq!(error, Error::Conflict(expected));
        let status = world.handle().subject_status(node::subject::SubjectQuery {
            caller: world.desk(),
            subject,
        });
        assert_eq!(status.await.unwrap().records, 1);
    });
}

#[test]
fn a_new_version_needs_the_version_it_builds_on() {
    run(5, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        let record = world.deposit(subject, "case-1").await.records[0].record;
        let next = |expect| {
            let mut submission = world.phenopacket(subject, "unused");
            submission.payload = Payload::Phenopacket(Content::new(phenopacket("case-1b")));
            submission.record = Some(record);
            submission.client_key = None;
            submission.expect_version = expect;
            submission
        };
        let error = world.handle().record_deposit(next(None)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "{error}");
        let second = world.handle().record_deposit(next(Some(1))).await.unwrap();
        assert_eq!(second.records[0].version, 2);
        let again = world.handle().record_deposit(next(Some(1))).await.unwrap();
        assert!(!again.records[0].created && again.records[0].version == 2);
        let error = world
            .handle()
            .record_deposit(next(Some(7)))
            .await
            .unwrap_err();
        assert_eq!(
            error,
            Error::Conflict(Conflict::Version { record, version: 2 })
        );
    });
}

#[test]
fn of_two_concurrent_deposits_under_one_id_one_is_made() {
    run(6, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        let record = RecordId::new([3; 16]);
        let submission = |id: &str| {
            let mut submission = world.phenopacket(subject, id);
            submission.record = Some(record);
            submission.client_key = None;
            submission
        };
        let (handle, other) = (world.handle(), world.handle());
        let (a, b) = futures::join!(
            handle.record_deposit(submission("case-1")),
            other.record_deposit(submission("case-2"))
        );
        assert_ne!(a.is_ok(), b.is_ok());
        let refused = a.err().or(b.err()).unwrap();
        assert_eq!(
            refused,
            Error::Conflict(Conflict::OtherBytes { record, version: 1 })
        );
        // The same bytes at once, under one client key: one record, told twice.
        let (a, b) = futures::join!(
            world.deposit(subject, "case-3"),
            world.deposit(subject, "case-3")
        );
        assert_eq!(a.records[0].record, b.records[0].record);
        assert_ne!(a.records[0].created, b.records[0].created);
    });
}

const BUNDLE: &str = r#"{"resourceType":"Bundle","type":"transaction","entry":[
 {"fullUrl":"urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a","request":{"method":"POST","url":"Patient"},
  "resource":{"resourceType":"Patient","name":[{"family":"Ithakesios"}]}},
 {"fullUrl":"urn:uuid:88f151c0-a954-468a-88bd-5ae15c08e059","request":{"method":"POST","url":"Observation"},
  "resource":{"resourceType":"Observation","status":"final","subject":{"reference":"urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"},
   "code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"valueQuantity":{"value":13.500}}}]}"#;

#[test]
fn a_bundle_is_put_in_whole_with_its_references_resolved() {
    run(7, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        let mut submission = world.phenopacket(subject, "bundle-1");
        submission.payload = Payload::FhirBundle(Content::new(BUNDLE.into()));
        submission.wait = final_wait();
        let deposited = world.handle().record_deposit(submission).await.unwrap();
        assert!(deposited.finality.is_final());
        let kinds: Vec<_> = deposited
            .records
            .iter()
            .map(|r| r.kind.to_string())
            .collect();
        assert_eq!(kinds, ["Patient", "Observation"]);
        let fetched = world
            .fetch(world.clinician(), Purpose::Treat, subject, Category::ALL)
            .await
            .unwrap();
        let of = |kind: &str| {
            let found = fetched
                .records
                .iter()
                .find(|r| r.meta.kind.as_str() == kind);
            let stored = found.unwrap().stored_form.as_ref().unwrap();
            String::from_utf8(stored.as_bytes().to_vec()).unwrap()
        };
        let patient = deposited.records[0].record;
        assert!(of("Observation").contains(&format!("\"Patient/{patient}\"")));
        assert!(of("Observation").contains("13.500"), "digits are kept");
        assert!(of("Patient").contains(&patient.to_string()));
    });
}

#[test]
fn a_bundle_with_one_bad_entry_puts_nothing_in() {
    run(8, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        for (bad, why) in [
            (
                BUNDLE.replace("\"Observation\",\"status\"", "\"Nonsense\",\"status\""),
                "R4",
            ),
            (
                BUNDLE.replace("\"reference\":\"urn:uuid:61", "\"reference\":\"urn:uuid:99"),
                "refers",
            ),
            (
                BUNDLE.replace(
                    "\"method\":\"POST\",\"url\":\"Obs",
                    "\"method\":\"DELETE\",\"url\":\"Obs",
                ),
                "only",
            ),
        ] {
            let mut submission = world.phenopacket(subject, "bundle");
            submission.payload = Payload::FhirBundle(Content::new(bad.into_bytes()));
            let error = world.handle().record_deposit(submission).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid);
            assert!(error.to_string().contains(why), "{error}");
            assert!(!error.to_string().contains("Ithakesios"));
        }
        let status = world.handle().subject_status(node::subject::SubjectQuery {
            caller: world.desk(),
            subject,
        });
        assert_eq!(status.await.unwrap().records, 0);
    });
}

#[test]
fn sources_are_authorised_and_payloads_bounded() {
    run(9, |context| async move {
        let mut world = World::founded(context).await;
        let mut config = world.node_config();
        config.limits.payload_bytes = 2_000;
        world.start_with(config).await;
        let subject = world.subject().await;
        let refused = |submission, kind| {
            let handle = world.handle();
            async move {
                let error = handle.record_deposit(submission).await.unwrap_err();
                assert_eq!(error.kind(), kind, "{error}");
            }
        };
        let mut auditor = world.phenopacket(subject, "x");
        auditor.caller = world.staff("auditor-1", node::Role::Auditor);
        refused(auditor, Kind::Forbidden).await;
        let mut elsewhere = world.phenopacket(subject, "x");
        elsewhere.caller = crate::world::specialist();
        elsewhere.caller.actor.roles = [node::Role::Clinician].into();
        refused(elsewhere, Kind::Forbidden).await;
        let mut parent = world.phenopacket(subject, "x");
        parent.caller = world.parent(SubjectId::new([1; 32]), 1);
        refused(parent, Kind::Forbidden).await;
        let mut large = world.phenopacket(subject, "x");
        large.payload = Payload::Document {
            bytes: Content::new(vec![0; 2_001]),
            media_type: "application/pdf".to_owned(),
        };
        refused(large, Kind::TooLarge).await;
        let mut broken = world.phenopacket(subject, "x");
        broken.payload = Payload::Phenopacket(Content::new(b"{\"id\": 1".to_vec()));
        refused(broken, Kind::Invalid).await;
        refused(
            world.phenopacket(SubjectId::new([1; 32]), "x"),
            Kind::NotFound,
        )
        .await;
    });
}

#[test]
fn events_tell_of_committed_records() {
    use futures::StreamExt;
    run(10, |context| async move {
        let world = World::new(context).await;
        let subject = world.subject().await;
        let mut events = world.handle().events();
        let record = world.deposit_final(subject, "case-1").await;
        loop {
            match events.next().await.unwrap() {
                node::event::Event::RecordCommitted {
                    subject: of,
                    record: which,
                    version,
                    ..
                } => {
                    assert_eq!((of, which, version), (subject, record, 1));
                    break;
                }
                _ => continue,
            }
        }
    });
}

#[test]
fn calls_in_flight_are_bounded() {
    run(11, |context| async move {
        let mut world = World::founded(context).await;
        let mut config = world.node_config();
        config.limits.in_flight = 1;
        world.start_with(config).await;
        let subject = world.subject().await;
        let (a, b) = futures::join!(
            world
                .handle()
                .record_deposit(world.phenopacket(subject, "case-1")),
            world
                .handle()
                .record_deposit(world.phenopacket(subject, "case-2"))
        );
        a.unwrap();
        assert_eq!(b.unwrap_err().kind(), Kind::Busy);
        // The place was given back, also by a caller that went away.
        drop(
            world
                .handle()
                .record_deposit(world.phenopacket(subject, "case-3")),
        );
        world.sleep_ms(1_000).await;
        world.deposit(subject, "case-2").await;
        let handle = world.handle();
        world.node.take().unwrap().stop().await;
        let error = handle.ready(()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
    });
}

#[test]
fn a_device_deposits_for_the_one_subject_it_is_bound_to() {
    run(13, |context| async move {
        let world = World::new(context).await;
        let (subject, other) = (world.subject().await, world.subject().await);
        let device = actor(world.id, "pump-1", Role::Device);
        let deposit = |caller, subject| {
            let mut submission = world.phenopacket(subject, "reading");
            submission.caller = caller;
            world.handle().record_deposit(submission)
        };
        let bound = Caller::bound(device.clone(), subject);
        assert!(deposit(bound.clone(), subject).await.is_ok());
        for (caller, subject) in [
            (bound, other),
            (Caller::staff(device.clone()), subject),
            (Caller::staff(with(device, Role::Laboratory)), subject),
        ] {
            assert_eq!(
                deposit(caller, subject).await.unwrap_err(),
                Error::OutOfScope
            );
        }
    });
}

fn with(mut actor: Actor, role: Role) -> Actor {
    actor.roles.insert(role);
    actor
}
