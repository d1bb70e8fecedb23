//! How tables and keys become keys of the engine.
//!
//! All tables share one tree: `table length (1) || table || key`. One tree means one in-memory table
//! and one journal watermark, so that a table nobody writes to holds back no disk space. The
//! table of no name holds this crate's own row.

use store::{Range, Table};

/// The key of the row that numbers the last group of commits.
pub(crate) const TIP_KEY: &[u8] = &[0];

/// The engine's key for a row.
pub(crate) fn physical(table: &str, key: &[u8]) -> Vec<u8> {
    let mut physical = prefix(table);
    physical.extend_from_slice(key);
    physical
}

/// The engine's keys for a range of a table.
pub(crate) fn physical_range(table: Table, range: &Range) -> Range {
    let start = physical(table.name(), range.start());
    match range.end() {
        Some(end) => Range::between(start, physical(table.name(), end)),
        None => match table_end(table.name()) {
            Some(end) => Range::between(start, end),
            None => Range::from(start),
        },
    }
}

/// The engine's first key after a table.
pub(crate) fn table_end(table: &str) -> Option<Vec<u8>> {
    Range::prefix(prefix(table)).end().map(<[u8]>::to_vec)
}

/// The table and key of an engine's key; `None` if it is not of this layout.
pub(crate) fn logical(physical: &[u8]) -> Option<(&str, &[u8])> {
    let (&length, rest) = physical.split_first()?;
    let (table, key) = rest.split_at_checked(usize::from(length))?;
    Some((std::str::from_utf8(table).ok()?, key))
}

fn prefix(table: &str) -> Vec<u8> {
    // INVARIANT: table names are at most 32 bytes (`store::Table`, and dumps check it).
    let length = u8::try_from(table.len()).unwrap_or(u8::MAX);
    let mut prefix = Vec::with_capacity(table.len().saturating_add(64));
    prefix.push(length);
    prefix.extend_from_slice(table.as_bytes());
    prefix
}
