//! Padded trees of a custodian: record commitments, and a period's disclosures.
//!
//! Both are complete binary trees, so that a path's length is the tree's height and neither root
//! nor path tells how many leaves are real. Padding is random and looks like the rest.

mod map;
mod records;

pub use map::{Lookup, MapLeaf, Neighbour, PERIOD_MIN_LEAVES, PeriodMap, PeriodValue};
pub use records::{BatchPath, RECORD_MIN_LEAVES, RecordTree};

use codec::{Digest, Domain};
use keys::Entropy;

/// The root of a complete tree over leaf hashes whose number is a power of two.
fn root(node: Domain, leaves: &[Digest]) -> Digest {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = above(node, &level);
    }
    level.first().copied().unwrap_or(Digest::new([0; 32]))
}

/// The hashes beside the path of a leaf, from the leaf up.
fn path(node: Domain, leaves: &[Digest], mut index: usize) -> Option<Vec<Digest>> {
    let mut level = leaves.to_vec();
    let mut path = Vec::new();
    while level.len() > 1 {
        path.push(*level.get(index ^ 1)?);
        level = above(node, &level);
        index /= 2;
    }
    (index == 0).then_some(path)
}

/// The root that a path leads to; none if the tree of that height has no such leaf.
fn climb(node: Domain, leaf: Digest, index: u64, path: &[Digest]) -> Option<Digest> {
    let mut at = index;
    let mut hash = leaf;
    for sibling in path {
        hash = if at & 1 == 1 {
            pair(node, sibling, &hash)
        } else {
            pair(node, &hash, sibling)
        };
        at >>= 1;
    }
    (at == 0).then_some(hash)
}

fn above(node: Domain, level: &[Digest]) -> Vec<Digest> {
    let (pairs, _) = level.as_chunks::<2>();
    pairs
        .iter()
        .map(|[left, right]| pair(node, left, right))
        .collect()
}

fn pair(node: Domain, left: &Digest, right: &Digest) -> Digest {
    keys::digest(node, &[left.as_bytes(), right.as_bytes()])
}

/// The padded number of leaves: a power of two, at least `min`, which is one.
fn padded(count: usize, min: usize) -> usize {
    count.next_power_of_two().max(min)
}

fn seed(entropy: &mut (impl Entropy + ?Sized)) -> [u8; 32] {
    let mut seed = [0; 32];
    entropy.fill(&mut seed);
    seed
}

/// The `n`th random leaf: from a seed, so that distinct leaves need no luck.
fn padding(leaf: Domain, seed: &[u8; 32], n: u64) -> Digest {
    keys::digest(leaf, &[b"padding", seed, &n.to_be_bytes()])
}
