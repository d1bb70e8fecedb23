//! Starting and stopping a node.

use crate::ambient::Ambient;
use crate::config::Config;
use crate::custodian::Custodian;
use crate::differential::Insight;
use crate::event::Broadcast;
use crate::fhir::Subscribed;
use crate::governance::keys::Signers;
use crate::handle::{Handle, Job};
use crate::record::form::Rules;
use crate::share::{AT_ONCE, AT_ONCE_EACH, Places};
use crate::wait::{Waits, Wakes};
use codec::time::Millis;
use commonware_runtime as runtime;
use consensus::network::Lookup;
use futures::channel::{mpsc, oneshot};
use futures::future::{Either, select};
use futures::{FutureExt, StreamExt};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use store::{Batch, Range, Store};
use vault::{Keychain, Settings, Vault};

/// What a node needs of its runtime; both of the engine's runtimes have it.
pub trait Runtime: consensus::Runtime + runtime::Network + runtime::Resolver {}

impl<T: consensus::Runtime + runtime::Network + runtime::Resolver> Runtime for T {}

/// How long a stopping node waits for use cases in flight.
const STOP_MS: u64 = 10_000;

/// A running node.
pub struct Node {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    /// Resolves when no call is in flight any more.
    quiet: oneshot::Receiver<()>,
    /// Dropped: the node's parts may end.
    release: oneshot::Sender<()>,
    task: runtime::Handle<()>,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The vault could not be opened.
    #[error("the vault could not be opened")]
    Vault(#[from] vault::Error),
    /// Consensus could not be started.
    #[error("consensus could not be started")]
    Consensus(#[from] consensus::StartError),
    /// The validator's seed is malformed.
    #[error("the validator key is malformed")]
    Validator,
    /// The runtime ended while the node was starting.
    #[error("the node was stopped while it started")]
    Stopped,
}

impl Node {
    /// Starts a node over TCP to its configured peers. It runs until [`Node::stop`] or the end of the
    /// task that owns `context`.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start<E, S>(
        context: E,
        config: Config,
        store: S,
        keychain: Keychain,
    ) -> Result<Self, StartError>
    where
        E: Runtime,
        S: Store,
        Lookup: consensus::Wired<E>,
    {
        let seed = keychain.identity().validator_seed;
        let network =
            Lookup::new(&seed, config.listen, config.peers.clone()).ok_or(StartError::Validator)?;
        let network = network.asking_again(config.peers_again.clone());
        Self::start_over(context, config, network, store, keychain).await
    }

    /// Starts a node over any network.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start_over<E, S, N>(
        context: E,
        config: Config,
        network: N,
        store: S,
        keychain: Keychain,
    ) -> Result<Self, StartError>
    where
        E: consensus::Runtime,
        S: Store,
        N: consensus::Wired<E>,
    {
        Self::start_with(
            Ambient::of(&context),
            context,
            config,
            network,
            store,
            keychain,
        )
        .await
    }

    /// Starts a node whose clock and randomness are not its runtime's: for simulations of clocks that are
    /// wrong.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start_with<E, S, N>(
        ambient: Ambient,
        context: E,
        config: Config,
        network: N,
        store: S,
        keychain: Keychain,
    ) -> Result<Self, StartError>
    where
        E: consensus::Runtime,
        S: Store,
        N: consensus::Wired<E>,
    {
        let (stop, stopped) = oneshot::channel();
        let (started, start) = oneshot::channel();
        let (drained, quiet) = oneshot::channel();
        let (release, released) = oneshot::channel();
        // One task owns everything: when it ends, so does all that it started.
        let task = context.child("node").spawn(move |context| async move {
            let opened = open(&context, ambient, config, network, store, keychain).await;
            let (custodian, handle, jobs) = match opened {
                Ok(opened) => opened,
                Err(error) => {
                    started.send(Err(error)).ok();
                    return;
                }
            };
            crate::pump::start(&context, &custodian);
            started.send(Ok(handle.clone())).ok();
            serve(&context, jobs, stopped).await;
            drain(&custodian, &handle).await;
            custodian.ledger.stop();
            drained.send(()).ok();
            released.await.ok();
        });
        let handle = start.await.map_err(|_| StartError::Stopped)??;
        Ok(Self {
            handle,
            stop: Some(stop),
            quiet,
            release,
            task,
        })
    }

    /// Calls this node's use cases.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Takes no more calls, lets those in flight end, and ends everything else. What is durable goes on
    /// from there at the next start.
    pub async fn stop(self) {
        self.stop_with(async {}).await;
    }

    /// The same, and runs `end` when no call is in flight any more and before anything is ended: whose runtime
    /// has nothing else to run tells it to stop there, so that each part ends by itself.
    pub async fn stop_with(mut self, end: impl Future<Output = ()>) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        self.quiet.await.ok();
        end.await;
        drop(self.release);
        self.task.await.ok();
    }

    /// Ends everything at once, as a crash would.
    pub async fn crash(self) {
        self.task.abort();
        self.task.await.ok();
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Node")
    }
}

type Opened<S> = (Arc<Custodian<S>>, Handle, mpsc::UnboundedReceiver<Job>);

async fn open<E, S, N>(
    context: &E,
    ambient: Ambient,
    config: Config,
    network: N,
    store: S,
    keychain: Keychain,
) -> Result<Opened<S>, StartError>
where
    E: consensus::Runtime,
    S: Store,
    N: consensus::Wired<E>,
{
    let identity = keychain.identity();
    let signers = Signers::of(&identity);
    let validator =
        consensus::engine::public_key(&identity.validator_seed).ok_or(StartError::Validator)?;
    let mut settings = Settings::new(config.institution, Arc::new(Rules));
    settings.period_ms = config.genesis.parameters.disclosure_period_ms;
    let vault = Vault::open(store.clone(), keychain, settings).await?;
    vault
        .erasures_resume(Millis::new(ambient.now_ms()), &mut ambient.entropy())
        .await?;
    ledger_reset(&vault, &store, &ambient).await?;
    let id = config.institution;
    let ledger = consensus::start(
        context.child("consensus"),
        network,
        store,
        consensus::Config {
            partition: config.partition,
            idle_block_ms: config.idle_block_ms,
            leader_timeout_ms: config.leader_timeout_ms,
            ..consensus::Config::new(config.genesis, identity.validator_seed)
        },
    )
    .await?;
    let events = Broadcast::new(config.limits.event_backlog);
    let in_flight = config.limits.in_flight;
    let custodian = Arc::new(Custodian {
        id,
        network: ledger.network(),
        vault,
        ledger,
        policy: config.policy,
        institution_policy: config.institution_policy,
        limits: config.limits,
        ambient,
        signers: Mutex::new(Arc::new(signers)),
        keys_pending: AtomicBool::new(true),
        keys_turn: futures::lock::Mutex::default(),
        validator,
        events: events.clone(),
        waits: Waits::default(),
        wakes: Wakes::default(),
        counters: crate::status::Counters::default(),
        quiet_ms: AtomicU64::new(0),
        behind: AtomicU64::new(0),
        shares: Places::new(AT_ONCE, AT_ONCE_EACH),
        insight: config.knowledge.map(|known| Arc::new(Insight::new(known))),
        submitted: Mutex::default(),
        directory: std::sync::OnceLock::new(),
        fhir_turn: futures::lock::Mutex::default(),
        identity_turn: futures::lock::Mutex::default(),
        exports_turn: futures::lock::Mutex::default(),
        research: config.research,
        research_turn: futures::lock::Mutex::default(),
        studies_turn: futures::lock::Mutex::default(),
        making: Mutex::default(),
        subscriptions: config.subscriptions,
        subscribed: Subscribed::default(),
        batched: Mutex::default(),
    });
    // Before the first write, which is compared with them.
    custodian.subscriptions_load().await?;
    // Until the first block comes, how old the ledger is can only be told by the clock.
    let age_ms = custodian.ledger_age_ms();
    custodian.quiet_ms.store(age_ms, Ordering::Relaxed);
    let (sender, jobs) = mpsc::unbounded();
    let handle = Handle::new(&custodian, sender, in_flight, events);
    Ok((custodian, handle, jobs))
}

/// Name of the row that says for which restore the ledger was begun anew.
const RESET: &[u8] = b"ledger-reset";

/// Once after a restore, removes the backup's copy of the ledger: the engine's own journals are not in a
/// backup, and without them it goes on from nothing but what its peers have.
async fn ledger_reset<S: Store>(
    vault: &Vault<S>,
    store: &S,
    ambient: &Ambient,
) -> Result<(), StartError> {
    let Some(restored) = vault.restored() else {
        return Ok(());
    };
    let mark = restored.at.get().to_be_bytes();
    let there = vault.node_row(RESET).await?;
    if there.as_ref().is_some_and(|row| row.as_slice() == mark) {
        return Ok(());
    }
    let tables = consensus::TABLES.into_iter();
    let batch = tables.fold(Batch::new(), |batch, table| {
        batch.delete_range(table, Range::all())
    });
    store.commit(batch).await.map_err(vault::Error::from)?;
    let expected = there.as_ref().map(|row| row.as_slice());
    vault
        .node_row_put(RESET, expected, &mark, &mut ambient.entropy())
        .await?;
    Ok(())
}

/// Runs each call as a task of its own until the node is to stop.
async fn serve<E: consensus::Runtime>(
    context: &E,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    stopped: oneshot::Receiver<()>,
) {
    let mut stopped = stopped.fuse();
    loop {
        match select(jobs.next(), &mut stopped).await {
            Either::Left((Some(job), _)) => {
                let context = context.child("case");
                if job.is_heavy {
                    context.shared(true).spawn(|_| job.work);
                } else {
                    context.spawn(|_| job.work);
                }
            }
            Either::Left((None, _)) | Either::Right(_) => return,
        }
    }
}

/// Waits for the calls in flight, within reason.
async fn drain<S: Store>(custodian: &Custodian<S>, handle: &Handle) {
    const STEP_MS: u64 = 10;
    for _ in 0..STOP_MS / STEP_MS {
        if handle.is_idle() {
            return;
        }
        custodian.ambient.sleep_ms(STEP_MS).await;
    }
}
