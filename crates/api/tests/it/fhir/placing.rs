//! Where what is written goes: one resource under one id, and each child's data with that child or nowhere.

use super::{
    bundles::{bundle, entry},
    by_clinician, created, get, new_observation, new_patient, patient,
};
use crate::{
    house::{House, Person, run},
    wire::{Answer, Call},
};
use consent::Role;
use serde_json::{Value, json};

const ONE: &str = "urn:uuid:00000000-0000-4000-8000-0000000000a1";
const TWO: &str = "urn:uuid:00000000-0000-4000-8000-0000000000a2";

fn observed(reference: &str) -> Value {
    let text = super::observation("x", "718-7", "1.0");
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["subject"]["reference"] = json!(reference);
    value
}

async fn send(house: &House, entries: &[Value]) -> Answer {
    let call = Call::post("/fhir").fhir(&bundle("transaction", entries));
    by_clinician(house, call).send(house).await
}

async fn put(house: &House, path: &str, resource: &Value) -> Answer {
    let call = Call::put(format!("/fhir/{path}")).fhir(resource);
    by_clinician(house, call).send(house).await
}

async fn family_of(house: &House, entry: &Value) -> Value {
    let location = entry["response"]["location"].as_str().unwrap();
    let path = location.split("/_history").next().unwrap();
    let read = get(house, &format!("/{path}")).await.is(200).value();
    let subject = read["subject"]["reference"].as_str().unwrap().to_owned();
    let patient = get(house, &format!("/{subject}")).await.is(200).value();
    patient["name"][0]["family"].clone()
}

async fn count(house: &House, search: &str) -> Value {
    let path = format!("/{search}&_summary=count");
    get(house, &path).await.is(200).value()["total"].clone()
}

#[test]
fn an_id_that_a_condition_brings_is_free_or_refused() {
    run(async |house| {
        let there = new_patient(house, "TwinThere").await;
        let mut twin = patient("TwinNew");
        twin["id"] = json!(there);
        let path = "Patient?identifier=http://example.org/mrn%7CTwinNew";
        put(house, path, &twin).await.is(409);
        assert_eq!(count(house, &path.replace("%7C", "|")).await, 0);
        // Also one that was deleted: its versions are there.
        let deleted = new_patient(house, "TwinDeleted").await;
        let call = Call::delete(format!("/fhir/Patient/{deleted}"));
        by_clinician(house, call).send(house).await.is(204);
        twin["id"] = json!(deleted);
        put(house, path, &twin).await.is(409);
        // A free one is taken.
        twin["id"] = json!("twin-free");
        assert_eq!(
            put(house, path, &twin).await.is(201).field("id"),
            "twin-free"
        );
        // What the node tells of a version nobody else tells under its id.
        let provenance = json!({
            "resourceType": "Provenance", "id": format!("w-{there}-1"), "recorded": "2024-05-06T07:08:09Z",
            "target": [{"reference": format!("Patient/{there}")}],
            "agent": [{"who": {"display": "somebody"}}],
        });
        let path = "Provenance?recorded=1999-01-01";
        put(house, path, &provenance).await.is(409);
    });
}

#[test]
fn a_transaction_makes_one_resource_of_an_id() {
    run(async |house| {
        let mut new = patient("TwicePut");
        new["id"] = json!("twice-put");
        let of =
            |url: &str, resource: &Value, full_url| entry(url, "PUT", resource.clone(), full_url);
        let path = "Patient/twice-put";
        let twice = [of(path, &new, ONE), of(path, &new, TWO)];
        send(house, &twice).await.is(422);
        let by = "Patient?identifier=http://example.org/mrn|TwicePut";
        let twice = [of(path, &new, ONE), of(by, &new, TWO)];
        send(house, &twice).await.is(422);
        assert_eq!(count(house, by).await, 0);
        send(house, &[of(path, &new, ONE)]).await.is(200);
    });
}

/// What is of somebody never stands in the directory, where nobody's consent is asked.
#[test]
fn whom_nobody_knows_here_has_no_record_here() {
    run(async |house| {
        let there = new_patient(house, "Known").await;
        let sent = async |value: Value| {
            let call = Call::post("/fhir/Observation").fhir(&value);
            by_clinician(house, call).send(house).await
        };
        let of_there = || observed(&format!("Patient/{there}"));
        let subjects = [
            json!({"reference": format!("https://fhir.example/fhir/Patient/{there}")}),
            json!({"reference": format!("http://hospital.example/fhir/Patient/{there}")}),
            json!({"reference": "https://fhir.example/fhir/Patient?identifier=http://example.org/mrn|Known"}),
            json!({"reference": "#child"}),
            json!({"reference": "urn:uuid:00000000-0000-4000-8000-0000000000ff"}),
            json!({"identifier": {"system": "http://example.org/mrn", "value": "Known"}}),
            json!({"identifier": {"value": "Known"}, "type": "Patient"}),
            json!({"display": "a child"}),
        ];
        for subject in subjects {
            let mut value = of_there();
            if subject["reference"] == "#child" {
                value["contained"] = json!([{"resourceType": "Patient", "id": "child"}]);
            }
            value["subject"] = subject;
            sent(value).await.is(422);
        }
        let with = |mut value: Value, performer: Value| {
            value["performer"] = json!([performer]);
            value
        };
        let of_nobody = || {
            let mut value = of_there();
            value.as_object_mut().unwrap().remove("subject");
            value
        };
        let of_child = async |value: Value| {
            let id = sent(value).await.is(201).field("id");
            count(house, &format!("Observation?patient={there}&_id={id}")).await
        };
        // Perhaps the one who took part is the child. Beside the child anybody may be named in words.
        let words = || json!({"display": "somebody"});
        sent(with(of_nobody(), words())).await.is(422);
        assert_eq!(of_child(with(of_there(), words())).await, 1);
        let practitioner = json!({"identifier": {"value": "9"}, "type": "Practitioner"});
        assert_eq!(of_child(with(of_nobody(), practitioner)).await, 0);
        let elsewhere = json!({"reference": "https://hospital.example/fhir/Practitioner/9"});
        assert_eq!(of_child(with(of_nobody(), elsewhere)).await, 0);
        assert_eq!(of_child(of_nobody()).await, 0);
        let here = format!("http://fhir.example/fhir/Patient/{there}/_history/1");
        let made = sent(observed(&here)).await.is(201).value();
        let subject = &made["subject"]["reference"];
        assert_eq!(*subject, format!("Patient/{there}/_history/1"));
    });
}

#[test]
fn relative_references_are_of_their_entrys_own_server() {
    run(async |house| {
        let (a, b) = ("http://a.example/fhir", "http://b.example/fhir");
        let new = |base: &str, id: &str, family: &str| {
            entry(
                "Patient",
                "POST",
                patient(family),
                &format!("{base}/Patient/{id}"),
            )
        };
        let about = |full_url: &str, subject: &str| {
            entry("Observation", "POST", observed(subject), full_url)
        };
        let own = |base: &str| format!("{base}/Observation/1");
        let two = [
            new(a, "rel-7", "RelativeA"),
            new(b, "rel-7", "RelativeB"),
            about(&own(a), "Patient/rel-7"),
            about(&own(b), "Patient/rel-7/_history/3"),
        ];
        let answer = send(house, &two).await.is(200).value();
        assert_eq!(family_of(house, &answer["entry"][2]).await, "RelativeA");
        assert_eq!(family_of(house, &answer["entry"][3]).await, "RelativeB");
        // An entry without an address may mean either.
        let either = [
            new(a, "rel-7", "RelativeC"),
            new(b, "rel-7", "RelativeD"),
            about(ONE, "Patient/rel-7"),
        ];
        send(house, &either).await.is(422);
        // Only one is called so, and nobody here.
        let one = [new(a, "rel-7", "RelativeE"), about(ONE, "Patient/rel-7")];
        let answer = send(house, &one).await.is(200).value();
        assert_eq!(family_of(house, &answer["entry"][1]).await, "RelativeE");
        // Another server's Patient is not this server's of the same id.
        let there = new_patient(house, "RelativeHere").await;
        let here = format!("Patient/{there}");
        send(house, &[about(&own(a), &here)]).await.is(422);
        // It may mean the one that is here, and the new one.
        for reference in [here.clone(), format!("{here}/_history/1")] {
            let both = [new(a, &there, "RelativeF"), about(ONE, &reference)];
            send(house, &both).await.is(422);
        }
        assert_eq!(count(house, "Patient?family=RelativeF").await, 0);
        let first = [new(a, &there, "RelativeG"), about(&own(a), &here)];
        let answer = send(house, &first).await.is(200).value();
        assert_eq!(family_of(house, &answer["entry"][1]).await, "RelativeG");
        // Whoever keeps an id, keeps the others too.
        let mut kept = observed(&here);
        kept["id"] = json!("kept-1");
        let kept = [entry(
            "Observation/kept-1",
            "PUT",
            kept,
            &format!("{a}/Observation/kept-1"),
        )];
        let answer = send(house, &kept).await.is(200).value();
        assert_eq!(family_of(house, &answer["entry"][0]).await, "RelativeHere");
    });
}

/// Who may not see all who carry an identifier cannot tell who is meant by it.
#[test]
fn a_hidden_patient_is_not_passed_over() {
    run(async |house| {
        let laboratory = Person::staff(house, "labo-hidden", &[Role::Laboratory]);
        let laboratory = house.tokens(&[laboratory]).remove(0);
        let hidden = super::consents::child(house, "Hidden").await;
        let by = "Patient?identifier=http://example.org/mrn|Hidden";
        let send = async |entry: Value| {
            let call = Call::post("/fhir").fhir(&bundle("transaction", &[entry]));
            call.bearer(&laboratory).send(house).await
        };
        let on_condition = || {
            let mut new = entry("Patient", "POST", patient("Hidden"), ONE);
            new["request"]["ifNoneExist"] = json!(by.replace("Patient?", ""));
            new
        };
        send(on_condition()).await.is(200);
        assert_eq!(count(house, by).await, 1);
        Call::put(format!("/v1/subjects/{}/restriction", hidden.subject))
            .bearer(&house.staff.desk)
            .json(&json!({"restricted": true}))
            .wait()
            .send(house)
            .await
            .is(200);
        assert_eq!(
            send(on_condition()).await.is(412).class(),
            "multiple-matches"
        );
        created(house, &patient("Hidden")).await;
        let result = send(entry("Observation", "POST", observed(by), TWO)).await;
        assert_eq!(result.is(412).class(), "multiple-matches");
        assert_eq!(count(house, "Observation?patient.family=Hidden").await, 0);
        // Somebody else of the same search is not in the way.
        new_observation(house, &new_patient(house, "HiddenNot").await, "718-7", "1").await;
        let other = "Patient?identifier=http://example.org/mrn|HiddenNot";
        send(entry("Observation", "POST", observed(other), TWO))
            .await
            .is(200);
        // Whose search it was, the family reads.
        let list = Call::get(format!("/v1/subjects/{}/disclosures", hidden.subject));
        let list = list.bearer(&hidden.parent).send(house).await.is(200).text();
        assert!(list.contains("labo-hidden"), "{list}");
    });
}
