//! The ledger's rows in the store, and the one batch that a finalised block is.
//!
//! | table | key | value |
//! |---|---|---|
//! | `ledger-state` | encoded state key | encoded value |
//! | `ledger-headers` | height (8, big endian) | encoded header |
//! | `ledger-certificates` | height | the engine's certificate; not every height has one |
//! | `ledger-tiles` | level (1), index (8) | a full tile's hashes |
//! | `ledger-tiles` | level (1), index (8), part (1) | [`PART_WIDTH`] hashes of a tile that is not full; its last part has fewer |
//! | `ledger-entries` | log index (8) | height (8), the entry's exact bytes |
//! | `ledger-index` | entry id (32) | height (8), log index (8) |
//! | `ledger-tip` | `tip` | height (8) |
//!
//! All rows of a block are written together or not at all; the tip moves by one each time. A tile that is
//! not full is in parts so that a block does not write again what the blocks before it wrote.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use codec::{Digest, EntryId};
use ledger::log::tiles::TILE_WIDTH;
use ledger::log::{Frontier, MissingTile, TileUpdate, Tiles, leaf_hash};
use ledger::state::Row;
use ledger::{Header, State};
use store::{Batch, Expect, Order, Range, Store, Table};

pub(crate) const STATE: Table = Table::new("ledger-state");
pub(crate) const HEADERS: Table = Table::new("ledger-headers");
pub(crate) const CERTIFICATES: Table = Table::new("ledger-certificates");
pub(crate) const TILES: Table = Table::new("ledger-tiles");
pub(crate) const ENTRIES: Table = Table::new("ledger-entries");
pub(crate) const INDEX: Table = Table::new("ledger-index");
pub(crate) const TIP: Table = Table::new("ledger-tip");

/// Every table of the ledger: what a rebuild from the engine's blocks may empty.
pub const TABLES: [Table; 7] = [STATE, HEADERS, CERTIFICATES, TILES, ENTRIES, INDEX, TIP];

const TIP_KEY: &[u8] = b"tip";
const PAGE_ROWS: usize = 4_096;
const DIGEST_BYTES: usize = 32;

/// Hashes in a part of a tile.
pub(crate) const PART_WIDTH: usize = 32;

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Height of its block.
    pub height: u64,
    /// Its leaf in the log.
    pub log_index: u64,
}

/// What went wrong with stored rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] store::Error),
    /// A row that must be there is not.
    #[error("a row of {0} is missing; rebuild the ledger from the engine's blocks or a peer")]
    Missing(Table),
    /// A row is not what it must be.
    #[error("a row of {0} is malformed; rebuild the ledger from the engine's blocks or a peer")]
    Malformed(Table),
    /// Rows contradict each other.
    #[error("stored rows contradict each other: {0}")]
    Contradiction(String),
}

/// The stored ledger, loaded and checked.
pub(crate) struct Stored {
    pub(crate) header: Header,
    pub(crate) state: State,
    pub(crate) tiles: Tiles,
}

/// What a finalised block writes.
pub(crate) struct BlockRows<'a> {
    pub(crate) header: &'a Header,
    pub(crate) header_bytes: &'a Bytes,
    pub(crate) certificate: Option<Bytes>,
    /// Entries in order, with the log index of the first.
    pub(crate) entries: &'a [(EntryId, Bytes)],
    pub(crate) first_index: u64,
    pub(crate) state: Vec<Row>,
    pub(crate) tiles: Vec<TileUpdate>,
}

impl BlockRows<'_> {
    /// The batch; it commits only on top of the block before.
    pub(crate) fn batch(self) -> Batch {
        let height = self.header.height;
        let before = match height.checked_sub(1) {
            Some(before) => Expect::Equals(Bytes::copy_from_slice(&before.to_be_bytes())),
            None => Expect::Absent,
        };
        let mut batch = Batch::new()
            .expect(TIP, TIP_KEY, before)
            .put(TIP, TIP_KEY, height.to_be_bytes().to_vec())
            .put(HEADERS, height.to_be_bytes(), self.header_bytes.clone());
        if let Some(certificate) = self.certificate {
            batch = batch.put(CERTIFICATES, height.to_be_bytes(), certificate);
        }
        for row in self.state {
            batch = match row.value {
                Some(value) => batch.put(STATE, row.key, value),
                None => batch.delete(STATE, row.key),
            };
        }
        for tile in &self.tiles {
            batch = put_tile(batch, tile, self.first_index);
        }
        for ((id, bytes), index) in self.entries.iter().zip(self.first_index..) {
            let mut entry = BytesMut::with_capacity(bytes.len().saturating_add(8));
            entry.put_u64(height);
            entry.put_slice(bytes);
            let position = [height.to_be_bytes(), index.to_be_bytes()].concat();
            batch = batch.put(ENTRIES, index.to_be_bytes(), entry.freeze()).put(
                INDEX,
                id.as_bytes(),
                position,
            );
        }
        batch
    }
}

/// The batch of a certificate that came after its block.
pub(crate) fn certificate_batch(height: u64, certificate: Bytes) -> Batch {
    Batch::new().put(CERTIFICATES, height.to_be_bytes(), certificate)
}

/// Loads the stored ledger, checking state and log against the last header; none before genesis.
pub(crate) async fn load<S: Store>(store: &S) -> Result<Option<Stored>, RowError> {
    let Some(height) = tip(store).await? else {
        return Ok(None);
    };
    let header = header(store, height)
        .await?
        .ok_or(RowError::Missing(HEADERS))?;
    let state = State::load(&header, state_rows(store).await?)
        .map_err(|error| RowError::Contradiction(error.to_string()))?;
    let before = tiles(store, header.log_size).await?;
    if before.frontier().root() != header.log_root {
        return Err(RowError::Contradiction(
            "the log does not have the root that the last header names".into(),
        ));
    }
    let mut after: Frontier = before.frontier();
    after.append(leaf_hash(&header.leaf()));
    let tiles = tiles(store, after.size()).await?;
    if tiles.frontier() != after {
        return Err(RowError::Contradiction(
            "the log's last leaf is not the last header".into(),
        ));
    }
    Ok(Some(Stored {
        header,
        state,
        tiles,
    }))
}

/// The height of the tip; none before genesis.
pub(crate) async fn tip<S: Store>(store: &S) -> Result<Option<u64>, RowError> {
    let tip = store.get(TIP, TIP_KEY).await?;
    let height = |tip: Bytes| number(&tip).ok_or(RowError::Malformed(TIP));
    tip.map(height).transpose()
}

/// The certificate of the block at a height, if it has one.
pub(crate) async fn certificate<S: Store>(
    store: &S,
    height: u64,
) -> Result<Option<Bytes>, RowError> {
    Ok(store.get(CERTIFICATES, &height.to_be_bytes()).await?)
}

/// Rows of a table.
pub(crate) async fn count<S: Store>(store: &S, table: Table) -> Result<u64, RowError> {
    let (mut count, mut range) = (0_u64, Range::all());
    loop {
        let page = store
            .range(table, range.clone(), PAGE_ROWS, Order::Ascending)
            .await?;
        count = count.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
        match page.last() {
            Some((last, _)) if page.len() == PAGE_ROWS => range = range.after(last),
            _ => return Ok(count),
        }
    }
}

/// The header at a height.
pub(crate) async fn header<S: Store>(store: &S, height: u64) -> Result<Option<Header>, RowError> {
    let Some(bytes) = store.get(HEADERS, &height.to_be_bytes()).await? else {
        return Ok(None);
    };
    let header: Header = codec::from_slice(&bytes).map_err(|_| RowError::Malformed(HEADERS))?;
    if header.height == height {
        Ok(Some(header))
    } else {
        Err(RowError::Malformed(HEADERS))
    }
}

/// The first certificate at or above a height.
pub(crate) async fn certificate_from<S: Store>(
    store: &S,
    height: u64,
) -> Result<Option<(u64, Bytes)>, RowError> {
    let range = Range::from(height.to_be_bytes());
    let rows = store
        .range(CERTIFICATES, range, 1, Order::Ascending)
        .await?;
    let Some((key, certificate)) = rows.into_iter().next() else {
        return Ok(None);
    };
    let height = number(&key).ok_or(RowError::Malformed(CERTIFICATES))?;
    Ok(Some((height, certificate)))
}

/// The entry at a log index, and its block's height; none if it is a header's leaf or beyond.
pub(crate) async fn entry<S: Store>(
    store: &S,
    log_index: u64,
) -> Result<Option<(u64, Bytes)>, RowError> {
    let Some(row) = store.get(ENTRIES, &log_index.to_be_bytes()).await? else {
        return Ok(None);
    };
    split_entry(row).map(Some)
}

/// The entries of a block: those from log index `first` up to and without `end`.
pub(crate) async fn entries<S: Store>(
    store: &S,
    first: u64,
    end: u64,
) -> Result<Vec<(u64, Bytes)>, RowError> {
    let mut found = Vec::new();
    let mut range = Range::between(first.to_be_bytes(), end.to_be_bytes());
    loop {
        let page = store
            .range(ENTRIES, range.clone(), PAGE_ROWS, Order::Ascending)
            .await?;
        let full = page.len() == PAGE_ROWS;
        for (key, row) in page {
            let index = number(&key).ok_or(RowError::Malformed(ENTRIES))?;
            found.push((index, split_entry(row)?.1));
            if full {
                range = range.after(&key);
            }
        }
        if !full {
            return Ok(found);
        }
    }
}

/// Where an entry is.
pub(crate) async fn position<S: Store>(
    store: &S,
    id: &EntryId,
) -> Result<Option<Position>, RowError> {
    let Some(row) = store.get(INDEX, id.as_bytes()).await? else {
        return Ok(None);
    };
    match row.split_at_checked(8) {
        Some((height, index)) => Ok(Some(Position {
            height: number(height).ok_or(RowError::Malformed(INDEX))?,
            log_index: number(index).ok_or(RowError::Malformed(INDEX))?,
        })),
        None => Err(RowError::Malformed(INDEX)),
    }
}

/// All hashes that were written of a tile.
pub(crate) async fn tile<S: Store>(
    store: &S,
    level: u8,
    index: u64,
) -> Result<Vec<Digest>, RowError> {
    let key = tile_key(level, index);
    // One read of all its rows: a block may fill the tile, and remove its parts, at any moment.
    let rows = Range::prefix(key);
    let limit = TILE_WIDTH / PART_WIDTH + 1;
    let mut hashes: Option<Vec<Digest>> = None;
    for (place, row) in store.range(TILES, rows, limit, Order::Ascending).await? {
        let first = match place.get(key.len()) {
            // The whole tile, or as much of it as there was before there were parts.
            None => 0,
            Some(part) => usize::from(*part).saturating_mul(PART_WIDTH),
        };
        let known = hashes.get_or_insert_default();
        if known.len() < first {
            return Err(RowError::Malformed(TILES));
        }
        known.truncate(first);
        known.extend(tile_hashes(&row)?);
        if place.len() == key.len() && known.len() == TILE_WIDTH {
            break;
        }
    }
    hashes.ok_or(RowError::Missing(TILES))
}

/// Rows of a tile of so many hashes.
pub(crate) fn tile_rows(width: usize) -> usize {
    if width == TILE_WIDTH {
        1
    } else {
        width.div_ceil(PART_WIDTH)
    }
}

/// Writes what a log of `size` leaves did not have of a tile yet.
fn put_tile(mut batch: Batch, tile: &TileUpdate, size: u64) -> Batch {
    let key = tile_key(tile.level, tile.index);
    let part_key = |part: usize| {
        let part = u8::try_from(part).unwrap_or(u8::MAX);
        [key.as_slice(), &[part]].concat()
    };
    let before = usize::try_from(tile_width(size, tile.level, tile.index)).unwrap_or(TILE_WIDTH);
    if tile.hashes.len() == TILE_WIDTH {
        for part in 0..before.div_ceil(PART_WIDTH) {
            batch = batch.delete(TILES, part_key(part));
        }
        return batch.put(TILES, key, tile_value(&tile.hashes));
    }
    let parts = tile.hashes.chunks(PART_WIDTH).enumerate();
    for (part, hashes) in parts.skip(before / PART_WIDTH) {
        batch = batch.put(TILES, part_key(part), tile_value(hashes));
    }
    batch
}

/// Hashes that a tile has in a log of `size` leaves.
fn tile_width(size: u64, level: u8, index: u64) -> u64 {
    let width = u64::try_from(TILE_WIDTH).unwrap_or(u64::MAX);
    let hashes = size
        .checked_shr(TILE_WIDTH.ilog2().saturating_mul(u32::from(level)))
        .unwrap_or(0);
    hashes
        .saturating_sub(index.saturating_mul(width))
        .min(width)
}

/// Runs `prove` with the tiles it asks for, reading each from the store once.
pub(crate) async fn with_tiles<S: Store, T>(
    store: &S,
    prove: impl Fn(&Cached) -> Result<T, MissingTile>,
) -> Result<T, RowError> {
    let mut cached = Cached::default();
    loop {
        let missing = match prove(&cached) {
            Ok(proof) => return Ok(proof),
            Err(missing) => missing,
        };
        let key = (missing.level, missing.index);
        if cached.0.contains_key(&key) {
            return Err(RowError::Missing(TILES));
        }
        let hashes = tile(store, missing.level, missing.index).await?;
        cached.0.insert(key, hashes);
    }
}

/// Tiles read so far.
#[derive(Default)]
pub(crate) struct Cached(BTreeMap<(u8, u64), Vec<Digest>>);

impl ledger::log::TileRead for Cached {
    fn tile(&self, level: u8, index: u64) -> Option<Vec<Digest>> {
        self.0.get(&(level, index)).cloned()
    }
}

/// The right edge of the stored log, as it was at this size.
pub(crate) async fn tiles<S: Store>(store: &S, size: u64) -> Result<Tiles, RowError> {
    with_tiles(store, |cached| Tiles::load(size, cached)).await
}

pub(crate) async fn state_rows<S: Store>(store: &S) -> Result<Vec<(Vec<u8>, Vec<u8>)>, RowError> {
    let mut rows = Vec::new();
    let mut range = Range::all();
    loop {
        let page = store
            .range(STATE, range.clone(), PAGE_ROWS, Order::Ascending)
            .await?;
        let full = page.len() == PAGE_ROWS;
        if let Some((last, _)) = page.last() {
            range = range.after(last);
        }
        rows.extend(
            page.iter()
                .map(|(key, value)| (key.to_vec(), value.to_vec())),
        );
        if !full {
            return Ok(rows);
        }
    }
}

fn split_entry(mut row: Bytes) -> Result<(u64, Bytes), RowError> {
    if row.len() < 8 {
        return Err(RowError::Malformed(ENTRIES));
    }
    let height = row.split_to(8);
    let height = number(&height).ok_or(RowError::Malformed(ENTRIES))?;
    Ok((height, row))
}

pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn tile_key(level: u8, index: u64) -> [u8; 9] {
    let mut key = [level; 9];
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

fn tile_value(hashes: &[Digest]) -> Bytes {
    let mut value = BytesMut::with_capacity(hashes.len() * DIGEST_BYTES);
    for hash in hashes {
        value.put_slice(hash.as_bytes());
    }
    value.freeze()
}

fn tile_hashes(value: &[u8]) -> Result<Vec<Digest>, RowError> {
    let (hashes, rest) = value.as_chunks::<DIGEST_BYTES>();
    if rest.is_empty() {
        Ok(hashes.iter().copied().map(Digest::new).collect())
    } else {
        Err(RowError::Malformed(TILES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use futures::executor::block_on;

    fn leaf(number: u64) -> Digest {
        leaf_hash(&number.to_be_bytes())
    }

    /// Blocks of these many leaves each: every tile reads as it is, at every size, in as many rows as said.
    fn check(blocks: &[u64]) {
        let store = Memory::default();
        let mut tiles = Tiles::new();
        let mut known: BTreeMap<(u8, u64), Vec<Digest>> = BTreeMap::new();
        for count in blocks {
            let size = tiles.size();
            let mut batch = Batch::new();
            for update in tiles.append((size..size + count).map(leaf)) {
                batch = put_tile(batch, &update, size);
                known.insert((update.level, update.index), update.hashes);
            }
            block_on(store.commit(batch)).unwrap();
            for ((level, index), hashes) in &known {
                assert_eq!(&block_on(tile(&store, *level, *index)).unwrap(), hashes);
            }
            let rows: usize = known.values().map(|hashes| tile_rows(hashes.len())).sum();
            assert_eq!(store.rows().len(), rows);
        }
        assert_eq!(
            block_on(super::tiles(&store, tiles.size()))
                .unwrap()
                .frontier(),
            tiles.frontier()
        );
        assert!(block_on(tile(&store, 0, 9_999)).is_err());
    }

    #[test]
    fn tiles_grow_in_parts_and_end_whole() {
        check(&[1; 600]);
        check(&[31, 1, 33, 190, 1, 1, 255, 256, 257, 700, 3]);
    }

    #[test]
    fn a_part_goes_on_from_a_whole_tile_that_was_not_full() {
        let store = Memory::default();
        let hashes: Vec<Digest> = (0..40).map(leaf).collect();
        let old = Batch::new().put(TILES, tile_key(0, 0), tile_value(&hashes[..37]));
        block_on(store.commit(old)).unwrap();
        let update = TileUpdate {
            level: 0,
            index: 0,
            hashes: hashes.clone(),
        };
        block_on(store.commit(put_tile(Batch::new(), &update, 37))).unwrap();
        assert_eq!(block_on(tile(&store, 0, 0)).unwrap(), hashes);
    }
}
