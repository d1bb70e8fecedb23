//! This node's copy of the ledger: the chain, the pool of pending entries, and who listens.
//!
//! Applying a finalised block: its rows are committed in one batch, then memory moves on, then
//! listeners hear of it. When the store refuses, nothing moves and the node stops: what was
//! acknowledged stays what is stored.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use codec::{EntryId, NetworkId};
use commonware_cryptography::Digested;
use commonware_utils::channel::{ring, watch};
use ledger::state::{View, admissible, preverify};
use ledger::{Refusal, SignedEntry, State};
use store::Store;

use crate::application::Halt;
use crate::block::Block;
use crate::certificates::derived_rng;
use crate::chain::{Chain, Parent, Relation, Tried};
use crate::gossip::Listener;
use crate::handle::{Finalised, SubmitError, Tip};
use crate::mempool::{Mempool, Offered, Pending};
use crate::rows::{self, BlockRows, RowError, Stored};

/// The clock of the node: Unix milliseconds.
pub(crate) type NowMs = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Finalised blocks that a listener may lag behind before it misses some.
const LISTENER_BLOCKS: usize = 64;

/// A node's copy of the ledger.
pub(crate) struct Replica<S> {
    pub(crate) store: S,
    pub(crate) pool: Arc<Mempool>,
    pub(crate) genesis: ledger::Genesis,
    network: NetworkId,
    genesis_block: Arc<Block>,
    now_ms: NowMs,
    chain: Mutex<Chain>,
    listeners: Mutex<Vec<ring::Sender<Finalised>>>,
    tip: watch::Sender<Tip>,
    halt: watch::Sender<Option<Halt>>,
}

impl<S: Store> Replica<S> {
    /// Loads the stored ledger, or writes the genesis.
    pub(crate) async fn open(
        store: S,
        genesis: ledger::Genesis,
        pool: Arc<Mempool>,
        now_ms: NowMs,
    ) -> Result<Self, Halt> {
        let failed = |error: RowError| Halt::Unreadable(error);
        let (state, header) =
            State::genesis(&genesis).map_err(|error| Halt::Genesis(error.to_string()))?;
        let genesis_block = Block::new(header, Vec::new())
            .map(Arc::new)
            .ok_or_else(|| Halt::Genesis("its block is out of bounds".into()))?;
        let stored = match rows::load(&store).await.map_err(failed)? {
            Some(stored) => stored,
            None => write_genesis(&store, state, &genesis_block).await?,
        };
        let first = rows::header(&store, 0).await.map_err(failed)?;
        if first.as_ref() != Some(genesis_block.header()) {
            return Err(Halt::Genesis("the store holds another network".into()));
        }
        // After a restart the ledger is as old as its last block, not as young as this process.
        let seen_ms = stored.header.time_ms.min(now_ms());
        let tip = tip_of(&stored.header, seen_ms);
        Ok(Self {
            store,
            pool,
            network: genesis_block.header().network,
            genesis,
            genesis_block,
            now_ms,
            chain: Mutex::new(Chain::new(stored, seen_ms)),
            listeners: Mutex::default(),
            tip: watch::Sender::new(tip),
            halt: watch::Sender::new(None),
        })
    }

    pub(crate) fn genesis_block(&self) -> Arc<Block> {
        self.genesis_block.clone()
    }

    pub(crate) fn network(&self) -> NetworkId {
        self.network
    }

    pub(crate) fn now_ms(&self) -> u64 {
        (self.now_ms)()
    }

    pub(crate) fn view(&self) -> View {
        self.chain().view()
    }

    /// The finalised state and the header that names it.
    pub(crate) fn snapshot(&self) -> (View, ledger::Header) {
        let chain = self.chain();
        (chain.view(), chain.tip().clone())
    }

    pub(crate) fn tip(&self) -> Tip {
        *self.tip.borrow()
    }

    /// Changes with every finalised block and every late certificate.
    pub(crate) fn tip_changes(&self) -> watch::Receiver<Tip> {
        self.tip.subscribe()
    }

    pub(crate) fn halted(&self) -> Option<Halt> {
        self.halt.borrow().clone()
    }

    pub(crate) fn halts(&self) -> watch::Receiver<Option<Halt>> {
        self.halt.subscribe()
    }

    pub(crate) fn halt(&self, why: &Halt) {
        self.halt.send_modify(|halt| {
            halt.get_or_insert_with(|| why.clone());
        });
        // Whoever waits for the next block must learn that there will be none.
        self.tip.send_modify(|_| {});
        self.lock_listeners().clear();
    }

    /// A listener that hears of every block finalised from now on.
    pub(crate) fn listen(&self) -> ring::Receiver<Finalised> {
        let capacity = std::num::NonZeroUsize::MIN.saturating_add(LISTENER_BLOCKS - 1);
        let (sender, receiver) = ring::channel(capacity);
        self.lock_listeners().push(sender);
        receiver
    }

    /// The finalised log, the last header's own leaf included.
    pub(crate) fn log(&self) -> ledger::log::Frontier {
        self.chain().log()
    }

    /// How a block relates to what is in memory.
    pub(crate) fn relation(&self, block: &Block) -> Relation {
        self.chain().relation(block)
    }

    pub(crate) fn tried(&self, id: &codec::Digest) -> Option<Arc<Tried>> {
        self.chain().tried(id)
    }

    pub(crate) fn keep(&self, tried: Arc<Tried>) {
        self.chain().keep(tried);
    }

    /// Executes a block on top of its parent; none if it is not the block its header says.
    pub(crate) fn try_block(&self, parent: &Parent, block: &Block) -> Result<Arc<Tried>, Misfit> {
        let entries = self.decode(block).ok_or(Misfit)?;
        verify_together(&parent.view, &entries, &[block.id().as_bytes()]);
        let time_ms = block.header().time_ms;
        let extension =
            ledger::block::extend(&parent.header, &parent.log, &parent.view, time_ms, &entries)
                .map_err(|_| Misfit)?;
        if extension.header != *block.header() {
            return Err(Misfit);
        }
        let tried = Arc::new(Tried::new(extension, &entries, self.now_ms()));
        self.keep(tried.clone());
        Ok(tried)
    }

    /// The entries of a block. Those that are pending here were checked before.
    fn decode(&self, block: &Block) -> Option<Vec<SignedEntry>> {
        block
            .entries()
            .iter()
            .map(|bytes| match self.pool.get_exact(bytes) {
                Some(pending) => Some(pending.entry.clone()),
                None => SignedEntry::decode(bytes).ok(),
            })
            .collect()
    }

    /// Checks an entry and makes it pending.
    pub(crate) fn admit(&self, bytes: &[u8], ours: bool) -> Result<Admitted, SubmitError> {
        let entry = SignedEntry::decode(bytes).map_err(SubmitError::Malformed)?;
        self.admit_entry(entry, ours)
    }

    fn is_pending(&self, entry: &SignedEntry) -> bool {
        let known = self.pool.get(&entry.entry_id());
        known.is_some_and(|known| known.entry.header().last_valid >= entry.header().last_valid)
    }

    fn admit_entry(&self, entry: SignedEntry, ours: bool) -> Result<Admitted, SubmitError> {
        let id = entry.entry_id();
        if self.is_pending(&entry) {
            return Ok(Admitted { id, told: None });
        }
        let view = self.view();
        match admissible(&view, &entry) {
            Ok(()) => {}
            Err(Refusal::Duplicate { id, .. }) => return Err(SubmitError::Duplicate(id)),
            Err(refusal) if refusal.may_pass() => {
                // It waits for others: at least its signature must hold.
                let mut entropy = |out: &mut [u8]| out.fill(1);
                preverify(&view, std::slice::from_ref(&entry), &mut entropy);
                if !entry.is_verified() {
                    return Err(SubmitError::Refused(refusal));
                }
            }
            Err(refusal) => return Err(SubmitError::Refused(refusal)),
        }
        let bytes = entry.bytes().clone();
        let pending = Pending {
            id,
            entry,
            bytes: bytes.clone(),
            ours,
        };
        match self.pool.offer(pending, self.now_ms()) {
            Ok(Offered::Taken) => Ok(Admitted {
                id,
                told: Some(bytes),
            }),
            Ok(Offered::Known) => Ok(Admitted { id, told: None }),
            Err(_) => Err(SubmitError::Full),
        }
    }

    /// Applies the next finalised block; one applied before is ignored.
    pub(crate) async fn apply(
        &self,
        block: &Digested<Block>,
        certificate: Option<Bytes>,
    ) -> Result<(), Halt> {
        let block = block.inner();
        let height = block.header().height;
        let contradiction = |what: &str| Halt::Contradiction {
            height,
            what: what.into(),
        };
        let tip_height = self.tip().height;
        if height <= tip_height {
            return self.applied_before(block, certificate).await;
        }
        if height != tip_height.saturating_add(1) {
            return Err(contradiction("blocks before it are missing"));
        }
        let tried = match self.tried(&block.id()) {
            Some(tried) => tried,
            None => self.try_final(block)?,
        };
        let mut tiles = self.chain().tiles();
        let first_index = tiles.size();
        let changed = tiles.append(tried.leaves.iter().copied());
        let rows = BlockRows {
            header: &tried.header,
            header_bytes: block.header_bytes(),
            certificate,
            entries: &tried.entries,
            first_index,
            state: tried.executed.rows(),
            tiles: changed,
        };
        self.store
            .commit(rows.batch())
            .await
            .map_err(|source| Halt::Store { height, source })?;
        let seen_ms = self.now_ms();
        let finalised = finalised(&tried, first_index);
        let tip = tip_of(&tried.header, seen_ms);
        if !self.chain().advance(tried, tiles, seen_ms) {
            return Err(contradiction("it does not follow the block before"));
        }
        self.announce(finalised, tip);
        Ok(())
    }

    /// Keeps a certificate that came after its block.
    pub(crate) async fn certified(&self, height: u64, certificate: Bytes) -> Result<(), Halt> {
        self.store
            .commit(rows::certificate_batch(height, certificate))
            .await
            .map_err(|source| Halt::Store { height, source })?;
        self.tip.send_modify(|_| {});
        Ok(())
    }

    async fn applied_before(&self, block: &Block, certificate: Option<Bytes>) -> Result<(), Halt> {
        let height = block.header().height;
        let stored = rows::header(&self.store, height)
            .await
            .map_err(Halt::Unreadable)?;
        if stored.as_ref() != Some(block.header()) {
            return Err(Halt::Contradiction {
                height,
                what: "another block of its height was applied before".into(),
            });
        }
        match certificate {
            Some(certificate) => self.certified(height, certificate).await,
            None => Ok(()),
        }
    }

    fn try_final(&self, block: &Block) -> Result<Arc<Tried>, Halt> {
        let height = block.header().height;
        let parent = self.chain().finalised();
        let misfit = if block.header().parent == parent.header.digest() {
            match self.try_block(&parent, block) {
                Ok(tried) => return Ok(tried),
                Err(misfit) => misfit.to_string(),
            }
        } else {
            "it does not follow the block before".into()
        };
        Err(Halt::Contradiction {
            height,
            what: misfit,
        })
    }

    fn announce(&self, finalised: Finalised, tip: Tip) {
        self.pool.remove(finalised.entries.iter().map(|(id, _)| id));
        self.pool.expire(finalised.height.saturating_add(1));
        self.lock_listeners()
            .retain(|listener| listener.send_lossy(finalised.clone()));
        self.tip.send_replace(tip);
    }

    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_listeners(&self) -> MutexGuard<'_, Vec<ring::Sender<Finalised>>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks entries' signatures together, with coefficients that whoever made the entries could choose only
/// by choosing them: `of` depends on all of their bytes.
fn verify_together(view: &View, entries: &[SignedEntry], of: &[&[u8]]) {
    let mut coefficients = derived_rng(b"entries", of);
    let mut entropy = |out: &mut [u8]| rand_core::Rng::fill_bytes(&mut coefficients, out);
    preverify(view, entries, &mut entropy);
}

/// An entry that is pending.
pub(crate) struct Admitted {
    pub(crate) id: EntryId,
    /// What peers should hear, if it is news.
    pub(crate) told: Option<Bytes>,
}

/// A block that can never follow its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not what its header says")]
pub(crate) struct Misfit;

impl<S: Store> Listener for Replica<S> {
    fn heard(&self, entries: Vec<Bytes>) {
        let decoded = entries
            .iter()
            .filter_map(|bytes| SignedEntry::decode(bytes).ok());
        // What costs least first: a signature is checked of what may be new and has room.
        let view = self.view();
        let height = self.tip().height;
        let mut heard = BTreeSet::new();
        let news: Vec<SignedEntry> = decoded
            .filter(|entry| {
                entry.header().last_valid > height
                    && heard.insert(entry.entry_id())
                    && view.entry_seen(&entry.entry_id()).is_none()
                    && !self.is_pending(entry)
            })
            .take(self.pool.room_for_heard())
            .collect();
        drop(view);
        let all: Vec<&[u8]> = entries.iter().map(AsRef::as_ref).collect();
        verify_together(&self.view(), &news, &all);
        for entry in news {
            if let Err(why) = self.admit_entry(entry, false) {
                tracing::debug!(%why, "gossiped entry not taken");
            }
        }
    }
}

async fn write_genesis<S: Store>(store: &S, state: State, block: &Block) -> Result<Stored, Halt> {
    let mut tiles = ledger::log::Tiles::new();
    let changed = tiles.append([ledger::log::leaf_hash(block.header_bytes())]);
    let rows = BlockRows {
        header: block.header(),
        header_bytes: block.header_bytes(),
        certificate: None,
        entries: &[],
        first_index: 0,
        state: state.rows(),
        tiles: changed,
    };
    store
        .commit(rows.batch())
        .await
        .map_err(|source| Halt::Store { height: 0, source })?;
    Ok(Stored {
        header: block.header().clone(),
        state,
        tiles,
    })
}

fn finalised(tried: &Tried, first_index: u64) -> Finalised {
    let ids = tried.entries.iter().map(|(id, _)| *id);
    Finalised {
        height: tried.header.height,
        time_ms: tried.header.time_ms,
        entries: ids.zip(first_index..).collect(),
    }
}

fn tip_of(header: &ledger::Header, seen_ms: u64) -> Tip {
    Tip {
        height: header.height,
        time_ms: header.time_ms,
        digest: header.digest(),
        log_size: header.log_size,
        observed_at_ms: seen_ms,
    }
}
