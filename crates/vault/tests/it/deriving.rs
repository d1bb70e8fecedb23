//! What the node derives: due when it must be, kept as one, gone with the compartment.

use crate::world::{World, disclosure_id, new_record, refusal, run, signed, state, subject};
use vault::{ConsentChange, DerivedPut, Error};

#[test]
fn deposits_and_changes_of_consent_make_it_due_until_it_is_done() {
    let (mut world, alice) = (World::new(1), subject(1, 1));
    world.open(alice);
    world.put(alice, new_record(1, "a"));
    let due = run(world.vault.derive_due(None, 10)).unwrap();
    assert_eq!(due.len(), 1);
    let (_, first) = due.into_iter().next().unwrap();
    world.put(alice, new_record(2, "b"));
    // The later mark outlives the end of what began before it, and a restart.
    run(world.vault.derive_done(&alice, first)).unwrap();
    let vault = world.reopened();
    let mark = run(vault.derive_mark(&alice)).unwrap().unwrap();
    run(vault.derive_done(&alice, mark)).unwrap();
    assert_eq!(run(vault.derive_mark(&alice)).unwrap(), None);
    let change = ConsentChange {
        state: state(alice, 2),
        salt: [1; 32],
        signed: signed(&mut world.rng),
    };
    run(vault.consent_accept(&change, crate::world::ms(3_000), &mut world.rng)).unwrap();
    assert_eq!(run(vault.derive_due(None, 10)).unwrap().len(), 1);
    assert!(run(vault.derive_due(Some(&alice), 10)).unwrap().is_empty());
}

#[test]
fn a_derived_row_is_replaced_only_by_who_read_it() {
    let (mut world, alice, bob) = (World::new(2), subject(1, 1), subject(2, 2));
    world.open(alice);
    world.open(bob);
    let put = |subject, old, value| DerivedPut {
        subject,
        old,
        value,
    };
    let first = [put(alice, None, b"one"), put(bob, None, b"two")];
    run(world.vault.derived_put(&first, &mut world.rng)).unwrap();
    let read = run(world.vault.derived(&alice)).unwrap().unwrap();
    assert_eq!(read.value.as_slice(), b"one");
    // All or none: alice's would be right, bob's is not as it was read.
    let second = [put(alice, Some(&read), b"three"), put(bob, None, b"four")];
    let refused = run(world.vault.derived_put(&second, &mut world.rng));
    assert!(matches!(refused, Err(Error::Busy)));
    let again = run(world.reopened().derived(&alice)).unwrap().unwrap();
    assert_eq!(again.value.as_slice(), b"one");
    run(world.vault.derived_put(&second[..1], &mut world.rng)).unwrap();
    assert_eq!(
        run(world.vault.derived(&alice)).unwrap().unwrap().value[..],
        *b"three"
    );
    let long = vec![0; vault::DERIVED_MAX_BYTES + 1];
    let long = [put(bob, None, &long)];
    assert!(matches!(
        run(world.vault.derived_put(&long, &mut world.rng)),
        Err(Error::Invalid { .. })
    ));
}

#[test]
fn it_is_erased_with_the_compartment() {
    let (mut world, alice) = (World::new(3), subject(1, 1));
    world.open(alice);
    world.put(alice, new_record(1, "a"));
    let put = DerivedPut {
        subject: alice,
        old: None,
        value: b"an inference about a person",
    };
    run(world.vault.derived_put(&[put], &mut world.rng)).unwrap();
    run(world
        .vault
        .erase(&alice, crate::world::ms(9_000), &mut world.rng))
    .unwrap();
    assert!(matches!(
        run(world.vault.derived(&alice)),
        Err(Error::SubjectErased)
    ));
    assert!(run(world.vault.derive_due(None, 10)).unwrap().is_empty());
    let put = DerivedPut {
        subject: alice,
        old: None,
        value: b"late",
    };
    assert!(run(world.vault.derived_put(&[put], &mut world.rng)).is_err());
}

#[test]
fn disclosures_of_many_subjects_are_logged_together_or_not_at_all() {
    let (mut world, alice, bob) = (World::new(4), subject(1, 1), subject(2, 2));
    world.open(alice);
    world.open(bob);
    let both = [
        refusal(alice, disclosure_id(1), 4_000),
        refusal(bob, disclosure_id(2), 4_000),
    ];
    let periods = run(world.vault.disclosures_log(&both, &mut world.rng)).unwrap();
    assert_eq!(periods.len(), 2);
    let again = [
        refusal(alice, disclosure_id(3), 5_000),
        refusal(bob, disclosure_id(2), 4_000),
    ];
    assert!(run(world.vault.disclosures_log(&again, &mut world.rng)).is_err());
    for (subject, id) in [(alice, 1), (bob, 2)] {
        let (logged, _) = run(world.vault.disclosure_list(
            &subject,
            crate::world::ms(0),
            crate::world::ms(100_000),
            10,
        ))
        .unwrap();
        let ids: Vec<_> = logged.iter().map(|logged| logged.disclosure.id).collect();
        assert_eq!(ids, [disclosure_id(id)]);
    }
}
