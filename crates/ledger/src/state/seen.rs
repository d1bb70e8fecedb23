//! Entries that may not come again: what each block included, until the validity of all of it has
//! passed, and where to find an id in it.
//!
//! The ids of a block are one value of the state ([`SeenLeaf`], under [`super::StateKey::Seen`]), so that
//! an entry costs the tree nothing of its own. The [`Index`] over them is made from the values and
//! holds eight bytes for each id.

use super::tree::Value;
use codec::{Decode, Encode, EntryId, Error, Reader, Writer};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

const ID_BYTES: usize = 32;
const ITEM_BYTES: usize = ID_BYTES + 8;

/// An entry that was included; refused again until its validity has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where it was included.
    pub height: u64,
    /// Last height at which its bytes are valid.
    pub last_valid: u64,
}

/// What one block included, in its order: one byte string of 40 bytes for each entry, its id and its
/// last valid height, big-endian.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenLeaf {
    /// Entry ids and last valid heights.
    pub entries: Vec<(EntryId, u64)>,
}

impl SeenLeaf {
    /// The last height at which any of it is valid.
    pub fn last_valid(&self) -> u64 {
        let heights = self.entries.iter().map(|(_, last_valid)| *last_valid);
        heights.max().unwrap_or_default()
    }
}

impl Encode for SeenLeaf {
    fn encode(&self, w: &mut Writer) {
        let mut bytes = Vec::with_capacity(self.entries.len() * ITEM_BYTES);
        for (id, last_valid) in &self.entries {
            bytes.extend_from_slice(id.as_bytes());
            bytes.extend_from_slice(&last_valid.to_be_bytes());
        }
        w.bytes(&bytes);
    }
}

impl Decode for SeenLeaf {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let bytes = r.bytes()?;
        let (items, rest) = bytes.as_chunks::<ITEM_BYTES>();
        if !rest.is_empty() || items.is_empty() {
            return Err(Error::Invalid("whole items of a seen leaf"));
        }
        let entries = items.iter().filter_map(item).collect();
        Ok(Self { entries })
    }
}

fn item(item: &[u8; ITEM_BYTES]) -> Option<(EntryId, u64)> {
    let (id, last_valid) = item.split_first_chunk::<ID_BYTES>()?;
    let last_valid = u64::from_be_bytes(last_valid.try_into().ok()?);
    Some((EntryId::new(*id), last_valid))
}

/// Where each id is: the newest block that included it.
#[derive(Clone, Default)]
pub(super) struct Index {
    hasher: RandomState,
    places: HashTable<Place>,
    blocks: HashMap<u32, Block>,
}

/// INVARIANT: the blocks in the index lie less than 2^32 heights apart, for an entry is valid for
/// at most 10,000 heights.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    /// The low bits of the block's height.
    block: u32,
    at: u32,
}

#[derive(Clone)]
struct Block {
    height: u64,
    value: Value,
}

impl Block {
    fn items(&self) -> &[[u8; ITEM_BYTES]] {
        // INVARIANT: the value is the encoding of a leaf: the head of a byte string, which is shorter
        // than an item, and whole items.
        let head = self.value.len() % ITEM_BYTES;
        let items = self.value.get(head..).unwrap_or_default();
        items.as_chunks().0
    }
}

fn low(height: u64) -> u32 {
    let [_, _, _, _, low @ ..] = height.to_be_bytes();
    u32::from_be_bytes(low)
}

fn id_at(blocks: &HashMap<u32, Block>, place: Place) -> Option<&[u8]> {
    let items = blocks.get(&place.block)?.items();
    items.get(place.at as usize).map(|item| &item[..ID_BYTES])
}

impl Index {
    pub(super) fn get(&self, id: &EntryId) -> Option<Seen> {
        let id = id.as_bytes().as_slice();
        let is = |place: &Place| id_at(&self.blocks, *place) == Some(id);
        let place = self.places.find(self.hasher.hash_one(id), is)?;
        let block = self.blocks.get(&place.block)?;
        let (_, last_valid) = item(block.items().get(place.at as usize)?)?;
        Some(Seen {
            height: block.height,
            last_valid,
        })
    }

    /// Adds the encoded leaf of a block.
    pub(super) fn insert(&mut self, height: u64, value: Value) {
        let block = low(height);
        let added = Block { height, value };
        let count = u32::try_from(added.items().len()).unwrap_or(u32::MAX);
        self.blocks.insert(block, added);
        let (blocks, hasher) = (&self.blocks, &self.hasher);
        let hash = |place: &Place| hasher.hash_one(id_at(blocks, *place).unwrap_or_default());
        for at in 0..count {
            let place = Place { block, at };
            let id = id_at(blocks, place);
            let is = |other: &Place| id_at(blocks, *other) == id;
            match self.places.entry(hash(&place), is, hash) {
                Entry::Occupied(mut older) => *older.get_mut() = place,
                Entry::Vacant(vacant) => {
                    vacant.insert(place);
                }
            }
        }
    }

    /// Removes a block's leaf.
    pub(super) fn remove(&mut self, height: u64) {
        let block = low(height);
        let count = self.blocks.get(&block).map_or(0, |b| b.items().len());
        for at in 0..u32::try_from(count).unwrap_or(u32::MAX) {
            let place = Place { block, at };
            let id = id_at(&self.blocks, place).unwrap_or_default();
            // A newer block's place of the same id stays.
            if let Ok(found) = self
                .places
                .find_entry(self.hasher.hash_one(id), |other| *other == place)
            {
                found.remove();
            }
        }
        self.blocks.remove(&block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn id(number: u8) -> EntryId {
        EntryId::new([number; 32])
    }

    proptest! {
        /// Blocks come, the oldest go, ids come again: an id is found in the newest block that has it
        /// among those that are there.
        #[test]
        fn an_id_is_where_it_was_last_included(
            acts in prop::collection::vec(
                (any::<bool>(), prop::collection::btree_set(0_u8..30, 1..12)),
                1..40,
            ),
        ) {
            let (mut index, mut blocks) = (Index::default(), BTreeMap::new());
            let mut height = u64::from(u32::MAX) - 20;
            for (add, ids) in acts {
                if add {
                    height += 1;
                    let entries = ids.iter().map(|n| (id(*n), height + u64::from(*n)));
                    let leaf = SeenLeaf { entries: entries.collect() };
                    let bytes = codec::to_vec(&leaf);
                    prop_assert_eq!(codec::from_slice::<SeenLeaf>(&bytes), Ok(leaf.clone()));
                    index.insert(height, Value::from(bytes));
                    blocks.insert(height, leaf);
                } else if let Some((oldest, _)) = blocks.pop_first() {
                    index.remove(oldest);
                }
                for n in 0..30 {
                    let newest = blocks.iter().rev().find_map(|(height, leaf)| {
                        let of = leaf.entries.iter().find(|(of, _)| *of == id(n));
                        of.map(|(_, last_valid)| Seen { height: *height, last_valid: *last_valid })
                    });
                    prop_assert_eq!(index.get(&id(n)), newest);
                }
                prop_assert!(index.places.len() <= 30);
            }
        }
    }

    #[test]
    fn a_leaf_of_parts_of_items_is_refused() {
        for len in [0, 39, 41] {
            let mut w = Writer::new();
            w.bytes(&vec![1; len]);
            assert!(codec::from_slice::<SeenLeaf>(w.as_slice()).is_err());
        }
    }
}
