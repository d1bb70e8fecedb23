//! The wiring of the engine: network, block dissemination, block keeper, and one voting engine per
//! epoch.
//!
//! Started once per node. Storage partitions and metrics hang below the context given; when the
//! task that owns it ends, so does everything started here.

use std::num::{NonZeroU16, NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use codec::{Domain, NetworkId};
use commonware_broadcast::buffered;
use commonware_consensus::marshal::core::Actor;
use commonware_consensus::marshal::resolver::p2p as backfill;
use commonware_consensus::marshal::standard::{Inline, Standard};
use commonware_consensus::marshal::{self, Start};
use commonware_consensus::simplex;
use commonware_consensus::simplex::types::Finalization;
use commonware_consensus::types::{Epoch, FixedEpocher};
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_cryptography::{Digested, Digestible, sha256};
use commonware_p2p::max_message_size;
use commonware_p2p::utils::mux::prefixed;
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Clock, Handle, Metrics, Spawner, Storage, deterministic, tokio};
use commonware_storage::archive::immutable;
use commonware_utils::NonZeroDuration;
use futures::future::BoxFuture;
use rand_core::CryptoRng;

use crate::application::{Adapter, Application, Halt};
use crate::block::Block;
use crate::certificates::{MAX_VALIDATORS, Scheme, Schemes, namespace, validator_set};
use crate::epochs::{Deliveries, Epochs, VIEW_RETENTION};
use crate::evidence::Faults;
use crate::gossip;
use crate::horizon::Horizon;
use crate::network::{ChannelPlan, Link, Lookup, Network, OpenError, Simulated};

/// What the engine needs of its runtime; both of the engine's runtimes have it.
pub trait Runtime: Spawner + Metrics + Clock + Storage + CryptoRng {}

impl<T: Spawner + Metrics + Clock + Storage + CryptoRng> Runtime for T {}

const fn non_zero(value: usize) -> NonZeroUsize {
    match NonZeroUsize::new(value) {
        Some(value) => value,
        None => unreachable!(),
    }
}

pub(crate) const MAILBOX: NonZeroUsize = non_zero(1_024);
pub(crate) const READ_BUFFER: NonZeroUsize = non_zero(1024 * 1024);
pub(crate) const WRITE_BUFFER: NonZeroUsize = non_zero(1024 * 1024);
/// Before another peer is asked: one that keeps silent must not hold a node back for long.
pub(crate) const FETCH_RETRY: Duration = Duration::from_millis(500);

const PAGE_BYTES: NonZeroU16 = match NonZeroU16::new(4_096) {
    Some(bytes) => bytes,
    None => unreachable!(),
};
const PAGES: NonZeroUsize = non_zero(2_048);
const MAX_PENDING_ACKS: NonZeroUsize = non_zero(4);
const MAX_REPAIR: NonZeroUsize = non_zero(32);
const REWOUND_BLOCKS: u64 = 16;
const SHORTEST_TURN: Duration = Duration::from_millis(20);
const BLOCKS_KEPT_PER_SENDER: usize = 16;
const ARCHIVE_SECTION: NonZeroU64 = match NonZeroU64::new(1_024) {
    Some(items) => items,
    None => unreachable!(),
};

/// When blocks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// Longest time between blocks: after it, an empty block is made.
    pub idle_block: Duration,
    /// With more than one validator: how long a leader may take before the next one's turn.
    pub leader_timeout: Duration,
}

/// The engine's timers in one epoch.
pub(crate) struct Timing {
    pub(crate) leader: Duration,
    pub(crate) certification: Duration,
    pub(crate) retry: Duration,
    pub(crate) skip: Option<Duration>,
}

impl Pacing {
    /// A lone validator has nobody to hand over to: it waits out the idle time in one view. Several
    /// take turns while idle, so that a leader that is gone costs one leader timeout, not an
    /// idle time.
    pub(crate) fn timing(&self, validators: usize) -> Timing {
        let second = Duration::from_secs(1);
        if validators <= 1 {
            let leader = self.idle_block.saturating_add(second);
            return Timing {
                leader,
                certification: leader.saturating_add(second),
                retry: second,
                skip: None,
            };
        }
        let leader = self.leader_timeout.max(SHORTEST_TURN);
        let certification = leader.saturating_mul(2);
        Timing {
            leader,
            certification,
            retry: leader / 2,
            skip: Some(certification.saturating_mul(3)),
        }
    }
}

/// How long a peer may take to answer.
pub(crate) fn fetch_timeout() -> NonZeroDuration {
    NonZeroDuration::new_panic(Duration::from_secs(1))
}

/// What an engine is started with.
pub struct Settings {
    /// The network agreed upon.
    pub network: NetworkId,
    /// This node's key pair: its identity to peers, and its vote where it is a validator.
    pub seed: keys::Secret,
    /// Blocks in an epoch, at least 2.
    pub epoch_blocks: u64,
    /// Prefix of the storage partitions.
    pub partition: String,
    /// When blocks are made.
    pub pacing: Pacing,
    /// Where misbehaviour is kept.
    pub faults: Faults,
}

/// A running engine.
pub struct Engine<E, N: Network<E>> {
    /// Ends when the engine does.
    pub task: Handle<()>,
    /// The channel for pending entries, unused by the engine.
    pub gossip: Link<E, N>,
    /// How far peers have come.
    pub horizon: Horizon,
}

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The validator seed is no Ed25519 seed.
    #[error("the validator seed is malformed")]
    Seed,
    /// An epoch must have at least two blocks.
    #[error("an epoch of {0} blocks; it needs at least 2")]
    EpochBlocks(u64),
    /// The network could not be opened.
    #[error("the network could not be opened")]
    Network(#[from] OpenError),
    /// The engine's own storage could not be opened.
    #[error("the engine's storage could not be opened: {0}")]
    Storage(String),
    /// The application cannot say who validates an epoch it has reached.
    #[error("the application does not know the validators of epoch {0}")]
    Validators(u64),
    /// The engine's storage is older than the ledger.
    #[error(
        "the ledger is at height {applied}, the engine's storage at {held}: it was lost or restored, \
         and voting on could contradict earlier votes; give this node a new validator key"
    )]
    Rewound {
        /// Height of the ledger.
        applied: u64,
        /// Height the engine's storage holds.
        held: u64,
    },
    /// The application's durable state could not be read.
    #[error("the stored ledger could not be opened")]
    Ledger(#[source] Halt),
}

/// A network on which the engine runs under runtime `E`.
///
/// Implemented for each pair that there is, not for all that there could be: the engine is large, and so
/// it is compiled here, once, and not again in everything that starts one.
pub trait Wired<E: Runtime>: Network<E> + Sized {
    /// What [`start`] does.
    fn engine(
        self,
        context: E,
        application: Arc<dyn Application>,
        settings: Settings,
    ) -> BoxFuture<'static, Result<Engine<E, Self>, StartError>>;
}

macro_rules! wired {
    ($($network:ty, $runtime:ty;)*) => {$(
        impl Wired<$runtime> for $network {
            #[inline(never)]
            fn engine(
                self,
                context: $runtime,
                application: Arc<dyn Application>,
                settings: Settings,
            ) -> BoxFuture<'static, Result<Engine<$runtime, Self>, StartError>> {
                Box::pin(assemble(context, self, application, settings))
            }
        }
    )*};
}

wired! {
    Lookup, tokio::Context;
    Lookup, deterministic::Context;
    Simulated<deterministic::Context>, deterministic::Context;
}

/// Starts the engine for `application`. It runs for as long as the task that owns `context`.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub async fn start<E: Runtime, N: Wired<E>>(
    context: E,
    network: N,
    application: Arc<dyn Application>,
    settings: Settings,
) -> Result<Engine<E, N>, StartError> {
    network.engine(context, application, settings).await
}

/// What [`Wired::engine`] does, for who implements it. Large: instantiate it once for each pair.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub async fn assemble<E: Runtime, N: Network<E>>(
    context: E,
    network: N,
    application: Arc<dyn Application>,
    settings: Settings,
) -> Result<Engine<E, N>, StartError> {
    let (signer, me) =
        crate::certificates::engine_signer(&settings.seed).ok_or(StartError::Seed)?;
    let epocher = epocher(settings.epoch_blocks)?;
    let schemes = schemes(&settings, signer, application.as_ref())?;
    let opened = network
        .open(context.child("network"), channel_plan(&settings.network))
        .await?;
    let page_cache = CacheRef::new(PAGE_BYTES, PAGES);
    let resolver = backfill::init(
        context.child("backfill"),
        backfill::Config {
            public_key: me.clone(),
            peer_provider: opened.peers.clone(),
            blocker: opened.blocker.clone(),
            mailbox_size: MAILBOX,
            fetch_timeout: fetch_timeout(),
            fetch_retry_delay: FETCH_RETRY,
            priority_requests: false,
            priority_responses: false,
        },
        opened.backfill,
    );
    let (dissemination, buffer) = buffered::Engine::new(
        context.child("dissemination"),
        buffered::Config {
            public_key: me.clone(),
            mailbox_size: MAILBOX,
            deque_size: BLOCKS_KEPT_PER_SENDER,
            priority: false,
            codec_config: (),
            peer_provider: opened.peers.clone(),
            strategy: Sequential,
        },
    );
    dissemination.start(opened.blocks);

    let partition = settings.partition.clone();
    let archives = Archives::<E>::open(&context, &partition, &page_cache).await?;
    let (keeper, marshal, floor) = Actor::<_, Standard<Block>, _, _, _, _, _>::init(
        context.child("marshal"),
        archives.finalizations,
        archives.blocks,
        marshal::Config {
            provider: schemes.clone(),
            epocher: epocher.clone(),
            start: Start::Genesis(digested(application.genesis())),
            partition_prefix: partition.clone(),
            mailbox_size: MAILBOX,
            view_retention: VIEW_RETENTION,
            prunable_items_per_section: ARCHIVE_SECTION,
            page_cache: page_cache.clone(),
            replay_buffer: READ_BUFFER,
            key_write_buffer: WRITE_BUFFER,
            value_write_buffer: WRITE_BUFFER,
            block_codec_config: (),
            max_repair: MAX_REPAIR,
            max_pending_acks: MAX_PENDING_ACKS,
            strategy: Sequential,
        },
    )
    .await;
    let held = floor
        .processed()
        .map_or(0, |processed| processed.height().get());
    check_not_rewound(application.applied_height(), held)?;
    let (reporter, deliveries) = Deliveries::channel();
    keeper.start(reporter, buffer, resolver);

    let horizon = Horizon::default();
    let inline = Inline::new(
        context.child("inline"),
        Adapter(application.clone()),
        marshal.clone(),
        epocher.clone(),
    );
    let epochs = Epochs::<E, N> {
        context,
        application,
        inline,
        marshal,
        epocher,
        schemes,
        faults: settings.faults,
        horizon: horizon.clone(),
        namespace: Arc::new(namespace(Domain::Evidence, &settings.network)),
        peers: opened.peers,
        blocker: opened.blocker,
        pacing: settings.pacing,
        partition,
        page_cache,
        me,
        deliveries,
    };
    let task = epochs.start(opened.votes, opened.certificates, opened.resolver);
    Ok(Engine {
        task,
        gossip: opened.gossip,
        horizon,
    })
}

/// The limits every validator of a network shares.
fn channel_plan(network: &NetworkId) -> ChannelPlan {
    let votes = prefixed(simplex::max_payload_size::<Scheme, sha256::Digest>(
        MAX_VALIDATORS,
    ));
    let blocks = marshal::max_payload_size::<Standard<Block>, Scheme>(MAX_VALIDATORS, &());
    ChannelPlan {
        max_message_bytes: max_message_size(&[votes, blocks, gossip::MESSAGE_MAX_BYTES]),
        namespace: namespace(Domain::PeerNamespace, network),
    }
}

fn epocher(epoch_blocks: u64) -> Result<FixedEpocher, StartError> {
    NonZeroU64::new(epoch_blocks)
        .filter(|blocks| blocks.get() >= 2)
        .map(FixedEpocher::new)
        .ok_or(StartError::EpochBlocks(epoch_blocks))
}

/// The schemes of every epoch up to the one of the next block: the block keeper stalls without.
fn schemes(
    settings: &Settings,
    signer: PrivateKey,
    application: &dyn Application,
) -> Result<Schemes, StartError> {
    let schemes = Schemes::new(&settings.network, Some(signer));
    let next = application.applied_height().saturating_add(1);
    for epoch in 0..=next / settings.epoch_blocks.max(1) {
        let validators = application
            .validators(epoch)
            .as_deref()
            .and_then(validator_set)
            .ok_or(StartError::Validators(epoch))?;
        schemes.enter(Epoch::new(epoch), &validators);
    }
    Ok(schemes)
}

/// A block is acknowledged right after it is applied, so the engine's disk is never far behind the
/// ledger, unless it was lost or restored: then this node may have cast votes it has forgotten.
fn check_not_rewound(applied: u64, held: u64) -> Result<(), StartError> {
    if applied > held.saturating_add(REWOUND_BLOCKS) {
        return Err(StartError::Rewound { applied, held });
    }
    Ok(())
}

fn digested(block: Arc<Block>) -> Digested<Block> {
    let digest = block.digest();
    Digested::precomputed(block, digest)
}

type Finalizations<E> = immutable::Archive<E, sha256::Digest, Finalization<Scheme, sha256::Digest>>;
type Blocks<E> = immutable::Archive<E, sha256::Digest, Arc<Block>>;

/// The block keeper's archives.
struct Archives<E: Runtime> {
    finalizations: Finalizations<E>,
    blocks: Blocks<E>,
}

impl<E: Runtime> Archives<E> {
    async fn open(context: &E, partition: &str, cache: &CacheRef) -> Result<Self, StartError> {
        let signers = usize::try_from(MAX_VALIDATORS).unwrap_or(usize::MAX);
        let failed =
            |error: commonware_storage::archive::Error| StartError::Storage(error.to_string());
        Ok(Self {
            finalizations: immutable::Archive::init(
                context.child("finalizations"),
                archive(&format!("{partition}-finalizations"), cache, signers),
            )
            .await
            .map_err(failed)?,
            blocks: immutable::Archive::init(
                context.child("blocks"),
                archive(&format!("{partition}-blocks"), cache, ()),
            )
            .await
            .map_err(failed)?,
        })
    }
}

fn archive<C>(name: &str, page_cache: &CacheRef, codec_config: C) -> immutable::Config<C> {
    immutable::Config {
        metadata_partition: format!("{name}-metadata"),
        freezer_table_partition: format!("{name}-table"),
        freezer_table_initial_size: 16_384,
        freezer_table_resize_frequency: 4,
        freezer_table_resize_chunk_size: 4_096,
        freezer_key_partition: format!("{name}-keys"),
        freezer_key_page_cache: page_cache.clone(),
        freezer_value_partition: format!("{name}-values"),
        freezer_value_target_size: 256 * 1024 * 1024,
        freezer_value_compression: None,
        ordinal_partition: format!("{name}-ordinal"),
        items_per_section: ARCHIVE_SECTION,
        freezer_key_write_buffer: WRITE_BUFFER,
        freezer_value_write_buffer: WRITE_BUFFER,
        ordinal_write_buffer: WRITE_BUFFER,
        replay_buffer: READ_BUFFER,
        codec_config,
    }
}

/// This node's public key in the engine.
#[must_use]
pub fn public_key(seed: &keys::Secret) -> Option<keys::PublicKey> {
    let (_, public): (_, PublicKey) = crate::certificates::engine_signer(seed)?;
    crate::certificates::ledger_key(&public)
}
