//! What is noted with a write and what waits: with the records or not at all, for whoever has the key, until the end.

use crate::world::{Rng, World, ms, new_record, one, run, subject};
use codec::SubjectId;
use store::Store;
use vault::{Error, NewNote, Note, NotePlace, Transaction, Vault};

pub fn note(subject: SubjectId, value: &[u8]) -> NewNote {
    NewNote {
        subject,
        value: value.to_vec().into(),
    }
}

/// Notes two things of a subject, and has the first wait as two.
pub async fn fill<S: Store>(vault: &Vault<S>, who: SubjectId, rng: &mut Rng) {
    for value in [b"first", b"other"] {
        let transaction = Transaction {
            notes: vec![note(who, value)],
            ..Transaction::default()
        };
        vault.transact(&transaction, ms(4), rng).await.unwrap();
        if value == b"first" {
            let noted = noted_of(vault, &who).await.remove(0);
            let waiting = [b"wait one".to_vec().into(), b"wait two".to_vec().into()];
            let sorted = vault.notes_sort(&noted, &waiting, None, rng).await.unwrap();
            assert!(sorted.is_some_and(|(places, left)| places.len() == 2 && left.is_none()));
        }
    }
}

pub async fn noted_of<S: Store>(vault: &Vault<S>, who: &SubjectId) -> Vec<Note> {
    let mut notes = vault.notes_noted(None, 99).await.unwrap();
    notes.retain(|note| note.place.subject() == who);
    notes
}

pub async fn waiting_of<S: Store>(vault: &Vault<S>, who: &SubjectId) -> Vec<Note> {
    let mut notes = vault.notes_waiting(None, 99).await.unwrap();
    notes.retain(|note| note.place.subject() == who);
    notes
}

/// What is noted and what waits of a subject, in the order of the texts.
pub async fn texts<S: Store>(vault: &Vault<S>, who: &SubjectId) -> Result<Vec<String>, Error> {
    let mut texts = Vec::new();
    let waiting = waiting_of(vault, who).await;
    for note in noted_of(vault, who).await.iter().chain(&waiting) {
        let value = vault.note_open(note).await?;
        texts.push(String::from_utf8(value.to_vec()).unwrap());
    }
    texts.sort();
    Ok(texts)
}

fn texts_of(vault: &Vault<impl Store>, who: &SubjectId) -> Vec<String> {
    run(texts(vault, who)).unwrap()
}

#[test]
fn they_are_noted_with_the_records_or_not_at_all() {
    let (mut world, alice, bob) = (World::new(70), subject(1, 1), subject(1, 2));
    world.open(alice);
    world.open(bob);
    let mut put = |put: &vault::RecordPut, notes: &[NewNote]| {
        let done = world
            .vault
            .record_put_with(put, &[], notes, ms(5), &mut world.rng);
        run(done).map(|done| done.created)
    };
    let first = one(alice, new_record(1, "red"));
    assert_eq!(put(&first, &[note(alice, b"a")]), Ok(true));
    // Given again, refused, or of somebody else: nothing is noted.
    assert_eq!(put(&first, &[note(alice, b"b")]), Ok(false));
    put(&one(alice, new_record(1, "green")), &[note(alice, b"c")]).unwrap_err();
    put(&one(alice, new_record(2, "blue")), &[note(bob, b"d")]).unwrap_err();
    assert_eq!(texts_of(&world.reopened(), &alice), ["a"]);
    assert_eq!(texts_of(&world.vault, &bob), [""; 0]);

    let mut transaction = Transaction {
        puts: vec![one(bob, new_record(3, "white"))],
        notes: vec![note(bob, b"e"), note(bob, b"f"), note(alice, b"g")],
        ..Transaction::default()
    };
    run(world.vault.transact(&transaction, ms(6), &mut world.rng)).unwrap();
    transaction.puts = vec![one(bob, new_record(3, "black"))];
    run(world.vault.transact(&transaction, ms(6), &mut world.rng)).unwrap_err();
    assert_eq!(texts_of(&world.vault, &bob), ["e", "f"]);
    assert_eq!(texts_of(&world.vault, &alice), ["a", "g"]);
}

#[test]
fn what_is_noted_is_sorted_once_and_changed_by_who_read_it() {
    let (mut world, alice) = (World::new(71), subject(1, 1));
    world.open(alice);
    let (vault, rng) = (world.vault.clone(), &mut world.rng);
    let noted = Transaction {
        notes: vec![note(alice, b"three")],
        ..Transaction::default()
    };
    run(vault.transact(&noted, ms(5), rng)).unwrap();
    let first = run(noted_of(&vault, &alice)).remove(0);
    let wait = |text: &str| vec![text.as_bytes().to_vec().into()];
    let sorted = run(vault.notes_sort(&first, &wait("one"), Some(b"two"), rng)).unwrap();
    let (places, left) = sorted.unwrap();
    assert_eq!(texts_of(&vault, &alice), ["one", "two"]);
    // Who read it before it was sorted does nothing.
    assert!(
        run(vault.notes_sort(&first, &wait("one"), None, rng))
            .unwrap()
            .is_none()
    );
    let done = run(vault.notes_sort(&left.unwrap(), &wait("two"), None, rng)).unwrap();
    assert!(done.unwrap().1.is_none());
    assert_eq!(texts_of(&vault, &alice), ["one", "two"]);
    assert_eq!(run(noted_of(&vault, &alice)).len(), 0);

    let one = run(vault.note(&places[0])).unwrap().unwrap();
    assert!(run(vault.note_put(&one, b"one, tried", rng)).unwrap());
    assert!(!run(vault.note_put(&one, b"never", rng)).unwrap());
    assert_eq!(texts_of(&vault, &alice), ["one, tried", "two"]);
    run(vault.notes_remove(&places)).unwrap();
    run(vault.notes_remove(&places)).unwrap();
    assert!(run(vault.note(&places[0])).unwrap().is_none());
    assert!(!run(vault.note_put(&one, b"never", rng)).unwrap());
    assert_eq!(texts_of(&world.reopened(), &alice), ["two"]);
}

#[test]
fn they_are_paged_and_of_one_size() {
    let mut world = World::new(72);
    let people = [subject(1, 1), subject(2, 2), subject(3, 3)];
    for who in people {
        world.open(who);
        run(fill(&world.vault.clone(), who, &mut world.rng));
    }
    let mut after: Option<NotePlace> = None;
    let mut paged = Vec::new();
    while let Some(note) = run(world.vault.notes_waiting(after.as_ref(), 1))
        .unwrap()
        .pop()
    {
        after = Some(note.place);
        paged.push(note.place);
    }
    assert_eq!(paged.len(), 6);
    assert!(paged.is_sorted());
    let rows = world.store.copied();
    let sizes = |table: &str| {
        let of_table = rows.iter().filter(|((of, _), _)| *of == table);
        let sizes: std::collections::BTreeSet<usize> =
            of_table.map(|(_, value)| value.len()).collect();
        sizes
    };
    assert_eq!((sizes("noted").len(), sizes("waiting").len()), (1, 1));
}

#[test]
fn nothing_is_sorted_or_put_off_of_who_is_erased() {
    let (mut world, alice) = (World::new(73), subject(1, 1));
    world.open(alice);
    let vault = world.vault.clone();
    run(fill(&vault, alice, &mut world.rng));
    let noted = run(noted_of(&vault, &alice)).remove(0);
    let waiting = run(waiting_of(&vault, &alice)).remove(0);
    run(vault.erase(&alice, ms(9), &mut world.rng)).unwrap();
    for vault in [vault, world.reopened()] {
        let rng = &mut world.rng;
        assert_eq!(run(vault.note_open(&noted)), Err(Error::SubjectErased));
        run(vault.notes_sort(&noted, &[], Some(b"back"), rng)).unwrap_err();
        run(vault.note_put(&waiting, b"back", rng)).unwrap_err();
        let again = Transaction {
            notes: vec![note(alice, b"back")],
            ..Transaction::default()
        };
        run(vault.transact(&again, ms(10), rng)).unwrap_err();
        assert_eq!(texts_of(&vault, &alice), [""; 0]);
    }
}
