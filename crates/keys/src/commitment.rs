//! Record commitments: a salted Merkle root over a record's stored form and its projections.
//!
//! Leaf 0 is the stored form, the others one projection each; every leaf has its own 32-byte salt,
//! so that who holds one leaf's bytes, salt and path checks that leaf and learns nothing about the
//! others. The tree has the shape of RFC 6962; leaves and nodes are digests under
//! [`Domain::RecordLeaf`] and [`Domain::RecordNode`], which never meet. The root does not name the
//! number of leaves; the label is part of the leaf, so that a position cannot be mistaken for
//! another's.

use crate::hash::digest;
use crate::tree;
use codec::{Category, Decode, Digest, Domain, Encode, Error, Reader, Writer};

/// What a leaf holds. Encoded as 0 for the stored form, else the category's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// The record as received and served.
    Stored,
    /// The part of the record in one category.
    Projection(Category),
}

impl Label {
    /// The integer of the encoding.
    pub const fn code(self) -> u64 {
        match self {
            Self::Stored => 0,
            Self::Projection(category) => category.code(),
        }
    }
}

impl Encode for Label {
    fn encode(&self, w: &mut Writer) {
        w.uint(self.code());
    }
}

impl Decode for Label {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        match r.uint()? {
            0 => Ok(Self::Stored),
            code => Category::ALL
                .iter()
                .find(|category| category.code() == code)
                .map(|category| Self::Projection(*category))
                .ok_or(Error::UnknownTag { tag: code }),
        }
    }
}

/// One leaf of a record commitment.
#[derive(Clone, Copy)]
pub struct Leaf<'a> {
    /// What it holds.
    pub label: Label,
    /// Version of the rule that made the projection; 0 for the stored form.
    pub rule_version: u16,
    /// Unpredictable, for this leaf alone.
    pub salt: &'a [u8; 32],
    /// The content.
    pub bytes: &'a [u8],
}

/// The hash of a leaf.
pub fn leaf_hash(leaf: &Leaf<'_>) -> Digest {
    digest(
        Domain::RecordLeaf,
        &[
            &leaf.label.code().to_be_bytes(),
            &leaf.rule_version.to_be_bytes(),
            leaf.salt,
            leaf.bytes,
        ],
    )
}

/// The commitment over leaf hashes.
pub fn root(leaves: &[Digest]) -> Digest {
    tree::root(leaves, || digest(Domain::RecordNode, &[]), &node_hash)
}

/// The path from a leaf to the commitment; `None` if there is no such leaf.
pub fn path(leaves: &[Digest], index: usize) -> Option<Vec<Digest>> {
    let ranges = tree::inclusion_ranges(index as u64, leaves.len() as u64)?;
    tree::range_roots(leaves, &ranges, &node_hash)
}

/// Whether `path` leads from leaf `index` of `count` to the commitment.
pub fn verify_path(
    leaf: &Digest,
    index: usize,
    count: usize,
    path: &[Digest],
    root: &Digest,
) -> bool {
    tree::inclusion_root(leaf, index as u64, count as u64, path, &node_hash).as_ref() == Some(root)
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    digest(Domain::RecordNode, &[left.as_bytes(), right.as_bytes()])
}
