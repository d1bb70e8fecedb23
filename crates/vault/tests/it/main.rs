//! The vault's promises, in memory and on disk.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "modules of one test binary")]
#![allow(missing_docs, reason = "a test's name says what it checks")]

mod attacker;
mod audit;
mod backups;
mod check;
mod cost;
mod deriving;
mod disk;
mod erasure;
mod golden;
mod key_files;
mod ledger_flow;
mod memory;
mod notes;
mod places;
mod records;
mod transactions;
mod world;
