//! `ithaca-sim --seeds A..B`: runs seeds, prints a line for each, and ends with the first one that fails.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a tool for developers"
)]

use std::cell::RefCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use sim::Report;

#[derive(Parser)]
#[command(about = "The whole network under a seed: real nodes, simulated machines and lines.")]
struct Options {
    /// The seeds to run: `A..B`, without B.
    #[arg(long, default_value = "0..40", value_parser = range)]
    seeds: Range<u64>,
    /// How many run at once.
    #[arg(long, default_value_t = 2)]
    jobs: u64,
    /// Say which troubles each run had.
    #[arg(long)]
    troubles: bool,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("A..B, for example 0..40")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    let seeds = number(from)?..number(to)?;
    if seeds.is_empty() {
        return Err("there is no seed in it".into());
    }
    Ok(seeds)
}

thread_local! {
    /// What panicked in the run of this thread: nodes may die of a full disk, so it is not said at once.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

const PANICS_SAID: usize = 8;

fn main() -> ExitCode {
    let options = Options::parse();
    std::panic::set_hook(Box::new(|info| {
        let mut text = info.to_string();
        // Symbols take long: only where asked for.
        if std::env::var_os("ITHACA_SIM_TRACE").is_some() {
            let trace = std::backtrace::Backtrace::force_capture();
            text.push_str(&format!("\n{trace}"));
        }
        PANICS.with_borrow_mut(|panics| panics.push(text));
    }));
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_default_env() {
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .without_time()
            .init();
    }
    let began = Instant::now();
    let next = AtomicU64::new(options.seeds.start);
    let failed = AtomicU64::new(0);
    let done = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                while failed.load(Ordering::Relaxed) == 0 {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= options.seeds.end {
                        break;
                    }
                    match one(seed) {
                        Ok((report, cpu)) => {
                            println!("{report}  {:.2} s of CPU", cpu.as_secs_f64());
                            if options.troubles {
                                println!("            {:?}", report.troubles);
                            }
                            let mut sum = done.lock().unwrap_or_else(|e| e.into_inner());
                            sum.add(&report, cpu);
                        }
                        Err(what) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            let plan = sim::Plan::of(seed);
                            eprintln!("seed {seed} FAILED ({plan:?})\n{what}");
                            eprintln!("again: cargo xtask sim --seeds {seed}..{}", seed + 1);
                        }
                    }
                }
            });
        }
    });
    let sum = done.into_inner().unwrap_or_else(|e| e.into_inner());
    println!("{} in {:.0} s", sum.line(), began.elapsed().as_secs_f64());
    if failed.into_inner() > 0 {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn one(seed: u64) -> Result<(Report, Duration), String> {
    PANICS.with_borrow_mut(Vec::clear);
    let before = cpu();
    let ran = catch_unwind(AssertUnwindSafe(|| sim::run(seed)));
    let took = cpu().saturating_sub(before);
    ran.map(|report| (report, took)).map_err(|_| {
        PANICS.with_borrow(|panics| {
            let from = panics.len().saturating_sub(PANICS_SAID);
            panics[from..].join("\n")
        })
    })
}

/// CPU time of this thread: a run stays on one.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[derive(Default)]
struct Sum {
    runs: u32,
    blocks: u64,
    acknowledged: u64,
    receipts: u64,
    crashes: u64,
    with_evidence: u64,
    slowest_resume_ms: u64,
    cpu: Duration,
    most_cpu: Duration,
}

impl Sum {
    fn add(&mut self, report: &Report, cpu: Duration) {
        self.runs += 1;
        self.blocks += report.history.height;
        self.acknowledged += report.acknowledged;
        self.receipts += report.receipts;
        self.crashes += report.crashes;
        self.with_evidence += u64::from(report.evidence > 0);
        self.slowest_resume_ms = self.slowest_resume_ms.max(report.resumed_ms);
        self.cpu += cpu;
        self.most_cpu = self.most_cpu.max(cpu);
    }

    fn line(&self) -> String {
        format!(
            "{} seeds held: {} blocks, {} acknowledged, {} receipts, {} crashes, {} with evidence, slowest resume {} ms; \
             CPU {:.2} s a seed, at most {:.2} s;",
            self.runs,
            self.blocks,
            self.acknowledged,
            self.receipts,
            self.crashes,
            self.with_evidence,
            self.slowest_resume_ms,
            self.cpu.as_secs_f64() / f64::from(self.runs.max(1)),
            self.most_cpu.as_secs_f64(),
        )
    }
}
