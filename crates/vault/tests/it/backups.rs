//! Backups: what comes back, what does not, and until when.

use crate::attacker::contains;
use crate::memory::{MemoryStore, Rows};
use crate::notes;
use crate::world::{
    FAST, Rng, World, create, disclosure_id, ms, new_record, projected, reads, record, refusal,
    run, signed, subject,
};
use bytes::Bytes;
use codec::{Category, SubjectId};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use store::{DumpError, dump};
use vault::backup::{Backup, BackupTerms, Manifest, RowsReader, expire};
use vault::{BackupError, Error, Keychain, MemoryCustody, Parts, Vault, custody::CustodyFile};

const SECRET: &[u8] = b"backup passphrase";
const MADE: u64 = 10_000;
const EXPIRES: u64 = 20_000;

fn people() -> [SubjectId; 3] {
    [subject(1, 1), subject(1, 2), subject(2, 3)]
}

fn world() -> World {
    let mut world = World::new(1);
    for (n, who) in (1..).zip(people()) {
        world.open(who);
        world.put(who, new_record(1, &format!("shared own{n}")));
        let refusal = refusal(who, disclosure_id(n), 5);
        run(world.vault.disclosure_log(&refusal, &mut world.rng)).unwrap();
        run(notes::fill(&world.vault.clone(), who, &mut world.rng));
    }
    world
}

fn made(world: &mut World, folder: &Path) -> Manifest {
    let terms = BackupTerms {
        passphrase: SECRET,
        params: FAST,
        now: ms(MADE),
        expires: ms(EXPIRES),
    };
    run(world.vault.backup(folder, terms, &mut world.rng)).unwrap()
}

fn import(rows: RowsReader) -> Result<(Rows, dump::Summary), DumpError> {
    let mut imported = Rows::new();
    let summary = dump::read(rows, |row| {
        let table: &'static str = String::leak(row.table.to_owned());
        imported.insert((table, row.key), row.value);
        Ok(())
    })?;
    Ok((imported, summary))
}

fn restored(
    folder: &Path,
    tombstones: &[SubjectId],
) -> (Vault<MemoryStore>, MemoryStore, MemoryCustody) {
    let backup = Backup::open(folder, SECRET, ms(EXPIRES - 1)).unwrap();
    let (rows, summary) = import(backup.rows().unwrap()).unwrap();
    assert_eq!(summary.rows, backup.manifest().rows);
    assert_eq!(summary.digest, backup.manifest().digest);
    let custody = MemoryCustody::new();
    let tombstones: BTreeSet<SubjectId> = tombstones.iter().copied().collect();
    let mut rng = Rng::new(77);
    let keychain = backup
        .keychain(
            Arc::new(custody.clone()),
            b"new",
            FAST,
            &tombstones,
            ms(15_000),
            &mut rng,
        )
        .unwrap();
    let store = MemoryStore::of(rows);
    let settings = crate::world::settings();
    let vault = run(Vault::open(store.clone(), keychain, settings)).unwrap();
    (vault, store, custody)
}

#[test]
fn everything_comes_back_marked_as_restored() {
    let mut world = world();
    let folder = tempfile::tempdir().unwrap();
    let manifest = made(&mut world, folder.path());
    assert_eq!((manifest.made, manifest.expires), (ms(MADE), ms(EXPIRES)));
    let old = world.vault.keychain().identity();
    drop(world);
    let (vault, store, custody) = restored(folder.path(), &[]);
    for (n, who) in (1..).zip(people()) {
        assert!(run(reads(&vault, &who, 1, &format!("shared own{n}"))));
        assert!(run(vault.consent_current(&who)).is_ok());
        let listed = run(vault.disclosure_list(&who, ms(0), ms(99), 9)).unwrap();
        assert_eq!(listed.0.len(), 1);
        let waits = run(notes::texts(&vault, &who)).unwrap();
        assert_eq!(waits, ["other", "wait one", "wait two"]);
    }
    assert_eq!(run(vault.search(b"shared", 9)).unwrap().len(), 3);
    assert_eq!((vault.outbox_len(), vault.entries_len()), (3, 3));
    // The institution signs as before but votes no more with the old key.
    let new = vault.keychain().identity();
    assert!(new.signing_seed == old.signing_seed && new.hybrid_seed == old.hybrid_seed);
    assert!(new.validator_seed != old.validator_seed);
    // The mark stays over restarts until it is cleared.
    let reopen = || {
        let keychain = Keychain::open(Arc::new(custody.clone()), b"new").unwrap();
        let settings = crate::world::settings();
        run(Vault::open(store.clone(), keychain, settings)).unwrap()
    };
    let mark = reopen().restored().unwrap();
    assert_eq!((mark.at, mark.backup_at), (ms(15_000), ms(MADE)));
    run(vault.restored_clear(&mut Rng::new(1))).unwrap();
    assert_eq!(vault.restored(), None);
    assert_eq!(reopen().restored(), None);
}

#[test]
fn what_was_erased_since_does_not_come_back() {
    let mut world = world();
    let folder = tempfile::tempdir().unwrap();
    made(&mut world, folder.path());
    let [alice, bob, _] = people();
    run(world.vault.erase(&alice, ms(12_000), &mut world.rng)).unwrap();
    let erased: Vec<SubjectId> = run(world.vault.erasures())
        .unwrap()
        .iter()
        .map(|erasure| erasure.subject)
        .collect();
    let (vault, store, custody) = restored(folder.path(), &erased);
    let mut rng = Rng::new(5);
    let gone = |vault: &Vault<MemoryStore>| {
        let got = run(vault.record_get(&alice, &record(1), None, &Parts::All));
        got.is_err()
            && run(vault.consent_current(&alice)).is_err()
            && run(notes::texts(vault, &alice))
                .unwrap_or_default()
                .is_empty()
    };
    // Even before its rows are removed its key is not there.
    assert!(gone(&vault));
    assert!(run(vault.restored_clear(&mut rng)).is_err());
    // A crash before that is made good after the restart.
    drop(vault);
    let keychain = Keychain::open(Arc::new(custody.clone()), b"new").unwrap();
    let settings = crate::world::settings();
    let vault = run(Vault::open(store.clone(), keychain, settings)).unwrap();
    let resumed = run(vault.erasures_resume(ms(15_001), &mut rng)).unwrap();
    assert_eq!(resumed.len(), 1);
    assert!(gone(&vault));
    // The backup may be older than a guardian's removal: nobody is taken at its word.
    assert_eq!(run(vault.control_kept(&alice)).unwrap(), None);
    assert_eq!(run(vault.search(b"own1", 9)).unwrap(), []);
    assert_eq!(run(vault.search(b"shared", 9)).unwrap().len(), 2);
    assert!(run(reads(&vault, &bob, 1, "shared own2")));
    let rows = store.copied();
    let left = rows
        .keys()
        .any(|(table, key)| *table == "records" && key.starts_with(alice.as_bytes()));
    assert!(!left);
    run(vault.restored_clear(&mut rng)).unwrap();
}

#[test]
fn it_opens_with_its_passphrase_until_it_expires() {
    let mut world = world();
    let folder = tempfile::tempdir().unwrap();
    made(&mut world, folder.path());
    let open =
        |passphrase: &[u8], now| Backup::open(folder.path(), passphrase, ms(now)).map(|_| ());
    assert_eq!(open(SECRET, EXPIRES - 1), Ok(()));
    assert_eq!(open(b"other", 1), Err(BackupError::WrongPassphrase));
    assert_eq!(
        open(SECRET, EXPIRES),
        Err(BackupError::Expired(ms(EXPIRES)))
    );
    // An expiry cannot be moved.
    let path = folder.path().join("manifest");
    let mut manifest: Manifest = codec::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest.expires = ms(EXPIRES * 2);
    let original = fs::read(&path).unwrap();
    fs::write(&path, codec::to_vec(&manifest)).unwrap();
    assert_eq!(open(SECRET, EXPIRES), Err(BackupError::Damaged("custody")));
    fs::write(&path, original).unwrap();
    // Without its key nobody opens it, whatever the clock says.
    assert_eq!(expire(folder.path(), ms(EXPIRES - 1)), Ok(false));
    assert_eq!(open(SECRET, EXPIRES - 1), Ok(()));
    assert_eq!(expire(folder.path(), ms(EXPIRES)), Ok(true));
    assert_eq!(expire(folder.path(), ms(EXPIRES)), Ok(true));
    assert_eq!(open(SECRET, 1), Err(BackupError::Damaged("key")));
}

#[test]
fn an_altered_backup_is_refused() {
    let mut world = world();
    let folder = tempfile::tempdir().unwrap();
    made(&mut world, folder.path());
    let whole = |folder: &Path| {
        let backup = Backup::open(folder, SECRET, ms(1)).map_err(|_| ())?;
        import(backup.rows().map_err(|_| ())?).map_err(|_| ())
    };
    assert!(whole(folder.path()).is_ok());
    let mut rng = Rng::new(6);
    for name in ["manifest", "key", "custody", "rows"] {
        let path = folder.path().join(name);
        let original = fs::read(&path).unwrap();
        assert!(!contains(&original, b"stored form"));
        for _ in 0..20 {
            let mut bytes = original.clone();
            let at = rng.below(bytes.len());
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert!(whole(folder.path()).is_err(), "{name} byte {at}");
        }
        for cut in [0, original.len() / 2, original.len() - 1] {
            fs::write(&path, &original[..cut]).unwrap();
            assert!(whole(folder.path()).is_err(), "{name} cut at {cut}");
        }
        fs::write(&path, [&original[..], &[0]].concat()).unwrap();
        assert!(whole(folder.path()).is_err(), "{name} and more");
        fs::remove_file(&path).unwrap();
        assert!(whole(folder.path()).is_err(), "{name} missing");
        fs::write(&path, original).unwrap();
    }
    assert!(whole(folder.path()).is_ok());
}

#[test]
fn a_large_store_comes_back_whole() {
    let mut world = World::new(7);
    let alice = subject(1, 1);
    world.open(alice);
    // More than two chunks, none of them at a row's end.
    for n in 0..9 {
        let mut new = new_record(n, "large");
        new.stored_form = keys::Zeroizing::new(vec![n; 70_001]);
        for projection in &mut new.projections {
            projection.bytes = projected(projection.category, &new.stored_form);
        }
        world.put(alice, new);
    }
    let folder = tempfile::tempdir().unwrap();
    made(&mut world, folder.path());
    let (vault, _, _) = restored(folder.path(), &[]);
    for n in 0..9 {
        let opened = run(vault.record_get(&alice, &record(n), None, &Parts::All)).unwrap();
        assert_eq!(opened.stored_form().unwrap().bytes(), &vec![n; 70_001][..]);
        assert!(opened.projection(Category::Phenotype).is_some());
    }
}

#[test]
fn backups_and_restores_need_empty_places() {
    let mut world = world();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("other"), b"x").unwrap();
    let terms = |expires| BackupTerms {
        passphrase: SECRET,
        params: FAST,
        now: ms(MADE),
        expires: ms(expires),
    };
    let refused = run(world
        .vault
        .backup(folder.path(), terms(EXPIRES), &mut world.rng));
    assert_eq!(refused.unwrap_err(), BackupError::NotEmpty.into());
    let refused = run(world
        .vault
        .backup(folder.path(), terms(MADE), &mut world.rng));
    assert_eq!(refused.unwrap_err(), BackupError::NoTime.into());
    let empty = tempfile::tempdir().unwrap();
    made(&mut world, empty.path());
    let custody = MemoryCustody::new();
    create(Arc::new(custody.clone()), &mut Rng::new(8));
    let backup = Backup::open(empty.path(), SECRET, ms(1)).unwrap();
    let none = BTreeSet::new();
    let over = backup.keychain(
        Arc::new(custody),
        b"new",
        FAST,
        &none,
        ms(1),
        &mut Rng::new(8),
    );
    assert!(matches!(over, Err(Error::Custody(_))));
}

#[test]
fn an_interrupted_erasure_is_finished_after_a_restore() {
    let mut world = world();
    let [alice, bob, _] = people();
    let store = world.store.with_fuse(crate::memory::Fuse::after(1));
    let crashing = run(crate::world::open(store, Arc::new(world.custody.clone()))).unwrap();
    assert!(run(crashing.erase(&alice, ms(9), &mut world.rng)).is_err());
    world.vault = world.reopened();
    let folder = tempfile::tempdir().unwrap();
    made(&mut world, folder.path());
    let (vault, _, _) = restored(folder.path(), &[]);
    let mut rng = Rng::new(9);
    assert!(run(vault.record_list(&alice, None, None, 9)).is_err());
    assert_eq!(
        run(vault.erasures_resume(ms(16_000), &mut rng))
            .unwrap()
            .len(),
        1
    );
    assert!(run(vault.control_kept(&alice)).unwrap().is_some());
    assert_eq!(run(vault.search(b"shared", 9)).unwrap().len(), 2);
    assert!(run(reads(&vault, &bob, 1, "shared own2")));
    // And the shard's next generation works on.
    let entry = signed(&mut rng);
    assert_eq!(entry.last_valid, 100);
    let put = crate::world::one(bob, new_record(7, "later"));
    run(vault.record_put(&put, ms(17_000), &mut rng)).unwrap();
    assert_eq!(run(vault.search(b"later", 9)).unwrap().len(), 1);
}

#[test]
fn keys_of_a_backup_are_sealed_files() {
    let mut world = world();
    let folder = tempfile::tempdir().unwrap();
    made(&mut world, folder.path());
    let names: BTreeSet<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expect = ["custody", "key", "manifest", "rows"];
    assert!(names.iter().map(String::as_str).eq(expect));
    // No sealed value of the store is recognisable, so copies of a backup cannot be linked to a disk.
    let rows = fs::read(folder.path().join("rows")).unwrap();
    for ((table, key), value) in world.store.copied() {
        let long = |bytes: &Bytes| bytes.len() >= 16 && contains(&rows, &bytes[..16]);
        assert!(!long(&key) && !long(&value), "{table}");
    }
    assert!(CustodyFile::TableKeys.is_destroyed());
}
