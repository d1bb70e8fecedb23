//! What is asked for, and why it may be refused.

use crate::{hierarchy::Hierarchy, table::Table};
use std::sync::Arc;

/// What must hold of every class: the released records that are equal in all quasi-identifiers.
#[derive(Clone, Debug)]
pub enum Model {
    /// At least `k` released records.
    KAnonymity {
        /// From 1.
        k: u32,
    },
    /// At least `k` people of the population match it ([`Config::population`]).
    KMap {
        /// From 1.
        k: u32,
    },
    /// Of the people of the population who match it, at most this share is released ([`Config::population`]; the upper bound
    /// of delta-presence). For [`Recoding::Global`] alone: with the other, whoever matches one class may match more.
    Presence {
        /// From 0 to 1.
        most: f64,
    },
    /// At least `l` different values of a sensitive column.
    DistinctDiversity {
        /// The column's name.
        column: String,
        /// From 1.
        l: u32,
    },
    /// The entropy of a sensitive column is at least that of `l` equally frequent values.
    EntropyDiversity {
        /// The column's name.
        column: String,
        /// From 1.
        l: f64,
    },
    /// The most frequent value is rarer than `c` times all from the `l`-th most frequent on.
    RecursiveDiversity {
        /// The column's name.
        column: String,
        /// Above 0.
        c: f64,
        /// From 1.
        l: u32,
    },
    /// A sensitive column is distributed as in the whole table, but for at most `t`.
    Closeness {
        /// The column's name.
        column: String,
        /// From 0 to 1.
        t: f64,
        /// How far apart values are.
        distance: Distance,
    },
}

/// How far apart two values of a sensitive column are, from 0 to 1.
#[derive(Clone, Debug)]
pub enum Distance {
    /// Any two the same.
    Equal,
    /// By their order as numbers.
    Numeric,
    /// By their place in this list, which names all.
    Listed(Vec<String>),
    /// By the level at which they meet.
    Hierarchy(Arc<Hierarchy>),
}

/// How values are generalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recoding {
    /// Each column to one level for all records; the best such choice.
    Global,
    /// Each class for itself; never worse than [`Recoding::Global`] by granularity.
    Local,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Config<'a> {
    /// All must hold.
    pub models: Vec<Model>,
    /// How values are generalised.
    pub recoding: Recoding,
    /// The share of records that may be left out, from 0 to 1.
    pub suppression: f64,
    /// The average prosecutor risk (classes a released record) that may be reached at most, from 0 to 1.
    pub average_risk: Option<f64>,
    /// The people whom an attacker may choose from: a table with the same quasi-identifiers and hierarchies.
    pub population: Option<&'a Table>,
    /// What the search may take.
    pub limits: Limits,
}

impl Config<'_> {
    /// Global recoding to `k`-anonymity without suppression.
    pub fn k_anonymity(k: u32) -> Self {
        Self {
            models: vec![Model::KAnonymity { k }],
            recoding: Recoding::Global,
            suppression: 0.0,
            average_risk: None,
            population: None,
            limits: Limits::default(),
        }
    }
}

/// Bounds of a search; the same on every machine, for no clock is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Choices of one level for each column; more are refused. Each takes some 20 bytes.
    pub lattice: usize,
    /// Records (equal ones count once) looked at, over all choices: some hundred million a second, fewer where more than sizes is asked.
    pub work: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lattice: 4_000_000,
            work: 20_000_000_000,
        }
    }
}

/// Why nothing is released.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No such class can be.
    #[error("{rows} records are fewer than the {needed} that one class needs")]
    TooFew {
        /// In the table.
        rows: usize,
        /// In a class.
        needed: u64,
    },
    /// Nothing to generalise.
    #[error("no column is quasi-identifying")]
    NoQuasi,
    /// No such column, or of another role.
    #[error("'{0}' is no sensitive column of the table")]
    NotSensitive(String),
    /// A number out of its range.
    #[error("{0} is out of range")]
    Parameter(&'static str),
    /// Values without an order or a place in the given one.
    #[error("column '{0}' has a value without a place in the order or hierarchy of its distance")]
    NoOrder(String),
    /// [`Model::Presence`] with local recoding.
    #[error("presence is bounded with global recoding alone: recode globally")]
    PresenceLocally,
    /// [`Model::KMap`] or [`Model::Presence`] without a population, or one with other columns or hierarchies.
    #[error(
        "the population needs the table's quasi-identifiers, in their order and with their hierarchies"
    )]
    Population,
    /// Beyond [`Limits::lattice`].
    #[error("{nodes} choices of levels are more than {limit}: fewer columns or levels")]
    Lattice {
        /// How many there are.
        nodes: u128,
        /// How many there may be.
        limit: usize,
    },
    /// More values than a key holds.
    #[error(
        "the quasi-identifiers need {bits} bits, of {limit}: fewer columns or coarser first levels"
    )]
    Wide {
        /// Needed.
        bits: u32,
        /// There are.
        limit: u32,
    },
    /// Even with everything generalised, too many records would have to be left out.
    #[error("the models cannot be met by leaving out at most {allowed} records")]
    Unreachable {
        /// How many may be left out.
        allowed: u64,
    },
    /// [`Limits::work`] was used up before anything was found.
    #[error("nothing was found within the work allowed")]
    Work,
}
