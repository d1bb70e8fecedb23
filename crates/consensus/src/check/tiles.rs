//! Every tile, made again from the leaves and compared with the stored one.

use std::collections::BTreeMap;

use codec::Digest;
use ledger::log::Tiles;
use ledger::log::tiles::TILE_WIDTH;
use store::Store;

use super::LedgerCheck;
use crate::rows::{self, RowError, TILES};

pub(super) struct TileWalk {
    tiles: Tiles,
    /// Partial tiles as they were last.
    partial: BTreeMap<(u8, u64), Vec<Digest>>,
    /// Leaves of a block whose header comes next.
    waiting: Vec<Digest>,
    /// The lowest tile read last.
    lowest: Option<(u64, Option<Vec<Digest>>)>,
    /// Rows of the tiles compared.
    count: usize,
}

impl TileWalk {
    pub(super) fn new() -> Self {
        Self {
            tiles: Tiles::new(),
            partial: BTreeMap::new(),
            waiting: Vec::new(),
            lowest: None,
            count: 0,
        }
    }

    /// A leaf's hash as the stored tile of level 0 has it.
    pub(super) async fn leaf<S: Store>(
        &mut self,
        store: &S,
        index: u64,
    ) -> Result<Option<Digest>, store::Error> {
        let width = u64::try_from(TILE_WIDTH).unwrap_or(u64::MAX);
        let (tile, at) = (index / width, index % width);
        let known = self
            .lowest
            .as_ref()
            .is_some_and(|(known, _)| *known == tile);
        if !known {
            self.lowest = Some((tile, stored(store, 0, tile).await?.ok()));
        }
        let hashes = self.lowest.as_ref().and_then(|(_, hashes)| hashes.as_ref());
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        Ok(hashes.and_then(|hashes| hashes.get(at).copied()))
    }

    /// Leaves that come before the next one given to [`Self::append`].
    pub(super) fn waiting(&mut self, leaves: Vec<Digest>) {
        self.waiting = leaves;
    }

    pub(super) async fn append<S: Store>(
        &mut self,
        store: &S,
        header: Digest,
        found: &mut LedgerCheck,
    ) -> Result<(), store::Error> {
        let leaves = std::mem::take(&mut self.waiting);
        for update in self.tiles.append(leaves.into_iter().chain([header])) {
            let key = (update.level, update.index);
            if update.hashes.len() == TILE_WIDTH {
                self.partial.remove(&key);
                self.compare(store, key, &update.hashes, found).await?;
            } else {
                self.partial.insert(key, update.hashes);
            }
        }
        Ok(())
    }

    pub(super) async fn end<S: Store>(
        &mut self,
        store: &S,
        found: &mut LedgerCheck,
    ) -> Result<(), store::Error> {
        for (key, hashes) in std::mem::take(&mut self.partial) {
            self.compare(store, key, &hashes, found).await?;
        }
        let rows = rows::count(store, TILES).await;
        let count = u64::try_from(self.count).unwrap_or(u64::MAX);
        if rows.is_ok_and(|rows| rows > count) {
            let what = "it has more tiles than the log, or more of one";
            found.fault(TILES, "the whole table", what);
        }
        Ok(())
    }

    async fn compare<S: Store>(
        &mut self,
        store: &S,
        (level, index): (u8, u64),
        hashes: &[Digest],
        found: &mut LedgerCheck,
    ) -> Result<(), store::Error> {
        self.count = self.count.saturating_add(rows::tile_rows(hashes.len()));
        let what = match stored(store, level, index).await? {
            Ok(stored) if stored == hashes => return Ok(()),
            Ok(_) => "its hashes are not those of the entries below it",
            Err(what) => what,
        };
        found.fault(TILES, format!("tile {index} of level {level}"), what);
        Ok(())
    }
}

/// A stored tile, or what is wrong with it.
async fn stored<S: Store>(
    store: &S,
    level: u8,
    index: u64,
) -> Result<Result<Vec<Digest>, &'static str>, store::Error> {
    Ok(match rows::tile(store, level, index).await {
        Ok(hashes) => Ok(hashes),
        Err(RowError::Store(store::Error::Corrupt { .. })) => Err("its checksum does not match"),
        Err(RowError::Store(error)) => return Err(error),
        Err(RowError::Missing(_)) => Err("it is missing"),
        Err(_) => Err("it is malformed"),
    })
}
