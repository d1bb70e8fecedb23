//! Agreement of a network's validators on the ledger, over the commonware simplex engine.
//!
//! [`start`] gives a [`Handle`]: submit entries, look at the finalised state, listen, prove. Blocks
//! are proposed and judged with the pure state machine of `ledger`; a finalised block's rows go
//! into the [`store`] in one batch before the engine is told that it was applied. The same code
//! runs one validator or many, on a real runtime and network or on seeded ones.
//!
//! - [`block`]: header and entries, whose id covers both. [`application`]: the seam between
//!   agreement and the ledger. [`engine`]: the wiring. [`network`]: the six channels.
//! - Times are Unix milliseconds by the runtime's clock; randomness comes from the runtime alone.
//!
//! Pacing: with entries pending a leader proposes at once. Without, it waits, and makes one empty
//! block each [`Config::idle_block_ms`]. Several validators hand the turn on each
//! [`Config::leader_timeout_ms`] while they wait.
//!
//! It knows no consent, no records, no edges; it decides nothing about entries itself.

pub mod application;
pub mod block;
mod certificates;
mod chain;
pub mod check;
mod clock;
pub mod engine;
mod epochs;
pub mod evidence;
mod gossip;
mod handle;
mod horizon;
mod ledger_application;
mod mempool;
pub mod network;
pub mod null;
mod proofs;
mod publish;
mod replica;
mod rows;
mod start;

#[cfg(test)]
#[expect(dead_code, reason = "the integration tests use the rest")]
#[path = "../tests/it/fixture.rs"]
mod fixture;
#[cfg(test)]
#[expect(dead_code, reason = "the integration tests use the rest")]
#[path = "../tests/it/memory.rs"]
mod memory;

pub use application::Halt;
pub use certificates::{MAX_VALIDATORS, SimplexCertificates};
pub use engine::{Runtime, StartError, Wired};
pub use evidence::{Fault, FaultKind};
pub use handle::{Finalised, Handle, ReadError, SubmitError, Subscription, Tip};
pub use horizon::Horizon;
pub use proofs::{Audit, LedgerProof, ProvedState};
pub use rows::{Position, RowError, TABLES};
pub use start::{Config, start, start_with};
