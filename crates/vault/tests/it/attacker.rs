//! Somebody with files, root key and passphrase, who knows how everything is made.
//!
//! Gathers every key that can be reached from the passphrase through any of the files, of any age, and
//! then opens every row, of any age, that any of the keys opens.

use crate::memory::Rows;
use crate::world::{CUSTODIAN, PASSPHRASE};
use codec::{Domain, Reader, SubjectId, Value};
use keys::{Secret, Zeroizing};
use std::collections::{BTreeMap, BTreeSet};
use vault::custody::{CustodyFile, KeyKind, Slot};
use vault::{Custody, MemoryCustody};

/// Files of any age: several versions of one file may be there.
pub type Files = Vec<(CustodyFile, Vec<u8>)>;

/// What was reached.
#[derive(Default)]
pub struct Loot {
    /// Keys of subjects and shards, and the node's.
    keys: BTreeSet<[u8; 32]>,
    /// Plain content of rows that opened, by table and row key.
    pub opened: BTreeMap<(String, Vec<u8>), Vec<Vec<u8>>>,
}

/// Every file of a custody.
pub fn files(custody: &dyn Custody) -> Files {
    let mut names = custody.key_tables().unwrap();
    names.extend([
        CustodyFile::RootKey,
        CustodyFile::TableKeys,
        CustodyFile::Identity,
    ]);
    names
        .into_iter()
        .map(|name| (name, custody.read(name).unwrap().unwrap()))
        .collect()
}

/// A custody of these files, the last of each name.
pub fn custody_of(files: &Files) -> MemoryCustody {
    let custody = MemoryCustody::new();
    for (name, bytes) in files {
        custody.replace(*name, bytes).unwrap();
    }
    custody
}

pub fn attack(files: &Files, stores: &[&Rows]) -> Loot {
    let mut loot = Loot::default();
    let table_keys = reach(files, &mut loot);
    for (name, bytes) in files {
        let CustodyFile::KeyTable(slot, generation) = name else {
            continue;
        };
        for key in &table_keys {
            if let Ok(plain) = keys::open(
                &Secret::from_bytes(*key),
                &table_aad(*slot, *generation),
                bytes,
            ) {
                loot.keys.extend(strings_of_32(&plain));
            }
        }
    }
    let row_keys = row_keys(&loot.keys);
    for rows in stores {
        for ((table, key), value) in *rows {
            open_row(table, key, value, &row_keys, &mut loot);
        }
    }
    loot
}

impl Loot {
    /// The rows of a subject's compartment that opened.
    pub fn rows_of(&self, subject: &SubjectId) -> Vec<&(String, Vec<u8>)> {
        let tables = [
            "records",
            "index",
            "idempotency",
            "consents",
            "consent-history",
            "noted",
            "waiting",
        ];
        let of_subject = |(table, key): &&(String, Vec<u8>)| {
            tables.contains(&table.as_str()) && key.starts_with(subject.as_bytes())
        };
        self.opened.keys().filter(of_subject).collect()
    }

    /// The postings that name a subject once opened.
    pub fn postings_of(&self, subject: &SubjectId) -> usize {
        let postings = self
            .opened
            .iter()
            .filter(|((table, _), _)| table == "postings");
        postings
            .filter(|(_, plains)| {
                plains
                    .iter()
                    .any(|plain| contains(plain, subject.as_bytes()))
            })
            .count()
    }

    /// Whether some row key in a store is the blinded name of this token under a known key.
    pub fn guesses(&self, rows: &Rows, token: &[u8], subject: &SubjectId, record: &[u8]) -> bool {
        let blinds: BTreeSet<Vec<u8>> = self
            .keys
            .iter()
            .map(|key| {
                let blind = Secret::from_bytes(*key).derive(Domain::IndexKey, b"token");
                let name = blind.mac(Domain::BlindToken, &[token, subject.as_bytes(), record]);
                name.as_bytes()[..12].to_vec()
            })
            .collect();
        rows.keys()
            .filter(|(table, _)| *table == "postings")
            .any(|(_, key)| blinds.contains(&key[key.len() - 12..]))
    }
}

/// Root keys from the passphrase, then everything sealed under them; gives the keys of key tables.
fn reach(files: &Files, loot: &mut Loot) -> BTreeSet<[u8; 32]> {
    let mut table_keys = BTreeSet::new();
    let roots: Vec<Secret> = files
        .iter()
        .filter(|(name, _)| *name == CustodyFile::RootKey)
        .map(|(_, bytes)| keys::password_open(PASSPHRASE, bytes).unwrap())
        .map(|root| Secret::from_bytes(root.as_slice().try_into().unwrap()))
        .collect();
    for root in &roots {
        for (name, bytes) in files {
            let (info, aad): (&[u8], _) = match name {
                CustodyFile::TableKeys => (b"ring", Domain::RingSeal.tag()),
                CustodyFile::Identity => (b"identity", Domain::IdentitySeal.tag()),
                _ => continue,
            };
            if let Ok(plain) = keys::open(&root.derive(Domain::RootKey, info), aad, bytes) {
                let found = strings_of_32(&plain);
                if *name == CustodyFile::TableKeys {
                    assert_eq!(found.len(), 512, "the attacker reads the ring");
                    table_keys.extend(found);
                } else {
                    loot.keys.extend(found);
                }
            }
        }
        loot.keys.insert(*root.expose());
    }
    table_keys
}

fn row_keys(known: &BTreeSet<[u8; 32]>) -> Vec<(Secret, Domain)> {
    let ways: [(Domain, &[u8], Domain); 7] = [
        (Domain::CompartmentKey, b"wrap", Domain::RecordKeyWrap),
        (Domain::CompartmentKey, b"index", Domain::IndexSeal),
        (Domain::CompartmentKey, b"consent", Domain::ConsentSeal),
        (Domain::AuditKey, b"rows", Domain::AuditSeal),
        (Domain::RootKey, b"outbox", Domain::OutboxSeal),
        (Domain::RootKey, b"rows", Domain::NodeSeal),
        (Domain::IndexKey, b"posting", Domain::PostingSeal),
    ];
    known
        .iter()
        .flat_map(|key| {
            let key = Secret::from_bytes(*key);
            ways.map(|(domain, info, seals)| (key.derive(domain, info), seals))
        })
        .collect()
}

fn open_row(table: &str, key: &[u8], value: &[u8], row_keys: &[(Secret, Domain)], loot: &mut Loot) {
    // Index rows hold two ciphertexts; data keys open the stored form of their version.
    let blobs = match codec::from_slice::<Value>(value) {
        Ok(Value::Map(pairs)) if table == "index" => pairs
            .into_iter()
            .filter_map(|(_, value)| match value {
                Value::Bytes(bytes) => Some(bytes),
                _ => None,
            })
            .collect(),
        _ => vec![value.to_vec()],
    };
    let mut keys: Vec<(Secret, Domain)> = Vec::new();
    if table == "records" {
        let version = ("index".to_owned(), key.to_vec());
        for plain in loot.opened.get(&version).into_iter().flatten() {
            if let Ok(data_key) = <[u8; 32]>::try_from(plain.as_slice()) {
                let seal = Secret::from_bytes(data_key).derive(Domain::RecordSeal, &[]);
                keys.push((seal, Domain::RecordSeal));
            }
        }
    } else {
        keys.extend(row_keys.iter().cloned());
    }
    for blob in blobs {
        for (secret, domain) in &keys {
            if let Some(plain) = open(secret, *domain, table, key, &blob) {
                let place = (table.to_owned(), key.to_vec());
                loot.opened.entry(place).or_default().push(plain.to_vec());
            }
        }
    }
}

fn open(
    key: &Secret,
    domain: Domain,
    table: &str,
    row: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let aad = keys::aad(domain, &[CUSTODIAN.as_bytes(), table.as_bytes(), row]);
    keys::open(key, &aad, sealed).ok()
}

fn table_aad(slot: Slot, generation: u64) -> Vec<u8> {
    let domain = match slot.kind {
        KeyKind::Compartment => Domain::KeyTableSeal,
        KeyKind::Audit => Domain::AuditKeyTableSeal,
    };
    keys::aad(domain, &[&[slot.shard], &generation.to_be_bytes()])
}

/// Every byte string of 32 bytes in an encoding.
fn strings_of_32(plain: &[u8]) -> Vec<[u8; 32]> {
    fn walk(value: &Value, found: &mut Vec<[u8; 32]>) {
        match value {
            Value::Bytes(bytes) => found.extend(<[u8; 32]>::try_from(bytes.as_slice())),
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            Value::Map(pairs) => pairs.iter().for_each(|(_, value)| walk(value, found)),
            _ => {}
        }
    }
    let mut reader = Reader::new(plain);
    let value = codec::Decode::decode(&mut reader).unwrap();
    let mut found = Vec::new();
    walk(&value, &mut found);
    found
}

pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}
