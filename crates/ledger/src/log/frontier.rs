//! The right edge of the log's tree: what appending and the root need, at most 64 hashes.

use codec::{Decode, Digest, Encode, Error, Reader, Writer};
use keys::merkle::{empty_root, node_hash};

/// The complete subtrees of a log, largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// INVARIANT: one root for each set bit of `size`, highest bit first.
    roots: Vec<Digest>,
}

impl Frontier {
    /// The empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// A log of this size whose complete subtrees, largest first, have these roots; none unless
    /// there are as many as the size asks for.
    pub fn from_roots(size: u64, roots: Vec<Digest>) -> Option<Self> {
        let fits = usize::try_from(size.count_ones()) == Ok(roots.len());
        fits.then_some(Self { size, roots })
    }

    /// Leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the hash of one more leaf ([`super::leaf_hash`]).
    pub fn append(&mut self, leaf: Digest) {
        let mut root = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                root = node_hash(&left, &root);
            }
        }
        self.roots.push(root);
        // A log of 2^64 leaves would have taken longer than there is time.
        self.size = self.size.saturating_add(1);
    }

    /// The RFC 6962 root.
    pub fn root(&self) -> Digest {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else {
            return empty_root();
        };
        roots.fold(*last, |right, left| node_hash(left, &right))
    }
}

impl Encode for Frontier {
    fn encode(&self, w: &mut Writer) {
        (self.size, &self.roots).encode(w);
    }
}

impl Decode for Frontier {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let (size, roots) = Decode::decode(r)?;
        Self::from_roots(size, roots).ok_or(Error::Invalid("not the right edge of a log"))
    }
}
