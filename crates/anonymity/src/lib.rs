//! Tabular statistical disclosure control.
//!
//! - In: a [`Table`] whose columns have roles, and a [`Config`]: what must hold of every class ([`Model`]), how
//!   values are generalised ([`Recoding`]), what may be left out. Out: an [`Anonymised`] table with its classes,
//!   granularity and [`Risk`], or a [`Refusal`].
//! - The same input gives the same output. Neither clock nor chance is asked; a search is bounded by [`Limits`].
//! - Memory: 4 bytes a cell; of each different combination of quasi-identifiers 4 bytes a column and some 40 more,
//!   and 128 MiB of hashes at most.
//! - Models, risks and granularity are defined where they are computed: [`Model`], [`mod@risk`],
//!   [`Anonymised::granularity`].
//!
//! It does not say that data is anonymous: a model bounds what is defined there and nothing else, and what has been
//! released before, or is known of those in a class, is not looked at. It reads no files and adds no noise.

pub mod adult;
mod anonymised;
mod checker;
pub mod classes;
mod config;
pub mod delimited;
mod fewer;
mod global;
pub mod hierarchy;
mod local;
mod pool;
mod reading;
mod refine;
pub mod risk;
mod space;
pub mod spread;
mod table;

pub use anonymised::Anonymised;
pub use classes::{Classes, Diversity};
pub use config::{Config, Distance, Limits, Model, Recoding, Refusal};
pub use hierarchy::{Hierarchy, HierarchyError};
pub use reading::{ReadingError, granularity_of};
pub use risk::{Attack, Background, Risk};
pub use table::{Builder, Column, MAX_ROWS, Role, Table, TableError};

use checker::Checker;
use global::Bounds;
use space::Space;

/// Generalises a table until the models hold, losing as little as the recoding allows.
pub fn anonymise<'t>(table: &'t Table, config: &Config<'_>) -> Result<Anonymised<'t>, Refusal> {
    let mut checker = Checker::new(table, config)?;
    let bounds = bounds(table, config)?;
    let space = Space::new(table, config.population, &config.limits)?;
    let needed = u64::from(checker.rows);
    if space.total < needed {
        let rows = table.rows();
        return Err(Refusal::TooFew { rows, needed });
    }
    checker.attach(table, config, &space);
    let (made, proven) = match config.recoding {
        Recoding::Global => {
            let choice = global::search(&space, &checker, bounds, u64::MAX)?;
            (global::whole(&space, &checker, choice.node), choice.best)
        }
        Recoding::Local => (local::recode(&space, &checker, bounds)?, false),
    };
    Ok(Anonymised::new(table, &space, &made, proven))
}

fn bounds(table: &Table, config: &Config<'_>) -> Result<Bounds, Refusal> {
    let average_risk = config.average_risk.unwrap_or(1.0);
    for (value, name) in [
        (config.suppression, "suppression"),
        (average_risk, "average_risk"),
    ] {
        if !(0.0..=1.0).contains(&value) {
            return Err(Refusal::Parameter(name));
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of the rows, which are bounded by MAX_ROWS"
    )]
    let suppressed = (config.suppression * table.rows() as f64).floor() as u64;
    Ok(Bounds {
        suppressed,
        average_risk,
        work: config.limits.work,
    })
}
