//! Padded trees of records and of disclosure periods.

use crate::support::{Seeded, digest};
use ledger::batch::{Lookup, PeriodMap, PeriodValue, RecordTree};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn value(n: u64) -> PeriodValue {
    PeriodValue {
        root: digest(n + 500_000),
        count: 3,
    }
}

#[test]
fn padding_is_a_power_of_two() {
    for (count, leaves) in [(0, 64), (1, 64), (64, 64), (65, 128), (129, 256)] {
        let commitments: Vec<_> = (0..count).map(digest).collect();
        let tree = RecordTree::build(&commitments, &mut Seeded::new(1));
        assert_eq!(tree.leaves().len(), leaves);
    }
    for (count, leaves) in [(0, 256), (254, 256), (255, 512)] {
        let values: BTreeMap<_, _> = (0..count).map(|n| (digest(n), value(n))).collect();
        let map = PeriodMap::build(&values, &mut Seeded::new(1));
        assert_eq!(map.leaves().len(), leaves);
    }
}

#[test]
fn padding_depends_on_the_randomness_alone() {
    let root = |seed| RecordTree::build(&[digest(1)], &mut Seeded::new(seed)).root();
    assert_eq!(root(1), root(1));
    assert_ne!(root(1), root(2));
    let empty = |seed| PeriodMap::build(&BTreeMap::new(), &mut Seeded::new(seed)).root();
    assert_eq!(empty(1), empty(1));
    assert_ne!(empty(1), empty(2));
    // A broken source of randomness still ends.
    RecordTree::build(&[], &mut |out: &mut [u8]| out.fill(0));
    PeriodMap::build(&BTreeMap::new(), &mut |out: &mut [u8]| out.fill(0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn every_commitment_has_a_path(count in 1_u64..200, seed in any::<u64>()) {
        let commitments: Vec<_> = (0..count).map(digest).collect();
        let tree = RecordTree::build(&commitments, &mut Seeded::new(seed));
        let root = tree.root();
        let kept = RecordTree::from_leaves(tree.leaves().to_vec()).unwrap();
        prop_assert_eq!(kept.root(), root);
        for commitment in commitments.iter().step_by(17) {
            let path = kept.path(commitment).unwrap();
            prop_assert!(path.verify(commitment, &root));
            prop_assert!(!path.verify(&digest(count + 1), &root));
            prop_assert!(!path.verify(commitment, &digest(0)));
            let mut moved = path.clone();
            moved.index ^= 1;
            prop_assert!(!moved.verify(commitment, &root));
            moved.index = path.index + (1 << path.path.len());
            prop_assert!(!moved.verify(commitment, &root));
            let mut longer = path.clone();
            longer.path.push(digest(3));
            prop_assert!(!longer.verify(commitment, &root));
        }
        prop_assert_eq!(tree.path(&digest(count + 1)), None);
    }

    #[test]
    fn a_map_proves_presence_and_absence(count in 0_u64..300, seed in any::<u64>()) {
        let values: BTreeMap<_, _> = (0..count).map(|n| (digest(n), value(n))).collect();
        let map = PeriodMap::build(&values, &mut Seeded::new(seed));
        let root = map.root();
        let kept = PeriodMap::from_leaves(map.leaves().to_vec()).unwrap();
        prop_assert_eq!(kept.root(), root);
        for (key, value) in values.iter().step_by(29) {
            let lookup = kept.lookup(key).unwrap();
            prop_assert_eq!(lookup.verify(key, &root), Some(Some(*value)));
            prop_assert_eq!(lookup.verify(&digest(count), &root), None);
            let Lookup::Present((index, mut value, path)) = lookup else {
                panic!("the key is there");
            };
            value.count += 1;
            prop_assert_eq!(Lookup::Present((index, value, path)).verify(key, &root), None);
        }
        for n in count..count + 8 {
            let key = digest(n);
            let lookup = kept.lookup(&key).unwrap();
            prop_assert_eq!(lookup.verify(&key, &root), Some(None));
            for present in values.keys().take(3) {
                prop_assert_eq!(lookup.verify(present, &root), None);
            }
        }
    }
}

#[test]
fn absence_needs_neighbours() {
    let values: BTreeMap<_, _> = (0..3).map(|n| (digest(n), value(n))).collect();
    let map = PeriodMap::build(&values, &mut Seeded::new(1));
    let root = map.root();
    // The leaves around a leaf that is there are not side by side.
    let key = *values.keys().next().unwrap();
    let at = map
        .leaves()
        .iter()
        .position(|leaf| leaf.key == key)
        .unwrap();
    let proof_of = |index: usize| match map.lookup(&map.leaves()[index].key) {
        Some(Lookup::Present((_, value, path))) => (value, path),
        other => panic!("{other:?}"),
    };
    let neighbour = |index: usize| {
        let (value, path) = proof_of(index);
        ledger::batch::Neighbour {
            key: map.leaves()[index].key,
            value_hash: value.hash(),
            path,
        }
    };
    let index = |n: usize| u64::try_from(n).unwrap();
    let (before, after) = (neighbour(at - 1), neighbour(at + 1));
    for claimed in [at - 1, at] {
        let lie = Lookup::Absent((index(claimed), before.clone(), after.clone()));
        assert_eq!(lie.verify(&key, &root), None);
    }
    // The same neighbours prove absence only of what lies between two of them.
    let honest = Lookup::Absent((index(at - 1), before, neighbour(at)));
    assert_eq!(honest.verify(&key, &root), None);
    assert_eq!(honest.verify(&map.leaves()[at - 1].key, &root), None);
}

#[test]
fn leaves_out_of_order_are_no_tree() {
    let tree = RecordTree::build(&[digest(1)], &mut Seeded::new(1));
    let mut leaves = tree.leaves().to_vec();
    leaves.swap(0, 1);
    assert_eq!(RecordTree::from_leaves(leaves), None);
    assert_eq!(RecordTree::from_leaves(tree.leaves()[..32].to_vec()), None);
    let map = PeriodMap::build(&BTreeMap::new(), &mut Seeded::new(1));
    let mut leaves = map.leaves().to_vec();
    leaves.swap(3, 4);
    assert_eq!(PeriodMap::from_leaves(leaves), None);
    assert_eq!(PeriodMap::from_leaves(map.leaves()[1..129].to_vec()), None);
}
