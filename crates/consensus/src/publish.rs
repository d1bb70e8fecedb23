//! What a log hands out: tiles, leaves and checkpoints of its finalised part (C2SP tlog-tiles).

use bytes::Bytes;
use codec::Digest;
use ledger::Header;
use ledger::log::Checkpoint;
use store::Store;

use crate::handle::{Handle, ReadError};
use crate::rows::{self, RowError};

/// Hashes of a full tile, as a power of two.
const TILE_HEIGHT: u32 = 8;

impl<S: Store> Handle<S> {
    /// The first `width` hashes of a tile.
    ///
    /// # Errors
    /// [`ReadError::NotFinal`] if the log has fewer there.
    pub async fn log_tile(
        &self,
        level: u8,
        index: u64,
        width: usize,
    ) -> Result<Vec<Digest>, ReadError> {
        let size = self.replica.log().size();
        let hashes = size
            .checked_shr(TILE_HEIGHT * u32::from(level))
            .unwrap_or(0);
        let first = index
            .checked_mul(1 << TILE_HEIGHT)
            .ok_or(ReadError::NotFinal)?;
        let there = hashes.saturating_sub(first);
        if u64::try_from(width).map_or(true, |width| width > there) {
            return Err(ReadError::NotFinal);
        }
        let mut tile = rows::tile(&self.replica.store, level, index).await?;
        if tile.len() < width {
            return Err(RowError::Missing(rows::TILES).into());
        }
        tile.truncate(width);
        Ok(tile)
    }

    /// The bytes of leaves `first` up to and without `end`: entries, and headers at blocks' ends.
    ///
    /// # Errors
    /// [`ReadError::NotFinal`] beyond the log.
    pub async fn log_leaves(&self, first: u64, end: u64) -> Result<Vec<Bytes>, ReadError> {
        if first > end || end > self.replica.log().size() {
            return Err(ReadError::NotFinal);
        }
        let store = &self.replica.store;
        let mut leaves = rows::entries(store, first, end).await?;
        let mut height = self.block_of(first).await?;
        while let Some(header) = self.header(height).await? {
            if header.log_size >= end {
                break;
            }
            leaves.push((header.log_size, Bytes::from(header.leaf())));
            height = height.saturating_add(1);
        }
        leaves.sort_unstable_by_key(|(index, _)| *index);
        if leaves.iter().map(|(index, _)| *index).ne(first..end) {
            return Err(RowError::Missing(rows::ENTRIES).into());
        }
        Ok(leaves.into_iter().map(|(_, leaf)| leaf).collect())
    }

    /// The log as it was at this size.
    ///
    /// # Errors
    /// [`ReadError::NotFinal`] beyond the log.
    pub async fn checkpoint_at(&self, size: u64) -> Result<Checkpoint, ReadError> {
        if size > self.replica.log().size() {
            return Err(ReadError::NotFinal);
        }
        let tiles = rows::tiles(&self.replica.store, size).await?;
        Ok(Checkpoint::new(
            &self.network(),
            size,
            tiles.frontier().root(),
        ))
    }

    /// Whether a finalised block ends at this size of the log.
    ///
    /// # Errors
    /// [`ReadError::Rows`].
    pub async fn is_block_end(&self, size: u64) -> Result<bool, ReadError> {
        let Some(last) = size.checked_sub(1) else {
            return Ok(false);
        };
        if size > self.replica.log().size() {
            return Ok(false);
        }
        let header = self.header(self.block_of(last).await?).await?;
        Ok(header.is_some_and(|header| header.log_size == last))
    }

    /// The height of the block that a leaf belongs to; its header's leaf is its last.
    async fn block_of(&self, leaf: u64) -> Result<u64, ReadError> {
        // The same moment as the log's size, or a later one.
        let (mut low, mut high) = (0, self.replica.snapshot().1.height);
        while low < high {
            let middle = low.midpoint(high);
            let header: Header = self
                .header(middle)
                .await?
                .ok_or(RowError::Missing(rows::HEADERS))?;
            if header.log_size < leaf {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}
