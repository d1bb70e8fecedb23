//! Proofs that a key has a value in the state, or has none.
//!
//! A proof is the path of a Jellyfish Merkle tree (Gao, Hu, Wu: "Jellyfish Merkle Tree", 2021):
//! the leaf where the key's path ends, if there is one, and the sibling hashes from that place up
//! to the root. Another key's leaf, or an empty place, proves absence.

use super::tree::{self, Reader};
use super::{StateKey, View};
use codec::{Digest, record};
use jmt::storage::NodeKey;

const LEAF_TAG: &[u8] = b"JMT::LeafNode";
const NODE_TAG: &[u8] = b"JMT::IntrnalNode";
const EMPTY: [u8; 32] = *b"SPARSE_MERKLE_PLACEHOLDER_HASH__";

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
    ///
    /// # Errors
    /// [`BadProof`] if the tree in memory is broken, which is a fault of this node.
    pub fn prove(&self, key: &StateKey) -> Result<StateProof, BadProof> {
        let version = self.version().ok_or(BadProof)?;
        let reader = Reader(|key: &NodeKey| self.node(key));
        let path = tree::path(&reader, key.digest(), version).map_err(|_| BadProof)?;
        let proof = decode_path(&path).ok_or(BadProof)?;
        let value = self.value(key);
        proof.verify(&self.tip().state_root, key, value.as_deref())?;
        Ok(proof)
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
            (None, None) => Digest::new(EMPTY),
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

fn bit(key: &Digest, depth: usize) -> bool {
    let byte = key.as_bytes().get(depth / 8).copied().unwrap_or_default();
    byte & (0x80 >> (depth % 8)) != 0
}

fn leaf_hash(key: &Digest, value: &Digest) -> Digest {
    keys::sha256(&[LEAF_TAG, key.as_bytes(), value.as_bytes()])
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    keys::sha256(&[NODE_TAG, left.as_bytes(), right.as_bytes()])
}

/// Reads `jmt`'s own proof, which it shows only in borsh: an optional leaf (key, value hash), then
/// the siblings with their children, so that their hashes are ours to compute.
fn decode_path(mut borsh: &[u8]) -> Option<StateProof> {
    let mut take = |count: usize| {
        let (head, rest) = borsh.split_at_checked(count)?;
        borsh = rest;
        Some(head)
    };
    let digest = |bytes: &[u8]| Digest::try_from(bytes).ok();
    let leaf = match take(1)? {
        [0] => None,
        _ => Some((digest(take(32)?)?, digest(take(32)?)?)),
    };
    let count = u32::from_le_bytes(take(4)?.try_into().ok()?);
    let mut siblings = Vec::new();
    for _ in 0..count {
        siblings.push(match take(1)? {
            [0] => Digest::new(EMPTY),
            [1] => node_hash(&digest(take(32)?)?, &digest(take(32)?)?),
            _ => leaf_hash(&digest(take(32)?)?, &digest(take(32)?)?),
        });
    }
    Some(StateProof { leaf, siblings })
}
