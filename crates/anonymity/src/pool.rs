//! What a sweep has not placed yet, packed so that many nodes are looked at quickly.
//!
//! Of a tuple at a node there is a hash, equal for what becomes equal: the sum of one of its first columns and one of the
//! others. Both are kept from node to node. Sums of records by the hash bound those by the key; at most nodes that
//! shows that nothing has company enough. What is placed is packed away once it is a quarter.

#![expect(
    clippy::cast_possible_truncation,
    reason = "tuples are bounded by MAX_ROWS, hashes cut on purpose"
)]

use crate::space::Space;
use std::ops::Range;

/// Halves of hashes that are kept, in all.
const KEPT_BYTES: usize = 128 << 20;

/// So many hashes for each class that there may be, and at most [`BY_TUPLE`] for each tuple.
const BY_CLASS: u64 = 16;
const BY_TUPLE: u64 = 4;

pub(crate) struct Pool<'a> {
    space: &'a Space,
    tuples: Vec<u32>,
    /// Records; 0 where the tuple is placed.
    rows: Vec<u32>,
    /// How many tuples are placed.
    placed: usize,
    /// All records, also those that are placed.
    records: u64,
    /// By the node's number in the columns of the half; empty where it is not known.
    low: Vec<Vec<u32>>,
    high: Vec<Vec<u32>>,
    kept: usize,
    sums: Vec<u32>,
    /// Places of those that may have company enough.
    sifted: Vec<u32>,
}

impl<'a> Pool<'a> {
    pub(crate) fn new(space: &'a Space) -> Self {
        let tuples = 0..space.tuples() as u32;
        let (low, high) = space.halves();
        Self {
            space,
            tuples: tuples
                .filter(|tuple| space.rows[*tuple as usize] > 0)
                .collect(),
            rows: space.rows.iter().copied().filter(|n| *n > 0).collect(),
            placed: 0,
            records: space.total,
            low: vec![Vec::new(); low],
            high: vec![Vec::new(); high],
            kept: 0,
            sums: Vec::new(),
            sifted: Vec::new(),
        }
    }

    /// Tuples that are not placed.
    pub(crate) fn open(&self) -> impl Iterator<Item = u32> {
        let each = self.tuples.iter().zip(&self.rows);
        each.filter(|(_, rows)| **rows > 0).map(|(tuple, _)| *tuple)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.placed == self.tuples.len()
    }

    /// Those that may have company enough at a node are sifted. How many were looked at.
    pub(crate) fn sift(&mut self, node: usize, least: u64) -> u64 {
        self.pack();
        let most = BY_TUPLE * self.tuples.len() as u64;
        let slots = (BY_CLASS * self.records / least.max(1)).min(most);
        let (low, high, shift) = self.add_up(node, slots);
        let most = self.sums.iter().copied().max().unwrap_or(0);
        let (low, high) = (&self.low[low], &self.high[high]);
        self.sifted.clear();
        if u64::from(most) >= least {
            for (place, (low, high)) in (0..).zip(low.iter().zip(high)) {
                let sum = self.sums[(low.wrapping_add(*high) >> shift) as usize];
                if u64::from(sum) >= least && self.rows[place as usize] > 0 {
                    self.sifted.push(place);
                }
            }
        }
        self.tuples.len() as u64
    }

    /// How many records have less company than this at a node: so many at least.
    pub(crate) fn alone(&mut self, node: usize, least: u64) -> u64 {
        self.add_up(node, BY_TUPLE * self.tuples.len() as u64);
        let alone = self.sums.iter().map(|sum| u64::from(*sum));
        alone.filter(|sum| *sum < least).sum()
    }

    /// Sums records by about so many different hashes. Where the halves are, and by how much hashes are shifted.
    fn add_up(&mut self, node: usize, slots: u64) -> (usize, usize, u32) {
        let (low, high) = self.at(node);
        let bits = slots.max(16).next_power_of_two().ilog2();
        let bits = bits.min(u32::BITS - 1);
        let shift = u32::BITS - bits;
        self.sums.clear();
        self.sums.resize(1 << bits, 0);
        let halves = self.low[low].iter().zip(&self.high[high]);
        for ((low, high), rows) in halves.zip(&self.rows) {
            self.sums[(low.wrapping_add(*high) >> shift) as usize] += rows;
        }
        (low, high, shift)
    }

    /// What was sifted: tuples and their records.
    pub(crate) fn sifted(&self) -> impl ExactSizeIterator<Item = (u32, u32)> {
        let each = self.sifted.iter().map(|place| *place as usize);
        each.map(|place| (self.tuples[place], self.rows[place]))
    }

    /// One of [`Self::sifted`] is placed, by its number there.
    pub(crate) fn remove(&mut self, number: usize) {
        self.rows[self.sifted[number] as usize] = 0;
        self.placed += 1;
    }

    fn pack(&mut self) {
        if self.placed * 4 < self.tuples.len() || self.placed == 0 {
            return;
        }
        let rows = &self.rows;
        let stays = |of: &mut Vec<u32>| {
            let mut held = rows.iter();
            of.retain(|_| held.next().is_some_and(|rows| *rows > 0));
        };
        stays(&mut self.tuples);
        for half in self.low.iter_mut().chain(&mut self.high) {
            stays(half);
        }
        self.rows.retain(|rows| *rows > 0);
        self.records = self.rows.iter().copied().map(u64::from).sum();
        self.placed = 0;
    }

    /// Where both halves at a node are.
    fn at(&mut self, node: usize) -> (usize, usize) {
        let (low, high) = (node % self.low.len(), node / self.low.len());
        let each = size_of::<u32>() * self.tuples.len().max(1);
        if (self.kept + 2) * each > KEPT_BYTES {
            self.low.fill(Vec::new());
            self.high.fill(Vec::new());
            self.kept = 0;
        }
        let (middle, width) = (self.space.middle, self.space.width);
        if self.low[low].is_empty() {
            self.low[low] = self.half(node, 0..middle);
            self.kept += 1;
        }
        if self.high[high].is_empty() {
            self.high[high] = self.half(node, middle..width);
            self.kept += 1;
        }
        (low, high)
    }

    fn half(&self, node: usize, columns: Range<usize>) -> Vec<u32> {
        let mut half = vec![0_u32; self.tuples.len()];
        for column in columns {
            let hashes = self.space.hashes(node, column);
            for (half, tuple) in half.iter_mut().zip(&self.tuples) {
                let leaf = self.space.tuple(*tuple)[column];
                *half = half.wrapping_add(hashes[leaf as usize]);
            }
        }
        half
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hierarchy, Limits, Table};
    use std::collections::HashMap;

    /// Three columns of a few levels; values follow no order.
    fn table(rows: u32) -> Table {
        let nested = |leaves: u32, width: u32| {
            let each = (0..leaves).map(|leaf| format!("{leaf};{}g;*\n", leaf / width));
            Hierarchy::parse(&each.collect::<String>()).expect("nested")
        };
        let mut builder = Table::builder()
            .quasi("a", nested(40, 4))
            .quasi("b", nested(9, 3))
            .quasi("c", nested(30, 7));
        for row in 0..rows {
            let mixed = row.wrapping_mul(0x9e37_79b9) >> 7;
            let each = [mixed % 40, mixed / 64 % 9, mixed / 1024 % (1 + mixed % 30)];
            builder
                .push(&each.map(|value| value.to_string()))
                .expect("a row");
        }
        builder.build().expect("a table")
    }

    /// At every node nothing is missed, whatever was placed before, and the bound on those alone is one.
    #[test]
    fn what_has_company_enough_is_sifted() {
        let space = Space::new(&table(900), None, &Limits::default()).expect("a space");
        for least in [1, 2, 5, 30, 200] {
            let mut pool = Pool::new(&space);
            let mut placed = vec![false; space.tuples()];
            let (mut sifted_all, mut packed) = (0, 0);
            for node in space.by_base() {
                let (node, at) = (node as usize, space.at(node as usize));
                let open = || (0..space.tuples() as u32).filter(|t| !placed[*t as usize]);
                assert!(pool.open().eq(open()));
                let mut groups = HashMap::<_, u64>::new();
                for tuple in open() {
                    *groups.entry(at.key(tuple)).or_default() +=
                        u64::from(space.rows[tuple as usize]);
                }
                let alone: u64 = groups.values().filter(|rows| **rows < least).sum();
                assert!(pool.alone(node, least) <= alone);
                packed += pool.sift(node, least);
                let sifted: Vec<u32> = pool.sifted().map(|(tuple, _)| tuple).collect();
                let full: Vec<u32> = open().filter(|t| groups[&at.key(*t)] >= least).collect();
                assert!(full.iter().all(|tuple| sifted.contains(tuple)));
                sifted_all += sifted.len();
                // Some of those that could be placed are.
                for (number, tuple) in sifted.iter().enumerate() {
                    if full.contains(tuple) && tuple % 3 != 0 {
                        placed[*tuple as usize] = true;
                        pool.remove(number);
                    }
                }
            }
            let looked_at = (space.nodes * space.tuples()) as u64;
            assert!(packed < looked_at, "nothing was packed away");
            assert!(sifted_all as u64 <= packed);
        }
    }
}
