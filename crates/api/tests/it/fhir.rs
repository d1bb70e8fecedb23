//! FHIR over HTTP: what clients of other servers expect, and what toy servers miss.

use crate::{
    families::newborn,
    house::{House, run},
    spy::MARKER,
    wire::{Answer, Call},
};
use serde_json::{Value, json};

mod bundles;
mod clients;
mod consents;
mod exporting;
mod identity;
mod scoped;
mod searching;
mod views;

/// A patient whom nobody else searches for.
fn patient(family: &str) -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [{"system": "http://example.org/mrn", "value": family}],
        "name": [{"family": family, "given": [MARKER]}],
        "gender": "female",
        "birthDate": "2019-03-04",
    })
}

fn observation(patient: &str, code: &str, value: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}]}},"subject":{{"reference":"Patient/{patient}"}},"effectiveDateTime":"2024-05-06T07:08:09Z","valueQuantity":{{"value":{value},"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}}}}"#
    )
}

/// A request by a clinician.
fn by_clinician(house: &House, call: Call) -> Call {
    call.bearer(&house.staff.clinician)
        .header("host", "fhir.example")
}

async fn created(house: &House, resource: &Value) -> Answer {
    let kind = resource["resourceType"].as_str().unwrap();
    let call = Call::post(format!("/fhir/{kind}")).fhir(resource);
    by_clinician(house, call).send(house).await.is(201)
}

async fn new_patient(house: &House, family: &str) -> String {
    created(house, &patient(family)).await.field("id")
}

async fn new_observation(house: &House, patient: &str, code: &str, value: &str) -> String {
    let call = Call::post("/fhir/Observation")
        .bytes("application/fhir+json", observation(patient, code, value));
    by_clinician(house, call)
        .send(house)
        .await
        .is(201)
        .field("id")
}

async fn get(house: &House, path: &str) -> Answer {
    by_clinician(house, Call::get(format!("/fhir{path}")))
        .send(house)
        .await
}

#[test]
fn what_was_created_reads_back_to_the_digit() {
    run(async |house| {
        let patient = new_patient(house, "Digit").await;
        let text = observation(&patient, "718-7", "13.500");
        let call = Call::post("/fhir/Observation").bytes("application/fhir+json", text);
        let made = by_clinician(house, call).send(house).await.is(201);
        let id = made.field("id");
        let location = format!("http://fhir.example/fhir/Observation/{id}/_history/1");
        assert_eq!(made.header("location"), location);
        assert_eq!(made.header("etag"), "W/\"1\"");
        let path = format!("/Observation/{id}");
        let read = get(house, &path).await.is(200);
        assert_eq!(read.body, made.body);
        assert!(read.text().contains("\"value\":13.500,"));
        assert_eq!(read.header("etag"), "W/\"1\"");
        assert_eq!(read.header("last-modified"), made.header("last-modified"));
        assert_eq!(read.header("ithaca-disclosure").len(), 32);
        assert_eq!(read.value()["meta"]["versionId"], "1");

        let known = Call::get(format!("/fhir{path}")).header("if-none-match", "W/\"1\"");
        let known = by_clinician(house, known).send(house).await.is(304);
        assert!(known.body.is_empty());
        let other = Call::get(format!("/fhir{path}")).header("if-none-match", "W/\"7\"");
        by_clinician(house, other).send(house).await.is(200);
        let head = by_clinician(house, Call::new("HEAD", format!("/fhir{path}")));
        let head = head.send(house).await.is(200);
        assert!(head.body.is_empty());
        assert_eq!(head.header("etag"), "W/\"1\"");
    });
}

#[test]
fn versions_follow_each_other() {
    run(async |house| {
        let id = new_patient(house, "Version").await;
        let path = format!("/fhir/Patient/{id}");
        let mut second = patient("Version");
        second["id"] = json!(id);
        second["active"] = json!(true);
        let put = |tag: &str| {
            let call = Call::put(&path).fhir(&second);
            by_clinician(house, call.header("if-match", tag))
        };
        put("W/\"7\"").send(house).await.is(412);
        let updated = put("W/\"1\"").send(house).await.is(200);
        assert_eq!(updated.header("etag"), "W/\"2\"");
        put("W/\"1\"").send(house).await.is(412);

        let first = get(house, &format!("/Patient/{id}/_history/1"))
            .await
            .is(200);
        assert_eq!(first.value()["active"], Value::Null);
        get(house, &format!("/Patient/{id}/_history/9"))
            .await
            .is(404);
        let mut other = second.clone();
        other["id"] = json!("another");
        let other = by_clinician(house, Call::put(&path).fhir(&other));
        other.send(house).await.is(422);

        let deleted = by_clinician(house, Call::delete(&path));
        let deleted = deleted.send(house).await.is(204);
        assert_eq!(deleted.header("etag"), "W/\"3\"");
        get(house, &format!("/Patient/{id}")).await.is(410);
        by_clinician(house, Call::delete(&path))
            .send(house)
            .await
            .is(204);
        get(house, &format!("/Patient/{id}/_history/2"))
            .await
            .is(200);
        get(house, &format!("/Patient/{id}/_history/3"))
            .await
            .is(410);

        let again = by_clinician(house, Call::put(&path).fhir(&second));
        let again = again.send(house).await.is(201);
        assert_eq!(again.header("etag"), "W/\"4\"");
        let history = get(house, &format!("/Patient/{id}/_history")).await.is(200);
        let history = history.value();
        assert_eq!(history["type"], "history");
        assert_eq!(history["total"], 4);
        let seen: Vec<(&str, bool)> = history["entry"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                let method = entry["request"]["method"].as_str().unwrap();
                (method, entry.get("resource").is_some())
            })
            .collect();
        let expected = [
            ("PUT", true),
            ("DELETE", false),
            ("PUT", true),
            ("POST", true),
        ];
        assert_eq!(seen, expected);
        let page = get(house, &format!("/Patient/{id}/_history?_count=3"))
            .await
            .is(200);
        let next = next_link(&page.value()).unwrap();
        let rest = get(house, &next).await.is(200).value();
        assert_eq!(rest["entry"].as_array().unwrap().len(), 1);
        assert_eq!(rest["entry"][0]["resource"]["meta"]["versionId"], "1");
    });
}

#[test]
fn clients_choose_ids_once() {
    run(async |house| {
        let put = |family: &str| {
            let mut chosen = patient(family);
            chosen["id"] = json!("chosen-by.Client-1");
            by_clinician(
                house,
                Call::put("/fhir/Patient/chosen-by.Client-1").fhir(&chosen),
            )
        };
        // Two at once: one creates it, the other changes it.
        let (one, other) = tokio::join!(put("Chosen").send(house), put("Chosen").send(house));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 201]);
        let read = get(house, "/Patient/chosen-by.Client-1").await.is(200);
        assert_eq!(read.value()["meta"]["versionId"], "2");
        let found = get(house, "/Patient?identifier=http://example.org/mrn%7CChosen").await;
        assert_eq!(found.is(200).value()["total"], 1);
        // What refers to it finds it.
        let about = observation("chosen-by.Client-1", "718-7", "1");
        let call = Call::post("/fhir/Observation").bytes("application/fhir+json", about);
        by_clinician(house, call).send(house).await.is(201);
        let found = get(house, "/Observation?patient=chosen-by.Client-1").await;
        assert_eq!(found.is(200).value()["total"], 1);
        let bad = by_clinician(house, Call::get("/fhir/Patient/no%20id"));
        bad.send(house).await.is(404);
    });
}

#[test]
fn creation_on_condition() {
    run(async |house| {
        let create = |condition: &str, family: &str| {
            let call = Call::post("/fhir/Patient").fhir(&patient(family));
            by_clinician(house, call.header("if-none-exist", condition))
        };
        let of = |family: &str| format!("identifier=http://example.org/mrn|{family}");
        let (one, other) = tokio::join!(
            create(&of("Once"), "Once").send(house),
            create(&of("Once"), "Once").send(house)
        );
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 201]);
        assert_eq!(one.header("location"), other.header("location"));
        new_patient(house, "Twice").await;
        new_patient(house, "Twice").await;
        let several = create(&of("Twice"), "Twice").send(house).await;
        assert_eq!(several.is(412).class(), "multiple-matches");
        create("nonsense=1", "Once").send(house).await.is(400);
    });
}

#[test]
fn updates_and_deletions_on_condition() {
    run(async |house| {
        let path = "/fhir/Patient?identifier=http://example.org/mrn%7CMatching";
        let put = |active: bool| {
            let mut resource = patient("Matching");
            resource["active"] = json!(active);
            by_clinician(house, Call::put(path).fhir(&resource))
        };
        let id = put(true).send(house).await.is(201).field("id");
        let second = put(false).send(house).await.is(200);
        assert_eq!(second.field("id"), id);
        assert_eq!(second.header("etag"), "W/\"2\"");
        let patch = json!([{"op": "replace", "path": "/active", "value": true}]);
        let call = Call::patch(path).bytes("application/json-patch+json", patch.to_string());
        let patched = by_clinician(house, call).send(house).await.is(200);
        assert_eq!(patched.value()["active"], true);
        assert_eq!(patched.header("etag"), "W/\"3\"");
        by_clinician(house, Call::delete(path))
            .send(house)
            .await
            .is(204);
        get(house, &format!("/Patient/{id}")).await.is(410);
        // Without a condition everybody would be meant.
        by_clinician(house, Call::delete("/fhir/Patient"))
            .send(house)
            .await
            .is(400);
    });
}

#[test]
fn patches_change_what_they_name_and_nothing_else() {
    run(async |house| {
        let patient = new_patient(house, "Patch").await;
        let id = new_observation(house, &patient, "718-7", "13.500").await;
        let path = format!("/fhir/Observation/{id}");
        let patch = |operations: &Value, tag: Option<&str>| {
            let text = operations.to_string();
            let call = Call::patch(&path).bytes("application/json-patch+json", text);
            let call = match tag {
                Some(tag) => call.header("if-match", tag),
                None => call,
            };
            by_clinician(house, call)
        };
        let amend = json!([
            {"op": "test", "path": "/status", "value": "final"},
            {"op": "replace", "path": "/status", "value": "amended"},
        ]);
        patch(&amend, Some("W/\"5\"")).send(house).await.is(412);
        let amended = patch(&amend, Some("W/\"1\"")).send(house).await.is(200);
        assert_eq!(amended.value()["status"], "amended");
        assert!(amended.text().contains("\"value\":13.500,"));
        // The test fails now.
        patch(&amend, None).send(house).await.is(422);
        let to_another =
            json!([{"op": "replace", "path": "/subject/reference", "value": "Patient/other"}]);
        patch(&to_another, None).send(house).await.is(422);
        let call = Call::patch(&path).fhir(&json!([]));
        by_clinician(house, call).send(house).await.is(415);
    });
}

#[test]
fn preferences_of_answers() {
    run(async |house| {
        let create = |prefer: &str| {
            let call = Call::post("/fhir/Patient").fhir(&patient("Prefer"));
            by_clinician(house, call.header("prefer", prefer))
        };
        let minimal = create("return=minimal").send(house).await.is(201);
        assert!(minimal.body.is_empty());
        assert!(minimal.header("location").contains("/Patient/"));
        let outcome = create("return=OperationOutcome").send(house).await.is(201);
        assert_eq!(outcome.value()["resourceType"], "OperationOutcome");
        let whole = create("return=representation").send(house).await.is(201);
        assert_eq!(whole.value()["resourceType"], "Patient");
        let final_answer = create("wait=final").send(house).await.is(201);
        assert_eq!(final_answer.value()["resourceType"], "Patient");
    });
}

#[test]
fn formats_and_paths() {
    run(async |house| {
        let id = new_patient(house, "Format").await;
        let path = format!("/fhir/Patient/{id}");
        let accepting = |media: &str| {
            let call = Call::get(&path).header("accept", media);
            by_clinician(house, call)
        };
        accepting("application/fhir+xml").send(house).await.is(406);
        accepting("text/html, application/fhir+xml")
            .send(house)
            .await
            .is(406);
        accepting("application/fhir+xml, application/fhir+json;q=0.9")
            .send(house)
            .await
            .is(200);
        accepting("application/fhir+json; fhirVersion=4.0")
            .send(house)
            .await
            .is(200);
        get(house, &format!("/Patient/{id}?_format=xml"))
            .await
            .is(406);
        get(house, &format!("/Patient/{id}?_format=json"))
            .await
            .is(200);
        get(
            house,
            &format!("/Patient/{id}?_format=application/fhir%2Bjson"),
        )
        .await
        .is(200);
        let xml = Call::post("/fhir/Patient").bytes("application/fhir+xml", "<Patient/>");
        by_clinician(house, xml).send(house).await.is(415);
        let form = Call::post("/fhir/Patient").bytes("text/plain", "{}");
        by_clinician(house, form).send(house).await.is(415);
        get(house, "/Nonsense/1").await.is(404);
        get(house, "/Patient/1/2/3/4/5").await.is(404);
        let unknown = by_clinician(house, Call::delete("/fhir/metadata"));
        unknown.send(house).await.is(405);
        let wrong = Call::post("/fhir/Observation").fhir(&patient("Format"));
        by_clinician(house, wrong).send(house).await.is(422);
        let broken =
            Call::post("/fhir/Patient").bytes("application/fhir+json", "{\"resourceType\":");
        by_clinician(house, broken).send(house).await.is(422);
        let nobody = Call::get(&path).send(house).await.is(401);
        assert!(nobody.header("www-authenticate").starts_with("Bearer"));
        assert_eq!(nobody.class(), "login");
    });
}

#[test]
fn the_capability_statement_is_for_everyone() {
    run(async |house| {
        let statement = Call::get("/fhir/metadata").header("host", "fhir.example");
        let statement = statement.send(house).await.is(200).value();
        assert_eq!(statement["resourceType"], "CapabilityStatement");
        assert_eq!(statement["fhirVersion"], "4.0.1");
        assert_eq!(
            statement["implementation"]["url"],
            "http://fhir.example/fhir"
        );
        let resources = statement["rest"][0]["resource"].as_array().unwrap();
        let observation = resources
            .iter()
            .find(|r| r["type"] == "Observation")
            .unwrap();
        let named = |name: &str| {
            let parameters = observation["searchParam"].as_array().unwrap();
            parameters.iter().any(|parameter| parameter["name"] == name)
        };
        assert!(named("code") && named("date") && named("patient"));
        // Consent is no document: it is made, revoked and read, and no more is claimed.
        let of = |kind: &str| {
            let interactions = resources.iter().find(|r| r["type"] == kind).unwrap();
            interactions["interaction"].to_string()
        };
        assert!(of("Observation").contains("patch") && !of("Consent").contains("patch"));
        assert!(of("Consent").contains("create") && !of("Consent").contains("history"));
        let xml = Call::get("/fhir/metadata").header("accept", "application/fhir+xml");
        xml.send(house).await.is(406);
    });
}

/// What was deposited by the node's own interface is there for FHIR clients too.
#[test]
fn one_house_two_doors() {
    run(async |house| {
        let family = newborn(house).await;
        let deposited = Call::post(family.path("/records"))
            .bearer(&house.staff.clinician)
            .fhir(&patient("Doors"))
            .send(house)
            .await
            .is(201);
        let id = deposited.field("record");
        get(house, &format!("/Patient/{id}")).await.is(200);
        let observation = new_observation(house, &id, "718-7", "2").await;
        let listed = Call::get(family.path("/records"))
            .query("purpose=TREAT")
            .bearer(&house.staff.clinician)
            .send(house)
            .await
            .is(200);
        assert!(listed.text().contains(&observation));
        // Whoever looks over FHIR is in the family's list.
        let disclosure = get(house, &format!("/Observation/{observation}")).await;
        let disclosure = disclosure.is(200).header("ithaca-disclosure").to_owned();
        let parent = house
            .tokens(&[house.controller(&family.subject, 0)])
            .remove(0);
        let seen = Call::get(family.path("/disclosures"))
            .bearer(&parent)
            .send(house)
            .await
            .is(200);
        assert!(seen.text().contains(&disclosure), "{}", seen.text());
    });
}

/// The address of the next page below `/fhir`.
fn next_link(bundle: &Value) -> Option<String> {
    let links = bundle["link"].as_array()?;
    let next = links.iter().find(|link| link["relation"] == "next")?;
    let url = next["url"].as_str()?;
    Some(
        url.strip_prefix("http://fhir.example/fhir")
            .unwrap()
            .to_owned(),
    )
}
