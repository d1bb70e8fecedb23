//! The OpenAPI 3.1 document, made from the table of endpoints.

use crate::{
    endpoint::{Access, ENDPOINTS, Endpoint, Parameter, Shape},
    problem::Document,
};
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The document.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = SchemaGenerator::new(settings);
    let problem = generator.subschema_for::<Document>();
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let item = paths
            .entry(endpoint.documented_path())
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(item) = item {
            item.insert(
                endpoint.method.as_str().to_ascii_lowercase(),
                operation(endpoint, &mut generator, &problem),
            );
        }
    }
    let mut schemas = generator.take_definitions(true);
    let types: Vec<&str> = ::fhir::resource_types().collect();
    let types =
        json!({"type": "string", "enum": types, "description": "A resource type of FHIR R4."});
    schemas.insert("ResourceType".to_owned(), types);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ithaca node",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Research and evaluation build; not for clinical use, not CE-marked or FDA-cleared.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    })
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator, problem: &Schema) -> Value {
    let parameters: Vec<Value> = endpoint
        .in_path()
        .map(path_parameter)
        .chain(endpoint.parameters.iter().map(parameter))
        .collect();
    let mut operation = json!({
        "operationId": endpoint.id,
        "summary": endpoint.summary,
        "parameters": parameters,
        "responses": responses(endpoint, generator, problem),
        "security": if endpoint.access == Access::Open {
            json!([])
        } else {
            json!([{"bearer": []}])
        },
    });
    if let Some(content) = content(endpoint.request, generator) {
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    if let Access::Only(roles) = endpoint.access {
        let names: Vec<_> = roles.iter().map(ToString::to_string).collect();
        operation["description"] = format!("Needs the role {}.", names.join(" or ")).into();
    }
    operation
}

fn responses(endpoint: &Endpoint, generator: &mut SchemaGenerator, problem: &Schema) -> Value {
    let (status, shape) = endpoint.response;
    let mut responses = Map::new();
    let mut success = json!({"description": endpoint.summary});
    if let Some(content) = content(shape, generator) {
        success["content"] = content;
    }
    for also in endpoint.also {
        let response = match also {
            202 => json!({"description": "Not final yet; ask again after Retry-After seconds."}),
            201 => json!({"description": "There was none before.",
                "content": success.get("content").cloned().unwrap_or_default()}),
            _ => {
                let mut again = success.clone();
                again["description"] = "It was done before; the same answer.".into();
                again
            }
        };
        responses.insert(also.to_string(), response);
    }
    responses.insert(status.to_string(), success);
    responses.insert("default".to_owned(), refusal(endpoint, problem));
    Value::Object(responses)
}

/// What is answered where nothing was done.
fn refusal(endpoint: &Endpoint, problem: &Schema) -> Value {
    if endpoint.is_fhir() {
        return json!({
            "description": "An OperationOutcome.",
            "content": {"application/fhir+json": {}},
        });
    }
    let mut refusal = json!({
        "description": "A problem (RFC 9457).",
        "content": {"application/problem+json": {"schema": problem}},
    });
    if endpoint.path.starts_with("/auth/") {
        refusal["description"] =
            "A problem (RFC 9457), an error of OAuth (RFC 6749), or a page for people.".into();
        refusal["content"]["application/json"] = json!({});
        refusal["content"]["text/html"] = json!({});
    }
    refusal
}

fn path_parameter(name: &str) -> Value {
    let pattern = match name {
        "kind" | "other" => {
            return json!({"name": name, "in": "path", "required": true,
                "schema": {"$ref": "#/components/schemas/ResourceType"}});
        }
        "version" => "^[1-9][0-9]{0,8}$".to_owned(),
        // It may have slashes, which OpenAPI cannot say of a parameter.
        "index" => r"^(x[0-9]{3}/)*[0-9]{3}(\.p/[0-9]{1,3})?$".to_owned(),
        "level" => "^[0-9]{1,2}$".to_owned(),
        "subject" => "^[0-9a-f]{64}$".to_owned(),
        "service" => "^[a-z-]{1,64}$".to_owned(),
        "id" => r"^[A-Za-z0-9\-.]{1,64}$".to_owned(),
        _ => "^[0-9a-f]{32}$".to_owned(),
    };
    json!({"name": name, "in": "path", "required": true,
        "schema": {"type": "string", "pattern": pattern}})
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = if parameter.number {
        json!({"type": "integer", "minimum": 0})
    } else {
        json!({"type": "string"})
    };
    json!({"name": parameter.name, "in": if parameter.in_query { "query" } else { "header" },
        "required": parameter.required, "description": parameter.says, "schema": schema})
}

fn content(shape: Shape, generator: &mut SchemaGenerator) -> Option<Value> {
    let json = |schema: fn(&mut SchemaGenerator) -> Schema, generator: &mut SchemaGenerator| {
        let schema = schema(generator);
        ("application/json".to_owned(), json!({"schema": schema}))
    };
    // OpenAPI 3.1 describes bytes by an empty media type object.
    let bytes = |types: &[&str]| -> Vec<(String, Value)> {
        types.iter().map(|t| ((*t).to_owned(), json!({}))).collect()
    };
    let content = match shape {
        Shape::Nothing => return None,
        Shape::Json(schema) => vec![json(schema, generator)],
        Shape::JsonOr(schema, types) => {
            let mut all = vec![json(schema, generator)];
            all.extend(bytes(types));
            all
        }
        Shape::Bytes(types) => bytes(types),
    };
    Some(Value::Object(content.into_iter().collect()))
}
