//! The schemas and examples of Beacon v2 (CC0, `beacon-v2.LICENSE`), as one object of documents by path.

use jsonschema::{Registry, Validator};
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// Where the documents are for the resolver; nothing is fetched.
const BASE: &str = "https://beacon.invalid/";

/// All documents.
pub(crate) fn documents() -> &'static Map<String, Value> {
    static DOCUMENTS: OnceLock<Map<String, Value>> = OnceLock::new();
    DOCUMENTS.get_or_init(|| {
        let packed: &[u8] = include_bytes!("beacon-v2.json.zst");
        let text = zstd::decode_all(packed).expect("a zstd frame");
        serde_json::from_slice(&text).expect("an object of documents")
    })
}

/// One document.
pub(crate) fn document(path: &str) -> &'static Value {
    documents().get(path).unwrap_or_else(|| panic!("no {path}"))
}

/// What is wrong with `value` by the schema at `path`; nothing, if it is valid.
pub(crate) fn faults(path: &str, value: &Value) -> Vec<String> {
    validator(path)
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

fn validator(path: &str) -> Validator {
    document(path);
    static REGISTRY: OnceLock<Registry<'static>> = OnceLock::new();
    let registry = REGISTRY.get_or_init(|| {
        documents()
            .iter()
            // The model refers to VRS, which is elsewhere.
            .filter(|(path, _)| path.starts_with("framework/") && !path.contains("/examples"))
            .try_fold(Registry::new(), |registry, (path, document)| {
                registry.add(format!("{BASE}{path}"), document.clone())
            })
            .and_then(|registry| registry.prepare())
            .expect("every reference leads to a document of the archive")
    });
    jsonschema::options()
        .with_registry(registry)
        .should_validate_formats(true)
        .offline()
        .build(&json!({ "$ref": format!("{BASE}{path}") }))
        .expect("a schema")
}
