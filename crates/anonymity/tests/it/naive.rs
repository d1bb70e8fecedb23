//! The models by their definitions, on released text: nothing of the engine is asked but what it released.

use anonymity::{Anonymised, Distance, Model, Role, Table};
use std::collections::BTreeMap;

/// Released records by their quasi-identifiers; places in the table.
pub(crate) type Groups = BTreeMap<Vec<String>, Vec<usize>>;

pub(crate) fn groups(table: &Table, made: &Anonymised<'_>) -> Groups {
    let mut groups = Groups::new();
    let released = table.columns().iter();
    let quasi: Vec<bool> = released
        .filter(|c| *c.role() != Role::Identifying)
        .map(|c| matches!(c.role(), Role::Quasi(_)))
        .collect();
    for row in 0..table.rows() {
        let Some(texts) = made.row(row) else { continue };
        let own = texts.iter().zip(&quasi).filter(|(_, quasi)| **quasi);
        let key = own.map(|(text, _)| (*text).to_owned()).collect();
        groups.entry(key).or_default().push(row);
    }
    groups
}

pub(crate) fn holds(
    model: &Model,
    table: &Table,
    population: Option<&Table>,
    groups: &Groups,
) -> bool {
    groups
        .iter()
        .all(|(key, rows)| holds_of(model, table, population, key, rows))
}

pub(crate) fn holds_of(
    model: &Model,
    table: &Table,
    population: Option<&Table>,
    key: &[String],
    rows: &[usize],
) -> bool {
    match model {
        Model::KAnonymity { k } => rows.len() >= *k as usize,
        Model::KMap { k } => matching(population, key) >= *k as usize,
        Model::Presence { most } => rows.len() as f64 <= most * matching(population, key) as f64,
        Model::DistinctDiversity { column, l } => {
            histogram(table, column, rows).len() >= *l as usize
        }
        Model::EntropyDiversity { column, l } => {
            let entropy: f64 = histogram(table, column, rows)
                .values()
                .map(|n| *n as f64 / rows.len() as f64)
                .map(|share| -share * share.log2())
                .sum();
            entropy >= l.log2() - 1e-9
        }
        Model::RecursiveDiversity { column, c, l } => {
            let mut counts: Vec<usize> = histogram(table, column, rows).into_values().collect();
            counts.sort_unstable();
            counts.reverse();
            let tail: usize = counts.iter().skip(*l as usize - 1).sum();
            (counts[0] as f64) < c * tail as f64
        }
        Model::Closeness {
            column,
            t,
            distance,
        } => far(table, column, rows, distance) <= t + 1e-9,
    }
}

fn matching(population: Option<&Table>, key: &[String]) -> usize {
    let population = population.expect("a population");
    (0..population.rows())
        .filter(|row| matches(population, *row, key))
        .count()
}

/// Whether a person is among those whom released texts may mean.
fn matches(table: &Table, row: usize, key: &[String]) -> bool {
    table.quasi().zip(key).all(|((column, hierarchy), text)| {
        let (level, _) = hierarchy.find(text).expect("a text of the hierarchy");
        hierarchy.text(level, column.codes()[row]) == text
    })
}

fn histogram(table: &Table, column: &str, rows: &[usize]) -> BTreeMap<String, usize> {
    let column = table.column(column).expect("a column");
    let mut counts = BTreeMap::new();
    for row in rows {
        let text = column.text(column.codes()[*row]).to_owned();
        *counts.entry(text).or_default() += 1;
    }
    counts
}

fn far(table: &Table, column: &str, rows: &[usize], distance: &Distance) -> f64 {
    let all: Vec<usize> = (0..table.rows()).collect();
    let (whole, own) = (
        histogram(table, column, &all),
        histogram(table, column, rows),
    );
    match distance {
        Distance::Equal => {
            let apart = whole.iter().map(|(value, n)| {
                let here = own.get(value).copied().unwrap_or(0) as f64 / rows.len() as f64;
                (here - *n as f64 / all.len() as f64).max(0.0)
            });
            apart.sum()
        }
        Distance::Numeric => {
            // Both as equally many grains, matched in order: the best way to move them on a line.
            let mut values: Vec<i64> = whole.keys().map(|v| v.parse().expect("number")).collect();
            values.sort_unstable();
            let place = |text: &String| {
                let value = text.parse::<i64>().expect("number");
                values.iter().position(|v| *v == value).expect("known")
            };
            let grains = |of: &BTreeMap<String, usize>, times: usize| {
                let each = of.iter().map(|(v, n)| vec![place(v); n * times]);
                let mut grains: Vec<usize> = each.flatten().collect();
                grains.sort_unstable();
                grains
            };
            let (a, b) = (grains(&own, all.len()), grains(&whole, rows.len()));
            let moved: usize = a.iter().zip(&b).map(|(a, b)| a.abs_diff(*b)).sum();
            moved as f64 / a.len() as f64 / (values.len() - 1).max(1) as f64
        }
        Distance::Listed(_) | Distance::Hierarchy(_) => panic!("not checked here"),
    }
}
