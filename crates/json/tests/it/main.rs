//! Behaviour of the strict JSON layer.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod differential;
mod edits;
mod partition;
mod patch;
mod refusals;
mod values;

/// Parses with the default limits, showing every member name in errors.
fn parse(source: &[u8]) -> Result<json::Document<'_>, json::Error> {
    let limits = json::Limits {
        shown: |_| true,
        ..json::Limits::default()
    };
    json::parse(source, &limits)
}
