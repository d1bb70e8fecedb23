//! Engine and ledger under the deterministic runtime and a simulated network.

mod cluster;
mod fixture;
mod four;
mod memory;
mod null;
mod single;
