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
    demands: Vec<Demand>,
}

/// What a figure must reach.
pub(crate) enum Demand {
    /// The rate, as a share of the reference's.
    RateAtLeast(f64),
    /// The median, as a multiple of the reference's.
    MedianAtMost(f64),
    /// The median in milliseconds.
    MillisAtMost(f64),
    /// The 99th percentile in milliseconds.
    P99AtMost(f64),
    /// The rate a second.
    PerSecondAtLeast(f64),
}

/// What a single number must reach.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// Nothing: it is only shown.
    None,
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    fn verdict(self, value: f64) -> (String, Option<bool>) {
        match self {
            Self::None => (String::new(), None),
            Self::AtMost(most) => (format!(" (must: <= {most})"), Some(value <= most)),
            Self::AtLeast(least) => (format!(" (must: >= {least})"), Some(value >= least)),
        }
    }
}

impl Measured {
    pub(crate) fn new(name: impl Into<String>, millis: Vec<f64>, elapsed: Duration) -> Self {
        Self {
            name: name.into(),
            reference: false,
            millis,
            elapsed,
            demands: Vec::new(),
        }
    }

    pub(crate) fn reference(mut self) -> Self {
        self.reference = true;
        self
    }

    pub(crate) fn must(mut self, demand: Demand) -> Self {
        self.demands.push(demand);
        self
    }

    fn rate(&self) -> f64 {
        let count = f64::from(u32::try_from(self.millis.len()).unwrap_or(u32::MAX));
        count / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    fn p50(&self) -> f64 {
        percentile(&self.millis, 50)
    }

    fn p99(&self) -> f64 {
        percentile(&self.millis, 99)
    }

    fn verdict(&self, reference: Option<&Self>) -> (String, Option<bool>) {
        let against = reference.filter(|_| !self.reference);
        if self.demands.is_empty() {
            let shown = against.map_or("reference".to_owned(), |r| {
                format!("{:.0} % of rate", self.share(r) * 100.0)
            });
            return (shown, None);
        }
        let verdicts = self.demands.iter().map(|demand| self.met(demand, against));
        let (shown, met): (Vec<_>, Vec<_>) = verdicts.unzip();
        let met: Option<Vec<bool>> = met.into_iter().collect();
        (shown.join(", "), met.map(|met| met.iter().all(|met| *met)))
    }

    fn share(&self, reference: &Self) -> f64 {
        self.rate() / reference.rate().max(f64::EPSILON)
    }

    fn met(&self, demand: &Demand, reference: Option<&Self>) -> (String, Option<bool>) {
        match demand {
            Demand::MillisAtMost(ms) => (format!("(must: <= {ms} ms)"), Some(self.p50() <= *ms)),
            Demand::P99AtMost(ms) => (format!("(must: p99 <= {ms} ms)"), Some(self.p99() <= *ms)),
            Demand::PerSecondAtLeast(rate) => {
                (format!("(must: >= {rate}/s)"), Some(self.rate() >= *rate))
            }
            Demand::MedianAtMost(times) => reference.map_or((String::new(), None), |r| {
                let ratio = self.p50() / r.p50().max(f64::EPSILON);
                let shown = format!("{ratio:.2} x p50 (must: <= {times})");
                (shown, Some(ratio <= *times))
            }),
            Demand::RateAtLeast(least) => reference.map_or((String::new(), None), |r| {
                let share = self.share(r);
                let shown = format!(
                    "{:.0} % of rate (must: >= {:.0} %)",
                    share * 100.0,
                    least * 100.0
                );
                (shown, Some(share >= *least))
            }),
        }
    }
}

struct Note {
    name: String,
    value: f64,
    unit: String,
    bound: Bound,
}

/// Groups of figures; the reference of a group comes first in it.
#[derive(Default)]
pub(crate) struct Table {
    groups: Vec<(String, Vec<Measured>)>,
    notes: Vec<Note>,
}

impl Table {
    pub(crate) fn group(&mut self, name: impl Into<String>, figures: Vec<Measured>) {
        self.groups.push((name.into(), figures));
    }

    /// A single number with its unit.
    pub(crate) fn note(&mut self, name: impl Into<String>, value: f64, unit: impl Into<String>) {
        self.note_must(name, value, unit, Bound::None);
    }

    /// A single number with its unit, and what it must reach.
    pub(crate) fn note_must(
        &mut self,
        name: impl Into<String>,
        value: f64,
        unit: impl Into<String>,
        bound: Bound,
    ) {
        self.notes.push(Note {
            name: name.into(),
            value,
            unit: unit.into(),
            bound,
        });
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
                println!(
                    "  {:<42} {:>7} {:>10.1} {:>9.3} {:>9.3}  {shown}{}",
                    figure.name,
                    figure.millis.len(),
                    figure.rate(),
                    figure.p50(),
                    figure.p99(),
                    mark(met),
                );
            }
        }
        for note in &self.notes {
            let (shown, met) = note.bound.verdict(note.value);
            println!(
                "{:<54} {:>12.2} {}{shown}{}",
                note.name,
                note.value,
                note.unit,
                mark(met)
            );
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
                            "p50_ms": figure.p50(), "p99_ms": figure.p99(),
                            "to_reference": shown, "met": met})
                    })
                    .collect();
                json!({"group": group, "figures": rows})
            })
            .collect();
        let notes: Vec<Value> = self
            .notes
            .iter()
            .map(|note| {
                let (_, met) = note.bound.verdict(note.value);
                json!({"name": note.name, "value": note.value, "unit": note.unit, "met": met})
            })
            .collect();
        json!({"groups": groups, "notes": notes})
    }
}

fn mark(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => " ok",
        Some(false) => " MISSED",
        None => "",
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

    #[test]
    fn of_several_demands_each_must_be_met() {
        let met = |rate, ms| {
            Measured::new("m", vec![2.0; 50], Duration::from_secs(1))
                .must(Demand::PerSecondAtLeast(rate))
                .must(Demand::P99AtMost(ms))
                .verdict(None)
                .1
        };
        assert_eq!(met(50.0, 2.0), Some(true));
        assert_eq!(met(51.0, 2.0), Some(false));
        assert_eq!(met(50.0, 1.9), Some(false));
        assert_eq!(Bound::AtLeast(3.0).verdict(2.0).1, Some(false));
        assert_eq!(Bound::AtMost(3.0).verdict(2.0).1, Some(true));
    }
}
