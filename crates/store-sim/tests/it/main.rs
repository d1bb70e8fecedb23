//! The store in the simulator: the port's promises under crashes, torn writes and failing syncs.

mod conformance;
mod crash;
mod damage;
mod dumps;
