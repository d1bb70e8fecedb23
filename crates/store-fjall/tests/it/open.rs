use std::fs;

use futures::executor::block_on;
use store::{Batch, Error, Store, Table};
use store_fjall::{Config, FjallStore, OpenError};

use crate::rows::small;

const T: Table = Table::new("t");

#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallStore::open(folder.path(), &small()).unwrap();
    let refusal = FjallStore::open(folder.path(), &small()).err().unwrap();
    assert!(matches!(&refusal, OpenError::InUse { folder: named } if named == folder.path()));
    assert!(refusal.to_string().contains("in use by another process"));
    let clone = store.clone();
    drop(store);
    assert!(FjallStore::open(folder.path(), &small()).is_err());
    block_on(clone.commit(Batch::new().put(T, "k", "v"))).unwrap();
    drop(clone);
    let store = FjallStore::open(folder.path(), &small()).unwrap();
    assert_eq!(
        block_on(store.get(T, b"k")).unwrap().as_deref(),
        Some(&b"v"[..])
    );
}

#[test]
fn an_interrupted_creation_starts_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("engine.new")).unwrap();
    fs::write(folder.path().join("engine.new/0.jnl"), "begun").unwrap();
    let store = FjallStore::open(folder.path(), &small()).unwrap();
    block_on(store.commit(Batch::new().put(T, "k", "v"))).unwrap();
}

#[test]
fn missing_parts_are_damage_not_a_new_store() {
    for part in [
        "engine",
        "tip",
        "engine/version",
        "engine/keyspaces/1/current",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = FjallStore::open(folder.path(), &small()).unwrap();
        block_on(store.commit(Batch::new().put(T, "k", "v"))).unwrap();
        drop(store);
        fs::rename(folder.path().join(part), folder.path().join("elsewhere")).unwrap();
        let refusal = FjallStore::open(folder.path(), &small()).err().unwrap();
        assert!(
            matches!(refusal, OpenError::Damaged { .. }),
            "{part}: {refusal}"
        );
        if folder.path().join(part).exists() {
            fs::remove_file(folder.path().join(part)).unwrap();
        }
        fs::rename(folder.path().join("elsewhere"), folder.path().join(part)).unwrap();
        let store = FjallStore::open(folder.path(), &small()).unwrap();
        assert_eq!(
            block_on(store.get(T, b"k")).unwrap().as_deref(),
            Some(&b"v"[..])
        );
    }
}

/// A folder put back from an older copy lacks what was acknowledged since.
#[test]
fn an_older_engine_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let older = tempfile::tempdir().unwrap();
    let open = || FjallStore::open(folder.path(), &small());
    for round in 0..2u8 {
        let store = open().unwrap();
        block_on(store.commit(Batch::new().put(T, [round], "v"))).unwrap();
        drop(store);
        if round == 0 {
            crate::damage::copy(&folder.path().join("engine"), &older.path().join("engine"));
        }
    }
    fs::remove_dir_all(folder.path().join("engine")).unwrap();
    fs::rename(older.path().join("engine"), folder.path().join("engine")).unwrap();
    assert!(matches!(open().err().unwrap(), OpenError::Damaged { .. }));
}

#[test]
#[cfg(unix)]
fn within_the_reserve_only_what_cannot_wait_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let disk = rustix::fs::statvfs(folder.path()).unwrap();
    // Others use the disk too: it is between a quarter of the reserve and the whole for long.
    let config = Config {
        reserve_bytes: 2 * disk.f_bavail * disk.f_frsize,
        ..small()
    };
    let store = FjallStore::open(folder.path(), &config).unwrap();
    block_on(store.commit(Batch::new().put(T, "trace", "v"))).unwrap();
    let deposit = || Batch::new().put(T, "deposit", "v").deferrable();
    for _ in 0..3 {
        assert_eq!(block_on(store.commit(deposit())), Err(Error::Full));
    }
    block_on(store.commit(Batch::new().put(T, "trace", "w"))).unwrap();
    drop(store);
    let store = FjallStore::open(folder.path(), &small()).unwrap();
    assert_eq!(block_on(store.get(T, b"deposit")).unwrap(), None);
    block_on(store.commit(deposit())).unwrap();
}

#[test]
fn below_the_reserve_commits_are_refused_and_nothing_breaks() {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallStore::open(folder.path(), &small()).unwrap();
    block_on(store.commit(Batch::new().put(T, "k", "v"))).unwrap();
    drop(store);

    let config = Config {
        reserve_bytes: u64::MAX,
        ..small()
    };
    let store = FjallStore::open(folder.path(), &config).unwrap();
    for _ in 0..3 {
        let refusal = block_on(store.commit(Batch::new().put(T, "k", "w")));
        assert_eq!(refusal, Err(Error::Full));
    }
    assert_eq!(
        block_on(store.get(T, b"k")).unwrap().as_deref(),
        Some(&b"v"[..])
    );
    drop(store);

    let store = FjallStore::open(folder.path(), &small()).unwrap();
    assert_eq!(
        block_on(store.get(T, b"k")).unwrap().as_deref(),
        Some(&b"v"[..])
    );
    block_on(store.commit(Batch::new().put(T, "k", "w"))).unwrap();
}
