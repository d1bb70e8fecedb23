//! The CDS Hooks cases of HL7's FHIR test cases: their names say how they are judged.

use crate::{ONTOLOGY, body, parse, refusal};
use cds::{Error, Request, Service};
use findings::Format;
use serde_json::Value;
use std::{fs, path::Path};

/// A case as it was published.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/hl7");
    let packed = fs::read(folder.join(format!("{name}.json.zst"))).unwrap();
    zstd::decode_all(packed.as_slice()).unwrap()
}

fn case(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).unwrap()
}

/// Where an error says that something is wrong.
fn path(error: &Error) -> String {
    match error {
        Error::Missing { place, .. }
        | Error::Shape { place, .. }
        | Error::OtherHook { place, .. }
        | Error::OtherPatient { place } => place.path().to_owned(),
        Error::Json(error) => error.place().path().to_owned(),
        Error::PrefetchNeeded { .. } => panic!("{error}"),
    }
}

const CASES: [(&str, &str, Service); 5] = [
    ("patient-view", "good", Service::PatientView),
    ("order-sign", "good", Service::OrderSign),
    ("patient-view", "bad", Service::PatientView),
    ("order-sign", "bad-1", Service::OrderSign),
    ("order-sign", "bad-2", Service::OrderSign),
];

#[test]
fn requests_are_judged_as_their_names_say() {
    for (hook, verdict, service) in CASES {
        let name = format!("request-{hook}-{verdict}");
        match Request::parse(&bytes(&name), service) {
            Ok(request) => {
                assert_eq!(verdict, "good", "{name}");
                assert!(request.is_for_professional(), "{name}");
                // It brings what another service asks for.
                let error = request.case_document().unwrap_err();
                assert!(error.is_prefetch_needed(), "{name}: {error}");
            }
            Err(error) => {
                assert!(verdict.starts_with("bad"), "{name}: {error}");
                assert_eq!(path(&error), "$.context.patientId", "{name}: {error}");
            }
        }
    }
}

#[test]
fn each_fault_of_a_bad_request_is_enough() {
    for (hook, verdict, service) in CASES {
        let mut request = case(&format!("request-{hook}-{verdict}"));
        let id = request["context"]["patientId"].as_str().unwrap();
        request["context"]["patientId"] = id.trim_start_matches("Patient/").into();
        match verdict {
            // A resource in a wrapping that no release has.
            "bad" | "bad-2" => {
                let error = refusal(&request, service);
                assert_eq!(path(&error), "$.prefetch.*", "{error}");
                let wrapped = request["prefetch"]["item1"].take();
                request["prefetch"] = serde_json::json!({"patient": wrapped});
                assert_eq!(path(&refusal(&request, service)), "$.prefetch.patient");
            }
            // What is left is a status and a birth date that FHIR does not have: resources are passed
            // on as they came, and what is not understood in them is not used.
            "bad-1" => {
                let patient = request["prefetch"]["item1"].take();
                request["prefetch"]["patient"] = patient;
                request["prefetch"]["conditions"] = Value::Null;
                let document = parse(&request, service).case_document().unwrap();
                let read = findings::read(&document, &ONTOLOGY).unwrap();
                assert!(read.age.is_none());
            }
            _ => {
                let patient = request["prefetch"]["item1"].take();
                request["prefetch"]["patient"] = patient.clone();
                request["prefetch"]["conditions"] = Value::Null;
                let document = parse(&request, service).case_document().unwrap();
                let bundle: Value = serde_json::from_slice(&document).unwrap();
                assert_eq!(bundle["entry"][0]["resource"], patient);
                let read = findings::read(&document, &ONTOLOGY).unwrap();
                assert_eq!(read.format, Format::Fhir);
            }
        }
    }
}

#[test]
fn another_hook_is_not_answered() {
    for name in ["good", "bad", "extensions"] {
        let mut request = case(&format!("request-order-select-{name}"));
        for service in Service::ALL {
            let error = refusal(&request, service);
            assert!(matches!(error, Error::OtherHook { .. }), "{name}: {error}");
            assert_eq!(path(&error), "$.hook");
        }
        // The context of `order-select` holds that of `order-sign`, if it holds what it must.
        request["hook"] = "order-sign".into();
        let bytes = serde_json::to_vec(&request).unwrap();
        let refused = Request::parse(&bytes, Service::OrderSign).err();
        let at = refused.as_ref().map(path);
        let expected = match name {
            "good" => None,
            "bad" => Some("$.context.patientId"),
            // It has no draft orders.
            _ => Some("$.context"),
        };
        assert_eq!(at.as_deref(), expected, "{name}: {refused:?}");
    }
}

#[test]
fn extensions_are_passed_over() {
    let mut request = case("request-order-select-extensions");
    assert!(request["extension"].is_object());
    request["hook"] = "patient-view".into();
    let read = parse(&request, Service::PatientView);
    assert_eq!(read.patient_id(), request["context"]["patientId"]);
    // At every level of one of our own.
    let mut request = body(Service::OrderSign, &[], &[]);
    let plain = parse(&request, Service::OrderSign).case_document().unwrap();
    for at in ["", "/context", "/prefetch"] {
        let object = request.pointer_mut(at).unwrap();
        let extension = serde_json::json!({"resourceType": "Basic", "org.example.x": [1, null]});
        object["extension"] = extension;
    }
    assert_eq!(
        parse(&request, Service::OrderSign).case_document().unwrap(),
        plain
    );
}
