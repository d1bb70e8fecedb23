//! The map behind a `DisclosurePeriod`: from a subject's key for the period to what was disclosed.
//!
//! A key is an HMAC that only the custodian and the subject can compute. Leaves lie in the order of
//! their keys, between a leaf of all zeros and one of all ones, so that two leaves side by side
//! prove that no key lies between them. A leaf's hash covers its key and the hash of its value: a
//! neighbour in a proof of absence shows neither its root nor its count.

use super::{climb, padded, padding, path, root, seed};
use codec::{Digest, Domain, record};
use keys::Entropy;
use std::collections::BTreeMap;

/// Fewest leaves of a period's map.
pub const PERIOD_MIN_LEAVES: usize = 256;

record! {
    /// What the map says about one subject's period.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct PeriodValue {
        /// Salted root over the subject's disclosures and refusals.
        1 => pub root: Digest,
        /// How many they are.
        2 => pub count: u32,
    }
}

/// The map of one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodMap {
    /// INVARIANT: strictly ascending keys from [`FIRST`] to [`LAST`]; a power of two.
    leaves: Vec<MapLeaf>,
}

record! {
    /// One leaf of a period's map, real or padding.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MapLeaf {
        /// The subject's key for the period.
        1 => pub key: Digest,
        /// What was disclosed.
        2 => pub value: PeriodValue,
    }
}

record! {
    /// A leaf of which a proof shows the key and where it lies, but not the value.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Neighbour {
        /// Its key.
        1 => pub key: Digest,
        /// Hash of its value.
        2 => pub value_hash: Digest,
        /// Hashes beside its path, from the leaf up.
        3 => pub path: Vec<Digest>,
    }
}

codec::choice! {
    /// What a period's map says about a key, with its proof.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Lookup {
        /// The value: index of the leaf, value, hashes beside its path.
        1 => Present((u64, PeriodValue, Vec<Digest>)),
        /// No value: index of the leaf before, the leaf before, the leaf after.
        2 => Absent((u64, Neighbour, Neighbour)),
    }
}

const FIRST: Digest = Digest::new([0; 32]);
const LAST: Digest = Digest::new([0xff; 32]);

impl PeriodMap {
    /// Pads the values to a power of two. Keys are HMACs: all zeros and all ones are left out.
    pub fn build(
        values: &BTreeMap<Digest, PeriodValue>,
        entropy: &mut (impl Entropy + ?Sized),
    ) -> Self {
        let seed = seed(entropy);
        let mut random = (0_u64..).map(|n| padding(Domain::DisclosureMapLeaf, &seed, n));
        let mut random = || random.next().unwrap_or(LAST);
        let mut leaves = values.clone();
        for key in [FIRST, LAST] {
            leaves.insert(key, unseen(random()));
        }
        let count = padded(leaves.len(), PERIOD_MIN_LEAVES);
        while leaves.len() < count {
            leaves.insert(random(), unseen(random()));
        }
        let leaves = leaves.into_iter();
        Self {
            leaves: leaves.map(|(key, value)| MapLeaf { key, value }).collect(),
        }
    }

    /// A map from the leaves that [`PeriodMap::leaves`] gave; none if they are not such.
    pub fn from_leaves(leaves: Vec<MapLeaf>) -> Option<Self> {
        let fits = leaves.len() >= PERIOD_MIN_LEAVES
            && leaves.len().is_power_of_two()
            && leaves.is_sorted_by(|a, b| a.key < b.key)
            && leaves.first().is_some_and(|leaf| leaf.key == FIRST)
            && leaves.last().is_some_and(|leaf| leaf.key == LAST);
        fits.then_some(Self { leaves })
    }

    /// All leaves and padding, to be kept as long as proofs are wanted.
    pub fn leaves(&self) -> &[MapLeaf] {
        &self.leaves
    }

    /// What the entry commits to.
    pub fn root(&self) -> Digest {
        root(Domain::DisclosureMapNode, &self.hashes())
    }

    /// What the map says about a key, with its proof; none for all zeros and all ones.
    pub fn lookup(&self, key: &Digest) -> Option<Lookup> {
        if *key == FIRST || *key == LAST {
            return None;
        }
        let hashes = self.hashes();
        let path = |index| path(Domain::DisclosureMapNode, &hashes, index);
        match self.leaves.binary_search_by(|leaf| leaf.key.cmp(key)) {
            Ok(index) => {
                let leaf = self.leaves.get(index)?;
                let at = u64::try_from(index).ok()?;
                Some(Lookup::Present((at, leaf.value, path(index)?)))
            }
            Err(after) => {
                let before = after.checked_sub(1)?;
                let neighbour = |index| {
                    let leaf: &MapLeaf = self.leaves.get(index)?;
                    Some(Neighbour {
                        key: leaf.key,
                        value_hash: leaf.value.hash(),
                        path: path(index)?,
                    })
                };
                let at = u64::try_from(before).ok()?;
                Some(Lookup::Absent((at, neighbour(before)?, neighbour(after)?)))
            }
        }
    }

    fn hashes(&self) -> Vec<Digest> {
        let hash = |leaf: &MapLeaf| leaf_hash(&leaf.key, &leaf.value.hash());
        self.leaves.iter().map(hash).collect()
    }
}

impl Lookup {
    /// What the map with this root says about a key: a value, or that there is none. `None` if the
    /// proof does not hold.
    pub fn verify(&self, key: &Digest, root: &Digest) -> Option<Option<PeriodValue>> {
        let climbs = |leaf, index, path: &[Digest]| {
            climb(Domain::DisclosureMapNode, leaf, index, path).as_ref() == Some(root)
        };
        match self {
            Self::Present((index, value, path)) => {
                let leaf = leaf_hash(key, &value.hash());
                climbs(leaf, *index, path).then_some(Some(*value))
            }
            Self::Absent((index, before, after)) => {
                let next = index.checked_add(1)?;
                let holds = before.key < *key
                    && *key < after.key
                    && before.path.len() == after.path.len()
                    && climbs(before.leaf_hash(), *index, &before.path)
                    && climbs(after.leaf_hash(), next, &after.path);
                holds.then_some(None)
            }
        }
    }
}

impl PeriodValue {
    /// What a leaf's hash covers of its value.
    pub fn hash(&self) -> Digest {
        keys::digest(
            Domain::DisclosureMapLeaf,
            &[self.root.as_bytes(), &self.count.to_be_bytes()],
        )
    }
}

impl Neighbour {
    fn leaf_hash(&self) -> Digest {
        leaf_hash(&self.key, &self.value_hash)
    }
}

/// A value of which nobody ever sees more than the hash.
fn unseen(root: Digest) -> PeriodValue {
    PeriodValue { root, count: 0 }
}

fn leaf_hash(key: &Digest, value_hash: &Digest) -> Digest {
    keys::digest(
        Domain::DisclosureMapLeaf,
        &[key.as_bytes(), value_hash.as_bytes()],
    )
}
