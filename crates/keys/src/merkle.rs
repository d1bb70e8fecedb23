//! RFC 6962 (RFC 9162 section 2.1) Merkle trees over plain SHA-256.
//!
//! Leaf hash `SHA-256(0x00 || leaf)`, node hash `SHA-256(0x01 || left || right)`, empty tree
//! `SHA-256("")`. Proofs are made either from all leaf hashes, or, for a tree too large for memory,
//! from the ranges of leaves whose roots make up the proof. An inclusion proof binds the index only
//! together with a size that the verifier knows: the root alone does not name its size.

use crate::hash::sha256;
use crate::tree;
use codec::Digest;
use std::ops::Range;

/// The hash of a leaf's bytes.
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    sha256(&[&[0], leaf])
}

/// The hash of an inner node.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left.as_bytes());
    bytes[33..].copy_from_slice(right.as_bytes());
    sha256(&[&bytes])
}

/// The root of the tree without leaves.
pub fn empty_root() -> Digest {
    sha256(&[])
}

/// The root over leaf hashes.
pub fn root(leaves: &[Digest]) -> Digest {
    tree::root(leaves, empty_root, &node_hash)
}

/// The inclusion proof of a leaf; `None` if there is no such leaf.
pub fn inclusion_path(leaves: &[Digest], index: u64) -> Option<Vec<Digest>> {
    let ranges = tree::inclusion_ranges(index, leaves.len() as u64)?;
    tree::range_roots(leaves, &ranges, &node_hash)
}

/// The consistency proof from the tree over the first `old` leaves; `None` if there are fewer.
pub fn consistency_path(leaves: &[Digest], old: u64) -> Option<Vec<Digest>> {
    let ranges = tree::consistency_ranges(old, leaves.len() as u64)?;
    tree::range_roots(leaves, &ranges, &node_hash)
}

/// The ranges of leaves whose roots are the inclusion proof, in its order; `None` if there is no
/// such leaf. A range is a complete subtree or ends at `size`.
pub fn inclusion_ranges(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    tree::inclusion_ranges(index, size)
}

/// The ranges of leaves whose roots are the consistency proof, in its order; `None` if `old` is
/// larger than `new`. A range is a complete subtree or ends at `new`.
pub fn consistency_ranges(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    tree::consistency_ranges(old, new)
}

/// The root that an inclusion proof leads to; `None` for a proof of another shape.
pub fn inclusion_root(leaf: &Digest, index: u64, size: u64, path: &[Digest]) -> Option<Digest> {
    tree::inclusion_root(leaf, index, size, path, &node_hash)
}

/// Whether `path` proves that leaf `index` of the tree of `size` leaves and this root is `leaf`.
pub fn verify_inclusion(
    leaf: &Digest,
    index: u64,
    size: u64,
    path: &[Digest],
    root: &Digest,
) -> bool {
    inclusion_root(leaf, index, size, path).as_ref() == Some(root)
}

/// Whether `path` proves that the tree of `old` leaves is a prefix of the tree of `new` leaves. The
/// empty tree is a prefix of every tree, with an empty proof.
pub fn verify_consistency(
    old: u64,
    new: u64,
    path: &[Digest],
    old_root: &Digest,
    new_root: &Digest,
) -> bool {
    tree::verify_consistency(
        (old, old_root),
        (new, new_root),
        path,
        empty_root,
        &node_hash,
    )
}
