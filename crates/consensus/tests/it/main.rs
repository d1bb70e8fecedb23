//! Engine and ledger under the deterministic runtime and a simulated network.

mod cluster;
mod fixture;
mod memory;
mod null;
mod several;
mod single;
