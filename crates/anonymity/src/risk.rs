//! How likely a released record is found again by somebody who knows the quasi-identifiers.
//!
//! - *Prosecutor*: knows that the person is in the table; succeeds with probability 1 / class size.
//! - *Journalist*: picks from the population that the table is a sample of; 1 / matching people of the population.
//! - *Marketer*: goes for as many as possible; the share found is the average of either.
//!
//! Probabilities are those of a guess in a class. They say nothing of what is learnt without finding the record.
//!
//! Sources: El Emam, *Guide to the De-Identification of Personal Health Information* (2013), chapter 16; the
//! estimate from a sampling fraction is the mean of 1 / F given f of Benedetti and Franconi (1998), for which every
//! person of the population is in the table with the same probability, whoever else is.

use crate::classes::Classes;

/// What is known of the people beyond the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Background {
    /// Nothing: only the prosecutor is computed.
    None,
    /// The population that the classes were made with ([`crate::Config::population`]).
    Population,
    /// The table is a sample of this share of the population, above 0 and at most 1: an estimate.
    Fraction(f64),
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Risk {
    /// Released records.
    pub records: u64,
    /// Their classes.
    pub classes: u64,
    /// Records alone in their class.
    pub uniques: u64,
    /// Of whom who knows who is in the table.
    pub prosecutor: Attack,
    /// Of whom who knows the population; `None` where nothing is known of it.
    pub journalist: Option<Attack>,
    /// How many of `uniques` are alone in the population too: counted, or estimated from the fraction.
    pub population_uniques: Option<f64>,
}

/// One attacker's probabilities, over released records; zeros where there are none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attack {
    /// Of the record that is most at risk.
    pub highest: f64,
    /// Mean over records: the marketer's share.
    pub average: f64,
    /// The share of records whose probability is above the threshold.
    pub above: f64,
}

pub(crate) fn risk(classes: &Classes, background: Background, threshold: f64) -> Risk {
    let sizes = classes.sizes();
    let uniques = sizes.iter().filter(|n| **n == 1).count() as u64;
    let prosecutor = attack(sizes.iter().map(|n| (*n, 1.0 / f64::from(*n))), threshold);
    let (journalist, population_uniques) = match (background, classes.population()) {
        (Background::None, _) | (Background::Population, None) => (None, None),
        (Background::Population, Some(population)) => {
            // Nobody matches who is not in the population: then the population was the wrong one, and the risk is 1.
            let each = sizes
                .iter()
                .zip(population)
                .map(|(n, people)| (*n, 1.0 / f64::from((*people).max(1))));
            let alone = sizes.iter().zip(population);
            let alone = alone
                .filter(|(n, people)| **n == 1 && **people <= 1)
                .count();
            (Some(attack(each, threshold)), Some(count(alone as u64)))
        }
        (Background::Fraction(fraction), _) if fraction > 0.0 && fraction <= 1.0 => {
            let each = sizes.iter().map(|n| (*n, mean_of_inverse(*n, fraction)));
            (
                Some(attack(each, threshold)),
                Some(count(uniques) * fraction),
            )
        }
        (Background::Fraction(_), _) => (None, None),
    };
    Risk {
        records: classes.records(),
        classes: sizes.len() as u64,
        uniques,
        prosecutor,
        journalist,
        population_uniques,
    }
}

/// From each class's size and its probability.
fn attack(classes: impl Iterator<Item = (u32, f64)>, threshold: f64) -> Attack {
    let (mut highest, mut sum, mut above, mut records) = (0.0_f64, 0.0, 0.0, 0.0);
    for (size, probability) in classes {
        let size = f64::from(size);
        highest = highest.max(probability);
        sum += size * probability;
        records += size;
        if probability > threshold {
            above += size;
        }
    }
    let records = f64::max(records, 1.0);
    Attack {
        highest,
        average: sum / records,
        above: above / records,
    }
}

/// The mean of `1 / F` for a class of which a sample of `share` shows `f`: the integral of
/// `share w^(f-1) / (share + (1 - share) w)` over `w` from 0 to 1.
fn mean_of_inverse(f: u32, share: f64) -> f64 {
    let rest = 1.0 - share;
    let f_real = f64::from(f.max(1));
    if rest <= share {
        // The series in `rest`: share (B(1, f) + rest B(2, f) + ...), which halves at least.
        let (mut beta, mut power, mut sum) = (1.0 / f_real, 1.0, 0.0);
        for i in 1..80 {
            sum += power * beta;
            power *= rest;
            beta *= f64::from(i) / (f_real + f64::from(i));
        }
        return share * sum;
    }
    // Forward, which is stable as long as `share` is the smaller.
    let ratio = share / rest;
    let mut mean = -share.ln() * ratio;
    for step in 1..f.clamp(1, 10_000) {
        mean = ratio / f64::from(step) - ratio * mean;
    }
    // What is not computed further is larger than this by less than one in ten thousand.
    if f > 10_000 {
        return share / f_real;
    }
    mean
}

#[expect(
    clippy::cast_precision_loss,
    reason = "records are bounded by MAX_ROWS"
)]
fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By Simpson's rule on the integral itself.
    fn by_hand(f: u32, share: f64) -> f64 {
        let steps = 200_000;
        let at = |i: u32| {
            let w = f64::from(i) / f64::from(steps);
            let power = w.powi(i32::try_from(f).unwrap() - 1);
            share * power / (share + (1.0 - share) * w)
        };
        let inner: f64 = (1..steps)
            .map(|i| at(i) * if i % 2 == 1 { 4.0 } else { 2.0 })
            .sum();
        (at(0) + inner + at(steps)) / 3.0 / f64::from(steps)
    }

    #[test]
    fn the_mean_of_inverse_is_the_integral() {
        for share in [0.05, 0.3, 0.5, 0.51, 0.9, 1.0] {
            for f in [1, 2, 3, 7, 40] {
                let (got, expect) = (mean_of_inverse(f, share), by_hand(f, share));
                assert!(
                    (got - expect).abs() < 1e-6,
                    "{f} of {share}: {got} {expect}"
                );
            }
        }
        assert!((mean_of_inverse(4, 1.0) - 0.25).abs() < 1e-12);
    }
}
