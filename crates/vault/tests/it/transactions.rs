//! Transactions over several subjects, and finding what they put in.

use crate::world::{World, ms, new_record, one, opening, reads, record, run, subject};
use vault::{Conflict, Error, NewRecord, NodeRow, Transaction};

/// What three subjects' worth of a transaction is made of: two new subjects and one that is there.
fn transaction(world: &mut World) -> Transaction {
    let mut of = |shard, n| opening(subject(shard, n), &mut world.rng);
    Transaction {
        opens: vec![of(1, 1), of(2, 2)],
        puts: vec![
            one(subject(1, 1), new_record(1, "red apple")),
            one(subject(2, 2), new_record(2, "red cherry")),
            one(subject(3, 3), new_record(3, "green pear")),
        ],
        ..Transaction::default()
    }
}

#[test]
fn all_of_it_is_there() {
    let mut world = World::new(60);
    world.open(subject(3, 3));
    let all = transaction(&mut world);
    let answers = run(world.vault.transact(&all, ms(5), &mut world.rng)).unwrap();
    assert_eq!(answers.len(), 3);
    let vault = world.reopened();
    for (shard, n, text) in [
        (1, 1, "red apple"),
        (2, 2, "red cherry"),
        (3, 3, "green pear"),
    ] {
        assert!(run(reads(&vault, &subject(shard, n), n, text)), "{text}");
    }
    let found = run(vault.search(b"red", 10)).unwrap();
    assert_eq!(found.len(), 2);
    let within = run(vault.search_within(&subject(2, 2), b"red", 10)).unwrap();
    assert_eq!(within.len(), 1);
    assert_eq!(within[0].record, record(2));
    let elsewhere = run(vault.search_within(&subject(3, 3), b"red", 10)).unwrap();
    assert!(elsewhere.is_empty());
}

#[test]
fn what_conflicts_in_one_subject_leaves_nothing_in_any() {
    let mut world = World::new(61);
    world.open(subject(3, 3));
    world.put(subject(3, 3), new_record(3, "another pear"));
    let all = transaction(&mut world);
    let refused = run(world.vault.transact(&all, ms(5), &mut world.rng)).unwrap_err();
    assert!(
        matches!(
            refused,
            Error::Conflict(Conflict::OtherBytes { version: 1, .. })
        ),
        "{refused}"
    );
    for opened in [subject(1, 1), subject(2, 2)] {
        let there = run(world.vault.consent_current(&opened));
        assert!(matches!(there, Err(Error::SubjectUnknown)));
    }
    assert!(run(world.vault.search(b"red", 10)).unwrap().is_empty());
    // The places it had taken are free again, and once mended it goes through.
    let mended = Transaction {
        puts: vec![
            all.puts[0].clone(),
            all.puts[1].clone(),
            one(
                subject(3, 3),
                NewRecord {
                    expect_version: 1,
                    ..new_record(3, "green pear")
                },
            ),
        ],
        ..all
    };
    let answers = run(world.vault.transact(&mended, ms(5), &mut world.rng)).unwrap();
    assert_eq!(answers[2][0].version, 2);
}

#[test]
fn rows_of_the_node_change_with_the_records_or_not_at_all() {
    let mut world = World::new(64);
    world.open(subject(3, 3));
    let row = |name: &[u8], expected: Option<&[u8]>, value: Option<&[u8]>| NodeRow {
        name: name.to_vec(),
        expected: expected.map(|row| row.to_vec().into()),
        value: value.map(|row| row.to_vec().into()),
    };
    let all = Transaction {
        rows: vec![row(b"mark", None, Some(b"1")), row(b"other", None, None)],
        ..transaction(&mut world)
    };
    run(world.vault.transact(&all, ms(5), &mut world.rng)).unwrap();
    let there = |world: &World, name: &[u8]| {
        let row = run(world.vault.node_row(name)).unwrap();
        row.map(|row| row.to_vec())
    };
    assert_eq!(there(&world, b"mark"), Some(b"1".to_vec()));
    assert_eq!(there(&world, b"other"), None);
    let next = |rows| Transaction {
        puts: vec![one(subject(3, 3), new_record(4, "blue plum"))],
        rows,
        ..Transaction::default()
    };
    let stale = next(vec![row(b"mark", Some(b"0"), None)]);
    let refused = run(world.vault.transact(&stale, ms(6), &mut world.rng)).unwrap_err();
    assert!(
        matches!(refused, Error::Conflict(Conflict::Done(_))),
        "{refused}"
    );
    assert!(run(world.vault.search(b"blue", 10)).unwrap().is_empty());
    assert_eq!(there(&world, b"mark"), Some(b"1".to_vec()));
    let twice = next(vec![row(b"a", None, None), row(b"a", None, None)]);
    assert!(run(world.vault.transact(&twice, ms(6), &mut world.rng)).is_err());
    let right = next(vec![row(b"mark", Some(b"1"), None)]);
    run(world.vault.transact(&right, ms(6), &mut world.rng)).unwrap();
    assert_eq!(run(world.vault.search(b"blue", 10)).unwrap().len(), 1);
    assert_eq!(there(&world, b"mark"), None);
}

#[test]
fn a_version_that_is_not_there_yet_is_refused() {
    let mut world = World::new(62);
    world.open(subject(3, 3));
    let early = Transaction {
        puts: vec![one(
            subject(3, 3),
            NewRecord {
                expect_version: 4,
                ..new_record(3, "green pear")
            },
        )],
        ..Transaction::default()
    };
    let refused = run(world.vault.transact(&early, ms(5), &mut world.rng)).unwrap_err();
    assert!(
        matches!(
            refused,
            Error::Conflict(Conflict::Version { version: 0, .. })
        ),
        "{refused}"
    );
}

#[test]
fn ids_lead_to_their_shard() {
    let mut world = World::new(63);
    for shard in [0, 7, 200, 255] {
        let own = subject(shard, 9);
        world.open(own);
        for n in 0..20 {
            let id = world.vault.record_id(&own, &mut world.rng);
            let mut new = new_record(1, &format!("token-{n}"));
            new.record = id;
            world.put(own, new);
            let token = format!("token-{n}");
            let found = run(world.vault.locate(&id, token.as_bytes()))
                .unwrap()
                .unwrap();
            assert_eq!((found.subject, found.record), (own, id));
            // The same token, through the id of a record of another shard, is not found there.
            let other = world
                .vault
                .record_id(&subject(shard ^ 1, 9), &mut world.rng);
            assert!(
                run(world.vault.locate(&other, token.as_bytes()))
                    .unwrap()
                    .is_none()
            );
        }
    }
}

#[test]
fn a_put_that_is_answered_again_changes_no_row_again() {
    let mut world = World::new(65);
    world.open(subject(3, 3));
    let row = |name: &[u8]| NodeRow {
        name: name.to_vec(),
        expected: None,
        value: Some(b"noted".to_vec().into()),
    };
    let put = one(subject(3, 3), new_record(3, "green pear"));
    let mut put_with = |name: &[u8], put| {
        let rows = [row(name)];
        run(world
            .vault
            .record_put_with(put, &rows, &[], ms(5), &mut world.rng))
    };
    assert!(put_with(b"first", &put).unwrap().created);
    assert!(!put_with(b"again", &put).unwrap().created);
    // What is refused leaves none either, whether it is the record or the row.
    let other = one(subject(3, 3), new_record(3, "another pear"));
    put_with(b"other", &other).unwrap_err();
    let next = one(subject(3, 3), new_record(4, "red apple"));
    put_with(b"first", &next).unwrap_err();
    let vault = world.reopened();
    let names = run(vault.node_rows(b"", None, 10)).unwrap();
    let names: Vec<Vec<u8>> = names.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [b"first".to_vec()]);
    assert!(run(vault.search(b"red", 10)).unwrap().is_empty());
}
