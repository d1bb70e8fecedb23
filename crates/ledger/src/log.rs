//! The log: an RFC 6962 SHA-256 tree over every entry's exact bytes and every encoded header, in
//! ledger order.
//!
//! - [`Frontier`] is the small part that appending needs; blocks extend it speculatively.
//! - [`tiles`] keeps the hashes of finalised leaves in C2SP tlog-tiles shape, and makes proofs.
//! - [`paths`] names what tlog-tiles serves; [`note`] is the text of a checkpoint, [`signed`] what
//!   logs and witnesses sign of it.
//!
//! [`verify_inclusion`] and [`verify_consistency`] check proofs; they are those of [`keys::merkle`].

mod frontier;
pub mod note;
pub mod paths;
pub mod signed;
pub mod tiles;

pub use frontier::Frontier;
pub use keys::merkle::{leaf_hash, verify_inclusion};
pub use note::Checkpoint;
pub use signed::{NoteKey, NoteSignature, SignedCheckpoint};
pub use tiles::{MissingTile, TileRead, TileUpdate, Tiles, consistency_proof, inclusion_proof};

use codec::Digest;
use keys::merkle;

/// Whether `path` proves that the log of `old` leaves is a prefix of the log of `new` leaves. The
/// empty log is a prefix of every log; its root is that of no leaves.
pub fn verify_consistency(
    old: u64,
    new: u64,
    path: &[Digest],
    old_root: &Digest,
    new_root: &Digest,
) -> bool {
    (old > 0 || *old_root == merkle::empty_root())
        && merkle::verify_consistency(old, new, path, old_root, new_root)
}
