//! Disclosures, their periods and proofs, and what else is in the audit compartment.

use crate::memory::{Fuse, MemoryStore};
use crate::world::{
    CUSTODIAN, Rng, World, disclosure_id, ms, refusal, request, run, signed, subject,
};
use codec::SubjectId;
use consent::break_glass::{Review, Verdict};
use consent::safeguarding::{Act, ActKind, Audience, Ground, Proposal, Wish};
use consent::{Basis, Because, BreakGlass, PractitionerId, Reason};
use futures::future::join_all;
use ledger::batch::Lookup;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use vault::{
    Conflict, DelayState, Disclosure, Error, Notice, Outcome, RELEASED_MAX_BYTES, ReleaseHeld,
    ReleasePut, Session, disclosures_root, map_key,
};

const MINUTE: u64 = 60_000;

fn log(world: &mut World, subject: SubjectId, n: u8, at: u64) -> u64 {
    let disclosure = refusal(subject, disclosure_id(n), at);
    run(world.vault.disclosure_log(&disclosure, &mut world.rng)).unwrap()
}

fn close(world: &mut World, period: u64) -> vault::ClosedPeriod {
    let closed = run(world.vault.period_close(period, &mut world.rng)).unwrap();
    let signed = signed(&mut world.rng);
    run(world
        .vault
        .period_assign(&closed, &signed, ms(period * MINUTE), &mut world.rng))
    .unwrap();
    closed
}

#[test]
fn disclosures_are_listed_by_time() {
    let mut world = World::new(1);
    let (alice, bob) = (subject(1, 1), subject(1, 2));
    world.open(alice);
    world.open(bob);
    for (n, at) in [(1, 5), (2, MINUTE + 1), (3, MINUTE + 2), (4, 9 * MINUTE)] {
        log(&mut world, alice, n, at);
        log(&mut world, bob, n + 100, at);
    }
    let permitted = Disclosure {
        outcome: Outcome::Permitted(vec![Because {
            basis: Basis::BreakGlass,
            categories: BTreeSet::new(),
        }]),
        session: Some(disclosure_id(77)),
        ..refusal(alice, disclosure_id(5), 10 * MINUTE)
    };
    run(world.vault.disclosure_log(&permitted, &mut world.rng)).unwrap();
    let vault = world.reopened();
    let check = |from, until, limit, expect: &[u8], more: bool| {
        let (found, truncated) =
            run(vault.disclosure_list(&alice, ms(from), ms(until), limit)).unwrap();
        let ids: Vec<u8> = found
            .iter()
            .map(|l| l.disclosure.id.as_bytes()[0])
            .collect();
        assert_eq!((ids.as_slice(), truncated), (expect, more));
    };
    check(0, u64::MAX, 99, &[1, 2, 3, 4, 5], false);
    check(6, 9 * MINUTE, 99, &[2, 3], false);
    check(0, u64::MAX, 2, &[1, 2], true);
    let found = run(vault.disclosure(&alice, &disclosure_id(5))).unwrap();
    assert_eq!(found.disclosure, permitted);
    assert_eq!(found.period, 10);
    let other = run(vault.disclosure(&alice, &disclosure_id(101)));
    assert!(matches!(other, Err(Error::Unknown(_))));
    let twice = run(world.vault.disclosure_log(&permitted, &mut world.rng));
    assert!(matches!(twice, Err(Error::Conflict(Conflict::Done(_)))));
    let unknown = refusal(subject(9, 9), disclosure_id(1), 1);
    let refused = run(world.vault.disclosure_log(&unknown, &mut world.rng));
    assert_eq!(refused.unwrap_err(), Error::SubjectUnknown);
}

#[test]
fn nothing_gets_into_a_closed_period() {
    let mut world = World::new(2);
    let alice = subject(1, 1);
    world.open(alice);
    assert_eq!(log(&mut world, alice, 1, 5 * MINUTE), 5);
    close(&mut world, 5);
    assert_eq!(log(&mut world, alice, 2, 5 * MINUTE), 6);
    assert_eq!(log(&mut world, alice, 3, MINUTE), 6);
    assert_eq!(log(&mut world, alice, 4, 8 * MINUTE), 8);
    world.vault = world.reopened();
    assert_eq!(log(&mut world, alice, 5, 0), 6);
    // In order, and one after the other.
    let vault = world.vault.clone();
    let skipped = run(vault.period_close(7, &mut world.rng));
    assert!(matches!(skipped, Err(Error::Invalid { .. })));
    run(vault.period_close(6, &mut world.rng)).unwrap();
    let unassigned = run(vault.period_close(7, &mut world.rng));
    assert!(matches!(unassigned, Err(Error::Invalid { .. })));
}

#[test]
fn the_next_period_is_named_until_it_is_assigned() {
    let mut world = World::new(3);
    let alice = subject(1, 1);
    world.open(alice);
    let due = |world: &World, at| run(world.vault.period_due(ms(at))).unwrap();
    assert_eq!(due(&world, 0), None);
    assert_eq!(due(&world, 9 * MINUTE), Some(8));
    log(&mut world, alice, 1, 3 * MINUTE);
    assert_eq!(due(&world, 3 * MINUTE), Some(2));
    assert_eq!(due(&world, 9 * MINUTE), Some(3));
    run(world.vault.period_close(3, &mut world.rng)).unwrap();
    assert_eq!(due(&world, 9 * MINUTE), Some(3));
    world.vault = world.reopened();
    assert_eq!(due(&world, 3 * MINUTE), Some(3));
    close(&mut world, 3);
    assert_eq!(due(&world, 5 * MINUTE - 1), None);
    assert_eq!(due(&world, 5 * MINUTE), Some(4));
    run(world.vault.periods_continue_after(20, &mut world.rng)).unwrap();
    assert_eq!(due(&world, 21 * MINUTE), None);
    assert_eq!(due(&world, 22 * MINUTE), Some(21));
    assert_eq!(log(&mut world, alice, 2, 8 * MINUTE), 21);
}

#[test]
fn a_period_proves_presence_and_absence() {
    let mut world = World::new(4);
    let (alice, bob) = (subject(1, 1), subject(1, 2));
    world.open(alice);
    world.open(bob);
    log(&mut world, alice, 1, 5);
    log(&mut world, alice, 2, 6);
    run(world.vault.period_close(0, &mut world.rng)).unwrap();
    assert_eq!(run(world.vault.period_proof(&alice, 0)).unwrap(), None);
    let closed = close(&mut world, 0);
    let root = closed.map.root();
    assert_eq!(closed.map.leaves().len(), 256);
    let proof = run(world.vault.period_proof(&alice, 0)).unwrap().unwrap();
    // The subject computes the key and checks the rest without the custodian.
    let own = run(async { world.vault.audit_period_key(&alice) }).unwrap();
    assert_eq!(proof.key, map_key(&own, 0));
    let value = proof.lookup.verify(&proof.key, &root).unwrap().unwrap();
    assert_eq!(value.count, 2);
    assert_eq!(value.root, disclosures_root(&proof.disclosures));
    let mut fewer = proof.disclosures.clone();
    fewer.pop();
    assert_ne!(value.root, disclosures_root(&fewer));
    let mut altered = proof.disclosures.clone();
    altered[0].disclosure.stale = true;
    assert_ne!(value.root, disclosures_root(&altered));
    altered.clone_from(&proof.disclosures);
    altered.reverse();
    assert_eq!(value.root, disclosures_root(&altered));
    let absent = run(world.vault.period_proof(&bob, 0)).unwrap().unwrap();
    assert!(matches!(absent.lookup, Lookup::Absent(_)));
    assert_eq!(absent.lookup.verify(&absent.key, &root), Some(None));
    assert!(absent.disclosures.is_empty());
    // Keys of one subject do not repeat over periods.
    assert_ne!(map_key(&own, 0), map_key(&own, 1));
}

#[test]
fn a_closed_period_gives_the_same_map_after_any_crash() {
    let prepared = || {
        let mut world = World::new(5);
        for n in 1..=3 {
            world.open(subject(n, n));
            log(&mut world, subject(n, n), n, 5);
        }
        world
    };
    for steps in 0..2 {
        let mut world = prepared();
        let store = world.store.with_fuse(Fuse::after(steps));
        let custody = std::sync::Arc::new(world.custody.clone());
        let vault = run(crate::world::open(store, custody)).unwrap();
        let mut rng = world.rng.clone();
        let first = run(vault.period_close(0, &mut rng));
        assert_eq!(first.is_ok(), steps == 1);
        let first = first.ok();
        let entry = signed(&mut rng);
        if let Some(first) = &first {
            assert!(run(vault.period_assign(first, &entry, ms(1), &mut rng)).is_err());
        }
        world.vault = world.reopened();
        let again = run(world.vault.period_close(0, &mut world.rng)).unwrap();
        assert!(first.is_none_or(|first| first == again));
        run(world
            .vault
            .period_assign(&again, &entry, ms(2), &mut world.rng))
        .unwrap();
        let third = run(world.reopened().period_close(0, &mut world.rng)).unwrap();
        assert_eq!(
            (third.map, third.entry),
            (again.map.clone(), Some(entry.id))
        );
        // The stored bytes are resent; other bytes are refused.
        run(world
            .vault
            .period_assign(&again, &entry, ms(3), &mut world.rng))
        .unwrap();
        let other = signed(&mut world.rng);
        let refused = run(world
            .vault
            .period_assign(&again, &other, ms(3), &mut world.rng));
        assert!(matches!(refused, Err(Error::Conflict(Conflict::Done(_)))));
        assert_eq!(
            run(world.vault.entry(&entry.id)).unwrap().bytes,
            entry.bytes
        );
    }
}

#[test]
fn logs_that_race_with_a_close_are_in_one_period_each() {
    for seed in 0..30 {
        let mut world = World::with(
            seed,
            MemoryStore::new().with_yields(seed),
            crate::world::settings(),
        );
        let alice = subject(1, 1);
        world.open(alice);
        let logs = (0..8_u8).map(|n| {
            let vault = world.vault.clone();
            let mut rng = Rng::new(seed * 100 + u64::from(n));
            async move {
                let disclosure = refusal(alice, disclosure_id(n), 5);
                vault.disclosure_log(&disclosure, &mut rng).await
            }
        });
        let vault = world.vault.clone();
        let mut rng = Rng::new(seed);
        let closing = vault.period_close(0, &mut rng);
        let (closed, logged) = run(futures::future::join(closing, join_all(logs)));
        let logged: Vec<u64> = logged.into_iter().map(Result::unwrap).collect();
        let inside = logged.iter().filter(|period| **period == 0).count();
        let closed = closed.unwrap();
        let key = map_key(&world.vault.audit_period_key(&alice).unwrap(), 0);
        let value = closed.map.lookup(&key).unwrap();
        let value = value.verify(&key, &closed.map.root()).unwrap();
        let counted = value.map_or(0, |value| usize::try_from(value.count).unwrap());
        assert_eq!(counted, inside, "seed {seed}");
        let again = run(world.vault.period_close(0, &mut world.rng)).unwrap();
        assert_eq!(again, closed);
    }
}

fn session(subject: SubjectId) -> (Session, Notice) {
    let opened = BreakGlass {
        subject,
        institution: CUSTODIAN,
        opened_by: PractitionerId::new("dr-who").unwrap(),
        opened: ms(1_000),
        until: ms(2_000),
        reason: Reason::new("unconscious child").unwrap(),
    };
    let notice = Notice {
        due: ms(5_000),
        sentence: "opened in an emergency".to_owned(),
        about: None,
        told: None,
    };
    let session = Session {
        opened,
        review_due: ms(9_000),
        review: None,
    };
    (session, notice)
}

#[test]
fn a_session_waits_for_its_review_and_its_notice() {
    let mut world = World::new(6);
    let (alice, bob) = (subject(1, 1), subject(2, 2));
    world.open(alice);
    world.open(bob);
    let (vault, rng) = (world.vault.clone(), &mut world.rng.clone());
    for (who, n) in [(alice, 1), (bob, 2)] {
        let (mut session, notice) = session(who);
        session.review_due = ms(10_000 - u64::from(n));
        run(vault.session_open(&disclosure_id(n), &session, &notice, rng)).unwrap();
        let twice = run(vault.session_open(&disclosure_id(n), &session, &notice, rng));
        assert!(matches!(twice, Err(Error::Conflict(Conflict::Done(_)))));
    }
    let vault = world.reopened();
    let due: Vec<_> = run(vault.sessions_due(9)).unwrap();
    let due: Vec<_> = due.iter().map(|due| (due.subject, due.id)).collect();
    assert_eq!(due, [(bob, disclosure_id(2)), (alice, disclosure_id(1))]);
    let review = Review {
        reviewed_by: PractitionerId::new("dr-house").unwrap(),
        reviewed: ms(3_000),
        verdict: Verdict::Justified,
        note: Reason::new("it was").unwrap(),
    };
    run(vault.session_review(&bob, &disclosure_id(2), &review, rng)).unwrap();
    let twice = run(vault.session_review(&bob, &disclosure_id(2), &review, rng));
    assert!(matches!(twice, Err(Error::Conflict(Conflict::Done(_)))));
    assert_eq!(run(vault.sessions_due(9)).unwrap().len(), 1);
    let reviewed = run(vault.session(&bob, &disclosure_id(2))).unwrap();
    assert_eq!(reviewed.review, Some(review));
    assert_eq!(run(vault.sessions(&alice)).unwrap().len(), 1);
    assert!(run(vault.session(&alice, &disclosure_id(2))).is_err());

    assert_eq!(run(vault.notices_due(9)).unwrap().len(), 2);
    run(vault.notice_told(&alice, &disclosure_id(1), ms(4_000), rng)).unwrap();
    assert_eq!(run(vault.notices_due(9)).unwrap().len(), 1);
    let told = run(vault.notices(&alice)).unwrap();
    assert_eq!(told[0].1.told, Some(ms(4_000)));
}

#[test]
fn a_delay_changes_only_from_what_it_was() {
    let mut world = World::new(7);
    let alice = subject(1, 1);
    world.open(alice);
    let (vault, rng) = (world.vault.clone(), &mut world.rng);
    let by = PractitionerId::new("dr-who").unwrap();
    let proposed = DelayState::Proposed(Proposal {
        wish: Wish {
            disclosure: disclosure_id(9),
            disclosed: ms(1),
            disclosed_to: by.clone(),
            audience: Audience::Guardians,
            ground: Ground::SuspectedAbuse,
            reason: Reason::new("bruises").unwrap(),
            until: ms(3),
        },
        institution: CUSTODIAN,
        proposed_by: by.clone(),
        proposed: ms(2),
    });
    let act = |n| {
        let act = Act {
            kind: ActKind::Proposed,
            disclosure: disclosure_id(9),
            by: by.clone(),
            at: ms(n),
        };
        (disclosure_id(u8::try_from(n).unwrap()), act)
    };
    let (id, first) = act(50);
    run(vault.delay_put(&alice, None, &proposed, (&id, &first), rng)).unwrap();
    let (id, second) = act(51);
    let stale = run(vault.delay_put(&alice, None, &proposed, (&id, &second), rng));
    assert!(matches!(stale, Err(Error::Conflict(Conflict::Done(_)))));
    run(vault.delay_put(&alice, Some(&proposed), &proposed, (&id, &second), rng)).unwrap();
    let found = run(vault.delay(&alice, &disclosure_id(9))).unwrap();
    assert_eq!(found, Some(proposed));
    assert_eq!(run(vault.delays(&alice)).unwrap().len(), 1);
    let acts = run(vault.delay_acts(&alice)).unwrap();
    assert_eq!(acts, [first, second]);
    assert_eq!(run(vault.delay(&alice, &disclosure_id(1))).unwrap(), None);
}

#[test]
fn reads_elsewhere_are_logged_in_a_visitor_compartment() {
    let mut world = World::new(8);
    let visitor = subject(9, 9);
    for _ in 0..2 {
        world
            .vault
            .audit_open(&visitor, ms(1), &mut world.rng)
            .unwrap();
    }
    assert_eq!(log(&mut world, visitor, 1, 5), 0);
    let put = crate::world::one(visitor, crate::world::new_record(1, "one"));
    let refused = run(world.vault.record_put(&put, ms(1), &mut world.rng));
    assert_eq!(refused.unwrap_err(), Error::SubjectUnknown);
    let listed = run(world.vault.disclosure_list(&visitor, ms(0), ms(99), 9)).unwrap();
    assert_eq!(listed.0[0].disclosure.request, request(visitor));
}

#[test]
fn rows_of_the_node_change_only_from_what_they_were() {
    let mut world = World::new(9);
    let (vault, rng) = (world.vault.clone(), &mut world.rng);
    for name in ["account/a", "account/b", "cursor"] {
        run(vault.node_row_put(name.as_bytes(), None, b"1", rng)).unwrap();
    }
    let lost = run(vault.node_row_put(b"cursor", None, b"2", rng));
    assert!(matches!(lost, Err(Error::Conflict(_))));
    run(vault.node_row_put(b"cursor", Some(b"1"), b"2", rng)).unwrap();
    let vault = world.reopened();
    let row = run(vault.node_row(b"cursor")).unwrap().unwrap();
    assert_eq!(row.as_slice(), b"2");
    let accounts = run(vault.node_rows(b"account/", None, 9)).unwrap();
    assert_eq!(accounts.len(), 2);
    let after = run(vault.node_rows(b"account/", Some(b"account/a"), 9)).unwrap();
    assert_eq!(after[0].0, b"account/b");
    assert!(run(vault.node_row_remove(b"account/a", b"other")).is_err());
    run(vault.node_row_remove(b"account/a", b"1")).unwrap();
    assert_eq!(run(vault.node_row(b"account/a")).unwrap(), None);
    assert!(run(vault.node_row(b"")).is_err());
    // The vault's own rows are not the node's.
    assert_eq!(run(vault.node_rows(b"", None, 99)).unwrap().len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// However logs and closes follow each other, every disclosure is counted in exactly the period
    /// it was told, and the counts of a subject add up.
    #[test]
    fn every_disclosure_is_counted_once(
        acts in prop::collection::vec((0_u8..3, 0_u64..6, any::<bool>()), 1..25),
        seed in any::<u64>(),
    ) {
        let mut world = World::new(seed);
        for n in 0..3 {
            world.open(subject(n, n));
        }
        let mut told: BTreeMap<(u64, SubjectId), u32> = BTreeMap::new();
        let mut next = 0;
        let mut roots = Vec::new();
        for (at, (n, minute, closes)) in (0_u8..).zip(acts) {
            let who = subject(n, n);
            let period = log(&mut world, who, at, minute * MINUTE);
            *told.entry((period, who)).or_default() += 1;
            if closes {
                roots.push(close(&mut world, next).map.root());
                next += 1;
            }
        }
        for _ in 0..7 {
            roots.push(close(&mut world, next).map.root());
            next += 1;
        }
        let vault = world.reopened();
        for (period, root) in (0..).zip(&roots) {
            for n in 0..3 {
                let who = subject(n, n);
                let proof = run(vault.period_proof(&who, period)).unwrap().unwrap();
                let value = proof.lookup.verify(&proof.key, root).unwrap();
                let count = value.map_or(0, |value| value.count);
                let expect = told.remove(&(period, who)).unwrap_or(0);
                prop_assert_eq!(count, expect);
                prop_assert_eq!(proof.disclosures.len(), usize::try_from(expect).unwrap());
            }
        }
        prop_assert_eq!(told.into_keys().filter(|(period, _)| *period < next).count(), 0);
    }
}

#[test]
fn what_counting_took_is_charged_once_and_outlives_the_records() {
    let mut world = World::new(8);
    let (alice, bob) = (subject(1, 1), subject(2, 2));
    world.open(alice);
    world.open(bob);
    let vault = world.vault.clone();
    let mut rng = world.rng.clone();
    let spent = b"a tenth".to_vec();
    let account = |subject| run(vault.research_account(&subject)).unwrap();
    let logs = |n| {
        [
            refusal(alice, disclosure_id(n), 7),
            refusal(bob, disclosure_id(n), 7),
        ]
    };
    let first = (None, spent.clone());
    let charges = BTreeMap::from([(alice, first.clone()), (bob, first.clone())]);
    run(vault.research_charge(&logs(1), &charges, &mut rng)).unwrap();
    assert_eq!(
        [account(alice), account(bob)],
        [Some(spent.clone()), Some(spent.clone())]
    );
    // From what is no more: nobody is charged, and nothing logged.
    let more = (Some(spent.clone()), b"a fifth".to_vec());
    let stale = BTreeMap::from([(alice, more), (bob, first)]);
    let refused = run(vault.research_charge(&logs(2), &stale, &mut rng));
    assert!(matches!(refused, Err(Error::Conflict(Conflict::Done(_)))));
    assert_eq!(
        [account(alice), account(bob)],
        [Some(spent.clone()), Some(spent.clone())]
    );
    assert!(run(vault.disclosure(&alice, &disclosure_id(2))).is_err());
    assert!(run(vault.disclosure(&bob, &disclosure_id(1))).is_ok());

    let held = ReleaseHeld {
        study: codec::StudyId::new([3; 16]),
        number: 0,
        institution: CUSTODIAN,
        at: ms(9),
        group: 4,
        risk_ppm: 45_000,
        certificate: codec::Digest::new([9; 32]),
        disclosure: disclosure_id(1),
    };
    let release = disclosure_id(7);
    let put = |subject, used| ReleasePut {
        subject,
        release,
        held: &held,
        used,
    };
    let puts = [put(alice, b"hers".as_slice()), put(bob, b"his")];
    run(vault.research_released(&puts, &mut rng)).unwrap();
    // Made anew: what it was made of before counts no more.
    run(vault.research_released(&[put(alice, b"again")], &mut rng)).unwrap();
    let used = run(vault.research_used(&alice, &release)).unwrap();
    assert_eq!(used.unwrap().as_slice(), b"again");
    let list = |after: Option<&_>, limit| run(vault.research_used_list(after, limit)).unwrap();
    let mut both = [(alice, release), (bob, release)];
    both.sort_unstable();
    assert_eq!(list(None, 9), both);
    assert_eq!(list(None, 1), both[..1]);
    assert_eq!(list(Some(&both[0]), 9), both[1..]);
    let long = vec![0; RELEASED_MAX_BYTES + 1];
    let refused = run(vault.research_released(&[put(bob, &long)], &mut rng));
    assert!(matches!(refused, Err(Error::Invalid { .. })));
    run(vault.research_unreleased(&[bob], &release)).unwrap();
    assert_eq!(run(vault.research_held(&bob)).unwrap(), []);
    assert_eq!(run(vault.research_used(&bob, &release)).unwrap(), None);
    run(vault.erase(&alice, ms(10), &mut rng)).unwrap();
    let vault = world.reopened();
    let found = run(vault.research_held(&alice)).unwrap();
    assert_eq!(found, [(disclosure_id(7), held)]);
    assert_eq!(account(alice), Some(spent));
    let gone = run(vault.research_used(&alice, &release));
    assert!(matches!(gone, Err(Error::SubjectErased)));
    assert_eq!(run(vault.research_used_list(None, 9)).unwrap(), []);
}
