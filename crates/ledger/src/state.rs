//! The state machine: deterministic, the same on every node and platform.
//!
//! - [`execute`] runs a block's entries over a [`View`]; a refused entry refuses the block and
//!   changes nothing. [`select`] does the same for a proposer, leaving refused entries out.
//! - [`admissible`] judges one entry for the pool of pending entries.
//! - The tree is a Jellyfish Merkle tree over domain-separated keys ([`StateKey::digest`]);
//!   [`View::prove`] proves a value or its absence against a header's state root.
//!
//! In every block, in this order: entry ids whose validity has passed are dropped; recoveries whose
//! delay has passed take effect; at an epoch's first block, passed changes take effect; entries; at
//! an epoch's last block, votes are counted and the next validators fixed.
//!
//! It does not order entries, know the log, or check block times against a clock.

mod execute;
mod genesis;
mod governance;
mod key;
mod leaf;
mod proof;
mod refusal;
mod rules;
mod seen;
mod subject;
mod tree;
mod view;

pub use execute::{BlockContext, Selection, admissible, execute, preverify, select};
pub use key::StateKey;
pub use leaf::{
    Agenda, Ballot, DeviceLeaf, InstitutionLeaf, KeyLeaf, PeriodLeaf, ProposalLeaf, Recovery,
    ReleaseLeaf, Roster, StudyLeaf, SubjectLeaf, ValidatorHistory,
};
pub use proof::{BadProof, StateProof};
pub use refusal::{ChangeFault, Refusal, Rejection};
pub use seen::{Seen, SeenLeaf};
pub use view::{Detached, Executed, LoadError, Row, State, Tip, View};
