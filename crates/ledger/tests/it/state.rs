//! The tree, views and rows: any way of holding the state gives the same root.

use crate::support::{Chain, Seeded, digest, subject_id};
use codec::{Digest, StudyId};
use keys::Entropy;
use ledger::entry::StudyOpen;
use ledger::state::{BlockContext, LoadError, execute};
use ledger::{Entry, Executed, Rejection, SignedEntry, State, StateKey};
use proptest::prelude::*;
use std::sync::Arc;

const EMPTY: Digest = Digest::new(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__");

/// The root of a sparse Merkle tree in which a subtree of one leaf is that leaf.
fn naive_root(leaves: &[(Digest, Digest)], depth: usize) -> Digest {
    match leaves {
        [] => EMPTY,
        [(key, value)] => keys::sha256(&[b"JMT::LeafNode", key.as_bytes(), value.as_bytes()]),
        _ => {
            let bit = |key: &Digest| key.as_bytes()[depth / 8] >> (7 - depth % 8) & 1 == 1;
            let (right, left): (Vec<_>, Vec<_>) = leaves.iter().partition(|(key, _)| bit(key));
            let (left, right) = (naive_root(&left, depth + 1), naive_root(&right, depth + 1));
            keys::sha256(&[b"JMT::IntrnalNode", left.as_bytes(), right.as_bytes()])
        }
    }
}

fn naive_state_root(state: &State) -> Digest {
    let leaf = |row: ledger::state::Row| {
        let key: StateKey = codec::from_slice(&row.key).unwrap();
        (key.digest(), keys::sha256(&[&row.value.unwrap()]))
    };
    let leaves: Vec<_> = state.rows().into_iter().map(leaf).collect();
    naive_root(&leaves, 0)
}

/// Random entries of several kinds that all can follow, with short validities so that many expire.
fn entries(chain: &Chain, entropy: &mut Seeded, fresh: &mut u64) -> Vec<SignedEntry> {
    let mut byte = || entropy.array::<1>()[0];
    let count = byte() % 12;
    let mut entries = Vec::new();
    for _ in 0..count {
        *fresh += 1;
        let n = *fresh;
        let member = usize::from(byte() % 4);
        let entry = match byte() % 3 {
            0 => chain.record_batch(member, n),
            1 => chain.subject_open(member, n, true),
            _ => {
                let study = StudyOpen {
                    institution: chain.members[member].id,
                    study: StudyId::new(digest(n).into_bytes()[..16].try_into().unwrap()),
                    policy: digest(n),
                };
                chain.sign(member, &Entry::StudyOpen(study))
            }
        };
        let last_valid = chain.height() + 1 + u64::from(byte() % 4);
        let key = &chain.members[member].signing;
        entries.push(SignedEntry::sign(&chain.network, entry.entry(), last_valid, key).unwrap());
    }
    entries
}

#[test]
fn the_tree_is_that_of_its_rows_after_every_block() {
    let (mut chain, mut entropy, mut fresh) = (Chain::new(), Seeded::new(5), 0);
    for _ in 0..40 {
        let entries = entries(&chain, &mut entropy, &mut fresh);
        let header = chain.push(&entries);
        assert_eq!(header.state_root, naive_state_root(&chain.state));
        let reloaded = chain.reload().unwrap();
        assert_eq!(reloaded.view().tip(), chain.state.view().tip());
        assert_eq!(reloaded.rows(), chain.state.rows());
    }
    assert!(fresh > 100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Blocks are executed ahead, over chains of views of any length, beside rival blocks that are
    /// thrown away, and before and after a restart: every header's root is the same.
    #[test]
    fn roots_do_not_depend_on_how_the_state_is_held(
        seed in any::<u64>(),
        bursts in prop::collection::vec((1_usize..6, any::<bool>()), 1..6),
    ) {
        let (mut chain, mut entropy, mut fresh) = (Chain::new(), Seeded::new(seed), 0);
        let mut other = chain.reload().unwrap();
        for (ahead, restart) in bursts {
            let mut view = other.view();
            let mut pending = Vec::new();
            for _ in 0..ahead {
                let entries = entries(&chain, &mut entropy, &mut fresh);
                let header = chain.push(&entries);
                let context = BlockContext { height: header.height, time_ms: header.time_ms };
                let rival = execute(&view, &context, &[]).unwrap();
                let executed = Arc::new(execute(&view, &context, &entries).unwrap());
                prop_assert_eq!(executed.state_root(), header.state_root);
                prop_assert_eq!(executed.next_validators(), header.next_validators);
                prop_assert_eq!(entries.is_empty(), rival.state_root() == header.state_root);
                view = view.with(Arc::clone(&executed)).unwrap();
                pending.push(executed);
            }
            drop(view);
            for executed in pending {
                other.apply(executed).unwrap();
            }
            if restart {
                other = chain.reload().unwrap();
            }
            prop_assert_eq!(other.rows(), chain.state.rows());
        }
    }
}

#[test]
fn a_view_stays_as_it_was() {
    let mut chain = Chain::new();
    chain.push(&[chain.subject_open(0, 1, true)]);
    let old = chain.state.view();
    let custodian = chain.members[0].id;
    let at = StateKey::Subject((custodian, subject_id(1)));
    // More blocks than a state keeps apart from its base, while a view holds the base.
    for n in 2..90 {
        chain.push(&[chain.subject_open(0, n, true)]);
        assert_eq!(old.subject(&custodian, &subject_id(n)), None);
        let value = old.value(&at).unwrap();
        assert!(
            old.prove(&at)
                .verify(&old.tip().state_root, &at, Some(&value))
                .is_ok()
        );
    }
    let tip = chain.state.view();
    assert!(tip.subject(&custodian, &subject_id(89)).is_some());
    assert_eq!(tip.tip().state_root, naive_state_root(&chain.state));
    drop((old, tip));
    chain.push(&[]);
    assert_eq!(chain.reload().unwrap().rows(), chain.state.rows());
}

#[test]
fn only_the_next_block_applies() {
    let mut chain = Chain::new();
    let view = chain.state.view();
    let block = |time_ms, entries: &[SignedEntry]| -> Arc<Executed> {
        let context = BlockContext { height: 1, time_ms };
        Arc::new(execute(&view, &context, entries).unwrap())
    };
    let time_ms = view.tip().time_ms + 5;
    let (one, rival) = (
        block(time_ms, &[chain.record_batch(0, 1)]),
        block(time_ms, &[chain.record_batch(0, 2)]),
    );
    let after = view.with(Arc::clone(&one)).unwrap();
    assert!(after.with(Arc::clone(&rival)).is_err());
    chain.apply(Arc::clone(&one)).unwrap();
    assert!(chain.apply(one).is_err());
    assert!(chain.apply(rival).is_err());
    let late = BlockContext {
        height: 3,
        time_ms: time_ms + 1,
    };
    assert!(matches!(
        execute(&after, &late, &[]),
        Err(Rejection::Height {
            expected: 2,
            found: 3
        })
    ));
    let early = BlockContext { height: 2, time_ms };
    assert!(matches!(
        execute(&after, &early, &[]),
        Err(Rejection::Time { .. })
    ));
}

#[test]
fn rows_that_are_not_the_headers_are_refused() {
    let mut chain = Chain::new();
    chain.push(&[chain.record_batch(0, 1), chain.subject_open(1, 1, true)]);
    assert!(chain.reload().is_ok());
    let whole = chain.rows.clone();
    for key in whole.keys() {
        chain.rows = whole.clone();
        chain.rows.remove(key);
        assert!(matches!(chain.reload(), Err(LoadError::Root { .. })));
        chain.rows = whole.clone();
        let value = chain.rows.get_mut(key).unwrap();
        let last = value.len() - 1;
        value[last] ^= 1;
        assert!(chain.reload().is_err());
    }
    let rows: Vec<_> = whole.into_iter().collect();
    let twice = rows.iter().chain(&rows).cloned();
    assert!(matches!(
        State::load(chain.tip(), twice),
        Err(LoadError::Repeated)
    ));
    let junk = std::iter::once((vec![1], vec![2]));
    assert!(matches!(
        State::load(chain.tip(), junk),
        Err(LoadError::Row(_))
    ));
}

#[test]
fn proofs_of_presence_and_absence() {
    let (mut chain, mut entropy, mut fresh) = (Chain::new(), Seeded::new(8), 0);
    for _ in 0..20 {
        let entries = entries(&chain, &mut entropy, &mut fresh);
        chain.push(&entries);
    }
    let view = chain.state.view();
    let root = view.tip().state_root;
    let rows = chain.state.rows();
    let mut proofs = Vec::new();
    for row in &rows {
        let key: StateKey = codec::from_slice(&row.key).unwrap();
        let proof = view.prove(&key);
        assert!(proof.verify(&root, &key, row.value.as_deref()).is_ok());
        assert!(proof.verify(&root, &key, None).is_err());
        assert!(proof.verify(&root, &key, Some(b"other")).is_err());
        assert!(
            proof
                .verify(&digest(0), &key, row.value.as_deref())
                .is_err()
        );
        proofs.push((key, row.value.clone(), proof));
    }
    for n in 0..200 {
        let key = StateKey::Subject((chain.members[0].id, subject_id(1_000_000 + n)));
        let proof = view.prove(&key);
        assert!(proof.verify(&root, &key, None).is_ok());
        assert!(proof.verify(&root, &key, Some(b"value")).is_err());
        let (other, value, _) = &proofs[usize::try_from(n).unwrap() % proofs.len()];
        // The leaf in whose place the key would be is itself proved to be there.
        let is_leaf = proof.leaf.is_some_and(|(key, _)| key == other.digest());
        assert_eq!(
            proof.verify(&root, other, value.as_deref()).is_ok(),
            is_leaf
        );
        assert!(proof.verify(&root, other, None).is_err());
    }
    let (key, value, proof) = &proofs[7];
    for index in 0..proof.siblings.len() {
        let mut wrong = proof.clone();
        wrong.siblings[index] = digest(1);
        assert!(wrong.verify(&root, key, value.as_deref()).is_err());
        wrong.siblings.remove(index);
        assert!(wrong.verify(&root, key, value.as_deref()).is_err());
    }
}
