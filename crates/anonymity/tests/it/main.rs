//! Disclosure control against papers, an independent checker and the Adult data.

#![expect(clippy::expect_used, reason = "tests")]

mod adult;
mod generated;
mod naive;
mod papers;
mod properties;
mod refusals;
mod risks;

use anonymity::{Hierarchy, Table};

/// Rows of a table written as one string: fields by spaces, rows by `/`.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.split('/')
        .map(|row| row.split_whitespace().collect())
        .collect()
}

/// One quasi-identifier without a hierarchy and one sensitive column.
fn two_columns(text: &str) -> Table {
    let mut builder = Table::builder().quasi_plain("class").sensitive("value");
    for row in rows(text) {
        builder.push(&row).expect("a row");
    }
    builder.build().expect("a table")
}

/// Leaves `v0`, `v1`, ... in groups of each width.
fn grouped(leaves: usize, widths: &[usize]) -> Hierarchy {
    let rows: Vec<Vec<String>> = (0..leaves)
        .map(|leaf| {
            let mut row = vec![format!("v{leaf}")];
            let of = |width: &usize| format!("{width}x{}", leaf / width);
            row.extend(widths.iter().map(of));
            row
        })
        .collect();
    Hierarchy::from_rows(&rows).expect("nested widths")
}
