//! A table that somebody else generalised, weighed by the same measure.

use crate::{
    anonymised::granularity,
    delimited,
    space::{ONE, cell_loss, whole_loss},
    table::{Table, TableError},
};

/// Why a text is not weighed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadingError {
    /// The text is malformed or lacks a column.
    #[error(transparent)]
    Text(#[from] TableError),
    /// A cell that no level of the hierarchy has.
    #[error("line {line}, column '{column}': the hierarchy has no such value at any level")]
    Unknown {
        /// From 1.
        line: usize,
        /// The column's name.
        column: String,
    },
    /// More rows than there were.
    #[error("more rows than the original's {0}")]
    Rows(usize),
}

/// The granularity of a text whose first line names its columns, made of `original`: cells hold texts of the
/// hierarchies, `*` everything; rows that are missing are lost.
pub fn granularity_of(
    original: &Table,
    released: &str,
    separator: char,
) -> Result<f64, ReadingError> {
    let malformed = |line| move |problem| ReadingError::Text(TableError::Line { line, problem });
    let mut lines = delimited::lines(released);
    let (number, first) = lines.next().unwrap_or((1, ""));
    let names = delimited::fields(first, separator).map_err(malformed(number))?;
    let mut places = Vec::new();
    for (column, hierarchy) in original.quasi() {
        let place = names.iter().position(|name| name == column.name());
        let place = place.ok_or_else(|| TableError::NoColumn(column.name().to_owned()))?;
        places.push((place, column.name(), hierarchy));
    }
    let whole = whole_loss(places.iter().map(|(_, _, h)| h.as_ref()));
    let (mut loss, mut rows) = (0.0, 0);
    for (line, text) in lines {
        let fields = delimited::fields(text, separator).map_err(malformed(line))?;
        rows += 1;
        for (place, column, hierarchy) in &places {
            let cell = fields.get(*place).and_then(|cell| hierarchy.find(cell));
            let (level, leaf) = cell.ok_or_else(|| ReadingError::Unknown {
                line,
                column: (*column).to_owned(),
            })?;
            loss += cell_loss(hierarchy, level, leaf) / whole;
        }
    }
    let missing = original.rows().checked_sub(rows);
    let missing = missing.ok_or(ReadingError::Rows(original.rows()))?;
    loss += real(missing);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "at most ONE a row"
    )]
    let loss = (loss * ONE as f64).round() as u64;
    Ok(granularity(loss, original.rows() as u64))
}

fn real(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::MAX, f64::from)
}
