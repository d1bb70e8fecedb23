//! What an app's scopes reach: by type, in whatever way a resource is come by.

use super::{get, new_observation, new_patient};
use crate::{
    house::{House, run},
    sessions::{Doctor, doctor},
    wire::{Answer, Call},
};
use serde_json::{Value, json};

/// Types of what an answer holds.
fn kinds(answer: &Answer) -> Vec<String> {
    let value = answer.value();
    let mut kinds: Vec<String> = value["entry"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| {
            let kind = entry["resource"]["resourceType"].as_str();
            kind.unwrap().to_owned()
        })
        .collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

struct Ward {
    patient: String,
    other: String,
    practitioner: String,
    observation: String,
    of_other: String,
}

async fn ward(house: &House, name: &str) -> Ward {
    let patient = new_patient(house, name).await;
    let other = new_patient(house, &format!("{name}Other")).await;
    let practitioner = json!({"resourceType": "Practitioner", "name": [{"family": name}]});
    let practitioner = super::created(house, &practitioner).await.field("id");
    let mut ids = Vec::new();
    for of in [&patient, &other] {
        let id = new_observation(house, of, "718-7", "12").await;
        let mut observation = get(house, &format!("/Observation/{id}"))
            .await
            .is(200)
            .value();
        observation["performer"] = json!([{"reference": format!("Practitioner/{practitioner}")}]);
        let call = Call::put(format!("/fhir/Observation/{id}")).fhir(&observation);
        super::by_clinician(house, call).send(house).await.is(200);
        ids.push(id);
    }
    let of_other = ids.pop().unwrap();
    Ward {
        patient,
        other,
        practitioner,
        observation: ids.pop().unwrap(),
        of_other,
    }
}

async fn asks(doctor: &Doctor, token: &str, path: &str) -> Answer {
    doctor
        .send(Call::get(format!("/fhir{path}")).bearer(token))
        .await
}

#[test]
fn a_type_that_the_scopes_leave_out_is_reached_in_no_way() {
    run(async |house| {
        let ward = ward(house, "ScopedTypes").await;
        let doctor = doctor(house);
        let all = doctor.token(house, "user/*.rs");
        let everything = format!("/Patient/{}/$everything", ward.patient);
        let reverse = format!(
            "/Patient?_id={}&_revinclude=Observation:subject",
            ward.patient
        );
        let include = format!(
            "/Observation?_id={}&_include=Observation:subject",
            ward.observation
        );
        let chain = format!("/Observation?patient._id={}", ward.patient);
        let has = format!(
            "/Patient?_id={}&_has:Observation:patient:code=718-7",
            ward.patient
        );
        let both = ["Observation", "Patient"];
        assert_eq!(kinds(&asks(&doctor, &all, &everything).await.is(200)), both);
        assert_eq!(kinds(&asks(&doctor, &all, &reverse).await.is(200)), both);
        assert_eq!(kinds(&asks(&doctor, &all, &include).await.is(200)), both);
        assert_eq!(
            kinds(&asks(&doctor, &all, &chain).await.is(200)),
            ["Observation"]
        );
        assert_eq!(kinds(&asks(&doctor, &all, &has).await.is(200)), ["Patient"]);

        let patients = doctor.token(house, "user/Patient.rs");
        assert_eq!(
            kinds(&asks(&doctor, &patients, &everything).await.is(200)),
            ["Patient"]
        );
        asks(&doctor, &patients, &reverse).await.is(403);
        let refused = asks(&doctor, &patients, &has).await.is(403);
        assert!(refused.text().contains("search on Observation"));

        let results = doctor.token(house, "user/Observation.rs");
        assert_eq!(
            kinds(&asks(&doctor, &results, &include).await.is(200)),
            ["Observation"]
        );
        asks(&doctor, &results, &chain).await.is(403);
        asks(&doctor, &results, &everything).await.is(403);

        // Of one code only, and by no way round it.
        let narrow = doctor.token(house, "user/Patient.rs user/Observation.rs?code=999-9");
        assert_eq!(
            kinds(&asks(&doctor, &narrow, &everything).await.is(200)),
            ["Patient"]
        );
        assert_eq!(
            kinds(&asks(&doctor, &narrow, &reverse).await.is(200)),
            ["Patient"]
        );
        assert!(kinds(&asks(&doctor, &narrow, &has).await.is(200)).is_empty());

        // Nor is who may not see a resource told that it is gone.
        let gone = new_observation(house, &ward.patient, "718-7", "13").await;
        let path = format!("/fhir/Observation/{gone}");
        let call = super::by_clinician(house, Call::delete(&path));
        call.send(house).await.is(204);
        let history = format!("/Observation/{gone}/_history");
        let versions = async |token: &str| {
            let answer = asks(&doctor, token, &history).await.is(200).value();
            answer["entry"].as_array().map_or(0, Vec::len)
        };
        assert_eq!((versions(&results).await, versions(&narrow).await), (2, 0));

        // To read one by its id is not to list them.
        let one = doctor.token(house, "user/Observation.r");
        let path = format!("/Observation/{}", ward.observation);
        asks(&doctor, &one, &path).await.is(200);
        asks(&doctor, &one, &format!("{path}/_history"))
            .await
            .is(200);
        asks(&doctor, &one, "/Observation/_history").await.is(403);
        asks(&doctor, &one, "/Observation?code=718-7").await.is(403);
    });
}

#[test]
fn an_app_of_one_patient_stays_with_that_patient() {
    run(async |house| {
        let ward = ward(house, "ScopedPatient").await;
        let doctor = doctor(house);
        let mixed = "patient/Observation.rs user/Practitioner.rs";
        let token = doctor.launched(house, mixed, &ward.patient);
        let found = |answer: &Answer| {
            let text = answer.text();
            (
                text.contains(&ward.observation),
                text.contains(&ward.of_other),
            )
        };
        let of_practitioner = format!(
            "/Practitioner?_id={}&_revinclude=Observation:performer",
            ward.practitioner
        );
        let answer = asks(&doctor, &token, &of_practitioner).await.is(200);
        assert_eq!(found(&answer), (true, false));
        let has = format!(
            "/Practitioner?_id={}&_has:Observation:performer:patient=Patient/{}",
            ward.practitioner, ward.other
        );
        let answer = asks(&doctor, &token, &has).await;
        assert!(
            answer.status == 403 || kinds(&answer).is_empty(),
            "{}",
            answer.status
        );
        let answer = asks(&doctor, &token, "/Observation?code=718-7")
            .await
            .is(200);
        assert_eq!(found(&answer), (true, false));
        asks(&doctor, &token, &format!("/Observation/{}", ward.of_other))
            .await
            .is(404);
        // Launched about nobody, such scopes reach nobody.
        let nobody = doctor.token(house, mixed);
        asks(&doctor, &nobody, &of_practitioner).await.is(403);
    });
}

#[test]
fn who_may_write_only_reads_and_finds_nothing_by_it() {
    run(async |house| {
        let ward = ward(house, "ScopedWrites").await;
        let doctor = doctor(house);
        let path = format!("/fhir/Observation/{}", ward.observation);
        let patch = |operations: &Value| {
            let operations = operations.to_string();
            Call::new("PATCH", &path).bytes("application/json-patch+json", operations)
        };
        let update = doctor.token(house, "user/Observation.u");
        let status = json!([{"op": "replace", "path": "/status", "value": "amended"}]);
        let answer = doctor.send(patch(&status).bearer(&update)).await.is(200);
        assert!(answer.body.is_empty(), "{}", answer.text());
        let test = json!([{"op": "test", "path": "/status", "value": "amended"}]);
        doctor.send(patch(&test).bearer(&update)).await.is(403);
        let reads = doctor.token(house, "user/Observation.ru");
        let answer = doctor.send(patch(&test).bearer(&reads)).await.is(200);
        assert_eq!(answer.field("status"), "amended");

        let creates = doctor.token(house, "user/Observation.c");
        let observation =
            |subject: &str| super::observation("x", "718-7", "1").replace("Patient/x", subject);
        let post = |subject: &str| {
            let text = observation(subject);
            let call = Call::post("/fhir/Observation").bytes("application/fhir+json", text);
            call.bearer(&creates)
        };
        let known = format!("Patient/{}", ward.patient);
        doctor.send(post(&known)).await.is(201);
        let by_number = "Patient?identifier=http://example.org/mrn|ScopedWrites";
        let refused = doctor.send(post(by_number)).await.is(403);
        assert!(refused.text().contains("search on Patient"));
        let conditional = post(&known).header("if-none-exist", "code=718-7");
        doctor.send(conditional).await.is(403);
    });
}
