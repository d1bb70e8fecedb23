//! The `ithaca` binary from outside: what it prints, how it ends, what it leaves on disk.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and watches real processes"
)]

mod bench;
mod binary;
mod clients;
mod cosigning;
mod damage;
mod demo;
mod diagnose;
mod full;
mod inspection;
mod institution;
mod knowledge;
mod mistakes;
mod network;
mod npm;
mod proofs;
#[path = "../../../ledger/tests/it/python.rs"]
mod python;
mod releases;
mod sharing;
mod stopping;
mod subscriptions;
mod tables;
