//! The opened keys of an institution: root key, ring of table keys, key tables, identity.
//!
//! ```text
//! passphrase -> root key -> ring -> table key of a slot -> key table -> a subject's key
//!                        -> identity
//! ```
//! A subject's key is dropped by [`Keychain::rotation_commit`]: its shard is written under a fresh
//! table key as a new generation, then the ring is replaced. The ring's rename is the commit point;
//! before it the old generation is current, after it nothing opens the old one.
//!
//! Every call is synchronous; one lock orders all changes of the files. Once a change fails half way,
//! no more changes are taken until the keys are opened again.

mod identity;
mod ring;
mod table;

pub use identity::{Identity, Restored};
pub(crate) use table::{KeyTable, SubjectKey, slot_of};

use crate::custody::{Custody, CustodyError, CustodyFile, KeyKind, Slot};
use codec::SubjectId;
use keys::{Entropy, PasswordError, PasswordParams, Secret};
use ring::{Ring, RingEntry};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The opened keys.
pub struct Keychain {
    custody: Arc<dyn Custody>,
    root: Secret,
    identity: Mutex<Identity>,
    state: Mutex<State>,
}

struct State {
    ring: Ring,
    // A replacement failed: what the files hold is unknown until they are opened again.
    poisoned: bool,
    next: BTreeMap<Slot, Next>,
}

/// The generation that is being prepared for a slot.
struct Next {
    entry: RingEntry,
    index_key: Secret,
}

/// The index key of a shard, with its generation.
#[derive(Clone)]
pub(crate) struct IndexKey {
    pub(crate) generation: u64,
    pub(crate) key: Secret,
}

impl Keychain {
    /// Makes the keys of a new institution and opens them.
    ///
    /// # Errors
    /// [`CustodyError::Exists`] if there are keys already.
    pub fn create(
        custody: Arc<dyn Custody>,
        passphrase: &[u8],
        params: PasswordParams,
        identity: Identity,
        entropy: &mut impl Entropy,
    ) -> Result<Self, CustodyError> {
        Self::create_with(custody, passphrase, params, identity, Vec::new(), entropy)
    }

    /// Makes keys around key tables that exist already (from a backup).
    pub(crate) fn create_with(
        custody: Arc<dyn Custody>,
        passphrase: &[u8],
        params: PasswordParams,
        identity: Identity,
        tables: Vec<(Slot, u64, KeyTable)>,
        entropy: &mut impl Entropy,
    ) -> Result<Self, CustodyError> {
        if custody.read(CustodyFile::RootKey)?.is_some() {
            return Err(CustodyError::Exists);
        }
        // What an interrupted creation left: without a root key nothing opens it.
        for file in custody.key_tables()? {
            custody.destroy(file)?;
        }
        let root = Secret::generate(entropy);
        let mut ring = Ring::generate(entropy);
        for (slot, generation, table) in tables {
            let entry = RingEntry {
                generation,
                table_key: ring.entry(slot).table_key.clone(),
            };
            let sealed = table.seal(slot, generation, &entry.table_key, entropy);
            custody.replace(CustodyFile::KeyTable(slot, generation), &sealed)?;
            ring = ring.with(slot, entry);
        }
        custody.replace(CustodyFile::TableKeys, &ring.seal(&root, entropy))?;
        custody.replace(CustodyFile::Identity, &identity.seal(&root, entropy))?;
        // Last: the root key file says that the rest is complete.
        let sealed = root_seal(passphrase, params, &root, entropy)?;
        custody.replace(CustodyFile::RootKey, &sealed)?;
        Ok(Self::of(custody, root, identity, ring))
    }

    /// Opens the keys of an institution, and removes what an interrupted change left of a slot.
    ///
    /// # Errors
    /// [`CustodyError::WrongPassphrase`], [`CustodyError::Damaged`]; [`CustodyError::Missing`], also
    /// if a slot has key tables but not the one that the ring names.
    pub fn open(custody: Arc<dyn Custody>, passphrase: &[u8]) -> Result<Self, CustodyError> {
        let root = root_open(passphrase, &present(&*custody, CustodyFile::RootKey)?)?;
        let ring = Ring::open(&root, &present(&*custody, CustodyFile::TableKeys)?)?;
        let identity = Identity::open(&root, &present(&*custody, CustodyFile::Identity)?)?;
        leftovers_remove(&*custody, &ring)?;
        Ok(Self::of(custody, root, identity, ring))
    }

    /// Seals the root key under another passphrase; the file under the old one is destroyed.
    ///
    /// # Errors
    /// [`CustodyError::Io`].
    pub fn passphrase_change(
        &self,
        passphrase: &[u8],
        params: PasswordParams,
        entropy: &mut impl Entropy,
    ) -> Result<(), CustodyError> {
        let mut state = self.changing()?;
        let sealed = root_seal(passphrase, params, &self.root, entropy)?;
        self.replace(&mut state, CustodyFile::RootKey, &sealed)
    }

    /// The institution's seeds.
    pub fn identity(&self) -> Identity {
        lock(&self.identity).clone()
    }

    /// Replaces the institution's seeds (after a rotation on the ledger); the old ones are destroyed.
    /// The key of the node's own rows stays.
    ///
    /// # Errors
    /// [`CustodyError::Io`].
    pub fn identity_replace(
        &self,
        mut identity: Identity,
        entropy: &mut impl Entropy,
    ) -> Result<(), CustodyError> {
        let mut state = self.changing()?;
        let mut current = lock(&self.identity);
        identity.node_key = current.node_key.clone();
        identity.restored.clone_from(&current.restored);
        let sealed = identity.seal(&self.root, entropy);
        self.replace(&mut state, CustodyFile::Identity, &sealed)?;
        *current = identity;
        Ok(())
    }

    /// Whether the keys were restored from a backup and not yet found in step with the ledger.
    pub fn restored(&self) -> Option<Restored> {
        lock(&self.identity).restored.clone()
    }

    pub(crate) fn restored_clear(&self, entropy: &mut impl Entropy) -> Result<(), CustodyError> {
        let mut state = self.changing()?;
        let mut current = lock(&self.identity);
        let mut identity = current.clone();
        identity.restored = None;
        let sealed = identity.seal(&self.root, entropy);
        self.replace(&mut state, CustodyFile::Identity, &sealed)?;
        *current = identity;
        Ok(())
    }

    /// A subject's key, if there is one.
    pub(crate) fn key(
        &self,
        kind: KeyKind,
        subject: &SubjectId,
    ) -> Result<Option<Secret>, CustodyError> {
        let state = lock(&self.state);
        let table = self.table(&state, slot_of(kind, subject))?;
        Ok(table.and_then(|mut table| table.keys.remove(subject).map(|entry| entry.key)))
    }

    /// A subject's key, made if there is none; `true` if it was made. Durable when it returns.
    pub(crate) fn key_ensure(
        &self,
        kind: KeyKind,
        subject: &SubjectId,
        now_ms: u64,
        entropy: &mut impl Entropy,
    ) -> Result<(Secret, bool), CustodyError> {
        let slot = slot_of(kind, subject);
        let mut state = self.changing()?;
        let mut table = match self.table(&state, slot)? {
            Some(table) => table,
            None => KeyTable::new(Secret::generate(entropy)),
        };
        if let Some(entry) = table.keys.get(subject) {
            return Ok((entry.key.clone(), false));
        }
        let key = Secret::generate(entropy);
        let entry = SubjectKey {
            key: key.clone(),
            created_ms: now_ms,
        };
        table.keys.insert(*subject, entry);
        let RingEntry {
            generation,
            table_key,
        } = state.ring.entry(slot).clone();
        let sealed = table.seal(slot, generation, &table_key, entropy);
        self.replace(&mut state, CustodyFile::KeyTable(slot, generation), &sealed)?;
        Ok((key, true))
    }

    /// Every key in a slot.
    pub(crate) fn keys(&self, slot: Slot) -> Result<Vec<(SubjectId, Secret)>, CustodyError> {
        let table = self.table(&lock(&self.state), slot)?;
        let keys = table.map(|table| table.keys).unwrap_or_default();
        Ok(keys
            .into_iter()
            .map(|(id, entry)| (id, entry.key))
            .collect())
    }

    /// Which generation of a slot is current.
    pub(crate) fn generation(&self, slot: Slot) -> u64 {
        lock(&self.state).ring.entry(slot).generation
    }

    /// The current index key of a shard; `None` while it has no subjects.
    pub(crate) fn index_key(&self, shard: u8) -> Result<Option<IndexKey>, CustodyError> {
        let slot = compartment_slot(shard);
        let state = lock(&self.state);
        let generation = state.ring.entry(slot).generation;
        let table = self.table(&state, slot)?;
        Ok(table.map(|table| IndexKey {
            generation,
            key: table.index_key,
        }))
    }

    /// Prepares a generation for a slot, in memory only, in place of one prepared earlier.
    pub(crate) fn rotation_begin(
        &self,
        slot: Slot,
        generation: u64,
        entropy: &mut impl Entropy,
    ) -> Result<IndexKey, CustodyError> {
        let mut state = self.changing()?;
        let next = Next {
            entry: RingEntry {
                generation,
                table_key: Secret::generate(entropy),
            },
            index_key: Secret::generate(entropy),
        };
        let index = IndexKey {
            generation,
            key: next.index_key.clone(),
        };
        state.next.insert(slot, next);
        Ok(index)
    }

    /// Makes the prepared generation current, without the keys of `dropped`: they are gone when this
    /// returns. Everything that was added to the slot since the preparation is carried over.
    pub(crate) fn rotation_commit(
        &self,
        slot: Slot,
        dropped: &BTreeSet<SubjectId>,
        entropy: &mut impl Entropy,
    ) -> Result<(), CustodyError> {
        let mut state = self.changing()?;
        // INVARIANT: callers begin before they commit, under the erasure lock.
        let Some(Next { entry, index_key }) = state.next.remove(&slot) else {
            return Err(CustodyError::Poisoned);
        };
        let mut table = KeyTable::new(index_key);
        if let Some(current) = self.table(&state, slot)? {
            table.keys = current.keys;
        }
        table.keys.retain(|subject, _| !dropped.contains(subject));
        let old = CustodyFile::KeyTable(slot, state.ring.entry(slot).generation);
        let new = CustodyFile::KeyTable(slot, entry.generation);
        let sealed = table.seal(slot, entry.generation, &entry.table_key, entropy);
        self.replace(&mut state, new, &sealed)?;
        let ring = state.ring.with(slot, entry);
        let sealed = ring.seal(&self.root, entropy);
        self.replace(&mut state, CustodyFile::TableKeys, &sealed)?;
        state.ring = ring;
        let removed = self.custody.destroy(old);
        poison_if(&mut state, removed)
    }

    /// Every key table, for a backup.
    pub(crate) fn tables(&self) -> Result<Vec<(Slot, u64, KeyTable)>, CustodyError> {
        let state = lock(&self.state);
        let mut tables = Vec::new();
        for kind in KeyKind::ALL {
            for shard in 0..=u8::MAX {
                let slot = Slot { kind, shard };
                if let Some(table) = self.table(&state, slot)? {
                    tables.push((slot, state.ring.entry(slot).generation, table));
                }
            }
        }
        Ok(tables)
    }

    fn of(custody: Arc<dyn Custody>, root: Secret, identity: Identity, ring: Ring) -> Self {
        Self {
            custody,
            root,
            identity: Mutex::new(identity),
            state: Mutex::new(State {
                ring,
                poisoned: false,
                next: BTreeMap::new(),
            }),
        }
    }

    fn changing(&self) -> Result<MutexGuard<'_, State>, CustodyError> {
        let state = lock(&self.state);
        if state.poisoned {
            return Err(CustodyError::Poisoned);
        }
        Ok(state)
    }

    fn table(&self, state: &State, slot: Slot) -> Result<Option<KeyTable>, CustodyError> {
        let RingEntry {
            generation,
            table_key,
        } = state.ring.entry(slot);
        let file = CustodyFile::KeyTable(slot, *generation);
        match self.custody.read(file)? {
            Some(sealed) => KeyTable::open(slot, *generation, table_key, &sealed).map(Some),
            None => Ok(None),
        }
    }

    fn replace(
        &self,
        state: &mut State,
        file: CustodyFile,
        bytes: &[u8],
    ) -> Result<(), CustodyError> {
        let replaced = self.custody.replace(file, bytes);
        poison_if(state, replaced)
    }
}

impl fmt::Debug for Keychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keychain(<redacted>)")
    }
}

pub(crate) const fn compartment_slot(shard: u8) -> Slot {
    Slot {
        kind: KeyKind::Compartment,
        shard,
    }
}

fn root_seal(
    passphrase: &[u8],
    params: PasswordParams,
    root: &Secret,
    entropy: &mut impl Entropy,
) -> Result<Vec<u8>, CustodyError> {
    keys::password_seal(passphrase, params, root.expose(), entropy)
        .map_err(|_| CustodyError::PasswordParams)
}

fn root_open(passphrase: &[u8], sealed: &[u8]) -> Result<Secret, CustodyError> {
    let damaged = || CustodyError::Damaged {
        file: CustodyFile::RootKey,
    };
    let root = keys::password_open(passphrase, sealed).map_err(|error| match error {
        PasswordError::Refused => CustodyError::WrongPassphrase,
        PasswordError::Malformed | PasswordError::Params => damaged(),
    })?;
    let root = root.as_slice().try_into().map_err(|_| damaged())?;
    Ok(Secret::from_bytes(root))
}

/// Removes key tables that no slot names. Never the last one of a slot: a ring that was put back by
/// hand must not cost the key tables of another one.
fn leftovers_remove(custody: &dyn Custody, ring: &Ring) -> Result<(), CustodyError> {
    let files: BTreeSet<CustodyFile> = custody.key_tables()?.into_iter().collect();
    for file in &files {
        let CustodyFile::KeyTable(slot, generation) = *file else {
            continue;
        };
        let named = ring.entry(slot).generation;
        if generation == named {
            continue;
        }
        let current = CustodyFile::KeyTable(slot, named);
        if !files.contains(&current) {
            return Err(CustodyError::Missing { file: current });
        }
        custody.destroy(*file)?;
    }
    Ok(())
}

fn present(custody: &dyn Custody, file: CustodyFile) -> Result<Vec<u8>, CustodyError> {
    custody.read(file)?.ok_or(CustodyError::Missing { file })
}

fn poison_if(state: &mut State, result: Result<(), CustodyError>) -> Result<(), CustodyError> {
    state.poisoned |= result.is_err();
    result
}

/// A poisoned lock means a panic between two assignments; the files are written before the memory.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn codec_error(holds: bool, why: &'static str) -> Result<(), codec::Error> {
    if holds {
        Ok(())
    } else {
        Err(codec::Error::Invalid(why))
    }
}
