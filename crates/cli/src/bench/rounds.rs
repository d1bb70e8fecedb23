//! Operations by several workers at once, each timed.

use super::table::Measured;
use anyhow::{Result, anyhow};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Durations of single operations, and the time they took together.
#[derive(Default)]
pub(super) struct Round {
    pub(super) millis: Vec<f64>,
    pub(super) elapsed: Duration,
}

impl Round {
    pub(super) fn add(&mut self, other: Self) {
        self.millis.extend(other.millis);
        self.elapsed += other.elapsed;
    }

    pub(super) fn measured(self, name: &str) -> Measured {
        Measured::new(name, self.millis, self.elapsed)
    }
}

/// Runs `each` operations in each of the workers at once.
pub(super) fn at_once<W: Sync>(
    workers: &[W],
    each: usize,
    operation: impl Fn(&W, usize) -> Result<()> + Sync,
) -> Result<Round> {
    let next = AtomicUsize::new(0);
    let from = Instant::now();
    let millis = thread::scope(|scope| {
        let hands: Vec<_> = workers
            .iter()
            .map(|worker| {
                let (next, operation) = (&next, &operation);
                scope.spawn(move || -> Result<Vec<f64>> {
                    (0..each)
                        .map(|_| {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            let from = Instant::now();
                            operation(worker, number)?;
                            Ok(from.elapsed().as_secs_f64() * 1e3)
                        })
                        .collect()
                })
            })
            .collect();
        hands
            .into_iter()
            .map(|hand| hand.join().map_err(|_| anyhow!("a worker panicked"))?)
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(Round {
        millis: millis.concat(),
        elapsed: from.elapsed(),
    })
}
