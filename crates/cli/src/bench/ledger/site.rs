//! Validators and followers of one made-up network in this process: loopback TCP, a store and an engine
//! folder on disk for each, and for each a runtime of its own that ends when it is killed.

use anyhow::{Context, Result, anyhow, ensure};
use codec::InstitutionId;
use commonware_runtime::{Runner as _, Supervisor as _, tokio as runtime};
use consensus::{Config, Handle, network::Lookup};
use futures::{channel::oneshot, executor::block_on};
use keys::{HybridSecretKey, PqSigningKey, Secret, SigningKey};
use ledger::{Genesis, Institution, Kind, Parameters, Validators};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use store_fjall::FjallStore;

/// Threads of each runtime: several share the cores.
const WORKERS: usize = 1;

/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(2);

/// A network and the keys of all its members; the first ones validate.
pub(super) struct World {
    pub(super) genesis: Genesis,
    pub(super) signing: Vec<SigningKey>,
    pub(super) seeds: Vec<Secret>,
    folder: PathBuf,
    addresses: Vec<SocketAddr>,
}

impl World {
    pub(super) fn new(folder: &Path, members: u8, validators: usize) -> Result<Self> {
        let fresh = || -> Result<Secret> {
            let mut bytes = [0_u8; 32];
            crate::entropy::fill(&mut bytes)?;
            Ok(Secret::from_bytes(bytes))
        };
        let (mut institutions, mut signing, mut seeds) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..members {
            let key = SigningKey::from_seed(fresh()?);
            institutions.push(Institution {
                id: InstitutionId::new([index + 1; 16]),
                name: format!("Bench {index}"),
                kind: Kind::Hospital,
                signing: key.public(),
                governance: PqSigningKey::from_seed(fresh()?).public(),
                sealing: HybridSecretKey::from_seed(fresh()?).public(),
            });
            signing.push(key);
            seeds.push(fresh()?);
        }
        let voting = institutions.iter().zip(&seeds).take(validators);
        let voting = voting.map(|(of, seed)| (of.id, SigningKey::from_seed(seed.clone()).public()));
        let genesis = Genesis {
            validators: Validators::new(voting.collect()),
            institutions,
            parameters: Parameters::default(),
            time_ms: 0,
            nonce: [9; 32],
        };
        Ok(Self {
            genesis,
            signing,
            addresses: free_addresses(seeds.len())?,
            seeds,
            folder: folder.to_owned(),
        })
    }

    pub(super) fn institution(&self, index: usize) -> Result<InstitutionId> {
        let institution = self.genesis.institutions.get(index);
        Ok(institution.context("a member of the bench")?.id)
    }

    /// The network as a member sees it.
    pub(super) fn network(&self, index: usize) -> Result<Lookup> {
        let all = self.seeds.iter().zip(&self.addresses);
        let peers = all.enumerate().filter(|(peer, _)| *peer != index);
        let peers = peers
            .map(|(_, (seed, at))| (SigningKey::from_seed(seed.clone()).public(), *at))
            .collect();
        let (seed, at) = (self.seeds.get(index), self.addresses.get(index));
        let (seed, at) = seed.zip(at).context("a member of the bench")?;
        Lookup::new(seed, *at, peers).context("a validator's seed")
    }

    /// Where a member keeps everything.
    pub(super) fn home(&self, index: usize) -> PathBuf {
        self.folder.join(format!("member-{index}"))
    }

    /// Starts a member on whatever its folder holds.
    pub(super) fn start(&self, index: usize, idle_block_ms: u64) -> Result<Site> {
        let network = self.network(index)?;
        let seed = self.seeds.get(index).context("a member of the bench")?;
        let config = Config {
            idle_block_ms,
            ..Config::new(self.genesis.clone(), seed.clone())
        };
        let home = self.home(index);
        let (started, start) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name(format!("member-{index}"))
            .spawn(move || {
                let settings = store_fjall::Config::default();
                let store = match FjallStore::open(home.join("store"), &settings) {
                    Ok(store) => store,
                    Err(error) => {
                        started.send(Err(anyhow!("the store: {error}"))).ok();
                        return;
                    }
                };
                runner(&home.join("engine")).start(|context| async move {
                    let context = context.child("member");
                    match consensus::start(context, network, store, config).await {
                        Ok(ledger) => {
                            started.send(Ok(ledger)).ok();
                            stopped.await.ok();
                        }
                        Err(error) => {
                            started.send(Err(anyhow!("the ledger: {error}"))).ok();
                        }
                    }
                });
            })?;
        let ledger = block_on(start).context("a member ended while it started")??;
        Ok(Site {
            ledger,
            stop,
            thread,
        })
    }

    pub(super) fn start_all(&self, validators: usize, idle_block_ms: u64) -> Result<Vec<Site>> {
        (0..validators)
            .map(|index| self.start(index, idle_block_ms))
            .collect()
    }
}

/// A running member.
pub(super) struct Site {
    pub(super) ledger: Handle<FjallStore>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Site {
    /// Ends it in the middle of whatever it does.
    pub(super) fn kill(self) -> Result<()> {
        drop(self.stop);
        drop(self.ledger);
        self.thread
            .join()
            .map_err(|_| anyhow!("a member of the bench panicked"))
    }

    /// Waits until it has applied a height.
    pub(super) fn wait_height(&self, height: u64, patience: Duration) -> Result<()> {
        let from = Instant::now();
        while self.ledger.tip().height < height {
            ensure!(
                from.elapsed() < patience,
                "height {} instead of {height} after {patience:?}",
                self.ledger.tip().height
            );
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

pub(super) fn runner(folder: &Path) -> runtime::Runner {
    let settings = runtime::Config::new()
        .with_worker_threads(WORKERS)
        .with_storage_directory(folder);
    runtime::Runner::new(settings)
}

/// Bytes on disk of everything below a folder.
pub(super) fn disk_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0_u64;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            // What is merged away while this looks is gone.
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if found.is_dir() {
                open.push(entry.path());
            } else {
                bytes = bytes.saturating_add(found.blocks().saturating_mul(512));
            }
        }
    }
    Ok(bytes)
}

fn free_addresses(count: usize) -> Result<Vec<SocketAddr>> {
    let listeners = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<Vec<_>, _>>()?;
    let addresses = listeners.iter().map(TcpListener::local_addr);
    Ok(addresses.collect::<Result<Vec<_>, _>>()?)
}
