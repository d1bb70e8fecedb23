//! The same promises on disk: fjall and key files in a folder.

use crate::attacker::contains;
use crate::world::{
    Rng, create, disclosure_id, ms, new_record, one, open, opening, reads, record, refusal, run,
    subject,
};
use codec::SubjectId;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use store_fjall::{Config, FjallStore};
use vault::custody::CustodyFile;
use vault::{Custody, Error, FileCustody, Parts, Vault};

fn alice() -> SubjectId {
    subject(1, 1)
}
fn bob() -> SubjectId {
    subject(1, 2)
}

fn store(folder: &Path) -> FjallStore {
    let config = Config {
        reserve_bytes: 0,
        ..Config::default()
    };
    FjallStore::open(folder.join("store"), &config).unwrap()
}

fn opened(folder: &Path) -> Vault<FjallStore> {
    let custody = FileCustody::open(folder).unwrap();
    run(open(store(folder), Arc::new(custody))).unwrap()
}

/// Two subjects of one shard with a record each, closed again.
fn filled(folder: &Path) {
    let mut rng = Rng::new(1);
    create(Arc::new(FileCustody::open(folder).unwrap()), &mut rng);
    let vault = opened(folder);
    for (n, who) in [(1, alice()), (2, bob())] {
        let open = opening(who, &mut rng);
        run(vault.compartment_open(&open, ms(1), &mut rng)).unwrap();
        let put = one(who, new_record(1, &format!("shared secret{n}")));
        run(vault.record_put(&put, ms(2), &mut rng)).unwrap();
        let refusal = refusal(who, disclosure_id(n), 5);
        run(vault.disclosure_log(&refusal, &mut rng)).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn alice_is_gone(vault: &Vault<FjallStore>) -> bool {
    run(vault.record_get(&alice(), &record(1), None, &Parts::All)).is_err()
        && run(vault.record_list(&alice(), None, None, 9)).is_err()
        && run(vault.consent_current(&alice())).is_err()
        && run(vault.search(b"secret1", 9)).unwrap().is_empty()
}

/// Old files and new ones, in any mix, with the ring as it is after the erasure.
#[test]
fn copies_of_every_file_but_the_ring_open_nothing_of_an_erased_subject() {
    let live = tempfile::tempdir().unwrap();
    filled(live.path());
    let before = tempfile::tempdir().unwrap();
    copy(live.path(), before.path());
    {
        let vault = opened(before.path());
        assert!(run(reads(&vault, &alice(), 1, "shared secret1")));
    }
    let vault = opened(live.path());
    run(vault.erase(&alice(), ms(9), &mut Rng::new(2))).unwrap();
    drop(vault);
    for mix in 0..4 {
        let [old_store, old_tables] = [0, 1].map(|bit| mix >> bit & 1 == 1);
        let pick = |old: bool| if old { before.path() } else { live.path() };
        let folder = tempfile::tempdir().unwrap();
        copy(&pick(old_store).join("store"), &folder.path().join("store"));
        copy(
            &pick(old_tables).join("key-tables"),
            &folder.path().join("key-tables"),
        );
        copy(
            &before.path().join("custody"),
            &folder.path().join("custody"),
        );
        let ring = CustodyFile::TableKeys.path();
        fs::copy(live.path().join(&ring), folder.path().join(&ring)).unwrap();
        let custody = FileCustody::open(folder.path()).unwrap();
        let opened = run(open(store(folder.path()), Arc::new(custody)));
        // The ring names the new key tables: without them nothing opens at all.
        assert_eq!(opened.is_ok(), !old_tables, "mix {mix:02b}");
        if let Ok(vault) = opened {
            assert!(alice_is_gone(&vault), "mix {mix:02b}");
            assert!(
                run(reads(&vault, &bob(), 1, "shared secret2")),
                "mix {mix:02b}"
            );
        }
    }
    let vault = opened(live.path());
    assert_eq!(run(vault.search(b"shared", 9)).unwrap().len(), 1);
}

/// The process dies at every step inside the key files.
#[test]
fn a_crash_inside_the_key_files_leaves_erasure_to_be_finished() {
    let template = tempfile::tempdir().unwrap();
    filled(template.path());
    let old_ring = fs::read(template.path().join(CustodyFile::TableKeys.path())).unwrap();
    let mut crash_at = 0;
    loop {
        let folder = tempfile::tempdir().unwrap();
        copy(template.path(), folder.path());
        let seen = Arc::new(AtomicUsize::new(0));
        let hook = move |_, _| {
            if seen.fetch_add(1, Ordering::SeqCst) >= crash_at {
                return Err(std::io::ErrorKind::Other.into());
            }
            Ok(())
        };
        let custody = FileCustody::open(folder.path()).unwrap().with_steps(hook);
        let vault = run(open(store(folder.path()), Arc::new(custody))).unwrap();
        let erased = run(vault.erase(&alice(), ms(9), &mut Rng::new(2)));
        assert!(alice_is_gone(&vault));
        drop(vault);
        let done = erased.is_ok();
        let vault = opened(folder.path());
        assert!(alice_is_gone(&vault), "step {crash_at}");
        assert!(
            run(reads(&vault, &bob(), 1, "shared secret2")),
            "step {crash_at}"
        );
        let finished = run(vault.erasures_resume(ms(10), &mut Rng::new(3))).unwrap();
        assert_eq!(finished.len(), usize::from(!done), "step {crash_at}");
        assert!(alice_is_gone(&vault), "step {crash_at}");
        assert!(
            run(reads(&vault, &bob(), 1, "shared secret2")),
            "step {crash_at}"
        );
        assert_eq!(run(vault.search(b"shared", 9)).unwrap().len(), 1);
        drop(vault);
        // Neither the old ring nor a copy of it is anywhere in the folder.
        for sub in ["custody", "key-tables"] {
            for entry in fs::read_dir(folder.path().join(sub)).unwrap() {
                let path = entry.unwrap().path();
                let bytes = fs::read(&path).unwrap();
                assert!(!contains(&bytes, &old_ring[..64]), "{}", path.display());
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                assert!(!name.ends_with(".tmp") && !name.ends_with(".old"), "{name}");
            }
        }
        if done {
            break;
        }
        crash_at += 1;
    }
    assert!(crash_at >= 11, "{crash_at} steps only");
}

#[test]
fn nothing_of_a_record_is_in_the_files_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(4);
    create(
        Arc::new(FileCustody::open(folder.path()).unwrap()),
        &mut rng,
    );
    let vault = opened(folder.path());
    let open = opening(alice(), &mut rng);
    run(vault.compartment_open(&open, ms(1), &mut rng)).unwrap();
    let mut new = new_record(1, "CANARY-TOKEN");
    new.kind = "CANARY-KIND".to_owned();
    let put = one(alice(), new);
    run(vault.record_put(&put, ms(2), &mut rng)).unwrap();
    let mut refusal = refusal(alice(), disclosure_id(1), 5);
    refusal.channel = Some("CANARY-CHANNEL".to_owned());
    run(vault.disclosure_log(&refusal, &mut rng)).unwrap();
    run(vault.node_row_put(b"name", None, b"CANARY-ROW", &mut rng)).unwrap();
    drop(vault);
    fn walk(folder: &Path, files: &mut usize) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            *files += 1;
            for canary in ["CANARY", "stored form", "phenotype of", "dr-who"] {
                let found = contains(&bytes, canary.as_bytes());
                assert!(!found, "{canary} in {}", path.display());
            }
        }
    }
    let mut files = 0;
    walk(folder.path(), &mut files);
    assert!(files > 6);
}

#[test]
fn a_store_of_other_keys_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let other = tempfile::tempdir().unwrap();
    create(
        Arc::new(FileCustody::open(other.path()).unwrap()),
        &mut Rng::new(5),
    );
    let custody: Arc<dyn Custody> = Arc::new(FileCustody::open(other.path()).unwrap());
    let opened = run(open(store(folder.path()), custody));
    assert_eq!(opened.unwrap_err(), Error::OtherOwner);
}
