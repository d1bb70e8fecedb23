//! Deposits: parsed, projected, committed, sealed and durable, against the same bytes written to the same
//! kind of store by the same number of writers, in alternating rounds.

use super::{
    DepositOptions, Scratch,
    rounds::{Round, at_once},
    table::{Bound, Demand, Table},
};
use crate::{config::Config, demo::memory_mib, folder, running::Running};
use anyhow::{Context, Result, anyhow};
use consent::{Actor, PractitionerId, Role};
use futures::executor::block_on;
use node::{
    Caller, Error, Handle, SubjectId,
    record::{Content, Payload, Provenance, Submission},
    subject::{SubjectOpen, Wait},
};
use std::{
    thread,
    time::{Duration, Instant},
};
use store::{Batch, Store, Table as StoreTable};
use store_fjall::FjallStore;

const SIZES: [(&str, usize, f64); 2] = [("1 kB", 1_000, 0.3), ("100 kB", 100_000, 0.5)];
const ROUNDS: usize = 4;
/// Where a template has its number.
const ID_AT: usize = "{\"id\":\"bench-".len();
/// How long a depositor waits when it is told to.
const BACK_OFF: Duration = Duration::from_millis(20);
const RAW: StoreTable = StoreTable::new("bench");

pub(super) fn run(options: &DepositOptions) -> Result<()> {
    let scratch = Scratch::new(options.folder.as_ref())?;
    let passphrase = folder::fresh_passphrase(&scratch.0.join("passphrase"))?;
    let data = scratch.0.join("node");
    folder::create_demo(&data, "Bench Hospital", &passphrase)?;
    let running = Running::start(&data, &passphrase, &Config::default())?;
    let raw = FjallStore::open(scratch.0.join("raw"), &store_fjall::Config::default())
        .map_err(|e| anyhow!("the reference store: {e}"))?;
    let families = families(&running, options.at_once)?;
    let mut table = Table::default();
    for (name, bytes, share) in SIZES {
        let (mut reference, mut ours) = (Round::default(), Round::default());
        let each = (options.count / ROUNDS / options.at_once).max(1);
        for round in 0..ROUNDS {
            reference.add(write_raw(&raw, bytes, options.at_once, each, round)?);
            ours.add(deposit(&running.handle(), &families, bytes, each)?);
        }
        table.group(
            format!("{name}, {} at once, durable", options.at_once),
            vec![
                reference
                    .measured("store, grouped write of the same bytes")
                    .reference(),
                ours.measured("deposit through node::record_deposit")
                    .must(Demand::RateAtLeast(share)),
            ],
        );
    }
    memory(&mut table, options, &running.handle(), &families)?;
    table.print(options.json);
    running.stop()
}

pub(super) fn caller(running: &Running, role: Role) -> Result<Caller> {
    Ok(Caller::staff(Actor {
        institution: running.institution(),
        practitioner: PractitionerId::new("bench")?,
        roles: [role].into(),
        slot: None,
    }))
}

struct Family {
    subject: SubjectId,
    laboratory: Caller,
}

fn families(running: &Running, count: usize) -> Result<Vec<Family>> {
    (0..count)
        .map(|_| {
            let opened = block_on(running.handle().subject_open(SubjectOpen {
                caller: caller(running, Role::Desk)?,
                controllers: Vec::new(),
                matures: None,
                client_key: None,
                wait: Wait::Durable,
            }))?;
            Ok(Family {
                subject: opened.subject,
                laboratory: caller(running, Role::Laboratory)?,
            })
        })
        .collect()
}

/// A phenopacket of about so many bytes, like the published ones in shape.
pub(super) fn phenopacket(bytes: usize) -> Vec<u8> {
    let mut text = String::from(
        "{\"id\":\"bench-00000000\",\"subject\":{\"id\":\"s\",\"sex\":\"FEMALE\"},\"phenotypicFeatures\":[",
    );
    let mut term = 0;
    while text.len() + 120 < bytes {
        if term > 0 {
            text.push(',');
        }
        text.push_str(&format!(
            "{{\"type\":{{\"id\":\"HP:{:07}\",\"label\":\"Finding number {term} of the bench\"}}}}",
            1_000 + term % 9_000
        ));
        term += 1;
    }
    text.push_str("],\"metaData\":{\"created\":\"2026-01-01T00:00:00Z\",\"phenopacketSchemaVersion\":\"2.0\"}}");
    text.into_bytes()
}

/// A phenopacket to be deposited, as every bench does it.
pub(super) fn submission(
    caller: Caller,
    subject: SubjectId,
    bytes: Vec<u8>,
    wait: Wait,
) -> Submission {
    Submission {
        caller,
        subject,
        payload: Payload::Phenopacket(Content::new(bytes)),
        record: None,
        client_key: None,
        expect_version: None,
        provenance: Provenance {
            source: "bench".into(),
            note: String::new(),
        },
        wait,
    }
}

/// A template as a document of its own. Templates are written before the clock starts, so that both
/// sides are charged for a copy alone.
pub(super) fn numbered(template: &[u8], number: usize) -> Vec<u8> {
    let mut document = template.to_vec();
    let digits = format!("{:08}", number % 100_000_000);
    for (at, digit) in (ID_AT..).zip(digits.bytes()) {
        if let Some(byte) = document.get_mut(at) {
            *byte = digit;
        }
    }
    document
}

fn write_raw(
    raw: &FjallStore,
    bytes: usize,
    workers: usize,
    each: usize,
    round: usize,
) -> Result<Round> {
    let workers: Vec<usize> = (0..workers).collect();
    let template = phenopacket(bytes);
    at_once(&workers, each, |_, number| {
        let key = format!("{bytes}/{round}/{number}");
        let value = numbered(&template, number);
        block_on(raw.commit(Batch::new().put(RAW, key.into_bytes(), value)))
            .context("the reference store")
    })
}

fn deposit(node: &Handle, families: &[Family], bytes: usize, each: usize) -> Result<Round> {
    let template = phenopacket(bytes);
    at_once(families, each, |family, number| {
        let submission = || {
            let bytes = numbered(&template, number);
            submission(
                family.laboratory.clone(),
                family.subject,
                bytes,
                Wait::Durable,
            )
        };
        loop {
            match block_on(node.record_deposit(submission())) {
                Ok(_) => return Ok(()),
                // The ledger takes one batch a second: a long load meets its bound, and waits as told.
                Err(Error::Unavailable(_)) => thread::sleep(BACK_OFF),
                Err(error) => return Err(error.into()),
            }
        }
    })
}

/// The memory after each minute of load at 1 kB.
#[expect(clippy::print_stderr, reason = "progress of a long run")]
fn memory(
    table: &mut Table,
    options: &DepositOptions,
    node: &Handle,
    families: &[Family],
) -> Result<()> {
    table.note_must(
        "memory after the rounds",
        memory_mib().unwrap_or(0.0),
        "MiB",
        Bound::AtMost(250.0),
    );
    for minute in 1..=options.minutes {
        let from = Instant::now();
        let mut done = 0;
        while from.elapsed() < Duration::from_secs(60) {
            done += deposit(node, families, 1_000, 50)?.millis.len();
        }
        let memory = memory_mib().unwrap_or(0.0);
        eprintln!(
            "minute {minute} of {}: {done} deposits, {memory:.0} MiB",
            options.minutes
        );
        table.note(
            format!("memory after minute {minute} of load"),
            memory,
            "MiB",
        );
    }
    Ok(())
}
