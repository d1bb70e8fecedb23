//! Proofs that a key has a value in the state, or has none.
//!
//! A proof is the path of a Jellyfish Merkle tree (Gao, Hu, Wu: "Jellyfish Merkle Tree", 2021):
//! the leaf where the key's path ends, if there is one, and the sibling hashes from that place up
//! to the root. Another key's leaf, or an empty place, proves absence.

use super::tree::{EMPTY, bit, leaf_hash, node_hash};
use super::{StateKey, View};
use codec::{Digest, record};

record! {
    /// A proof of presence or absence against a state root.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StateProof {
        /// The leaf where the key's path ends: digest of its key, hash of its value.
        1 => pub leaf: Option<(Digest, Digest)>,
        /// Hashes beside the path, from the leaf up.
        2 => pub siblings: Vec<Digest>,
    }
}

/// A proof that does not prove what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state proof does not lead to the state root")]
pub struct BadProof;

impl View {
    /// Proves against this view's state root what [`View::value`] says about a key.
    pub fn prove(&self, key: &StateKey) -> StateProof {
        self.tree().path(&key.digest())
    }
}

impl StateProof {
    /// Checks that `key` has this encoded value under `root`, or none.
    ///
    /// # Errors
    /// [`BadProof`].
    pub fn verify(
        &self,
        root: &Digest,
        key: &StateKey,
        value: Option<&[u8]>,
    ) -> Result<(), BadProof> {
        let key = key.digest();
        if self.siblings.len() > 256 {
            return Err(BadProof);
        }
        let start = match (value, &self.leaf) {
            (Some(value), Some((at, hash))) if *at == key && *hash == keys::sha256(&[value]) => {
                leaf_hash(at, hash)
            }
            (None, Some((at, hash))) if *at != key && shares(&key, at, self.siblings.len()) => {
                leaf_hash(at, hash)
            }
            (None, None) => EMPTY,
            _ => return Err(BadProof),
        };
        let mut hash = start;
        let depths = (0..self.siblings.len()).rev();
        for (sibling, depth) in self.siblings.iter().zip(depths) {
            hash = if bit(&key, depth) {
                node_hash(sibling, &hash)
            } else {
                node_hash(&hash, sibling)
            };
        }
        if hash == *root { Ok(()) } else { Err(BadProof) }
    }
}

/// Whether two keys share their first `bits` bits.
fn shares(a: &Digest, b: &Digest, bits: usize) -> bool {
    (0..bits).all(|depth| bit(a, depth) == bit(b, depth))
}
