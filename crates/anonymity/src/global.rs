//! The one level for each column that loses least: a search of the lattice of nodes.
//!
//! Nodes are taken in the order of their loss without suppression, which bounds what they lose with it, so that
//! the search ends where the bound passes the best found. What can be known of other nodes is not computed: from
//! each node not yet known a path upwards is searched by halves for the first that leaves out few enough records
//! (Kohlmayer et al., *Flash*, 2012), and all below one that leaves out too many are passed over. That is
//! sound for the floor alone ([`Checker`]); other models are asked at each node that passes it. Classes of a node
//! are made of those of a lower one where they are at hand.

#![expect(
    clippy::cast_possible_truncation,
    reason = "tuples are bounded by MAX_ROWS, nodes by the lattice limit"
)]

use crate::{
    anonymised::Partition,
    checker::Checker,
    classes::OUT,
    config::Refusal,
    pool::Pool,
    space::{Groups, ONE, Space},
};

/// Classes kept to make others of, in all nodes.
const KEPT: usize = 4 << 20;

/// So much quicker it is to add up by a hash than by the key.
const QUICK: usize = 8;

/// What is allowed.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) suppressed: u64,
    pub(crate) average_risk: f64,
    pub(crate) work: u64,
}

impl Bounds {
    /// Whether so many classes are few enough for so many released records.
    #[expect(clippy::cast_precision_loss, reason = "rows are bounded by MAX_ROWS")]
    pub(crate) fn risk(&self, classes: u64, released: u64) -> bool {
        classes as f64 <= self.average_risk * released as f64
    }
}

/// A node and what it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) node: usize,
    pub(crate) loss: u64,
    /// Whether no other can be better.
    pub(crate) best: bool,
}

/// Classes at a node: of each, a tuple and how much it holds.
struct Classes {
    node: usize,
    any: Vec<u32>,
    rows: Vec<u32>,
    population: Vec<u32>,
}

struct Search<'a> {
    space: &'a Space,
    checker: &'a Checker,
    bounds: Bounds,
    /// What is found loses less than this.
    below: u64,
    /// By node.
    known: Vec<Known>,
    groups: Groups,
    pool: Pool<'a>,
    kept: Vec<Classes>,
    kept_size: usize,
    work: u64,
    best: Option<Choice>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    /// Leaves out too many, as all below it.
    TooMany,
    Weighed,
}

/// The classes of one node; those that miss a model are left out.
pub(crate) fn whole(space: &Space, checker: &Checker, node: usize) -> Partition {
    let mut made = Partition {
        class: vec![OUT; space.tuples()],
        shown: Vec::new(),
    };
    for members in members(space, node, space.tuples()).each() {
        let sum = |of: &[u32]| -> u64 {
            let each = members.iter().filter_map(|t| of.get(*t as usize));
            each.map(|n| u64::from(*n)).sum()
        };
        let (rows, people) = (sum(&space.rows), sum(&space.population));
        if checker.floor(rows, people) && checker.present(rows, people) && checker.holds(members) {
            let class = u32::try_from(made.shown.len()).unwrap_or(OUT);
            made.shown.push((node, members[0]));
            for tuple in members {
                made.class[*tuple as usize] = class;
            }
        }
    }
    made
}

/// The best node of those that lose less than `below`. `Err` where there is none, or where the work did not suffice to find any.
pub(crate) fn search(
    space: &Space,
    checker: &Checker,
    bounds: Bounds,
    below: u64,
) -> Result<Choice, Refusal> {
    let mut search = Search {
        space,
        checker,
        bounds,
        below,
        known: vec![Known::Nothing; space.nodes],
        groups: Groups::default(),
        pool: Pool::new(space),
        kept: Vec::new(),
        kept_size: 0,
        work: 0,
        best: None,
    };
    let mut whole = true;
    for node in space.by_base() {
        let node = node as usize;
        if search.beaten(node) {
            break;
        }
        if search.known[node] == Known::Nothing {
            search.path(node);
        }
        if search.work > bounds.work {
            whole = false;
            break;
        }
    }
    match search.best {
        Some(best) => Ok(Choice {
            best: whole,
            ..best
        }),
        None if whole => Err(Refusal::Unreachable {
            allowed: bounds.suppressed,
        }),
        None => Err(Refusal::Work),
    }
}

impl Search<'_> {
    fn beaten(&self, node: usize) -> bool {
        self.space.base(node) >= self.to_beat()
    }

    fn to_beat(&self) -> u64 {
        self.best.map_or(self.below, |best| best.loss)
    }

    /// Makes this node known, by way of those above it.
    fn path(&mut self, node: usize) {
        let mut path = vec![node];
        let mut at = node;
        loop {
            let above = (0..self.space.width).filter_map(|c| self.space.above(at, c));
            let Some(next) = above.min_by_key(|next| (self.space.base(*next), *next)) else {
                break;
            };
            if self.beaten(next) {
                break;
            }
            path.push(next);
            at = next;
        }
        let (mut from, mut to) = (0, path.len());
        // Where something better is known already, all of the path may well leave out too many.
        if self.best.is_none() && self.below < u64::MAX {
            to -= 1;
            if !self.weigh(path[to]) {
                return;
            }
        }
        while from < to {
            let middle = usize::midpoint(from, to);
            if self.weigh(path[middle]) {
                to = middle;
            } else {
                from = middle + 1;
            }
        }
    }

    /// Whether the floor leaves out few enough records here; if so, the node may become the best.
    fn weigh(&mut self, node: usize) -> bool {
        match self.known[node] {
            Known::TooMany => return false,
            Known::Weighed => return true,
            Known::Nothing => {}
        }
        let lower = self.lower(node);
        if self.surely_too_many(node, lower) {
            self.too_many(node);
            return false;
        }
        let classes = self.classes(node, lower);
        let held = classes.rows.iter().zip(&classes.population);
        let mut kept: Vec<bool> = held
            .map(|(rows, people)| self.checker.floor((*rows).into(), (*people).into()))
            .collect();
        let out = |kept: &[bool]| -> u64 {
            let left = kept.iter().zip(&classes.rows).filter(|(kept, _)| !**kept);
            left.map(|(_, rows)| u64::from(*rows)).sum()
        };
        let reached = out(&kept) <= self.bounds.suppressed;
        if reached {
            self.known[node] = Known::Weighed;
            if !self.checker.floor_only() {
                self.ask(node, &classes, &mut kept);
            }
            let suppressed = out(&kept);
            if suppressed <= self.bounds.suppressed {
                self.offer(node, &classes, &kept, suppressed);
            }
        } else {
            self.too_many(node);
        }
        self.keep(classes);
        reached
    }

    fn offer(&mut self, node: usize, classes: &Classes, kept: &[bool], suppressed: u64) {
        let at = self.space.at(node);
        let mut loss = self.space.base(node);
        let mut released = 0;
        for ((any, rows), kept) in classes.any.iter().zip(&classes.rows).zip(kept) {
            if *rows == 0 {
                continue;
            }
            if *kept {
                released += 1;
            } else {
                loss += (ONE - at.loss(*any).min(ONE)) * u64::from(*rows);
            }
        }
        let fits = self.bounds.risk(released, self.space.total - suppressed);
        if fits && loss < self.to_beat() {
            self.best = Some(Choice {
                node,
                loss,
                best: false,
            });
        }
    }

    /// Asks the models that need more than the number of records.
    fn ask(&mut self, node: usize, classes: &Classes, kept: &mut [bool]) {
        let asked = kept.iter().filter(|kept| **kept).count() as u64;
        self.work += self.space.tuples() as u64 + asked * self.checker.effort();
        let members = members(self.space, node, classes.any.len());
        let held = classes.rows.iter().zip(&classes.population);
        for ((kept, members), (rows, people)) in kept.iter_mut().zip(members.each()).zip(held) {
            *kept = *kept
                && self.checker.present((*rows).into(), (*people).into())
                && self.checker.holds(members);
        }
    }

    /// The fewest classes at hand of a lower node.
    fn lower(&self, node: usize) -> Option<usize> {
        let kept = self.kept.iter().enumerate();
        kept.filter(|(_, classes)| self.space.within(classes.node, node))
            .min_by_key(|(at, classes)| (classes.any.len(), *at))
            .map(|(at, _)| at)
    }

    /// Whether even by hashes of the keys, which may be equal where the keys are not, too many are left out.
    fn surely_too_many(&mut self, node: usize, lower: Option<usize>) -> bool {
        let looked_at = lower.map_or(usize::MAX, |at| self.kept[at].any.len());
        if looked_at < self.space.tuples() / QUICK {
            return false;
        }
        self.work += self.space.tuples() as u64;
        self.pool.alone(node, self.checker.rows.into()) > self.bounds.suppressed
    }

    /// The classes of a node, from those of a lower one if given.
    fn classes(&mut self, node: usize, lower: Option<usize>) -> Classes {
        let space = self.space;
        let lower = lower.and_then(|at| self.kept.get(at));
        let at = space.at(node);
        let mut made = Classes {
            node,
            any: Vec::new(),
            rows: Vec::new(),
            population: Vec::new(),
        };
        let looked_at = lower.map_or(space.tuples(), |lower| lower.any.len());
        self.groups.reset(looked_at);
        self.work += looked_at as u64;
        let mut add = |any: u32, rows: u32, population: u32| {
            let class = self.groups.find(at.key(any)) as usize;
            if class == made.any.len() {
                made.any.push(any);
                made.rows.push(0);
                made.population.push(0);
            }
            made.rows[class] += rows;
            made.population[class] += population;
        };
        let people = |tuple: usize| space.population.get(tuple).copied().unwrap_or(0);
        if let Some(lower) = lower {
            for ((any, rows), population) in
                lower.any.iter().zip(&lower.rows).zip(&lower.population)
            {
                add(*any, *rows, *population);
            }
        } else {
            for tuple in 0..space.tuples() {
                add(tuple as u32, space.rows[tuple], people(tuple));
            }
        }
        made
    }

    fn keep(&mut self, classes: Classes) {
        let size = classes.any.len();
        if size * 2 < self.space.tuples() && self.kept_size + size <= KEPT {
            self.kept_size += size;
            self.kept.push(classes);
        }
    }

    fn too_many(&mut self, node: usize) {
        let mut stack = vec![node];
        while let Some(node) = stack.pop() {
            if self.known[node] == Known::TooMany {
                continue;
            }
            self.known[node] = Known::TooMany;
            stack.extend((0..self.space.width).filter_map(|c| self.space.below(node, c)));
        }
    }
}

/// Tuples by class.
pub(crate) struct Members {
    from: Vec<u32>,
    tuples: Vec<u32>,
}

impl Members {
    pub(crate) fn each(&self) -> impl Iterator<Item = &[u32]> {
        self.from
            .windows(2)
            .map(|ends| &self.tuples[ends[0] as usize..ends[1] as usize])
    }
}

/// The tuples of each class of a node, classes in the order of their first tuple.
pub(crate) fn members(space: &Space, node: usize, expected: usize) -> Members {
    let mut groups = Groups::default();
    groups.reset(expected);
    let at = space.at(node);
    let class: Vec<u32> = (0..space.tuples() as u32)
        .map(|tuple| groups.find(at.key(tuple)))
        .collect();
    let mut from = vec![0_u32; groups.len() + 1];
    for class in &class {
        from[*class as usize + 1] += 1;
    }
    for at in 1..from.len() {
        from[at] += from[at - 1];
    }
    let mut next = from.clone();
    let mut tuples = vec![0; class.len()];
    for (tuple, class) in class.iter().enumerate() {
        tuples[next[*class as usize] as usize] = tuple as u32;
        next[*class as usize] += 1;
    }
    Members { from, tuples }
}
