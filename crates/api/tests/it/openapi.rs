//! The OpenAPI document: all endpoints, nothing else, and nothing that leads nowhere.

use crate::{house::run, wire::Call};
use api::endpoint::{Access, ENDPOINTS, Shape};
use serde_json::Value;
use std::collections::BTreeSet;

fn parameters<'a>(operation: &'a Value, place: &str) -> BTreeSet<&'a str> {
    let all = operation["parameters"].as_array().unwrap();
    let here: Vec<&str> = all
        .iter()
        .filter(|p| p["in"] == place)
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    let distinct: BTreeSet<&str> = here.iter().copied().collect();
    assert_eq!(distinct.len(), here.len(), "a parameter twice: {operation}");
    distinct
}

#[test]
fn every_endpoint_and_nothing_else() {
    let document = api::openapi::document();
    let mut operations = 0;
    for item in document["paths"].as_object().unwrap().values() {
        operations += item.as_object().unwrap().len();
    }
    assert_eq!(operations, ENDPOINTS.len());
    let mut ids = BTreeSet::new();
    for endpoint in ENDPOINTS {
        let method = endpoint.method.as_str().to_ascii_lowercase();
        let operation = &document["paths"][endpoint.documented_path()][&method];
        assert_eq!(operation["operationId"], endpoint.id);
        assert!(ids.insert(endpoint.id));
        let named: BTreeSet<&str> = endpoint.in_path().collect();
        assert_eq!(parameters(operation, "path"), named, "{}", endpoint.id);
        let query: BTreeSet<&str> = endpoint.query().map(|p| p.name).collect();
        assert_eq!(parameters(operation, "query"), query, "{}", endpoint.id);
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.contains_key(&endpoint.response.0.to_string()));
        let refusal = match endpoint.is_fhir() {
            true => "application/fhir+json",
            false => "application/problem+json",
        };
        assert!(
            operation["responses"]["default"]["content"]
                .get(refusal)
                .is_some(),
            "{}",
            endpoint.id
        );
        let takes_body = !matches!(endpoint.request, Shape::Nothing);
        assert_eq!(
            operation.get("requestBody").is_some(),
            takes_body,
            "{}",
            endpoint.id
        );
        let open = operation["security"].as_array().unwrap().is_empty();
        assert_eq!(open, endpoint.access == Access::Open, "{}", endpoint.id);
    }
}

/// What a problem leaves out where there is none is not required.
#[test]
fn a_problem_needs_no_more_than_it_says() {
    let document = api::openapi::document();
    let required = &document["components"]["schemas"]["Problem"]["required"];
    assert_eq!(
        *required,
        serde_json::json!(["type", "title", "status", "detail"])
    );
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_referred_to() {
    let document = api::openapi::document();
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    assert!(!references.is_empty());
    for reference in &references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for name in document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(
            references.contains(&format!("#/components/schemas/{name}")),
            "{name}"
        );
        // Two types of one name would become Name and Name2.
        assert!(!name.ends_with(|c: char| c.is_ascii_digit()), "{name}");
    }
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                references.insert(reference.clone());
            }
            map.values().for_each(|v| collect(v, references));
        }
        Value::Array(all) => all.iter().for_each(|v| collect(v, references)),
        _ => {}
    }
}

#[test]
fn the_document_is_served_to_anyone() {
    run(async |house| {
        let served = Call::get("/openapi.json").send(house).await.is(200);
        assert_eq!(served.header("content-type"), "application/json");
        assert_eq!(served.value(), api::openapi::document());
    });
}

/// Clients are written against this. A change of it is a change for them; bless it with
/// `INSTA_UPDATE=always cargo test -p ithaca-api --test it openapi`.
#[test]
fn golden() {
    let document = serde_json::to_string_pretty(&api::openapi::document()).unwrap();
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("openapi", document);
    });
}
