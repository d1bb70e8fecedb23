//! Consent over FHIR: whatever way somebody asks, they see what is permitted and no more.

use super::{by_clinician, get, new_observation, new_patient, patient};
use crate::{
    families::newborn,
    house::{House, Person, run},
    wire::Call,
};
use consent::Role;
use serde_json::{Value, json};

pub(super) struct Child {
    pub(super) subject: String,
    pub(super) patient: String,
    pub(super) observation: String,
    pub(super) parent: String,
}

pub(super) async fn child(house: &House, name: &str) -> Child {
    let family = newborn(house).await;
    let deposited = Call::post(family.path("/records"))
        .bearer(&house.staff.clinician)
        .fhir(&patient(name))
        .send(house)
        .await
        .is(201);
    let patient = deposited.field("record");
    let observation = new_observation(house, &patient, "718-7", "1").await;
    let parent = house
        .tokens(&[house.controller(&family.subject, 0)])
        .remove(0);
    Child {
        subject: family.subject,
        patient,
        observation,
        parent,
    }
}

fn total(bundle: &Value) -> u64 {
    bundle["total"].as_u64().unwrap()
}

#[test]
fn a_parent_sees_one_child() {
    run(async |house| {
        let (own, other) = (
            child(house, "ParentOwn").await,
            child(house, "ParentOther").await,
        );
        let ask = async |path: String| {
            let call = Call::get(format!("/fhir{path}")).bearer(&own.parent);
            call.header("host", "fhir.example").send(house).await
        };
        ask(format!("/Patient/{}", own.patient)).await.is(200);
        ask(format!("/Observation/{}", own.observation))
            .await
            .is(200);
        // Of another child not even that there is one: the answers are those to ids of nobody.
        let nobody = "0".repeat(32);
        for (observation, patient) in [(&other.observation, &other.patient), (&nobody, &nobody)] {
            for path in [
                format!("/Patient/{patient}"),
                format!("/Observation/{observation}"),
                format!("/Observation/{observation}/_history"),
                format!("/Observation/{observation}/_history/1"),
                format!("/Patient/{patient}/$everything"),
                format!("/Provenance/w-{observation}-1"),
            ] {
                ask(path).await.is(404);
            }
            for search in [
                format!("/Observation?patient={patient}"),
                format!("/Patient/{patient}/Observation"),
                format!("/Patient?_id={patient}&_revinclude=Observation:patient"),
                format!("/AuditEvent?patient={patient}"),
                format!("/Consent?patient={patient}"),
            ] {
                ask(search).await.is(403);
            }
            for search in [
                format!("/Observation?_id={observation}"),
                format!("/Provenance?target=Observation/{observation}"),
            ] {
                let found = ask(search.clone()).await.is(200).value();
                assert_eq!(total(&found), 0, "{search}");
            }
        }
        let everybody = ask("/Patient".to_owned()).await.is(200).value();
        assert_eq!(total(&everybody), 1);
        let all = ask("/Observation?code=718-7".to_owned())
            .await
            .is(200)
            .value();
        assert_eq!(total(&all), 1);
        let chained = ask("/Observation?patient.family=ParentOther".to_owned()).await;
        assert_eq!(total(&chained.is(200).value()), 0);
        // Nor can a parent open a compartment, or write to another's.
        let create = Call::post("/fhir/Patient")
            .fhir(&patient("ParentNew"))
            .bearer(&own.parent);
        create.send(house).await.is(403);
        let of_other = super::observation(&other.patient, "718-7", "3");
        let write = Call::post("/fhir/Observation").bytes("application/fhir+json", of_other);
        // As if there were no such Patient.
        write.bearer(&own.parent).send(house).await.is(422);
        let mut of_other: Value =
            serde_json::from_str(&super::observation(&own.patient, "718-7", "3")).unwrap();
        of_other["id"] = json!(other.observation);
        let write = Call::put(format!("/fhir/Observation/{}", other.observation)).fhir(&of_other);
        let write = write.header("if-match", "W/\"9999\"").bearer(&own.parent);
        let refused = write.send(house).await.is(403).text().to_owned();
        assert!(!refused.contains("version"), "{refused}");
        let patch = json!([{"op": "test", "path": "/status", "value": "final"}]).to_string();
        for id in [&other.observation, &nobody] {
            let call = Call::patch(format!("/fhir/Observation/{id}"));
            let call = call.bytes("application/json-patch+json", patch.clone());
            call.bearer(&own.parent).send(house).await.is(404);
        }
        let of_own = super::observation(&own.patient, "718-7", "3");
        let write = Call::post("/fhir/Observation").bytes("application/fhir+json", of_own);
        write.bearer(&own.parent).send(house).await.is(201);
        // The institution's own list of people is no family's.
        let group = json!({
            "resourceType": "Group", "type": "person", "actual": true,
            "member": [{"entity": {"reference": format!("Patient/{}", other.patient)}}],
        });
        let made = by_clinician(house, Call::post("/fhir/Group").fhir(&group));
        let made = made.send(house).await.is(201).field("id");
        ask(format!("/Group/{made}")).await.is(404);
    });
}

/// A nurse has no use of genomic data: it is not served, not found and not counted.
#[test]
fn a_part_is_served_as_a_part() {
    run(async |house| {
        let patient = new_patient(house, "PartOf").await;
        let sequence = json!({
            "resourceType": "MolecularSequence", "coordinateSystem": 0, "type": "dna",
            "patient": {"reference": format!("Patient/{patient}")},
            "identifier": [{"system": "http://example.org/seq", "value": "sequence-of-PartOf"}],
            "observedSeq": "ACGT",
        });
        let made = by_clinician(house, Call::post("/fhir/MolecularSequence").fhir(&sequence));
        let id = made.send(house).await.is(201).field("id");
        let nurse = async |path: String| {
            let call = Call::get(format!("/fhir{path}")).bearer(&house.staff.nurse);
            call.send(house).await
        };
        get(house, &format!("/MolecularSequence/{id}"))
            .await
            .is(200);
        let seen = nurse(format!("/MolecularSequence/{id}")).await;
        assert!(!seen.text().contains("ACGT"), "{}", seen.text());
        if seen.status == 200 {
            assert_eq!(seen.value()["meta"]["tag"][0]["code"], "SUBSETTED");
        }
        // What is hidden cannot be found out by asking for it.
        let by_type = nurse(format!("/MolecularSequence?patient={patient}&type=dna")).await;
        assert!(!by_type.is(200).text().contains("ACGT"));
    });
}

#[test]
fn roles_that_read_nothing_are_refused_and_logged() {
    run(async |house| {
        let child = child(house, "Refused").await;
        let people = [
            Person::staff(house, "fhir-researcher", &[Role::Researcher]),
            Person::staff(house, "fhir-operator", &[Role::Operator]),
        ];
        let tokens = house.tokens(&people);
        for (token, person) in tokens.iter().zip(&people) {
            let read = Call::get(format!("/fhir/Observation/{}", child.observation)).bearer(token);
            let refused = read.send(house).await;
            assert_eq!(refused.is(403).class(), "consent-denied", "{}", person.name);
            let all = Call::get(format!("/fhir/Observation?patient={}", child.patient));
            all.bearer(token).send(house).await.is(403);
            // Asking for everybody gives nobody.
            let everybody = Call::get("/fhir/Patient?family=Refused").bearer(token);
            let found = everybody.send(house).await.is(200);
            assert_eq!(total(&found.value()), 0, "{}", person.name);
            let write = Call::post("/fhir/Patient")
                .fhir(&patient("RefusedNew"))
                .bearer(token);
            write.send(house).await.is(403);
        }
        let list = Call::get(format!("/v1/subjects/{}/disclosures", child.subject));
        let list = list.bearer(&child.parent).send(house).await.is(200).text();
        for person in &people {
            assert!(list.contains(person.name), "{list}");
        }
    });
}

#[test]
fn what_is_erased_is_gone_from_every_search() {
    run(async |house| {
        let child = child(house, "Erased").await;
        let path = format!("/v1/subjects/{}", child.subject);
        Call::delete(path)
            .bearer(&house.staff.approver)
            .send(house)
            .await
            .is(200);
        get(house, &format!("/Patient/{}", child.patient))
            .await
            .is(404);
        get(house, &format!("/Observation/{}", child.observation))
            .await
            .is(404);
        let found = get(house, "/Patient?family=Erased").await.is(200).value();
        assert_eq!(total(&found), 0);
        let about = super::observation(&child.patient, "718-7", "3");
        let write = Call::post("/fhir/Observation").bytes("application/fhir+json", about);
        by_clinician(house, write).send(house).await.is(422);
    });
}
