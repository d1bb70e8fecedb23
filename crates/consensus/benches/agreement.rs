//! What finality costs on this machine: the bare engine against the full ledger, busy and idle.
//!
//! `cargo bench -p ithaca-consensus` runs everything; arguments choose among `engine`, `ledger` and
//! `idle`, and the number of validators (`1`, `4`). One process, loopback TCP, storage in the
//! system's temporary folder (`TMPDIR`).

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends when it cannot run"
)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use codec::{EntryId, InstitutionId};
use commonware_runtime::{Clock, Metrics, Runner, Supervisor, tokio};
use consensus::engine::{self, Pacing, Settings};
use consensus::evidence::Faults;
use consensus::network::Lookup;
use consensus::null::NullApplication;
use consensus::{Config, Handle, start};
use keys::{HybridSecretKey, PqSigningKey, Secret, SigningKey};
use ledger::entry::RecordBatch;
use ledger::{Entry, Genesis, Institution, Kind, Parameters, SignedEntry, Validators};
use store_fjall::FjallStore;

/// Entries in the pool while the ledger is kept busy.
const WINDOW: usize = 4_096;
const BUSY: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(60);

fn main() {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let wants = |name: &str, validators: u8| {
        let named: Vec<_> = chosen.iter().filter(|a| a.parse::<u8>().is_err()).collect();
        let counted: Vec<_> = chosen.iter().filter_map(|a| a.parse::<u8>().ok()).collect();
        (named.is_empty() || named.iter().any(|a| *a == name))
            && (counted.is_empty() || counted.contains(&validators))
    };
    for validators in [1, 4] {
        if wants("engine", validators) {
            for entries in [0, 1, 1_000] {
                bare_engine(validators, entries);
            }
        }
        if wants("ledger", validators) {
            one_at_a_time(validators);
            busy(validators);
        }
        if wants("idle", validators) {
            idle(validators);
        }
    }
}

struct World {
    signing: Vec<SigningKey>,
    seeds: Vec<Secret>,
    genesis: Genesis,
    port: u16,
}

impl World {
    fn new(validators: u8, port: u16) -> Self {
        let secret = |kind: u8, index: u8| {
            let mut bytes = [kind; 32];
            bytes[31] = index;
            Secret::from_bytes(bytes)
        };
        let signing: Vec<_> = (0..validators)
            .map(|index| SigningKey::from_seed(secret(1, index)))
            .collect();
        let seeds: Vec<_> = (0..validators).map(|index| secret(3, index)).collect();
        let institutions = (0..validators)
            .map(|index| Institution {
                id: InstitutionId::new([index; 16]),
                name: format!("Institution {index}"),
                kind: Kind::Hospital,
                signing: signing[usize::from(index)].public(),
                governance: PqSigningKey::from_seed(secret(2, index)).public(),
                sealing: HybridSecretKey::from_seed(secret(4, index)).public(),
            })
            .collect();
        let keys: BTreeMap<_, _> = (0..validators)
            .map(|index| {
                let seed = seeds[usize::from(index)].clone();
                (
                    InstitutionId::new([index; 16]),
                    SigningKey::from_seed(seed).public(),
                )
            })
            .collect();
        let genesis = Genesis {
            institutions,
            validators: Validators::new(keys),
            parameters: Parameters::default(),
            time_ms: 0,
            nonce: [9; 32],
        };
        Self {
            signing,
            seeds,
            genesis,
            port,
        }
    }

    fn address(&self, index: usize) -> SocketAddr {
        let port = self.port + u16::try_from(index).unwrap();
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    fn network(&self, index: usize) -> Lookup {
        let peers = (0..self.seeds.len())
            .filter(|peer| *peer != index)
            .map(|peer| {
                let key = SigningKey::from_seed(self.seeds[peer].clone()).public();
                (key, self.address(peer))
            })
            .collect();
        Lookup::new(&self.seeds[index], self.address(index), peers).unwrap()
    }

    fn entry(&self, number: usize) -> (EntryId, Bytes) {
        let by = number % self.signing.len();
        let entry = Entry::RecordBatch(RecordBatch {
            custodian: self.genesis.institutions[by].id,
            root: keys::sha256(&[&number.to_be_bytes()]),
        });
        let network = self.genesis.network_id();
        let signed = SignedEntry::sign(&network, &entry, 9_000, &self.signing[by]).unwrap();
        (signed.entry_id(), signed.bytes().clone())
    }

    async fn nodes(
        &self,
        context: &tokio::Context,
        folder: &std::path::Path,
    ) -> Vec<Handle<FjallStore>> {
        let mut nodes = Vec::new();
        for (index, seed) in self.seeds.iter().enumerate() {
            let store = folder.join(format!("store-{index}"));
            let store = FjallStore::open(store, &store_fjall::Config::default()).unwrap();
            let config = Config {
                partition: format!("node-{index}"),
                ..Config::new(self.genesis.clone(), seed.clone())
            };
            let context = context.child("node").with_attribute("index", index);
            let ledger = start(context, self.network(index), store, config).await;
            nodes.push(ledger.unwrap());
        }
        nodes
    }
}

fn run<F, Fut>(f: F)
where
    F: FnOnce(tokio::Context, std::path::PathBuf) -> Fut,
    Fut: Future<Output = ()>,
{
    let folder = tempfile::tempdir().unwrap();
    let config = tokio::Config::new().with_storage_directory(folder.path().join("engine"));
    tokio::Runner::new(config).start(|context| f(context, folder.path().to_owned()));
}

fn bare_engine(validators: u8, entries: usize) {
    run(async move |context, _| {
        let world = World::new(validators, 42_000);
        let mut first = None;
        for (index, seed) in world.seeds.iter().enumerate() {
            let clock = context.child("clock");
            let network = world.genesis.network_id();
            let application = NullApplication::new(
                network,
                world.genesis.validators.keys(),
                (entries, 200),
                Arc::new(move || millis(&clock)),
            )
            .unwrap();
            first.get_or_insert(application.passed());
            let settings = Settings {
                network,
                seed: seed.clone(),
                epoch_blocks: 1_000,
                partition: format!("null-{index}"),
                pacing: Pacing {
                    idle_block: Duration::from_secs(10),
                    leader_timeout: Duration::from_secs(1),
                },
                faults: Faults::default(),
            };
            let context = context.child("engine").with_attribute("index", index);
            engine::start(
                context,
                world.network(index),
                Arc::new(application),
                settings,
            )
            .await
            .unwrap();
        }
        let mut passed = first.unwrap();
        while passed.borrow_and_update().height < 5 {
            passed.changed().await.unwrap();
        }
        let (began, start) = (millis(&context), *passed.borrow());
        let mut latencies = Vec::new();
        while millis(&context) - began < 5_000 {
            passed.changed().await.unwrap();
            let block = *passed.borrow_and_update();
            latencies.push(block.finalised_ms - block.time_ms);
        }
        let took_s = seconds(millis(&context) - began);
        let end = *passed.borrow();
        report(
            &format!("engine, {validators} validator(s), {entries} entries a block"),
            &format!(
                "{:.0} blocks/s, {:.0} entries/s, proposed to final {}",
                ratio(end.height - start.height, took_s),
                ratio(end.entries - start.entries, took_s),
                quantiles(latencies),
            ),
        );
    });
}

fn one_at_a_time(validators: u8) {
    run(async move |context, folder| {
        let world = World::new(validators, 42_100);
        let nodes = world.nodes(&context, &folder).await;
        warm_up(&world, &nodes).await;
        let mut latencies = Vec::new();
        for number in 0..200 {
            let node = &nodes[number % nodes.len()];
            let (id, entry) = world.entry(number);
            let mut blocks = node.subscribe();
            let before = millis(&context);
            node.submit(entry).await.unwrap();
            while !blocks
                .recv()
                .await
                .unwrap()
                .entries
                .iter()
                .any(|(of, _)| *of == id)
            {}
            latencies.push(millis(&context) - before);
        }
        report(
            &format!("ledger, {validators} validator(s), one entry at a time"),
            &format!("submitted to durable and final {}", quantiles(latencies)),
        );
    });
}

fn busy(validators: u8) {
    run(async move |context, folder| {
        let world = World::new(validators, 42_200);
        let nodes = world.nodes(&context, &folder).await;
        warm_up(&world, &nodes).await;
        let entries: Vec<Bytes> = (0..60_000).map(|number| world.entry(number).1).collect();
        let mut blocks = nodes[0].subscribe();
        let began = millis(&context);
        let (mut submitted, mut done, mut count) = (0, 0, 0_u64);
        let mut latencies = Vec::new();
        while millis(&context) - began < u64::try_from(BUSY.as_millis()).unwrap() {
            while submitted < entries.len() && submitted - done < WINDOW {
                let node = &nodes[submitted % nodes.len()];
                node.submit(entries[submitted].clone()).await.unwrap();
                submitted += 1;
            }
            if done == entries.len() {
                break;
            }
            let block = blocks.recv().await.unwrap();
            if !block.entries.is_empty() {
                latencies.push(millis(&context).saturating_sub(block.time_ms));
            }
            done += block.entries.len();
            count += 1;
        }
        let took_s = seconds(millis(&context) - began);
        report(
            &format!("ledger, {validators} validator(s), {WINDOW} pending"),
            &format!(
                "{:.0} blocks/s, {:.0} entries/s, proposed to durable {}",
                ratio(count, took_s),
                ratio(u64::try_from(done).unwrap(), took_s),
                quantiles(latencies),
            ),
        );
    });
}

fn idle(validators: u8) {
    run(async move |context, folder| {
        let world = World::new(validators, 42_300);
        let nodes = world.nodes(&context, &folder).await;
        warm_up(&world, &nodes).await;
        let (before, cpu) = (nodes[0].tip().height, cpu_ms());
        let skipped = nullified(&context);
        context.sleep(IDLE).await;
        let cpu = cpu_ms() - cpu;
        let blocks = nodes[0].tip().height - before;
        let skipped = nullified(&context) - skipped;
        let mut latencies = Vec::new();
        for number in 0..20 {
            context.sleep(Duration::from_millis(330)).await;
            let node = &nodes[number % nodes.len()];
            let (id, entry) = world.entry(number);
            let mut finals = node.subscribe();
            let sent = millis(&context);
            node.submit(entry).await.unwrap();
            let made = loop {
                let block = finals.recv().await.unwrap();
                if block.entries.iter().any(|(of, _)| *of == id) {
                    break block.time_ms;
                }
            };
            latencies.push(made.saturating_sub(sent));
        }
        let minutes = seconds(u64::try_from(IDLE.as_millis()).unwrap()) / 60.0;
        report(
            &format!("idle, {validators} validator(s)"),
            &format!(
                "{:.1} blocks/min, {:.0} skipped turns/min over all nodes, {:.2} % of a core over \
                 all nodes; an entry is proposed after {}",
                ratio(blocks, minutes),
                ratio(skipped, minutes),
                ratio(cpu, minutes * 60_000.0) * 100.0,
                quantiles(latencies),
            ),
        );
    });
}

/// Waits until every node has agreed on a first entry.
async fn warm_up(world: &World, nodes: &[Handle<FjallStore>]) {
    let (id, entry) = world.entry(usize::MAX);
    let mut blocks: Vec<_> = nodes.iter().map(Handle::subscribe).collect();
    nodes[0].submit(entry).await.unwrap();
    for blocks in &mut blocks {
        while !blocks
            .recv()
            .await
            .unwrap()
            .entries
            .iter()
            .any(|(of, _)| *of == id)
        {}
    }
}

/// Views that ended without a block, over all nodes.
fn nullified(context: &tokio::Context) -> u64 {
    context
        .encode()
        .lines()
        .filter(|line| {
            line.contains("voter_timeouts_total") || line.contains("voter_state_timeouts")
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// CPU time of this process.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<u64> = after_name
        .split_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    // Fields 14 and 15 in ticks of 10 ms; the first two fields are gone, the state is no number.
    fields
        .get(10)
        .zip(fields.get(11))
        .map_or(0, |(user, system)| (user + system) * 10)
}

fn millis(clock: &impl Clock) -> u64 {
    let since = clock.current().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}

fn ratio(count: u64, per: f64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / per
}

fn quantiles(mut latencies: Vec<u64>) -> String {
    latencies.sort_unstable();
    let at = |percent: usize| {
        let last = latencies.len().saturating_sub(1);
        latencies.get(last * percent / 100).copied().unwrap_or(0)
    };
    format!("p50 {} ms, p99 {} ms, most {} ms", at(50), at(99), at(100))
}

fn report(what: &str, numbers: &str) {
    println!("{what}: {numbers}");
}
