//! Integration tests of the codec.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dialect;
mod laws;
mod time;
mod values;
