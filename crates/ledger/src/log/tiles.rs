//! Log hashes in tiles, as in C2SP tlog-tiles: tile (L, N) holds up to 256 hashes, the roots of the
//! complete subtrees of height 8 L at positions 256 N and on. The rightmost tile of a level may be
//! partial. A tile's file is its hashes one after another.
//!
//! Storage belongs to the caller: [`Tiles::append`] says what to write, [`TileRead`] reads back.

use super::Frontier;
use codec::Digest;
use keys::merkle::{self, node_hash};
use std::ops::Range;

/// Hashes of a full tile.
pub const TILE_WIDTH: usize = 256;

const TILE_HEIGHT: u32 = 8;

/// Reads tiles: all hashes that were written of tile `index` at `level`.
pub trait TileRead {
    /// The tile, full or partial.
    fn tile(&self, level: u8, index: u64) -> Option<Vec<Digest>>;
}

impl<F: Fn(u8, u64) -> Option<Vec<Digest>>> TileRead for F {
    fn tile(&self, level: u8, index: u64) -> Option<Vec<Digest>> {
        self(level, index)
    }
}

/// A tile to write in place of what was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileUpdate {
    /// Level.
    pub level: u8,
    /// Position within the level.
    pub index: u64,
    /// Its hashes, at most [`TILE_WIDTH`]; those written before are the same.
    pub hashes: Vec<Digest>,
}

/// A tile that a proof needs is missing or too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tile {index} of level {level} is missing or too short")]
pub struct MissingTile {
    /// Level.
    pub level: u8,
    /// Position within the level.
    pub index: u64,
}

/// The partial tiles at the right edge of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiles {
    size: u64,
    /// By level; empty if the level's last tile is full.
    edge: Vec<Vec<Digest>>,
}

impl Tiles {
    /// The empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// The right edge of a stored log of this size.
    ///
    /// # Errors
    /// [`MissingTile`].
    pub fn load(size: u64, tiles: &impl TileRead) -> Result<Self, MissingTile> {
        let mut edge = Vec::new();
        let (mut level, mut count) = (0, size);
        while count > 0 {
            let width = partial_width(count);
            let index = count >> TILE_HEIGHT;
            let mut hashes = Vec::new();
            if width > 0 {
                let missing = MissingTile { level, index };
                hashes = tiles.tile(level, index).ok_or(missing)?;
                if hashes.len() < width {
                    return Err(missing);
                }
                hashes.truncate(width);
            }
            edge.push(hashes);
            (level, count) = (level + 1, count >> TILE_HEIGHT);
        }
        Ok(Self { size, edge })
    }

    /// Leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds leaf hashes. Returns the tiles to write: each that changed, whole.
    pub fn append(&mut self, leaves: impl IntoIterator<Item = Digest>) -> Vec<TileUpdate> {
        let mut full = Vec::new();
        let before = self.clone();
        for leaf in leaves {
            self.push(leaf, &mut full);
        }
        for (level, hashes) in (0..).zip(&self.edge) {
            if !hashes.is_empty() && before.edge.get(usize::from(level)) != Some(hashes) {
                full.push(TileUpdate {
                    level,
                    index: self.tile_index(level),
                    hashes: hashes.clone(),
                });
            }
        }
        full
    }

    /// The right edge of the tree.
    pub fn frontier(&self) -> Frontier {
        let mut roots = Vec::new();
        for hashes in self.edge.iter().rev() {
            let mut rest = hashes.as_slice();
            for height in (0..TILE_HEIGHT).rev() {
                let width = 1 << height;
                if hashes.len() & width != 0 {
                    let (subtree, after) = rest.split_at(width);
                    roots.push(merkle::root(subtree));
                    rest = after;
                }
            }
        }
        // INVARIANT: a level's edge has a hash for each of the size's next eight bits.
        Frontier::from_roots(self.size, roots).unwrap_or_default()
    }

    fn push(&mut self, leaf: Digest, full: &mut Vec<TileUpdate>) {
        let mut hash = leaf;
        for level in 0.. {
            let index = self.tile_index(level);
            let at = usize::from(level);
            if self.edge.len() <= at {
                self.edge.resize_with(at + 1, Vec::new);
            }
            let Some(edge) = self.edge.get_mut(at) else {
                break;
            };
            edge.push(hash);
            if edge.len() < TILE_WIDTH {
                break;
            }
            hash = merkle::root(edge);
            full.push(TileUpdate {
                level,
                index,
                hashes: std::mem::take(edge),
            });
        }
        self.size = self.size.saturating_add(1);
    }

    /// Position of a level's tile that the next hash of that level goes to.
    fn tile_index(&self, level: u8) -> u64 {
        let shift = TILE_HEIGHT * (u32::from(level) + 1);
        self.size.checked_shr(shift).unwrap_or(0)
    }
}

/// The path from leaf `index` to the root of the log's first `size` leaves.
///
/// # Errors
/// [`MissingTile`]; also for a leaf that is not among them.
pub fn inclusion_proof(
    index: u64,
    size: u64,
    tiles: &impl TileRead,
) -> Result<Vec<Digest>, MissingTile> {
    let absent = MissingTile {
        level: 0,
        index: index >> TILE_HEIGHT,
    };
    let ranges = merkle::inclusion_ranges(index, size).ok_or(absent)?;
    range_roots(&ranges, tiles)
}

/// The proof that the log's first `old` leaves are a prefix of its first `new`.
///
/// # Errors
/// [`MissingTile`]; also if `old` is larger.
pub fn consistency_proof(
    old: u64,
    new: u64,
    tiles: &impl TileRead,
) -> Result<Vec<Digest>, MissingTile> {
    let absent = MissingTile {
        level: 0,
        index: old >> TILE_HEIGHT,
    };
    let ranges = merkle::consistency_ranges(old, new).ok_or(absent)?;
    range_roots(&ranges, tiles)
}

fn range_roots(ranges: &[Range<u64>], tiles: &impl TileRead) -> Result<Vec<Digest>, MissingTile> {
    ranges
        .iter()
        .map(|range| range_root(range.clone(), tiles))
        .collect()
}

/// The root over a range that starts at a multiple of a power of two no smaller than its length.
fn range_root(range: Range<u64>, tiles: &impl TileRead) -> Result<Digest, MissingTile> {
    let mut low = range.start;
    let mut roots = Vec::new();
    while low < range.end {
        // The largest complete subtree that begins here and does not reach beyond.
        let height = (range.end - low).ilog2();
        roots.push(subtree_root(low, height, tiles)?);
        low += 1 << height;
    }
    let mut roots = roots.into_iter().rev();
    let last = roots.next().unwrap_or_else(merkle::empty_root);
    Ok(roots.fold(last, |right, left| node_hash(&left, &right)))
}

/// The root of the complete subtree of 2^height leaves from `low` on.
fn subtree_root(low: u64, height: u32, tiles: &impl TileRead) -> Result<Digest, MissingTile> {
    // Hashes of level L stand for 2^(8 L) leaves: the subtree is a run of them within one tile.
    let level = height / TILE_HEIGHT;
    let first = low >> (level * TILE_HEIGHT);
    let index = first >> TILE_HEIGHT;
    let missing = MissingTile {
        level: u8::try_from(level).unwrap_or(u8::MAX),
        index,
    };
    let tile = tiles.tile(missing.level, index).ok_or(missing)?;
    let start = partial_width(first);
    let end = start + (1 << (height % TILE_HEIGHT));
    tile.get(start..end).map(merkle::root).ok_or(missing)
}

/// Hashes of the last, partial tile of a level of `count` hashes.
fn partial_width(count: u64) -> usize {
    usize::from(count.to_le_bytes()[0])
}
