//! Searching: pages, links, what is included, what is understood.

use super::{by_clinician, created, get, new_observation, new_patient, next_link, patient};
use crate::{house::run, wire::Call};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn ids(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let id = |entry: &Value| entry["resource"]["id"].as_str().unwrap().to_owned();
    entries.iter().map(id).collect()
}

#[test]
fn pages_hold_everything_once() {
    run(async |house| {
        let patient = new_patient(house, "Pages").await;
        let mut made = BTreeSet::new();
        for at in 0..7 {
            made.insert(new_observation(house, &patient, "718-7", &at.to_string()).await);
        }
        new_observation(house, &patient, "4548-4", "9").await;
        for sort in ["", "&_sort=-date", "&_sort=value-quantity"] {
            let mut path = format!("/Observation?patient={patient}&code=718-7&_count=3{sort}");
            let mut seen = Vec::new();
            let mut pages = 0;
            loop {
                let page = get(house, &path).await.is(200).value();
                seen.extend(ids(&page));
                pages += 1;
                match next_link(&page) {
                    Some(next) => path = next,
                    None => break,
                }
            }
            assert_eq!(pages, 3, "{sort}");
            assert_eq!(seen.len(), 7, "{sort}");
            assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), made, "{sort}");
        }
        let path = format!("/Observation?patient={patient}&_summary=count");
        let counted = get(house, &path).await.is(200).value();
        assert_eq!(counted["total"], 8);
        assert!(ids(&counted).is_empty());
        let path = format!("/Observation?patient={patient}&_count=2&_total=accurate");
        let page = get(house, &path).await.is(200).value();
        assert_eq!((page["total"].clone(), ids(&page).len()), (json!(8), 2));
        let broken = format!("/Observation?patient={patient}&_after=nonsense");
        get(house, &broken).await.is(400);
    });
}

#[test]
fn values_are_sorted_by_what_they_say() {
    run(async |house| {
        let patient = new_patient(house, "Sorted").await;
        let mut made = Vec::new();
        for value in ["10", "9", "100.0"] {
            made.push(new_observation(house, &patient, "718-7", value).await);
        }
        let path = format!("/Observation?patient={patient}&_sort=value-quantity");
        let found = ids(&get(house, &path).await.is(200).value());
        assert_eq!(found, [&made[1], &made[0], &made[2]].map(String::clone));
        let path = format!("/Observation?patient={patient}&value-quantity=gt9.5");
        let found: BTreeSet<_> = ids(&get(house, &path).await.is(200).value())
            .into_iter()
            .collect();
        assert_eq!(found, BTreeSet::from([made[0].clone(), made[2].clone()]));
    });
}

#[test]
fn what_is_not_understood() {
    run(async |house| {
        new_patient(house, "Lenient").await;
        let path = "/Patient?family=Lenient&favourite-colour=blue";
        let lenient = get(house, path).await.is(200).value();
        let this = lenient["link"][0]["url"].as_str().unwrap();
        assert!(!this.contains("colour"), "{this}");
        assert_eq!(lenient["total"], 1);
        let modes: Vec<&str> = lenient["entry"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["search"]["mode"].as_str().unwrap())
            .collect();
        assert_eq!(modes, ["match", "outcome"]);
        let strict = Call::get(format!("/fhir{path}")).header("prefer", "handling=strict");
        by_clinician(house, strict).send(house).await.is(400);
        get(house, "/Patient?birthdate=yesterday").await.is(400);
        get(house, "/Patient?family:nonsense=x").await.is(400);
        get(house, "/Patient?_count=many").await.is(400);
    });
}

#[test]
fn references_of_every_form_match() {
    run(async |house| {
        let patient = new_patient(house, "Forms").await;
        let id = new_observation(house, &patient, "718-7", "1").await;
        for reference in [
            format!("patient={patient}"),
            format!("patient=Patient/{patient}"),
            format!("subject=Patient/{patient}"),
            format!("subject:Patient={patient}"),
            format!("subject=http://fhir.example/fhir/Patient/{patient}"),
            "patient.identifier=http://example.org/mrn%7CForms".to_owned(),
            "subject:Patient.family=Forms".to_owned(),
        ] {
            let path = format!("/Observation?{reference}&code=http://loinc.org%7C718-7");
            let found = get(house, &path).await.is(200).value();
            assert_eq!(ids(&found), std::slice::from_ref(&id), "{reference}");
        }
        let has = get(
            house,
            "/Patient?family=Forms&_has:Observation:patient:code=718-7",
        )
        .await;
        assert_eq!(ids(&has.is(200).value()), std::slice::from_ref(&patient));
        let has = get(
            house,
            "/Patient?family=Forms&_has:Observation:patient:code=4548-4",
        )
        .await;
        assert!(ids(&has.is(200).value()).is_empty());
        let within = get(house, &format!("/Patient/{patient}/Observation?code=718-7")).await;
        assert_eq!(ids(&within.is(200).value()), std::slice::from_ref(&id));
        // In a form, so that it stands in no log of addresses.
        let form = format!("patient={patient}&code=718-7");
        let form = Call::post("/fhir/Observation/_search")
            .bytes("application/x-www-form-urlencoded", form);
        let found = by_clinician(house, form).send(house).await.is(200).value();
        assert_eq!(ids(&found), [id]);
    });
}

#[test]
fn what_is_included_is_marked_and_not_counted() {
    run(async |house| {
        let clinic = json!({"resourceType": "Organization", "name": "Included clinic"});
        let organization = created(house, &clinic).await.field("id");
        let mut with = patient("Included");
        with["managingOrganization"] = json!({"reference": format!("Organization/{organization}")});
        let patient = created(house, &with).await.field("id");
        new_observation(house, &patient, "718-7", "1").await;
        let path = format!(
            "/Observation?patient={patient}&_include=Observation:patient&_include:iterate=Patient:organization"
        );
        let found = get(house, &path).await.is(200).value();
        assert_eq!(found["total"], 1);
        let modes: Vec<(&str, &str)> = found["entry"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                let kind = entry["resource"]["resourceType"].as_str().unwrap();
                (kind, entry["search"]["mode"].as_str().unwrap())
            })
            .collect();
        let expected = [
            ("Observation", "match"),
            ("Patient", "include"),
            ("Organization", "include"),
        ];
        assert_eq!(modes, expected);
        let path = format!("/Patient?_id={patient}&_revinclude=Observation:patient");
        let found = get(house, &path).await.is(200).value();
        assert_eq!(found["total"], 1);
        assert_eq!(ids(&found).len(), 2);
        assert_eq!(found["entry"][1]["search"]["mode"], "include");
    });
}

#[test]
fn parts_are_marked_as_parts() {
    run(async |house| {
        let id = new_patient(house, "Parts").await;
        let summary = get(house, &format!("/Patient?_id={id}&_elements=birthDate")).await;
        let summary = summary.is(200).value();
        let resource = &summary["entry"][0]["resource"];
        assert_eq!(resource["birthDate"], "2019-03-04");
        assert_eq!(resource["gender"], Value::Null);
        assert_eq!(resource["meta"]["tag"][0]["code"], "SUBSETTED");
        let read = get(house, &format!("/Patient/{id}?_elements=gender"))
            .await
            .is(200)
            .value();
        assert_eq!(
            (&read["gender"], &read["birthDate"]),
            (&json!("female"), &Value::Null)
        );
    });
}

#[test]
fn everything_of_a_patient() {
    run(async |house| {
        let (one, other) = (
            new_patient(house, "AllA").await,
            new_patient(house, "AllB").await,
        );
        let mut made = BTreeSet::from([one.clone()]);
        for at in 0..4 {
            made.insert(new_observation(house, &one, "718-7", &at.to_string()).await);
        }
        new_observation(house, &other, "718-7", "1").await;
        let mut path = format!("/Patient/{one}/$everything?_count=2");
        let mut seen = BTreeSet::new();
        loop {
            let page = get(house, &path).await.is(200).value();
            seen.extend(ids(&page));
            match next_link(&page) {
                Some(next) => path = next,
                None => break,
            }
        }
        assert_eq!(seen, made);
        let typed = get(house, &format!("/Patient/{one}/$everything?_type=Patient")).await;
        assert_eq!(ids(&typed.is(200).value()), [one]);
        get(house, "/Patient/nobody/$everything").await.is(404);
    });
}
