//! The leaves of a document by serde_json, as an independent view of what a projection holds.

use serde_json::Value;

/// Every leaf with its path, array positions left out, sorted.
pub(crate) fn of(document: &Value) -> Vec<(String, String)> {
    let mut leaves = Vec::new();
    collect(document, "$", &mut leaves);
    leaves.sort();
    leaves
}

fn collect(value: &Value, path: &str, leaves: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                collect(member, &format!("{path}.{name}"), leaves);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                collect(item, &format!("{path}[]"), leaves);
            }
        }
        leaf => leaves.push((path.to_owned(), leaf.to_string())),
    }
}
