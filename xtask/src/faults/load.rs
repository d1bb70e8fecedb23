//! The load: one worker at each institution, who remembers what was acknowledged; and probes of finality.

use super::{COUNT, NAMES, cluster::Cluster};
use crate::torture::{
    model::{self, Rng, Subject, Totals},
    server::{Institution, call, call_within},
};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Each worker pauses for twice this at most between two acts.
const PAUSE_MS: u64 = 100;
/// How long a worker waits that was told to come again.
const LATER: Duration = Duration::from_millis(200);
/// One in so many receipts is verified by the binary; each is waited for.
const VERIFIED_EVERY: usize = 5;
/// How long a probe waits for one answer.
const PROBE: Duration = Duration::from_secs(10);

/// What one institution was asked to do, and what it promised.
#[derive(Default)]
struct Desk {
    subjects: Mutex<Vec<Subject>>,
    acknowledged: AtomicUsize,
}

impl Desk {
    fn locked(&self) -> MutexGuard<'_, Vec<Subject>> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Workers at all institutions.
pub(crate) struct Load {
    desks: Arc<[Desk; COUNT]>,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<Result<()>>>,
}

impl Load {
    pub(crate) fn start(cluster: &Cluster, rng: &mut Rng) -> Self {
        let desks: Arc<[Desk; COUNT]> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let workers = (0..COUNT).map(|at| {
            let (desks, stop) = (Arc::clone(&desks), Arc::clone(&stop));
            let (institution, base) = (cluster.institutions[at].clone(), cluster.base(at));
            let mut rng = Rng::new(rng.next());
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let pause = rng.next() % (2 * PAUSE_MS);
                    thread::sleep(Duration::from_millis(pause));
                    let mut subjects = desks[at].locked();
                    let done = model::step(&mut subjects, &institution, &base, &mut rng);
                    let count = subjects.iter().map(Subject::acknowledged).sum();
                    desks[at].acknowledged.store(count, Ordering::SeqCst);
                    drop(subjects);
                    if !done.with_context(|| format!("at {}", NAMES[at]))? {
                        thread::sleep(LATER);
                    }
                }
                Ok(())
            })
        });
        Self {
            workers: workers.collect(),
            desks,
            stop,
        }
    }

    /// Writes that were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        let counts = self.desks.iter().map(|desk| &desk.acknowledged);
        counts.map(|count| count.load(Ordering::SeqCst)).sum()
    }

    /// Whatever a worker found wrong.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.workers.iter().position(JoinHandle::is_finished) {
            Some(at) => match self.workers.swap_remove(at).join() {
                Ok(Ok(())) => bail!("a worker ended"),
                Ok(Err(error)) => Err(error),
                Err(_) => bail!("a worker panicked"),
            },
            None => Ok(()),
        }
    }

    /// Does something while nobody works at an institution.
    pub(crate) fn without<T>(&self, at: usize, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let _held = self.desks[at].locked();
        work()
    }

    /// Ends the load, and checks every promise: what was acknowledged is there, once, and has its receipt.
    pub(crate) fn settle(self, cluster: &mut Cluster) -> Result<Totals> {
        self.stop.store(true, Ordering::SeqCst);
        for worker in self.workers {
            worker.join().map_err(|_| anyhow!("a worker panicked"))??;
        }
        // Asked again for what was not acknowledged; then nothing may wait any more.
        for (at, name) in NAMES.iter().enumerate() {
            let base = cluster.base(at);
            for subject in self.desks[at].locked().iter_mut() {
                let checked = subject.check(&cluster.institutions[at], &base);
                checked.with_context(|| format!("at {name}"))?;
            }
        }
        super::drained(cluster)?;
        let mut totals = Totals::default();
        for (at, name) in NAMES.iter().enumerate() {
            let base = cluster.base(at);
            let institution = &cluster.institutions[at];
            for subject in self.desks[at].locked().iter() {
                let checked =
                    subject.check_receipts(institution, &base, VERIFIED_EVERY, &mut totals);
                checked.with_context(|| format!("at {name}"))?;
            }
        }
        Ok(totals)
    }
}

/// Deposits of which one asks when they are final.
#[derive(Default)]
pub(crate) struct Probes {
    count: u64,
    subjects: [Option<String>; COUNT],
}

impl Probes {
    /// Deposits at an institution, and waits until that is final; how long it took.
    pub(crate) fn finality(
        &mut self,
        cluster: &Cluster,
        at: usize,
        patience: Duration,
    ) -> Result<Duration> {
        let from = Instant::now();
        let (institution, base) = (&cluster.institutions[at], cluster.base(at));
        self.count += 1;
        let key = format!("probe-{}", self.count);
        loop {
            if self.is_final(institution, &base, at, &key)? {
                return Ok(from.elapsed());
            }
            if from.elapsed() > patience {
                bail!(
                    "nothing became final at {} within {} s; heights {}",
                    NAMES[at],
                    patience.as_secs(),
                    super::heights(cluster)
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_final(
        &mut self,
        institution: &Institution,
        base: &str,
        at: usize,
        key: &str,
    ) -> Result<bool> {
        let Some(subject) = self.subject(institution, base, at)? else {
            return Ok(false);
        };
        let url = format!("{base}/v1/subjects/{subject}/records");
        let headers = [
            ("Content-Type", "text/plain"),
            ("Idempotency-Key", key),
            ("Prefer", "wait=final"),
        ];
        let body = Some(key.as_bytes());
        let Ok(answer) = call_within(PROBE, "POST", &url, &institution.desk, &headers, body) else {
            return Ok(false);
        };
        match answer.status {
            200 | 201 => Ok(answer.json()?["finality"]["state"] == "final"),
            429 | 503 | 507 => Ok(false),
            status => bail!("a probe at {} was answered with {status}", NAMES[at]),
        }
    }

    fn subject(
        &mut self,
        institution: &Institution,
        base: &str,
        at: usize,
    ) -> Result<Option<String>> {
        if self.subjects[at].is_none() {
            let body = json!({"assisted": true}).to_string();
            let headers = [
                ("Content-Type", "application/json"),
                ("Idempotency-Key", "probe"),
            ];
            let url = format!("{base}/v1/subjects");
            let body = Some(body.as_bytes());
            let Ok(answer) = call("POST", &url, &institution.desk, &headers, body) else {
                return Ok(None);
            };
            if matches!(answer.status, 200 | 201) {
                self.subjects[at] = answer.json()?["subject"].as_str().map(str::to_owned);
            }
        }
        Ok(self.subjects[at].clone())
    }
}
