//! The OpenAPI 3.1 document, made from the table of endpoints.

use crate::{
    endpoint::{Access, ENDPOINTS, Endpoint, Shape},
    problem::Problem,
};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The document.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = SchemaGenerator::new(settings);
    let problem = generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let item = paths
            .entry(endpoint.path)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(item) = item {
            item.insert(
                endpoint.method.as_str().to_ascii_lowercase(),
                operation(endpoint, &mut generator, &problem),
            );
        }
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ithaca node",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Research and evaluation build; not for clinical use, not CE-marked or FDA-cleared.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    })
}

fn operation(
    endpoint: &Endpoint,
    generator: &mut SchemaGenerator,
    problem: &schemars::Schema,
) -> Value {
    let mut parameters: Vec<Value> = endpoint
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            json!({"name": name, "in": "path", "required": true,
                "schema": {"type": "string", "pattern": "^[0-9a-f]+$"}})
        })
        .collect();
    parameters.extend(endpoint.parameters.iter().map(|p| {
        json!({"name": p.name, "in": if p.in_query { "query" } else { "header" },
            "required": p.required, "description": p.says, "schema": {"type": "string"}})
    }));
    let (status, shape) = endpoint.response;
    let mut success = Map::new();
    success.insert("description".into(), endpoint.summary.into());
    if let Some(content) = content(shape, generator) {
        success.insert("content".into(), content);
    }
    let mut operation = json!({
        "operationId": endpoint.id,
        "summary": endpoint.summary,
        "parameters": parameters,
        "responses": {
            status.to_string(): success,
            "default": {
                "description": "A problem (RFC 9457).",
                "content": {"application/problem+json": {"schema": problem}},
            },
        },
    });
    if let Some(content) = content(endpoint.request, generator) {
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    if endpoint.access != Access::Open {
        operation["security"] = json!([{"bearer": []}]);
    }
    operation
}

fn content(shape: Shape, generator: &mut SchemaGenerator) -> Option<Value> {
    match shape {
        Shape::Nothing => None,
        Shape::Json(schema) => Some(json!({"application/json": {"schema": schema(generator)}})),
        Shape::Bytes(types) => Some(Value::Object(
            types.iter().map(|t| ((*t).to_owned(), json!({}))).collect(),
        )),
    }
}
