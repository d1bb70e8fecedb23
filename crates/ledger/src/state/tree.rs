//! The Jellyfish Merkle tree of the state, in memory: persistent, so that views share what they
//! have in common.
//!
//! A subtree of no leaves is [`EMPTY`], a subtree of one leaf is that leaf, any other has a left and a
//! right half by the next bit of the key's digest, most significant first (Gao, Hu, Wu: "Jellyfish Merkle
//! Tree", 2021). So the shape, and with it the root, depends on the leaves alone: not on the order
//! in which they came, nor on what was there before.
//!
//! Writing copies the paths that change and nothing else: the tree from before stays as it was for
//! whoever holds it, and what nobody holds is freed.

use super::StateKey;
use super::proof::StateProof;
use codec::Digest;
use std::sync::Arc;

const LEAF_TAG: &[u8] = b"JMT::LeafNode";
const NODE_TAG: &[u8] = b"JMT::IntrnalNode";
/// Hash of a subtree without leaves.
pub(super) const EMPTY: Digest = Digest::new(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__");

/// An encoded value.
pub(super) type Value = Arc<[u8]>;

/// A tree.
#[derive(Clone, Default)]
pub(super) struct Tree(Link);

/// A value under its key.
pub(super) struct Leaf {
    digest: Digest,
    hash: Digest,
    pub(super) key: StateKey,
    pub(super) value: Value,
}

/// What is to stand at a key: a value, or none.
pub(super) struct Change {
    digest: Digest,
    leaf: Option<Arc<Leaf>>,
}

#[derive(Clone, Default)]
enum Link {
    #[default]
    Empty,
    Leaf(Arc<Leaf>),
    Inner(Arc<Inner>),
}

struct Inner {
    hash: Digest,
    left: Link,
    right: Link,
}

impl Change {
    pub(super) fn new(key: &StateKey, value: Option<&Value>) -> Self {
        let digest = key.digest();
        let leaf = value.map(|value| {
            Arc::new(Leaf {
                digest,
                hash: leaf_hash(&digest, &keys::sha256(&[value])),
                key: key.clone(),
                value: value.clone(),
            })
        });
        Self { digest, leaf }
    }

    /// Whether it would change the tree.
    pub(super) fn differs(&self, tree: &Tree) -> bool {
        let before = tree.get(&self.digest).map(|leaf| leaf.hash);
        before != self.leaf.as_ref().map(|leaf| leaf.hash)
    }
}

impl Tree {
    /// The root's hash.
    pub(super) fn root(&self) -> Digest {
        self.0.hash()
    }

    /// The leaf of the key with this digest.
    pub(super) fn get(&self, digest: &Digest) -> Option<&Leaf> {
        match self.0.descend(digest, |_| {}) {
            Link::Leaf(leaf) if leaf.digest == *digest => Some(leaf),
            _ => None,
        }
    }

    /// What proves the value at this digest, or that there is none.
    pub(super) fn path(&self, digest: &Digest) -> StateProof {
        let mut siblings = Vec::new();
        let end = self
            .0
            .descend(digest, |sibling| siblings.push(sibling.hash()));
        let leaf = match end {
            Link::Leaf(leaf) => Some((leaf.digest, keys::sha256(&[&leaf.value]))),
            _ => None,
        };
        siblings.reverse();
        StateProof { leaf, siblings }
    }

    /// The tree after these changes, at most one for each key.
    pub(super) fn write(&self, mut changes: Vec<Change>) -> Self {
        changes.sort_unstable_by_key(|change| change.digest);
        Self(self.0.write(0, &changes))
    }

    /// Every leaf, by the digest of its key.
    pub(super) fn leaves(&self) -> Vec<&Leaf> {
        let (mut leaves, mut stack) = (Vec::new(), vec![&self.0]);
        while let Some(link) = stack.pop() {
            match link {
                Link::Empty => {}
                Link::Leaf(leaf) => leaves.push(&**leaf),
                Link::Inner(inner) => stack.extend([&inner.right, &inner.left]),
            }
        }
        leaves
    }
}

impl Link {
    fn hash(&self) -> Digest {
        match self {
            Self::Empty => EMPTY,
            Self::Leaf(leaf) => leaf.hash,
            Self::Inner(inner) => inner.hash,
        }
    }

    /// Where the path of a digest ends: at a leaf, its own or another's, or at an empty place.
    fn descend<'a>(&'a self, digest: &Digest, mut beside: impl FnMut(&'a Self)) -> &'a Self {
        let (mut link, mut depth) = (self, 0);
        while let Self::Inner(inner) = link {
            let (next, sibling) = if bit(digest, depth) {
                (&inner.right, &inner.left)
            } else {
                (&inner.left, &inner.right)
            };
            beside(sibling);
            link = next;
            depth += 1;
        }
        link
    }

    /// This subtree, whose keys share their first `depth` bits, after changes to such keys, ascending.
    fn write(&self, depth: usize, changes: &[Change]) -> Self {
        match (self, changes) {
            (_, []) => self.clone(),
            (Self::Inner(inner), _) => {
                let (left, right) = halves(changes, depth);
                Self::join(
                    inner.left.write(depth + 1, left),
                    inner.right.write(depth + 1, right),
                )
            }
            (Self::Empty, [change]) => change.link(),
            (Self::Leaf(leaf), [change]) if leaf.digest == change.digest => change.link(),
            (Self::Leaf(_), [change]) if change.leaf.is_none() => self.clone(),
            _ => {
                let (left, right) = halves(changes, depth);
                let (mut ours, mut empty) = (self, &Self::Empty);
                if matches!(self, Self::Leaf(leaf) if bit(&leaf.digest, depth)) {
                    std::mem::swap(&mut ours, &mut empty);
                }
                Self::join(ours.write(depth + 1, left), empty.write(depth + 1, right))
            }
        }
    }

    fn join(left: Self, right: Self) -> Self {
        match (left, right) {
            (Self::Empty, Self::Empty) => Self::Empty,
            (leaf @ Self::Leaf(_), Self::Empty) | (Self::Empty, leaf @ Self::Leaf(_)) => leaf,
            (left, right) => Self::Inner(Arc::new(Inner {
                hash: node_hash(&left.hash(), &right.hash()),
                left,
                right,
            })),
        }
    }
}

impl Change {
    fn link(&self) -> Link {
        self.leaf.clone().map_or(Link::Empty, Link::Leaf)
    }
}

/// Ascending changes whose keys share their first `depth` bits, by the next bit.
fn halves(changes: &[Change], depth: usize) -> (&[Change], &[Change]) {
    changes.split_at(changes.partition_point(|change| !bit(&change.digest, depth)))
}

/// The bit of a digest that decides at this depth, the most significant first.
pub(super) fn bit(digest: &Digest, depth: usize) -> bool {
    let byte = digest.as_bytes().get(depth / 8).copied();
    byte.unwrap_or_default() & (0x80 >> (depth % 8)) != 0
}

pub(super) fn leaf_hash(key: &Digest, value: &Digest) -> Digest {
    keys::sha256(&[LEAF_TAG, key.as_bytes(), value.as_bytes()])
}

pub(super) fn node_hash(left: &Digest, right: &Digest) -> Digest {
    keys::sha256(&[NODE_TAG, left.as_bytes(), right.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::EntryId;
    use jmt::mock::MockTreeStore;
    use jmt::{JellyfishMerkleTree, KeyHash};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// SHA-256 under `jmt`'s own trait.
    struct Sha256(Vec<u8>);

    impl jmt::SimpleHasher for Sha256 {
        fn new() -> Self {
            Self(Vec::new())
        }

        fn update(&mut self, data: &[u8]) {
            self.0.extend_from_slice(data);
        }

        fn finalize(self) -> [u8; 32] {
            keys::sha256(&[&self.0]).into_bytes()
        }
    }

    fn key(number: u8) -> StateKey {
        StateKey::Proposal(EntryId::new([number; 32]))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        /// Whatever is written, overwritten and removed in whatever batches, the root is that of
        /// another implementation, older trees stay as they were, and paths prove each key.
        #[test]
        fn the_roots_are_those_of_jmt(
            batches in prop::collection::vec(
                prop::collection::btree_map(any::<u8>(), prop::option::of(any::<u8>()), 0..40),
                1..12,
            ),
        ) {
            let store = MockTreeStore::default();
            let theirs = JellyfishMerkleTree::<_, Sha256>::new(&store);
            let (mut tree, mut values) = (Tree::default(), BTreeMap::new());
            for (version, batch) in (0_u64..).zip(&batches) {
                let before = (tree.clone(), tree.root());
                let value = |byte: &u8| Value::from(vec![*byte]);
                let changes = batch.iter().map(|(at, byte)| {
                    Change::new(&key(*at), byte.as_ref().map(value).as_ref())
                });
                tree = tree.write(changes.collect());
                let puts = batch.iter().map(|(at, byte)| {
                    (KeyHash(key(*at).digest().into_bytes()), byte.map(|byte| vec![byte]))
                });
                let (root, written) = theirs.put_value_set(puts, version).unwrap();
                store.write_tree_update_batch(written).unwrap();
                prop_assert_eq!(tree.root().into_bytes(), root.0);
                prop_assert_eq!(before.0.root(), before.1);
                values.extend(batch.iter().map(|(at, byte)| (*at, *byte)));
                let live = values.values().flatten().count();
                prop_assert_eq!(tree.leaves().len(), live);
                for at in 0..=u8::MAX {
                    let found = tree.get(&key(at).digest()).map(|leaf| leaf.value.to_vec());
                    let expected = values.get(&at).copied().flatten().map(|byte| vec![byte]);
                    prop_assert_eq!(&found, &expected);
                    let proof = tree.path(&key(at).digest());
                    prop_assert!(proof.verify(&tree.root(), &key(at), expected.as_deref()).is_ok());
                }
            }
        }
    }
}
