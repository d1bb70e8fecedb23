//! Blocks agreed upon by the validators of a network, over the commonware simplex engine.

pub mod application;
pub mod block;
mod certificates;
mod clock;
pub mod engine;
mod epochs;
pub mod evidence;
mod gossip;
mod mempool;
pub mod network;
pub mod null;

pub use certificates::{MAX_VALIDATORS, SimplexCertificates};
