//! De-identification as its callers see it.

mod examples;
mod sample;
mod valid;
