//! Looking for damage in a stored ledger, while no node runs on it.
//!
//! [`check`] hashes every header, entry and tile again, compares the log's root with each header's, checks
//! each certificate and loads the state at the tip. [`replay`] does more: it executes every block from the
//! genesis on, as if it came from a peer, so that nothing that is stored is believed. Both name each fault
//! by table and place, never by a stored byte, and go on where that can be done.
//!
//! What is wrong here is not lost: the blocks are with the engine and with every other member.

mod replay;
mod tiles;

use bytes::Bytes;
use codec::{Digest, EntryId};
use ledger::log::{Frontier, leaf_hash};
use ledger::{CertificateCheck as _, Genesis, Header, SignedEntry, State, View};
use store::{Batch, Order, Range, Store, Table};

pub use replay::{BlockSeen, Replayed, replay};

use self::tiles::TileWalk;
use crate::block::MAX_ENTRIES;
use crate::certificates::SimplexCertificates;
use crate::rows::{self, CERTIFICATES, ENTRIES, HEADERS, INDEX, Position, RowError, STATE, TIP};

/// The most faults that are named one by one.
pub const FAULTS_MAX: usize = 1_000;

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerFault {
    /// Where it is stored.
    pub table: Table,
    /// Which row: a height, a log index, a tile.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
}

/// What was looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerCheck {
    /// Blocks up to the tip.
    pub blocks: u64,
    /// Entries, rehashed.
    pub entries: u64,
    /// Certificates that were verified.
    pub certificates: u64,
    /// The first [`FAULTS_MAX`].
    pub faults: Vec<LedgerFault>,
    /// Faults beyond those.
    pub more: u64,
}

impl LedgerCheck {
    pub(crate) fn fault(
        &mut self,
        table: Table,
        place: impl Into<String>,
        what: impl Into<String>,
    ) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(LedgerFault {
                table,
                place: place.into(),
                what: what.into(),
            });
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// What a read gave, or the fault that it met.
    fn read<T>(
        &mut self,
        table: Table,
        place: &str,
        read: Result<Option<T>, RowError>,
    ) -> Result<Option<T>, store::Error> {
        let what = match read {
            Ok(Some(value)) => return Ok(Some(value)),
            Ok(None) => "it is missing",
            Err(RowError::Store(store::Error::Corrupt { .. })) => "its checksum does not match",
            Err(RowError::Store(error)) => return Err(error),
            Err(_) => "it is malformed",
        };
        self.fault(table, place, what);
        Ok(None)
    }
}

/// Empties the ledger's tables. At the next start the node builds them again, from the engine's blocks and
/// its peers'.
///
/// # Errors
/// Those of the store; nothing is removed then.
pub async fn ledger_remove<S: Store>(store: &S) -> Result<(), store::Error> {
    let tables = rows::TABLES.into_iter();
    let batch = tables.fold(Batch::new(), |batch, table| {
        batch.delete_range(table, Range::all())
    });
    store.commit(batch).await
}

/// The entry at a log index of a stored ledger, and its block's height; none if there is none that can be
/// read.
///
/// # Errors
/// When the store cannot be read at all.
pub async fn entry_at<S: Store>(
    store: &S,
    log_index: u64,
) -> Result<Option<(u64, EntryId)>, store::Error> {
    match rows::entry(store, log_index).await {
        Ok(Some((height, bytes))) => {
            let signed = SignedEntry::decode(&bytes);
            Ok(signed.ok().map(|signed| (height, signed.entry_id())))
        }
        Err(RowError::Store(error)) if !matches!(error, store::Error::Corrupt { .. }) => Err(error),
        _ => Ok(None),
    }
}

/// Checks a stored ledger. `progress` hears of each block.
///
/// # Errors
/// When the store cannot be read at all; what is damaged is no error but a fault.
pub async fn check<S: Store>(
    store: &S,
    genesis: &Genesis,
    mut progress: impl FnMut(u64, u64) + Send,
) -> Result<LedgerCheck, store::Error> {
    let mut found = LedgerCheck::default();
    let Some(tip) = tip(store, genesis, &mut found).await? else {
        return Ok(found);
    };
    let view = state(store, tip, &mut found).await?;
    let mut walk = Walk {
        store,
        genesis,
        view,
        certificates: SimplexCertificates::new(&genesis.network_id()),
        log: Frontier::new(),
        tiles: TileWalk::new(),
        before: None,
        is_broken: false,
        found,
    };
    for height in 0..=tip {
        walk.block(height, tip).await?;
        progress(height, tip);
    }
    walk.end(tip).await
}

/// How far there are blocks; none, with a fault, if there is no telling. That is what the tip says, unless
/// the headers contradict it: a damaged tip must not send anybody through heights that never were.
async fn tip<S: Store>(
    store: &S,
    genesis: &Genesis,
    found: &mut LedgerCheck,
) -> Result<Option<u64>, store::Error> {
    let tip = rows::tip(store).await;
    let last = last_key(store, HEADERS).await?;
    if matches!((&tip, &last), (Ok(None), Ok(None))) {
        // Before the first start there is nothing, and nothing wrong.
        return Ok(None);
    }
    let tip = found.read(TIP, "the tip", tip)?;
    let last = match last {
        Ok(Some(last)) => last,
        Ok(None) => {
            found.fault(HEADERS, "the whole table", "there are no headers");
            return Ok(None);
        }
        // The last header cannot be read; each epoch's last block has a certificate.
        Err(()) => {
            let certified = last_key(store, CERTIFICATES).await?.unwrap_or(None);
            let epoch = genesis.parameters.epoch_blocks;
            let bound = certified.unwrap_or(0).saturating_add(epoch);
            return Ok(Some(tip.unwrap_or(bound).min(bound)));
        }
    };
    let Some(tip) = tip else {
        return Ok(Some(last));
    };
    let follows = |height: u64| async move {
        let header = rows::header(store, height).await;
        !matches!(header, Ok(None))
    };
    if tip > last && tip <= last.saturating_add(genesis.parameters.epoch_blocks) {
        // Headers may be missing: the walk names each.
        return Ok(Some(tip));
    }
    if tip > last {
        found.fault(TIP, "the tip", "it is beyond the last header");
        return Ok(Some(last));
    }
    let mut end = tip;
    while end < last && follows(end.saturating_add(1)).await {
        end = end.saturating_add(1);
    }
    if end > tip {
        found.fault(TIP, "the tip", "there are blocks beyond it");
    }
    Ok(Some(end))
}

/// The height of a table's last row; `Err` if that row is damaged.
async fn last_key<S: Store>(
    store: &S,
    table: Table,
) -> Result<Result<Option<u64>, ()>, store::Error> {
    match store.range(table, Range::all(), 1, Order::Descending).await {
        Ok(rows) => Ok(Ok(rows.first().and_then(|(key, _)| rows::number(key)))),
        Err(store::Error::Corrupt { .. }) => Ok(Err(())),
        Err(error) => Err(error),
    }
}

async fn state<S: Store>(
    store: &S,
    tip: u64,
    found: &mut LedgerCheck,
) -> Result<Option<View>, store::Error> {
    let header = rows::header(store, tip).await;
    let Ok(Some(header)) = header else {
        // The walk names it.
        return Ok(None);
    };
    let what = match rows::state_rows(store).await {
        Ok(rows) => match State::load(&header, rows) {
            Ok(state) => return Ok(Some(state.view())),
            Err(error) => error.to_string(),
        },
        Err(RowError::Store(store::Error::Corrupt { .. })) => {
            "a row's checksum does not match".to_owned()
        }
        Err(RowError::Store(error)) => return Err(error),
        Err(error) => error.to_string(),
    };
    found.fault(STATE, format!("at height {tip}"), what);
    Ok(None)
}

struct Walk<'a, S> {
    store: &'a S,
    genesis: &'a Genesis,
    /// The state at the tip, which knows every epoch's validators.
    view: Option<View>,
    certificates: SimplexCertificates,
    log: Frontier,
    tiles: TileWalk,
    before: Option<Header>,
    /// The log's root differs from a header's: from there on it always does.
    is_broken: bool,
    found: LedgerCheck,
}

/// Whether a block may hold the leaves from one log index up to another.
pub(crate) fn fits(first: u64, end: u64) -> bool {
    usize::try_from(end.saturating_sub(first)).is_ok_and(|entries| entries <= MAX_ENTRIES)
}

/// A leaf of the log: as its bytes hash, and as the lowest tiles have it.
struct Leaf {
    index: u64,
    bytes: Option<Digest>,
    tile: Option<Digest>,
}

impl<S: Store> Walk<'_, S> {
    async fn block(&mut self, height: u64, tip: u64) -> Result<(), store::Error> {
        let place = format!("height {height}");
        let header = rows::header(self.store, height).await;
        let header = self.found.read(HEADERS, &place, header)?;
        if let Some(header) = &header {
            self.header(header, &place);
        }
        let mut leaves = Vec::new();
        let mut index = self.log.size();
        // Without its header, a block ends where no entry follows.
        let mut end = header.as_ref().map(|header| header.log_size);
        if end.is_some_and(|end| !fits(index, end)) {
            let what = "it names more entries than a block holds";
            self.found.fault(HEADERS, &place, what);
            end = None;
        }
        while end.is_none_or(|end| index < end) {
            let Some(bytes) = self.entry(height, index, end.is_some()).await? else {
                break;
            };
            leaves.push(Leaf {
                index,
                bytes: bytes.map(|bytes| leaf_hash(&bytes)),
                tile: self.tiles.leaf(self.store, index).await?,
            });
            index = index.saturating_add(1);
        }
        self.entries(&leaves, header.as_ref(), &place);
        let leaf = Leaf {
            index,
            bytes: header.as_ref().map(|header| leaf_hash(&header.leaf())),
            tile: self.tiles.leaf(self.store, index).await?,
        };
        let leaf = leaf.bytes.or(leaf.tile).unwrap_or_else(|| leaf_hash(b""));
        self.log.append(leaf);
        self.tiles.append(self.store, leaf, &mut self.found).await?;
        if let Some(header) = &header {
            self.certificate(header, tip).await?;
        }
        self.found.blocks = self.found.blocks.saturating_add(1);
        self.before = header;
        Ok(())
    }

    fn header(&mut self, header: &Header, place: &str) {
        let is_genesis = || {
            let genesis = State::genesis(self.genesis);
            genesis.is_ok_and(|(_, first)| first == *header)
        };
        if header.height == 0 && !is_genesis() {
            self.found
                .fault(HEADERS, place, "it is not this network's genesis");
        }
        if self
            .before
            .as_ref()
            .is_some_and(|before| !header.follows(before))
        {
            self.found
                .fault(HEADERS, place, "it does not follow the header before it");
        }
    }

    /// An entry's bytes: none where there is no entry, `Some(None)` where it is damaged.
    async fn entry(
        &mut self,
        height: u64,
        index: u64,
        is_due: bool,
    ) -> Result<Option<Option<Bytes>>, store::Error> {
        let place = format!("log index {index}, block {height}");
        let read = rows::entry(self.store, index).await;
        if !is_due && matches!(read, Ok(None)) {
            return Ok(None);
        }
        let Some((at, bytes)) = self.found.read(ENTRIES, &place, read)? else {
            return Ok(Some(None));
        };
        if at != height {
            self.found.fault(
                ENTRIES,
                &place,
                "it names another block than its place is in",
            );
        }
        let Ok(signed) = SignedEntry::decode(&bytes) else {
            self.found
                .fault(ENTRIES, &place, "it is not a signed entry");
            return Ok(Some(None));
        };
        self.found.entries = self.found.entries.saturating_add(1);
        let position = rows::position(self.store, &signed.entry_id()).await;
        let expected = Position {
            height,
            log_index: index,
        };
        if let Some(position) = self.found.read(INDEX, &place, position)?
            && position != expected
        {
            self.found.fault(INDEX, &place, "it leads to another place");
        }
        Ok(Some(Some(bytes)))
    }

    /// Adds a block's entries to the log; what tiles say decides which of the two is wrong.
    fn entries(&mut self, leaves: &[Leaf], header: Option<&Header>, place: &str) {
        let none = leaf_hash(b"");
        let by_bytes: Vec<Digest> = leaves
            .iter()
            .map(|leaf| leaf.bytes.or(leaf.tile).unwrap_or(none))
            .collect();
        let by_tile: Vec<Digest> = leaves
            .iter()
            .map(|leaf| leaf.tile.or(leaf.bytes).unwrap_or(none))
            .collect();
        let grown = |hashes: &[Digest]| {
            let mut log = self.log.clone();
            hashes.iter().for_each(|hash| log.append(*hash));
            log
        };
        let (log, tiled) = (grown(&by_bytes), grown(&by_tile));
        let is_right = |log: &Frontier| {
            header
                .is_none_or(|header| log.size() == header.log_size && log.root() == header.log_root)
        };
        if is_right(&log) || self.is_broken {
            self.log = log;
            self.tiles.waiting(by_bytes);
        } else if is_right(&tiled) {
            for leaf in leaves
                .iter()
                .filter(|leaf| leaf.bytes.is_some() && leaf.bytes != leaf.tile)
            {
                let place = format!("log index {}, {place}", leaf.index);
                self.found
                    .fault(ENTRIES, place, "its bytes are not those that the log holds");
            }
            self.log = tiled;
            self.tiles.waiting(by_tile);
        } else {
            self.is_broken = true;
            let what = "the log's root up to here is not the one that it names";
            self.found.fault(HEADERS, place, what);
            self.log = log;
            self.tiles.waiting(by_bytes);
        }
        if let Some(header) = header.filter(|header| header.height > 0)
            && leaves.iter().all(|leaf| leaf.bytes.is_some())
        {
            let hashes: Vec<Digest> = leaves.iter().filter_map(|leaf| leaf.bytes).collect();
            if keys::merkle::root(&hashes) != header.entries_root && !self.is_broken {
                let what = "the entries stored for it are not those that it names";
                self.found.fault(HEADERS, place, what);
            }
        }
    }

    async fn certificate(&mut self, header: &Header, tip: u64) -> Result<(), store::Error> {
        let height = header.height;
        let parameters = self.genesis.parameters;
        let place = format!("height {height}");
        let read = rows::certificate(self.store, height).await;
        let is_due = parameters.is_epoch_last(height) && height < tip;
        if height == 0 || !is_due && matches!(read, Ok(None)) {
            return Ok(());
        }
        let Some(certificate) = self.found.read(CERTIFICATES, &place, read)? else {
            return Ok(());
        };
        let epoch = parameters.epoch(height);
        let Some(set) = self.view.as_ref().and_then(|view| view.validators(epoch)) else {
            // The state's own fault is named; without it nobody knows who may sign.
            return Ok(());
        };
        let digest = header.digest();
        if self
            .certificates
            .check(&set.keys(), epoch, &digest, &certificate)
        {
            self.found.certificates = self.found.certificates.saturating_add(1);
        } else {
            let what = "the validators of its epoch did not sign it";
            self.found.fault(CERTIFICATES, place, what);
        }
        Ok(())
    }

    async fn end(mut self, tip: u64) -> Result<LedgerCheck, store::Error> {
        self.tiles.end(self.store, &mut self.found).await?;
        let beyond = tip.saturating_add(1).to_be_bytes();
        let last = self.log.size().to_be_bytes();
        for (table, range) in [
            (HEADERS, Range::from(beyond)),
            (CERTIFICATES, Range::from(beyond)),
            (ENTRIES, Range::from(last)),
        ] {
            let rows = self.store.range(table, range, 1, Order::Ascending).await;
            if rows.is_ok_and(|rows| !rows.is_empty()) {
                let place = format!("beyond height {tip}");
                self.found.fault(table, place, "there are rows of no block");
            }
        }
        if rows::count(self.store, INDEX)
            .await
            .is_ok_and(|rows| rows > self.found.entries)
        {
            let what = "it has more rows than there are entries";
            self.found.fault(INDEX, "the whole table", what);
        }
        Ok(self.found)
    }
}
