//! The different combinations of quasi-identifiers (*tuples*), and all ways to generalise them by level (*nodes*).
//!
//! A node is a level for each column, numbered in mixed radix, so that no list of them is needed. Of a tuple and a
//! node there is a key, equal for what becomes equal, and a loss: the integer share, of [`ONE`] for a record whose
//! every cell says nothing, so that sums are exact in any order.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rows are bounded by MAX_ROWS, losses by ONE"
)]

use crate::{
    config::{Limits, Refusal},
    hierarchy::Hierarchy,
    table::Table,
};
use std::sync::Arc;

/// The loss of one record of which nothing is left.
pub(crate) const ONE: u64 = 1 << 32;

/// Equal for records that a node makes equal: the first columns in the low half, the others in the high one.
pub(crate) type Key = u128;

/// Bits of each half of a key.
const HALF: u32 = 64;

pub(crate) struct Space {
    /// Columns.
    pub(crate) width: usize,
    /// Tuple after tuple, `width` leaves each.
    leaves: Vec<u32>,
    /// Of each tuple, how many records; 0 where only the population has it.
    pub(crate) rows: Vec<u32>,
    /// Of each tuple, how many of the population; empty without one.
    pub(crate) population: Vec<u32>,
    /// Of each record, its tuple.
    pub(crate) tuple_of_row: Vec<u32>,
    /// All records.
    pub(crate) total: u64,
    columns: Vec<Steps>,
    /// The number of a node is the sum of its levels times these.
    strides: Vec<usize>,
    /// Nodes.
    pub(crate) nodes: usize,
    /// The columns of the low half of a key come before this one.
    pub(crate) middle: usize,
}

/// One column's levels.
struct Steps {
    /// By level, then leaf.
    keys: Vec<Vec<Key>>,
    losses: Vec<Vec<u64>>,
    /// By level: the loss of all records.
    sums: Vec<u64>,
}

impl Space {
    pub(crate) fn new(
        table: &Table,
        population: Option<&Table>,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        let hierarchies: Vec<_> = table.quasi().map(|(_, h)| Arc::clone(h)).collect();
        if hierarchies.is_empty() {
            return Err(Refusal::NoQuasi);
        }
        if let Some(population) = population {
            let same = population.quasi().count() == hierarchies.len()
                && population
                    .quasi()
                    .zip(table.quasi())
                    .all(|((a, ha), (b, hb))| {
                        a.name() == b.name() && (Arc::ptr_eq(ha, hb) || ha == hb)
                    });
            if !same {
                return Err(Refusal::Population);
            }
        }
        let mut strides = Vec::with_capacity(hierarchies.len());
        let mut nodes = 1_u128;
        for hierarchy in &hierarchies {
            strides.push(usize::try_from(nodes).unwrap_or(usize::MAX));
            nodes = nodes.saturating_mul(hierarchy.levels() as u128);
        }
        if nodes > limits.lattice as u128 {
            let limit = limits.lattice;
            return Err(Refusal::Lattice { nodes, limit });
        }
        let mut space = Self {
            width: hierarchies.len(),
            leaves: Vec::new(),
            rows: Vec::new(),
            population: Vec::new(),
            tuple_of_row: Vec::new(),
            total: table.rows() as u64,
            columns: Vec::new(),
            strides,
            nodes: nodes as usize,
            middle: middle(&hierarchies)?,
        };
        space.columns = steps(&hierarchies, space.middle);
        space.gather(table, population);
        space.sum();
        Ok(space)
    }

    /// How many different tuples.
    pub(crate) fn tuples(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn levels(&self, column: usize) -> usize {
        self.columns[column].keys.len()
    }

    /// The level of a column in a node.
    pub(crate) fn level(&self, node: usize, column: usize) -> usize {
        node / self.strides[column] % self.levels(column)
    }

    /// All levels of a node.
    pub(crate) fn levels_of(&self, node: usize) -> Vec<u8> {
        (0..self.width).map(|c| self.level(node, c) as u8).collect()
    }

    /// The node one level up in a column.
    pub(crate) fn above(&self, node: usize, column: usize) -> Option<usize> {
        (self.level(node, column) + 1 < self.levels(column)).then(|| node + self.strides[column])
    }

    /// The node one level down in a column.
    pub(crate) fn below(&self, node: usize, column: usize) -> Option<usize> {
        (self.level(node, column) > 0).then(|| node - self.strides[column])
    }

    /// Whether a node generalises no column further than another.
    pub(crate) fn within(&self, node: usize, upper: usize) -> bool {
        (0..self.width).all(|c| self.level(node, c) <= self.level(upper, c))
    }

    /// The loss of a node if no record is left out.
    pub(crate) fn base(&self, node: usize) -> u64 {
        let columns = self.columns.iter().enumerate();
        columns.map(|(c, s)| s.sums[self.level(node, c)]).sum()
    }

    /// All nodes by their loss without suppression; equal ones by number.
    pub(crate) fn by_base(&self) -> Vec<u32> {
        let base: Vec<u64> = (0..self.nodes).map(|node| self.base(node)).collect();
        let mut order: Vec<u32> = (0..self.nodes as u32).collect();
        order.sort_by_key(|node| (base[*node as usize], *node));
        order
    }

    /// What computes keys and losses at a node.
    pub(crate) fn at(&self, node: usize) -> At<'_> {
        let columns = self.columns.iter().enumerate();
        let of = columns.map(|(c, s)| {
            let level = self.level(node, c);
            (s.keys[level].as_slice(), s.losses[level].as_slice())
        });
        let (keys, losses) = of.unzip();
        At {
            space: self,
            keys,
            losses,
        }
    }

    /// The leaves of a tuple.
    pub(crate) fn tuple(&self, tuple: u32) -> &[u32] {
        let from = tuple as usize * self.width;
        &self.leaves[from..from + self.width]
    }

    /// The lowest node at or above two at which a tuple of the one and a tuple of the other are equal.
    pub(crate) fn upper(&self, one: (usize, u32), other: (usize, u32)) -> usize {
        let (a, b) = (self.tuple(one.1), self.tuple(other.1));
        self.node((0..self.width).map(|c| {
            let keys = &self.columns[c].keys;
            let from = self.level(one.0, c).max(self.level(other.0, c));
            (from..keys.len())
                .find(|level| keys[*level][a[c] as usize] == keys[*level][b[c] as usize])
                .unwrap_or(keys.len() - 1)
        }))
    }

    /// The loss of a record at the node that [`Self::upper`] gives, but that of another one where it is `limit` or more.
    pub(crate) fn meeting(&self, one: (&[u8], u32), other: (&[u8], u32), limit: u64) -> u64 {
        let (a, b) = (self.tuple(one.1), self.tuple(other.1));
        let mut loss = 0;
        for (c, steps) in self.columns.iter().enumerate() {
            let (a, b) = (a[c] as usize, b[c] as usize);
            let mut level = one.0[c].max(other.0[c]) as usize;
            if a != b {
                let last = steps.keys.len() - 1;
                while level < last && steps.keys[level][a] != steps.keys[level][b] {
                    level += 1;
                }
            }
            loss += steps.losses[level][a];
            if loss >= limit {
                break;
            }
        }
        loss
    }

    /// The node with these levels.
    fn node(&self, levels: impl Iterator<Item = usize>) -> usize {
        levels.zip(&self.strides).map(|(l, s)| l * s).sum()
    }

    /// The lowest node at which a tuple covers the same leaves as at this one.
    pub(crate) fn lowest(&self, node: usize, tuple: u32) -> usize {
        let leaves = self.tuple(tuple);
        self.node((0..self.width).map(|c| {
            let losses = &self.columns[c].losses;
            let of = |level: usize| losses[level][leaves[c] as usize];
            let level = self.level(node, c);
            (0..level)
                .find(|lower| of(*lower) == of(level))
                .unwrap_or(level)
        }))
    }

    /// How many nodes the columns of either half have.
    pub(crate) fn halves(&self) -> (usize, usize) {
        let low = self.strides.get(self.middle).copied();
        let low = low.unwrap_or(self.nodes);
        (low, self.nodes / low)
    }

    /// By leaf, a hash of what a column shows at a node.
    pub(crate) fn hashes(&self, node: usize, column: usize) -> Vec<u32> {
        let keys = self.columns[column].keys[self.level(node, column)].iter();
        keys.map(|key| {
            // The shift of the column is in the key.
            let mut mixed = (*key as u64) ^ ((*key >> HALF) as u64).rotate_left(32);
            mixed = mixed
                .wrapping_add(column as u64)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed >> 32) as u32
        })
        .collect()
    }

    fn gather(&mut self, table: &Table, population: Option<&Table>) {
        let mut groups = Groups::default();
        let bottom: Vec<Vec<Key>> = self.columns.iter().map(|s| s.keys[0].clone()).collect();
        let mut take = |space: &mut Self, table: &Table, own: bool| {
            let columns: Vec<&[u32]> = table.quasi().map(|(c, _)| c.codes()).collect();
            for row in 0..table.rows() {
                let key = columns
                    .iter()
                    .zip(&bottom)
                    .fold(0, |key, (codes, keys)| key | keys[codes[row] as usize]);
                let tuple = groups.find(key);
                if tuple as usize == space.rows.len() {
                    space.leaves.extend(columns.iter().map(|codes| codes[row]));
                    space.rows.push(0);
                    space.population.push(0);
                }
                if own {
                    space.rows[tuple as usize] += 1;
                    space.tuple_of_row.push(tuple);
                } else {
                    space.population[tuple as usize] += 1;
                }
            }
        };
        take(self, table, true);
        match population {
            Some(population) => take(self, population, false),
            None => self.population = Vec::new(),
        }
    }

    fn sum(&mut self) {
        for c in 0..self.width {
            let losses = std::mem::take(&mut self.columns[c].losses);
            let sums = losses.iter().map(|of_leaf| {
                let tuples = self.leaves.iter().skip(c).step_by(self.width);
                let of = tuples.zip(&self.rows);
                of.map(|(leaf, rows)| of_leaf[*leaf as usize] * u64::from(*rows))
                    .sum()
            });
            self.columns[c].sums = sums.collect();
            self.columns[c].losses = losses;
        }
    }
}

/// Of a record of which nothing is left, how many cells are lost, each the less the fewer values its column has.
pub(crate) fn whole_loss<'a>(hierarchies: impl Iterator<Item = &'a Hierarchy>) -> f64 {
    let of = |h: &Hierarchy| 1.0 - 1.0 / h.leaves() as f64;
    let whole: f64 = hierarchies.map(of).sum();
    if whole > 0.0 { whole } else { 1.0 }
}

/// What a cell loses of [`whole_loss`]: the leaves that it covers beside its own, as a share of all.
pub(crate) fn cell_loss(hierarchy: &Hierarchy, level: usize, leaf: u32) -> f64 {
    f64::from(hierarchy.covered(level, leaf) - 1) / hierarchy.leaves() as f64
}

/// Where the high half of a key begins: so that both have about as many nodes, and their codes fit.
fn middle(hierarchies: &[Arc<Hierarchy>]) -> Result<usize, Refusal> {
    let nodes = |of: &[Arc<Hierarchy>]| of.iter().map(|h| h.levels() as f64).product::<f64>();
    let bits = |of: &[Arc<Hierarchy>]| of.iter().map(|h| bits(h)).sum::<u32>();
    let fit = (0..=hierarchies.len()).filter(|middle| {
        let (low, high) = hierarchies.split_at(*middle);
        bits(low) <= HALF && bits(high) <= HALF
    });
    let most = |middle: &usize| {
        let (low, high) = hierarchies.split_at(*middle);
        f64::max(nodes(low), nodes(high))
    };
    fit.min_by(|a, b| most(a).total_cmp(&most(b)))
        .ok_or_else(|| Refusal::Wide {
            bits: bits(hierarchies),
            limit: Key::BITS,
        })
}

/// Of a code of any level.
fn bits(hierarchy: &Hierarchy) -> u32 {
    usize::BITS - (hierarchy.leaves() - 1).leading_zeros()
}

fn steps(hierarchies: &[Arc<Hierarchy>], middle: usize) -> Vec<Steps> {
    let whole = whole_loss(hierarchies.iter().map(AsRef::as_ref));
    let mut shift = 0;
    let mut columns = Vec::with_capacity(hierarchies.len());
    for (at, hierarchy) in hierarchies.iter().enumerate() {
        if at == middle {
            shift = HALF;
        }
        let leaves = || 0..hierarchy.leaves() as u32;
        let key = |level, leaf| {
            let code = Key::from(hierarchy.code(level, leaf));
            // A column of one value, whose shift may be that of a whole key, has code 0.
            code.checked_shl(shift).unwrap_or(0)
        };
        let loss =
            |level, leaf| (ONE as f64 * cell_loss(hierarchy, level, leaf) / whole).round() as u64;
        let levels = 0..hierarchy.levels();
        columns.push(Steps {
            keys: levels
                .clone()
                .map(|level| leaves().map(|leaf| key(level, leaf)).collect())
                .collect(),
            losses: levels
                .map(|level| leaves().map(|leaf| loss(level, leaf)).collect())
                .collect(),
            sums: Vec::new(),
        });
        shift += bits(hierarchy);
    }
    columns
}

/// Keys and losses of tuples at one node.
pub(crate) struct At<'a> {
    space: &'a Space,
    keys: Vec<&'a [Key]>,
    losses: Vec<&'a [u64]>,
}

impl At<'_> {
    pub(crate) fn key(&self, tuple: u32) -> Key {
        let leaves = self.space.tuple(tuple).iter();
        leaves
            .zip(&self.keys)
            .fold(0, |key, (leaf, of)| key | of[*leaf as usize])
    }

    /// Of one record.
    pub(crate) fn loss(&self, tuple: u32) -> u64 {
        let leaves = self.space.tuple(tuple).iter();
        leaves
            .zip(&self.losses)
            .map(|(leaf, of)| of[*leaf as usize])
            .sum()
    }
}

/// Numbers for keys in the order in which they are first met.
#[derive(Default)]
pub(crate) struct Groups {
    /// The number and one; 0: free.
    slots: Vec<u32>,
    keys: Vec<Key>,
}

impl Groups {
    /// Forgets all; room for so many.
    pub(crate) fn reset(&mut self, expected: usize) {
        self.keys.clear();
        let size = (expected * 2).next_power_of_two().max(16);
        self.slots.clear();
        self.slots.resize(size, 0);
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The number of a key, a new one if it was not met.
    pub(crate) fn find(&mut self, key: Key) -> u32 {
        if self.keys.len() * 2 >= self.slots.len() {
            self.grow();
        }
        match self.probe(key) {
            (_, Some(number)) => number,
            (slot, None) => {
                self.keys.push(key);
                self.slots[slot] = self.keys.len() as u32;
                self.keys.len() as u32 - 1
            }
        }
    }

    /// The number of a key that was met.
    pub(crate) fn known(&self, key: Key) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        self.probe(key).1
    }

    fn probe(&self, key: Key) -> (usize, Option<u32>) {
        let mask = self.slots.len() - 1;
        let mixed = ((key >> 64) as u64 ^ 0x9e37_79b9_7f4a_7c15)
            .wrapping_mul(0xff51_afd7_ed55_8ccd)
            .wrapping_add(key as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut slot = (mixed ^ (mixed >> 32)) as usize & mask;
        loop {
            match self.slots[slot] {
                0 => return (slot, None),
                taken if self.keys[taken as usize - 1] == key => return (slot, Some(taken - 1)),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(1024);
        self.slots.clear();
        self.slots.resize(size, 0);
        for at in 0..self.keys.len() {
            let (slot, _) = self.probe(self.keys[at]);
            self.slots[slot] = at as u32 + 1;
        }
    }
}
