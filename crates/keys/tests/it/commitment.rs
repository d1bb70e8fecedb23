//! Record commitments.

use codec::{Category, Digest};
use keys::commitment::{Label, Leaf, leaf_hash, path, root, verify_path};

fn leaf(label: Label) -> Leaf<'static> {
    Leaf {
        label,
        rule_version: 3,
        salt: &[9; 32],
        bytes: b"content",
    }
}

fn leaves() -> Vec<Digest> {
    let projections = Category::ALL.iter().map(|c| Label::Projection(*c));
    std::iter::once(Label::Stored)
        .chain(projections)
        .map(|label| leaf_hash(&leaf(label)))
        .collect()
}

#[test]
fn golden_bytes() {
    let genomic = leaf(Label::Projection(Category::Genomic));
    assert_eq!(
        leaf_hash(&genomic).to_string(),
        "17bd597fb8b4e363908543c2d25143f7680164499053ada1fe1f05aa953cfd3b"
    );
    assert_eq!(
        root(&leaves()).to_string(),
        "59c9a811d68d023c7a69f1d2bdf79a35c3c7aead06c940d48d2bcb866dc38f54"
    );
    assert_eq!(root(&leaves()[..1]), leaves()[0]);
}

#[test]
fn leaves_bind_every_part() {
    let base = leaf(Label::Stored);
    let others = [
        Leaf {
            label: Label::Projection(Category::Identity),
            ..base
        },
        Leaf {
            rule_version: 4,
            ..base
        },
        Leaf {
            salt: &[8; 32],
            ..base
        },
        Leaf {
            bytes: b"contenT",
            ..base
        },
        Leaf { bytes: b"", ..base },
    ];
    for other in others {
        assert_ne!(leaf_hash(&other), leaf_hash(&base));
    }
}

#[test]
fn paths_lead_to_the_root() {
    let all = leaves();
    for count in 1..=all.len() {
        let leaves = &all[..count];
        let root = root(leaves);
        for index in 0..count {
            let path = path(leaves, index).unwrap();
            assert!(verify_path(&leaves[index], index, count, &path, &root));
            for other in (0..count).filter(|other| *other != index) {
                assert!(!verify_path(&leaves[other], index, count, &path, &root));
                assert!(!verify_path(&leaves[index], other, count, &path, &root));
            }
        }
        assert_eq!(path(leaves, count), None);
    }
    // A node is no leaf, and the log's hash is not this one's.
    assert_ne!(root(&all), keys::merkle::root(&all));
}

#[test]
fn labels_encode_as_codes() {
    assert_eq!(codec::to_vec(&Label::Stored), [0]);
    for category in Category::ALL {
        let label = Label::Projection(*category);
        let encoded = codec::to_vec(&label);
        assert_eq!(codec::from_slice::<Label>(&encoded).unwrap(), label);
        assert_eq!(encoded, codec::to_vec(category));
    }
    assert!(codec::from_slice::<Label>(&[7]).is_err());
}
