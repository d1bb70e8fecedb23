//! Engine and ledger under the deterministic runtime and a simulated network.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod cluster;
mod damage;
mod fixture;
mod memory;
mod null;
mod several;
mod single;
