//! RFC 6962 trees: published proofs, and every proof of small trees.

use crate::vectors::{Hex, load};
use codec::Digest;
use keys::merkle::{
    consistency_path, consistency_ranges, empty_root, inclusion_path, inclusion_ranges, leaf_hash,
    node_hash, root, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    inclusion: Vec<Inclusion>,
    consistency: Vec<Consistency>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inclusion {
    file: String,
    leaf_idx: u64,
    tree_size: u64,
    root: Hex,
    leaf_hash: Hex,
    proof: Vec<Hex>,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consistency {
    file: String,
    size1: u64,
    size2: u64,
    root1: Hex,
    root2: Hex,
    proof: Vec<Hex>,
    want_err: bool,
}

fn digest(hex: &Hex) -> Option<Digest> {
    Digest::try_from(hex.0.as_slice()).ok()
}

fn digests(hex: &[Hex]) -> Option<Vec<Digest>> {
    hex.iter().map(digest).collect()
}

fn leaves(count: u64) -> Vec<Digest> {
    (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

#[test]
fn published_inclusion_proofs() {
    let vectors: Vectors = load(include_bytes!("../../testdata/merkle.json.zst"));
    let mut accepted = 0;
    for case in &vectors.inclusion {
        let verified = (|| {
            let (leaf, root) = (digest(&case.leaf_hash)?, digest(&case.root)?);
            let path = digests(&case.proof)?;
            Some(verify_inclusion(
                &leaf,
                case.leaf_idx,
                case.tree_size,
                &path,
                &root,
            ))
        })();
        assert_eq!(verified == Some(true), !case.want_err, "{}", case.file);
        accepted += u32::from(!case.want_err);
    }
    assert_eq!((accepted, vectors.inclusion.len()), (6, 98));
}

/// Equal placeholders that are not digests stand for equal roots: no digest here can be one.
const PLACEHOLDER_ROOTS: &str =
    "consistency/additional/sizes-are-equal-one-and-proof-is-empty.json";

#[test]
fn published_consistency_proofs() {
    let vectors: Vectors = load(include_bytes!("../../testdata/merkle.json.zst"));
    let mut accepted = 0;
    for case in &vectors.consistency {
        let verified = (|| {
            let (old, new) = (digest(&case.root1)?, digest(&case.root2)?);
            let path = digests(&case.proof)?;
            Some(verify_consistency(
                case.size1, case.size2, &path, &old, &new,
            ))
        })();
        let expect = !case.want_err && case.file != PLACEHOLDER_ROOTS;
        assert_eq!(verified == Some(true), expect, "{}", case.file);
        accepted += u32::from(expect);
    }
    assert_eq!((accepted, vectors.consistency.len()), (5, 98));
}

/// The tree of Certificate Transparency's reference code, sizes 0 to 8.
#[test]
fn reference_roots() {
    let inputs: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let expect = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let leaves: Vec<_> = inputs.iter().map(|input| leaf_hash(input)).collect();
    for (size, expect) in expect.iter().enumerate() {
        assert_eq!(root(&leaves[..size]).to_string(), *expect);
    }
    assert_eq!(empty_root().to_string(), expect[0]);
    assert_eq!(root(&leaves[..2]), node_hash(&leaves[0], &leaves[1]));
}

#[test]
fn every_inclusion_proof_of_small_trees() {
    for size in 0..=33 {
        let leaves = leaves(size);
        let root = root(&leaves);
        for index in 0..size {
            let path = inclusion_path(&leaves, index).unwrap();
            let leaf = leaves[usize::try_from(index).unwrap()];
            assert!(verify_inclusion(&leaf, index, size, &path, &root));
            for other in (0..size).filter(|other| *other != index) {
                assert!(!verify_inclusion(&leaf, other, size, &path, &root));
            }
            let longer = [&path[..], &[leaf]].concat();
            assert!(!verify_inclusion(&leaf, index, size, &longer, &root));
            if !path.is_empty() {
                let shorter = &path[..path.len() - 1];
                assert!(!verify_inclusion(&leaf, index, size, shorter, &root));
            }
        }
        assert_eq!(inclusion_path(&leaves, size), None);
    }
}

#[test]
fn every_consistency_proof_of_small_trees() {
    for new in 0..=33 {
        let leaves = leaves(new);
        let new_root = root(&leaves);
        for old in 0..=new {
            let old_root = root(&leaves[..usize::try_from(old).unwrap()]);
            let path = consistency_path(&leaves, old).unwrap();
            assert!(verify_consistency(old, new, &path, &old_root, &new_root));
            let forged = leaf_hash(b"forged");
            assert!(!verify_consistency(old, new, &path, &forged, &new_root));
            let longer = [&path[..], &[forged]].concat();
            assert!(!verify_consistency(old, new, &longer, &old_root, &new_root));
            if old > 0 && old < new {
                assert!(!verify_consistency(old, new, &path, &old_root, &forged));
                assert!(!verify_consistency(old, new, &[], &old_root, &new_root));
                assert!(!verify_consistency(new, old, &path, &new_root, &old_root));
            }
        }
        assert_eq!(consistency_path(&leaves, new + 1), None);
    }
}

#[test]
fn huge_trees_do_not_overflow() {
    let leaf = leaf_hash(b"");
    for size in [1 << 63, u64::MAX] {
        let ranges = inclusion_ranges(size - 1, size).unwrap();
        let path = vec![leaf; ranges.len()];
        assert!(!verify_inclusion(&leaf, size - 1, size, &path, &leaf));
        assert!(ranges.iter().all(|range| range.end <= size));
        let ranges = consistency_ranges(size - 1, size).unwrap();
        let path = vec![leaf; ranges.len()];
        assert!(!verify_consistency(size - 1, size, &path, &leaf, &leaf));
        assert!(!verify_consistency(1, size, &[leaf; 200], &leaf, &leaf));
    }
    assert_eq!(inclusion_ranges(u64::MAX, u64::MAX), None);
    assert_eq!(consistency_ranges(u64::MAX, 1), None);
}

proptest! {
    #[test]
    fn random_proofs_prove_nothing(
        index in any::<u64>(),
        size in any::<u64>(),
        old in any::<u64>(),
        path in prop::collection::vec(any::<[u8; 32]>().prop_map(Digest::new), 0..70),
        shift in 0..64u32,
    ) {
        let (leaf, other) = (leaf_hash(b"leaf"), leaf_hash(b"other"));
        let (index, size, old) = (index >> shift, size >> shift, old >> shift);
        prop_assert!(!verify_inclusion(&leaf, index, size, &path, &other));
        if old > 0 && old != size {
            prop_assert!(!verify_consistency(old, size, &path, &leaf, &other));
        }
    }

    #[test]
    fn ranges_cover_the_rest(index in 0..5000u64, extra in 1..5000u64) {
        let size = index + extra;
        let ranges = inclusion_ranges(index, size).unwrap();
        let covered: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        prop_assert_eq!(covered, size - 1);
        let complete = |range: &std::ops::Range<u64>| {
            let len = range.end - range.start;
            range.end == size || (len.is_power_of_two() && range.start.is_multiple_of(len))
        };
        prop_assert!(ranges.iter().all(complete));
        prop_assert!(consistency_ranges(index, size).unwrap().iter().all(complete));
    }
}
