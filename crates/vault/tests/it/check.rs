//! A vault is looked through without being written to; what waits for the ledger is accounted for.

use crate::world::{PASSPHRASE, World, new_record, record, run, settings, subject};
use keys::PasswordParams;
use std::sync::Arc;
use store::{Batch, Order, Range, Store as _, Table};
use vault::check::{VaultCheck, check};
use vault::{Custody, Error, Identity, Keychain, MemoryCustody};

fn checked(world: &World) -> VaultCheck {
    let custody: Arc<dyn Custody> = Arc::new(world.custody.clone());
    let keychain = Keychain::open(custody, PASSPHRASE).unwrap();
    let mut found = run(check(world.store.clone(), keychain, settings(), |_, _| {})).unwrap();
    // Entries are stand-ins here, which nobody signed.
    found
        .faults
        .retain(|fault| fault.table != Table::new("entries"));
    found
}

#[test]
fn a_commitment_that_waits_nowhere_is_named() {
    let mut world = World::new(51);
    let (family, other) = (subject(1, 1), subject(2, 2));
    world.open(family);
    world.open(other);
    world.put(family, new_record(1, "one"));
    world.put(other, new_record(2, "two"));
    let whole = checked(&world);
    assert_eq!((whole.records, whole.faults), (2, Vec::new()));

    let outbox = Table::new("outbox");
    let rows = world
        .store
        .range(outbox, Range::all(), 10, Order::Ascending);
    let rows = run(rows).unwrap();
    assert_eq!(rows.len(), 2);
    run(world.store.commit(Batch::new().delete(outbox, &rows[0].0))).unwrap();
    let found = checked(&world);
    let [fault] = found.faults.as_slice() else {
        panic!("{:?}", found.faults);
    };
    assert_eq!(fault.table, Table::new("index"));
    let named = [(family, 1), (other, 2)]
        .map(|(subject, n)| format!("version 1 of record {} of subject {subject}", record(n)));
    assert!(named.contains(&fault.place), "{}", fault.place);
    assert!(
        fault.what.contains("neither waits for a batch"),
        "{}",
        fault.what
    );
}

#[test]
fn another_institutions_keys_are_refused() {
    let mut world = World::new(52);
    world.open(subject(1, 1));
    let identity = Identity::generate(&mut world.rng);
    let custody = Arc::new(MemoryCustody::new());
    let params = PasswordParams::INSECURE_FAST;
    let keychain = Keychain::create(custody, PASSPHRASE, params, identity, &mut world.rng).unwrap();
    let refused = run(check(world.store.clone(), keychain, settings(), |_, _| {}));
    assert_eq!(refused.unwrap_err(), Error::OtherOwner);
}

#[test]
fn what_waits_is_opened_in_its_place() {
    let mut world = World::new(53);
    let (family, other) = (subject(1, 1), subject(2, 2));
    for who in [family, other] {
        world.open(who);
        run(crate::notes::fill(
            &world.vault.clone(),
            who,
            &mut world.rng,
        ));
    }
    assert_eq!(checked(&world).faults, Vec::new());
    for table in ["noted", "waiting"].map(Table::new) {
        let rows = run(world.store.range(table, Range::all(), 10, Order::Ascending)).unwrap();
        let (last, first) = (rows.last().unwrap(), &rows[0]);
        let moved = Batch::new().put(table, &last.0, first.1.clone());
        run(world.store.commit(moved)).unwrap();
        let found = checked(&world);
        let [fault] = found.faults.as_slice() else {
            panic!("{:?}", found.faults);
        };
        assert_eq!(fault.table, table);
        assert_eq!(fault.place, format!("subject {other}"));
        run(world
            .store
            .commit(Batch::new().put(table, &last.0, last.1.clone())))
        .unwrap();
    }
    // With its key gone there is nothing left to be opened.
    run(world
        .vault
        .erase(&family, crate::world::ms(9), &mut world.rng))
    .unwrap();
    assert_eq!(checked(&world).faults, Vec::new());
}
