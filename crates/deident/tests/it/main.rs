//! De-identification as its callers see it.

mod canaries;
mod examples;
mod packets;
mod sample;
mod valid;
