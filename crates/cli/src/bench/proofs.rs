//! What anyone may fetch of the log: tiles and checkpoints over HTTP, and receipts, as a node makes them.

use super::{
    ProofsOptions, Scratch, deposit,
    rounds::{Round, at_once},
    served::Served,
    table::{Demand, Table},
};
use crate::{config::Config, folder, running::Running};
use anyhow::{Context as _, Result, bail, ensure};
use consent::Role;
use futures::executor::block_on;
use node::{
    Handle, RecordId, SubjectId,
    publication::LogTile,
    receipt::{ReceiptAnswer, ReceiptQuery},
    subject::{SubjectOpen, Wait},
};
use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Leaves of a full tile.
const TILE_LEAVES: u64 = 256;
const TILE_BYTES: usize = 8_192;
const FINAL: Wait = Wait::Final { timeout_ms: 20_000 };
const PATIENCE: Duration = Duration::from_secs(120);
const ROUNDS: usize = 4;

pub(super) fn run(options: &ProofsOptions) -> Result<()> {
    let scratch = Scratch::new(options.folder.as_ref())?;
    let passphrase = folder::fresh_passphrase(&scratch.0.join("passphrase"))?;
    let data = scratch.0.join("node");
    folder::create_demo(&data, "Bench Hospital", &passphrase)?;
    let running = Running::start(&data, &passphrase, &Config::default())?;
    running.wait_ready(PATIENCE)?;
    let records = records(&running, options.at_once)?;
    let tiles = fill(&running, options.tiles)?;
    let served = Served::start(&running, &data)?;

    let workers: Vec<usize> = (0..options.at_once).collect();
    let each = (options.count / ROUNDS / options.at_once).max(1);
    let mut table = Table::default();
    let (mut health, mut fetched, mut notes) =
        (Round::default(), Round::default(), Round::default());
    let (mut read, mut receipts) = (Round::default(), Round::default());
    let clients = workers
        .iter()
        .map(|_| served.client())
        .collect::<Result<Vec<_>>>()?;
    let node = running.handle();
    for _ in 0..ROUNDS {
        health.add(at_once(&clients, each, |client, _| {
            client.get("/health").map(drop)
        })?);
        fetched.add(at_once(&clients, each, |client, number| {
            let bytes = client
                .get(&format!("/tlog/tile/0/{:03}", number as u64 % tiles))?
                .len();
            ensure!(bytes == TILE_BYTES, "a full tile of {bytes} bytes");
            Ok(())
        })?);
        notes.add(at_once(&clients, each / 4 + 1, |client, _| {
            client.get("/tlog/checkpoint").map(drop)
        })?);
        read.add(at_once(&workers, each, |_, number| {
            let index = format!("{:03}", number as u64 % tiles);
            let tile = block_on(node.log_tile(LogTile { level: 0, index }))?;
            ensure!(
                tile.len() == TILE_BYTES,
                "a full tile of {} bytes",
                tile.len()
            );
            Ok(())
        })?);
        receipts.add(at_once(&records, each / 4 + 1, |record, _| {
            receipt(&running, &node, record)
        })?);
    }
    table.group(
        format!("over HTTP, {} connections", options.at_once),
        vec![
            health.measured("GET /health").reference(),
            fetched
                .measured("GET /tlog/tile/0/... (a full tile, 8 kB)")
                .must(Demand::PerSecondAtLeast(20_000.0)),
            notes.measured("GET /tlog/checkpoint"),
        ],
    );
    table.group(
        format!("in the node, {} at once", options.at_once),
        vec![
            read.measured("node::log_tile").reference(),
            receipts.measured("node::receipt, built from the stored log"),
        ],
    );
    table.print(options.json);
    drop(clients);
    served.stop()?;
    running.stop()
}

struct Record {
    subject: SubjectId,
    record: RecordId,
}

/// Records that are final on the ledger.
fn records(running: &Running, count: usize) -> Result<Vec<Record>> {
    let template = deposit::phenopacket(1_000);
    let node = running.handle();
    let numbers: Vec<usize> = (0..count).collect();
    let records = Mutex::new(Vec::new());
    at_once(&numbers, 1, |number, _| {
        let opened = block_on(node.subject_open(SubjectOpen {
            caller: deposit::caller(running, Role::Desk)?,
            controllers: Vec::new(),
            matures: None,
            client_key: None,
            wait: FINAL,
        }))?;
        let deposited = block_on(node.record_deposit(deposit::submission(
            deposit::caller(running, Role::Laboratory)?,
            opened.subject,
            deposit::numbered(&template, *number),
            FINAL,
        )))?;
        ensure!(
            deposited.finality.is_final(),
            "a record is not final after 20 s"
        );
        let record = deposited.records.first().context("a deposited record")?;
        let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
        records.push(Record {
            subject: opened.subject,
            record: record.record,
        });
        Ok(())
    })?;
    Ok(records.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Opens subjects until the log has so many full tiles; how many it has.
fn fill(running: &Running, tiles: u64) -> Result<u64> {
    let node = running.handle();
    let openers: Vec<usize> = (0..16).collect();
    let each = usize::try_from(tiles * TILE_LEAVES)? / openers.len();
    at_once(&openers, each, |_, _| {
        loop {
            let opened = block_on(node.subject_open(SubjectOpen {
                caller: deposit::caller(running, Role::Desk)?,
                controllers: Vec::new(),
                matures: None,
                client_key: None,
                wait: Wait::Durable,
            }));
            match opened {
                Ok(_) => return Ok(()),
                Err(node::Error::Unavailable(_)) => thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(error.into()),
            }
        }
    })?;
    let from = Instant::now();
    loop {
        let index = format!("{:03}", tiles - 1);
        if block_on(node.log_tile(LogTile { level: 0, index })).is_ok() {
            return Ok(tiles);
        }
        ensure!(
            from.elapsed() < PATIENCE,
            "the log was not filled in {PATIENCE:?}"
        );
        thread::sleep(Duration::from_millis(100));
    }
}

fn receipt(running: &Running, node: &Handle, record: &Record) -> Result<()> {
    let answer = block_on(node.receipt(ReceiptQuery {
        caller: deposit::caller(running, Role::Clinician)?,
        subject: record.subject,
        record: record.record,
        version: None,
        leaf: None,
    }))?;
    match answer {
        ReceiptAnswer::Ready(_) => Ok(()),
        ReceiptAnswer::Pending => bail!("a final record has no receipt"),
    }
}
