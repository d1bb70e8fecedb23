//! Rows that were altered or moved: an error, or the same answer as before, never another one.

use crate::attacker::files;
use crate::memory::{MemoryStore, Rows};
use crate::notes;
use crate::world::{
    CUSTODIAN, PASSPHRASE, Rng, World, digest, disclosure_id, ms, new_record, one, open, record,
    refusal, run, signed, state, subject,
};
use codec::{EntryId, InstitutionId, SubjectId};
use consent::{BreakGlass, PractitionerId, Reason};
use ledger::batch::RecordTree;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};
use vault::custody::CustodyFile;
use vault::{
    ClientKey, ConsentChange, Custody, Error, Keychain, MemoryCustody, Notice, Parts, RecordBatch,
    Session, Settings, Vault,
};

/// Everything a vault answers: text of the answer, or none for an error.
type Answers = BTreeMap<String, Option<String>>;

fn people() -> [SubjectId; 2] {
    [subject(1, 1), subject(1, 2)]
}

/// Its values say nothing: another one has the subject derived again, and that is all.
const MARKS: &str = "derive-due";

/// The rows that are worth an attacker's while.
fn at_stake(world: &World) -> Rows {
    let mut rows = world.store.copied();
    rows.retain(|(table, _), _| *table != MARKS);
    rows
}

/// Rows in every table.
fn world() -> World {
    let mut world = World::new(1);
    for (n, who) in (1..).zip(people()) {
        world.open(who);
        world.put(who, new_record(1, &format!("shared own{n}")));
        let mut second = new_record(1, &format!("shared newer{n}"));
        second.expect_version = 1;
        world.put(who, second);
        run(world
            .vault
            .record_put(&keyed(who, n), ms(3), &mut world.rng))
        .unwrap();
    }
    let (vault, rng) = (world.vault.clone(), &mut world.rng);
    for (n, who) in (1..).zip(people()) {
        let update = |sequence, rng: &mut Rng| ConsentChange {
            state: state(who, sequence),
            salt: [n; 32],
            signed: signed(rng),
        };
        let changes: Vec<_> = (2..5).map(|sequence| update(sequence, rng)).collect();
        for change in &changes {
            run(vault.consent_accept(change, ms(3), rng)).unwrap();
        }
        for (height, change) in (5..).zip(changes.iter().take(2)) {
            let block = [(change.signed.id, height)];
            run(vault.block_final(height, ms(height), &block, rng)).unwrap();
        }
        let queued = run(vault.outbox_take(2)).unwrap();
        let leaves: Vec<_> = queued.iter().map(|queued| queued.commitment).collect();
        let batch = RecordBatch {
            signed: signed(rng),
            tree: RecordTree::build(&leaves, rng),
            items: queued,
        };
        run(vault.batch_assign(&batch, ms(4), rng)).unwrap();
        let period = u64::from(n - 1);
        for m in 0..2 {
            let refusal = refusal(who, disclosure_id(10 * n + m), period * 60_000);
            run(vault.disclosure_log(&refusal, rng)).unwrap();
        }
        let closed = run(vault.period_close(period, rng)).unwrap();
        run(vault.period_assign(&closed, &signed(rng), ms(5), rng)).unwrap();
        let derived = vault::DerivedPut {
            subject: who,
            old: None,
            value: &[n; 9],
        };
        run(vault.derived_put(&[derived], rng)).unwrap();
        run(notes::fill(&vault, who, rng));
        let name = format!("account/{n}");
        run(vault.node_row_put(name.as_bytes(), None, &[n], rng)).unwrap();
        let (session, notice) = session(who);
        run(vault.session_open(&disclosure_id(n), &session, &notice, rng)).unwrap();
    }
    // A shard with a second generation, and a tombstone.
    world.open(gone());
    run(world.vault.erase(&gone(), ms(9), &mut world.rng)).unwrap();
    world
}

fn gone() -> SubjectId {
    subject(1, 9)
}

fn keyed(who: SubjectId, n: u8) -> vault::RecordPut {
    let mut put = one(who, new_record(2, &format!("shared other{n}")));
    put.client = Some(ClientKey {
        key: b"key".to_vec(),
        received: digest(b"received"),
    });
    put
}

fn session(who: SubjectId) -> (Session, Notice) {
    let opened = BreakGlass {
        subject: who,
        institution: CUSTODIAN,
        opened_by: PractitionerId::new("dr-who").unwrap(),
        opened: ms(1),
        until: ms(2),
        reason: Reason::new("emergency").unwrap(),
    };
    let session = Session {
        opened,
        review_due: ms(9),
        review: None,
    };
    let notice = Notice {
        due: ms(8),
        sentence: "it was opened".to_owned(),
        about: None,
        told: None,
    };
    (session, notice)
}

fn answers(rows: Rows, custody: &MemoryCustody) -> Answers {
    let mut answers = Answers::new();
    let entries: Vec<EntryId> = rows
        .keys()
        .filter(|(table, _)| *table == "entries")
        .map(|(_, key)| EntryId::try_from(&key[..]).unwrap())
        .collect();
    let store = MemoryStore::of(rows);
    let Ok(vault) = run(open(store, Arc::new(custody.clone()))) else {
        return answers;
    };
    let mut add = |name: String, answer: Result<String, Error>| {
        answers.insert(name, answer.ok());
    };
    for who in people() {
        of_subject(&vault, who, &mut add);
    }
    for token in ["shared", "own1", "newer1", "newer2", "other1", "other2"] {
        let found = run(vault.search(token.as_bytes(), 99));
        let found = found.map(|found| found.into_iter().collect::<BTreeSet<_>>());
        add(format!("search {token}"), text(found));
    }
    let pending = run(vault.entries_pending(None, 99));
    let ids: Vec<EntryId> = pending.iter().flatten().map(|(id, _)| *id).collect();
    add(
        "entries".to_owned(),
        pending.map(|p| format!("{ids:?} {}", p.len())),
    );
    for id in entries {
        let row = run(vault.entry(&id));
        let row = row.map(|row| format!("{row:?} {:?}", row.bytes));
        add(format!("entry {id}"), row);
    }
    let control = run(vault.control_kept(&gone()));
    add("control".to_owned(), text(control));
    add("outbox".to_owned(), text(run(vault.outbox_take(99))));
    add("erasures".to_owned(), text(run(vault.erasures())));
    add(
        "accounts".to_owned(),
        text(run(vault.node_rows(b"account/", None, 9))),
    );
    add("due".to_owned(), text(run(vault.period_due(ms(600_000)))));
    for period in 0..2 {
        let mut rng = Rng::new(1);
        let closed = run(vault.period_close(period, &mut rng));
        add(format!("period {period}"), text(closed));
    }
    add("reviews".to_owned(), text(run(vault.sessions_due(9))));
    add("notices".to_owned(), text(run(vault.notices_due(9))));
    answers
}

fn of_subject(
    vault: &Vault<MemoryStore>,
    who: SubjectId,
    add: &mut impl FnMut(String, Result<String, Error>),
) {
    let shard = who.as_bytes()[5];
    for (n, version) in [(1, 1), (1, 2), (2, 1)] {
        let name = format!("{shard} record {n} {version}");
        let opened = run(vault.record_get(&who, &record(n), Some(version), &Parts::All));
        let opened = opened.map(|opened| {
            let meta = &opened.meta;
            let parts: Vec<_> = opened
                .parts
                .iter()
                .map(|part| part.bytes().to_vec())
                .collect();
            format!(
                "{} {} {} {parts:?}",
                meta.kind, meta.version, meta.commitment
            )
        });
        add(name.clone(), opened);
        let state = run(vault.commitment_state(&who, &record(n), version));
        if let Ok(vault::CommitmentState::Assigned { entry }) = &state {
            add(format!("{name} tree"), text(run(vault.batch_tree(entry))));
        }
        add(format!("{name} state"), text(state));
    }
    let listed = run(vault.record_list(&who, None, None, 99));
    add(format!("{shard} list"), text(listed));
    let view = run(vault.consent_current(&who));
    let view = view.map(|view| {
        let states = std::iter::once(&view.finalised).chain(&view.pending);
        format!(
            "{:?}",
            states
                .map(|opening| opening.commitment())
                .collect::<Vec<_>>()
        )
    });
    add(format!("{shard} consent"), view);
    let history = run(vault.consent_history(&who, 0, 9));
    let history = history.map(|history| {
        let openings = history.iter().map(|opening| opening.commitment());
        format!("{:?}", openings.collect::<Vec<_>>())
    });
    add(format!("{shard} history"), history);
    // What a repeated put is answered.
    let put = keyed(who, shard);
    let again = run(vault.record_put(&put, ms(99), &mut Rng::new(2)));
    add(format!("{shard} again"), text(again));
    for period in 0..2 {
        let proof = run(vault.period_proof(&who, period));
        let proof = proof.map(|proof| {
            proof.map(|proof| {
                (
                    proof.lookup,
                    proof
                        .disclosures
                        .iter()
                        .map(|d| d.leaf())
                        .collect::<Vec<_>>(),
                )
            })
        });
        add(format!("{shard} proof {period}"), text(proof));
    }
    let disclosures = run(vault.disclosure_list(&who, ms(0), ms(u64::MAX), 99));
    let disclosures =
        disclosures.map(|(listed, _)| listed.iter().map(|d| d.leaf()).collect::<Vec<_>>());
    add(format!("{shard} disclosures"), text(disclosures));
    let derived = run(vault.derived(&who));
    let derived = derived.map(|derived| derived.map(|derived| derived.value.to_vec()));
    add(format!("{shard} derived"), text(derived));
    add(format!("{shard} notes"), text(run(notes_of(vault, who))));
    add(format!("{shard} sessions"), text(run(vault.sessions(&who))));
    add(format!("{shard} notices"), text(run(vault.notices(&who))));
}

/// By their places, which say nothing of what is at them.
async fn notes_of(vault: &Vault<MemoryStore>, who: SubjectId) -> Result<Vec<String>, Error> {
    let mut waiting = notes::waiting_of(vault, &who).await;
    waiting.extend(notes::noted_of(vault, &who).await);
    let mut texts = Vec::new();
    for note in waiting {
        let value = vault.note_open(&note).await?;
        texts.push(String::from_utf8_lossy(&value).into_owned());
    }
    Ok(texts)
}

fn text<T: Debug>(answer: Result<T, Error>) -> Result<String, Error> {
    answer.map(|answer| format!("{answer:?}"))
}

/// Nothing is answered otherwise than before; gives how many questions are answered with an error.
fn errors(before: &Answers, after: &Answers) -> usize {
    let mut errors = 0;
    for (name, answer) in before {
        match after.get(name) {
            Some(Some(other)) => assert_eq!(Some(other), answer.as_ref(), "{name}"),
            Some(None) | None => errors += 1,
        }
    }
    errors
}

#[test]
fn the_questions_reach_every_table() {
    let world = world();
    let rows = world.store.copied();
    let tables: BTreeSet<&str> = rows.keys().map(|(table, _)| *table).collect();
    assert_eq!(tables.len(), 23, "{tables:?}");
    let before = answers(rows, &world.custody);
    assert!(before.values().all(Option::is_some), "{before:?}");
    assert!(before.len() > 50);
}

#[test]
fn a_row_in_another_place_is_refused() {
    let world = world();
    let rows = at_stake(&world);
    let before = answers(rows.clone(), &world.custody);
    let mut moved = 0;
    for (place, value) in &rows {
        // Every other row of the table, and the rows beside it in the next tables.
        let others = rows.iter().filter(|(other, content)| {
            *other != place && other.0 == place.0 && *content != value && !content.is_empty()
        });
        for (other, content) in others.take(2) {
            let mut changed = rows.clone();
            changed.insert(place.clone(), content.clone());
            changed.insert(other.clone(), value.clone());
            let after = answers(changed, &world.custody);
            assert!(errors(&before, &after) > 0, "{} unnoticed", place.0);
            moved += 1;
        }
    }
    assert!(moved > 60, "{moved}");
}

#[test]
fn a_row_of_another_subject_table_or_version_is_refused() {
    let world = world();
    let rows = at_stake(&world);
    let before = answers(rows.clone(), &world.custody);
    let [alice, bob] = people();
    for (place, value) in &rows {
        let (table, key) = place;
        if !key.starts_with(alice.as_bytes()) {
            continue;
        }
        // The same row, under bob.
        let mut theirs = key.to_vec();
        theirs[..32].copy_from_slice(bob.as_bytes());
        let theirs = (*table, theirs.into());
        if rows.contains_key(&theirs) && !value.is_empty() {
            let mut changed = rows.clone();
            changed.insert(theirs, value.clone());
            let after = answers(changed, &world.custody);
            assert!(errors(&before, &after) > 0, "{table} unnoticed");
        }
    }
    // Under another institution nothing opens at all.
    let keychain = Keychain::open(Arc::new(world.custody.clone()), PASSPHRASE).unwrap();
    let other = Settings::new(InstitutionId::new([8; 16]), Arc::new(crate::world::Words));
    let opened = run(Vault::open(MemoryStore::of(rows), keychain, other));
    assert_eq!(opened.unwrap_err(), Error::OtherOwner);
}

#[test]
fn flipped_bits_of_rows_are_noticed() {
    let world = world();
    let rows = at_stake(&world);
    let before = answers(rows.clone(), &world.custody);
    let mut rng = Rng::new(3);
    for (place, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        for at in [
            0,
            1,
            value.len() / 2,
            value.len() - 1,
            rng.below(value.len()),
        ] {
            let mut bytes = value.to_vec();
            let bit = 1 << rng.below(8);
            bytes[at] ^= bit;
            let mut changed = rows.clone();
            changed.insert(place.clone(), bytes.into());
            let after = answers(changed, &world.custody);
            let noticed = errors(&before, &after) > 0;
            assert!(noticed, "{} byte {at} bit {bit} unnoticed", place.0);
        }
    }
}

#[test]
fn flipped_bits_of_key_files_are_noticed() {
    let world = world();
    let rows = at_stake(&world);
    let before = answers(rows.clone(), &world.custody);
    let mut rng = Rng::new(4);
    for (name, bytes) in files(&world.custody) {
        let some = (0..6).map(|_| rng.below(bytes.len())).collect::<Vec<_>>();
        let ends = [0, 1, bytes.len() / 2, bytes.len() - 1];
        for at in some.into_iter().chain(ends) {
            let mut changed = bytes.clone();
            // The lowest bit: the others could make Argon2 ask for gigabytes.
            changed[at] ^= 1;
            let custody = world.custody.copied();
            custody.replace(name, &changed).unwrap();
            if name == CustodyFile::RootKey {
                assert!(Keychain::open(Arc::new(custody), PASSPHRASE).is_err());
                continue;
            }
            let after = answers(rows.clone(), &custody);
            assert!(errors(&before, &after) > 0, "{name} byte {at} unnoticed");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any one value replaced by any bytes: nothing is answered otherwise than before.
    #[test]
    fn no_value_can_be_made_up(
        at in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        static WORLD: OnceLock<(World, Answers)> = OnceLock::new();
        let (world, before) = WORLD.get_or_init(|| {
            let world = world();
            let before = answers(world.store.copied(), &world.custody);
            (world, before)
        });
        let rows = at_stake(world);
        let place = at.get(&rows.keys().cloned().collect::<Vec<_>>()).clone();
        let mut changed = rows;
        changed.insert(place, bytes.into());
        errors(before, &answers(changed, &world.custody));
    }
}
