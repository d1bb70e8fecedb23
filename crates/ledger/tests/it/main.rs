//! Integration tests of the ledger.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod support;

mod batches;
mod cost;
mod genesis;
mod golden;
mod governance;
mod laws;
mod log;
mod mutation;
mod notes;
mod proofs;
mod python;
mod state;
mod strangers;
mod subjects;
