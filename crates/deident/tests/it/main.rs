//! De-identification as its callers see it.

mod canaries;
mod comparison;
mod examples;
mod packets;
mod sample;
mod valid;
