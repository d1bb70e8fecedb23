//! What the institution's own policy forbids, whatever consent and roles allow.

use crate::world::{World, run};
use futures::future::{Either, select};
use institution_policy::{DEFAULT, Policy};
use node::fhir::{FhirAct, FhirAsker, FhirOutcome, FhirRead, FhirTarget, FhirTransact, FhirWrite};
use node::identity::{IdentityDecide, IdentityList, IdentityVerdict};
use node::record::Content;
use node::subject::Wait;
use node::{Caller, Category, Error, Purpose, Role};
use std::sync::{Arc, Mutex};

const FORBIDS: &str = r#"
@id("no-phenotype-for-nurses")
forbid (principal, action in Action::"see", resource)
when { principal.roles.contains("nurse") && resource.categories.contains("phenotype") };

@id("laboratories-register-nobody")
forbid (principal, action in Action::"write", resource)
when { principal.roles.contains("laboratory") && resource.type == "Patient" };
"#;

fn asker(caller: Caller) -> FhirAsker {
    FhirAsker {
        caller,
        purpose: None,
        base: "http://node.example/fhir".to_owned(),
        patient: None,
        scopes: node::fhir::Scopes::everything(),
        interaction: node::fhir::Interaction::Read,
        launched: None,
    }
}

pub(crate) fn written(caller: Caller, kind: &str, act: FhirAct) -> FhirTransact {
    FhirTransact {
        asker: asker(caller),
        writes: vec![FhirWrite {
            kind: kind.to_owned(),
            act,
            full_url: None,
        }],
        strict: true,
        bundle: false,
        wait: Wait::Durable,
        source: "test".to_owned(),
    }
}

fn patient(caller: Caller) -> FhirTransact {
    let content = Content::new(br#"{"resourceType":"Patient","active":true}"#.to_vec());
    let act = FhirAct::Create {
        content,
        if_none_exist: None,
    };
    written(caller, "Patient", act)
}

/// A Patient under an id of the client's, with one number for all.
pub(crate) fn put_patient(caller: Caller, id: &str) -> FhirTransact {
    let content = format!(
        r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"system":"urn:s","value":"1"}}]}}"#
    );
    let act = FhirAct::Update {
        content: Content::new(content.into_bytes()),
        target: FhirTarget::Id(id.to_owned()),
        if_match: None,
    };
    written(caller, "Patient", act)
}

#[test]
fn what_the_policy_forbids_is_neither_read_nor_written() {
    run(91, |context| async move {
        let mut world = World::new(context).await;
        let subject = world.subject().await;
        world.deposit_final(subject, "case-1").await;
        let nurse = world.staff("nurse", Role::Nurse);
        let phenotype = [Category::Phenotype];
        let before = world.fetch(nurse.clone(), Purpose::Treat, subject, &phenotype);
        assert_eq!(before.await.unwrap().records.len(), 1);
        let laboratory = world.staff("laboratory", Role::Laboratory);
        let created = world.handle().fhir_transact(patient(laboratory.clone()));
        let created = created.await.unwrap();
        assert_eq!(created[0].outcome, FhirOutcome::Created);

        let mut config = world.node_config();
        let policy = Policy::parse(&format!("{DEFAULT}\n{FORBIDS}")).unwrap();
        config.institution_policy = Some(Arc::new(policy));
        world.restart_with(config).await;

        let read = world.fetch(nurse.clone(), Purpose::Treat, subject, &phenotype);
        let refused = read.await.unwrap_err();
        assert!(matches!(refused, Error::PolicyForbids { .. }), "{refused}");
        let identity = [Category::Identity];
        let read = world.fetch(nurse, Purpose::Treat, subject, &identity);
        assert_eq!(read.await.unwrap().records.len(), 1);
        let clinician = world.clinician();
        let read = world.fetch(clinician, Purpose::Treat, subject, &phenotype);
        assert_eq!(read.await.unwrap().records.len(), 1);

        let refused = world.handle().fhir_transact(patient(laboratory.clone()));
        let refused = refused.await.unwrap_err();
        let Error::PolicyForbids { by, .. } = &refused else {
            panic!("{refused}");
        };
        assert_eq!(by, "laboratories-register-nobody");
        // What was written before is read by those who may.
        let id = created[0].resource.as_ref().unwrap().id.clone();
        let read = world.handle().fhir_read(FhirRead {
            asker: asker(laboratory),
            kind: "Patient".to_owned(),
            id,
            version: None,
        });
        assert!(read.await.unwrap().resource.content.is_some());
    });
}

const FORBIDS_MAKING: &str = r#"
@id("laboratories-make-nothing")
forbid (principal, action == Action::"create", resource)
when { principal.roles.contains("laboratory") };

@id("desks-make-no-consent")
forbid (principal, action == Action::"create", resource)
when { principal.roles.contains("desk") && resource.type == "Consent" };

@id("desks-change-no-patient")
forbid (principal, action == Action::"update", resource)
when { principal.roles.contains("desk") && resource.type == "Patient" };
"#;

/// It is asked by what a write comes to, not by how it is sent.
#[test]
fn the_policy_is_asked_what_a_write_comes_to() {
    run(92, |context| async move {
        let mut world = World::new(context).await;
        let clinician = world.clinician();
        for id in ["there", "other"] {
            let put = world
                .handle()
                .fhir_transact(put_patient(clinician.clone(), id));
            put.await.unwrap();
        }
        let mut config = world.node_config();
        let policy = Policy::parse(&format!("{DEFAULT}\n{FORBIDS_MAKING}")).unwrap();
        config.institution_policy = Some(Arc::new(policy));
        world.restart_with(config).await;
        let by = |error: Error| match error {
            Error::PolicyForbids { by, .. } => by,
            error => panic!("{error}"),
        };

        let laboratory = world.staff("laboratory", Role::Laboratory);
        let put = |id| {
            world
                .handle()
                .fhir_transact(put_patient(laboratory.clone(), id))
        };
        assert_eq!(
            by(put("new").await.unwrap_err()),
            "laboratories-make-nothing"
        );
        let changed = put("there").await.unwrap();
        assert_eq!(changed[0].outcome, FhirOutcome::Updated);

        let desk = world.staff("desk", Role::Desk);
        let codes = |system: &str, code: &str| {
            format!(
                r#"[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/{system}","code":"{code}"}}]}}]"#
            )
        };
        let consent = format!(
            r#"{{"resourceType":"Consent","status":"active","scope":{},"category":{},
                "patient":{{"reference":"Patient/there"}},"policy":[{{"uri":"urn:ithaca:consent:restriction"}}],
                "provision":{{"provision":[{{"type":"deny","action":[{},{},{}]}}]}}}}"#,
            codes("consentscope", "patient-privacy").trim_matches(['[', ']']),
            r#"[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}]"#,
            codes("consentaction", "access").trim_matches(['[', ']']),
            codes("consentaction", "use").trim_matches(['[', ']']),
            codes("consentaction", "disclose").trim_matches(['[', ']']),
        );
        let act = FhirAct::Create {
            content: Content::new(consent.into_bytes()),
            if_none_exist: None,
        };
        let sent = world
            .handle()
            .fhir_transact(written(desk.clone(), "Consent", act));
        assert_eq!(by(sent.await.unwrap_err()), "desks-make-no-consent");

        let listed = world.handle().identity_list(IdentityList {
            caller: desk.clone(),
            decided: false,
            after: None,
            count: 10,
        });
        let item = listed.await.unwrap().items.remove(0);
        let decided = world.handle().identity_decide(IdentityDecide {
            caller: desk,
            item: item.item,
            verdict: IdentityVerdict::Same {
                keep: item.patients[0].subject,
                note: "one child".parse().unwrap(),
            },
        });
        assert_eq!(by(decided.await.unwrap_err()), "desks-change-no-patient");
    });
}

/// Whoever waits for the ledger keeps nobody else from writing.
#[test]
fn the_turn_ends_before_the_wait() {
    run(93, |context| async move {
        let world = World::new(context).await;
        let order = Mutex::new(Vec::new());
        let write = async |id: &'static str, wait: Wait| {
            let input = FhirTransact {
                wait,
                ..put_patient(world.clinician(), id)
            };
            world.handle().fhir_transact(input).await.unwrap();
            order.lock().unwrap().push(id);
        };
        futures::join!(
            write("waits", crate::world::final_wait()),
            write("does-not", Wait::Durable)
        );
        assert_eq!(*order.lock().unwrap(), ["does-not", "waits"]);
    });
}

/// However many subjects a transaction is about, it waits as long as one says, and no longer.
#[test]
fn a_transaction_waits_once() {
    run(94, |context| async move {
        let world = World::new(context).await;
        let timeout_ms = 50;
        let mut input = put_patient(world.clinician(), "waits-0");
        for at in 1..8 {
            let one = put_patient(world.clinician(), &format!("waits-{at}"));
            input.writes.extend(one.writes);
        }
        input.bundle = true;
        input.wait = Wait::Final { timeout_ms };
        let handle = world.handle();
        let done = handle.fhir_transact(input);
        let late = world.sleep_ms(3 * timeout_ms);
        futures::pin_mut!(done, late);
        let Either::Left((done, _)) = select(done, late).await else {
            panic!("it waited for one after the other");
        };
        assert_eq!(done.unwrap().len(), 8);
    });
}
