//! De-identification as its callers see it.

mod canaries;
mod cloaks;
mod comparison;
mod examples;
mod packets;
mod rule_file;
mod safe_harbor;
mod sample;
mod valid;
