//! One engine per epoch: applies finalised blocks in order and moves to the next epoch at its
//! boundary.
//!
//! A block is acknowledged to the engine's block keeper only once the application made it durable,
//! and an epoch's last block only once the next epoch's engine runs: a crash in between delivers
//! the block again. When the application fails, nothing is acknowledged any more and the node
//! stops taking part.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use commonware_actor::Feedback;
use commonware_consensus::marshal::Update;
use commonware_consensus::marshal::core::Mailbox;
use commonware_consensus::marshal::standard::{Inline, Standard};
use commonware_consensus::simplex::config::{Floor, ForwardPolicy, SkipPolicy};
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::{self, SkipBudget};
use commonware_consensus::types::{Epoch, Epocher, FixedEpocher, Height, ViewDelta};
use commonware_consensus::{Heightable, Reporter, Reporters};
use commonware_cryptography::certificate::{Provider as _, Scheme as _};
use commonware_cryptography::ed25519::PublicKey;
use commonware_cryptography::{Digested, Digestible, Sha256, sha256};
use commonware_macros::select;
use commonware_p2p::utils::mux::{Builder, MuxHandle, Muxer};
use commonware_p2p::{self as p2p, Message as P2pMessage};
use commonware_parallel::Sequential;
use commonware_runtime::Handle;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_utils::acknowledgement::{Acknowledgement, Exact};
use commonware_utils::channel::mpsc;
use commonware_utils::ordered::Set;
use commonware_utils::vec::NonEmptyVec;

use crate::application::{Adapter, Application, Halt};
use crate::block::Block;
use crate::certificates::{Scheme, Schemes, certificate_bytes, validator_set};
use crate::engine::{Pacing, READ_BUFFER, Runtime, WRITE_BUFFER};
use crate::evidence::{FaultReporter, Faults};
use crate::horizon::Horizon;
use crate::network::{Link, Network, Peers};

/// The block keeper of the engine.
pub(crate) type Marshal = Mailbox<Scheme, Standard<Block>>;

/// Views behind the finalised tip that stay in memory and in the voting journal.
pub(crate) const VIEW_RETENTION: ViewDelta = ViewDelta::new(64);

/// How often a missing boundary certificate is looked for.
const BOUNDARY_RETRY: Duration = Duration::from_millis(100);

/// News of finality on its way to the application.
pub(crate) enum Delivery {
    /// The next finalised block.
    Block(Digested<Block>, Exact),
    /// The block at this height has a certificate of its own; it may be older than those applied.
    Certified(Height),
}

/// Receives finalised blocks from the block keeper. Blocks queue up to its pending
/// acknowledgements; certified heights are a few bytes for each finalised block.
#[derive(Clone)]
pub(crate) struct Deliveries(mpsc::UnboundedSender<Delivery>);

impl Deliveries {
    pub(crate) fn channel() -> (Self, mpsc::UnboundedReceiver<Delivery>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }
}

impl Reporter for Deliveries {
    type Activity = Update<Block>;

    fn report(&mut self, update: Update<Block>) -> Feedback {
        let delivery = match update {
            Update::Block(block, acknowledgement) => Delivery::Block(block, acknowledgement),
            Update::Tip(_, height, _) => Delivery::Certified(height),
        };
        match self.0.send(delivery) {
            Ok(()) => Feedback::Ok,
            Err(_) => Feedback::Closed,
        }
    }
}

/// What runs an epoch and changes to the next.
pub(crate) struct Epochs<E: Runtime, N: Network<E>> {
    pub(crate) context: E,
    pub(crate) application: Arc<dyn Application>,
    pub(crate) inline: Inline<E, Scheme, Adapter, Block, FixedEpocher>,
    pub(crate) marshal: Marshal,
    pub(crate) epocher: FixedEpocher,
    pub(crate) schemes: Schemes,
    pub(crate) faults: Faults,
    pub(crate) horizon: Horizon,
    pub(crate) namespace: Arc<Vec<u8>>,
    pub(crate) peers: N::Peers,
    pub(crate) blocker: N::Blocker,
    pub(crate) pacing: Pacing,
    pub(crate) partition: String,
    pub(crate) page_cache: CacheRef,
    pub(crate) me: PublicKey,
    pub(crate) deliveries: mpsc::UnboundedReceiver<Delivery>,
}

struct Channels<S: p2p::Sender> {
    votes: MuxHandle<S>,
    late_votes: mpsc::Receiver<(u64, P2pMessage<S::PublicKey>)>,
    certificates: MuxHandle<S>,
    late_certificates: mpsc::Receiver<(u64, P2pMessage<S::PublicKey>)>,
    resolver: MuxHandle<S>,
}

struct Running {
    epoch: Epoch,
    engine: Handle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.engine.abort();
    }
}

impl<E: Runtime, N: Network<E>> Epochs<E, N> {
    /// Starts at the epoch of the next block to be delivered, and runs until the node stops.
    pub(crate) fn start(
        self,
        votes: Link<E, N>,
        certificates: Link<E, N>,
        resolver: Link<E, N>,
    ) -> Handle<()> {
        let context = self.context.child("epochs");
        context.spawn(move |_| async move {
            let application = self.application.clone();
            let why = self.run(votes, certificates, resolver).await;
            // A node that stops ends its parts in any order: the first to miss another is no fault.
            if why == Halt::Shutdown || application.is_stopping() {
                tracing::info!("consensus shut down");
            } else {
                tracing::error!(%why, "consensus stopped");
            }
            application.halted(&why);
        })
    }

    async fn run(
        mut self,
        votes: Link<E, N>,
        certificates: Link<E, N>,
        resolver: Link<E, N>,
    ) -> Halt {
        let mut channels = self.split(votes, certificates, resolver);
        let mut running = match self.begin(&mut channels).await {
            Ok(running) => running,
            Err(why) => return why,
        };
        let mut shutdown = self.context.stopped();
        loop {
            let step = select! {
                _ = &mut shutdown => {
                    return Halt::Shutdown;
                },
                message = channels.late_votes.recv() => self.later(&running, message),
                message = channels.late_certificates.recv() => self.later(&running, message),
                _ = &mut running.engine => Err(Halt::Engine("the epoch's engine ended")),
                delivery = self.deliveries.recv() => {
                    self.take(delivery, &mut running, &mut channels).await
                },
            };
            if let Err(why) = step {
                return why;
            }
        }
    }

    /// Starts the epoch of the next block to be delivered.
    async fn begin(&mut self, channels: &mut Channels<N::Sender>) -> Result<Running, Halt> {
        let next = self
            .marshal
            .get_processed()
            .await
            .map_or(Height::zero(), |processed| processed.height().next());
        let epoch = self
            .epocher
            .containing(next)
            .ok_or(Halt::Engine("there are no more epochs"))?
            .epoch();
        self.catch_up(next).await?;
        self.enter(epoch, channels).await
    }

    async fn take(
        &mut self,
        delivery: Option<Delivery>,
        running: &mut Running,
        channels: &mut Channels<N::Sender>,
    ) -> Result<(), Halt> {
        match delivery {
            Some(Delivery::Block(block, acknowledgement)) => {
                self.deliver(block, running, channels).await?;
                acknowledgement.acknowledge();
                Ok(())
            }
            Some(Delivery::Certified(height)) => {
                self.horizon.seen(height.get());
                self.certified(height).await
            }
            None => Err(Halt::Engine("the block keeper ended")),
        }
    }

    fn split(
        &self,
        (votes, vote_inbox): Link<E, N>,
        (certificates, certificate_inbox): Link<E, N>,
        (resolver, resolver_inbox): Link<E, N>,
    ) -> Channels<N::Sender> {
        let (mux, votes, late_votes) =
            Muxer::builder(self.context.child("vote_mux"), votes, vote_inbox)
                .with_backup()
                .build();
        mux.start();
        let (mux, certificates, late_certificates) = Muxer::builder(
            self.context.child("certificate_mux"),
            certificates,
            certificate_inbox,
        )
        .with_backup()
        .build();
        mux.start();
        let (mux, resolver) =
            Muxer::new(self.context.child("resolver_mux"), resolver, resolver_inbox);
        mux.start();
        Channels {
            votes,
            late_votes,
            certificates,
            late_certificates,
            resolver,
        }
    }

    /// Applies the blocks that the block keeper has acknowledged but the application does not
    /// hold: only after its store was lost or restored from a backup.
    async fn catch_up(&mut self, next: Height) -> Result<(), Halt> {
        let mut height = self.application.applied_height().saturating_add(1);
        while height < next.get() {
            let Some(block) = self.marshal.get_block(Height::new(height)).await else {
                return Err(Halt::Contradiction {
                    height,
                    what: "the engine has forgotten a block that the store lacks".into(),
                });
            };
            self.apply(block).await?;
            height = height.saturating_add(1);
        }
        Ok(())
    }

    /// Another validator speaks in a later epoch: asks it for our epoch's last block.
    fn later(
        &self,
        running: &Running,
        message: Option<(u64, P2pMessage<PublicKey>)>,
    ) -> Result<(), Halt> {
        let ours = running.epoch;
        let (theirs, (from, _)) = message.ok_or(Halt::Engine("the network closed"))?;
        let boundary = self.epocher.last(ours);
        if let Some(boundary) = boundary.filter(|_| theirs > ours.get()) {
            tracing::debug!(%ours, theirs, %boundary, "behind; asking for the boundary");
            // Anyone may claim an epoch: what is believed of it ends with the next one.
            self.horizon.seen(boundary.next().get());
            self.marshal
                .hint_finalized(boundary, NonEmptyVec::new(from));
        }
        Ok(())
    }

    /// Applies a block and, at an epoch's end, starts the next epoch; then it may be acknowledged.
    async fn deliver(
        &mut self,
        block: Digested<Block>,
        running: &mut Running,
        channels: &mut Channels<N::Sender>,
    ) -> Result<(), Halt> {
        let height = block.height();
        self.apply(block).await?;
        let last = self.epocher.last(running.epoch);
        if last.is_some_and(|last| height > last) {
            return Err(Halt::Contradiction {
                height: height.get(),
                what: format!("it lies beyond epoch {}", running.epoch),
            });
        }
        if last == Some(height) {
            *running = self.enter(running.epoch.next(), channels).await?;
        }
        Ok(())
    }

    async fn apply(&mut self, block: Digested<Block>) -> Result<(), Halt> {
        let height = block.height();
        let next = self.epocher.containing(height.next());
        let next = next.filter(|epoch| epoch.first() == height.next());
        let certificate = match next {
            Some(_) => Some(self.boundary_certificate(height).await),
            None => self.certificate(height).await,
        };
        self.application.finalise(block, certificate).await?;
        if let Some(next) = next {
            self.register(next.epoch())?;
        }
        Ok(())
    }

    /// The certificate of an epoch's last block, which every proof beyond that epoch needs. After a
    /// crash the block may be known before it: the epoch's engine, or a peer, brings it again.
    async fn boundary_certificate(&mut self, height: Height) -> Bytes {
        loop {
            if let Some(certificate) = self.certificate(height).await {
                return certificate;
            }
            let epoch = self.epocher.containing(height).map(|info| info.epoch());
            let scheme = epoch.and_then(|epoch| self.schemes.scheme(epoch));
            let others: Vec<PublicKey> = scheme
                .iter()
                .flat_map(|scheme| scheme.participants().iter())
                .filter(|validator| **validator != self.me)
                .cloned()
                .collect();
            if let Ok(others) = NonEmptyVec::try_from(others) {
                self.marshal.hint_finalized(height, others);
            }
            self.context.sleep(BOUNDARY_RETRY).await;
        }
    }

    /// A certificate that came after its block was applied.
    async fn certified(&mut self, height: Height) -> Result<(), Halt> {
        if height.get() > self.application.applied_height() {
            return Ok(());
        }
        match self.certificate(height).await {
            Some(certificate) => self.application.certified(height.get(), certificate).await,
            None => Ok(()),
        }
    }

    async fn certificate(&mut self, height: Height) -> Option<Bytes> {
        let finalization = self.marshal.get_finalization(height).await?;
        Some(certificate_bytes(&finalization))
    }

    /// Lets the block keeper check the epoch's certificates.
    fn register(&self, epoch: Epoch) -> Result<(Arc<Scheme>, Set<PublicKey>), Halt> {
        let validators = self
            .application
            .validators(epoch.get())
            .as_deref()
            .and_then(validator_set)
            .ok_or_else(|| Halt::Contradiction {
                height: self.application.applied_height(),
                what: format!("no usable validators for epoch {epoch}"),
            })?;
        Ok((self.schemes.enter(epoch, &validators), validators))
    }

    /// Registers the epoch's validators and starts its engine on the block before it.
    async fn enter(
        &mut self,
        epoch: Epoch,
        channels: &mut Channels<N::Sender>,
    ) -> Result<Running, Halt> {
        let root = self.root(epoch).await?;
        self.forget(epoch).await;
        let (scheme, validators) = self.register(epoch)?;
        let engine = self.engine(epoch, root, &scheme, validators.len());
        tracing::info!(%epoch, validators = validators.len(), "entering epoch");
        self.peers.track(epoch.get(), validators);
        let closed = |_| Halt::Engine("the network closed");
        let votes = channels.votes.register(epoch.get()).await.map_err(closed)?;
        let certificates = channels
            .certificates
            .register(epoch.get())
            .await
            .map_err(closed)?;
        let resolver = channels
            .resolver
            .register(epoch.get())
            .await
            .map_err(closed)?;
        Ok(Running {
            epoch,
            engine: engine.start(votes, certificates, resolver),
        })
    }

    /// Removes the voting journal of the epoch before the last: both ended with certified blocks, so
    /// no vote can be asked of this node there again.
    async fn forget(&mut self, entered: Epoch) {
        if let Some(closed) = entered.get().checked_sub(2) {
            let partition = vote_partition(&self.partition, Epoch::new(closed));
            // Missing unless this node took part in it.
            let _ = self.context.remove(&partition, None).await;
        }
    }

    /// The last block of the epoch before.
    async fn root(&mut self, epoch: Epoch) -> Result<sha256::Digest, Halt> {
        let Some(height) = epoch.previous().and_then(|epoch| self.epocher.last(epoch)) else {
            return Ok(self.application.genesis().digest());
        };
        let block = self.marshal.get_block(height).await;
        block
            .map(|block| block.digest())
            .ok_or_else(|| Halt::Contradiction {
                height: height.get(),
                what: "the engine does not hold the epoch's boundary block".into(),
            })
    }

    fn engine(
        &self,
        epoch: Epoch,
        root: sha256::Digest,
        scheme: &Arc<Scheme>,
        validators: usize,
    ) -> EpochEngine<E, N> {
        let timing = self.pacing.timing(validators);
        let faults =
            FaultReporter::new(self.faults.clone(), scheme.clone(), self.namespace.clone());
        let skip = match timing.skip {
            Some(timeout) => SkipPolicy::Enabled {
                timeout,
                budget: SkipBudget::Participants,
            },
            None => SkipPolicy::Disabled,
        };
        simplex::Engine::new(
            self.context.child("simplex").with_attribute("epoch", epoch),
            simplex::Config {
                scheme: scheme.as_ref().clone(),
                elector: RoundRobin::<Sha256>::default(),
                blocker: self.blocker.clone(),
                automaton: self.inline.clone(),
                relay: self.inline.clone(),
                reporter: Reporters::from((self.inline.clone(), faults)),
                strategy: Sequential,
                partition: vote_partition(&self.partition, epoch),
                mailbox_size: crate::engine::MAILBOX,
                epoch,
                floor: Floor::Genesis(root),
                replay_buffer: READ_BUFFER,
                write_buffer: WRITE_BUFFER,
                page_cache: self.page_cache.clone(),
                leader_timeout: timing.leader,
                certification_timeout: timing.certification,
                timeout_retry: timing.retry,
                fetch_timeout: crate::engine::fetch_timeout(),
                fetch_retry_delay: crate::engine::FETCH_RETRY,
                view_retention: VIEW_RETENTION,
                skip,
                forward: ForwardPolicy::SilentVoters,
                track_historical_votes: true,
            },
        )
    }
}

fn vote_partition(prefix: &str, epoch: Epoch) -> String {
    format!("{prefix}-votes-{epoch}")
}

type EpochEngine<E, N> = simplex::Engine<
    E,
    Scheme,
    RoundRobin<Sha256>,
    <N as Network<E>>::Blocker,
    sha256::Digest,
    Inline<E, Scheme, Adapter, Block, FixedEpocher>,
    Inline<E, Scheme, Adapter, Block, FixedEpocher>,
    Reporters<Inline<E, Scheme, Adapter, Block, FixedEpocher>, FaultReporter>,
    Sequential,
>;
