//! The ledger: one validator's finality against the bare engine's, receipts verified, time until ready.

use super::{
    LedgerOptions, Scratch,
    table::{Demand, Measured, Table},
};
use crate::{config::Config, demo::memory_mib, folder, running::Running};
use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use codec::InstitutionId;
use commonware_runtime::{Clock as _, Runner as _, Supervisor as _, tokio as runtime};
use consensus::{
    SimplexCertificates,
    engine::{self, Pacing, Settings},
    network::Lookup,
    null::NullApplication,
};
use futures::StreamExt as _;
use keys::{HybridSecretKey, PqSigningKey, Secret, SigningKey};
use ledger::{
    Entry, Genesis, Institution, Kind, Parameters, SignedEntry, Validators,
    batch::RecordTree,
    entry::RecordBatch,
    receipt::{self, LoggedEntry, Receipt},
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};
use store_fjall::FjallStore;

/// Bytes of a made-up entry; a signed record batch has about as many.
const ENTRY_BYTES: usize = 200;

pub(super) fn run(options: &LedgerOptions) -> Result<()> {
    let scratch = Scratch::new(options.folder.as_ref())?;
    let founder = Founder::new()?;
    let mut table = Table::default();
    let bare = bare_engine(&founder, &scratch.0.join("engine"), options.count)?;
    let (finality, receipts) = finality(&founder, &scratch.0.join("ledger"), options.count)?;
    table.group(
        "finality, one validator, one entry at a time",
        vec![bare.reference(), finality.must(Demand::MedianAtMost(2.0))],
    );
    table.group(
        "receipt, verified offline",
        vec![
            verify(&founder.genesis, &receipts, options.receipts)?.must(Demand::MillisAtMost(1.0)),
        ],
    );
    table.group(
        "node",
        vec![ready(&scratch.0)?.must(Demand::MillisAtMost(3_000.0))],
    );
    table.note("memory of this process", memory_mib().unwrap_or(0.0), "MiB");
    table.print(options.json);
    Ok(())
}

/// A network of one, with its keys.
struct Founder {
    id: InstitutionId,
    signing: SigningKey,
    validator: Secret,
    genesis: Genesis,
}

impl Founder {
    fn new() -> Result<Self> {
        let fresh = || -> Result<Secret> {
            let mut bytes = [0_u8; 32];
            crate::entropy::fill(&mut bytes)?;
            Ok(Secret::from_bytes(bytes))
        };
        let id = InstitutionId::new([7; 16]);
        let signing = SigningKey::from_seed(fresh()?);
        let validator = fresh()?;
        let genesis = Genesis {
            institutions: vec![Institution {
                id,
                name: "Bench".to_owned(),
                kind: Kind::Hospital,
                signing: signing.public(),
                governance: PqSigningKey::from_seed(fresh()?).public(),
                sealing: HybridSecretKey::from_seed(fresh()?).public(),
            }],
            validators: Validators::new(
                [(id, SigningKey::from_seed(validator.clone()).public())].into(),
            ),
            parameters: Parameters::default(),
            time_ms: 0,
            nonce: [9; 32],
        };
        Ok(Self {
            id,
            signing,
            validator,
            genesis,
        })
    }

    fn network(&self) -> Result<Lookup> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Lookup::new(&self.validator, listen, Vec::new()).context("the validator's seed")
    }

    fn batch(&self, number: usize) -> Result<(RecordTree, SignedEntry)> {
        let commitment = keys::sha256(&[&number.to_be_bytes()]);
        let mut entropy = |out: &mut [u8]| out.fill(3);
        let tree = RecordTree::build(&[commitment], &mut entropy);
        let entry = Entry::RecordBatch(RecordBatch {
            custodian: self.id,
            root: tree.root(),
        });
        let signed = SignedEntry::sign(&self.genesis.network_id(), &entry, 9_000, &self.signing)
            .map_err(|e| anyhow!("signing: {e}"))?;
        Ok((tree, signed))
    }
}

fn runner(folder: &Path) -> runtime::Runner {
    runtime::Runner::new(runtime::Config::new().with_storage_directory(folder))
}

fn millis(context: &runtime::Context) -> u64 {
    let since = context
        .current()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The engine by itself: one small entry a block, the next block as soon as one is final.
fn bare_engine(founder: &Founder, folder: &Path, count: usize) -> Result<Measured> {
    let network = founder.network()?;
    let id = founder.genesis.network_id();
    let validators = founder.genesis.validators.keys();
    let settings = Settings {
        network: id,
        seed: founder.validator.clone(),
        epoch_blocks: founder.genesis.parameters.epoch_blocks,
        partition: "bench".to_owned(),
        pacing: Pacing {
            idle_block: Duration::from_secs(10),
            leader_timeout: Duration::from_secs(1),
        },
    };
    runner(folder).start(|context| async move {
        let clock = context.child("clock");
        let application = NullApplication::new(
            id,
            validators,
            (1, ENTRY_BYTES),
            Arc::new(move || millis(&clock)),
        )
        .context("a block of one entry")?;
        let mut passed = application.passed();
        let _engine = engine::start(
            context.child("engine"),
            network,
            Arc::new(application),
            settings,
        )
        .await
        .map_err(|e| anyhow!("the engine: {e}"))?;
        let mut taken = Vec::new();
        passed.changed().await?;
        let (from, mut last) = (Instant::now(), Instant::now());
        let mut height = passed.borrow_and_update().height;
        while taken.len() < count {
            passed.changed().await?;
            let now = *passed.borrow_and_update();
            let blocks = now.height - height;
            // Blocks that were final before this task ran share the time between them.
            let each =
                last.elapsed().as_secs_f64() * 1e3 / f64::from(u32::try_from(blocks)?.max(1));
            taken.extend((0..blocks).map(|_| each));
            (last, height) = (Instant::now(), now.height);
        }
        Ok(Measured::new(
            "the bare engine, block to block",
            taken,
            from.elapsed(),
        ))
    })
}

/// Signed record batches through the whole ledger, each submitted when the one before is final.
fn finality(founder: &Founder, folder: &Path, count: usize) -> Result<(Measured, Vec<Receipt>)> {
    let store = FjallStore::open(folder.join("store"), &store_fjall::Config::default())
        .map_err(|e| anyhow!("the store: {e}"))?;
    let config = consensus::Config::new(founder.genesis.clone(), founder.validator.clone());
    let network = founder.network()?;
    runner(&folder.join("engine")).start(|context| async move {
        let ledger = consensus::start(context.child("consensus"), network, store, config)
            .await
            .map_err(|e| anyhow!("the ledger: {e}"))?;
        let mut finalised = ledger.subscribe();
        let (mut taken, mut sampled, mut receipts) = (Vec::new(), Vec::new(), Vec::new());
        let mut elapsed = Duration::ZERO;
        for number in 0..count {
            let (tree, signed) = founder.batch(number)?;
            let bytes = Bytes::copy_from_slice(signed.bytes());
            let from = Instant::now();
            let id = ledger
                .submit(bytes)
                .await
                .map_err(|e| anyhow!("submitting: {e}"))?;
            let index = loop {
                let block = finalised.next().await.context("the ledger stopped")?;
                if let Some((_, index)) = block.entries.iter().find(|(entry, _)| *entry == id) {
                    break *index;
                }
            };
            elapsed += from.elapsed();
            taken.push(from.elapsed().as_secs_f64() * 1e3);
            if number % 40 == 0 {
                sampled.push((number, tree, index));
            }
        }
        for (number, tree, index) in sampled {
            let commitment = keys::sha256(&[&number.to_be_bytes()]);
            receipts.push(Receipt {
                leaves: Vec::new(),
                commitment,
                batch: tree.path(&commitment).context("a path in the batch")?,
                logged: logged(&context, &ledger, index).await?,
            });
        }
        Ok((
            Measured::new("the ledger, submit to durable finality", taken, elapsed),
            receipts,
        ))
    })
}

/// A block is final a moment before its certificate is kept.
async fn logged(
    context: &runtime::Context,
    ledger: &consensus::Handle<FjallStore>,
    index: u64,
) -> Result<LoggedEntry> {
    for _ in 0..200 {
        match ledger.logged_entry(index).await {
            Ok(logged) => return Ok(logged),
            Err(consensus::ReadError::NotFinal) => context.sleep(Duration::from_millis(10)).await,
            Err(error) => return Err(anyhow!("proving: {error}")),
        }
    }
    Err(anyhow!("proving: no certificate within 2 s"))
}

fn verify(genesis: &Genesis, receipts: &[Receipt], count: usize) -> Result<Measured> {
    let check = SimplexCertificates::new(&genesis.network_id());
    let encoded: Vec<Vec<u8>> = receipts.iter().map(Receipt::encode).collect();
    let from = Instant::now();
    let taken = encoded
        .iter()
        .cycle()
        .take(count)
        .map(|bytes| {
            let from = Instant::now();
            let receipt = Receipt::decode(bytes).map_err(|e| anyhow!("{e}"))?;
            receipt::verify(&receipt, genesis, &check, None).map_err(|e| anyhow!("{e}"))?;
            Ok(from.elapsed().as_secs_f64() * 1e3)
        })
        .collect::<Result<Vec<f64>>>()?;
    Ok(Measured::new(
        "decode and verify, epoch 0",
        taken,
        from.elapsed(),
    ))
}

/// From the start of the process's work to a node that serves, on a folder that was used before.
fn ready(scratch: &Path) -> Result<Measured> {
    let passphrase = folder::fresh_passphrase(&scratch.join("passphrase"))?;
    let data = scratch.join("node");
    folder::create(
        &data,
        "Bench Hospital",
        Kind::Hospital,
        Parameters::default(),
        &passphrase,
    )?;
    Running::start(&data, &passphrase, &Config::default())?.stop()?;
    let mut taken = Vec::new();
    let from = Instant::now();
    for _ in 0..5 {
        let from = Instant::now();
        let running = Running::start(&data, &passphrase, &Config::default())?;
        running.wait_ready(Duration::from_secs(30))?;
        taken.push(from.elapsed().as_secs_f64() * 1e3);
        running.stop()?;
    }
    Ok(Measured::new(
        "opened, unsealed and ready, after a stop",
        taken,
        from.elapsed(),
    ))
}
