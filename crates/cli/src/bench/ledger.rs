//! The ledger: finality against the bare engine's with one validator and with four, receipts verified, time
//! until ready; four validators under load, killed, wiped and idle.

mod engine;
mod four;
mod load;
mod site;

use super::{
    LedgerOptions, Scratch,
    table::{Demand, Measured, Table},
};
use crate::{config::Config, folder, running::Running};
use anyhow::{Context, Result, anyhow};
use commonware_runtime::{Clock as _, Runner as _, Supervisor as _, tokio as runtime};
use consensus::SimplexCertificates;
use futures::StreamExt as _;
use ledger::{
    Entry, Genesis, Kind, Parameters, SignedEntry,
    batch::RecordTree,
    entry::RecordBatch,
    receipt::{self, LoggedEntry, Receipt},
};
use site::World;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use store_fjall::FjallStore;

pub(super) fn run(options: &LedgerOptions) -> Result<()> {
    let scratch = Scratch::new(options.folder.as_ref())?;
    let mut table = Table::default();
    if !options.four {
        one(options, &scratch.0, &mut table)?;
    }
    four::run(options, &scratch.0, &mut table)?;
    table.print(options.json);
    Ok(())
}

fn one(options: &LedgerOptions, scratch: &Path, table: &mut Table) -> Result<()> {
    let world = World::new(&scratch.join("one"), 1, 1)?;
    let bare = engine::blocks(&world, &scratch.join("engine"), options.count)?.apart;
    let (finality, receipts) = finality(&world, &scratch.join("ledger"), options.count)?;
    table.group(
        "finality, one validator, one entry at a time",
        vec![bare.reference(), finality.must(Demand::MedianAtMost(2.0))],
    );
    let verified = verify(&world.genesis, &receipts, options.receipts)?;
    table.group(
        "receipt, verified offline",
        vec![verified.must(Demand::MillisAtMost(1.0))],
    );
    table.group(
        "node",
        vec![ready(scratch)?.must(Demand::MillisAtMost(3_000.0))],
    );
    Ok(())
}

fn batch(world: &World, number: usize) -> Result<(RecordTree, SignedEntry)> {
    let commitment = keys::sha256(&[&number.to_be_bytes()]);
    let tree = RecordTree::build(&[commitment], &mut |out: &mut [u8]| out.fill(3));
    let entry = Entry::RecordBatch(RecordBatch {
        custodian: world.institution(0)?,
        root: tree.root(),
    });
    let key = world.signing.first().context("a member's key")?;
    let signed = SignedEntry::sign(&world.genesis.network_id(), &entry, 9_000, key)
        .map_err(|e| anyhow!("signing: {e}"))?;
    Ok((tree, signed))
}

/// Signed record batches through the whole ledger, each submitted when the one before is final.
fn finality(world: &World, folder: &Path, count: usize) -> Result<(Measured, Vec<Receipt>)> {
    let store = FjallStore::open(folder.join("store"), &store_fjall::Config::default())
        .map_err(|e| anyhow!("the store: {e}"))?;
    let seed = world.seeds.first().context("a validator's seed")?;
    let config = consensus::Config::new(world.genesis.clone(), seed.clone());
    let network = world.network(0)?;
    site::runner(&folder.join("engine")).start(|context| async move {
        let ledger = consensus::start(context.child("consensus"), network, store, config)
            .await
            .map_err(|e| anyhow!("the ledger: {e}"))?;
        let mut finalised = ledger.subscribe();
        let (mut taken, mut sampled, mut receipts) = (Vec::new(), Vec::new(), Vec::new());
        let mut elapsed = Duration::ZERO;
        for number in 0..count {
            let (tree, signed) = batch(world, number)?;
            let bytes = signed.bytes().clone();
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
