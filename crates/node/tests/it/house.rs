//! What the institution's own policy forbids, whatever consent and roles allow.

use crate::world::{World, run};
use institution_policy::{DEFAULT, Policy};
use node::fhir::{FhirAct, FhirAsker, FhirOutcome, FhirRead, FhirTransact, FhirWrite};
use node::record::Content;
use node::subject::Wait;
use node::{Caller, Category, Error, Purpose, Role};
use std::sync::Arc;

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

fn patient(caller: Caller) -> FhirTransact {
    let content = Content::new(br#"{"resourceType":"Patient","active":true}"#.to_vec());
    FhirTransact {
        asker: asker(caller),
        writes: vec![FhirWrite {
            kind: "Patient".to_owned(),
            act: FhirAct::Create {
                content,
                if_none_exist: None,
            },
            full_url: None,
        }],
        strict: true,
        bundle: false,
        wait: Wait::Durable,
        source: "test".to_owned(),
    }
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
