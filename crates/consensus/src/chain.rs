//! The chain in memory: the finalised ledger, and the blocks tried on top of it.
//!
//! Blocks are executed once, when proposed or first verified, and kept by block id until a block of
//! their height is final. Forgetting one costs only executing it again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use codec::{Digest, EntryId};
use ledger::block::Extension;
use ledger::log::{Frontier, Tiles};
use ledger::state::{Executed, View};
use ledger::{Header, SignedEntry, State};

use crate::block::Block;
use crate::rows::Stored;

/// Most blocks kept on top of the finalised one.
const TRIED_LIMIT: usize = 256;

/// A finalised ledger and what was tried on top of it.
pub(crate) struct Chain {
    state: State,
    tiles: Tiles,
    log: Frontier,
    tip: Header,
    tip_id: Digest,
    /// Entries in the last finalised block; 0 after a restart.
    tip_entries: usize,
    seen_ms: u64,
    tried: HashMap<Digest, Arc<Tried>>,
    // Ids in the order they were tried; the sequence never repeats.
    order: BTreeMap<u64, Digest>,
    next: u64,
}

/// A block that was executed on top of its parent.
pub(crate) struct Tried {
    pub(crate) header: Header,
    pub(crate) executed: Arc<Executed>,
    pub(crate) log: Frontier,
    pub(crate) entries: Vec<(EntryId, Bytes)>,
    pub(crate) leaves: Vec<Digest>,
    seen_ms: u64,
}

/// What a new block is built on. Short-lived: it holds a view.
pub(crate) struct Parent {
    pub(crate) header: Header,
    pub(crate) log: Frontier,
    pub(crate) view: View,
    /// Entries in it.
    pub(crate) entries: usize,
    /// When this node first saw it, by its own clock.
    pub(crate) seen_ms: u64,
}

/// How a block relates to what is in memory.
pub(crate) enum Relation {
    /// It is the last finalised block, or was tried on top of it.
    Known(Box<Parent>),
    /// Its ancestors must be tried first.
    Ahead,
    /// It cannot be extended any more: another block of its height, or a later one, is final.
    Stale,
}

impl Tried {
    /// What executing these entries gave.
    pub(crate) fn new(extension: Extension, entries: &[SignedEntry], seen_ms: u64) -> Self {
        let leaves = ledger::block::log_leaves(&extension.header, entries);
        Self {
            header: extension.header,
            executed: Arc::new(extension.executed),
            log: extension.log,
            entries: entries
                .iter()
                .map(|entry| (entry.entry_id(), entry.bytes().clone()))
                .collect(),
            leaves,
            seen_ms,
        }
    }

    /// The block's body.
    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.entries
            .iter()
            .map(|(_, bytes)| bytes.clone())
            .collect()
    }
}

impl Chain {
    pub(crate) fn new(stored: Stored, seen_ms: u64) -> Self {
        Self {
            log: stored.tiles.frontier(),
            tip_id: stored.header.digest(),
            state: stored.state,
            tiles: stored.tiles,
            tip: stored.header,
            tip_entries: 0,
            seen_ms,
            tried: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
        }
    }

    /// The last finalised header.
    pub(crate) fn tip(&self) -> &Header {
        &self.tip
    }

    /// A view of the finalised state.
    pub(crate) fn view(&self) -> View {
        self.state.view()
    }

    /// The partial tiles of the finalised log.
    pub(crate) fn tiles(&self) -> Tiles {
        self.tiles.clone()
    }

    /// A block tried before.
    pub(crate) fn tried(&self, id: &Digest) -> Option<Arc<Tried>> {
        self.tried.get(id).cloned()
    }

    /// The finalised log, the last header's own leaf included.
    pub(crate) fn log(&self) -> Frontier {
        self.log.clone()
    }

    /// The last finalised block, to build on.
    pub(crate) fn finalised(&self) -> Parent {
        Parent {
            header: self.tip.clone(),
            log: self.log.clone(),
            view: self.state.view(),
            entries: self.tip_entries,
            seen_ms: self.seen_ms,
        }
    }

    /// How a block relates to what is in memory.
    pub(crate) fn relation(&self, block: &Block) -> Relation {
        let id = block.id();
        if id == self.tip_id {
            return Relation::Known(Box::new(self.finalised()));
        }
        if block.header().height <= self.tip.height {
            return Relation::Stale;
        }
        match self.tried.get(&id) {
            Some(tried) => self.over(tried),
            None => Relation::Ahead,
        }
    }

    fn over(&self, last: &Arc<Tried>) -> Relation {
        let mut path = vec![last.clone()];
        let mut parent = last.header.parent;
        let mut height = last.header.height;
        while parent != self.tip_id {
            let Some(tried) = self.tried.get(&parent) else {
                break;
            };
            parent = tried.header.parent;
            height = tried.header.height;
            path.push(tried.clone());
        }
        if parent != self.tip_id {
            // Below the finalised height nothing can be tried any more.
            let lost = height.saturating_sub(1) <= self.tip.height;
            return if lost {
                Relation::Stale
            } else {
                Relation::Ahead
            };
        }
        let mut view = self.state.view();
        for tried in path.iter().rev() {
            match view.with(tried.executed.clone()) {
                Ok(next) => view = next,
                Err(_) => return Relation::Ahead,
            }
        }
        Relation::Known(Box::new(Parent {
            header: last.header.clone(),
            log: last.log.clone(),
            view,
            entries: last.entries.len(),
            seen_ms: last.seen_ms,
        }))
    }

    /// Keeps a block that was executed on top of its parent.
    pub(crate) fn keep(&mut self, tried: Arc<Tried>) {
        let id = tried.header.digest();
        if tried.header.height <= self.tip.height || self.tried.contains_key(&id) {
            return;
        }
        while self.tried.len() >= TRIED_LIMIT {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            self.tried.remove(&oldest);
        }
        self.order.insert(self.next, id);
        self.next = self.next.saturating_add(1);
        self.tried.insert(id, tried);
    }

    /// Makes a block final, after its rows are durable. False if it does not follow the tip.
    pub(crate) fn advance(&mut self, tried: Arc<Tried>, tiles: Tiles, seen_ms: u64) -> bool {
        if tried.header.parent != self.tip_id || !tried.executed.follows(&self.state.view()) {
            return false;
        }
        let (header, log) = (tried.header.clone(), tried.log.clone());
        let entries = tried.entries.len();
        let id = header.digest();
        // Held by nobody else any more, what it wrote moves into the state uncopied.
        self.tried.remove(&id);
        let executed = tried.executed.clone();
        drop(tried);
        if self.state.apply(executed).is_err() {
            return false;
        }
        self.tip = header;
        self.tip_id = id;
        self.log = log;
        self.tip_entries = entries;
        self.tiles = tiles;
        self.seen_ms = seen_ms;
        let height = self.tip.height;
        self.tried.retain(|_, tried| tried.header.height > height);
        self.order.retain(|_, id| self.tried.contains_key(id));
        true
    }
}
