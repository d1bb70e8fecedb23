//! What the node itself knows, over FHIR: who wrote, who looked, what was agreed to.

use super::{
    by_clinician,
    consents::{Child, child},
    get, new_observation, new_patient, next_link, observation,
};
use crate::{
    families::delay,
    house::{House, Person, run},
    wire::{Answer, Call},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use consent::Role;
use serde_json::{Value, json};

/// A request under `/fhir` by whoever has the token.
async fn ask(house: &House, token: &str, path: &str) -> Answer {
    let call = Call::get(format!("/fhir{path}")).bearer(token);
    call.header("host", "fhir.example").send(house).await
}

/// What an id is called that leads to a compartment.
fn spelled(own: &str, subject: &str) -> String {
    let bytes = format!("{own}{subject}");
    let bytes: Vec<u8> = (0..bytes.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&bytes[at..at + 2], 16).unwrap())
        .collect();
    STANDARD.encode(bytes).replace('+', "-").replace('/', ".")
}

fn resources(bundle: &Value) -> Vec<Value> {
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let resources = entries.into_iter().map(|entry| entry["resource"].clone());
    resources.collect()
}

fn ids(bundle: &Value) -> Vec<String> {
    let all = resources(bundle);
    let ids = all
        .iter()
        .map(|resource| resource["id"].as_str().unwrap().to_owned());
    ids.collect()
}

async fn put_final(house: &House, path: &str, text: String) -> Answer {
    let call = Call::put(format!("/fhir{path}")).bytes("application/fhir+json", text);
    by_clinician(house, call.wait()).send(house).await
}

#[test]
fn a_provenance_carries_the_receipt() {
    run(async |house| {
        let patient = new_patient(house, "Provenance").await;
        let chosen = "/Observation/chosen-for.Provenance";
        let mut text = observation(&patient, "718-7", "1");
        text.insert_str(1, r#""id":"chosen-for.Provenance","#);
        put_final(house, chosen, text.clone()).await.is(201);
        let amended = text.replace(r#""value":1,"#, r#""value":2,"#);
        put_final(house, chosen, amended).await.is(200);

        let found = get(
            house,
            "/Provenance?target=Observation/chosen-for.Provenance",
        )
        .await;
        let found = found.is(200).value();
        assert_eq!(found["total"], 2);
        let newest_first = resources(&found);
        let targets: Vec<&str> = newest_first
            .iter()
            .map(|one| one["target"][0]["reference"].as_str().unwrap())
            .collect();
        let versions = ["_history/2", "_history/1"].map(|n| format!("{}/{n}", &chosen[1..]));
        assert_eq!(targets, versions);
        assert_eq!(
            newest_first[0]["activity"]["coding"][0]["code"], "UPDATE",
            "{found}"
        );
        assert_eq!(newest_first[0]["entity"][0]["role"], "revision");
        assert_eq!(
            newest_first[1]["activity"]["coding"][0]["code"], "CREATE",
            "{found}"
        );

        // Each is read by its id, and its receipt holds for exactly this version.
        let mut commitments = Vec::new();
        for one in &newest_first {
            let id = one["id"].as_str().unwrap();
            assert!(fhir::is_id(id), "{id}");
            let read = get(house, &format!("/Provenance/{id}")).await.is(200);
            // The proof is of the newest block each time.
            let but_proof = |one: &Value| {
                let mut one = one.clone();
                one["signature"][0]["data"].take();
                one
            };
            assert_eq!(but_proof(&read.value()), but_proof(one));
            assert_eq!(read.header("ithaca-disclosure").len(), 32);
            let signature = &one["signature"][0];
            assert_eq!(signature["sigFormat"], "application/cbor");
            let receipt = STANDARD
                .decode(signature["data"].as_str().unwrap())
                .unwrap();
            let verdict = node::verify::receipt(&receipt, &house.genesis, None).unwrap();
            assert!(!verdict.leaf_opened);
            assert_eq!(verdict.custodian, house.institution);
            commitments.push(verdict.commitment);
        }
        assert_ne!(commitments[0], commitments[1]);

        let one = get(house, &format!("/Provenance?target={}", versions[1])).await;
        assert_eq!(ids(&one.is(200).value()), ids(&found)[1..]);
        // Paged, and counted, like what is stored.
        let path = format!("/Provenance?target={}&_count=1", &chosen[1..]);
        let page = get(house, &path).await.is(200).value();
        assert_eq!(ids(&page), ids(&found)[..1]);
        let rest = get(house, &next_link(&page).unwrap()).await.is(200).value();
        assert_eq!(ids(&rest), ids(&found)[1..]);
        let path = format!("/Provenance?target={}&_summary=count", &chosen[1..]);
        let count = get(house, &path).await.is(200).value();
        assert_eq!((&count["total"], resources(&count).len()), (&json!(2), 0));

        // What a client says of a resource stands beside what the node knows.
        let said = json!({
            "resourceType": "Provenance",
            "target": [{"reference": &chosen[1..]}],
            "recorded": "2026-01-01T00:00:00Z",
            "agent": [{"who": {"display": "an analyser"}}],
        });
        let said = super::created(house, &said).await.field("id");
        let both = get(house, &format!("/Provenance?target={}", &chosen[1..])).await;
        let both = both.is(200).value();
        assert_eq!(both["total"], 3);
        assert_eq!(ids(&both)[..2], ids(&found));
        assert_eq!(ids(&both)[2], said);
        get(house, &format!("/Provenance/{said}")).await.is(200);
        // Nobody writes, or finds older versions of, what is made.
        let made = format!("/Provenance/{}", newest_first[0]["id"].as_str().unwrap());
        put_final(house, &made, newest_first[0].to_string())
            .await
            .is(422);
        by_clinician(house, Call::delete(format!("/fhir{made}")))
            .send(house)
            .await
            .is(422);
        get(house, &format!("{made}/_history")).await.is(404);
        let record = newest_first[0]["id"].as_str().unwrap().split('-').nth(1);
        for version in ["0", "3", "01"] {
            let none = format!("/Provenance/w-{}-{version}", record.unwrap());
            get(house, &none).await.is(404);
        }
    });
}

#[test]
fn a_provenance_is_read_like_what_it_is_of() {
    run(async |house| {
        let (own, other) = (
            child(house, "ProvenanceOwn").await,
            child(house, "ProvenanceOther").await,
        );
        let target =
            |child: &Child| format!("/Provenance?target=Observation/{}", child.observation);
        let id = |child: &Child| format!("/Provenance/w-{}-1", child.observation);
        let seen = ask(house, &own.parent, &target(&own)).await.is(200).value();
        assert_eq!(ids(&seen), [&id(&own)[12..]]);
        ask(house, &own.parent, &id(&own)).await.is(200);
        let nothing = ask(house, &own.parent, &target(&other)).await;
        assert_eq!(ids(&nothing.is(200).value()), [""; 0]);
        ask(house, &own.parent, &id(&other)).await.is(404);
        let researcher = Person::staff(house, "provenance-researcher", &[Role::Researcher]);
        let researcher = house.tokens(&[researcher]).remove(0);
        for path in [target(&own), id(&own)] {
            let refused = ask(house, &researcher, &path).await;
            assert_eq!(refused.is(403).class(), "consent-denied");
        }
        // Both of its looks, refused, are in the trail; so is the family's own.
        let trail = ask(house, &own.parent, "/AuditEvent").await.is(200).text();
        assert_eq!(trail.matches("provenance-researcher").count(), 2, "{trail}");

        // What was deleted was written too.
        let gone = new_observation(house, &own.patient, "718-7", "9").await;
        by_clinician(house, Call::delete(format!("/fhir/Observation/{gone}")))
            .send(house)
            .await
            .is(204);
        let seen = get(house, &format!("/Provenance?target=Observation/{gone}")).await;
        let seen = seen.is(200).value();
        let activity = &resources(&seen)[0]["activity"]["coding"][0]["code"];
        assert_eq!(activity, "DELETE", "{seen}");
    });
}

#[test]
fn audit_events_are_the_disclosures() {
    run(async |house| {
        let (own, other) = (
            child(house, "AuditOwn").await,
            child(house, "AuditOther").await,
        );
        let read = get(house, &format!("/Observation/{}", own.observation)).await;
        let read = read.is(200).header("ithaca-disclosure").to_owned();
        get(house, &format!("/Observation?patient={}", own.patient))
            .await
            .is(200);
        let researcher = Person::staff(house, "audit-researcher", &[Role::Researcher]);
        let researcher = house.tokens(&[researcher]).remove(0);
        let path = format!("/Observation/{}", own.observation);
        ask(house, &researcher, &path).await.is(403);

        // The same as in the list, the newest first.
        let list = Call::get(format!("/v1/subjects/{}/disclosures", own.subject));
        let list = list.bearer(&own.parent).send(house).await.is(200).value();
        let listed: Vec<String> = list["disclosures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| spelled(one["disclosure"].as_str().unwrap(), &own.subject))
            .collect();
        let seen = ask(house, &own.parent, "/AuditEvent").await.is(200).value();
        let mut sorted = (ids(&seen), listed);
        sorted.0.sort();
        sorted.1.sort();
        assert_eq!(sorted.0, sorted.1);
        let times: Vec<String> = resources(&seen)
            .iter()
            .map(|one| one["recorded"].as_str().unwrap().to_owned())
            .collect();
        assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
        let name = spelled(&read, &own.subject);
        let mut events = resources(&seen).into_iter();
        let event = events.find(|one| one["id"] == *name).unwrap();
        assert_eq!(event["outcome"], "0");
        let entities = event["entity"].to_string();
        assert!(
            entities.contains(&format!("Patient/{}", own.patient)),
            "{event}"
        );
        assert!(entities.contains(&path[1..]), "{event}");
        let refused = resources(&seen);
        let refused: Vec<&Value> = refused.iter().filter(|one| one["outcome"] == "4").collect();
        assert_eq!(refused.len(), 1);
        assert!(refused[0]["outcomeDesc"].as_str().unwrap().len() > 8);

        // By id: as the header of the reading names it, and as it is called for all.
        let by_header = ask(house, &own.parent, &format!("/AuditEvent/{read}")).await;
        assert_eq!(by_header.is(200).value(), event);
        let whole = format!("/AuditEvent/{name}");
        assert_eq!(ask(house, &own.parent, &whole).await.is(200).value(), event);
        let logged = ask(house, &house.staff.privacy, &whole).await.is(200);
        assert_eq!(logged.header("ithaca-disclosure").len(), 32);
        ask(house, &other.parent, &whole).await.is(403);
        ask(house, &other.parent, &format!("/AuditEvent/{read}"))
            .await
            .is(404);
        get(house, &whole).await.is(403);

        // Searches by patient, by entity, by time; in pages.
        let by = |query: &str| format!("/AuditEvent?{query}");
        let patient = format!("patient=Patient/{}", own.patient);
        // One more: the privacy officer's.
        let seen = ask(house, &own.parent, "/AuditEvent").await.is(200).value();
        let all = ids(&seen).len();
        let found = ask(house, &own.parent, &by(&patient)).await.is(200).value();
        assert_eq!((ids(&found).len(), &found["total"]), (all, &json!(all)));
        let entity = by(&format!("entity=Patient/{}", own.patient));
        let found = ask(house, &own.parent, &entity).await.is(200).value();
        assert_eq!(ids(&found), ids(&seen));
        let past = ask(house, &own.parent, &by("date=lt2020-01-01")).await;
        assert_eq!(past.is(200).value()["total"], 0);
        let now = ask(house, &own.parent, &by("date=ge2020-01-01")).await;
        assert_eq!(ids(&now.is(200).value()), ids(&seen));
        let mut paged = Vec::new();
        let mut next = Some(by("_count=2"));
        while let Some(path) = next.take() {
            assert!(paged.len() <= all, "{paged:?}");
            let page = ask(house, &own.parent, &path).await.is(200).value();
            assert!(ids(&page).len() <= 2);
            paged.extend(ids(&page));
            next = next_link(&page);
        }
        assert_eq!(paged, ids(&seen));
        let oldest_first = ask(house, &own.parent, &by("_sort=date")).await;
        oldest_first.is(400);

        // Who may not list disclosures may not see them so either.
        ask(house, &other.parent, &by(&patient)).await.is(403);
        get(house, &by(&patient)).await.is(403);
        ask(house, &house.staff.desk, &by(&patient)).await.is(403);
        ask(house, &house.staff.privacy, &by("date=ge2020-01-01"))
            .await
            .is(400);
        ask(house, &house.staff.privacy, &by(&patient))
            .await
            .is(200);
        // Whose look is logged itself.
        let after = ask(house, &own.parent, "/AuditEvent").await.is(200).text();
        assert!(after.contains("disclosure-list"), "{after}");
    });
}

#[test]
fn a_delayed_event_is_shown_to_none_who_are_not_to_see_it() {
    run(async |house| {
        let child = child(house, "AuditDelayed").await;
        let read = get(house, &format!("/Observation/{}", child.observation)).await;
        let read = read.is(200).header("ithaca-disclosure").to_owned();
        let path = format!("/v1/subjects/{}/disclosures/{read}/delay", child.subject);
        let name = spelled(&read, &child.subject);
        let seen = async |token: &str| {
            let path = format!("/AuditEvent?patient={}", child.patient);
            let list = ask(house, token, &path).await.is(200).text();
            let one = format!("/AuditEvent/{name}");
            (list.contains(&name), ask(house, token, &one).await.status)
        };
        let propose = Call::post(&path).bearer(&house.staff.nurse).json(&delay());
        propose.send(house).await.is(201);
        assert_eq!(seen(&child.parent).await, (true, 200));
        let approve = Call::post(format!("{path}/approve")).bearer(&house.staff.approver);
        approve.send(house).await.is(200);
        assert_eq!(seen(&child.parent).await, (false, 404));
        assert_eq!(seen(&house.staff.privacy).await, (true, 200));
    });
}

fn codes(system: &str, codes: &[&str]) -> Value {
    let coding = codes
        .iter()
        .map(|code| json!({"system": system, "code": code}));
    coding.collect()
}

/// A Consent that permits an institution to read some of a patient's record, for treatment.
fn consent(patient: &str, to: &str) -> Value {
    let concept = |system: &str, code: &str| json!({"coding": codes(system, &[code])});
    json!({
        "resourceType": "Consent",
        "status": "active",
        "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [concept("http://loinc.org", "59284-0")],
        "patient": {"reference": format!("Patient/{patient}")},
        "policy": [{"uri": "urn:ithaca:consent:grant"}],
        "provision": {
            "type": "permit",
            "period": {"start": "2020-01-01", "end": "2089-12-31"},
            "actor": [{
                "role": concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "PRCP"),
                "reference": {"identifier": {"system": "urn:ithaca:institution", "value": to}},
            }],
            "action": [concept("http://terminology.hl7.org/CodeSystem/consentaction", "access")],
            "purpose": codes("http://terminology.hl7.org/CodeSystem/v3-ActReason", &["TREAT"]),
            "class": codes("urn:ithaca:category", &["phenotype", "laboratory"]),
        },
    })
}

fn by_desk(house: &House, call: Call) -> Call {
    call.bearer(&house.staff.desk)
        .header("host", "fhir.example")
}

async fn send_consent(house: &House, consent: &Value) -> Answer {
    let call = Call::post("/fhir/Consent").fhir(consent);
    by_desk(house, call.wait()).send(house).await
}

#[test]
fn a_consent_is_a_grant() {
    run(async |house| {
        let child = child(house, "ConsentGrant").await;
        let to = house.elsewhere.to_string();
        let sent = consent(&child.patient, &to);
        let made = send_consent(house, &sent).await.is(201);
        let id = made.field("id");
        assert!(fhir::is_id(&id), "{id}");
        let location = made.header("location").to_owned();
        let path = format!("/Consent/{id}");
        let read = ask(house, &house.staff.desk, &path).await.is(200);
        assert_eq!(read.body, made.body);
        let at = location.strip_prefix("http://fhir.example/fhir").unwrap();
        ask(house, &house.staff.desk, at).await.is(200);

        // It is the grant that the ledger holds, and no document.
        let state = Call::get(format!("/v1/subjects/{}/consent", child.subject));
        let state = state.bearer(&house.staff.desk).send(house).await.is(200);
        let grant = made.value()["identifier"][0]["value"].clone();
        assert!(
            state.text().contains(grant.as_str().unwrap()),
            "{}",
            state.text()
        );
        assert_eq!(made.value()["meta"]["tag"], Value::Null);
        // Sent again it is the same.
        let again = send_consent(house, &sent).await.is(200);
        assert_eq!(again.field("id"), id);
        let after = Call::get(format!("/v1/subjects/{}/consent", child.subject));
        let after = after.bearer(&house.staff.desk).send(house).await.is(200);
        assert_eq!(after.value()["latest"], state.value()["latest"]);
        assert_ne!(after.value()["latest"], Value::Null);
        let back = by_desk(house, Call::put(format!("/fhir{path}")).fhir(&made.value()));
        back.send(house).await.is(200);

        // Found by whom it is about, for those who may see what was agreed to.
        let found = format!("/Consent?patient={}", child.patient);
        for token in [&house.staff.desk, &house.staff.privacy, &child.parent] {
            let found = ask(house, token, &found).await.is(200).value();
            assert_eq!(ids(&found), [id.as_str()]);
        }
        let own = ask(house, &child.parent, "/Consent?status=active").await;
        assert_eq!(ids(&own.is(200).value()), [id.as_str()]);
        let grant = format!("/Consent/{}", grant.as_str().unwrap());
        ask(house, &child.parent, &grant).await.is(200);
        get(house, &found).await.is(403);
        get(house, &path).await.is(403);
        let other = super::consents::child(house, "ConsentNot").await;
        ask(house, &other.parent, &found).await.is(403);
        ask(house, &other.parent, &path).await.is(403);
        ask(house, &other.parent, &grant).await.is(404);
        ask(house, &house.staff.desk, "/Consent").await.is(400);
        let everything = format!("/Patient/{}/$everything", child.patient);
        let everything = get(house, &everything).await.is(200).text();
        assert!(!everything.contains("\"Consent\""));

        // Other terms under the same id are refused; revoked it is inactive at once, and stays to be read.
        let mut wider = made.value();
        wider["provision"]["provision"][0]["class"].take();
        wider["provision"]["provision"][0]
            .as_object_mut()
            .unwrap()
            .remove("class");
        let put = |resource: &Value, tag: &str| {
            let call = Call::put(format!("/fhir{path}")).fhir(resource);
            by_desk(house, call.header("if-match", tag))
        };
        let tag = made.header("etag").to_owned();
        put(&wider, &tag).send(house).await.is(422);
        let mut over = made.value();
        over["status"] = json!("entered-in-error");
        put(&over, "W/\"9\"").send(house).await.is(412);
        let revoked = put(&over, &tag).send(house).await.is(200);
        assert_eq!(revoked.value()["status"], "inactive");
        let gone = ask(house, &child.parent, "/Consent?status=active").await;
        assert_eq!(ids(&gone.is(200).value()), [""; 0]);
        let read = ask(house, &child.parent, &path).await.is(200);
        assert_eq!(read.value()["status"], "inactive");
        by_desk(house, Call::delete(format!("/fhir{path}")))
            .send(house)
            .await
            .is(204);
        // A deletion is a revocation too.
        let made = send_consent(house, &sent).await.is(201).field("id");
        by_desk(house, Call::delete(format!("/fhir/Consent/{made}")))
            .send(house)
            .await
            .is(204);
        let read = ask(house, &child.parent, &format!("/Consent/{made}")).await;
        assert_eq!(read.is(200).value()["status"], "inactive");
    });
}

#[test]
fn what_a_grant_cannot_say_is_refused_with_its_place() {
    run(async |house| {
        let child = child(house, "ConsentExact").await;
        let to = house.elsewhere.to_string();
        let good = consent(&child.patient, &to);
        let with = |path: &str, value: Value| {
            let mut bad = good.clone();
            *bad.pointer_mut(path).unwrap() = value;
            bad
        };
        let optin = json!([{"uri": "http://example.org/opt-in"}]);
        let cases = [
            (with("/policy", optin), "Consent.policy[0].uri"),
            (
                with("/provision/purpose", json!([])),
                "Consent.provision.purpose",
            ),
            (
                with(
                    "/provision/actor/0/reference",
                    json!({"reference": "Organization/nobody"}),
                ),
                "Consent.provision.actor[0]",
            ),
            // No member of the network, though it is an id of an institution.
            (
                with(
                    "/provision/actor/0/reference",
                    json!({"reference": format!("Organization/{to}")}),
                ),
                "Consent.provision.actor[0]",
            ),
            (
                with("/patient/reference", json!("Patient/nobody")),
                "Consent.patient",
            ),
            (with("/status", json!("proposed")), "Consent.status"),
        ];
        for (bad, place) in cases {
            let refused = send_consent(house, &bad).await.is(422).value();
            let places = refused["issue"].to_string();
            assert!(places.contains(place), "{place}: {refused}");
        }
        let found = format!("/Consent?patient={}", child.patient);
        let found = ask(house, &house.staff.desk, &found).await.is(200);
        assert_eq!(found.value()["total"], 0);
        // Not with a Consent that waits for nothing in a transaction; in a batch by itself.
        let bundle = |of: &str| {
            json!({"resourceType": "Bundle", "type": of, "entry": [
                {"resource": good, "request": {"method": "POST", "url": "Consent"}}
            ]})
        };
        let post = async |of: &str| {
            let call = Call::post("/fhir").fhir(&bundle(of));
            by_desk(house, call).send(house).await
        };
        let refused = post("transaction").await.is(422).value();
        assert!(refused.to_string().contains("Bundle.entry[0]"), "{refused}");
        let done = post("batch").await.is(200).value();
        assert_eq!(
            done["entry"][0]["response"]["status"], "201 Created",
            "{done}"
        );
        // Somebody else's signature is no family's.
        let call = Call::post("/fhir/Consent").fhir(&good);
        by_clinician(house, call).send(house).await.is(403);
        let call = Call::post("/fhir/Consent")
            .fhir(&good)
            .bearer(&child.parent);
        let refused = call.send(house).await.is(422).value();
        assert!(refused.to_string().contains("signs at home"), "{refused}");
        // Nor is it kept as a document by any other way.
        let call = Call::post(format!("/v1/subjects/{}/records", child.subject)).fhir(&good);
        let call = call.bearer(&house.staff.clinician);
        call.send(house).await.is(422);
    });
}

/// What a family leaves out is the record that the reference leads to, and one of the child's.
#[test]
fn what_is_left_out_is_what_was_meant() {
    run(async |house| {
        let child = child(house, "ConsentLeft").await;
        let other = super::consents::child(house, "ConsentLeftNot").await;
        let id = "0123456789abcdef0123456789abcdef";
        let mut resource: Value =
            serde_json::from_str(&super::observation(&child.patient, "718-7", "2")).unwrap();
        resource["id"] = json!(id);
        let call = Call::put(format!("/fhir/Observation/{id}")).fhir(&resource);
        by_clinician(house, call).send(house).await.is(201);
        let without = |reference: Value| {
            let mut sent = consent(&child.patient, &house.elsewhere.to_string());
            let data = json!([{"meaning": "instance", "reference": reference}]);
            sent["provision"]["provision"] = json!([{"type": "deny", "data": data}]);
            sent
        };
        let reference = |id: &str| json!({"reference": format!("Observation/{id}")});
        let record = json!({"identifier": {"system": "urn:ithaca:record", "value": id}});
        let others = [
            reference(&other.observation),
            reference(&"9".repeat(32)),
            record,
        ];
        for other in others {
            send_consent(house, &without(other)).await.is(422);
        }
        let made = send_consent(house, &without(reference(id)))
            .await
            .is(201)
            .value();
        let data = &made["provision"]["provision"][0]["provision"][0]["data"][0]["reference"];
        let listed = Call::get(format!("/v1/subjects/{}/records", child.subject))
            .query("purpose=TREAT")
            .bearer(&house.staff.clinician)
            .send(house)
            .await
            .is(200);
        let left = data["identifier"]["value"].as_str().unwrap();
        assert!(left != id && listed.text().contains(left), "{left}");
        // As it is told it is sent back.
        let path = format!("/fhir/Consent/{}", made["id"].as_str().unwrap());
        by_desk(house, Call::put(path).fhir(&made))
            .send(house)
            .await
            .is(200);
    });
}

#[test]
fn opt_outs_and_restriction_are_consents() {
    run(async |house| {
        let child = child(house, "ConsentOpt").await;
        let under = |policy: &str, name: &str, value: Value| {
            let mut sent = consent(&child.patient, "none");
            sent["policy"] = json!([{"uri": policy}]);
            sent["provision"] = json!({"provision": [{"type": "deny", name: value}]});
            sent
        };
        let purposes = codes(
            "http://terminology.hl7.org/CodeSystem/v3-ActReason",
            &["HRESCH"],
        );
        let sent = under("urn:ithaca:consent:opt-out", "purpose", purposes);
        let out = send_consent(house, &sent).await.is(201);
        assert_eq!(
            out.field("id"),
            format!("opt-outs-{}", spelled("00", &child.subject))
        );
        let actions = ["access", "use", "disclose"].map(|code| {
            json!({"coding": codes("http://terminology.hl7.org/CodeSystem/consentaction", &[code])})
        });
        let sent = under("urn:ithaca:consent:restriction", "action", json!(actions));
        let restricted = send_consent(house, &sent).await.is(201);
        send_consent(house, &sent).await.is(200);
        let id = restricted.field("id");
        assert_eq!(id, format!("restriction-{}", spelled("00", &child.subject)));
        let all = ask(house, &child.parent, "/Consent").await.is(200).value();
        assert_eq!(ids(&all).len(), 2, "{all}");
        by_desk(house, Call::delete(format!("/fhir/Consent/{id}")))
            .send(house)
            .await
            .is(204);
        ask(house, &child.parent, &format!("/Consent/{id}"))
            .await
            .is(404);
        let all = ask(house, &child.parent, "/Consent").await.is(200).value();
        assert_eq!(
            ids(&all),
            [format!("opt-outs-{}", spelled("00", &child.subject))]
        );
    });
}
