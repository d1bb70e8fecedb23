//! An application that does next to nothing, to measure the engine alone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use codec::{Digest, NetworkId};
use commonware_cryptography::Digested;
use commonware_utils::channel::watch;
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use ledger::Header;

use crate::application::{Ancestors, Application, Halt};
use crate::block::{Block, entries_root};

/// A finalised block of a [`NullApplication`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Its height.
    pub height: u64,
    /// When its proposer made it, in Unix milliseconds.
    pub time_ms: u64,
    /// When it was finalised here, in Unix milliseconds.
    pub finalised_ms: u64,
    /// Entries finalised so far.
    pub entries: u64,
}

/// Orders made-up entries: no state, no log, nothing durable beyond the engine's own storage.
pub struct NullApplication {
    genesis: Arc<Block>,
    validators: Vec<keys::PublicKey>,
    entries: Vec<Bytes>,
    clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    applied: AtomicU64,
    passed: watch::Sender<Passed>,
    why: Mutex<Option<Halt>>,
}

impl NullApplication {
    /// Blocks of `entries` entries of `entry_bytes` bytes each (at most the block's limits), agreed
    /// by `validators`; `clock` gives Unix milliseconds.
    #[must_use]
    pub fn new(
        network: NetworkId,
        validators: Vec<keys::PublicKey>,
        (entries, entry_bytes): (usize, usize),
        clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    ) -> Option<Self> {
        let header = Header {
            network,
            height: 0,
            parent: Digest::new([0; 32]),
            time_ms: 0,
            entries_root: entries_root(&[]),
            log_size: 0,
            log_root: Digest::new([0; 32]),
            state_root: Digest::new([0; 32]),
            next_validators: None,
        };
        let entry = Bytes::from(vec![0x5a; entry_bytes]);
        Some(Self {
            genesis: Arc::new(Block::new(header, Vec::new())?),
            validators,
            entries: vec![entry; entries],
            clock,
            applied: AtomicU64::new(0),
            passed: watch::Sender::new(Passed::default()),
            why: Mutex::new(None),
        })
    }

    /// The last finalised block, as it changes.
    #[must_use]
    pub fn passed(&self) -> watch::Receiver<Passed> {
        self.passed.subscribe()
    }

    fn child(&self, parent: &Header) -> Option<Block> {
        let entries = self.entries.clone();
        let count = u64::try_from(entries.len()).ok()?;
        let header = Header {
            height: parent.height.checked_add(1)?,
            parent: parent.digest(),
            time_ms: ledger::header::block_time(parent.time_ms, (self.clock)()),
            entries_root: entries_root(&entries),
            log_size: parent.log_size.checked_add(count)?.checked_add(1)?,
            ..parent.clone()
        };
        Block::new(header, entries)
    }
}

impl Application for NullApplication {
    fn genesis(&self) -> Arc<Block> {
        self.genesis.clone()
    }

    fn applied_height(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    fn validators(&self, _epoch: u64) -> Option<Vec<keys::PublicKey>> {
        Some(self.validators.clone())
    }

    fn propose(&self, mut ancestors: Ancestors) -> BoxFuture<'_, Option<Block>> {
        async move { self.child(ancestors.next().await?.inner().header()) }.boxed()
    }

    fn verify(&self, mut ancestors: Ancestors) -> BoxFuture<'_, bool> {
        async move {
            match (ancestors.next().await, ancestors.next().await) {
                (Some(block), Some(parent)) => {
                    block.inner().header().follows(parent.inner().header())
                }
                _ => std::future::pending().await,
            }
        }
        .boxed()
    }

    fn finalise(
        &self,
        block: Digested<Block>,
        _certificate: Option<Bytes>,
    ) -> BoxFuture<'_, Result<(), Halt>> {
        let header = block.inner().header();
        if header.height > self.applied_height() {
            self.applied.store(header.height, Ordering::Release);
            let count = u64::try_from(block.inner().entries().len()).unwrap_or(u64::MAX);
            self.passed.send_modify(|passed| {
                *passed = Passed {
                    height: header.height,
                    time_ms: header.time_ms,
                    finalised_ms: (self.clock)(),
                    entries: passed.entries.saturating_add(count),
                };
            });
        }
        async { Ok(()) }.boxed()
    }

    fn certified(&self, _: u64, _: Bytes) -> BoxFuture<'_, Result<(), Halt>> {
        async { Ok(()) }.boxed()
    }

    fn halted(&self, why: &Halt) {
        if let Ok(mut kept) = self.why.lock() {
            *kept = Some(why.clone());
        }
    }
}
