//! Figures of a table, for people and machines.

use super::{Recoded, columns::Declared};
use anonymity::{Attack, Background, Classes, Table};
use anyhow::Result;
use serde::Serialize;

/// The least sizes of classes that are shown together.
const BANDS: [u32; 7] = [1, 2, 5, 10, 20, 50, 100];
/// The longest bar.
const BAR: f64 = 40.0;

/// Risks of a table and the models that hold of it.
#[derive(Serialize)]
pub(super) struct Measured {
    records: u64,
    classes: u64,
    /// Records that are alone in their class.
    uniques: u64,
    /// How many of them are alone in the population too, about.
    #[serde(skip_serializing_if = "Option::is_none")]
    population_uniques: Option<f64>,
    /// Records of the smallest class.
    k: u32,
    /// People of the population who match the class that fewest match.
    #[serde(skip_serializing_if = "Option::is_none")]
    k_map: Option<u32>,
    prosecutor: Probabilities,
    #[serde(skip_serializing_if = "Option::is_none")]
    journalist: Option<Probabilities>,
    /// The share that is found by going for as many as possible: the journalist's average, or the prosecutor's where nothing
    /// is known of the population.
    marketer: f64,
    sensitive: Vec<Sensitive>,
    sizes: Vec<Band>,
}

/// Of finding a record again.
#[derive(Serialize)]
struct Probabilities {
    highest: f64,
    average: f64,
    /// The share of records above the threshold.
    above: f64,
}

/// What the least protected class tells of a column.
#[derive(Serialize)]
struct Sensitive {
    column: String,
    l: usize,
    entropy_l: f64,
    t: f64,
}

/// Classes of about one size.
#[derive(Serialize)]
struct Band {
    from: u32,
    /// `None`: and more.
    to: Option<u32>,
    classes: u64,
    records: u64,
}

impl From<Attack> for Probabilities {
    fn from(of: Attack) -> Self {
        Self {
            highest: of.highest,
            average: of.average,
            above: of.above,
        }
    }
}

impl Measured {
    pub(super) fn of(
        classes: &Classes,
        table: &Table,
        declared: &Declared,
        background: Background,
    ) -> Result<Self> {
        let risk = classes.risk(background, declared.threshold());
        let mut sensitive = Vec::new();
        for (column, distance) in declared.sensitive()? {
            let Some(diversity) = classes.diversity(table, column)? else {
                continue;
            };
            sensitive.push(Sensitive {
                column: column.to_owned(),
                l: diversity.distinct,
                entropy_l: diversity.entropy,
                t: classes.closeness(table, column, &distance)?,
            });
        }
        let marketer = risk.journalist.unwrap_or(risk.prosecutor).average;
        Ok(Self {
            records: risk.records,
            classes: risk.classes,
            uniques: risk.uniques,
            population_uniques: risk.population_uniques,
            k: classes.k(),
            k_map: classes
                .population()
                .and_then(|people| people.iter().copied().min()),
            prosecutor: risk.prosecutor.into(),
            journalist: risk.journalist.map(Probabilities::from),
            marketer,
            sensitive,
            sizes: bands(classes.sizes()),
        })
    }

    pub(super) fn lines(&self, threshold: f64) -> Vec<String> {
        let mut lines = vec![format!(
            "{} records in {} classes; {} alone in theirs",
            self.records, self.classes, self.uniques
        )];
        let mut holds = format!("holds: k = {}", self.k);
        if let Some(k_map) = self.k_map {
            holds += &format!(", k-map {k_map}");
        }
        for of in &self.sensitive {
            holds += &format!(
                "; {}: l = {} (entropy {:.2}), t = {:.3}",
                of.column, of.l, of.entropy_l, of.t
            );
        }
        lines.push(holds);
        lines.push(format!(
            "{:<52}{:>8}{:>9}{:>12}",
            "found again by who",
            "highest",
            "average",
            format!("above {threshold}")
        ));
        let mut attack = |name: &str, of: &Probabilities| {
            lines.push(format!(
                "{name:<52}{:>8.4}{:>9.4}{:>10.1} %",
                of.highest,
                of.average,
                of.above * 100.0
            ));
        };
        attack("  knows who is in the table (prosecutor)", &self.prosecutor);
        if let Some(of) = &self.journalist {
            attack("  knows the population (journalist)", of);
        }
        lines.push(format!(
            "{:<60}{:>9.4}",
            "  goes for as many as possible (marketer)", self.marketer
        ));
        lines.push("records by the size of their class".to_owned());
        lines.extend(self.sizes.iter().map(|band| band.line(self.records)));
        lines
    }
}

impl Band {
    fn line(&self, all: u64) -> String {
        let name = match self.to {
            Some(to) if to == self.from => to.to_string(),
            Some(to) => format!("{}-{to}", self.from),
            None => format!("{}+", self.from),
        };
        let share = share(self.records, all);
        let eighths = whole(share * BAR * 8.0);
        let mut bar = "█".repeat(eighths / 8);
        if let Some(last) = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"].get(eighths % 8) {
            bar += last;
        }
        let line = format!("{name:>8} {:>6.1} % {bar}", share * 100.0);
        line.trim_end().to_owned()
    }
}

/// What recoding made, for people.
pub(super) fn recoded(made: &Recoded, threshold: f64, out: &str) -> Vec<String> {
    let indented = |of: &Measured| {
        let lines = of.lines(threshold).into_iter();
        lines.map(|line| format!("  {line}")).collect::<Vec<_>>()
    };
    let mut lines = vec!["before".to_owned()];
    lines.extend(indented(&made.before));
    lines.push("after".to_owned());
    lines.extend(indented(&made.after));
    let proven = if made.proven_best {
        ", proven the most with one level a column"
    } else {
        ""
    };
    lines.push(format!(
        "granularity {:.3} (1: as it was; 0: nothing){proven}",
        made.granularity
    ));
    lines.push(format!(
        "left out: {} of {} records ({:.1} %)",
        made.left_out,
        made.before.records,
        share(made.left_out, made.before.records) * 100.0
    ));
    lines.push(format!(
        "written to {out}. It is not anonymous for that: each model says what it says and no more."
    ));
    lines
}

fn bands(sizes: &[u32]) -> Vec<Band> {
    let ends = BANDS.iter().skip(1).map(|next| Some(next - 1));
    let bands = BANDS.iter().zip(ends.chain([None]));
    bands
        .map(|(from, to)| {
            let of = sizes
                .iter()
                .filter(|size| **size >= *from && to.is_none_or(|to| **size <= to));
            Band {
                from: *from,
                to,
                classes: of.clone().count() as u64,
                records: of.map(|size| u64::from(*size)).sum(),
            }
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
fn share(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a bar"
)]
fn whole(number: f64) -> usize {
    number.round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_in_one_band() {
        let sizes: Vec<u32> = (1..=300).collect();
        let made = bands(&sizes);
        assert_eq!(made.iter().map(|band| band.classes).sum::<u64>(), 300);
        let records: u64 = made.iter().map(|band| band.records).sum();
        assert_eq!(records, 300 * 301 / 2);
        assert_eq!(made[1].records, 2 + 3 + 4);
    }

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        let check = |records, expect: &str| {
            let band = Band {
                from: 2,
                to: Some(4),
                classes: 1,
                records,
            };
            assert_eq!(band.line(80), expect);
        };
        check(0, "     2-4    0.0 %");
        check(4, "     2-4    5.0 % ██");
        check(5, "     2-4    6.2 % ██▌");
    }
}
