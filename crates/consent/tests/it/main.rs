//! Laws, tables and boundaries of consent.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod acts;
mod boundaries;
mod change;
mod data_use;
mod duo;
mod laws;
mod listing;
mod policy;
mod reasons;
mod research;
mod state;
mod studies;
mod study;
mod table;
mod vocabulary;
mod world;
