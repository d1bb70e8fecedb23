//! The ledger as what the engine replicates: making, judging and applying blocks.
//!
//! Idle rule: a leader with nothing to include waits. An entry wakes it at once; otherwise it makes
//! an empty block when the last one was seen `idle_ms` ago. While it waits the engine may give the
//! turn to the next leader; the wait goes on there, because it counts from the last block.
//!
//! Under load a block costs every validator as much as some hundred entries, whatever is in it. So the
//! more entries the last block had, the longer a leader gathers, up to [`GATHER_MAX_MS`] after it; one
//! entry after another is not held up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use codec::EntryId;
use commonware_cryptography::Digested;
use commonware_macros::select;
use commonware_runtime::Clock;
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt, pending};
use ledger::SignedEntry;
use ledger::header::{Timing, block_time, timing};
use ledger::state::{BlockContext, Selection, admissible, select as select_entries};
use store::Store;

use crate::application::{Ancestors, Application, Halt};
use crate::block::Block;
use crate::chain::{Parent, Relation, Tried};
use crate::mempool::Pending;
use crate::replica::{Misfit, Replica};

/// Bounds of the blocks this node makes, and when it makes empty ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Making {
    pub(crate) max_entries: usize,
    pub(crate) max_bytes: usize,
    pub(crate) idle_ms: u64,
    /// Longest time that executing a block made here should take.
    pub(crate) execute_ms: u64,
}

/// Fewest entries that a block is filled with, however slow this machine is.
const FEWEST: usize = 16;

/// How long a leader gathers after a block, for each entry in it, and the longest. More than a thousand
/// entries a second, or so, make blocks of [`GATHER_MAX_MS`]: then
/// syncs and wake-ups do not outweigh the entries, and finality stays well within a second.
const GATHER_MS_EACH: u64 = 1;
const GATHER_MAX_MS: u64 = 150;

/// Pending entries for which nobody gathers any longer, and how often a leader looks.
const GATHERED: usize = 1_024;
const GATHER_LOOK_MS: u64 = 10;

/// How often a proposer looks further when all entries it looked at were refused.
const WINDOWS: usize = 8;

/// The ledger as an [`Application`].
pub(crate) struct LedgerApplication<E, S> {
    clock: E,
    replica: Arc<Replica<S>>,
    making: Making,
    /// How many entries this machine executes in time: others must do the same within one view.
    fits: AtomicUsize,
}

/// Why a parent cannot be built upon now.
enum NoParent {
    /// It lost against a finalised block, or the engine forgot it.
    Gone,
    /// It does not fit what this node knows, although others voted for it.
    Misfit(Misfit),
}

impl<E: Clock, S: Store> LedgerApplication<E, S> {
    pub(crate) fn new(clock: E, replica: Arc<Replica<S>>, making: Making) -> Self {
        Self {
            clock,
            replica,
            fits: AtomicUsize::new(making.max_entries),
            making,
        }
    }

    /// What to build on, executing ancestors that are not in memory.
    async fn parent(&self, ancestors: &mut Ancestors) -> Result<Box<Parent>, NoParent> {
        let mut untried = Vec::new();
        let mut parent = loop {
            let block = ancestors.next().await.ok_or(NoParent::Gone)?;
            match self.replica.relation(block.inner()) {
                Relation::Known(parent) => break parent,
                Relation::Stale => return Err(NoParent::Gone),
                Relation::Ahead => untried.push(block),
            }
        };
        while let Some(block) = untried.pop() {
            self.replica
                .try_block(&parent, block.inner())
                .map_err(NoParent::Misfit)?;
            drop(parent);
            parent = match self.replica.relation(block.inner()) {
                Relation::Known(next) => next,
                Relation::Ahead | Relation::Stale => return Err(NoParent::Gone),
            };
        }
        Ok(parent)
    }

    async fn make(&self, mut ancestors: Ancestors) -> Option<Block> {
        let newest = ancestors.next().await?;
        let mut arrivals = self.replica.pool.arrivals();
        // Counted here, beside the clock: one that was set back must not hold a block up.
        let mut slept_ms = 0_u64;
        loop {
            let parent = match self.relate(&newest, ancestors.clone()).await {
                Ok(parent) => parent,
                Err(NoParent::Gone) => return None,
                Err(NoParent::Misfit(misfit)) => {
                    tracing::error!(%misfit, "cannot build on a certified block");
                    return None;
                }
            };
            arrivals.mark_unchanged();
            let since = self.replica.now_ms().saturating_sub(parent.seen_ms);
            let waited = since.max(slept_ms);
            let gathering = self.gathering_ms(&parent).saturating_sub(waited);
            if gathering > 0 {
                drop(parent);
                let look = gathering.min(GATHER_LOOK_MS);
                self.clock.sleep(Duration::from_millis(look)).await;
                slept_ms = slept_ms.saturating_add(look);
                continue;
            }
            if let Some(block) = self.fill(&parent) {
                return Some(block);
            }
            if waited >= self.making.idle_ms {
                return self.finish(&parent, Vec::new());
            }
            // A view held while waiting would keep the finalised state from moving on.
            drop(parent);
            let rest_ms = self.making.idle_ms.saturating_sub(waited);
            select! {
                changed = arrivals.changed() => {
                    changed.ok()?;
                },
                () = self.clock.sleep(Duration::from_millis(rest_ms)) => {
                    slept_ms = slept_ms.saturating_add(rest_ms);
                },
            }
        }
    }

    /// How long after its parent a block is to gather entries.
    fn gathering_ms(&self, parent: &Parent) -> u64 {
        if self.replica.pool.size().0 >= GATHERED {
            return 0;
        }
        let entries = u64::try_from(parent.entries).unwrap_or(u64::MAX);
        entries.saturating_mul(GATHER_MS_EACH).min(GATHER_MAX_MS)
    }

    /// The parent again; only its newest block is looked at if it is in memory.
    async fn relate(
        &self,
        newest: &Digested<Block>,
        mut older: Ancestors,
    ) -> Result<Box<Parent>, NoParent> {
        match self.replica.relation(newest.inner()) {
            Relation::Known(parent) => Ok(parent),
            Relation::Stale => Err(NoParent::Gone),
            Relation::Ahead => {
                let before = self.parent(&mut older).await?;
                self.replica
                    .try_block(&before, newest.inner())
                    .map_err(NoParent::Misfit)?;
                drop(before);
                match self.replica.relation(newest.inner()) {
                    Relation::Known(parent) => Ok(parent),
                    Relation::Ahead | Relation::Stale => Err(NoParent::Gone),
                }
            }
        }
    }

    /// A block of pending entries; none if no pending entry can follow.
    fn fill(&self, parent: &Parent) -> Option<Block> {
        let mut refused = BTreeSet::new();
        for _ in 0..WINDOWS {
            let waiting = self.waiting(parent, &refused);
            if waiting.is_empty() {
                return None;
            }
            let entries: Vec<SignedEntry> = waiting
                .iter()
                .map(|pending| pending.entry.clone())
                .collect();
            let selection = self.choose(parent, &entries)?;
            let mut hopeless = Vec::new();
            for (index, why) in &selection.refused {
                if let Some(pending) = waiting.get(*index) {
                    refused.insert(pending.id);
                    if !why.may_pass() {
                        hopeless.push(pending);
                    }
                }
            }
            self.sweep(&hopeless);
            let chosen: Vec<SignedEntry> = selection
                .chosen
                .iter()
                .filter_map(|index| entries.get(*index).cloned())
                .collect();
            if !chosen.is_empty() {
                return self.seal(parent, selection.executed, &chosen);
            }
        }
        None
    }

    /// Pending entries that no ancestor includes and that were not refused just now.
    fn waiting(&self, parent: &Parent, refused: &BTreeSet<EntryId>) -> Vec<Arc<Pending>> {
        let fits = self.fits.load(Ordering::Relaxed);
        let wanted = |pending: &Pending| {
            !refused.contains(&pending.id) && parent.view.entry_seen(&pending.id).is_none()
        };
        let pool = &self.replica.pool;
        pool.oldest(fits, self.making.max_bytes, wanted)
    }

    fn choose(&self, parent: &Parent, entries: &[SignedEntry]) -> Option<Selection> {
        let started_ms = self.replica.now_ms();
        let selection = select_entries(&parent.view, &self.context(parent), entries);
        let took_ms = self.replica.now_ms().saturating_sub(started_ms);
        self.adapt(entries.len(), took_ms);
        match selection {
            Ok(selection) => Some(selection),
            Err(rejection) => {
                tracing::error!(%rejection, "cannot execute pending entries");
                None
            }
        }
    }

    /// Learns from how long executing `count` entries took.
    fn adapt(&self, count: usize, took_ms: u64) {
        let budget_ms = self.making.execute_ms.max(1);
        let fits = self.fits.load(Ordering::Relaxed);
        let next = if took_ms > budget_ms {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            let in_time = count.saturating_mul(budget_ms) / took_ms;
            usize::try_from(in_time).unwrap_or(usize::MAX)
        } else if count >= fits {
            fits.saturating_mul(2)
        } else {
            return;
        };
        let most = self.making.max_entries;
        self.fits
            .store(next.clamp(FEWEST.min(most), most), Ordering::Relaxed);
    }

    fn finish(&self, parent: &Parent, entries: Vec<SignedEntry>) -> Option<Block> {
        let executed =
            ledger::state::execute(&parent.view, &self.context(parent), &entries).ok()?;
        self.seal(parent, executed, &entries)
    }

    fn seal(
        &self,
        parent: &Parent,
        executed: ledger::Executed,
        entries: &[SignedEntry],
    ) -> Option<Block> {
        let extension =
            ledger::block::seal(&parent.header, &parent.log, &parent.view, executed, entries)
                .ok()?;
        let tried = Arc::new(Tried::new(extension, entries, self.replica.now_ms()));
        let block = Block::new(tried.header.clone(), tried.bodies())?;
        self.replica.keep(tried);
        Some(block)
    }

    fn context(&self, parent: &Parent) -> BlockContext {
        BlockContext {
            height: parent.header.height.saturating_add(1),
            time_ms: block_time(parent.header.time_ms, self.replica.now_ms()),
        }
    }

    /// Drops pending entries that the finalised state refuses for good.
    fn sweep(&self, refused: &[&Arc<Pending>]) {
        if refused.is_empty() {
            return;
        }
        let view = self.replica.view();
        let hopeless: Vec<_> = refused
            .iter()
            .filter(|pending| {
                admissible(&view, &pending.entry).is_err_and(|refusal| !refusal.may_pass())
            })
            .map(|pending| pending.id)
            .collect();
        self.replica.pool.remove(&hopeless);
    }

    async fn judge(&self, mut ancestors: Ancestors) -> bool {
        let Some(block) = ancestors.next().await else {
            return pending().await;
        };
        let block = block.inner();
        let time_ms = block.header().time_ms;
        if let Some(tried) = self.replica.tried(&block.id()) {
            let parent_ms = tried.executed.parent().time_ms;
            drop(tried);
            return self.wait_for_its_time(parent_ms, time_ms).await;
        }
        let parent = match self.parent(&mut ancestors).await {
            Ok(parent) => parent,
            // Another block is final, or this node is at fault: no verdict of ours can help.
            Err(NoParent::Gone) => return pending().await,
            Err(NoParent::Misfit(misfit)) => {
                tracing::error!(%misfit, "cannot judge a block whose parent does not fit");
                return pending().await;
            }
        };
        let parent_ms = parent.header.time_ms;
        let verdict = self.replica.try_block(&parent, block);
        drop(parent);
        if verdict.is_err() {
            return false;
        }
        self.wait_for_its_time(parent_ms, time_ms).await
    }

    /// A valid block's verdict, not before its time: a clock that is ahead delays, it never
    /// decides.
    async fn wait_for_its_time(&self, parent_ms: u64, time_ms: u64) -> bool {
        loop {
            match timing(parent_ms, time_ms, self.replica.now_ms()) {
                Timing::Now => return true,
                Timing::Never => return false,
                Timing::Later { wait_ms } => {
                    tracing::warn!(wait_ms, "a proposed block's time lies far ahead; waiting");
                    self.clock.sleep(Duration::from_millis(wait_ms)).await;
                }
            }
        }
    }
}

impl<E: Clock, S: Store> Application for LedgerApplication<E, S> {
    fn genesis(&self) -> Arc<Block> {
        self.replica.genesis_block()
    }

    fn applied_height(&self) -> u64 {
        self.replica.tip().height
    }

    fn validators(&self, epoch: u64) -> Option<Vec<keys::PublicKey>> {
        let validators = self.replica.view().validators(epoch)?;
        Some(validators.keys())
    }

    fn propose(&self, ancestors: Ancestors) -> BoxFuture<'_, Option<Block>> {
        self.make(ancestors).boxed()
    }

    fn verify(&self, ancestors: Ancestors) -> BoxFuture<'_, bool> {
        self.judge(ancestors).boxed()
    }

    fn finalise(
        &self,
        block: Digested<Block>,
        certificate: Option<Bytes>,
    ) -> BoxFuture<'_, Result<(), Halt>> {
        async move { self.replica.apply(&block, certificate).await }.boxed()
    }

    fn certified(&self, height: u64, certificate: Bytes) -> BoxFuture<'_, Result<(), Halt>> {
        self.replica.certified(height, certificate).boxed()
    }

    fn halted(&self, why: &Halt) {
        self.replica.halt(why);
    }

    fn is_stopping(&self) -> bool {
        self.replica.halted() == Some(Halt::Shutdown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use commonware_consensus::marshal::ancestry::{BoxedAncestry, from_iter};
    use commonware_cryptography::Digestible;
    use commonware_runtime::{Runner, Spawner, Supervisor, deterministic};
    use ledger::header::AHEAD_LIMIT_MS;

    use crate::block::entries_root;
    use crate::clock::now_ms;
    use crate::fixture::Fixture;
    use crate::memory::Memory;
    use crate::mempool::{Limits, Mempool};

    type Tested = LedgerApplication<deterministic::Context, Memory>;

    async fn application(context: &deterministic::Context) -> (Fixture, Tested) {
        let fixture = Fixture::new(1, 1, 20);
        let pool = Arc::new(Mempool::new(Limits {
            max_entries: 100,
            max_bytes: 100_000,
        }));
        let clock = context.child("clock");
        let now = Arc::new(move || now_ms(&clock));
        let replica = Replica::open(Memory::default(), fixture.genesis.clone(), pool, now)
            .await
            .unwrap();
        let making = Making {
            max_entries: 64,
            max_bytes: 100_000,
            idle_ms: 10_000,
            execute_ms: 250,
        };
        let application =
            LedgerApplication::new(context.child("application"), Arc::new(replica), making);
        (fixture, application)
    }

    /// A block over the genesis.
    fn child(application: &Tested, time_ms: u64, entries: &[SignedEntry]) -> Block {
        let Relation::Known(parent) = application
            .replica
            .relation(&application.replica.genesis_block())
        else {
            unreachable!("the genesis is final");
        };
        let extension =
            ledger::block::extend(&parent.header, &parent.log, &parent.view, time_ms, entries)
                .unwrap();
        let bodies = entries.iter().map(|entry| entry.bytes().clone()).collect();
        Block::new(extension.header, bodies).unwrap()
    }

    fn ancestors(application: &Tested, block: Block) -> Ancestors {
        let digested = |block: Arc<Block>| {
            let digest = block.digest();
            Digested::precomputed(block, digest)
        };
        let genesis = application.replica.genesis_block();
        BoxedAncestry::new(from_iter([digested(Arc::new(block)), digested(genesis)]))
    }

    #[test]
    fn a_block_ahead_of_the_clock_waits_and_is_never_refused() {
        deterministic::Runner::default().start(|context| async move {
            let (_, application) = application(&context).await;
            let block = child(&application, AHEAD_LIMIT_MS + 60_000, &[]);
            let ancestors = ancestors(&application, block);
            let application = Arc::new(application);
            let judged = application.clone();
            let again = ancestors.clone();
            let verdict = context
                .child("verdict")
                .spawn(move |_| async move { judged.verify(ancestors).await });
            // Asked again while the first answer waits, it waits as well.
            let early = application.verify(again).now_or_never();
            assert_eq!(early, None);
            assert!(verdict.await.unwrap());
            let waited = now_ms(&context);
            assert!((60_000..61_000).contains(&waited), "{waited} ms");
        });
    }

    #[test]
    fn a_block_that_is_not_what_it_says_is_refused() {
        deterministic::Runner::default().start(|context| async move {
            let (fixture, application) = application(&context).await;
            let entry = SignedEntry::decode(&fixture.entry(0, 1)).unwrap();
            let good = child(&application, 5, std::slice::from_ref(&entry));
            let bodies = good.entries().to_vec();
            let mut header = good.header().clone();
            header.state_root = codec::Digest::new([1; 32]);
            let wrong_state = Block::new(header, bodies.clone()).unwrap();
            let mut header = good.header().clone();
            header.time_ms = 0;
            let wrong_time = Block::new(header, bodies).unwrap();
            let mut forged = entry.bytes().to_vec();
            *forged.last_mut().unwrap() ^= 1;
            let forged = vec![Bytes::from(forged)];
            let mut header = good.header().clone();
            header.entries_root = entries_root(&forged);
            let wrong_signature = Block::new(header, forged).unwrap();
            for bad in [wrong_state, wrong_time, wrong_signature] {
                assert!(!application.verify(ancestors(&application, bad)).await);
            }
            assert!(application.verify(ancestors(&application, good)).await);
        });
    }

    #[test]
    fn slow_machines_make_smaller_blocks() {
        deterministic::Runner::default().start(|context| async move {
            let (_, application) = application(&context).await;
            let fits = || application.fits.load(Ordering::Relaxed);
            application.adapt(64, 1_000);
            assert_eq!(fits(), FEWEST);
            application.adapt(16, 100);
            assert_eq!(fits(), 32);
            application.adapt(10, 100);
            assert_eq!(fits(), 32);
            application.adapt(32, 100);
            application.adapt(64, 100);
            assert_eq!(fits(), 64);
        });
    }
}
