//! Four validators in this process: finality, load, a leader that is gone, a wiped node, an idle day.

use super::{
    engine,
    load::{Author, Load, pass},
    site::{Site, World, disk_bytes},
};
use crate::{
    bench::{
        LedgerOptions, process,
        table::{Bound, Demand, Measured, Table},
    },
    demo::memory_mib,
};
use anyhow::{Context, Result, anyhow, ensure};
use futures::executor::block_on;
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

const VALIDATORS: usize = 4;
/// A member that only follows.
const FOLLOWER: usize = VALIDATORS;
const MEMBERS: u8 = 5;
/// Between empty blocks, as nodes have it.
const IDLE_BLOCK_MS: u64 = 10_000;
/// Subjects open before the load: each is updated about every three seconds.
const SUBJECTS: usize = 4_000;
/// Entries a second while the ledger is merely filled.
const FILLING: f64 = 20_000.0;
/// How many entries are made at a time: they are in memory until they are final.
const PORTION: usize = 30_000;
/// Subjects opened to see what one costs in memory.
const OPENED: usize = 60_000;
/// Blocks in a day of which nothing happens but the disclosure periods of every minute.
const IDLE_BLOCKS: u64 = 8_640;
const MINUTES: u64 = 1_440;
/// How long a node may take to catch up before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(300);

#[expect(clippy::print_stderr, reason = "progress of a long run")]
fn tell(what: &str) {
    eprintln!("bench: {what} ({:.0} MiB)", memory_mib().unwrap_or(0.0));
}

pub(super) fn run(options: &LedgerOptions, scratch: &Path, table: &mut Table) -> Result<()> {
    tell("four bare engines");
    let world = World::new(&scratch.join("bare"), MEMBERS, VALIDATORS)?;
    let bare = engine::blocks(&world, &scratch.join("bare"), options.count)?;
    fs::remove_dir_all(scratch.join("bare"))?;

    let world = World::new(&scratch.join("four"), MEMBERS, VALIDATORS)?;
    let mut sites = world.start_all(VALIDATORS, IDLE_BLOCK_MS)?;
    let mut author = Author::new(&world, VALIDATORS);
    tell("one entry at a time");
    let light = light(&sites, &mut author, options.count)?;
    table.group(
        "finality, four validators, one entry at a time",
        vec![
            bare.finality.reference(),
            light.must(Demand::MedianAtMost(2.0)),
        ],
    );
    steady(options, &sites, &mut author, table)?;
    sites = leaders(&world, sites, &mut author, table)?;
    rejoin(options, &world, sites, &mut author, table)?;
    fs::remove_dir_all(scratch.join("four"))?;
    idle_day(&scratch.join("idle"), table)
}

/// Entries submitted one after the other, in turn at each node.
fn light(sites: &[Site], author: &mut Author<'_>, count: usize) -> Result<Measured> {
    let mut millis = Vec::new();
    let from = Instant::now();
    let load = author.batches(count, tip(sites))?;
    for turn in 0..count {
        let at = turn % sites.len();
        let (site, entry) = sites
            .get(at)
            .zip(load.get(at).and_then(|load| load.get(turn / sites.len())))
            .context("an entry of the load")?;
        let mut blocks = site.ledger.subscribe();
        let from = Instant::now();
        block_on(async {
            let submitted = site.ledger.submit(entry.bytes()).await;
            let id = submitted.map_err(|e| anyhow!("submitting: {e}"))?;
            loop {
                let block = blocks.recv().await.context("the ledger stopped")?;
                if block.entries.iter().any(|(of, _)| *of == id) {
                    return Ok::<(), anyhow::Error>(());
                }
            }
        })?;
        millis.push(from.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Measured::new(
        "the ledger, submit to durable finality",
        millis,
        from.elapsed(),
    ))
}

/// The load at its rate, once for the figures and then for the minutes.
fn steady(
    options: &LedgerOptions,
    sites: &[Site],
    author: &mut Author<'_>,
    table: &mut Table,
) -> Result<()> {
    tell("opening subjects");
    pass(sites, author.opens(SUBJECTS, tip(sites))?, FILLING)?;
    tell("signing the load");
    let load = author.mix(options.rate * options.seconds, tip(sites))?;
    tell("the load");
    let entries = load.iter().map(Vec::len).sum::<usize>();
    let (before, height) = (process::cpu(), tip(sites));
    let per_second = f64::from(u32::try_from(options.rate)?);
    let passed = pass(sites, load, per_second)?;
    let used = process::cpu()
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before));
    let blocks = tip(sites) - height;
    let shares = f64::from(u32::try_from(entries * sites.len())?);
    let figure = Measured::new(
        "due to final where submitted",
        passed.millis,
        passed.elapsed,
    );
    // What is in flight at the end is waited for: the rate is a little less than what was submitted.
    table.group(
        format!(
            "{} entries/s for {} s, four validators",
            options.rate, options.seconds
        ),
        vec![
            figure
                .must(Demand::PerSecondAtLeast(per_second * 0.99))
                .must(Demand::P99AtMost(1_000.0)),
        ],
    );
    if let Some(used) = used {
        table.note_must(
            "CPU time for each entry and validator",
            used.as_secs_f64() * 1e6 / shares,
            "us",
            Bound::AtMost(150.0),
        );
    }
    let blocks = f64::from(u32::try_from(blocks)?) / passed.elapsed.as_secs_f64();
    table.note("blocks a second under load", blocks, "");
    memory(table, "memory of this process after the load");
    for minute in 1..=options.minutes {
        let from = Instant::now();
        let mut done = 0;
        // Signed between the portions, and not in the figures.
        while done < options.rate * 60 {
            let portion = PORTION.min(options.rate * 60 - done);
            pass(sites, author.changes(portion, tip(sites))?, per_second)?;
            done += portion;
        }
        tell(&format!(
            "minute {minute} of {}: {done} entries in {:.0} s, {:.0} MiB",
            options.minutes,
            from.elapsed().as_secs_f64(),
            memory_mib().unwrap_or(0.0)
        ));
        memory(table, &format!("memory after minute {minute} of load"));
    }
    if options.minutes > 0 {
        compartments(sites, author, per_second, table)?;
    }
    Ok(())
}

/// What the state grows by: each open compartment is in the memory of each validator.
fn compartments(
    sites: &[Site],
    author: &mut Author<'_>,
    per_second: f64,
    table: &mut Table,
) -> Result<()> {
    tell("opening subjects");
    let before = memory_mib().unwrap_or(0.0);
    for _ in 0..OPENED / PORTION {
        // No faster than before: what waits is in memory too.
        pass(sites, author.opens(PORTION, tip(sites))?, per_second)?;
    }
    let opened = f64::from(u32::try_from(OPENED * sites.len())?);
    let grown = (memory_mib().unwrap_or(0.0) - before) * 1_048_576.0;
    table.note(
        "memory for each compartment opened after that, and validator",
        grown / opened,
        "bytes",
    );
    Ok(())
}

fn memory(table: &mut Table, name: &str) {
    table.note_must(
        name,
        memory_mib().unwrap_or(0.0),
        "MiB",
        Bound::AtMost(600.0),
    );
}

fn tip(sites: &[Site]) -> u64 {
    let tips = sites.iter().map(|site| site.ledger.tip().height);
    tips.max().unwrap_or(0)
}

/// Kills each validator in turn under load. With four leaders taking turns, the one that is gone is due
/// within a few blocks: what is measured is the longest time without a new final block at another
/// validator in the seconds after.
fn leaders(
    world: &World,
    sites: Vec<Site>,
    author: &mut Author<'_>,
    table: &mut Table,
) -> Result<Vec<Site>> {
    let mut sites: Vec<Option<Site>> = sites.into_iter().map(Some).collect();
    let mut gaps = Vec::new();
    let from = Instant::now();
    for gone in 0..VALIDATORS {
        tell(&format!("validator {gone} is killed"));
        let killed = sites
            .get_mut(gone)
            .and_then(Option::take)
            .context("a validator")?;
        let left: Vec<&Site> = sites.iter().flatten().collect();
        let load = author.batches(CRASH_ENTRIES, killed.ledger.tip().height)?;
        gaps.push(gap(&left, &load, gone, killed)?);
        let site = world.start(gone, IDLE_BLOCK_MS)?;
        let height = left
            .iter()
            .map(|site| site.ledger.tip().height)
            .max()
            .unwrap_or(0);
        site.wait_height(height, PATIENCE)?;
        sites[gone] = Some(site);
    }
    let longest = gaps.iter().copied().fold(0.0, f64::max);
    table.group(
        "a leader is gone, 500 entries/s at the others",
        vec![Measured::new(
            "longest time between final blocks",
            gaps,
            from.elapsed(),
        )],
    );
    table.note_must(
        "of these, the longest",
        longest,
        "ms",
        Bound::AtMost(3_000.0),
    );
    Ok(sites.into_iter().flatten().collect())
}

/// Entries while a validator is gone, at one node each: six seconds of them.
const CRASH_ENTRIES: usize = 4_000;
const CRASH_PAUSE: Duration = Duration::from_millis(6);

/// Milliseconds of the longest time between final blocks at the first that is left, from the crash on.
fn gap(left: &[&Site], load: &Load, gone: usize, killed: Site) -> Result<f64> {
    let watched = left.first().context("a validator that is left")?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let submitting = scope.spawn(|| -> Result<()> {
            let entries = load.iter().enumerate().filter(|(at, _)| *at != gone);
            let by_node: Vec<_> = entries.map(|(_, entries)| entries).collect();
            for turn in 0..CRASH_ENTRIES / VALIDATORS {
                for (site, entries) in left.iter().zip(&by_node) {
                    let entry = entries.get(turn).context("an entry of the load")?;
                    block_on(site.ledger.submit(entry.bytes()))
                        .map_err(|e| anyhow!("submitting: {e}"))?;
                }
                thread::sleep(CRASH_PAUSE);
            }
            over.store(true, Ordering::Relaxed);
            Ok(())
        });
        // Under way before it happens.
        thread::sleep(Duration::from_secs(1));
        let height = watched.ledger.tip().height;
        killed.kill()?;
        let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
        let mut seen = watched.ledger.tip().height;
        while !over.load(Ordering::Relaxed) && !submitting.is_finished() {
            let now = watched.ledger.tip().height;
            longest = longest.max(last.elapsed());
            if now != seen {
                (seen, last) = (now, Instant::now());
            }
            thread::sleep(Duration::from_millis(1));
        }
        submitting
            .join()
            .map_err(|_| anyhow!("a submitter panicked"))??;
        ensure!(
            seen > height,
            "no block was final after validator {gone} was killed"
        );
        Ok(longest.as_secs_f64() * 1e3)
    })
}

/// A node without store and engine folder comes to where the others are. A wiped validator must not vote
/// with its old key, so this is a member that follows.
fn rejoin(
    options: &LedgerOptions,
    world: &World,
    sites: Vec<Site>,
    author: &mut Author<'_>,
    table: &mut Table,
) -> Result<()> {
    let mut held = entries(&sites)?;
    while held < options.entries {
        tell(&format!(
            "filling the ledger: {held} of {} entries",
            options.entries
        ));
        let missing = usize::try_from(options.entries - held)?;
        let load = author.batches(missing.min(PORTION), tip(&sites))?;
        pass(&sites, load, FILLING)?;
        held = entries(&sites)?;
    }
    let height = tip(&sites);
    tell(&format!(
        "a wiped node rejoins: {held} entries in {height} blocks"
    ));
    let from = Instant::now();
    let wiped = world.start(FOLLOWER, IDLE_BLOCK_MS)?;
    wiped.wait_height(height, PATIENCE)?;
    let took = from.elapsed().as_secs_f64();
    let root = |site: &Site| block_on(site.ledger.header(height)).map_err(|e| anyhow!("{e}"));
    let first = sites.first().context("a validator")?;
    ensure!(
        root(&wiped)? == root(first)?,
        "the wiped node holds another ledger"
    );
    let held = f64::from(u32::try_from(held)?);
    table.note("entries on the ledger", held, "");
    table.note(
        "blocks on the ledger",
        f64::from(u32::try_from(height)?),
        "",
    );
    table.note("wiped node, from nothing to the tip, verified", took, "s");
    table.note_must(
        "wiped node, entries a second",
        held / took,
        "",
        Bound::AtLeast(5_000.0),
    );
    // Five nodes, and a ledger that was filled as fast as they could: no figure of the load's.
    table.note(
        "memory of this process, five nodes",
        memory_mib().unwrap_or(0.0),
        "MiB",
    );
    wiped.kill()?;
    sites.into_iter().try_for_each(Site::kill)
}

fn entries(sites: &[Site]) -> Result<u64> {
    let tip = sites.first().context("a validator")?.ledger.tip();
    // Every block but the last has a leaf of its own among those before.
    Ok(tip.log_size.saturating_sub(tip.height))
}

/// As many blocks as an idle day has, made quickly; in each of its minutes an entry of every validator, as
/// their disclosure periods are, and otherwise empty blocks. What that costs on disk and to catch up does
/// not depend on the time between the blocks.
fn idle_day(folder: &Path, table: &mut Table) -> Result<()> {
    tell("an idle day, quickly");
    let world = World::new(folder, MEMBERS, VALIDATORS)?;
    let sites = world.start_all(VALIDATORS, 1)?;
    let mut author = Author::new(&world, VALIDATORS);
    let first = sites.first().context("a validator")?;
    first.wait_height(1, PATIENCE)?;
    let (disk, start) = (disk_bytes(&world.home(0))?, tip(&sites));
    for minute in 0..MINUTES {
        let load = author.batches(VALIDATORS, tip(&sites))?;
        for (site, entries) in sites.iter().zip(&load) {
            for entry in entries {
                block_on(site.ledger.submit(entry.bytes()))
                    .map_err(|e| anyhow!("submitting: {e}"))?;
            }
        }
        let until = start + (minute + 1) * IDLE_BLOCKS / MINUTES;
        first.wait_height(until, PATIENCE)?;
    }
    let disk = disk_bytes(&world.home(0))?.saturating_sub(disk);
    let height = tip(&sites);
    let from = Instant::now();
    let away = world.start(FOLLOWER, IDLE_BLOCK_MS)?;
    away.wait_height(height, PATIENCE)?;
    let took = from.elapsed().as_secs_f64();
    table.note(
        "blocks of an idle day",
        f64::from(u32::try_from(height - start)?),
        "",
    );
    let disk = f64::from(u32::try_from(disk / 1_000)?) / 1e3;
    table.note_must(
        "an idle day on one node's disk",
        disk,
        "MB",
        Bound::AtMost(50.0),
    );
    table.note_must("an idle day's catch-up", took, "s", Bound::AtMost(60.0));
    away.kill()?;
    sites.into_iter().try_for_each(Site::kill)?;
    Ok(fs::remove_dir_all(folder)?)
}
