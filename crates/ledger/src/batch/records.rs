//! The tree behind a `RecordBatch`.

use super::{climb, padded, padding, path, root, seed};
use codec::{Digest, Domain, record};
use keys::Entropy;
use std::collections::BTreeSet;

/// Fewest leaves of a batch.
pub const RECORD_MIN_LEAVES: usize = 64;

/// Record commitments with random padding. Commitments are as random as padding, and their order is
/// that of their bytes, so that neither a leaf nor its place tells anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordTree {
    /// INVARIANT: ascending, distinct; a power of two, at least [`RECORD_MIN_LEAVES`].
    commitments: Vec<Digest>,
}

record! {
    /// Where a commitment lies in a batch.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct BatchPath {
        /// Its place among the leaves.
        1 => pub index: u64,
        /// Hashes beside its path, from the leaf up.
        2 => pub path: Vec<Digest>,
    }
}

impl RecordTree {
    /// Pads the commitments to a power of two.
    pub fn build(commitments: &[Digest], entropy: &mut (impl Entropy + ?Sized)) -> Self {
        let seed = seed(entropy);
        let mut leaves: BTreeSet<Digest> = commitments.iter().copied().collect();
        let count = padded(leaves.len(), RECORD_MIN_LEAVES);
        let mut random = (0_u64..).map(|n| padding(Domain::BatchLeaf, &seed, n));
        while leaves.len() < count {
            leaves.extend(random.next());
        }
        Self {
            commitments: leaves.into_iter().collect(),
        }
    }

    /// A tree from the leaves that [`RecordTree::leaves`] gave; none if they are not such.
    pub fn from_leaves(leaves: Vec<Digest>) -> Option<Self> {
        let fits = leaves.len() >= RECORD_MIN_LEAVES
            && leaves.len().is_power_of_two()
            && leaves.is_sorted_by(|a, b| a < b);
        fits.then_some(Self {
            commitments: leaves,
        })
    }

    /// All commitments and padding, to be kept until paths were made.
    pub fn leaves(&self) -> &[Digest] {
        &self.commitments
    }

    /// What the entry commits to.
    pub fn root(&self) -> Digest {
        root(Domain::BatchNode, &self.hashes())
    }

    /// Where a commitment lies; none if it is not there.
    pub fn path(&self, commitment: &Digest) -> Option<BatchPath> {
        let index = self.commitments.binary_search(commitment).ok()?;
        Some(BatchPath {
            index: u64::try_from(index).ok()?,
            path: path(Domain::BatchNode, &self.hashes(), index)?,
        })
    }

    fn hashes(&self) -> Vec<Digest> {
        self.commitments.iter().map(leaf_hash).collect()
    }
}

impl BatchPath {
    /// Whether the commitment lies here in the batch with this root.
    pub fn verify(&self, commitment: &Digest, root: &Digest) -> bool {
        let leaf = leaf_hash(commitment);
        climb(Domain::BatchNode, leaf, self.index, &self.path).as_ref() == Some(root)
    }
}

fn leaf_hash(commitment: &Digest) -> Digest {
    keys::digest(Domain::BatchLeaf, &[commitment.as_bytes()])
}
