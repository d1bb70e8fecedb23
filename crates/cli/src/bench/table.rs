//! Figures in a table: rates, percentiles, and each one's ratio to a reference of the same run.
#![expect(clippy::print_stdout, reason = "the figures are what was asked for")]

use crate::demo::percentile;
use serde_json::{Value, json};
use std::time::Duration;

/// What was measured under one name.
pub(crate) struct Measured {
    name: String,
    reference: bool,
    millis: Vec<f64>,
    elapsed: Duration,
    /// A demand on the ratio to the reference, if there is one.
    demand: Option<Demand>,
}

/// What a figure must reach.
pub(crate) enum Demand {
    /// The rate, as a share of the reference's.
    RateAtLeast(f64),
    /// The median, as a multiple of the reference's.
    MedianAtMost(f64),
    /// The median in milliseconds.
    MillisAtMost(f64),
}

impl Measured {
    pub(crate) fn new(name: impl Into<String>, millis: Vec<f64>, elapsed: Duration) -> Self {
        Self {
            name: name.into(),
            reference: false,
            millis,
            elapsed,
            demand: None,
        }
    }

    pub(crate) fn reference(mut self) -> Self {
        self.reference = true;
        self
    }

    pub(crate) fn must(mut self, demand: Demand) -> Self {
        self.demand = Some(demand);
        self
    }

    fn rate(&self) -> f64 {
        let count = f64::from(u32::try_from(self.millis.len()).unwrap_or(u32::MAX));
        count / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    fn p50(&self) -> f64 {
        percentile(&self.millis, 50)
    }

    fn verdict(&self, reference: Option<&Self>) -> (String, Option<bool>) {
        let against = reference.filter(|_| !self.reference);
        let ratio = against.map(|r| match self.demand {
            Some(Demand::MedianAtMost(_)) => self.p50() / r.p50().max(f64::EPSILON),
            _ => self.rate() / r.rate().max(f64::EPSILON),
        });
        let met = match (&self.demand, ratio) {
            (Some(Demand::RateAtLeast(share)), Some(ratio)) => Some(ratio >= *share),
            (Some(Demand::MedianAtMost(times)), Some(ratio)) => Some(ratio <= *times),
            (Some(Demand::MillisAtMost(ms)), _) => Some(self.p50() <= *ms),
            _ => None,
        };
        let shown = match (&self.demand, ratio) {
            (Some(Demand::MedianAtMost(times)), Some(r)) => {
                format!("{r:.2} x p50 (must: <= {times})")
            }
            (Some(Demand::RateAtLeast(share)), Some(r)) => {
                format!(
                    "{:.0} % of rate (must: >= {:.0} %)",
                    r * 100.0,
                    share * 100.0
                )
            }
            (Some(Demand::MillisAtMost(ms)), _) => format!("(must: <= {ms} ms)"),
            (None, Some(r)) => format!("{:.0} % of rate", r * 100.0),
            (None, None) => "reference".to_owned(),
            _ => String::new(),
        };
        (shown, met)
    }
}

/// Groups of figures; the reference of a group comes first in it.
#[derive(Default)]
pub(crate) struct Table {
    groups: Vec<(String, Vec<Measured>)>,
    notes: Vec<(String, f64, String)>,
}

impl Table {
    pub(crate) fn group(&mut self, name: impl Into<String>, figures: Vec<Measured>) {
        self.groups.push((name.into(), figures));
    }

    /// A single number with its unit.
    pub(crate) fn note(&mut self, name: impl Into<String>, value: f64, unit: impl Into<String>) {
        self.notes.push((name.into(), value, unit.into()));
    }

    pub(crate) fn print(&self, as_json: bool) {
        if as_json {
            println!("{:#}", self.json());
            return;
        }
        println!(
            "{:<44} {:>7} {:>10} {:>9} {:>9}  to the reference",
            "", "n", "per s", "p50 ms", "p99 ms"
        );
        for (group, figures) in &self.groups {
            println!("{group}");
            let reference = figures.iter().find(|f| f.reference);
            for figure in figures {
                let (shown, met) = figure.verdict(reference);
                let mark = match met {
                    Some(true) => " ok",
                    Some(false) => " MISSED",
                    None => "",
                };
                println!(
                    "  {:<42} {:>7} {:>10.1} {:>9.3} {:>9.3}  {shown}{mark}",
                    figure.name,
                    figure.millis.len(),
                    figure.rate(),
                    figure.p50(),
                    percentile(&figure.millis, 99),
                );
            }
        }
        for (name, value, unit) in &self.notes {
            println!("{name:<44} {value:>18.2} {unit}");
        }
    }

    fn json(&self) -> Value {
        let groups: Vec<Value> = self
            .groups
            .iter()
            .map(|(group, figures)| {
                let reference = figures.iter().find(|f| f.reference);
                let rows: Vec<Value> = figures
                    .iter()
                    .map(|figure| {
                        let (shown, met) = figure.verdict(reference);
                        json!({"name": figure.name, "n": figure.millis.len(), "per_s": figure.rate(),
                            "p50_ms": figure.p50(), "p99_ms": percentile(&figure.millis, 99),
                            "to_reference": shown, "met": met})
                    })
                    .collect();
                json!({"group": group, "figures": rows})
            })
            .collect();
        let notes: Vec<Value> = self
            .notes
            .iter()
            .map(|(name, value, unit)| json!({"name": name, "value": value, "unit": unit}))
            .collect();
        json!({"groups": groups, "notes": notes})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_compare_with_the_reference_of_the_group() {
        let second = Duration::from_secs(1);
        let reference = Measured::new("r", vec![1.0; 100], second).reference();
        let half = Measured::new("h", vec![2.0; 50], second);
        assert_eq!(
            half.must(Demand::RateAtLeast(0.5))
                .verdict(Some(&reference))
                .1,
            Some(true)
        );
        let slow = Measured::new("s", vec![2.1; 50], second);
        assert_eq!(
            slow.must(Demand::MedianAtMost(2.0))
                .verdict(Some(&reference))
                .1,
            Some(false)
        );
    }
}
