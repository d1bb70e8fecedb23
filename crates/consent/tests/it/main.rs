//! Laws, tables and boundaries of consent.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod acts;
mod boundaries;
mod change;
mod laws;
mod listing;
mod policy;
mod reasons;
mod state;
mod table;
mod vocabulary;
mod world;
