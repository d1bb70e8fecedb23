//! Figures of this very run: small, honest, on this machine. `ithaca bench` measures properly.

use crate::stage::Stage;
use serde_json::{Value, json};
use std::time::Duration;

/// What is timed in the story.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timed {
    Ready,
    Finding,
    Differential,
    Deposit,
    Share,
    RecordFinal,
    RecordFinalWithoutOne,
    FinalWithAll,
    FinalWithoutOne,
    CaughtUp,
    Drained,
    Verified,
}

impl Timed {
    const ALL: [(Self, &'static str, &'static str); 12] = [
        (Self::Ready, "ready_ms", "four nodes started and ready"),
        (
            Self::Finding,
            "finding_ms",
            "a finding final and the profile made (let go every second)",
        ),
        (
            Self::Differential,
            "differential_ms",
            "a differential read: decided, logged and made",
        ),
        (
            Self::Deposit,
            "deposit_ms",
            "deposit of a case over HTTP, durable",
        ),
        (
            Self::Share,
            "share_ms",
            "request from one hospital to the other, answered and checked",
        ),
        (
            Self::RecordFinal,
            "record_final_ms",
            "record deposited and final, all four running",
        ),
        (
            Self::RecordFinalWithoutOne,
            "record_final_without_one_ms",
            "record deposited and final, one of four killed",
        ),
        (
            Self::FinalWithAll,
            "consent_final_ms",
            "consent change final, all running (let go every 2 s)",
        ),
        (
            Self::FinalWithoutOne,
            "consent_final_without_one_ms",
            "consent change final, one killed (let go every 2 s)",
        ),
        (
            Self::CaughtUp,
            "caught_up_ms",
            "killed node started again and caught up",
        ),
        (
            Self::Drained,
            "drained_ms",
            "quorum back, until all that waited is final",
        ),
        (
            Self::Verified,
            "verify_ms",
            "offline verification of a receipt",
        ),
    ];
}

/// Durations in milliseconds, by kind.
#[derive(Default)]
pub(crate) struct Figures(Vec<(Timed, f64)>);

impl Figures {
    pub(crate) fn add(&mut self, what: Timed, took: Duration) {
        self.0.push((what, took.as_secs_f64() * 1e3));
    }

    fn of(&self, what: Timed) -> Vec<f64> {
        let these = self.0.iter().filter(|(timed, _)| *timed == what);
        these.map(|(_, ms)| *ms).collect()
    }

    /// Shows them and gives them to machines; `memory` is what each node takes, in MiB.
    pub(crate) fn show(&self, stage: &Stage, memory: &[f64]) -> Value {
        stage.heading("Figures of this run");
        let rows: Vec<Vec<String>> = Timed::ALL
            .iter()
            .map(|(what, _, says)| {
                let values = self.of(*what);
                vec![
                    values.len().to_string(),
                    format!("{:.1}", percentile(&values, 50)),
                    format!("{:.1}", percentile(&values, 100)),
                    (*says).to_owned(),
                ]
            })
            .collect();
        stage.table(&["n", "p50 ms", "most ms", "what"], &rows);
        if !memory.is_empty() {
            let each: Vec<String> = memory.iter().map(|mib| format!("{mib:.0}")).collect();
            stage.say(&format!(
                "Memory of the four nodes now: {} MiB; the first two know diseases.",
                each.join(", ")
            ));
        }
        let mut shown = serde_json::Map::new();
        for (what, name, _) in Timed::ALL {
            let values = self.of(what);
            let summary = json!({"n": values.len(), "p50": percentile(&values, 50), "max": percentile(&values, 100)});
            shown.insert(name.to_owned(), summary);
        }
        shown.insert("memory_mib".to_owned(), json!(memory));
        Value::Object(shown)
    }
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
    memory_of(std::process::id())
}

/// Resident memory of a process.
pub(crate) fn memory_of(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
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
