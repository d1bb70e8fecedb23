//! De-identification as its callers see it.

mod examples;
mod packets;
mod sample;
mod valid;
