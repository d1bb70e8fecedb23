//! Records by class, and what the classes tell.
//!
//! A class holds the released records that are equal in all quasi-identifiers. It says nothing of who may be in it
//! twice over: an attacker who knows that somebody is *not* in the table, or who holds other releases, knows more.

#![expect(
    clippy::cast_possible_truncation,
    reason = "classes are bounded by MAX_ROWS"
)]

use crate::{
    checker::{ground, sensitive},
    config::{Distance, Refusal},
    risk::{Background, Risk, risk},
    spread,
    table::Table,
};
use std::collections::HashMap;

/// The class of a record that is left out.
pub(crate) const OUT: u32 = u32::MAX;

/// Records by class.
#[derive(Clone, Debug)]
pub struct Classes {
    /// Of each record of the table; [`OUT`] where it is left out.
    of_row: Vec<u32>,
    sizes: Vec<u32>,
    /// Of each class, how many of the population match it, where one was given.
    population: Option<Vec<u32>>,
}

/// The least that a column keeps hidden in any class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Diversity {
    /// Different values.
    pub distinct: usize,
    /// `exp` of the entropy.
    pub entropy: f64,
}

impl Classes {
    pub(crate) fn new(of_row: Vec<u32>, classes: usize, population: Option<Vec<u32>>) -> Self {
        let mut sizes = vec![0; classes];
        for class in of_row.iter().filter(|class| **class != OUT) {
            sizes[*class as usize] += 1;
        }
        Self {
            of_row,
            sizes,
            population,
        }
    }

    /// All records of a table, by the columns named, whatever their roles; `None` if there is no such column, or if
    /// it is identifying.
    pub fn of(table: &Table, columns: &[&str]) -> Option<Self> {
        let mut of_row = vec![0_u32; table.rows()];
        let mut classes = usize::from(table.rows() > 0);
        for name in columns {
            let codes = table.column(name)?.codes();
            if codes.len() != table.rows() {
                return None;
            }
            let mut known: HashMap<(u32, u32), u32> = HashMap::new();
            for (class, code) in of_row.iter_mut().zip(codes) {
                let next = known.len() as u32;
                *class = *known.entry((*class, *code)).or_insert(next);
            }
            classes = known.len();
        }
        Some(Self::new(of_row, classes, None))
    }

    /// How many records each class holds.
    pub fn sizes(&self) -> &[u32] {
        &self.sizes
    }

    /// The class of a record, by the record's place in the table; `None` where it is left out.
    pub fn of_row(&self, row: usize) -> Option<usize> {
        let class = self.of_row.get(row)?;
        (*class != OUT).then_some(*class as usize)
    }

    /// The records of the smallest class; 0 where nothing is released.
    pub fn k(&self) -> u32 {
        self.sizes.iter().copied().min().unwrap_or(0)
    }

    /// Released records.
    pub fn records(&self) -> u64 {
        self.sizes.iter().map(|n| u64::from(*n)).sum()
    }

    /// How many of the population match each class, where one was given.
    pub fn population(&self) -> Option<&[u32]> {
        self.population.as_deref()
    }

    /// How likely records are found again; `threshold` is a probability.
    pub fn risk(&self, background: Background, threshold: f64) -> Risk {
        risk(self, background, threshold)
    }

    /// The least diversity of a sensitive column in any class; `None` where nothing is released.
    pub fn diversity(&self, table: &Table, column: &str) -> Result<Option<Diversity>, Refusal> {
        let mut least: Option<Diversity> = None;
        self.histograms(table, column, |counts| {
            let (distinct, entropy) = (spread::distinct(counts), spread::effective(counts));
            let so_far = least.unwrap_or(Diversity { distinct, entropy });
            least = Some(Diversity {
                distinct: so_far.distinct.min(distinct),
                entropy: so_far.entropy.min(entropy),
            });
        })?;
        Ok(least)
    }

    /// The least `c` that no class reaches: all are recursively `(c, l)`-diverse for every greater `c`.
    pub fn recursive(&self, table: &Table, column: &str, l: u32) -> Result<f64, Refusal> {
        let mut most = 0.0_f64;
        self.histograms(table, column, |counts| {
            most = most.max(spread::recursive(counts, l as usize));
        })?;
        Ok(most)
    }

    /// How far the distribution of a sensitive column in any class is from that in the whole table, released or not.
    pub fn closeness(
        &self,
        table: &Table,
        column: &str,
        distance: &Distance,
    ) -> Result<f64, Refusal> {
        let of = sensitive(table, column)?;
        let ground = ground(of, distance)?;
        let whole = spread::shares(&crate::checker::counts(of));
        let mut most = 0.0_f64;
        self.histograms(table, column, |counts| {
            most = most.max(ground.distance(&spread::shares(counts), &whole));
        })?;
        Ok(most)
    }

    fn histograms(
        &self,
        table: &Table,
        column: &str,
        mut each: impl FnMut(&[u32]),
    ) -> Result<(), Refusal> {
        let column = sensitive(table, column)?;
        let mut rows: Vec<(u32, u32)> = self
            .of_row
            .iter()
            .zip(column.codes())
            .filter(|(class, _)| **class != OUT)
            .map(|(class, code)| (*class, *code))
            .collect();
        rows.sort_unstable();
        let mut counts = vec![0; column.cardinality()];
        for class in rows.chunk_by(|a, b| a.0 == b.0) {
            counts.fill(0);
            for (_, code) in class {
                counts[*code as usize] += 1;
            }
            each(&counts);
        }
        Ok(())
    }
}
