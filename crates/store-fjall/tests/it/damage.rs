//! Flipped bits: an error or the right value, never a wrong value and never a missing one.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use futures::executor::block_on;
use store::{Batch, Range, Store, Table};
use store_fjall::{Config, FjallStore, OpenError, Verification};

use crate::rows::{all, small, value};

const TABLES: [Table; 2] = [Table::new("small"), Table::new("large")];
/// Bytes flipped per file, besides every byte of the first and last few.
const SAMPLES: usize = 5;
const EDGE_BYTES: usize = 2;
/// More than the first commit of these tests takes in a journal.
const FIRST_GROUP_BYTES: usize = 700;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A store with tables, blobs, old versions, deletions and rows that are only in the journal.
fn fill(folder: &Path) -> [Rows; 2] {
    let mut expected = [Rows::new(), Rows::new()];
    let store = FjallStore::open(folder, &small()).unwrap();
    for n in 0..160u32 {
        let mut batch = Batch::new();
        for (table, rows) in TABLES.into_iter().zip(&mut expected) {
            let key = (n % 100).to_be_bytes().to_vec();
            let length = if table == TABLES[0] {
                n as usize
            } else {
                5_000 + n as usize
            };
            batch = batch.put(table, &key, value(table, &key, length));
            rows.insert(key.clone(), value(table, &key, length));
            if n % 10 == 3 {
                let key = (n % 50).to_be_bytes().to_vec();
                batch = batch.delete(table, &key);
                rows.remove(&key);
            }
        }
        block_on(store.commit(batch)).unwrap();
    }
    expected
}

/// What can be seen of a damaged store, checked against what it should hold.
fn check(folder: &Path, expected: &[Rows; 2], what: &str) -> Option<Verification> {
    // As in a store too large to be checked whole at open: the harder case.
    let config = Config {
        check_at_open_bytes: 0,
        ..small()
    };
    let Ok(store) = FjallStore::open(folder, &config) else {
        return None;
    };
    for (table, rows) in TABLES.into_iter().zip(expected) {
        for n in 0..100u32 {
            let key = n.to_be_bytes();
            if let Ok(found) = block_on(store.get(table, &key)) {
                let right = rows.get(&key[..]).map(Vec::as_slice);
                assert!(
                    found.as_deref() == right,
                    "{what}: row {n} of {table} is wrong"
                );
            }
        }
        if let Ok(found) = all(&store, table) {
            assert!(
                found.into_iter().eq(rows.clone()),
                "{what}: a range of {table} is wrong"
            );
        }
    }
    Some(block_on(store.verify_all(|_| ())).unwrap())
}

#[test]
fn a_flipped_byte_is_an_error_or_harmless() {
    let folders = scratch();
    let original = folders.path().join("original");
    let expected = fill(&original);
    let files = live_files(&original);
    for kind in ["tip", "version", ".jnl", "current", "tables", "blobs"] {
        assert!(
            files
                .iter()
                .any(|(file, _)| file.to_string_lossy().contains(kind)),
            "{kind}"
        );
    }

    // For a long run by hand: every byte of the small files.
    let every = std::env::var_os("STORE_FJALL_FLIP_EVERY").is_some();
    let damaged = folders.path().join("damaged");
    for (file, length) in files {
        let edge = (0..EDGE_BYTES).chain(length.saturating_sub(EDGE_BYTES)..length);
        let few = (length / SAMPLES).max(1);
        let step = if every {
            few.min(length / 4_096 * 61 + 1)
        } else {
            few
        };
        let inner = (step / 2..length).step_by(step);
        for (nth, at) in edge.chain(inner).filter(|&at| at < length).enumerate() {
            copy(&original, &damaged);
            flip(&damaged.join(&file), at, 1 << (nth % 8));
            check(&damaged, &expected, &format!("{} at {at}", file.display()));
            fs::remove_dir_all(&damaged).unwrap();
        }
    }
}

#[test]
fn a_full_verification_counts_damage_by_table() {
    let folders = scratch();
    let original = folders.path().join("original");
    let expected = fill(&original);
    let found = check(&original, &expected, "intact").unwrap();
    assert!(found.is_intact());
    assert_eq!(found.rows as usize, expected[0].len() + expected[1].len());
    let sizes = expected.iter().flat_map(BTreeMap::values).map(Vec::len);
    assert_eq!(found.size_bytes as usize, sizes.sum::<usize>());

    // Blobs hold nothing but large values: damage to all of them is damage to that table only.
    for (file, _) in live_files(&original) {
        if file.to_string_lossy().contains("blobs") {
            let mut bytes = fs::read(original.join(&file)).unwrap();
            let middle = bytes.len() / 8..bytes.len() / 2;
            bytes[middle]
                .iter_mut()
                .step_by(1_000)
                .for_each(|byte| *byte ^= 0x10);
            fs::write(original.join(&file), bytes).unwrap();
        }
    }
    let found = check(&original, &expected, "blobs").unwrap();
    assert!(!found.is_intact());
    assert_eq!(found.damaged.keys().collect::<Vec<_>>(), ["large"]);
    assert_eq!(found.unreadable, 0);
    assert_eq!(found.rows as usize, expected[0].len() + expected[1].len());

    let store = FjallStore::open(&original, &small()).unwrap();
    assert!(
        block_on(store.export(Vec::new())).is_err(),
        "a dump never carries a damaged row"
    );
    // Damaged rows can be deleted and written again.
    let repair = Batch::new().delete_range(TABLES[1], Range::all());
    block_on(store.commit(repair)).unwrap();
    let found = block_on(store.verify_all(|_| ())).unwrap();
    assert!(found.damaged.is_empty());
    assert_eq!(found.rows as usize, expected[0].len());
}

/// Any damage to a table is seen at open, while the store is small enough for that.
#[test]
fn damage_to_a_table_is_refused_at_open() {
    let folders = scratch();
    let original = folders.path().join("original");
    fill(&original);
    let damaged = folders.path().join("damaged");
    copy(&original, &damaged);
    for (file, length) in live_files(&original) {
        if file.to_string_lossy().contains("tables") {
            for at in (0..length).step_by(length / 20 + 1) {
                flip(&damaged.join(&file), at, 0x80);
                let refusal = FjallStore::open(&damaged, &small()).err().unwrap();
                assert!(matches!(refusal, OpenError::Damaged { .. }), "{refusal:?}");
                flip(&damaged.join(&file), at, 0x80);
            }
        }
    }
    FjallStore::open(&damaged, &small()).unwrap();
}

/// The engine cuts a journal it cannot read; acknowledged commits after the damage would be gone.
#[test]
fn damage_within_the_journal_is_refused_and_nothing_is_cut() {
    let folder = scratch();
    let config = Config::default();
    let store = FjallStore::open(folder.path(), &config).unwrap();
    for n in 0..20u8 {
        block_on(store.commit(Batch::new().put(TABLES[0], [n], vec![n; 500]))).unwrap();
    }
    drop(store);
    let journal = folder.path().join("engine/0.jnl");
    let intact = fs::read(&journal).unwrap();
    let live = intact.iter().rposition(|&byte| byte != 0).unwrap();
    for at in (FIRST_GROUP_BYTES..live).step_by(97) {
        flip(&journal, at, 0x40);
        assert!(
            FjallStore::open(folder.path(), &config).is_err(),
            "opened with byte {at} flipped"
        );
        flip(&journal, at, 0x40);
    }
    assert!(
        fs::read(&journal).unwrap() == intact,
        "what refuses to open leaves the journal whole"
    );
    // A tail that was never acknowledged is cut, and only that.
    let mut torn = intact[..=live].to_vec();
    torn.extend_from_slice(&intact[..300]);
    fs::write(&journal, &torn).unwrap();
    let store = FjallStore::open(folder.path(), &config).unwrap();
    assert_eq!(all(&store, TABLES[0]).unwrap().len(), 20);
    drop(store);

    // Damage to the first group looks like a journal that was just begun, until the tree is open.
    flip(&journal, 0, 0x40);
    assert!(FjallStore::open(folder.path(), &config).is_err());
}

/// A folder in memory where there is one: these tests open many stores and lose none to a crash.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// Flips bits of one byte of a file.
fn flip(path: &Path, at: usize, mask: u8) {
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&[byte[0] ^ mask]).unwrap();
}

/// The files that hold data, with how far they do: journals are filled up with zeros.
fn live_files(folder: &Path) -> Vec<(PathBuf, usize)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            if let Some(last) = bytes.iter().rposition(|&byte| byte != 0) {
                files.push((path.strip_prefix(folder).unwrap().to_owned(), last + 1));
            }
        }
    }
    files.sort();
    files
}

/// Copies a folder; files keep their length, but trailing zeros are not written.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
            continue;
        }
        let mut bytes = Vec::new();
        let mut source = File::open(&from).unwrap();
        let length = source.metadata().unwrap().len();
        // Enough for what these tests write into a journal.
        Read::by_ref(&mut source)
            .take(8 << 20)
            .read_to_end(&mut bytes)
            .unwrap();
        let live = bytes
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        let mut copy = File::create(&to).unwrap();
        copy.write_all(&bytes[..live]).unwrap();
        copy.set_len(length).unwrap();
    }
}
