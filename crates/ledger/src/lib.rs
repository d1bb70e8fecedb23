//! The ledger: what a network of institutions agreed on, and the proofs of it.
//!
//! - [`entry`]: every entry type, signed as COSE_Sign1 (RFC 9052) over deterministic CBOR.
//! - [`genesis`], [`header`], [`block`]: the start of a network, block headers, and the rule that
//!   makes a header from its parent, the log, the state and the block's entries.
//! - [`state`]: the deterministic state machine over a Jellyfish Merkle tree, with cheap
//!   speculative views, admission checks and proofs of presence and absence.
//! - [`log`]: the RFC 6962 log in C2SP tlog-tiles shape, with inclusion and consistency proofs and
//!   checkpoint texts.
//! - [`batch`]: the padded trees behind `RecordBatch` and `DisclosurePeriod`.
//! - [`finality`], [`receipt`], [`disclosure`], [`opening`], [`release`]: proofs that verify offline with
//!   nothing but the network's genesis.
//!
//! Units: heights count blocks from the genesis (0); times are Unix milliseconds. Randomness and
//! time come in as arguments; nothing here reads a clock, stores or sends.
//!
//! It knows no consent rules, no record formats, no storage engine and no certificate format.

pub mod batch;
pub mod block;
pub mod disclosure;
pub mod entry;
pub mod finality;
pub mod genesis;
pub mod header;
pub mod log;
pub mod opening;
pub mod receipt;
pub mod release;
pub mod state;

pub use entry::{Entry, EntryHeader, KeyId, SignedEntry};
pub use finality::{Anchor, BrokenLink, CertificateCheck, Finality};
pub use genesis::{Genesis, Institution, Kind, Parameters, Validators};
pub use header::Header;
pub use receipt::Receipt;
pub use state::{BlockContext, Executed, Refusal, Rejection, State, StateKey, View};
