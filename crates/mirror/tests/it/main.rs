//! What a node knows, as FHIR: by hand-made documents, by laws, and by models that nobody here wrote.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod answers;
mod conditions;
mod consent_read;
mod consent_refused;
mod consent_write;
mod events;
mod examples;
mod laws;
#[path = "../../../ledger/tests/it/python.rs"]
mod python;
mod strangers;
mod tree;

use serde_json::Value;

/// A document as it was meant, member by member.
fn check(written: &[u8], expected: &Value) {
    let read: Value = serde_json::from_slice(written).unwrap();
    assert_eq!(read, *expected, "{}", String::from_utf8_lossy(written));
    // And as the product's own reader takes it.
    json::parse(written, &json::Limits::default()).unwrap();
}
