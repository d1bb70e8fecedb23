//! The way to the ledger: outbox, batches, entries, consent states.

use crate::memory::{Fuse, MemoryStore};
use crate::world::{
    Rng, World, digest, ms, new_record, one, opening, record, run, signed, state, subject,
};
use codec::{EntryId, SubjectId};
use ledger::batch::RecordTree;
use std::collections::BTreeSet;
use vault::{
    ClientKey, CommitmentState, Conflict, ConsentChange, EntryPurpose, EntryState, Error, Position,
    QueuedCommitment, RecordBatch, Signed,
};

fn position(height: u64, log_index: u64) -> Position {
    Position {
        height,
        log_index,
        time: ms(height * 1_000),
    }
}

fn batch_of(items: Vec<QueuedCommitment>, rng: &mut Rng) -> RecordBatch {
    let commitments: Vec<_> = items.iter().map(|item| item.commitment).collect();
    RecordBatch {
        signed: signed(rng),
        tree: RecordTree::build(&commitments, rng),
        items,
    }
}

fn change(subject: SubjectId, sequence: u64, rng: &mut Rng) -> ConsentChange {
    ConsentChange {
        state: state(subject, sequence),
        salt: digest(&sequence.to_be_bytes()).into_bytes(),
        signed: signed(rng),
    }
}

#[test]
fn a_commitment_goes_to_the_ledger_once() {
    let mut world = World::new(1);
    let alice = subject(1, 1);
    world.open(alice);
    let put = world.put(alice, new_record(1, "one"));
    world.put(alice, new_record(2, "two"));
    let vault = world.vault.clone();
    let state = |vault: &vault::Vault<MemoryStore>, n| {
        run(vault.commitment_state(&alice, &record(n), 1)).unwrap()
    };
    assert_eq!(state(&vault, 1), CommitmentState::Queued);
    let queued = run(vault.outbox_take(10)).unwrap();
    assert_eq!(queued.len(), 2);
    let queued: Vec<_> = queued
        .into_iter()
        .filter(|q| q.record == record(1))
        .collect();
    assert_eq!(queued[0].commitment, put.records[0].commitment);
    let batch = batch_of(queued, &mut world.rng);
    for _ in 0..2 {
        run(vault.batch_assign(&batch, ms(5), &mut world.rng)).unwrap();
        assert_eq!((vault.outbox_len(), vault.entries_len()), (1, 2));
    }
    let entry = batch.signed.id;
    assert_eq!(state(&vault, 1), CommitmentState::Assigned { entry });
    assert_eq!(state(&vault, 2), CommitmentState::Queued);

    // Another batch cannot take it too.
    let other = batch_of(batch.items.clone(), &mut world.rng);
    let refused = run(vault.batch_assign(&other, ms(6), &mut world.rng));
    assert!(matches!(refused, Err(Error::Conflict(Conflict::Done(_)))));
    assert_eq!(vault.entries_len(), 2);

    let kept = run(vault.entry_drop(&batch.signed.id, "no", &mut world.rng));
    assert!(matches!(kept, Err(Error::Invalid { .. })));

    // A batch holds what it says.
    let mut lying = batch_of(run(vault.outbox_take(1)).unwrap(), &mut world.rng);
    lying.tree = RecordTree::build(&[], &mut world.rng);
    let refused = run(vault.batch_assign(&lying, ms(6), &mut world.rng));
    assert!(matches!(refused, Err(Error::Invalid { .. })));

    // After a restart the same bytes are resent, until they are final.
    let vault = world.reopened();
    assert_eq!((vault.outbox_len(), vault.entries_len()), (1, 2));
    let pending = run(vault.entries_pending(None, 10)).unwrap();
    let (id, row) = pending.iter().find(|(id, _)| *id == entry).unwrap();
    assert_eq!((*id, &row.bytes), (entry, &batch.signed.bytes));
    assert_eq!(row.state, EntryState::Queued);
    run(vault.entry_submitted(&entry, ms(7), &mut world.rng)).unwrap();
    assert_eq!(
        run(vault.entry(&entry)).unwrap().state,
        EntryState::Submitted(ms(7))
    );
    let foreign = EntryId::new([9; 32]);
    let block = [(foreign, 40), (entry, 41)];
    let settled = run(vault.block_final(3, ms(3_000), &block, &mut world.rng)).unwrap();
    assert_eq!(settled.len(), 1);
    assert_eq!(
        (settled[0].id, settled[0].position),
        (entry, position(3, 41))
    );
    assert_eq!(settled[0].purpose, EntryPurpose::RecordBatch);
    let position = position(3, 41);
    assert_eq!(state(&vault, 1), CommitmentState::Final { entry, position });
    // A block that is delivered again changes nothing.
    let again = run(vault.block_final(3, ms(3_000), &block, &mut world.rng)).unwrap();
    assert!(again.is_empty());
    run(vault.entry_submitted(&entry, ms(8), &mut world.rng)).unwrap();
    assert_eq!(run(vault.entry(&entry)).unwrap().position(), Some(position));
    assert_eq!(vault.entries_len(), 1);

    // Receipts can be made from what is kept.
    let tree = run(vault.batch_tree(&entry)).unwrap();
    assert_eq!(tree, batch.tree);
    let path = tree.path(&put.records[0].commitment).unwrap();
    assert!(path.verify(&put.records[0].commitment, &batch.tree.root()));
    let versions = run(vault.commitment_entries(&alice, &record(1))).unwrap();
    assert_eq!(versions.into_iter().collect::<Vec<_>>(), [(1, entry)]);
}

#[test]
fn every_record_is_in_one_place_whatever_crashes() {
    for steps in 0..12 {
        let mut world = World::new(2);
        let alice = subject(1, 1);
        world.open(alice);
        let store = world.store.with_fuse(Fuse::after(steps));
        let custody = std::sync::Arc::new(world.custody.clone());
        let vault = run(crate::world::open(store, custody)).unwrap();
        let mut rng = world.rng.clone();
        let mut acknowledged = BTreeSet::new();
        let crashed = run(async {
            for n in 1..=4 {
                let put = one(alice, new_record(n, "text"));
                vault.record_put(&put, ms(n.into()), &mut rng).await?;
                acknowledged.insert(record(n));
                if n % 2 == 0 {
                    let queued = vault.outbox_take(10).await?;
                    let batch = batch_of(queued, &mut rng);
                    vault.batch_assign(&batch, ms(9), &mut rng).await?;
                    let block = [(batch.signed.id, 1)];
                    vault.block_final(1, ms(1), &block, &mut rng).await?;
                }
            }
            Ok::<(), Error>(())
        });
        let vault = world.reopened();
        let queued = run(vault.outbox_take(10)).unwrap();
        let mut places = Vec::new();
        for n in 1..=4 {
            let state = run(vault.commitment_state(&alice, &record(n), 1));
            let waits = queued.iter().any(|queued| queued.record == record(n));
            match state {
                Ok(CommitmentState::Queued) => assert!(waits, "steps {steps}"),
                Ok(_) => assert!(!waits, "steps {steps}"),
                Err(_) => assert!(!acknowledged.contains(&record(n)), "steps {steps}"),
            }
            places.extend(run(vault.commitment_state(&alice, &record(n), 1)));
        }
        assert!(places.len() >= acknowledged.len());
        assert_eq!(vault.outbox_len(), queued.len());
        assert_eq!(crashed.is_ok(), steps >= 8);
    }
}

#[test]
fn an_entry_is_signed_again_only_to_outlive_itself() {
    let mut world = World::new(3);
    let (vault, rng) = (world.vault.clone(), &mut world.rng);
    let first = signed(rng);
    let purpose = EntryPurpose::Other("device-enrol".to_owned());
    for _ in 0..2 {
        run(vault.entry_queue(purpose.clone(), &first, ms(1), rng)).unwrap();
        assert_eq!(vault.entries_len(), 1);
    }
    let again = |last_valid, byte| Signed {
        id: first.id,
        bytes: vec![byte; 10],
        last_valid,
    };
    let refused = run(vault.entry_resign(&again(100, 1), rng));
    assert!(matches!(refused, Err(Error::Conflict(_))));
    run(vault.entry_resign(&again(200, 2), rng)).unwrap();
    let row = run(vault.entry(&first.id)).unwrap();
    assert_eq!((row.bytes, row.last_valid), (vec![2; 10], 200));
    run(vault.block_final(1, ms(1), &[(first.id, 0)], rng)).unwrap();
    let refused = run(vault.entry_resign(&again(300, 3), rng));
    assert!(matches!(refused, Err(Error::Conflict(_))));
    assert_eq!(run(vault.entries_pending(None, 9)).unwrap(), []);
    let unknown = run(vault.entry(&EntryId::new([1; 32])));
    assert!(matches!(unknown, Err(Error::Unknown(_))));
}

#[test]
fn what_was_queued_first_stays_first_when_the_clock_goes_back() {
    let mut world = World::new(5);
    let other = || EntryPurpose::Other("x".to_owned());
    let mut ids = Vec::new();
    for time in [5_000, 5_000, 3] {
        let signed = signed(&mut world.rng);
        ids.push(signed.id);
        run(world
            .vault
            .entry_queue(other(), &signed, ms(time), &mut world.rng))
        .unwrap();
    }
    let vault = world.reopened();
    for time in [4, 4] {
        let signed = signed(&mut world.rng);
        ids.push(signed.id);
        run(vault.entry_queue(other(), &signed, ms(time), &mut world.rng)).unwrap();
    }
    let pending = run(vault.entries_pending(None, 9)).unwrap();
    let order: Vec<_> = pending.iter().map(|(id, _)| *id).collect();
    assert_eq!(order, ids);
}

#[test]
fn the_queue_of_entries_is_bounded_and_in_order() {
    let mut settings = crate::world::settings();
    settings.entries_max = 5;
    let mut world = World::with(4, MemoryStore::new(), settings);
    let (vault, rng) = (world.vault.clone(), &mut world.rng);
    let other = || EntryPurpose::Other("x".to_owned());
    let mut ids = Vec::new();
    for n in 0..5 {
        let signed = signed(rng);
        ids.push(signed.id);
        run(vault.entry_queue(other(), &signed, ms(n), rng)).unwrap();
    }
    let full = run(vault.entry_queue(other(), &signed(rng), ms(9), rng));
    assert!(matches!(full, Err(Error::Full { limit: 5, .. })));
    let first = run(vault.entries_pending(None, 2)).unwrap();
    let after = first.last().map(|(id, row)| (row.queued, *id));
    let rest = run(vault.entries_pending(after, 9)).unwrap();
    let order: Vec<_> = first.iter().chain(&rest).map(|(id, _)| *id).collect();
    assert_eq!(order, ids);
    run(vault.entry_drop(&ids[2], "refused", rng)).unwrap();
    assert_eq!(
        run(vault.entry(&ids[2])).unwrap().state,
        EntryState::Dropped("refused".to_owned())
    );
    run(vault.entry_queue(other(), &signed(rng), ms(9), rng)).unwrap();
    assert_eq!(vault.entries_len(), 5);
    // The ledger has the last word.
    let settled = run(vault.block_final(1, ms(1), &[(ids[2], 0)], rng)).unwrap();
    assert_eq!((settled.len(), vault.entries_len()), (1, 5));
    run(vault.entry_drop(&ids[2], "refused", rng)).unwrap();
    assert!(run(vault.entry(&ids[2])).unwrap().position().is_some());
}

#[test]
fn a_compartment_opens_once() {
    let mut world = World::new(5);
    let alice = subject(1, 1);
    let (vault, rng) = (world.vault.clone(), &mut world.rng);
    let mut first = opening(alice, rng);
    first.client = Some(ClientKey {
        key: b"desk-1".to_vec(),
        received: digest(b"form"),
    });
    let opened = run(vault.compartment_open(&first, ms(1), rng)).unwrap();
    assert!(opened.created);
    // The desk sends the form again: another id was drawn, the first one is answered.
    let mut again = opening(subject(2, 2), rng);
    again.client.clone_from(&first.client);
    let answered = run(vault.compartment_open(&again, ms(2), rng)).unwrap();
    assert_eq!((answered.subject, answered.created), (alice, false));
    assert_eq!(vault.entries_len(), 1);
    again.client.as_mut().unwrap().received = digest(b"another form");
    let refused = run(vault.compartment_open(&again, ms(3), rng));
    assert_eq!(refused.unwrap_err(), Conflict::SubjectOpen.into());
    let refused = run(vault.compartment_open(&opening(alice, rng), ms(3), rng));
    assert_eq!(refused.unwrap_err(), Conflict::SubjectOpen.into());
    let bob = subject(2, 3);
    run(vault.compartment_open(&opening(bob, rng), ms(4), rng)).unwrap();
    assert_eq!(run(vault.compartments(None, 9)).unwrap(), [alice, bob]);
    assert_eq!(run(vault.compartments(Some(&alice), 9)).unwrap(), [bob]);
}

#[test]
fn a_key_without_rows_is_no_compartment() {
    let mut world = World::new(6);
    let alice = subject(1, 1);
    let store = world.store.with_fuse(Fuse::after(0));
    let custody = std::sync::Arc::new(world.custody.clone());
    let vault = run(crate::world::open(store, custody)).unwrap();
    let open = opening(alice, &mut world.rng);
    assert!(run(vault.compartment_open(&open, ms(1), &mut world.rng)).is_err());
    world.vault = world.reopened();
    let put = one(alice, new_record(1, "one"));
    let refused = run(world.vault.record_put(&put, ms(1), &mut world.rng));
    assert_eq!(refused.unwrap_err(), Error::SubjectUnknown);
    world.open(alice);
    assert!(world.put(alice, new_record(1, "one")).created);
}

#[test]
fn consent_changes_follow_each_other_and_become_final() {
    let world = World::new(7);
    let alice = subject(1, 1);
    let (vault, rng) = (world.vault.clone(), &mut world.rng.clone());
    let first = opening(alice, rng);
    run(vault.compartment_open(&first, ms(1), rng)).unwrap();
    let view = run(vault.consent_current(&alice)).unwrap();
    assert_eq!((view.finalised.position, view.pending.len()), (None, 0));
    assert_eq!(
        view.finalised.commitment(),
        first.state.commitment(&first.salt)
    );

    let gap = run(vault.consent_accept(&change(alice, 3, rng), ms(2), rng));
    assert_eq!(gap.unwrap_err(), Conflict::Sequence { sequence: 1 }.into());
    let second = change(alice, 2, rng);
    let third = change(alice, 3, rng);
    for change in [&second, &third, &second] {
        run(vault.consent_accept(change, ms(2), rng)).unwrap();
    }
    let twice = run(vault.consent_accept(&change(alice, 3, rng), ms(2), rng));
    assert_eq!(
        twice.unwrap_err(),
        Conflict::Sequence { sequence: 3 }.into()
    );
    let vault = world.reopened();
    let view = run(vault.consent_current(&alice)).unwrap();
    let pending: Vec<u64> = view.pending.iter().map(|p| p.state.sequence).collect();
    assert_eq!((view.finalised.state.sequence, pending), (1, vec![2, 3]));
    assert_eq!(view.latest().salt, third.salt);

    // The opening and the first change become final in one block.
    let block = [(first.signed.id, 0), (second.signed.id, 1)];
    let settled = run(vault.block_final(5, ms(5_000), &block, rng)).unwrap();
    assert_eq!(settled.len(), 2);
    let view = run(vault.consent_current(&alice)).unwrap();
    assert_eq!(view.finalised.state, second.state);
    assert_eq!(view.finalised.position, Some(position(5, 1)));
    assert_eq!(view.pending.len(), 1);
    // What stood before can still be opened.
    let history = run(vault.consent_history(&alice, 0, 9)).unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(
        (&history[0].state, history[0].salt),
        (&first.state, first.salt)
    );
    assert_eq!(run(vault.consent_history(&alice, 2, 9)).unwrap(), []);

    // The ledger will never take the third, nor what followed it.
    let fourth = change(alice, 4, rng);
    run(vault.consent_accept(&fourth, ms(6), rng)).unwrap();
    run(vault.entry_drop(&third.signed.id, "refused", rng)).unwrap();
    let view = run(vault.consent_current(&alice)).unwrap();
    assert_eq!((view.latest().state.sequence, view.pending.len()), (2, 0));
    run(vault.consent_accept(&change(alice, 3, rng), ms(7), rng)).unwrap();
}

#[test]
fn a_closing_holds_when_final() {
    let mut world = World::new(8);
    let alice = subject(1, 1);
    world.open(alice);
    let (vault, rng) = (world.vault.clone(), &mut world.rng);
    let close = signed(rng);
    run(vault.compartment_close(&alice, &close, ms(2), rng)).unwrap();
    let closing = run(vault.consent_current(&alice)).unwrap().closing.unwrap();
    assert_eq!((closing.entry, closing.position), (close.id, None));
    let refused = run(vault.compartment_close(&alice, &signed(rng), ms(3), rng));
    assert!(matches!(refused, Err(Error::Conflict(Conflict::Done(_)))));
    run(vault.block_final(2, ms(2_000), &[(close.id, 4)], rng)).unwrap();
    let closing = run(vault.consent_current(&alice)).unwrap().closing.unwrap();
    assert_eq!(closing.position, Some(position(2, 4)));
}

#[test]
fn finality_of_an_erased_subjects_entries_is_still_noted() {
    let mut world = World::new(9);
    let alice = subject(1, 1);
    let (vault, rng) = (world.vault.clone(), &mut world.rng);
    let first = opening(alice, rng);
    run(vault.compartment_open(&first, ms(1), rng)).unwrap();
    let put = one(alice, new_record(1, "one"));
    run(vault.record_put(&put, ms(1), rng)).unwrap();
    run(vault.erase(&alice, ms(2), rng)).unwrap();
    let settled = run(vault.block_final(1, ms(1), &[(first.signed.id, 0)], rng)).unwrap();
    assert_eq!(settled.len(), 1);
    // Its commitment still goes to the ledger; nothing of it is kept.
    let batch = batch_of(run(vault.outbox_take(9)).unwrap(), rng);
    run(vault.batch_assign(&batch, ms(3), rng)).unwrap();
    assert_eq!(vault.outbox_len(), 0);
    let rows = world.store.copied();
    assert!(!rows.keys().any(|(table, _)| *table == "receipts"));
}

#[test]
fn racing_changes_make_one_sequence() {
    for seed in 0..20 {
        let mut world = World::with(
            seed,
            MemoryStore::new().with_yields(seed),
            crate::world::settings(),
        );
        let alice = subject(1, 1);
        world.open(alice);
        let changes = (0..4_u64).map(|n| {
            let vault = world.vault.clone();
            let mut rng = Rng::new(seed * 10 + n);
            async move {
                let change = change(alice, 2, &mut rng);
                vault.consent_accept(&change, ms(2), &mut rng).await
            }
        });
        let answers = run(futures::future::join_all(changes));
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        let view = run(world.vault.consent_current(&alice)).unwrap();
        assert_eq!(view.pending.len(), 1);
        assert_eq!(world.vault.entries_len(), 2);
    }
}
