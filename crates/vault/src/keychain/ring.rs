//! The ring of table keys: one key and generation for each of 256 shards of both kinds.
//!
//! Sealed whole under a sub-key of the root key. Its replacement is the one act that destroys keys:
//! the key table a slot names opens only under the key in the ring, of the generation in the ring.

use super::codec_error;
use crate::custody::{CustodyError, CustodyFile, KeyKind, Slot};
use codec::{Domain, Reader, Writer};
use keys::{Entropy, Secret, Zeroizing};

const SHARDS: usize = 256;
const SLOTS: usize = SHARDS * KeyKind::ALL.len();
const FORMAT: u64 = 1;
/// Room for the encoding, so that the writer never leaves a copy behind by growing.
const CAPACITY: usize = SLOTS * 48;

/// One key for each slot.
pub(crate) struct Ring {
    entries: Vec<RingEntry>,
}

/// The key of a slot.
#[derive(Clone)]
pub(crate) struct RingEntry {
    /// Which key table is current; never reused.
    pub(crate) generation: u64,
    /// What that key table is sealed under.
    pub(crate) table_key: Secret,
}

impl Ring {
    /// Fresh keys, all of generation 1.
    pub(crate) fn generate(entropy: &mut impl Entropy) -> Self {
        let entry = |_| RingEntry {
            generation: 1,
            table_key: Secret::generate(entropy),
        };
        Self {
            entries: (0..SLOTS).map(entry).collect(),
        }
    }

    /// The key of a slot.
    pub(crate) fn entry(&self, slot: Slot) -> &RingEntry {
        // INVARIANT: `generate` and `open` make exactly SLOTS entries and `position` is below.
        #[expect(clippy::indexing_slicing, reason = "bounded by construction")]
        &self.entries[position(slot)]
    }

    /// The same ring with another key in one slot.
    pub(crate) fn with(&self, slot: Slot, entry: RingEntry) -> Self {
        let mut entries = self.entries.clone();
        if let Some(place) = entries.get_mut(position(slot)) {
            *place = entry;
        }
        Self { entries }
    }

    /// The file.
    pub(crate) fn seal(&self, root: &Secret, entropy: &mut impl Entropy) -> Vec<u8> {
        let mut w = Writer::with_capacity(CAPACITY);
        w.array(2);
        w.uint(FORMAT);
        w.array(self.entries.len());
        for entry in &self.entries {
            w.array(2);
            w.uint(entry.generation);
            w.bytes(entry.table_key.expose());
        }
        let plain = Zeroizing::new(w.into_vec());
        keys::seal(&key(root), Domain::RingSeal.tag(), &plain, entropy)
    }

    /// The ring in a file.
    pub(crate) fn open(root: &Secret, sealed: &[u8]) -> Result<Self, CustodyError> {
        let damaged = || CustodyError::Damaged {
            file: CustodyFile::TableKeys,
        };
        let plain =
            keys::open(&key(root), Domain::RingSeal.tag(), sealed).map_err(|_| damaged())?;
        Self::decode(&plain).map_err(|_| damaged())
    }

    fn decode(plain: &[u8]) -> Result<Self, codec::Error> {
        let mut r = Reader::new(plain);
        r.array_exact(2)?;
        codec_error(r.uint()? == FORMAT, "unknown format of a ring")?;
        r.array_exact(SLOTS)?;
        let mut entries = Vec::with_capacity(SLOTS);
        for _ in 0..SLOTS {
            r.array_exact(2)?;
            entries.push(RingEntry {
                generation: r.uint()?,
                table_key: Secret::from_bytes(r.bytes_exact()?),
            });
        }
        r.finish()?;
        Ok(Self { entries })
    }
}

fn key(root: &Secret) -> Secret {
    root.derive(Domain::RootKey, b"ring")
}

fn position(slot: Slot) -> usize {
    usize::from(slot.kind.code()) * SHARDS + usize::from(slot.shard)
}
