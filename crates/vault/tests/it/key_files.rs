//! The files of keys: who opens them, what a crash leaves, what is overwritten.

use crate::attacker::contains;
use crate::world::{FAST, PASSPHRASE, Rng, create, ms, opening, run, subject};
use keys::{PasswordParams, Secret};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use vault::custody::{CustodyFile, FileStep};
use vault::{Custody, CustodyError, FileCustody, Identity, Keychain, MemoryCustody, Vault};

#[test]
fn keys_open_with_their_passphrase_only() {
    let mut rng = Rng::new(1);
    let custody = MemoryCustody::new();
    let missing = Keychain::open(Arc::new(custody.clone()), PASSPHRASE);
    let file = CustodyFile::RootKey;
    assert_eq!(missing.unwrap_err(), CustodyError::Missing { file });
    let keychain = create(Arc::new(custody.clone()), &mut rng);
    let again = Keychain::open(Arc::new(custody.clone()), PASSPHRASE).unwrap();
    let seeds = |identity: Identity| {
        [
            identity.signing_seed,
            identity.pq_signing_seed,
            identity.hybrid_seed,
            identity.validator_seed,
        ]
    };
    assert!(seeds(again.identity()) == seeds(keychain.identity()));
    let wrong = Keychain::open(Arc::new(custody.clone()), b"Correct horse battery staple");
    let wrong = wrong.unwrap_err();
    assert_eq!(wrong, CustodyError::WrongPassphrase);
    let message = "custody/root.key does not open: the passphrase is wrong, or the file is damaged";
    assert_eq!(wrong.to_string(), message);
    let identity = Identity::generate(&mut rng);
    let over = Keychain::create(Arc::new(custody), PASSPHRASE, FAST, identity, &mut rng);
    assert_eq!(over.unwrap_err(), CustodyError::Exists);
}

#[test]
fn a_changed_passphrase_is_the_only_one() {
    let mut rng = Rng::new(2);
    let custody = MemoryCustody::new();
    let keychain = create(Arc::new(custody.clone()), &mut rng);
    let absurd = PasswordParams {
        m_kib: u32::MAX,
        t: 1,
        p: 1,
    };
    let refused = keychain.passphrase_change(b"new", absurd, &mut rng);
    assert_eq!(refused.unwrap_err(), CustodyError::PasswordParams);
    keychain.passphrase_change(b"new", FAST, &mut rng).unwrap();
    let old = Keychain::open(Arc::new(custody.clone()), PASSPHRASE);
    assert_eq!(old.unwrap_err(), CustodyError::WrongPassphrase);
    assert!(Keychain::open(Arc::new(custody), b"new").is_ok());
}

#[test]
fn seeds_can_be_replaced_without_losing_rows() {
    let mut rng = Rng::new(3);
    let custody = MemoryCustody::new();
    let store = crate::memory::MemoryStore::new();
    let keychain = create(Arc::new(custody.clone()), &mut rng);
    let vault = run(Vault::open(
        store.clone(),
        keychain,
        crate::world::settings(),
    ))
    .unwrap();
    run(vault.node_row_put(b"cursor", None, b"1", &mut rng)).unwrap();
    let mut identity = Identity::generate(&mut rng);
    identity.signing_seed = Secret::from_bytes([9; 32]);
    vault
        .keychain()
        .identity_replace(identity, &mut rng)
        .unwrap();
    let vault = run(crate::world::open(store, Arc::new(custody))).unwrap();
    assert_eq!(vault.keychain().identity().signing_seed.expose(), &[9; 32]);
    assert!(run(vault.node_row(b"cursor")).unwrap().is_some());
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = FileCustody::open(folder.path()).unwrap();
    let second = FileCustody::open(folder.path());
    assert_eq!(second.unwrap_err(), CustodyError::InUse);
    drop(first);
    assert!(FileCustody::open(folder.path()).is_ok());
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    create(
        Arc::new(FileCustody::open(folder.path()).unwrap()),
        &mut Rng::new(4),
    );
    for (path, mode) in [
        ("custody", 0o700),
        ("key-tables", 0o700),
        ("custody/root.key", 0o600),
        ("custody/table-keys", 0o600),
    ] {
        let metadata = fs::metadata(folder.path().join(path)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{path}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = ["custody", "key-tables"]
        .iter()
        .flat_map(|sub| fs::read_dir(folder.join(sub)).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Every file below a folder, with every name it has.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    ["custody", "key-tables"]
        .iter()
        .flat_map(|sub| fs::read_dir(folder.join(sub)).unwrap())
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn a_replacement_is_all_or_nothing_and_leaves_nothing_behind() {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let (old, new) = (vec![1; 5_000], vec![2; 6_000]);
    for (file, count) in [
        (CustodyFile::TableKeys, 6),
        (CustodyFile::KeyTable(slot(), 1), 3),
    ] {
        for crash_at in 0..=count {
            let folder = tempfile::tempdir().unwrap();
            let custody = FileCustody::open(folder.path()).unwrap();
            custody.replace(file, &old).unwrap();
            drop(custody);
            let seen = Arc::new(AtomicUsize::new(0));
            let log = Arc::clone(&steps);
            let hook = move |_: CustodyFile, step: FileStep| {
                log.lock().unwrap().push(step);
                if seen.fetch_add(1, Ordering::SeqCst) == crash_at {
                    return Err(std::io::ErrorKind::Other.into());
                }
                Ok(())
            };
            let custody = FileCustody::open(folder.path()).unwrap().with_steps(hook);
            let replaced = custody.replace(file, &new);
            assert_eq!(replaced.is_ok(), crash_at == count, "{file} {crash_at}");
            drop(custody);
            let custody = FileCustody::open(folder.path()).unwrap();
            let there = custody.read(file).unwrap().unwrap();
            assert!(there == old || there == new);
            // Nothing but the file and the lock; the old bytes are nowhere once the new are there.
            let left: Vec<_> = names(folder.path());
            assert_eq!(left.len(), 2, "{left:?}");
            if there == new {
                let holds_old = |(_, bytes): &(PathBuf, Vec<u8>)| contains(bytes, &[1; 16]);
                assert!(!contents(folder.path()).iter().any(holds_old));
            }
        }
    }
    assert!(steps.lock().unwrap().contains(&FileStep::Overwritten));
}

fn slot() -> vault::custody::Slot {
    vault::custody::Slot {
        kind: vault::custody::KeyKind::Compartment,
        shard: 1,
    }
}

#[test]
fn key_tables_that_no_slot_names_are_removed() {
    let mut rng = Rng::new(6);
    let custody = MemoryCustody::new();
    let store = crate::memory::MemoryStore::new();
    let keychain = create(Arc::new(custody.clone()), &mut rng);
    let vault = run(Vault::open(
        store.clone(),
        keychain,
        crate::world::settings(),
    ))
    .unwrap();
    let open = opening(subject(1, 1), &mut rng);
    run(vault.compartment_open(&open, ms(1), &mut rng)).unwrap();
    let before = custody.key_tables().unwrap();
    assert_eq!(before.len(), 2);
    custody
        .replace(CustodyFile::KeyTable(slot(), 2), b"left by a crash")
        .unwrap();
    Keychain::open(Arc::new(custody.clone()), PASSPHRASE).unwrap();
    assert_eq!(custody.key_tables().unwrap(), before);
}

#[test]
fn a_ring_put_back_by_hand_costs_no_key_table() {
    let mut rng = Rng::new(9);
    let custody = MemoryCustody::new();
    let store = crate::memory::MemoryStore::new();
    let keychain = create(Arc::new(custody.clone()), &mut rng);
    let vault = run(Vault::open(
        store.clone(),
        keychain,
        crate::world::settings(),
    ))
    .unwrap();
    for n in 1..=2 {
        let open = opening(subject(1, n), &mut rng);
        run(vault.compartment_open(&open, ms(1), &mut rng)).unwrap();
    }
    let old_ring = custody.read(CustodyFile::TableKeys).unwrap().unwrap();
    run(vault.erase(&subject(1, 1), ms(2), &mut rng)).unwrap();
    let new_ring = custody.read(CustodyFile::TableKeys).unwrap().unwrap();
    custody.replace(CustodyFile::TableKeys, &old_ring).unwrap();
    let refused = Keychain::open(Arc::new(custody.clone()), PASSPHRASE);
    let file = CustodyFile::KeyTable(slot(), 1);
    assert_eq!(refused.unwrap_err(), CustodyError::Missing { file });
    custody.replace(CustodyFile::TableKeys, &new_ring).unwrap();
    let vault = run(crate::world::open(store, Arc::new(custody))).unwrap();
    assert!(run(vault.consent_current(&subject(1, 2))).is_ok());
}

#[test]
fn an_interrupted_creation_can_be_repeated() {
    for steps in 0.. {
        let mut rng = Rng::new(7);
        let custody = MemoryCustody::new();
        let fused = crate::memory::Fused {
            custody: custody.clone(),
            fuse: crate::memory::Fuse::after(steps),
        };
        let identity = Identity::generate(&mut rng);
        let made = Keychain::create(Arc::new(fused), PASSPHRASE, FAST, identity, &mut rng);
        if made.is_ok() {
            assert!(steps >= 3);
            break;
        }
        create(Arc::new(custody.clone()), &mut rng);
        assert!(Keychain::open(Arc::new(custody), PASSPHRASE).is_ok());
    }
}

#[test]
fn after_a_failed_write_keys_are_read_but_not_changed() {
    let mut rng = Rng::new(8);
    let custody = MemoryCustody::new();
    create(Arc::new(custody.clone()), &mut rng);
    let store = crate::memory::MemoryStore::new();
    let fused = crate::memory::Fused {
        custody: custody.clone(),
        fuse: crate::memory::Fuse::after(2),
    };
    let keychain = Keychain::open(Arc::new(fused), PASSPHRASE).unwrap();
    let vault = run(Vault::open(store, keychain, crate::world::settings())).unwrap();
    let alice = subject(1, 1);
    let first = opening(alice, &mut rng);
    run(vault.compartment_open(&first, ms(1), &mut rng)).unwrap();
    for n in 2..5 {
        let open = opening(subject(n, n), &mut rng);
        assert!(run(vault.compartment_open(&open, ms(1), &mut rng)).is_err());
    }
    let poisoned = vault.keychain().passphrase_change(b"new", FAST, &mut rng);
    assert_eq!(poisoned.unwrap_err(), CustodyError::Poisoned);
    assert!(run(vault.consent_current(&alice)).is_ok());
}
