//! An institution's data folder: founding it, and opening it.
//!
//! ```text
//! data/genesis        the network: all that a verifier of receipts needs
//! data/custody/       sealed keys (root key under the passphrase)
//! data/store/         the key-value store
//! data/engine/        the consensus engine's journals
//! ```
//!
//! `create` founds a network of one. For a network of several, each institution runs `prepare` and hands
//! its [`Card`] over; one of them runs `found` on all cards, and each runs `adopt` on the result.

use crate::ambient::Ambient;
use codec::id::InstitutionId;
use ledger::Genesis;
use std::path::{Path, PathBuf};
use vault::FileCustody;

/// The files of a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

/// What an institution is called and does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founding {
    /// Its name, public on the ledger.
    pub name: String,
    /// What it does.
    pub kind: ledger::InstitutionKind,
}

/// An opened data folder: what [`crate::Node::start`] needs besides a store.
pub struct Opened {
    /// The network.
    pub genesis: Genesis,
    /// The keys, unsealed in memory.
    pub custody: FileCustody,
    /// Where the rest is.
    pub layout: Layout,
}
