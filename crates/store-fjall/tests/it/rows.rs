//! Rows whose value follows from their key, so that a reader can tell a wrong value.

use futures::executor::block_on;
use store::{Order, Range, Store, Table};
use store_fjall::{Config, FjallStore};

/// Flushes and compacts often, so that little data exercises every kind of file.
pub(crate) fn small() -> Config {
    Config {
        memtable_bytes: 64 << 10,
        cache_bytes: 1 << 20,
        ..Config::default()
    }
}

/// `length` bytes that depend on every argument.
pub(crate) fn value(table: Table, key: &[u8], length: usize) -> Vec<u8> {
    let seed = table.name().bytes().chain(key.iter().copied());
    let mut state = seed.fold(length as u64, |state, byte| {
        (state ^ u64::from(byte))
            .wrapping_mul(0x0100_0000_01b3)
            .rotate_left(9)
    });
    let step = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(step).take(length).collect()
}

/// A table's rows.
pub(crate) type Rows = Vec<(Vec<u8>, Vec<u8>)>;

pub(crate) fn all(store: &FjallStore, table: Table) -> Result<Rows, store::Error> {
    let rows = block_on(store.range(table, Range::all(), usize::MAX, Order::Ascending))?;
    Ok(rows
        .into_iter()
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect())
}
