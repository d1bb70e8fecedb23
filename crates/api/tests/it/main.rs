//! The edge from outside: one real node behind the router, spoken to in HTTP.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod auth;
mod browsers;
mod checkpoints;
mod differentials;
mod families;
mod fhir;
mod house;
mod input;
mod machines;
mod matrix;
mod openapi;
mod races;
mod reading;
mod sessions;
mod socket;
mod spy;
mod studies;
mod tokens;
mod wire;
