//! Laws that hold for every entry: once, here, in time, and all or nothing.

use crate::support::{Chain, START_MS, digest};
use codec::NetworkId;
use ledger::entry::{DisclosurePeriod, EntryError, RecordBatch};
use ledger::header::{Timing, block_time, timing};
use ledger::state::{BlockContext, admissible, execute, preverify, select};
use ledger::{Entry, Header, Refusal, Rejection, SignedEntry, block};
use proptest::prelude::*;

fn refusal(chain: &Chain, entry: &SignedEntry) -> Refusal {
    let view = chain.state.view();
    let refused = admissible(&view, entry).unwrap_err();
    let context = BlockContext {
        height: chain.height() + 1,
        time_ms: view.tip().time_ms + 1,
    };
    // A block is refused for the same reason.
    match execute(&view, &context, std::slice::from_ref(entry)) {
        Err(Rejection::Entry { index: 0, why }) => assert_eq!(why, refused),
        _ => panic!("the block was not refused for its entry"),
    }
    refused
}

fn batch(chain: &Chain, n: u64) -> Entry {
    Entry::RecordBatch(RecordBatch {
        custodian: chain.members[0].id,
        root: digest(n),
    })
}

#[test]
fn an_entry_counts_once_until_its_validity_passes() {
    let mut chain = Chain::new();
    let key = chain.members[0].signing.clone();
    let entry = SignedEntry::sign(&chain.network, &batch(&chain, 1), 6, &key).unwrap();
    // The same meaning, signed again for longer.
    let again = SignedEntry::sign(&chain.network, &batch(&chain, 1), 60, &key).unwrap();
    assert_ne!(entry.bytes(), again.bytes());
    let id = entry.entry_id();
    assert_eq!(id, again.entry_id());
    chain.push(std::slice::from_ref(&entry));
    let seen = chain.state.view().entry_seen(&id).unwrap();
    assert_eq!((seen.height, seen.last_valid), (1, 6));
    while chain.height() < 5 {
        let duplicate = Refusal::Duplicate { id, height: 1 };
        assert_eq!(refusal(&chain, &entry), duplicate);
        assert_eq!(refusal(&chain, &again), duplicate);
        chain.push(&[]);
    }
    chain.push(&[]);
    assert!(chain.state.view().entry_seen(&id).is_some());
    assert_eq!(
        refusal(&chain, &entry),
        Refusal::Expired {
            last_valid: 6,
            height: 7
        }
    );
    // At height 7 the id is dropped, not before.
    let rows = chain.rows.len();
    chain.push(&[]);
    assert!(chain.state.view().entry_seen(&id).is_none());
    assert_eq!(chain.rows.len(), rows - 1);
}

#[test]
fn twice_in_one_block_is_refused() {
    let chain = Chain::new();
    let view = chain.state.view();
    let entry = chain.record_batch(0, 1);
    let context = BlockContext {
        height: 1,
        time_ms: START_MS + 9,
    };
    let outcome = execute(&view, &context, &[entry.clone(), entry.clone()]);
    let why = Refusal::Duplicate {
        id: entry.entry_id(),
        height: 1,
    };
    assert_eq!(outcome.err(), Some(Rejection::Entry { index: 1, why }));
}

#[test]
fn another_network_is_refused() {
    let chain = Chain::new();
    let other = NetworkId::new([9; 32]);
    let key = &chain.members[0].signing;
    let entry = SignedEntry::sign(&other, &batch(&chain, 1), 10, key).unwrap();
    assert_eq!(refusal(&chain, &entry), Refusal::Network);
    let here = SignedEntry::sign(&chain.network, &batch(&chain, 1), 10, key).unwrap();
    assert_ne!(entry.entry_id(), here.entry_id());
}

#[test]
fn validity_is_bounded() {
    let chain = Chain::new();
    let sign = |last_valid| {
        let key = &chain.members[0].signing;
        SignedEntry::sign(&chain.network, &batch(&chain, 1), last_valid, key).unwrap()
    };
    let view = chain.state.view();
    assert!(admissible(&view, &sign(1)).is_ok());
    assert!(admissible(&view, &sign(10_001)).is_ok());
    let far = refusal(&chain, &sign(10_002));
    assert_eq!(
        far,
        Refusal::TooFarAhead {
            last_valid: 10_002,
            limit: 10_000
        }
    );
    assert!(far.may_pass());
    assert!(!refusal(&chain, &sign(0)).may_pass());
    assert!(matches!(
        refusal(&chain, &sign(u64::MAX)),
        Refusal::TooFarAhead { .. }
    ));
}

#[test]
fn only_the_custodian_speaks_for_itself() {
    let chain = Chain::new();
    let entry = batch(&chain, 1);
    let by_other = chain.sign(1, &entry);
    assert_eq!(refusal(&chain, &by_other), Refusal::NotEntitled);
    let stranger = crate::support::key("stranger", 1);
    let by_stranger = chain.sign_with(&stranger, &entry);
    assert_eq!(refusal(&chain, &by_stranger), Refusal::UnknownSigner);
}

#[test]
fn a_refused_block_changes_nothing() {
    let mut chain = Chain::new();
    chain.push(&[chain.record_batch(0, 1)]);
    let before = (
        chain.state.view().tip(),
        chain.rows.clone(),
        chain.log.clone(),
    );
    let entries = [
        chain.subject_open(0, 1, true),
        chain.record_batch(0, 2),
        chain.record_batch(0, 1),
    ];
    let refused = chain.push_at(START_MS + 9_000, &entries);
    assert!(matches!(refused, Err(Rejection::Entry { index: 2, .. })));
    let after = (
        chain.state.view().tip(),
        chain.rows.clone(),
        chain.log.clone(),
    );
    assert_eq!(before, after);
    // Nor do the entries before it count as seen.
    assert!(chain.push_at(START_MS + 9_000, &entries[..2]).is_ok());
}

#[test]
fn a_proposer_leaves_refused_entries_out() {
    let mut chain = Chain::new();
    chain.push(&[chain.record_batch(0, 1)]);
    let view = chain.state.view();
    let entries = [
        chain.record_batch(0, 2),
        chain.record_batch(0, 1),
        chain.subject_open(1, 1, true),
        chain.subject_open(1, 1, true),
        chain.record_batch(3, 3),
    ];
    let context = BlockContext {
        height: 2,
        time_ms: START_MS + 9_000,
    };
    let selection = select(&view, &context, &entries).unwrap();
    assert_eq!(selection.chosen, [0, 2, 4]);
    let refused: Vec<_> = selection.refused.iter().map(|(index, _)| *index).collect();
    assert_eq!(refused, [1, 3]);
    let chosen: Vec<_> = selection
        .chosen
        .iter()
        .map(|i| entries[*i].clone())
        .collect();
    let executed = execute(&view, &context, &chosen).unwrap();
    assert_eq!(executed.state_root(), selection.executed.state_root());
}

#[test]
fn signatures_are_checked_together() {
    let mut chain = Chain::new();
    chain.push(&[chain.subject_open(0, 1, true)]);
    let view = chain.state.view();
    let mut entries: Vec<_> = (10..20).map(|n| chain.record_batch(0, n)).collect();
    let forged = {
        let mut bytes = entries[6].bytes().to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        SignedEntry::decode(&bytes).unwrap()
    };
    entries[6] = forged;
    preverify(&view, &entries, &mut crate::support::Seeded::new(3));
    assert!(entries[..6].iter().all(SignedEntry::is_verified));
    assert!(!entries[6].is_verified());
    let context = BlockContext {
        height: 2,
        time_ms: START_MS + 9_000,
    };
    let why = Refusal::Signature(EntryError::Signature);
    let outcome = execute(&view, &context, &entries).err();
    assert_eq!(outcome, Some(Rejection::Entry { index: 6, why }));
}

#[test]
fn periods_are_contiguous_and_past() {
    let mut chain = Chain::new();
    let period = |chain: &Chain, member: usize, period: u64| {
        let entry = DisclosurePeriod {
            custodian: chain.members[member].id,
            period,
            root: digest(period),
        };
        chain.sign(member, &Entry::DisclosurePeriod(entry))
    };
    let now = START_MS / 60_000;
    // Fifteen minutes of skew and no more, also for a first period.
    let ahead = refusal(&chain, &period(&chain, 0, now + 16));
    assert_eq!(
        ahead,
        Refusal::PeriodAhead {
            current: now + 15,
            found: now + 16
        }
    );
    assert!(ahead.may_pass());
    chain.push(&[period(&chain, 0, now - 7)]);
    for found in [now - 7, now - 8, now - 5] {
        let entry = period(&chain, 0, found);
        if found != now - 7 {
            let gap = Refusal::Period {
                expected: now - 6,
                found,
            };
            assert_eq!(refusal(&chain, &entry), gap);
            assert_eq!(gap.may_pass(), found > now - 6);
        } else {
            assert!(matches!(refusal(&chain, &entry), Refusal::Duplicate { .. }));
        }
    }
    chain.push(&[period(&chain, 0, now - 6), period(&chain, 1, now)]);
    let view = chain.state.view();
    assert_eq!(
        view.last_period(&chain.members[0].id).unwrap().period,
        now - 6
    );
    assert_eq!(
        view.last_period(&chain.members[1].id).unwrap().root,
        digest(now)
    );
    assert_eq!(view.last_period(&chain.members[2].id), None);
}

#[test]
fn a_signature_holds_under_the_named_key_only() {
    let chain = Chain::new();
    let entry = chain.record_batch(0, 1);
    let (key, other) = (&chain.members[0].signing, &chain.members[1].signing);
    assert_eq!(entry.verify(&other.public()), Err(EntryError::Signer));
    assert!(!entry.is_verified());
    assert_eq!(entry.verify(&key.public()), Ok(()));
    assert!(entry.clone().is_verified());
    // What is remembered concerns that key alone.
    assert_eq!(entry.verify(&other.public()), Err(EntryError::Signer));
}

#[test]
fn a_block_needs_its_own_parent() {
    let mut chain = Chain::new();
    let old_log = chain.log.clone();
    chain.push(&[chain.record_batch(0, 1)]);
    let (parent, view) = (chain.tip().clone(), chain.state.view());
    let time_ms = parent.time_ms + 1;
    let extend = |parent: &Header, log| block::extend(parent, log, &view, time_ms, &[]).map(drop);
    assert_eq!(extend(&parent, &chain.log), Ok(()));
    assert_eq!(extend(&parent, &old_log), Err(Rejection::Parent));
    assert_eq!(extend(&chain.headers[0], &old_log), Err(Rejection::Parent));
    for change in [
        |h: &mut Header| h.network = NetworkId::new([1; 32]),
        |h: &mut Header| h.height += 1,
        |h: &mut Header| h.time_ms += 1,
        |h: &mut Header| h.state_root = digest(1),
        |h: &mut Header| h.log_size += 1,
    ] {
        let mut other = parent.clone();
        change(&mut other);
        assert_eq!(extend(&other, &chain.log), Err(Rejection::Parent));
    }
    // A block that was executed over an older state does not fit either.
    let context = BlockContext { height: 2, time_ms };
    let executed = execute(&view, &context, &[]).unwrap();
    chain.push(&[]);
    let view = chain.state.view();
    let sealed = block::seal(chain.tip(), &chain.log, &view, executed, &[]);
    assert_eq!(sealed.map(drop), Err(Rejection::Parent));
}

#[test]
fn headers_bind_what_they_say() {
    let mut chain = Chain::new();
    let entries = [chain.record_batch(0, 1), chain.record_batch(1, 2)];
    let header = chain.push(&entries);
    let leaves: Vec<_> = entries.iter().map(SignedEntry::leaf_hash).collect();
    assert_eq!(header.entries_root, keys::merkle::root(&leaves));
    assert_eq!(header.log_size, 3);
    assert!(header.follows(&chain.headers[0]));
    let mut log = block::genesis_log(&chain.headers[0]);
    leaves.iter().for_each(|leaf| log.append(*leaf));
    assert_eq!(header.log_root, log.root());
    log.append(ledger::log::leaf_hash(&header.leaf()));
    assert_eq!(log, chain.log);
    for change in [
        |h: &mut Header| h.height += 1,
        |h: &mut Header| h.parent = digest(1),
        |h: &mut Header| h.time_ms = START_MS,
        |h: &mut Header| h.log_size = 0,
        |h: &mut Header| h.network = NetworkId::new([1; 32]),
    ] {
        let mut other = header.clone();
        change(&mut other);
        assert!(!other.follows(&chain.headers[0]));
        assert_ne!(other.digest(), header.digest());
    }
}

#[test]
fn entries_have_a_limit() {
    let junk = vec![0; ledger::entry::ENTRY_MAX_BYTES + 1];
    let error = SignedEntry::decode(&junk).unwrap_err();
    assert_eq!(error, EntryError::TooLong { size_bytes: 65_536 });
    assert_eq!(
        SignedEntry::decode(&junk[1..]).unwrap_err(),
        EntryError::Envelope
    );
}

proptest! {
    #[test]
    fn block_time_is_later_and_never_rejected_for_being_early(
        parent in 0..u64::MAX / 2,
        clock in 0..u64::MAX / 2,
        ahead in 0..2_000_000_u64,
    ) {
        let time = block_time(parent, clock);
        prop_assert!(time > parent && time >= clock);
        prop_assert!(time == clock || time == parent + 1);
        prop_assert_eq!(timing(parent, parent, clock), Timing::Never);
        // What a proposer makes by any clock that is not ahead of the verifier's by too much is taken at once.
        prop_assert_eq!(timing(parent, time, clock), Timing::Now);
        let later = time + ahead;
        match timing(parent, later, clock) {
            Timing::Now => prop_assert!(later <= clock + 900_000 || later == parent + 1),
            Timing::Later { wait_ms } => {
                prop_assert_eq!(later - wait_ms, clock + 900_000);
                prop_assert_eq!(timing(parent, later, clock + wait_ms), Timing::Now);
            }
            Timing::Never => prop_assert!(false),
        }
    }
}
