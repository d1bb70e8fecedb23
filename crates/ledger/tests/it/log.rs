//! The log: against a naive RFC 6962, against published vectors, and checkpoint texts.

use crate::support::digest;
use codec::{Digest, NetworkId};
use ledger::log::{
    Checkpoint, Frontier, MissingTile, Tiles, consistency_proof, inclusion_proof,
    verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// RFC 6962 section 2.1, word for word.
fn naive_root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => keys::sha256(&[b""]),
        [leaf] => *leaf,
        _ => {
            let mut k = 1;
            while k * 2 < leaves.len() {
                k *= 2;
            }
            let (left, right) = (naive_root(&leaves[..k]), naive_root(&leaves[k..]));
            keys::sha256(&[&[1], left.as_bytes(), right.as_bytes()])
        }
    }
}

/// RFC 6962 section 2.1.1.
fn naive_path(index: usize, leaves: &[Digest]) -> Vec<Digest> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let mut k = 1;
    while k * 2 < leaves.len() {
        k *= 2;
    }
    let (mut path, beside) = if index < k {
        (naive_path(index, &leaves[..k]), &leaves[k..])
    } else {
        (naive_path(index - k, &leaves[k..]), &leaves[..k])
    };
    path.push(naive_root(beside));
    path
}

#[derive(Default)]
struct Store(BTreeMap<(u8, u64), Vec<Digest>>);

impl Store {
    fn append(&mut self, tiles: &mut Tiles, leaves: &[Digest]) {
        for update in tiles.append(leaves.iter().copied()) {
            let old = self.0.get(&(update.level, update.index));
            // A tile only grows.
            assert!(old.is_none_or(|old| update.hashes.starts_with(old)));
            assert!((1..=256).contains(&update.hashes.len()));
            self.0.insert((update.level, update.index), update.hashes);
        }
    }

    fn read(&self, level: u8, index: u64) -> Option<Vec<Digest>> {
        self.0.get(&(level, index)).cloned()
    }
}

fn leaves(count: u64) -> Vec<Digest> {
    (0..count).map(digest).collect()
}

fn check_log(size: usize, chunk: usize, probes: &[usize]) {
    let leaves = leaves(size as u64);
    let (mut tiles, mut store, mut frontier) = (Tiles::new(), Store::default(), Frontier::new());
    for part in leaves.chunks(chunk) {
        store.append(&mut tiles, part);
        for leaf in part {
            frontier.append(*leaf);
        }
        assert_eq!(tiles.frontier(), frontier);
    }
    let root = naive_root(&leaves);
    assert_eq!(frontier.root(), root);
    assert_eq!(frontier.size(), size as u64);
    let read = |level, index| store.read(level, index);
    assert_eq!(Tiles::load(size as u64, &read).unwrap(), tiles);
    for probe in probes {
        let index = probe % size;
        let path = inclusion_proof(index as u64, size as u64, &read).unwrap();
        assert_eq!(path, naive_path(index, &leaves));
        let leaf = leaves[index];
        assert!(verify_inclusion(
            &leaf,
            index as u64,
            size as u64,
            &path,
            &root
        ));
        let old = index + 1;
        let path = consistency_proof(old as u64, size as u64, &read).unwrap();
        let old_root = naive_root(&leaves[..old]);
        assert!(verify_consistency(
            old as u64,
            size as u64,
            &path,
            &old_root,
            &root
        ));
        if old < size {
            assert!(!verify_consistency(
                old as u64,
                size as u64,
                &path,
                &digest(9),
                &root
            ));
        }
        // An older, smaller log can still be proved from the newer tiles.
        let path = inclusion_proof(index as u64, old as u64, &read).unwrap();
        assert!(verify_inclusion(
            &leaf,
            index as u64,
            old as u64,
            &path,
            &old_root
        ));
    }
}

#[test]
fn small_logs_match_the_naive_tree() {
    for size in 1..=70 {
        let probes: Vec<_> = (0..size).collect();
        check_log(size, 7, &probes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn logs_match_the_naive_tree(
        size in 1_usize..2_000,
        chunk in 1_usize..600,
        probes in prop::collection::vec(any::<usize>(), 3),
    ) {
        check_log(size, chunk, &probes);
    }
}

#[test]
fn three_levels_of_tiles() {
    check_log(65_536, 65_536, &[0, 65_535]);
    check_log(66_000, 30_000, &[1, 65_535, 65_536, 65_999, 40_000]);
}

#[test]
fn a_missing_or_short_tile_is_named() {
    let (mut tiles, mut store) = (Tiles::new(), Store::default());
    store.append(&mut tiles, &leaves(600));
    store.0.get_mut(&(0, 2)).unwrap().truncate(10);
    let read = |level, index| store.read(level, index);
    let missing = MissingTile { level: 0, index: 2 };
    assert_eq!(inclusion_proof(599, 600, &read), Err(missing));
    assert_eq!(Tiles::load(600, &read), Err(missing));
    assert_eq!(inclusion_proof(600, 600, &read), Err(missing));
    assert!(inclusion_proof(100, 512, &read).is_ok());
}

#[test]
fn a_frontier_survives_its_encoding() {
    let mut frontier = Frontier::new();
    for leaf in leaves(37) {
        frontier.append(leaf);
        let bytes = codec::to_vec(&frontier);
        assert_eq!(codec::from_slice::<Frontier>(&bytes).unwrap(), frontier);
    }
    let wrong = codec::to_vec(&(38_u64, leaves(2)));
    assert!(codec::from_slice::<Frontier>(&wrong).is_err());
}

#[test]
fn vectors_of_transparency_dev() {
    let packed = include_bytes!("../../testdata/merkle.jsonl.zst");
    let text = String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
    let (mut good, mut bad) = (0, 0);
    for line in text.lines() {
        let vector: serde_json::Value = serde_json::from_str(line).unwrap();
        let case = &vector["case"];
        let holds = match vector["kind"].as_str().unwrap() {
            "inclusion" => inclusion_holds(case),
            _ => consistency_holds(case),
        };
        let expected = !case["wantErr"].as_bool().unwrap();
        // The library refuses as useless a proof from the empty log, which is a prefix of all.
        let name = vector["name"].as_str().unwrap();
        if name == "consistency/additional/size1-is-zero-and-size2-is-not-zero.json" {
            assert!(holds && !expected);
        } else {
            assert_eq!(holds, expected, "{name}");
        }
        if holds { good += 1 } else { bad += 1 }
    }
    assert!(good >= 10 && bad >= 150, "{good} good, {bad} bad");
}

fn inclusion_holds(case: &serde_json::Value) -> bool {
    let (Some(leaf), Some(root), Some(path)) = (
        base64(&case["leafHash"]),
        base64(&case["root"]),
        base64_all(&case["proof"]),
    ) else {
        return false;
    };
    let (index, size) = (case["leafIdx"].as_u64(), case["treeSize"].as_u64());
    verify_inclusion(&leaf, index.unwrap(), size.unwrap(), &path, &root)
}

fn consistency_holds(case: &serde_json::Value) -> bool {
    let (Some(old), Some(new), Some(path)) = (
        base64(&case["root1"]),
        base64(&case["root2"]),
        base64_all(&case["proof"]),
    ) else {
        return false;
    };
    let sizes = (case["size1"].as_u64(), case["size2"].as_u64());
    verify_consistency(sizes.0.unwrap(), sizes.1.unwrap(), &path, &old, &new)
}

fn base64_all(value: &serde_json::Value) -> Option<Vec<Digest>> {
    match value.as_array() {
        Some(items) => items.iter().map(base64).collect(),
        None => Some(Vec::new()),
    }
}

/// A digest in base64. Some cases use roots of other lengths, for which another digest stands;
/// nothing stands for an empty one.
fn base64(value: &serde_json::Value) -> Option<Digest> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = value.as_str().unwrap_or_default().trim_end_matches('=');
    let mut bits = Vec::new();
    for letter in text.chars() {
        let value = ALPHABET.find(letter)?;
        bits.extend((0..6).rev().map(|bit| value >> bit & 1 == 1));
    }
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    let bytes: Vec<u8> = bits.chunks_exact(8).map(byte).collect();
    if bytes.is_empty() {
        return None;
    }
    Some(Digest::try_from(bytes.as_slice()).unwrap_or_else(|_| keys::sha256(&[b"short", &bytes])))
}

#[test]
fn checkpoints_have_one_text() {
    let network = NetworkId::new([0xab; 32]);
    let checkpoint = Checkpoint::new(&network, 20_852_163, digest(1));
    let text = checkpoint.to_string();
    assert_eq!(text.lines().count(), 3);
    assert!(text.starts_with(&format!("ithaca/{network}\n20852163\n")));
    assert_eq!(Checkpoint::parse(&text).unwrap(), checkpoint);
    for wrong in [
        text.trim_end().to_owned(),
        format!("{text}extension\n"),
        format!("{text}\n"),
        text.replace("20852163", "020852163"),
        text.replace("20852163", "+20852163"),
        text.replace("ithaca/", "other/"),
        text.replace('\n', "\r\n"),
        text.to_uppercase(),
    ] {
        assert!(Checkpoint::parse(&wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn base64_is_that_of_rfc_4648() {
    let network = NetworkId::new([0; 32]);
    let root = Digest::new(keys::sha256(&[]).into_bytes());
    let text = Checkpoint::new(&network, 0, root).to_string();
    assert_eq!(
        text.lines().last(),
        Some("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
    );
}

#[test]
fn resources_are_named_as_in_tlog_tiles() {
    use ledger::log::paths::{bundle_bytes, bundle_path, parse_index, tile_bytes, tile_path};
    for (index, width, path) in [
        (0, 256, "tile/0/000"),
        (5, 1, "tile/0/005.p/1"),
        (999, 256, "tile/0/999"),
        (1_000, 255, "tile/0/x001/000.p/255"),
        (1_234_067, 256, "tile/0/x001/x234/067"),
    ] {
        assert_eq!(tile_path(0, index, width), path);
        let end = path.strip_prefix("tile/0/").unwrap();
        assert_eq!(parse_index(end), Some((index, width)));
    }
    for wrong in [
        "",
        "0",
        "00",
        "0000",
        "x000/001",
        "001/002",
        "x001",
        "001.p/0",
        "001.p/256",
        "001.p/08",
        "001.p/",
        "x1/000",
        "+01",
        "a00",
        "x001/x234/067/",
        "/001",
        "99999999999999999999",
    ] {
        assert_eq!(parse_index(wrong), None, "{wrong}");
    }
    assert_eq!(tile_path(3, 12, 256), "tile/3/012");
    assert_eq!(bundle_path(1_234_067, 8), "tile/entries/x001/x234/067.p/8");
    let hashes = leaves(3);
    assert_eq!(tile_bytes(&hashes).len(), 96);
    assert_eq!(&tile_bytes(&hashes)[32..64], hashes[1].as_bytes());
    let bundle = bundle_bytes([b"ab".as_slice(), b"", &[7; 300]]).unwrap();
    assert_eq!(bundle[..8], [0, 2, b'a', b'b', 0, 0, 1, 44]);
    assert_eq!(bundle.len(), 308);
    assert_eq!(bundle_bytes([[0; 65_536].as_slice()]), None);
}
