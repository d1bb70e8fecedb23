//! Names and bytes of the resources that C2SP tlog-tiles serves: tiles and entry bundles.

use super::tiles::TILE_WIDTH;
use codec::Digest;
use std::fmt::Write as _;

/// Path of a tile with this many hashes: `tile/0/x001/x234/067`, or `….p/8` for a partial one.
pub fn tile_path(level: u8, index: u64, width: usize) -> String {
    numbered(format!("tile/{level}/"), index, width)
}

/// Path of the bundle of the leaves under a level-0 tile with this many hashes.
pub fn bundle_path(index: u64, width: usize) -> String {
    numbered("tile/entries/".to_owned(), index, width)
}

/// Bytes of a tile: its hashes one after another.
pub fn tile_bytes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// Bytes of a bundle: each leaf after its length in two big-endian bytes; none if a leaf is longer
/// than that, which entries and headers never are.
pub fn bundle_bytes<'a>(leaves: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut bundle = Vec::new();
    for leaf in leaves {
        bundle.extend_from_slice(&u16::try_from(leaf.len()).ok()?.to_be_bytes());
        bundle.extend_from_slice(leaf);
    }
    Some(bundle)
}

fn numbered(mut path: String, index: u64, width: usize) -> String {
    let digits = format!("{index:03}");
    let padded = format!(
        "{digits:0>width$}",
        width = digits.len().next_multiple_of(3)
    );
    let groups = padded.len() / 3;
    for (number, group) in padded.as_bytes().chunks(3).enumerate() {
        if number + 1 < groups {
            path.push('x');
        }
        path.extend(group.iter().copied().map(char::from));
        if number + 1 < groups {
            path.push('/');
        }
    }
    if width < TILE_WIDTH {
        // Writing to a string does not fail.
        let _ = write!(path, ".p/{width}");
    }
    path
}

/// Position and width of what a path like `x001/x234/067` or `067.p/8` names; none if [`tile_path`]
/// never ends like that.
pub fn parse_index(text: &str) -> Option<(u64, usize)> {
    let (number, width) = match text.split_once(".p/") {
        Some((number, width)) => (number, width.parse().ok()?),
        None => (text, TILE_WIDTH),
    };
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let index = digits.parse().ok()?;
    let written =
        (1..=TILE_WIDTH).contains(&width) && numbered(String::new(), index, width) == text;
    written.then_some((index, width))
}
