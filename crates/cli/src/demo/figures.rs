//! Figures of this very run: small, honest, on this machine. `ithaca bench` measures properly.

use super::{stage::Stage, story::Family};
use anyhow::{Result, bail};
use node::{Caller, Handle};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Durations in milliseconds, by kind.
pub(crate) struct Figures {
    ready_ms: f64,
    deposits: Vec<f64>,
    reads: Vec<f64>,
    consents: Vec<f64>,
    pub(crate) verifications: Vec<f64>,
    backlog_ms: f64,
}

impl Figures {
    pub(crate) fn new(ready_ms: f64) -> Self {
        Self {
            ready_ms,
            deposits: Vec::new(),
            reads: Vec::new(),
            consents: Vec::new(),
            verifications: Vec::new(),
            backlog_ms: 0.0,
        }
    }

    pub(crate) fn deposit(&mut self, took: Duration) {
        self.deposits.push(ms(took));
    }

    pub(crate) fn read(&mut self, took: Duration) {
        self.reads.push(ms(took));
    }

    pub(crate) fn consent(&mut self, took: Duration) {
        self.consents.push(ms(took));
    }

    /// Waits until nothing waits for the ledger any more.
    pub(crate) async fn wait_for_final(
        &mut self,
        node: &Handle,
        _desk: Caller,
        families: &[Family],
    ) -> Result<String> {
        let from = Instant::now();
        loop {
            let waiting = node.ready(()).await?;
            let samples = node.metrics(()).await?.samples;
            let value = |name: &str| {
                samples
                    .iter()
                    .find(|s| s.name == name)
                    .map_or(0, |s| s.value)
            };
            let backlog = value("ithaca_outbox_commitments") + value("ithaca_outbox_entries");
            if waiting.ready && backlog == 0 {
                break;
            }
            if from.elapsed() > Duration::from_secs(30) {
                bail!("{backlog} records and entries were still waiting for the ledger after 30 s");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.backlog_ms = ms(from.elapsed());
        Ok(format!(
            "All {} families' entries and records are final on the ledger {:.1} s later.",
            families.len(),
            self.backlog_ms / 1e3
        ))
    }

    /// Shows them and gives them to machines.
    pub(crate) fn show(&self, stage: &Stage) -> Value {
        stage.heading("Figures of this run");
        let rows = vec![
            row("founded, opened and ready", &[self.ready_ms]),
            row(
                "deposit of a case (parsed, sealed, durable)",
                &self.deposits,
            ),
            row(
                "read (decided, logged durably, opened, projected)",
                &self.reads,
            ),
            row("consent change, final on the ledger", &self.consents),
            row("offline verification of a receipt", &self.verifications),
        ];
        stage.table(&["", "n", "p50 ms", "p99 ms"], &rows);
        let memory = memory_mib();
        if let Some(memory) = memory {
            stage.say(&format!("Memory of this process now: {memory:.0} MiB."));
        }
        json!({
            "ready_ms": self.ready_ms,
            "deposit_ms": summary(&self.deposits),
            "read_ms": summary(&self.reads),
            "consent_final_ms": summary(&self.consents),
            "verify_ms": summary(&self.verifications),
            "backlog_ms": self.backlog_ms,
            "memory_mib": memory,
        })
    }
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

fn row(name: &str, values: &[f64]) -> Vec<String> {
    vec![
        name.to_owned(),
        values.len().to_string(),
        format!("{:.3}", percentile(values, 50)),
        format!("{:.3}", percentile(values, 99)),
    ]
}

fn summary(values: &[f64]) -> Value {
    json!({"n": values.len(), "p50": percentile(values, 50), "p99": percentile(values, 99)})
}

/// The p-th percentile (nearest rank), or 0 of nothing.
pub(crate) fn percentile(values: &[f64], p: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * p).div_ceil(100).max(1) - 1;
    sorted.get(rank).copied().unwrap_or(0.0)
}

/// Resident memory of this process.
pub(crate) fn memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((percentile(&values, 50) - 50.0).abs() < f64::EPSILON);
        assert!((percentile(&values, 99) - 99.0).abs() < f64::EPSILON);
        assert!(percentile(&[], 50).abs() < f64::EPSILON);
    }
}
