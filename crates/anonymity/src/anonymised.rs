//! What is released of a table.

#![expect(
    clippy::cast_possible_truncation,
    reason = "levels and classes are bounded by MAX_LEVELS and MAX_ROWS"
)]

use crate::{
    classes::Classes,
    delimited,
    space::{Groups, ONE, Space},
    table::{Role, Table},
};
use std::fmt;

/// The class of each tuple, and what each class shows.
#[derive(Clone)]
pub(crate) struct Partition {
    /// By tuple; [`crate::classes::OUT`] where its records are left out.
    pub(crate) class: Vec<u32>,
    /// By class: its node, and a tuple of it. No two show the same.
    pub(crate) shown: Vec<(usize, u32)>,
}

/// A table as it may be released: rows generalised, or left out as a whole.
pub struct Anonymised<'t> {
    table: &'t Table,
    classes: Classes,
    /// Class after class: of each quasi-identifier, its level and a leaf below it.
    shown: Vec<(u8, u32)>,
    granularity: f64,
    proven: bool,
}

impl fmt::Debug for Anonymised<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, classes) = (self.classes.records(), self.classes.sizes().len());
        write!(
            f,
            "Anonymised({rows} rows in {classes} classes, <redacted>)"
        )
    }
}

impl Partition {
    /// The loss of all records.
    pub(crate) fn loss(&self, space: &Space) -> u64 {
        let each: Vec<u64> = self
            .shown
            .iter()
            .map(|(node, any)| space.at(*node).loss(*any))
            .collect();
        let of = |class: u32| each.get(class as usize).copied().unwrap_or(ONE);
        let tuples = self.class.iter().zip(&space.rows);
        tuples
            .map(|(class, rows)| of(*class) * u64::from(*rows))
            .sum()
    }
}

impl<'t> Anonymised<'t> {
    pub(crate) fn new(table: &'t Table, space: &Space, made: &Partition, proven: bool) -> Self {
        let rows = space.tuple_of_row.iter();
        let of_row = rows.map(|tuple| made.class[*tuple as usize]).collect();
        let population = (!space.population.is_empty()).then(|| people(space, made));
        let mut shown = Vec::with_capacity(made.shown.len() * space.width);
        for (node, any) in &made.shown {
            let leaves = space.tuple(*any).iter().enumerate();
            shown.extend(leaves.map(|(c, leaf)| (space.level(*node, c) as u8, *leaf)));
        }
        Self {
            table,
            classes: Classes::new(of_row, made.shown.len(), population),
            shown,
            granularity: granularity(made.loss(space), space.total),
            proven,
        }
    }

    /// Its classes.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// How many records are left out.
    pub fn suppressed(&self) -> u64 {
        self.table.rows() as u64 - self.classes.records()
    }

    /// What is left, from 0 (nothing) to 1 (all). A cell of a quasi-identifier covers a share of its column's values,
    /// those of its hierarchy: one of them where it is as it was, all where its record is left out. With `s` the mean
    /// share over records and columns, and `m` what it was at first: `1 - (s - m) / (1 - m)`. ARX calls it granularity
    /// (the arithmetic mean, not normalised by column).
    pub fn granularity(&self) -> f64 {
        self.granularity
    }

    /// Whether it is proven that no other result of the same recoding has more granularity: for global recoding, where
    /// [`crate::Limits::work`] sufficed.
    pub fn proven(&self) -> bool {
        self.proven
    }

    /// The names of the columns that are released, in their order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let columns = self.table.columns().iter();
        columns
            .filter(|c| *c.role() != Role::Identifying)
            .map(|c| c.name())
    }

    /// A record as it is released, by its place in the table: a text for each of [`Self::columns`]; `None` where it
    /// is left out.
    pub fn row(&self, row: usize) -> Option<Vec<&str>> {
        let class = self.classes.of_row(row)?;
        let width = self.table.quasi().count();
        let mut shown = self.shown[class * width..(class + 1) * width].iter();
        let mut texts = Vec::with_capacity(self.table.columns().len());
        for column in self.table.columns() {
            match column.role() {
                Role::Identifying => {}
                Role::Quasi(hierarchy) => {
                    let (level, leaf) = shown.next()?;
                    texts.push(hierarchy.text((*level).into(), *leaf));
                }
                Role::Sensitive | Role::Insensitive => texts.push(column.text(column.codes()[row])),
            }
        }
        Some(texts)
    }

    /// Released records as text, the columns' names first. Records keep their order, which may itself tell
    /// something: sort them by another column before they leave.
    pub fn to_delimited(&self, separator: char) -> String {
        let mut out = String::new();
        delimited::push_row(&mut out, separator, self.columns());
        for row in 0..self.table.rows() {
            if let Some(row) = self.row(row) {
                delimited::push_row(&mut out, separator, row.into_iter());
            }
        }
        out
    }
}

/// From the loss of so many records.
#[expect(clippy::cast_precision_loss, reason = "six digits are shown")]
pub(crate) fn granularity(loss: u64, records: u64) -> f64 {
    if records == 0 {
        return 1.0;
    }
    1.0 - loss as f64 / (ONE as f64 * records as f64)
}

/// How many of the population match what each class shows.
fn people(space: &Space, made: &Partition) -> Vec<u32> {
    let mut people = vec![0; made.shown.len()];
    let mut order: Vec<usize> = (0..made.shown.len()).collect();
    order.sort_by_key(|class| made.shown[*class].0);
    for classes in order.chunk_by(|a, b| made.shown[*a].0 == made.shown[*b].0) {
        let at = space.at(made.shown[classes[0]].0);
        let mut groups = Groups::default();
        groups.reset(classes.len());
        for class in classes {
            groups.find(at.key(made.shown[*class].1));
        }
        for (tuple, found) in space.population.iter().enumerate() {
            if *found > 0
                && let Some(group) = groups.known(at.key(tuple as u32))
            {
                people[classes[group as usize]] += found;
            }
        }
    }
    people
}
