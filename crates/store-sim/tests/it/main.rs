//! The store in the simulator: the port's promises under crashes, torn writes and failing syncs.

#![expect(
    clippy::unwrap_used,
    reason = "tests may panic; helpers count as code otherwise"
)]

mod conformance;
mod crash;
mod damage;
mod dumps;
