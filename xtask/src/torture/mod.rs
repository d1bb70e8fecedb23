//! Kills a live node at random moments and checks, from outside, that it kept its word.
//!
//! A real `ithaca up` process is driven over HTTP by several workers that open subjects, deposit,
//! grant, revoke and erase. After a random time it gets SIGKILL and is started again on the same
//! folder. Checked after every start for each family that was touched and for some others, and at the end
//! for all, when the backlog has drained:
//! - a deposit that was acknowledged is there, byte for byte, once;
//! - a deposit sent again under its key gives the same record;
//! - a revocation that was acknowledged still refuses;
//! - a subject whose erasure was acknowledged opens for nobody;
//! - of a FHIR transaction over two patients all is there, or nothing;
//! - every acknowledged record gets a receipt, and `ithaca verify` accepts it.
//!
//! The seed drives the workers' choices and the moments of the kills; what the machine does in between
//! is its own.

pub(crate) mod model;
pub(crate) mod server;
mod transactions;

use crate::{flag, shell};
use anyhow::{Context, Result, bail};
use model::{Rng, Subject};
use server::{Institution, Server};
use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use transactions::Transactions;

/// Families under test at a time; each belongs to one worker.
const WORKERS: u64 = 4;
/// Longest life of a process before it is killed.
const MAX_LIFE_MS: u64 = 2_500;

/// After a kill, about so many of the subjects are checked besides those that were touched.
const SAMPLED: u64 = 16;

/// What to do.
pub(crate) struct Options {
    kills: u64,
    seed: u64,
    release: bool,
    /// An `ithaca` that is built already.
    binary: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let number = |name: &str, default: u64| -> Result<u64> {
            flag(args, name)?.map_or(Ok(default), |v| {
                v.parse()
                    .with_context(|| format!("{name} takes a number, not '{v}'"))
            })
        };
        let kills = number("--kills", 15)?;
        if !(1..=10_000).contains(&kills) {
            bail!("--kills takes 1 to 10000, not {kills}");
        }
        Ok(Self {
            kills,
            seed: number("--seed", 1)?,
            release: args.iter().any(|a| a == "--release"),
            binary: flag(args, "--binary")?.map(PathBuf::from),
        })
    }
}

/// Runs the whole torture; an error says what was lost, doubled or undone, and where the folder is.
pub(crate) fn run(options: &Options) -> Result<()> {
    let ithaca = match &options.binary {
        Some(path) => path.clone(),
        None => shell::binary("ithaca-cli", "ithaca", options.release)?,
    };
    let folder = scratch(options.seed)?;
    println!(
        "torture: {} kills, seed {}, folder {}",
        options.kills,
        options.seed,
        folder.display()
    );
    match kill_and_check(&ithaca, &folder, options) {
        Ok(summary) => {
            fs::remove_dir_all(&folder).ok();
            println!("torture: {summary}");
            Ok(())
        }
        Err(error) => Err(error.context(format!(
            "seed {}; the node's folder and log are kept in {}",
            options.seed,
            folder.display()
        ))),
    }
}

fn scratch(seed: u64) -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("ithaca-torture-{seed}-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

fn kill_and_check(
    ithaca: &std::path::Path,
    folder: &std::path::Path,
    options: &Options,
) -> Result<String> {
    let institution = Institution::create(ithaca, folder)?;
    let mut rng = Rng::new(options.seed);
    let mut workers: Vec<Vec<Subject>> = (0..WORKERS).map(|_| Vec::new()).collect();
    let mut transactions = Transactions::default();
    for kill in 0..options.kills {
        let mut server = Server::start(&institution)?;
        let count = workers.iter().map(Vec::len).sum::<usize>() as u64;
        for subject in workers.iter_mut().flatten() {
            if subject.is_touched() || rng.next() % count < SAMPLED {
                subject.check(&institution, server.base())?;
            }
        }
        transactions.check(&institution, server.base())?;
        let life_ms = 50 + rng.next() % MAX_LIFE_MS;
        let stop = Arc::new(AtomicBool::new(false));
        let transacting = {
            let (stop, institution, base) =
                (stop.clone(), institution.clone(), server.base().to_owned());
            let mut rng = Rng::new(rng.next());
            let mut transactions = std::mem::take(&mut transactions);
            thread::spawn(move || -> (Transactions, Result<()>) {
                let outcome = transactions.work(&institution, &base, &mut rng, &stop);
                (transactions, outcome)
            })
        };
        let hands: Vec<_> = workers
            .drain(..)
            .map(|mut subjects| {
                let (stop, institution, base) =
                    (stop.clone(), institution.clone(), server.base().to_owned());
                let mut rng = Rng::new(rng.next());
                thread::spawn(move || -> (Vec<Subject>, Result<()>) {
                    let outcome =
                        model::work(&mut subjects, &institution, &base, &mut rng, life_ms, &stop);
                    (subjects, outcome)
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(life_ms));
        server.kill()?;
        stop.store(true, Ordering::SeqCst);
        for hand in hands {
            let (subjects, outcome) = match hand.join() {
                Ok(done) => done,
                Err(_) => bail!("a worker panicked"),
            };
            outcome?;
            workers.push(subjects);
        }
        let Ok((sent, outcome)) = transacting.join() else {
            bail!("the worker of the transactions panicked");
        };
        outcome?;
        transactions = sent;
        let acknowledged: usize = workers.iter().flatten().map(Subject::acknowledged).sum();
        let acknowledged = acknowledged + transactions.acknowledged();
        println!(
            "torture: kill {} of {}, {acknowledged} writes acknowledged so far",
            kill + 1,
            options.kills
        );
    }
    let server = Server::start(&institution)?;
    let mut totals = model::Totals::default();
    for subject in workers.iter_mut().flatten() {
        subject.check(&institution, server.base())?;
        subject.check_receipts(&institution, server.base(), 1, &mut totals)?;
    }
    transactions.check(&institution, server.base())?;
    server.stop()?;
    Ok(format!(
        "{} kills; {totals}; {} FHIR transactions whole; nothing acknowledged lost, nothing doubled, no narrowing undone",
        options.kills,
        transactions.acknowledged()
    ))
}
