//! De-identification as its callers see it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test stops at the first surprise"
)]

mod canaries;
mod cloaks;
mod comparison;
mod examples;
mod packets;
mod peers;
mod rule_file;
mod safe_harbor;
mod sample;
mod valid;
