//! A running node in this process: the engine's runtime on a thread of its own, a store on disk, and the
//! handle through which everything else calls it.

use crate::config::Config;
use anyhow::{Context as _, Result, anyhow, bail};
use commonware_runtime::{Runner as _, Spawner as _, Supervisor as _, tokio as runtime};
use consensus::network::PeerSource;
use futures::{
    channel::oneshot,
    executor::block_on,
    future::{BoxFuture, FutureExt as _, Shared},
};
use node::{
    Ambient, Handle, InstitutionId, Node,
    differential::Knowledge,
    institution::{self, Opened},
};
use std::{
    net::TcpListener,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use store_fjall::FjallStore;

/// Threads of the engine's runtime: it agrees and commits, and leaves the cores to the use cases.
const ENGINE_THREADS: usize = 2;

/// How long the engine's parts may take to end by themselves.
const STOP: Duration = Duration::from_secs(5);

/// A node that runs until [`Running::stop`].
pub(crate) struct Running {
    handle: Handle,
    ambient: Ambient,
    institution: InstitutionId,
    stop: oneshot::Sender<()>,
    ended: Shared<BoxFuture<'static, ()>>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Opens a data folder and starts its node, which makes no differentials.
    pub(crate) fn start(data: &Path, passphrase: &str, config: &Config) -> Result<Self> {
        Self::start_knowing(data, passphrase, config, None)
    }

    /// The same, with what it is to know of diseases.
    pub(crate) fn start_knowing(
        data: &Path,
        passphrase: &str,
        config: &Config,
        knowledge: Option<Arc<Knowledge>>,
    ) -> Result<Self> {
        crate::folder::institution(data)?;
        let opened = institution::open(data, passphrase.as_bytes())
            .with_context(|| format!("cannot open the institution in {}", data.display()))?;
        disk_check(data, config)?;
        door_check(config)?;
        let institution_policy = config.institution_policy(data)?;
        let web = config.subscriptions.web(data)?;
        let store = store_open(data, config)?;
        let institution = opened.institution;
        let (started, start) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let (ends, ended) = oneshot::channel::<()>();
        let config = config.clone();
        let thread = thread::Builder::new()
            .name("ithaca-engine".to_owned())
            .spawn(move || {
                let settings = runtime::Config::new()
                    .with_worker_threads(ENGINE_THREADS)
                    .with_storage_directory(opened.layout.engine());
                runtime::Runner::new(settings).start(|context| async move {
                    let ambient = Ambient::of(&context);
                    let mut settings = settings_of(&opened, &config);
                    settings.knowledge = knowledge;
                    settings.institution_policy = institution_policy;
                    settings.subscriptions =
                        web.map(|web| config.subscriptions.of(web, ambient.clone()));
                    let whole = context.child("whole");
                    match Node::start(context, settings, store, opened.keychain).await {
                        Ok(node) => {
                            started.send(Ok((node.handle(), ambient))).ok();
                            stopped.await.ok();
                            let parts_end = async {
                                whole.stop(0, Some(STOP)).await.ok();
                            };
                            node.stop_with(parts_end).await;
                        }
                        Err(error) => {
                            started.send(Err(error)).ok();
                        }
                    }
                });
                drop(ends);
            })?;
        let (handle, ambient) = block_on(start)
            .map_err(|_| anyhow!("the node ended while it started; see the log"))?
            .context("the node cannot start")?;
        Ok(Self {
            handle,
            ambient,
            institution,
            stop,
            ended: ended.map(|_| ()).boxed().shared(),
            thread,
        })
    }

    /// Calls the node's use cases.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The node's clock and randomness.
    pub(crate) fn ambient(&self) -> Ambient {
        self.ambient.clone()
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.ambient.now_ms()
    }

    pub(crate) fn institution(&self) -> InstitutionId {
        self.institution
    }

    /// Resolves when the node has ended, asked or not.
    pub(crate) fn halted(&self) -> Shared<BoxFuture<'static, ()>> {
        self.ended.clone()
    }

    /// Waits until the node says that it can serve.
    pub(crate) fn wait_ready(&self, patience: Duration) -> Result<()> {
        let from = Instant::now();
        loop {
            let readiness = block_on(self.handle.ready(()))?;
            if readiness.ready {
                return Ok(());
            }
            if from.elapsed() > patience {
                return Err(anyhow!(
                    "the node is not ready: {}",
                    readiness.because.join("; ")
                ));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets what is in flight end, and ends the node.
    pub(crate) fn stop(self) -> Result<()> {
        self.stop.send(()).ok();
        self.thread
            .join()
            .map_err(|_| anyhow!("the engine panicked; see the log"))
    }
}

/// The store of a data folder.
pub(crate) fn store_open(data: &Path, config: &Config) -> Result<FjallStore> {
    let path = institution::Layout::of(data).store();
    FjallStore::open(&path, &store_settings(config))
        .with_context(|| format!("cannot open the store {}", path.display()))
}

fn store_settings(config: &Config) -> store_fjall::Config {
    store_fjall::Config {
        cache_bytes: config.store.cache_bytes,
        reserve_bytes: config.store.reserve_bytes,
        ..store_fjall::Config::default()
    }
}

/// Refuses a disk on which a node could not even log a read.
pub(crate) fn disk_check(data: &Path, config: &Config) -> Result<()> {
    if let Some((free, needed)) = store_fjall::shortage(data, &store_settings(config)) {
        bail!(
            "the disk of {} is full ({} MiB free, {} needed): free some space, then start it again",
            data.display(),
            free >> 20,
            needed >> 20
        );
    }
    Ok(())
}

/// Refuses an address for peers that is taken, or not this machine's: the engine would only break off.
fn door_check(config: &Config) -> Result<()> {
    let listen = config.ledger.listen;
    if !config.ledger.peers.is_empty() {
        TcpListener::bind(listen).with_context(|| {
            format!(
                "cannot listen for the ledger's peers on {listen}; is another node running there?"
            )
        })?;
    }
    Ok(())
}

fn settings_of(opened: &Opened, config: &Config) -> node::Config {
    let mut settings = node::Config::new(
        opened.genesis.clone(),
        opened.institution,
        config.ledger.listen,
    );
    settings.peers = config.ledger.peer_list();
    settings.peers_again = config.path.clone().map(|path| {
        PeerSource::new(move || match Config::read(&path) {
            Ok(config) => Some(config.ledger.peer_list()),
            Err(error) => {
                tracing::warn!("the peers of before stay: {error:#}");
                None
            }
        })
    });
    settings.limits.payload_bytes = config.http.payload_bytes;
    settings.policy = config.policy.clone().unwrap_or_default();
    settings.research = config.research.settings();
    settings
}

/// Runs something with the machine's clock and randomness, without a node.
pub(crate) fn with_ambient<T: Send, E: Into<anyhow::Error> + Send>(
    work: impl FnOnce(&Ambient) -> Result<T, E> + Send,
) -> Result<T> {
    // The engine's runtime wants a storage folder, in which nothing is kept here.
    let mut tag = [0_u8; 8];
    crate::entropy::fill(&mut tag)?;
    let name = format!("ithaca-{:016x}", u64::from_le_bytes(tag));
    let folder = std::env::temp_dir().join(name);
    let settings = runtime::Config::new()
        .with_worker_threads(1)
        .with_storage_directory(&folder);
    let done =
        runtime::Runner::new(settings).start(|context| async move { work(&Ambient::of(&context)) });
    std::fs::remove_dir_all(&folder).ok();
    done.map_err(Into::into)
}
