//! Erasure: what it destroys stays destroyed, and nothing else is touched.

use crate::attacker::{Files, attack, custody_of, files};
use crate::memory::{Fuse, Fused, MemoryStore, Rows};
use crate::notes;
use crate::world::{
    Rng, World, disclosure_id, ms, new_record, one, open, opening, reads, record, refusal, run,
    state, subject,
};
use codec::SubjectId;
use consent::{Controller, ControllerRole, Label, LegalHold, RuleName};
use futures::future::join_all;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::Store;
use vault::custody::CustodyFile;
use vault::{ClientKey, ConsentChange, Custody, Error, Holds, Parts, Vault};

/// In the same shard as alice, and in another one.
fn alice() -> SubjectId {
    subject(1, 1)
}
fn bob() -> SubjectId {
    subject(1, 2)
}
fn carol() -> SubjectId {
    subject(2, 3)
}

/// Three subjects with records, a client key, a consent change and a disclosure each.
fn world(seed: u64) -> World {
    let mut world = World::new(seed);
    for (n, who) in [(1, alice()), (2, bob()), (3, carol())] {
        fill(&mut world, n, who);
    }
    world
}

fn fill(world: &mut World, n: u8, who: SubjectId) {
    world.open(who);
    world.put(who, new_record(1, &format!("shared own{n}")));
    let mut second = new_record(1, &format!("shared newer{n}"));
    second.expect_version = 1;
    world.put(who, second);
    let mut put = one(who, new_record(2, &format!("shared other{n}")));
    put.client = Some(ClientKey {
        key: b"key".to_vec(),
        received: crate::world::digest(b"received"),
    });
    run(world.vault.record_put(&put, ms(3_000), &mut world.rng)).unwrap();
    let change = ConsentChange {
        state: state(who, 2),
        salt: [n; 32],
        signed: crate::world::signed(&mut world.rng),
    };
    run(world
        .vault
        .consent_accept(&change, ms(3_000), &mut world.rng))
    .unwrap();
    let refusal = refusal(who, disclosure_id(n), 4_000);
    run(world.vault.disclosure_log(&refusal, &mut world.rng)).unwrap();
    run(notes::fill(&world.vault.clone(), who, &mut world.rng));
}

fn guardian(slot: u8) -> Controller {
    Controller {
        slot,
        role: ControllerRole::Guardian,
        label: Label::new("somebody").unwrap(),
        until: Some(ms(70_000)),
    }
}

async fn is_whole<S: Store>(vault: &Vault<S>, n: u8, who: &SubjectId) -> bool {
    reads(vault, who, 1, &format!("shared newer{n}")).await
        && reads(vault, who, 2, &format!("shared other{n}")).await
        && vault
            .consent_current(who)
            .await
            .is_ok_and(|view| view.pending.len() == 1)
        && notes::texts(vault, who)
            .await
            .is_ok_and(|texts| texts == ["other", "wait one", "wait two"])
}

async fn is_gone<S: Store>(vault: &Vault<S>, who: &SubjectId) -> bool {
    let mut open = 0;
    for version in [None, Some(1), Some(2)] {
        for n in [1, 2] {
            let record = record(n);
            let opened = vault.record_get(who, &record, version, &Parts::All);
            open += usize::from(opened.await.is_ok());
        }
    }
    open += usize::from(vault.record_list(who, None, None, 10).await.is_ok());
    open += usize::from(vault.consent_current(who).await.is_ok());
    open += usize::from(vault.consent_history(who, 0, 10).await.is_ok());
    let waiting = notes::waiting_of(vault, who).await;
    for note in notes::noted_of(vault, who).await.iter().chain(&waiting) {
        open += usize::from(vault.note_open(note).await.is_ok());
    }
    let own = [b"own1".as_slice(), b"newer1", b"other1"];
    for token in own {
        open += vault.search(token, 10).await.unwrap().len();
    }
    let shared = vault.search(b"shared", 100).await.unwrap();
    open == 0 && shared.iter().all(|posting| posting.subject != *who)
}

/// Everybody but alice is there, and found once for each record.
async fn others_are_whole<S: Store>(vault: &Vault<S>) -> bool {
    let found = vault.search(b"shared", 100).await.unwrap();
    for limit in 1..=found.len() {
        // Those of somebody who is shut out fill no page.
        if vault.search(b"shared", limit).await.unwrap().len() != limit {
            return false;
        }
    }
    let found: Vec<(SubjectId, u8, u32)> = found
        .iter()
        .map(|posting| {
            (
                posting.subject,
                posting.record.as_bytes()[0],
                posting.version,
            )
        })
        .filter(|(subject, _, _)| *subject != alice())
        .collect();
    let distinct: BTreeSet<_> = found.iter().copied().collect();
    let expect = [bob(), carol()].map(|who| [(who, 1, 2), (who, 2, 1)]);
    let newer = vault.search(b"newer2", 10).await.unwrap();
    let older = vault.search(b"own2", 10).await.unwrap();
    is_whole(vault, 2, &bob()).await
        && is_whole(vault, 3, &carol()).await
        && found.len() == distinct.len()
        && distinct == expect.into_iter().flatten().collect()
        && newer.len() == 1
        && older.is_empty()
}

#[test]
fn an_erased_subject_is_gone_and_the_others_are_not() {
    let mut world = world(1);
    assert!(run(is_whole(&world.vault, 1, &alice())));
    assert!(!run(is_gone(&world.vault, &alice())));
    let erased = run(world.vault.erase(&alice(), ms(9_000), &mut world.rng)).unwrap();
    assert_eq!(erased.done, Some(ms(9_000)));
    for vault in [world.vault.clone(), world.reopened()] {
        assert!(run(is_gone(&vault, &alice())));
        assert!(run(others_are_whole(&vault)));
        let gone = run(vault.record_get(&alice(), &record(1), None, &Parts::All));
        assert_eq!(gone.unwrap_err(), Error::SubjectErased);
        let put = one(alice(), new_record(9, "new"));
        let refused = run(vault.record_put(&put, ms(10), &mut world.rng));
        assert_eq!(refused.unwrap_err(), Error::SubjectErased);
        let refused =
            run(vault.compartment_open(&opening(alice(), &mut world.rng), ms(1), &mut world.rng));
        assert_eq!(refused.unwrap_err(), Error::SubjectErased);
        // The disclosures outlive the records, and new refusals are still logged.
        let listed = run(vault.disclosure_list(&alice(), ms(0), ms(u64::MAX), 10)).unwrap();
        assert!(!listed.0.is_empty());
        let id = disclosure_id(u8::try_from(100 + listed.0.len()).unwrap());
        run(vault.disclosure_log(&refusal(alice(), id, 10_000), &mut world.rng)).unwrap();
        // Again is no error and changes nothing.
        let again = run(vault.erase(&alice(), ms(99_000), &mut world.rng)).unwrap();
        assert_eq!(again, erased);
    }
    for (table, key) in world.store.copied().keys() {
        let audit = ["disclosures", "erasures", "audit"].contains(table);
        assert!(audit || !key.starts_with(alice().as_bytes()), "{table}");
    }
}

/// The demand: every file from before the erasure but the ring, the ring from after it, the root key
/// and the passphrase, old and new files in any mix: nothing of the subject opens.
#[test]
fn no_mix_of_old_and_new_files_opens_an_erased_subject() {
    let mut world = world(2);
    let (old_rows, old_files) = (world.store.copied(), files(&world.custody));
    run(world.vault.erase(&alice(), ms(9_000), &mut world.rng)).unwrap();
    let (new_rows, new_files) = (world.store.copied(), files(&world.custody));
    destroyed_for_all(&old_rows, &new_rows, &old_files, &new_files);
    mixes(&old_rows, &new_rows, &old_files, &new_files);
}

fn without_ring(files: &Files) -> Files {
    let kept = files
        .iter()
        .filter(|(name, _)| *name != CustodyFile::TableKeys);
    kept.cloned().collect()
}

/// By hand, with every key that can be reached.
fn destroyed_for_all(old_rows: &Rows, new_rows: &Rows, old_files: &Files, new_files: &Files) {
    // The attacker is able: with the old ring, everything opens.
    let able = attack(old_files, &[old_rows]);
    assert_eq!(able.rows_of(&alice()).len(), 11);
    assert_eq!(able.postings_of(&alice()), 4);
    let token = b"other1";
    let n2 = record(2);
    assert!(able.guesses(old_rows, token, &alice(), n2.as_bytes()));

    let all_files = [without_ring(old_files), new_files.clone()].concat();
    let loot = attack(&all_files, &[old_rows, new_rows]);
    assert_eq!(loot.rows_of(&alice()), Vec::<&(String, Vec<u8>)>::new());
    assert_eq!(loot.postings_of(&alice()), 0);
    for token in ["shared", "own1", "newer1", "other1"] {
        for record in [record(1), record(2)] {
            let (token, record) = (token.as_bytes(), record.as_bytes());
            assert!(!loot.guesses(old_rows, token, &alice(), record));
            assert!(!loot.guesses(new_rows, token, &alice(), record));
        }
    }
    // No value of the new store is one that opened before.
    for (n, who) in [(2, bob()), (3, carol())] {
        assert_eq!(loot.rows_of(&who).len(), able.rows_of(&who).len());
        assert!(loot.postings_of(&who) >= 4);
        let token = format!("other{n}");
        assert!(loot.guesses(new_rows, token.as_bytes(), &who, n2.as_bytes()));
    }
}

/// Through the vault itself.
fn mixes(old_rows: &Rows, new_rows: &Rows, old_files: &Files, new_files: &Files) {
    let pick = |old: bool| if old { old_files } else { new_files };
    let of = |files: &Files, wanted: fn(&CustodyFile) -> bool| -> Files {
        let files = files.iter().filter(|(name, _)| wanted(name));
        files.cloned().collect()
    };
    for mix in 0..16 {
        let [rows, tables, root, identity] = [0, 1, 2, 3].map(|bit| mix >> bit & 1 == 1);
        let files = [
            of(new_files, |name| *name == CustodyFile::TableKeys),
            of(pick(tables), |name| {
                matches!(name, CustodyFile::KeyTable(..))
            }),
            of(pick(root), |name| *name == CustodyFile::RootKey),
            of(pick(identity), |name| *name == CustodyFile::Identity),
        ]
        .concat();
        let store = MemoryStore::of(if rows { old_rows } else { new_rows }.clone());
        match run(open(store, Arc::new(custody_of(&files)))) {
            Ok(vault) => {
                assert!(!tables, "mix {mix:04b}");
                assert!(run(is_gone(&vault, &alice())), "mix {mix:04b}");
                assert!(run(is_whole(&vault, 2, &bob())), "mix {mix:04b}");
                assert!(run(is_whole(&vault, 3, &carol())), "mix {mix:04b}");
            }
            // The ring names a key table that is not there.
            Err(error) => {
                assert!(tables, "mix {mix:04b}");
                assert!(matches!(error, Error::Custody(_)), "mix {mix:04b}");
            }
        }
        // An old key table under the name of the current one is found out.
        let CustodyFile::KeyTable(slot, 1) = old_files[0].0 else {
            panic!("the first file is alice's key table");
        };
        let forged = custody_of(&files);
        let current = CustodyFile::KeyTable(slot, 2);
        forged.replace(current, &old_files[0].1).unwrap();
        let store = MemoryStore::of(old_rows.clone());
        let vault = run(open(store, Arc::new(forged))).unwrap();
        let refused = run(vault.record_get(&alice(), &record(1), None, &Parts::All));
        assert!(matches!(refused, Err(Error::Custody(_))));
    }
}

#[test]
fn a_crash_at_any_step_leaves_it_to_be_done_or_finished() {
    let mut steps = 0;
    loop {
        let mut world = world(3);
        let (old_rows, old_files) = (world.store.copied(), files(&world.custody));
        let fuse = Fuse::after(steps);
        let outcome = crash_in_erase(&mut world, &fuse);
        if outcome.is_ok() {
            break;
        }
        // What is left by the crash: either nothing happened, or nothing can be read.
        let mut vault = world.reopened();
        let begun = run(vault.erasure(&alice())).unwrap().is_some();
        assert_eq!(run(vault.control_kept(&alice())).unwrap().is_some(), begun);
        if begun {
            assert!(run(is_gone(&vault, &alice())), "step {steps}");
        } else {
            assert!(run(is_whole(&vault, 1, &alice())), "step {steps}");
        }
        assert!(run(others_are_whole(&vault)), "step {steps}");
        // Resumed, with a second crash at every step of that.
        if begun {
            resume_with_crashes(&mut world, steps);
        }
        vault = world.reopened();
        let erased = run(vault.erase(&alice(), ms(9_900), &mut world.rng)).unwrap();
        assert!(erased.done.is_some());
        let kept = run(vault.control_kept(&alice())).unwrap();
        assert_eq!(kept, Some(state(alice(), 2).control()), "step {steps}");
        assert!(run(is_gone(&vault, &alice())), "step {steps}");
        assert!(run(others_are_whole(&vault)), "step {steps}");
        let (new_rows, new_files) = (world.store.copied(), files(&world.custody));
        destroyed_for_all(&old_rows, &new_rows, &old_files, &new_files);
        steps += 1;
    }
    assert!(steps >= 9, "{steps} steps only");
}

#[test]
fn a_search_beside_an_erasure_misses_nobody() {
    for seed in 0..20 {
        let mut world = world(100 + seed);
        let store = world.store.with_yields(seed);
        let vault = run(open(store, Arc::new(world.custody.clone()))).unwrap();
        let is_done = AtomicBool::new(false);
        let erase = async {
            let alice = alice();
            let done = vault.erase(&alice, ms(9_000), &mut world.rng);
            done.await.unwrap();
            is_done.store(true, Ordering::SeqCst);
        };
        let across = async {
            assert!(others_are_whole(&vault).await, "seed {seed}");
        };
        let within = async {
            let mut turns = 0;
            while !is_done.load(Ordering::SeqCst) && turns < 10_000 {
                let found = vault.search_within(&bob(), b"shared", 10).await.unwrap();
                assert_eq!(found.len(), 2, "seed {seed}");
                turns += 1;
            }
        };
        run(async { futures::join!(erase, across, within) });
    }
}

#[test]
fn a_failed_commit_is_made_good_by_asking_again() {
    for steps in 0.. {
        let mut world = world(9);
        let (old_rows, old_files) = (world.store.copied(), files(&world.custody));
        let store = world.store.with_fuse(Fuse::once_after(steps));
        let vault = run(open(store, Arc::new(world.custody.clone()))).unwrap();
        let first = run(vault.erase(&alice(), ms(9_000), &mut world.rng));
        if first.is_ok() {
            assert!(steps >= 6, "{steps} commits only");
            break;
        }
        let begun = run(vault.erasure(&alice())).unwrap().is_some();
        assert_eq!(run(is_gone(&vault, &alice())), begun, "commit {steps}");
        assert_eq!(run(is_whole(&vault, 1, &alice())), !begun, "commit {steps}");
        assert!(run(others_are_whole(&vault)), "commit {steps}");
        let put = one(bob(), new_record(40, "between"));
        run(vault.record_put(&put, ms(5), &mut world.rng)).unwrap();
        let again = run(vault.erase(&alice(), ms(9_900), &mut world.rng)).unwrap();
        assert!(again.done.is_some());
        for vault in [vault, world.reopened()] {
            assert!(run(is_gone(&vault, &alice())), "commit {steps}");
            assert!(run(others_are_whole(&vault)), "commit {steps}");
            let between = run(vault.search(b"between", 9)).unwrap();
            assert_eq!(between.len(), 1, "commit {steps}");
        }
        let all_files = [without_ring(&old_files), files(&world.custody)].concat();
        let loot = attack(&all_files, &[&old_rows, &world.store.copied()]);
        assert_eq!(loot.rows_of(&alice()).len(), 0);
        assert_eq!(loot.postings_of(&alice()), 0);
    }
}

/// Resumes an erasure, crashing at its first step, then at its second, until it is through.
fn resume_with_crashes(world: &mut World, steps: i64) {
    for again in 0.. {
        let fuse = Fuse::after(again);
        let store = world.store.with_fuse(fuse.clone());
        let custody = Arc::new(Fused {
            custody: world.custody.clone(),
            fuse,
        });
        if let Ok(vault) = run(open(store, custody))
            && run(vault.erasures_resume(ms(9_500), &mut world.rng)).is_ok()
        {
            return;
        }
        let vault = world.reopened();
        assert!(run(is_gone(&vault, &alice())), "step {steps}, {again}");
        assert!(run(others_are_whole(&vault)), "step {steps}, {again}");
    }
}

fn crash_in_erase(world: &mut World, fuse: &Fuse) -> Result<vault::Erasure, Error> {
    let store = world.store.with_fuse(fuse.clone());
    let custody = Arc::new(Fused {
        custody: world.custody.clone(),
        fuse: fuse.clone(),
    });
    // Opening does nothing durable here, so that every step is one of the erasure.
    let vault = run(open(store, custody))?;
    run(vault.erase(&alice(), ms(9_000), &mut world.rng))
}

#[test]
fn writers_go_on_during_an_erasure() {
    for seed in 0..60 {
        let mut world = World::with(
            seed,
            MemoryStore::new().with_yields(seed),
            crate::world::settings(),
        );
        for (n, who) in [(1, alice()), (2, bob()), (3, carol())] {
            fill(&mut world, n, who);
        }
        for n in 10..16 {
            world.put(bob(), new_record(n, "before"));
        }
        let vault = world.vault.clone();
        let erase = async {
            let mut rng = Rng::new(seed * 7 + 1);
            vault.erase(&alice(), ms(9_000), &mut rng).await.map(|_| ())
        };
        let writers =
            (0..16_u8).map(|n| writer(vault.clone(), n, Rng::new(seed * 1_000 + u64::from(n))));
        let (erased, written) = run(futures::future::join(erase, join_all(writers)));
        erased.unwrap();
        // Who is erased may be refused; nobody else is.
        assert!(written.iter().skip(3).all(Result::is_ok), "seed {seed}");
        for vault in [vault, world.reopened()] {
            assert!(run(is_gone(&vault, &alice())), "seed {seed}");
            let count = |token: &str| run(vault.search(token.as_bytes(), 99)).unwrap().len();
            for (token, expect) in [
                ("late1", 0),
                ("late2", 6),
                ("late4", 1),
                ("before", 0),
                ("after", 6),
                ("newer2", 1),
                ("newer3", 1),
            ] {
                assert_eq!(count(token), expect, "seed {seed}, {token}");
            }
            assert!(run(reads(&vault, &subject(1, 4), 60, "late4")));
        }
        let left = world.store.copied();
        let of_alice = left
            .keys()
            .filter(|(_, key)| key.starts_with(alice().as_bytes()));
        let tables: BTreeSet<&str> = of_alice.map(|(table, _)| *table).collect();
        assert_eq!(tables, BTreeSet::from(["audit", "disclosures", "erasures"]));
    }
}

/// Starts at some time; the first three write for alice, who is being erased.
async fn writer(vault: Vault<MemoryStore>, n: u8, mut rng: Rng) -> Result<(), Error> {
    for _ in 0..rng.below(60) {
        vault.node_row(b"anything").await?;
    }
    let (who, new) = match n {
        0..3 => (alice(), new_record(50 + n, "late1")),
        3..9 => {
            let mut update = new_record(7 + n, "after");
            update.expect_version = 1;
            (bob(), update)
        }
        9 => {
            let dave = subject(1, 4);
            let opening = opening(dave, &mut rng);
            vault.compartment_open(&opening, ms(1), &mut rng).await?;
            (dave, new_record(60, "late4"))
        }
        n => (bob(), new_record(50 + n, "late2")),
    };
    vault.record_put(&one(who, new), ms(5), &mut rng).await?;
    Ok(())
}

/// Writes that were under way when the subject was erased do not happen after it.
#[test]
fn a_late_commit_brings_nothing_back() {
    let mut world = world(8);
    let held = Arc::new(AtomicBool::new(false));
    let store = world.store.with_hold(Arc::clone(&held));
    let late = run(open(store, Arc::new(world.custody.clone()))).unwrap();
    let mut new = new_record(9, "late");
    new.tokens.clear();
    let put = one(alice(), new);
    let change = ConsentChange {
        state: state(alice(), 3),
        salt: [3; 32],
        signed: crate::world::signed(&mut world.rng),
    };
    let (mut rng_put, mut rng_change) = (Rng::new(81), Rng::new(82));
    held.store(true, Ordering::SeqCst);
    let writes = futures::future::join(
        late.record_put(&put, ms(5), &mut rng_put),
        late.consent_accept(&change, ms(5), &mut rng_change),
    );
    let erased = async {
        let erased = world.vault.erase(&alice(), ms(9), &mut Rng::new(83)).await;
        held.store(false, Ordering::SeqCst);
        erased
    };
    let ((put, changed), erased) = run(futures::future::join(writes, erased));
    erased.unwrap();
    assert_eq!(put.unwrap_err(), Error::SubjectErased);
    assert_eq!(changed.unwrap_err(), Error::SubjectErased);
    let rows = world.store.copied();
    for table in ["records", "index", "consents", "idempotency"] {
        let mut left = rows.keys().filter(|(name, _)| *name == table);
        assert!(
            !left.any(|(_, key)| key.starts_with(alice().as_bytes())),
            "{table}"
        );
    }
}

/// Who controlled outlives the erasure, as the last accepted change left it, and goes with the rest of the
/// audit compartment.
#[test]
fn who_controlled_is_kept_as_the_last_change_left_it() {
    let mut changed = 0;
    for seed in 0..40 {
        let store = MemoryStore::new().with_yields(seed);
        let mut world = World::with(seed, store, crate::world::settings());
        fill(&mut world, 1, alice());
        let vault = world.vault.clone();
        assert_eq!(run(vault.control_kept(&alice())).unwrap(), None);
        let before = state(alice(), 2);
        let after = before.next(|terms| terms.controllers = vec![guardian(3)]);
        let after = after.unwrap();
        let mut rng = Rng::new(seed);
        let change = ConsentChange {
            state: after.clone(),
            salt: [3; 32],
            signed: crate::world::signed(&mut rng),
        };
        let change = async {
            for _ in 0..rng.below(12) {
                vault.node_row(b"anything").await.unwrap();
            }
            vault.consent_accept(&change, ms(5), &mut rng).await
        };
        let mut other = Rng::new(seed + 1_000);
        let who = alice();
        let erase = vault.erase(&who, ms(9_000), &mut other);
        let (changed_it, erased) = run(futures::future::join(change, erase));
        erased.unwrap();
        let last = if changed_it.is_ok() { after } else { before };
        changed += usize::from(changed_it.is_ok());
        let kept = run(world.reopened().control_kept(&alice())).unwrap();
        assert_eq!(kept, Some(last.control()), "seed {seed}");
        let until = ms(9_000 + vault.settings().audit_retention_ms);
        run(vault.audit_erase(&alice(), until, &mut Rng::new(3))).unwrap();
        let gone = run(vault.control_kept(&alice()));
        assert_eq!(gone.unwrap_err(), Error::SubjectUnknown);
    }
    assert!(
        (1..40).contains(&changed),
        "{changed}: both orders were seen"
    );
}

#[test]
fn several_of_one_shard_can_go() {
    let mut world = world(5);
    for who in [alice(), bob()] {
        run(world.vault.erase(&who, ms(9_000), &mut world.rng)).unwrap();
    }
    let vault = world.reopened();
    assert!(run(is_gone(&vault, &alice())) && run(is_gone(&vault, &bob())));
    assert!(run(is_whole(&vault, 3, &carol())));
    assert_eq!(run(vault.erasures()).unwrap().len(), 2);
    // The shard goes on.
    let erin = subject(1, 5);
    world.vault = vault;
    fill(&mut world, 5, erin);
    assert!(run(is_whole(&world.reopened(), 5, &erin)));
    assert_eq!(run(world.vault.search(b"newer5", 9)).unwrap().len(), 1);
}

#[test]
fn a_hold_stands_against_erasure() {
    let mut world = world(6);
    let hold = Holds {
        holds: vec![LegalHold {
            until: ms(20_000),
            reason_code: RuleName::new("litigation").unwrap(),
        }],
        retentions: Vec::new(),
    };
    let none = Holds::default();
    run(world
        .vault
        .holds_put(&alice(), &none, &hold, &mut world.rng))
    .unwrap();
    let held = run(world.vault.erase(&alice(), ms(19_999), &mut world.rng));
    assert!(matches!(held, Err(Error::Held { until, .. }) if until == ms(20_000)));
    assert!(run(is_whole(&world.vault, 1, &alice())));
    let stale = run(world
        .vault
        .holds_put(&alice(), &none, &none, &mut world.rng));
    assert!(matches!(stale, Err(Error::Conflict(_))));
    assert!(run(world.vault.erase(&alice(), ms(20_000), &mut world.rng)).is_ok());
    let unknown = run(world.vault.erase(&subject(9, 9), ms(1), &mut world.rng));
    assert_eq!(unknown.unwrap_err(), Error::SubjectUnknown);
}

#[test]
fn disclosures_go_when_their_retention_is_over() {
    let mut world = world(7);
    let (vault, rng) = (world.vault.clone(), &mut world.rng);
    let closed = run(vault.period_close(0, rng)).unwrap();
    let signed = crate::world::signed(rng);
    run(vault.period_assign(&closed, &signed, ms(61_000), rng)).unwrap();
    run(vault.erase(&alice(), ms(9_000), rng)).unwrap();
    let until = 9_000 + vault.settings().audit_retention_ms;
    assert_eq!(run(vault.audit_due(ms(until), 9)).unwrap(), []);
    let early = run(vault.audit_erase(&alice(), ms(until - 1), rng));
    let over = Error::Retained { until: ms(until) };
    assert_eq!(early.unwrap_err(), over);
    let live = run(vault.audit_erase(&bob(), ms(u64::MAX), rng));
    assert!(matches!(live, Err(Error::Unknown(_))));
    assert_eq!(run(vault.audit_due(ms(until + 1), 9)).unwrap(), [alice()]);
    let old = files(&world.custody);
    run(vault.audit_erase(&alice(), ms(until), rng)).unwrap();
    assert_eq!(run(vault.audit_due(ms(until + 1), 9)).unwrap(), []);
    let vault = world.reopened();
    let all = ms(u64::MAX);
    assert!(run(vault.disclosure_list(&alice(), ms(0), all, 9)).is_err());
    assert_eq!(
        run(vault.disclosure_list(&bob(), ms(0), all, 9))
            .unwrap()
            .0
            .len(),
        1
    );
    // The others' proofs of the period stand.
    let proof = run(vault.period_proof(&bob(), 0)).unwrap().unwrap();
    let value = proof.lookup.verify(&proof.key, &closed.map.root()).unwrap();
    assert_eq!(value.unwrap().count, 1);
    let loot = attack(
        &[without_ring(&old), files(&world.custody)].concat(),
        &[&world.store.copied()],
    );
    let disclosures = |who: SubjectId| {
        let rows = loot
            .opened
            .keys()
            .filter(|(table, _)| table == "disclosures");
        rows.filter(|(_, key)| key.starts_with(who.as_bytes()))
            .count()
    };
    assert_eq!((disclosures(alice()), disclosures(bob())), (0, 1));
}
