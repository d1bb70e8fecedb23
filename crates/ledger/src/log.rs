//! The log: an RFC 6962 SHA-256 tree over every entry's exact bytes and every encoded header, in
//! ledger order.
//!
//! - [`Frontier`] is the small part that appending needs; blocks extend it speculatively.
//! - [`tiles`] keeps the hashes of finalised leaves in C2SP tlog-tiles shape, and makes proofs.
//! - [`note`] is the text of a checkpoint.
//!
//! Verification is [`keys::merkle`]: [`verify_inclusion`] and [`verify_consistency`].

mod frontier;
pub mod note;
pub mod tiles;

pub use frontier::Frontier;
pub use keys::merkle::{leaf_hash, verify_consistency, verify_inclusion};
pub use note::Checkpoint;
pub use tiles::{MissingTile, TileRead, TileUpdate, Tiles, consistency_proof, inclusion_proof};
