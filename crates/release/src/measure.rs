//! Measurements of a group, from values of its subjects.
//!
//! Of each subject the median of its values counts, once. A measurement is told if at least `k` subjects have
//! one, if no subject's distance from the mean makes up more than 45 % of all the distances (whoever
//! knows the others would read it off), and if they are not all alike (everybody's would be read off). What
//! is told is rounded.

use crate::group::Measure;
use std::collections::BTreeMap;

/// The most different measurements of one subject; further ones do not count.
pub const MAX_CODES: usize = 2_048;
/// The most values of one measurement of one subject; further ones do not count.
const MAX_VALUES: usize = 4_096;
/// The largest share of all distances from the mean that one subject may make up.
const DOMINANCE: f64 = 0.45;

/// What was measured, in which unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unit {
    /// The code's system.
    pub system: String,
    /// The code.
    pub code: String,
    /// UCUM.
    pub unit: String,
}

/// The values of one subject.
#[derive(Default)]
pub struct OfSubject {
    values: BTreeMap<Unit, Vec<f64>>,
    passed_over: u64,
}

impl OfSubject {
    /// Takes a value. One that is no finite number, or beyond the bounds, is passed over and counted.
    pub fn add(&mut self, unit: Unit, value: f64) {
        let is_full = self.values.len() >= MAX_CODES && !self.values.contains_key(&unit);
        if is_full || !value.is_finite() {
            self.passed_over += 1;
            return;
        }
        let values = self.values.entry(unit).or_default();
        if values.len() >= MAX_VALUES {
            self.passed_over += 1;
            return;
        }
        values.push(value);
    }

    /// How many values were passed over.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }
}

impl std::fmt::Debug for OfSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OfSubject(<redacted>)")
    }
}

/// The measurements of a group, in the making.
pub struct Measures {
    k: usize,
    medians: BTreeMap<Unit, Vec<f64>>,
}

impl std::fmt::Debug for Measures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Measures(<redacted>)")
    }
}

impl Measures {
    /// Nothing yet; `k` subjects at least stand behind everything told.
    pub fn new(k: u32) -> Self {
        Self {
            k: usize::try_from(k).unwrap_or(usize::MAX).max(2),
            medians: BTreeMap::new(),
        }
    }

    /// Takes the values of one subject; each subject is given once.
    pub fn subject(&mut self, of: OfSubject) {
        for (unit, mut values) in of.values {
            if let Some(median) = median(&mut values) {
                self.medians.entry(unit).or_default().push(median);
            }
        }
    }

    /// What may be told, in order, and how many measurements are not told.
    pub fn finish(self) -> (Vec<Measure>, usize) {
        let k = self.k;
        let all = self.medians.len();
        let told: Vec<Measure> = self
            .medians
            .into_iter()
            .filter_map(|(unit, values)| told(unit, &values, k))
            .collect();
        let withheld = all - told.len();
        (told, withheld)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a count of subjects, far below 2^52"
)]
fn told(unit: Unit, values: &[f64], k: usize) -> Option<Measure> {
    if values.len() < k {
        return None;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let distances = values.iter().map(|value| (value - mean).abs());
    let (total, largest) = distances.fold((0.0, 0.0_f64), |(total, largest), distance| {
        (total + distance, largest.max(distance))
    });
    if largest > DOMINANCE * total {
        return None;
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = rounded((squares / (n - 1.0)).sqrt(), 2);
    let mean = rounded(mean, 3);
    // INVARIANT: what is told of everybody alike is not told.
    if deviation <= 0.0 || deviation < mean.abs() * 1e-6 || !mean.is_finite() {
        return None;
    }
    Some(Measure {
        system: unit.system,
        code: unit.code,
        unit: unit.unit,
        at_least: u32::try_from(values.len() - values.len() % k).unwrap_or(u32::MAX),
        mean,
        deviation,
    })
}

/// The middle value, or the mean of the two middle ones.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *values.get(values.len() / 2 - 1)?;
    Some(lower + (upper - lower) / 2.0)
}

/// To so many significant digits.
fn rounded(value: f64, digits: usize) -> f64 {
    let text = format!("{value:.*e}", digits.saturating_sub(1));
    text.parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&[f64]], k: u32) -> (Vec<Measure>, usize) {
        let mut measures = Measures::new(k);
        for values in values {
            let mut subject = OfSubject::default();
            for value in *values {
                let unit = Unit {
                    system: "http://loinc.org".to_owned(),
                    code: "2345-7".to_owned(),
                    unit: "mg/dL".to_owned(),
                };
                subject.add(unit, *value);
            }
            measures.subject(subject);
        }
        measures.finish()
    }

    #[test]
    fn one_value_counts_of_each_subject() {
        let (told, withheld) = of(
            &[&[1.0, 99.0, 2.0], &[3.0], &[4.0, 6.0], &[7.0], &[8.0, 8.0]],
            5,
        );
        // Medians 2, 3, 5, 7, 8.
        assert_eq!(withheld, 0);
        assert_eq!(
            (told[0].at_least, told[0].mean, told[0].deviation),
            (5, 5.0, 2.5)
        );
    }

    #[test]
    fn fewer_than_k_tell_nothing() {
        assert_eq!(of(&[&[1.0], &[2.0], &[3.0], &[4.0]], 5), (vec![], 1));
        assert_eq!(of(&[&[1.0], &[2.0], &[3.0], &[4.0], &[]], 5), (vec![], 1));
        assert_eq!(
            of(&[&[1.0], &[2.0], &[3.0], &[4.0], &[f64::NAN]], 5),
            (vec![], 1)
        );
    }

    #[test]
    fn who_stands_out_is_not_told() {
        // The fifth makes up half of all distances.
        assert_eq!(
            of(&[&[1.0], &[1.1], &[1.2], &[1.1], &[50.0]], 5),
            (vec![], 1)
        );
    }

    #[test]
    fn who_are_all_alike_are_not_told() {
        assert_eq!(
            of(&[&[1.0], &[1.0], &[1.0], &[1.0], &[1.0]], 5),
            (vec![], 1)
        );
    }

    #[test]
    fn a_size_is_a_multiple_of_k() {
        let values: Vec<[f64; 1]> = (0..13).map(|n| [f64::from(n)]).collect();
        let values: Vec<&[f64]> = values.iter().map(<[f64; 1]>::as_slice).collect();
        assert_eq!(of(&values, 5).0[0].at_least, 10);
    }

    #[test]
    fn what_is_told_has_few_digits() {
        let (told, _) = of(&[&[123.456], &[131.9], &[118.001], &[140.77], &[101.23]], 5);
        assert_eq!((told[0].mean, told[0].deviation), (123.0, 15.0));
    }
}
