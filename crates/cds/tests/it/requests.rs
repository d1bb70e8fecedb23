//! What is asked of a request, and how a refusal says so.

use crate::{
    CHARGE, INSTANCE, ONTOLOGY, PATIENT, answer_to, body, conditions, order, parse, refusal, source,
};
use cds::{Request, Service};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Stands in the place of a value: no error may say it.
const NAME: &str = "Erika Mustermann";

/// Changes one value of a request, and expects to be told what is wrong, and where.
fn check(service: Service, at: &str, value: Value, expect: &[&str]) {
    let mut request = body(service, &CHARGE, &[order("http://loinc.org", "1-8")]);
    let (parent, name) = at.rsplit_once('/').unwrap();
    request.pointer_mut(parent).unwrap()[name] = value;
    let said = refusal(&request, service).to_string();
    for part in expect {
        assert!(said.contains(part), "{at}: {said}");
    }
    assert!(!said.contains("Erika"), "{at}: {said}");
}

#[test]
fn what_the_specification_requires_is_required() {
    use Service::{OrderSign, PatientView};
    let hook = "call the service that is for this hook";
    check(PatientView, "/hook", json!("order-sign"), &[hook, "$.hook"]);
    check(OrderSign, "/hook", json!("patient-view"), &[hook]);
    check(PatientView, "/hook", json!(NAME), &[hook]);
    for service in Service::ALL {
        for (at, name, place) in [
            ("/hook", "hook", "($)"),
            ("/hookInstance", "hookInstance", "($)"),
            ("/context", "context", "($)"),
            ("/context/userId", "userId", "($.context)"),
            ("/context/patientId", "patientId", "($.context)"),
        ] {
            let missing = format!("{name} is missing");
            check(
                service,
                at,
                Value::Null,
                &[&missing, place, "CDS Hooks 2.0"],
            );
            let wrong = format!("{name} is not");
            let place = format!("(${})", at.replace('/', "."));
            check(service, at, json!([NAME]), &[&wrong, &place]);
        }
        let id = "the id of the Patient alone";
        for value in ["Patient/1", NAME, "", &"1".repeat(65)] {
            check(service, "/context/patientId", json!(value), &[id]);
        }
        for value in [
            NAME,
            "259cf767",
            "urn:uuid:259cf767-4b52-4e14-a741-04da147a430f",
        ] {
            check(service, "/hookInstance", json!(value), &["a UUID"]);
        }
        for value in [
            NAME,
            "Practitioner/",
            "Practitioner",
            "Organization/1",
            "Practitioner/1/2",
        ] {
            let shape = "a reference to a Practitioner";
            check(service, "/context/userId", json!(value), &["userId", shape]);
        }
    }
    check(
        OrderSign,
        "/context/userId",
        json!("Patient/1"),
        &["userId"],
    );
}

#[test]
fn draft_orders_are_a_bundle_of_resources() {
    let check =
        |at: &str, value: Value, expect: &[&str]| check(Service::OrderSign, at, value, expect);
    let at = "/context/draftOrders";
    check(at, Value::Null, &["draftOrders is missing", "($.context)"]);
    check(at, json!({}), &["draftOrders is not a FHIR R4 resource"]);
    check(at, json!({"resourceType": NAME}), &["draftOrders is not"]);
    let patient = json!({"resourceType": "Patient"});
    check(at, patient, &["draftOrders is not a FHIR Bundle"]);
    let at = "/context/draftOrders/entry";
    check(at, json!({}), &["entry is not a list", "draftOrders.entry"]);
    check(at, json!([NAME]), &["a list of objects", "entry[0]"]);
    let bare = json!([{"resource": {"id": NAME}}]);
    check(at, bare, &["resource is not", "entry[0].resource"]);
}

#[test]
fn prefetched_values_are_resources() {
    for service in Service::ALL {
        let check = |at: &str, value: Value, expect: &[&str]| check(service, at, value, expect);
        check("/prefetch", json!([]), &["prefetch is not an object"]);
        check("/prefetch/other", json!(NAME), &["a FHIR R4 resource"]);
        check("/prefetch/patient", json!({}), &["$.prefetch.patient"]);
        let unknown = json!({"resourceType": NAME});
        check("/prefetch/other", unknown, &["a FHIR R4 resource"]);
        let observation = json!({"resourceType": "Observation"});
        check(
            "/prefetch/patient",
            observation.clone(),
            &["patient is not a Patient"],
        );
        check(
            "/prefetch/conditions",
            observation,
            &["conditions is not a Bundle"],
        );
        let entry = "/prefetch/observations/entry";
        check(entry, json!(7), &["$.prefetch.observations.entry"]);
        check("/prefetch/patient/id", Value::Null, &["id is missing"]);
        let other = &["not the one of context.patientId", "$.prefetch.patient.id"];
        check("/prefetch/patient/id", json!("pat-2"), other);
    }
}

#[test]
fn data_that_are_needed_are_asked_for() {
    let outcome = json!({"resourceType": "OperationOutcome", "issue": []});
    let patient = json!({"resourceType": "Patient", "id": PATIENT});
    let found = conditions(&CHARGE);
    // Patient, conditions, observations; and what is lacking.
    let (patient, found, outcome) = (Some(&patient), Some(&found), Some(&outcome));
    let null = Some(&Value::Null);
    for (brought, lacks) in [
        ([patient, found, None], None),
        ([patient, None, found], None),
        ([patient, outcome, found], None),
        // A search that found nothing is an answer.
        ([patient, null, outcome], None),
        ([patient, outcome, outcome], Some("the conditions")),
        ([patient, None, None], Some("the conditions")),
        ([null, found, found], Some("the patient")),
        ([outcome, found, found], Some("the patient")),
        ([None, found, found], Some("the patient")),
    ] {
        let mut request = body(Service::PatientView, &[], &[]);
        request["prefetch"] = json!({});
        for (key, value) in ["patient", "conditions", "observations"]
            .iter()
            .zip(brought)
        {
            if let Some(value) = value {
                request["prefetch"][key] = value.clone();
            }
        }
        match (parse(&request, Service::PatientView).case_document(), lacks) {
            (Ok(_), None) => {}
            (Err(error), Some(lacks)) => {
                let said = error.to_string();
                assert!(error.is_prefetch_needed(), "{said}");
                assert!(
                    said.contains(lacks) && said.contains("/cds-services"),
                    "{said}"
                );
            }
            (document, _) => panic!("{lacks:?}: {}", document.is_ok()),
        }
    }
    for prefetch in [Value::Null, json!({})] {
        let mut request = body(Service::OrderSign, &[], &[]);
        request["prefetch"] = prefetch;
        let document = parse(&request, Service::OrderSign).case_document();
        assert!(document.unwrap_err().is_prefetch_needed());
    }
    let malformed = refusal(&json!({}), Service::PatientView);
    assert!(!malformed.is_prefetch_needed());
}

#[test]
fn resources_are_passed_on_as_they_came() {
    let patient = r#"{ "resourceType" : "Patient", "id":"pat-1" , "x": 1.500e+2 }"#;
    let condition = r#"{"resourceType":"Condition","text":"\u00e9\/ \"}]","n":-0.0}"#;
    let text = format!(
        r#"{{"hook":"patient-view","hookInstance":"{INSTANCE}",
           "fhirServer": 7, "fhirAuthorization": ["secret-token"],
           "context":{{"userId":"PractitionerRole/7","patientId":"pat-1"}},
           "prefetch":{{"patient":{patient},
             "conditions":{{"resourceType":"Bundle","entry":[
               {{"fullUrl":"urn:uuid:1","resource": {condition} , "search":{{"mode":"match"}}}},
               {{"search":{{"mode":"match"}}}},
               {{"resource":{{"resourceType":"OperationOutcome"}}}}]}},
             "observations":null}}}}"#
    );
    let request = Request::parse(text.as_bytes(), Service::PatientView).unwrap();
    let document = String::from_utf8(request.case_document().unwrap()).unwrap();
    assert_eq!(
        document,
        format!(
            r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{patient}}},{{"fullUrl":"urn:uuid:1","resource":{condition}}}]}}"#
        )
    );
    assert_eq!(request.hook_instance().to_string(), INSTANCE);
    assert_eq!(
        format!("{request:?}"),
        "Request(ithaca-patient-view, <redacted>)"
    );
}

/// Synthetic patients, as a server would have them after their transaction.
#[test]
fn whole_records_are_read_and_answered() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/fhir");
    for name in ["agustin-fonseca", "brett-gottlieb", "gustavo-mejia"] {
        let packed = std::fs::read(format!("{folder}/synthea-{name}.json.zst")).unwrap();
        let text = String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
        let bundle: Value = serde_json::from_str(&text).unwrap();
        let patient = bundle["entry"][0]["resource"]["id"].as_str().unwrap();
        let names = (format!("urn:uuid:{patient}"), format!("Patient/{patient}"));
        let bundle: Value = serde_json::from_str(&text.replace(&names.0, &names.1)).unwrap();
        let found = |kind: &str| {
            let entries = bundle["entry"].as_array().unwrap().iter();
            let of_kind = entries.filter(|entry| entry["resource"]["resourceType"] == kind);
            let entries: Vec<Value> = of_kind
                .map(|entry| json!({"resource": entry["resource"]}))
                .collect();
            json!({"resourceType": "Bundle", "type": "searchset", "entry": entries})
        };
        let prefetch = json!({
            "patient": bundle["entry"][0]["resource"],
            "conditions": found("Condition"),
            "observations": found("Observation"),
        });
        let sent = |key: &str| prefetch[key]["entry"].as_array().unwrap().len();
        let expected = 1 + sent("conditions") + sent("observations");
        for service in Service::ALL {
            let mut request = body(service, &[], &[]);
            request["context"]["patientId"] = patient.into();
            request["prefetch"] = prefetch.clone();
            let request = parse(&request, service);
            let document: Value =
                serde_json::from_slice(&request.case_document().unwrap()).unwrap();
            assert_eq!(document["entry"].as_array().unwrap().len(), expected);
            let answer = answer_to(&request);
            assert!(answer.understood.age.is_some(), "{name}");
            let cards = cds::cards(&request, &answer, &source()).cards;
            // Nothing of it is coded in HPO.
            let suggested = cards
                .iter()
                .any(|card| card.summary.starts_with("Possible"));
            assert!(!suggested && cards.len() < 2, "{name}");
        }
    }
}

#[test]
fn data_of_two_people_are_not_mixed() {
    let mut request = body(Service::PatientView, &CHARGE, &[]);
    let subject = "/prefetch/conditions/entry/2/resource/subject/reference";
    *request.pointer_mut(subject).unwrap() = json!("Patient/pat-2");
    let document = parse(&request, Service::PatientView)
        .case_document()
        .unwrap();
    let error = findings::read(&document, &ONTOLOGY).unwrap_err();
    assert_eq!(error, findings::Error::SeveralPeople { given: 2 });
}

#[test]
fn what_is_no_json_or_too_much_is_refused_in_a_sentence() {
    let good = serde_json::to_string(&body(Service::PatientView, &CHARGE, &[])).unwrap();
    let put = |value: &str| {
        good.replacen('{', &format!("{{\"x\":{value},"), 1)
            .into_bytes()
    };
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "the text is empty"),
        (b"   ".to_vec(), "the text is empty"),
        (b"[]".to_vec(), "the request is not an object"),
        (b"null".to_vec(), "the request is not an object"),
        (b"{".to_vec(), "ends before its value is complete"),
        (good.as_bytes()[..good.len() / 2].to_vec(), "ends before"),
        (b"\xff\xfe".to_vec(), "not valid UTF-8"),
        (b"\xef\xbb\xbf{}".to_vec(), "byte order mark"),
        (put(NAME), "does not allow"),
        (put("1,\"x\":2"), "stands twice"),
        (put(&deep), "nested more than 64 deep"),
        (
            put(&format!("[{}0]", "0,".repeat(2_000_001))),
            "more than 2000000 values",
        ),
        (
            put(&format!("\"{}\"", "a".repeat(findings::MAX_BYTES))),
            "longer than 16777216 bytes",
        ),
        (format!("{good} {good}").into_bytes(), "something follows"),
    ];
    for (bytes, expect) in cases {
        let error = Request::parse(&bytes, Service::PatientView).unwrap_err();
        let said = error.to_string();
        assert!(said.contains(expect), "{expect}: {said}");
        assert!(said.len() < 300 && !said.contains("Erika"), "{said}");
    }
    Request::parse(&put("1"), Service::PatientView).unwrap();
}

proptest! {
    #[test]
    fn no_damage_makes_it_panic_or_say_a_value(at in 0..3_000_usize, byte: u8, cut in 0..3_000_usize) {
        let mut request = body(Service::OrderSign, &CHARGE, &[order("http://loinc.org", NAME)]);
        request["context"]["userId"] = json!(NAME);
        let mut bytes = serde_json::to_vec(&request).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(cut.max(1));
        let error = Request::parse(&bytes, Service::OrderSign).unwrap_err();
        prop_assert!(!error.is_prefetch_needed());
        prop_assert!(!error.to_string().contains("Erika"));
    }
    #[test]
    fn what_is_passed_on_is_always_a_bundle(at in 0..4_000_usize, byte: u8) {
        let request = body(Service::PatientView, &CHARGE[..2], &[]);
        let mut bytes = serde_json::to_vec(&request).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(request) = Request::parse(&bytes, Service::PatientView)
            && let Ok(document) = request.case_document()
        {
            let bundle: Value = serde_json::from_slice(&document).unwrap();
            prop_assert_eq!(&bundle["type"], "collection");
            prop_assert_eq!(&bundle["entry"][0]["resource"]["resourceType"], "Patient");
        }
    }
}
