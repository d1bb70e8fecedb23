//! Four institutions, four real processes, a bounded steady load at all of them, and one fault after the other.
//!
//! The network is founded with `ithaca network init`, each node is an `ithaca up`, and between any two there is a
//! proxy that can be cut. In each round:
//! - each node in turn gets SIGKILL and is started again;
//! - one is stopped (SIGSTOP) for a minute;
//! - what one sends is cut off, then what it is sent, then both; then two and two are cut apart, so that nothing
//!   may become final;
//! - the disk of one is filled to its last block, and freed;
//! - one loses its disk: it is restored from a backup and comes back under a new validator key, by vote.
//!
//! While one is away, the others must go on finalising; afterwards it must too. In the end, with no load any more:
//! every acknowledged write is there, once, with a receipt (a sample is verified by `ithaca verify`); nothing waits
//! for the ledger anywhere; the four logs are one; and `ithaca audit` executes each node's ledger to the same blocks.

mod cluster;
mod disk;
mod load;
mod wires;

use crate::{
    flag, shell,
    torture::{model::Rng, server::call, server::command},
};
use anyhow::{Context, Result, bail, ensure};
use cluster::{Cluster, PATIENCE, SMALL};
use load::{Load, Probes};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How many institutions there are; each validates, three are a quorum.
const COUNT: usize = 4;
const NAMES: [&str; COUNT] = ["Ithaca", "Pylos", "Sparta", "Scheria"];
/// Which institution loses its disk.
const LOST: usize = 3;

/// How long what was on its way may take to arrive once there is no quorum.
const SETTLING: Duration = Duration::from_secs(20);
/// Long enough for several blocks, were any to come.
const STANDSTILL: Duration = Duration::from_secs(1);

/// What to do.
pub(crate) struct Options {
    seed: u64,
    rounds: u64,
    /// Rounds go on for this long at least.
    lasting: Duration,
    stop: Duration,
    cut: Duration,
    release: bool,
    /// An `ithaca` that is built already.
    binary: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let number = |name: &str, default: u64, most: u64| -> Result<u64> {
            let value = flag(args, name)?.map_or(Ok(default), |v| {
                v.parse()
                    .with_context(|| format!("{name} takes a number, not '{v}'"))
            })?;
            ensure!(value <= most, "{name} takes at most {most}, not {value}");
            Ok(value)
        };
        Ok(Self {
            seed: number("--seed", 1, u64::MAX)?,
            rounds: number("--rounds", 1, 1_000)?.max(1),
            lasting: Duration::from_secs(60 * number("--minutes", 0, 10_000)?),
            stop: Duration::from_secs(number("--stop-seconds", 60, 3_600)?),
            cut: Duration::from_secs(number("--cut-seconds", 15, 3_600)?),
            release: args.iter().any(|a| a == "--release"),
            binary: flag(args, "--binary")?.map(PathBuf::from),
        })
    }
}

impl Options {
    /// The same, as the arguments of this program.
    fn arguments(&self, ithaca: &Path) -> Vec<String> {
        let numbers = [
            ("--seed", self.seed),
            ("--rounds", self.rounds),
            ("--minutes", self.lasting.as_secs() / 60),
            ("--stop-seconds", self.stop.as_secs()),
            ("--cut-seconds", self.cut.as_secs()),
        ];
        let numbers = numbers.map(|(name, value)| [name.to_owned(), value.to_string()]);
        let binary = ["--binary".to_owned(), ithaca.display().to_string()];
        let words = numbers.into_iter().chain([binary]).flatten();
        std::iter::once("faults".to_owned()).chain(words).collect()
    }
}

/// Runs all of it; an error says what did not hold, and where the folders and logs are.
pub(crate) fn run(options: &Options) -> Result<()> {
    let ithaca = match &options.binary {
        Some(path) => path.clone(),
        None => shell::binary("ithaca-cli", "ithaca", options.release)?,
    };
    if disk::run_again(&options.arguments(&ithaca))? {
        return Ok(());
    }
    let name = format!("ithaca-faults-{}-{}", options.seed, std::process::id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    println!(
        "faults: at least {} rounds and {} s, seed {}, folder {}",
        options.rounds,
        options.lasting.as_secs(),
        options.seed,
        folder.display()
    );
    match Run::new(&ithaca, &folder, options).and_then(Run::play) {
        Ok(summary) => {
            fs::remove_dir_all(&folder).ok();
            println!("faults: {summary}");
            Ok(())
        }
        Err(error) => Err(error.context(format!(
            "seed {}; the folders and logs are kept in {}",
            options.seed,
            folder.display()
        ))),
    }
}

/// A run: the cluster, its load, and what is told of them.
struct Run<'a> {
    options: &'a Options,
    cluster: Cluster,
    load: Load,
    probes: Probes,
    rng: Rng,
    from: Instant,
    faults: u64,
}

impl<'a> Run<'a> {
    fn new(ithaca: &Path, folder: &Path, options: &'a Options) -> Result<Self> {
        let mut cluster = Cluster::found(ithaca, folder)?;
        for at in 0..COUNT {
            cluster.start(at)?;
        }
        let mut rng = Rng::new(options.seed);
        let load = Load::start(&cluster, &mut rng);
        Ok(Self {
            options,
            cluster,
            load,
            probes: Probes::default(),
            rng,
            from: Instant::now(),
            faults: 0,
        })
    }

    fn play(mut self) -> Result<String> {
        for at in 0..COUNT {
            self.finality(at)?;
        }
        self.tell("four nodes run, and each finalises")?;
        let mut round = 0;
        while round < self.options.rounds || self.from.elapsed() < self.options.lasting {
            round += 1;
            for at in 0..COUNT {
                self.killed(at)?;
            }
            self.stopped()?;
            self.cut_off()?;
            self.cut_apart()?;
            self.filled()?;
            self.lost()?;
        }
        let Self {
            load, mut cluster, ..
        } = self;
        let acknowledged = load.acknowledged();
        let totals = load.settle(&mut cluster)?;
        println!("faults: {totals}; nothing waits any more");
        one_log(&mut cluster)?;
        let height = same_blocks(&mut cluster)?;
        Ok(format!(
            "{} faults; {acknowledged} acknowledged writes; {totals}; nothing acknowledged lost, nothing doubled, no \
             narrowing undone; four ledgers of the same blocks up to height {height}",
            self.faults
        ))
    }

    /// One line of progress; what a worker found wrong ends the run.
    fn tell(&mut self, what: &str) -> Result<()> {
        self.load.check()?;
        println!(
            "faults: {:>4} s  {what}; heights {}; {} acknowledged",
            self.from.elapsed().as_secs(),
            heights(&self.cluster),
            self.load.acknowledged()
        );
        Ok(())
    }

    fn finality(&mut self, at: usize) -> Result<Duration> {
        self.probes.finality(&self.cluster, at, PATIENCE)
    }

    fn any(&mut self) -> usize {
        // INVARIANT: below COUNT, so that it fits.
        usize::try_from(self.rng.next() % 4).unwrap_or(0)
    }

    /// Looks on while one is away: whoever is next to it must go on finalising.
    fn others_go_on(&mut self, away: usize, lasting: Duration) -> Result<Duration> {
        let from = Instant::now();
        let mut longest = self.finality((away + 1) % COUNT)?;
        while from.elapsed() < lasting {
            thread::sleep(Duration::from_secs(1).min(lasting.saturating_sub(from.elapsed())));
            longest = longest.max(self.finality((away + 1) % COUNT)?);
        }
        Ok(longest)
    }

    /// Waits until one that was away has come as far as the others were, and finalises; how long that took.
    fn returns(&mut self, at: usize) -> Result<Duration> {
        let from = Instant::now();
        let ahead = self.cluster.heights().into_iter().flatten().max();
        let ahead = ahead.context("no node answers")?;
        self.cluster
            .wait(PATIENCE, "a node to catch up", |cluster| {
                if cluster.has_ended(at)? {
                    bail!("the node of {} ended; see its log", NAMES[at]);
                }
                Ok(cluster.seen(at).filter(|seen| seen.height >= ahead))
            })?;
        self.finality(at)?;
        Ok(from.elapsed())
    }

    fn killed(&mut self, at: usize) -> Result<()> {
        self.faults += 1;
        self.cluster.kill(at)?;
        let others = self.others_go_on(at, Duration::ZERO)?;
        self.cluster.start(at)?;
        let back = self.returns(at)?;
        self.tell(&format!(
            "{} killed and back: the others final after {}, it after {}",
            NAMES[at],
            seconds(others),
            seconds(back)
        ))
    }

    fn stopped(&mut self) -> Result<()> {
        self.faults += 1;
        let at = self.any();
        self.cluster.signal(at, "-STOP")?;
        let others = self.others_go_on(at, self.options.stop);
        self.cluster.signal(at, "-CONT")?;
        let (others, back) = (others?, self.returns(at)?);
        self.tell(&format!(
            "{} stopped for {}: the others final within {}, it after {}",
            NAMES[at],
            seconds(self.options.stop),
            seconds(others),
            seconds(back)
        ))
    }

    fn cut_off(&mut self) -> Result<()> {
        for (what, sends, hears) in [
            ("what it sends", true, false),
            ("what it is sent", false, true),
            ("all traffic", true, true),
        ] {
            self.faults += 1;
            let at = self.any();
            for other in (0..COUNT).filter(|other| *other != at) {
                self.cluster.wires.cut(at, other, sends);
                self.cluster.wires.cut(other, at, hears);
            }
            let others = self.others_go_on(at, Duration::ZERO)?;
            let before = self.cluster.seen(at).map(|seen| seen.height);
            let others = others.max(self.others_go_on(at, self.options.cut)?);
            let after = self.cluster.seen(at).map(|seen| seen.height);
            ensure!(
                !hears || (before == after && before.is_some()),
                "{} hears of nobody, and its height went from {before:?} to {after:?}",
                NAMES[at]
            );
            self.cluster.wires.mend();
            let back = self.returns(at)?;
            self.tell(&format!(
                "{} cut off for {}, {what}: the others final within {}, it after {}",
                NAMES[at],
                seconds(self.options.cut),
                seconds(others),
                seconds(back)
            ))?;
        }
        Ok(())
    }

    /// Two and two: no quorum anywhere.
    fn cut_apart(&mut self) -> Result<()> {
        self.faults += 1;
        let with = 1 + self.any() % (COUNT - 1);
        for (from, to) in (0..COUNT).flat_map(|from| (0..COUNT).map(move |to| (from, to))) {
            let side = |at: usize| at == 0 || at == with;
            self.cluster.wires.cut(from, to, side(from) != side(to));
        }
        // What had the votes already may still become final.
        let highest = |cluster: &Cluster| cluster.heights().into_iter().flatten().max();
        let before = self
            .cluster
            .wait(SETTLING, "the ledger to stand still", |cluster| {
                let before = highest(cluster);
                thread::sleep(STANDSTILL);
                Ok((before == highest(cluster)).then_some(before))
            })?;
        thread::sleep(self.options.cut);
        let after = self.cluster.heights();
        self.cluster.wires.mend();
        // One that was behind may have learnt from its neighbour what was final before.
        ensure!(
            after.iter().all(Option::is_some) && after.iter().flatten().max() == before.as_ref(),
            "with two on each side of a cut, the highest went from {before:?} to {after:?}"
        );
        let mended = Instant::now();
        for at in 0..COUNT {
            self.finality(at)?;
        }
        self.tell(&format!(
            "two and two cut apart for {}: nothing final meanwhile, all four again after {}",
            seconds(self.options.cut),
            seconds(mended.elapsed())
        ))
    }

    fn filled(&mut self) -> Result<()> {
        let Some(disk) = &self.cluster.disk else {
            println!("faults: SKIPPED a full disk: nobody may mount in a namespace here");
            return Ok(());
        };
        self.faults += 1;
        disk.fill()?;
        let others = self.others_go_on(SMALL, self.options.cut);
        if let Some(disk) = &self.cluster.disk {
            disk.free()?;
        }
        let others = others?;
        // It may have stopped by itself, or say that it must be started again: an operator does so.
        let ended = self.cluster.has_ended(SMALL)?;
        self.cluster.kill(SMALL)?;
        self.cluster.start(SMALL)?;
        let back = self.returns(SMALL)?;
        self.tell(&format!(
            "the disk of {} full for {} (its node {}): the others final within {}, it after {}",
            NAMES[SMALL],
            seconds(self.options.cut),
            if ended { "stopped" } else { "went on" },
            seconds(others),
            seconds(back)
        ))
    }

    fn lost(&mut self) -> Result<()> {
        self.faults += 1;
        let from = Instant::now();
        let (load, cluster) = (&self.load, &mut self.cluster);
        load.without(LOST, || {
            cluster.wait(PATIENCE, "all to be in the backup", |cluster| {
                Ok((cluster.waiting(LOST)? == 0).then_some(()))
            })?;
            cluster.lose_disk(LOST)
        })?;
        let voted = from.elapsed();
        let back = self.returns(LOST)?;
        self.tell(&format!(
            "{} lost its disk, restored and voted in again after {}, final after {} more",
            NAMES[LOST],
            seconds(voted),
            seconds(back)
        ))
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

/// The heights of the four, as people read them.
fn heights(cluster: &Cluster) -> String {
    let heights = cluster.heights().into_iter();
    let heights = heights.map(|height| height.map_or("–".to_owned(), |h| h.to_string()));
    heights.collect::<Vec<_>>().join(" ")
}

/// Waits until nothing waits for the ledger at any node.
fn drained(cluster: &mut Cluster) -> Result<()> {
    for at in 0..COUNT {
        cluster.wait(PATIENCE, "the backlog to drain", |cluster| {
            Ok((cluster.waiting(at)? == 0).then_some(()))
        })?;
    }
    Ok(())
}

/// Waits until the four have logs of one size; they must have the same root.
fn one_log(cluster: &mut Cluster) -> Result<()> {
    let root = cluster.wait(PATIENCE, "four logs of one size", |cluster| {
        let mut roots: BTreeMap<String, (String, usize)> = BTreeMap::new();
        for at in 0..COUNT {
            let url = format!("{}/tlog/checkpoint", cluster.base(at));
            let note = String::from_utf8(call("GET", &url, "", &[], None)?.body)?;
            let mut lines = note.lines().skip(1);
            let (size, root) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
            let (known, count) = roots.entry(size.to_owned()).or_insert((root.to_owned(), 0));
            ensure!(
                known == root,
                "FORKED: logs of {size} leaves with the roots {known} and {root}"
            );
            *count += 1;
        }
        let whole = roots.into_iter().find(|(_, (_, count))| *count == COUNT);
        Ok(whole.map(|(size, (root, _))| format!("{size} leaves, root {root}")))
    })?;
    println!("faults: four logs of {root}");
    Ok(())
}

/// Stops all, and executes each ledger again; the height up to which all have the same blocks.
fn same_blocks(cluster: &mut Cluster) -> Result<u64> {
    let mut ledgers = Vec::new();
    for (at, name) in NAMES.iter().enumerate() {
        cluster.stop(at)?;
        let institution = &cluster.institutions[at];
        let data = institution.data().display().to_string();
        let shown = command(&institution.ithaca, &["audit", "--data", &data, "--json"])?;
        let shown: Value = serde_json::from_str(&shown)?;
        ensure!(
            shown["verdict"] == "holds",
            "the ledger of {name} is refused"
        );
        let blocks = shown["blocks"]
            .as_array()
            .context("an audit without blocks")?;
        let blocks = blocks.iter().map(|block| {
            let height = block["height"]
                .as_u64()
                .context("a block without a height")?;
            Ok((height, block["block"].clone()))
        });
        ledgers.push(blocks.collect::<Result<BTreeMap<u64, Value>>>()?);
    }
    let last = |ledger: &BTreeMap<u64, Value>| ledger.keys().next_back().copied();
    let common = ledgers.iter().filter_map(last).min().unwrap_or(0);
    let (first, others) = ledgers.split_first().context("no ledger")?;
    for (other, name) in others.iter().zip(&NAMES[1..]) {
        let same = (1..=common).all(|height| {
            let block = first.get(&height);
            block.is_some() && block == other.get(&height)
        });
        ensure!(same, "FORKED: {} and {name} have other blocks", NAMES[0]);
    }
    ensure!(common > 0, "the audits show no block");
    Ok(common)
}
