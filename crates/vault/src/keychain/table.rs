//! A key table: the keys of the subjects in one shard, and the shard's index key.
//!
//! Sealed under the table key of its slot, bound to kind, shard and generation. The index key of the
//! shard lives here, so that destroying the table also makes the shard's old postings unreadable.

use super::codec_error;
use crate::custody::{CustodyError, CustodyFile, KeyKind, Slot};
use codec::{Domain, Reader, SubjectId, Writer};
use keys::{Entropy, Secret, Zeroizing};
use std::collections::BTreeMap;

const FORMAT: u64 = 1;
/// Bytes of one subject's entry, at most: two heads, id, key, time.
const ENTRY_BYTES: usize = 96;

/// The keys of one shard.
pub(crate) struct KeyTable {
    /// What the shard's postings are made under.
    pub(crate) index_key: Secret,
    /// The subjects' keys.
    pub(crate) keys: BTreeMap<SubjectId, SubjectKey>,
}

/// One subject's key.
pub(crate) struct SubjectKey {
    /// The compartment key or the audit key.
    pub(crate) key: Secret,
    /// When it was made.
    pub(crate) created_ms: u64,
}

impl KeyTable {
    /// No subjects.
    pub(crate) fn new(index_key: Secret) -> Self {
        Self {
            index_key,
            keys: BTreeMap::new(),
        }
    }

    /// The file.
    pub(crate) fn seal(
        &self,
        slot: Slot,
        generation: u64,
        table_key: &Secret,
        entropy: &mut impl Entropy,
    ) -> Vec<u8> {
        let plain = self.encode();
        keys::seal(table_key, &aad(slot, generation), &plain, entropy)
    }

    /// The table in a file.
    pub(crate) fn open(
        slot: Slot,
        generation: u64,
        table_key: &Secret,
        sealed: &[u8],
    ) -> Result<Self, CustodyError> {
        let damaged = || CustodyError::Damaged {
            file: CustodyFile::KeyTable(slot, generation),
        };
        let plain = keys::open(table_key, &aad(slot, generation), sealed).map_err(|_| damaged())?;
        let table = Self::decode(&plain).map_err(|_| damaged())?;
        let all_here = table
            .keys
            .keys()
            .all(|subject| slot_of(slot.kind, subject) == slot);
        if all_here { Ok(table) } else { Err(damaged()) }
    }

    /// Its plain encoding.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let room = self
            .keys
            .len()
            .saturating_add(1)
            .saturating_mul(ENTRY_BYTES);
        let mut w = Writer::with_capacity(room);
        w.array(3);
        w.uint(FORMAT);
        w.bytes(self.index_key.expose());
        w.array(self.keys.len());
        for (subject, entry) in &self.keys {
            w.array(3);
            w.bytes(subject.as_bytes());
            w.bytes(entry.key.expose());
            w.uint(entry.created_ms);
        }
        Zeroizing::new(w.into_vec())
    }

    /// The table of a plain encoding.
    pub(crate) fn decode(plain: &[u8]) -> Result<Self, codec::Error> {
        let mut r = Reader::new(plain);
        r.array_exact(3)?;
        codec_error(r.uint()? == FORMAT, "unknown format of a key table")?;
        let mut table = Self::new(Secret::from_bytes(r.bytes_exact()?));
        for _ in 0..r.array()? {
            r.array_exact(3)?;
            let subject = SubjectId::new(r.bytes_exact()?);
            let entry = SubjectKey {
                key: Secret::from_bytes(r.bytes_exact()?),
                created_ms: r.uint()?,
            };
            codec_error(
                table.keys.insert(subject, entry).is_none(),
                "a subject twice in a key table",
            )?;
        }
        r.finish()?;
        Ok(table)
    }
}

/// The slot in which a subject's key is.
pub(crate) fn slot_of(kind: KeyKind, subject: &SubjectId) -> Slot {
    let [shard, ..] = *subject.as_bytes();
    Slot { kind, shard }
}

fn aad(slot: Slot, generation: u64) -> Vec<u8> {
    let domain = match slot.kind {
        KeyKind::Compartment => Domain::KeyTableSeal,
        KeyKind::Audit => Domain::AuditKeyTableSeal,
    };
    keys::aad(domain, &[&[slot.shard], &generation.to_be_bytes()])
}
