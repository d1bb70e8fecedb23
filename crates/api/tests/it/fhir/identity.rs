//! One identifier on two Patients: it is asked who they are, and nothing goes to the wrong child meanwhile.

use super::{by_clinician, created, get, new_observation, new_patient, patient};
use crate::{
    families::newborn,
    house::{House, run},
    wire::{Answer, Call},
};
use consent::Role;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The items that name a Patient.
async fn items(house: &House, state: &str, patient: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let page = Call::get("/v1/identities")
            .query(&format!("state={state}{after}"))
            .bearer(&house.staff.desk)
            .send(house)
            .await
            .is(200)
            .value();
        let of_patient = |item: &&Value| {
            let patients = item["patients"].as_array().unwrap();
            patients.iter().any(|one| one["patient"] == patient)
        };
        let items = page["items"].as_array().unwrap();
        found.extend(items.iter().filter(of_patient).cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return found,
        }
    }
}

/// The one item that names a Patient.
async fn item(house: &House, state: &str, patient: &str) -> Value {
    let mut found = items(house, state, patient).await;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn subject_of(item: &Value, patient: &str) -> String {
    let patients = item["patients"].as_array().unwrap();
    let one = patients.iter().find(|one| one["patient"] == patient);
    one.unwrap()["subject"].as_str().unwrap().to_owned()
}

async fn decide(house: &House, item: &Value, verdict: &Value) -> Answer {
    let path = format!("/v1/identities/{}", item["item"].as_str().unwrap());
    let call = Call::post(path).bearer(&house.staff.desk).json(verdict);
    call.send(house).await
}

async fn undo(house: &House, item: &Value) -> Answer {
    let path = format!("/v1/identities/{}/verdict", item["item"].as_str().unwrap());
    Call::delete(path)
        .bearer(&house.staff.desk)
        .send(house)
        .await
}

fn same(keep: &str) -> Value {
    json!({"verdict": "same", "keep": keep, "note": "both births are the same"})
}

/// Who did what to a subject, as its list shows it.
async fn acts(house: &House, subject: &str) -> String {
    Call::get(format!("/v1/subjects/{subject}/disclosures"))
        .bearer(&house.staff.privacy)
        .send(house)
        .await
        .is(200)
        .text()
        .to_owned()
}

async fn read(house: &House, id: &str) -> Value {
    get(house, &format!("/Patient/{id}")).await.is(200).value()
}

/// A resource without what the server says of the version.
fn said(mut resource: Value) -> Value {
    resource.as_object_mut().unwrap().remove("meta");
    resource
}

#[test]
fn two_who_carry_one_identifier_are_asked_about_and_left_alone() {
    run(async |house| {
        let one = new_patient(house, "Homonym").await;
        assert_eq!(items(house, "open", &one).await, Vec::<Value>::new());
        let other = new_patient(house, "Homonym").await;
        let asked = item(house, "open", &one).await;
        assert_eq!(asked, item(house, "open", &other).await);
        assert_eq!(asked["state"], "open");
        let (mine, theirs) = (subject_of(&asked, &one), subject_of(&asked, &other));
        assert_ne!(mine, theirs);
        for id in [&one, &other] {
            assert_eq!(read(house, id).await["meta"]["versionId"], "1");
        }
        for subject in [&mine, &theirs] {
            let acts = acts(house, subject).await;
            assert!(acts.contains("identity-match"), "{acts}");
            assert!(acts.contains("identity-list"), "{acts}");
        }
        // They are two: the same identifier, put in again, asks nothing.
        let decided = decide(house, &asked, &json!({"verdict": "different"})).await;
        assert_eq!(decided.is(200).value()["state"], "different");
        let mut again = patient("Homonym");
        again["id"] = json!(one);
        let call = Call::put(format!("/fhir/Patient/{one}")).fhir(&again);
        by_clinician(house, call).send(house).await.is(200);
        assert_eq!(items(house, "open", &one).await, Vec::<Value>::new());
        let decided = item(house, "decided", &other).await;
        assert_eq!(decided["decided_by"], "desk-1");
        decide(house, &asked, &same(&mine)).await.is(409);
        // Said in error: it waits again.
        assert_eq!(undo(house, &asked).await.is(200).value()["state"], "open");
        undo(house, &asked).await.is(409);
        item(house, "open", &one).await;
    });
}

#[test]
fn an_identifier_is_a_system_and_a_value() {
    run(async |house| {
        let with = |identifier: Value| json!({"resourceType": "Patient", "identifier": [identifier], "active": true});
        let bare = with(json!({"value": "Bare-7"}));
        let of_one = with(json!({"system": "http://example.org/one", "value": "Bare-7"}));
        let of_two = with(json!({"system": "http://example.org/two", "value": "Bare-7"}));
        for resource in [&bare, &bare, &of_one, &of_two] {
            let id = created(house, resource).await.field("id");
            assert_eq!(items(house, "open", &id).await, Vec::<Value>::new());
        }
    });
}

#[test]
fn one_who_replaces_another_is_linked_until_that_is_undone() {
    run(async |house| {
        let kept = new_patient(house, "Linked").await;
        let gone = new_patient(house, "Linked").await;
        let observation = new_observation(house, &gone, "718-7", "1").await;
        let own = new_observation(house, &kept, "718-7", "2").await;
        let before = [&kept, &gone].map(async |id| said(read(house, id).await));
        let [kept_before, gone_before] = before;
        let (kept_before, gone_before) = (kept_before.await, gone_before.await);
        let asked = item(house, "open", &kept).await;
        let (keeper, replaced) = (subject_of(&asked, &kept), subject_of(&asked, &gone));
        decide(house, &asked, &same(&"00".repeat(32))).await.is(422);
        let decided = decide(house, &asked, &same(&keeper)).await.is(200).value();
        assert_eq!(
            (&decided["state"], &decided["kept"]),
            (&json!("same"), &json!(keeper))
        );
        let link = |other: &str, kind: &str| json!([{"other": {"reference": format!("Patient/{other}")}, "type": kind}]);
        let now = read(house, &kept).await;
        assert_eq!(now["link"], link(&gone, "replaces"));
        assert_eq!(now["active"], Value::Null);
        let now = read(house, &gone).await;
        assert_eq!(now["link"], link(&kept, "replaced-by"));
        assert_eq!(now["active"], false);
        for subject in [&keeper, &replaced] {
            let acts = acts(house, subject).await;
            assert!(acts.contains("identity-merge"), "{acts}");
            assert!(acts.contains("desk-1"), "{acts}");
        }
        // No record moved; who asks for everything of the one that was kept gets both, each logged.
        let ids = async |id: &str| -> BTreeSet<String> {
            let all = get(house, &format!("/Patient/{id}/$everything")).await;
            let all = all.is(200).value();
            let all = all["entry"].as_array().unwrap().clone();
            let id = |entry: &Value| entry["resource"]["id"].as_str().unwrap().to_owned();
            all.iter().map(id).collect()
        };
        let of = |ids: &[&String]| ids.iter().map(|id| (*id).clone()).collect::<BTreeSet<_>>();
        assert_eq!(ids(&kept).await, of(&[&kept, &gone, &observation, &own]));
        assert_eq!(ids(&gone).await, of(&[&gone, &observation]));
        // So does who searches for what is about it, by whatever name.
        let found = async |query: &str| -> BTreeSet<String> {
            let page = get(house, &format!("/Observation?code=718-7&{query}")).await;
            let page = page.is(200).value();
            let all = page["entry"].as_array().cloned().unwrap_or_default();
            let id = |entry: &Value| entry["resource"]["id"].as_str().unwrap().to_owned();
            all.iter().map(id).collect()
        };
        for query in [
            format!("patient={kept}"),
            format!("subject=Patient/{kept}"),
            format!("subject=http://fhir.example/fhir/Patient/{kept}"),
            format!("patient._id={kept}"),
        ] {
            assert_eq!(found(&query).await, of(&[&own, &observation]), "{query}");
        }
        assert_eq!(found(&format!("patient={gone}")).await, of(&[&observation]));
        assert!(acts(house, &replaced).await.contains("fhir-everything"));
        let moved = get(house, &format!("/Observation/{observation}")).await;
        let reference = &moved.is(200).value()["subject"]["reference"];
        assert_eq!(*reference, json!(format!("Patient/{gone}")));

        let undone = undo(house, &asked).await.is(200).value();
        assert_eq!(undone["state"], "open");
        for (id, before) in [(&kept, &kept_before), (&gone, &gone_before)] {
            let now = read(house, id).await;
            assert_eq!(now["meta"]["versionId"], "3");
            assert_eq!(said(now), *before);
        }
        assert_eq!(ids(&kept).await, of(&[&kept, &own]));
        assert_eq!(found(&format!("patient={kept}")).await, of(&[&own]));
        for subject in [&keeper, &replaced] {
            let acts = acts(house, subject).await;
            assert!(acts.contains("identity-unmerge"), "{acts}");
        }
    });
}

#[test]
fn what_was_changed_since_is_not_undone() {
    run(async |house| {
        let kept = new_patient(house, "Since").await;
        let gone = new_patient(house, "Since").await;
        let asked = item(house, "open", &kept).await;
        let keep = same(&subject_of(&asked, &kept));
        decide(house, &asked, &keep).await.is(200);
        let patch = json!([{"op": "add", "path": "/birthDate", "value": "2019-03-05"}]);
        let call = Call::patch(format!("/fhir/Patient/{gone}"))
            .bytes("application/json-patch+json", patch.to_string());
        by_clinician(house, call).send(house).await.is(200);
        undo(house, &asked).await.is(409);
        let now = read(house, &gone).await;
        assert_eq!(
            (&now["birthDate"], &now["active"]),
            (&json!("2019-03-05"), &json!(false))
        );
        // Links lead to one end: who was replaced replaces nobody.
        let third = new_patient(house, "Since").await;
        let found = items(house, "open", &third).await;
        assert_eq!(found.len(), 2);
        let with_gone = found
            .iter()
            .find(|item| item["patients"].to_string().contains(&gone))
            .unwrap();
        let backwards = same(&subject_of(with_gone, &gone));
        decide(house, with_gone, &backwards).await.is(409);
        let twice = same(&subject_of(with_gone, &third));
        decide(house, with_gone, &twice).await.is(409);
    });
}

#[test]
fn an_erasure_takes_its_items_along() {
    run(async |house| {
        let one = new_patient(house, "Erasing").await;
        let other = new_patient(house, "Erasing").await;
        let asked = item(house, "open", &one).await;
        let (kept, erased) = (subject_of(&asked, &one), subject_of(&asked, &other));
        decide(house, &asked, &same(&kept)).await.is(200);
        Call::delete(format!("/v1/subjects/{erased}"))
            .bearer(&house.staff.privacy)
            .send(house)
            .await
            .is(200);
        assert_eq!(items(house, "open", &one).await, Vec::<Value>::new());
        assert_eq!(items(house, "decided", &one).await, Vec::<Value>::new());
        undo(house, &asked).await.is(404);
        let all = get(house, &format!("/Patient/{one}/$everything")).await;
        assert_eq!(all.is(200).value()["total"], 1);
        // Whoever comes later with that identifier is asked about, and only beside who is there.
        let third = new_patient(house, "Erasing").await;
        let asked = item(house, "open", &third).await;
        assert!(asked["patients"].to_string().contains(&one));
    });
}

#[test]
fn of_two_who_decide_at_once_one_does() {
    run(async |house| {
        let one = new_patient(house, "Decided").await;
        let other = new_patient(house, "Decided").await;
        let asked = item(house, "open", &one).await;
        let (mine, theirs) = (
            same(&subject_of(&asked, &one)),
            same(&subject_of(&asked, &other)),
        );
        let both = tokio::join!(decide(house, &asked, &mine), decide(house, &asked, &theirs));
        let mut statuses = [both.0.status, both.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        let decided = item(house, "decided", &one).await;
        let (kept, gone) = match decided["kept"] == mine["keep"] {
            true => (&one, &other),
            false => (&other, &one),
        };
        assert_eq!(read(house, kept).await["link"][0]["type"], "replaces");
        assert_eq!(read(house, gone).await["link"][0]["type"], "replaced-by");
        for id in [kept, gone] {
            assert_eq!(read(house, id).await["meta"]["versionId"], "2");
        }
        let acts = acts(house, &subject_of(&decided, &one)).await;
        assert_eq!(acts.matches("identity-merge").count(), 1);
    });
}

/// Two that come at once find each other, and one door knows what came in by the other.
#[test]
fn at_once_and_by_the_other_door() {
    run(async |house| {
        let (one, other) = tokio::join!(new_patient(house, "Twins"), new_patient(house, "Twins"));
        let asked = item(house, "open", &one).await;
        assert_ne!(subject_of(&asked, &one), subject_of(&asked, &other));
        let family = newborn(house).await;
        let deposited = Call::post(family.path("/records"))
            .bearer(&house.staff.clinician)
            .fhir(&patient("Twins"))
            .send(house)
            .await
            .is(201);
        let third = deposited.field("record");
        let found = items(house, "open", &third).await;
        assert_eq!(found.len(), 2);
        for item in &found {
            assert_eq!(subject_of(item, &third), family.subject);
        }
    });
}

#[test]
fn what_a_laboratory_sends_never_lands_in_the_wrong_compartment() {
    run(async |house| {
        let laboratory = crate::house::Person::staff(house, "labo-9", &[Role::Laboratory]);
        let laboratory = house.tokens(&[laboratory]).remove(0);
        let there = new_patient(house, "Specimen").await;
        let send = |condition: Option<&str>| {
            let mut entries = json!([
                {"fullUrl": "urn:uuid:6f2a3c4e-0000-4000-8000-000000000001", "resource": patient("Specimen"),
                 "request": {"method": "POST", "url": "Patient"}},
                {"resource": {"resourceType": "Observation", "status": "final",
                    "code": {"text": "Hb"}, "subject": {"reference": "urn:uuid:6f2a3c4e-0000-4000-8000-000000000001"}},
                 "request": {"method": "POST", "url": "Observation"}},
            ]);
            if let Some(condition) = condition {
                entries[0]["request"]["ifNoneExist"] = json!(condition);
            }
            let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
            Call::post("/fhir")
                .bearer(&laboratory)
                .header("host", "fhir.example")
                .fhir(&bundle)
        };
        let count = async |patient: &str| {
            let path = format!("/Observation?patient={patient}&_summary=count");
            get(house, &path).await.is(200).value()["total"].clone()
        };
        // It said that it sends a new child: that is what it is, until the desk has said who.
        send(None).send(house).await.is(200);
        let asked = item(house, "open", &there).await;
        let patients = asked["patients"].as_array().unwrap();
        let new = patients.iter().find(|one| one["patient"] != there).unwrap();
        let new = new["patient"].as_str().unwrap().to_owned();
        assert_eq!(
            (count(&there).await, count(&new).await),
            (json!(0), json!(1))
        );
        // It asked for the one child with the identifier, and there are two.
        let condition = "identifier=http://example.org/mrn|Specimen";
        let several = send(Some(condition)).send(house).await;
        assert_eq!(several.is(412).class(), "multiple-matches");
        let keep = same(&subject_of(&asked, &there));
        decide(house, &asked, &keep).await.is(200);
        send(Some(condition)).send(house).await.is(412);
        // It stays where it is; who asks for the one that is kept finds it through the link.
        assert_eq!(
            (count(&there).await, count(&new).await),
            (json!(1), json!(1))
        );
    });
}
