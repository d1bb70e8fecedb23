//! Starting a node's ledger on its engine.

use std::sync::Arc;
use std::time::Duration;

use commonware_utils::channel::mpsc;
use ledger::Genesis;
use store::Store;

use crate::application::{Application, Halt};
use crate::block::{MAX_BYTES, MAX_ENTRIES};
use crate::clock::now_ms;
use crate::engine::{self, Pacing, Runtime, Settings, StartError, Wired};
use crate::evidence::Faults;
use crate::gossip;
use crate::handle::Handle;
use crate::ledger_application::{LedgerApplication, Making};
use crate::mempool::{Limits, Mempool};
use crate::replica::Replica;

/// How a node takes part.
#[derive(Clone)]
pub struct Config {
    /// The network.
    pub genesis: Genesis,
    /// This node's consensus key pair: its identity to peers, and its vote while the ledger names
    /// it as a validator. Never the seed of another key, and never on two nodes.
    pub seed: keys::Secret,
    /// Prefix of the engine's storage partitions.
    pub partition: String,
    /// Most entries pending.
    pub mempool_max_entries: usize,
    /// Most bytes of entries pending.
    pub mempool_max_bytes: usize,
    /// Most entries in a block made here; at most [`MAX_ENTRIES`].
    pub max_block_entries: usize,
    /// Most bytes of entries in a block made here; at most [`MAX_BYTES`].
    pub max_block_bytes: usize,
    /// Time after which an empty block is made.
    pub idle_block_ms: u64,
    /// With several validators: how long a leader may take before it is the next one's turn.
    pub leader_timeout_ms: u64,
}

impl Config {
    /// A node of this network with this key pair, and everything else as usual.
    #[must_use]
    pub fn new(genesis: Genesis, seed: keys::Secret) -> Self {
        Self {
            genesis,
            seed,
            partition: "consensus".into(),
            mempool_max_entries: 65_536,
            mempool_max_bytes: 64 * 1024 * 1024,
            max_block_entries: 4_096,
            max_block_bytes: MAX_BYTES,
            idle_block_ms: 10_000,
            leader_timeout_ms: 1_000,
        }
    }
}

/// Opens or creates the ledger in `store` and takes part, for as long as the task that owns
/// `context` runs.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub async fn start<E, S, N>(
    context: E,
    network: N,
    store: S,
    config: Config,
) -> Result<Handle<S>, StartError>
where
    E: Runtime,
    S: Store,
    N: Wired<E>,
{
    start_with(context, network, store, config, |application| application).await
}

/// The same, with something between the engine and the ledger: for simulations of validators that lie.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub async fn start_with<E, S, N>(
    context: E,
    network: N,
    store: S,
    config: Config,
    between: impl FnOnce(Arc<dyn Application>) -> Arc<dyn Application>,
) -> Result<Handle<S>, StartError>
where
    E: Runtime,
    S: Store,
    N: Wired<E>,
{
    let clock = context.child("clock");
    let pool = Arc::new(Mempool::new(Limits {
        max_entries: config.mempool_max_entries,
        max_bytes: config.mempool_max_bytes,
    }));
    let faults = Faults::load(&store)
        .await
        .map_err(|error| StartError::Ledger(Halt::Unreadable(error.into())))?;
    let settings = Settings {
        network: config.genesis.network_id(),
        seed: config.seed,
        epoch_blocks: config.genesis.parameters.epoch_blocks,
        partition: config.partition,
        pacing: Pacing {
            idle_block: Duration::from_millis(config.idle_block_ms),
            leader_timeout: Duration::from_millis(config.leader_timeout_ms),
        },
        faults: faults.clone(),
    };
    let replica = Replica::open(
        store,
        config.genesis,
        pool.clone(),
        Arc::new(move || now_ms(&clock)),
    )
    .await
    .map_err(StartError::Ledger)?;
    let replica = Arc::new(replica);
    let application = Arc::new(LedgerApplication::new(
        context.child("proposing"),
        replica.clone(),
        Making {
            max_entries: config.max_block_entries.clamp(1, MAX_ENTRIES),
            max_bytes: config.max_block_bytes.min(MAX_BYTES),
            idle_ms: config.idle_block_ms,
            execute_ms: config.leader_timeout_ms / 4,
        },
    ));
    let talk = context.child("gossip");
    let keeping = context.child("evidence");
    let engine = engine::start(context, network, between(application), settings).await?;
    let evidence = faults.clone().store_all(replica.store.clone());
    keeping.spawn(|_| evidence);
    let (outbox, waiting) = mpsc::unbounded_channel();
    gossip::start(talk, engine.gossip, waiting, pool, replica.clone());
    Ok(Handle {
        replica,
        outbox,
        faults,
        horizon: engine.horizon,
    })
}
