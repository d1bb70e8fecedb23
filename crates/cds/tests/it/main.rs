//! Requests as clients send them, and the cards that answer them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod cards;
mod feedback;
mod hl7;
#[path = "../../../ledger/tests/it/python.rs"]
mod python;
mod requests;
mod services;
mod strangers;

use answer::{Answer, Options};
use cds::{Request, Response, Service, Source};
use diagnosis::{CaseCounts, Model, Weights};
use ontology::{Ontology, Shipped};
use serde_json::{Value, json};
use std::sync::LazyLock;

const PATIENT: &str = "pat-1";
const INSTANCE: &str = "259cf767-4b52-4e14-a741-04da147a430f";

/// CHARGE syndrome; the last is excluded.
const CHARGE: [&str; 6] = [
    "HP:0000589",
    "HP:0000453",
    "HP:0000365",
    "HP:0008551",
    "HP:0001629",
    "-HP:0001250",
];
/// A defect of the urea cycle, as far as it was measured.
const VOMITING: [&str; 4] = ["HP:0002013", "HP:0001259", "HP:0003218", "HP:0001987"];
/// Speaks for nothing in particular.
const VAGUE: [&str; 1] = ["HP:0001250"];

static ONTOLOGY: LazyLock<Ontology> = LazyLock::new(|| {
    let shipped = Shipped::unpack();
    Ontology::from_sources(&shipped.sources()).expect("shipped originals")
});

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let weights = Weights::shipped().expect("shipped weights");
    Model::new(&ONTOLOGY, weights, &CaseCounts::default())
});

fn source() -> Source {
    Source {
        label: "Ithaca".to_owned(),
        url: Some("https://ithaca.example/diagnosis".to_owned()),
        topic: None,
    }
}

/// A searchset of Conditions; an id with `-` before it is refuted.
fn conditions(findings: &[&str]) -> Value {
    let one = |finding: &&str| {
        let id = finding.trim_start_matches('-');
        let state = if id == *finding {
            "confirmed"
        } else {
            "refuted"
        };
        json!({
            "fullUrl": format!("https://ehr.example/fhir/Condition/{}", id.replace(':', "-")),
            "resource": {
                "resourceType": "Condition",
                "id": id.replace(':', "-"),
                "verificationStatus": {"coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
                    "code": state,
                }]},
                "code": {"coding": [{"system": "http://human-phenotype-ontology.org", "code": id}]},
                "subject": {"reference": format!("Patient/{PATIENT}")},
                "recordedDate": "2026-03-01",
            },
            "search": {"mode": "match"},
        })
    };
    let entries: Vec<Value> = findings.iter().map(one).collect();
    json!({"resourceType": "Bundle", "type": "searchset", "total": entries.len(), "entry": entries})
}

/// A request as a client sends it, with these findings and draft orders.
fn body(service: Service, findings: &[&str], orders: &[Value]) -> Value {
    let mut context =
        json!({"userId": "Practitioner/7", "patientId": PATIENT, "encounterId": "e1"});
    if service == Service::OrderSign {
        let entries: Vec<Value> = orders.iter().map(|o| json!({"resource": o})).collect();
        context["draftOrders"] =
            json!({"resourceType": "Bundle", "type": "collection", "entry": entries});
    }
    json!({
        "hook": service.hook(),
        "hookInstance": INSTANCE,
        "context": context,
        "prefetch": {
            "patient": {
                "resourceType": "Patient", "id": PATIENT, "gender": "male", "birthDate": "2020-01-31",
            },
            "conditions": conditions(findings),
            "observations": {"resourceType": "Bundle", "type": "searchset", "total": 0},
        },
    })
}

fn parse(body: &Value, service: Service) -> Request {
    let bytes = serde_json::to_vec(body).unwrap();
    Request::parse(&bytes, service).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(body: &Value, service: Service) -> cds::Error {
    Request::parse(&serde_json::to_vec(body).unwrap(), service).unwrap_err()
}

/// The whole way: from the request over the findings to the answer.
fn answer_to(request: &Request) -> Answer {
    let document = request.case_document().unwrap();
    let case = findings::read(&document, &ONTOLOGY).unwrap_or_else(|error| panic!("{error}"));
    let options = Options {
        limit: 10,
        genes: true,
        aside: &[],
    };
    Answer::new(&ONTOLOGY, &MODEL, &case, &options).unwrap()
}

fn cards_for(service: Service, findings: &[&str], orders: &[Value]) -> Response {
    let request = parse(&body(service, findings, orders), service);
    cds::cards(&request, &answer_to(&request), &source())
}

fn order(system: &str, code: &str) -> Value {
    json!({
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "order",
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": format!("Patient/{PATIENT}")},
    })
}
