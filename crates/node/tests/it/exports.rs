//! Exports over FHIR: what a restart leaves of one, and when it is over.

use crate::world::{World, final_wait, run};
use node::fhir::{
    FhirAct, FhirAsker, FhirExport, FhirExportOf, FhirExportPlan, FhirExportQuery, FhirExportRead,
    FhirExportState, FhirTransact, FhirWrite,
};
use node::record::Content;
use node::{Error, Kind};
use std::sync::atomic::Ordering;

fn asker(world: &World) -> FhirAsker {
    FhirAsker {
        caller: world.clinician(),
        purpose: None,
        base: "http://localhost/fhir".to_owned(),
        patient: None,
        scopes: node::fhir::Scopes::everything(),
        interaction: node::fhir::Interaction::Read,
        launched: None,
    }
}

/// A Patient with this family name.
async fn patient(world: &World, family: &str) {
    let content = format!(r#"{{"resourceType":"Patient","name":[{{"family":"{family}"}}]}}"#);
    let write = FhirWrite {
        kind: "Patient".to_owned(),
        act: FhirAct::Create {
            content: Content::new(content.into_bytes()),
            if_none_exist: None,
        },
        full_url: None,
    };
    let transact = FhirTransact {
        asker: asker(world),
        writes: vec![write],
        strict: true,
        bundle: false,
        wait: final_wait(),
        source: "test".to_owned(),
    };
    world.handle().fhir_transact(transact).await.unwrap();
}

async fn begun(world: &World) -> Result<String, Error> {
    let export = FhirExport {
        asker: asker(world),
        of: FhirExportOf::Patients,
        kinds: vec!["Observation".to_owned(), "Patient".to_owned()],
        since_ms: None,
        request: "http://localhost/fhir/Patient/$export".to_owned(),
    };
    world.handle().fhir_export(export).await
}

async fn state(world: &World, job: &str) -> Result<FhirExportState, Error> {
    let query = FhirExportQuery {
        caller: world.clinician(),
        job: job.to_owned(),
    };
    world.handle().fhir_export_state(query).await
}

async fn planned(world: &World, job: &str) -> FhirExportPlan {
    for _ in 0..1_000 {
        if let FhirExportState::Planned(plan) = state(world, job).await.unwrap() {
            return plan;
        }
        world.sleep_ms(10).await;
    }
    panic!("never planned");
}

async fn patients(world: &World, job: &str) -> Result<String, Error> {
    let mut text = String::new();
    let mut after = None;
    loop {
        let read = FhirExportRead {
            asker: asker(world),
            job: job.to_owned(),
            kind: "Patient".to_owned(),
            file: 0,
            after,
        };
        let page = world.handle().fhir_export_read(read).await?;
        text.push_str(std::str::from_utf8(page.lines.as_bytes()).unwrap());
        after = page.next;
        if after.is_none() {
            return Ok(text);
        }
    }
}

#[test]
fn an_export_survives_a_restart() {
    run(91, |context| async move {
        let mut world = World::new(context).await;
        patient(&world, "Laertes").await;
        patient(&world, "Mentor").await;
        let job = begun(&world).await.unwrap();
        // Whether its plan was made before or not.
        world.restart().await;
        let plan = planned(&world, &job).await;
        // Of a type that nobody has there is no file.
        assert_eq!(
            (plan.kinds.as_slice(), plan.files),
            (&["Patient".to_owned()][..], 1)
        );
        world.restart().await;
        assert_eq!(planned(&world, &job).await, plan);
        let text = patients(&world, &job).await.unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("Laertes") && text.contains("Mentor"));

        let query = FhirExportQuery {
            caller: world.desk(),
            job: job.clone(),
        };
        let other = world.handle().fhir_export_end(query).await;
        assert_eq!(other.unwrap_err().kind(), Kind::NotFound);
        // An hour later it is over.
        world.skew_ms.store(3_600_000, Ordering::Relaxed);
        for over in [
            state(&world, &job).await.map(|_| ()),
            patients(&world, &job).await.map(|_| ()),
        ] {
            assert_eq!(over.unwrap_err().kind(), Kind::NotFound);
        }
    });
}

/// Those that are over make room for others.
#[test]
fn exports_end_by_themselves() {
    run(92, |context| async move {
        let world = World::new(context).await;
        let mut began = 0;
        let refused = loop {
            match begun(&world).await {
                Ok(job) => planned(&world, &job).await,
                Err(error) => break error,
            };
            began += 1;
            assert!(began <= 8, "no bound");
        };
        assert_eq!((began, refused.kind()), (8, Kind::Busy));
        world.skew_ms.store(3_600_000, Ordering::Relaxed);
        begun(&world).await.unwrap();
    });
}
