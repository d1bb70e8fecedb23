//! Local recoding: each class for itself.
//!
//! One sweep over the nodes of the lattice, those that lose least first. At each, the records not yet placed that
//! become equal there are a class if they meet the models. What remains at the end joins the class where that costs
//! least, or is left out. So each record is generalised about as little as any large enough set of records around
//! it allows, where iterated global recoding takes one node after another for all of them.
//!
//! Under models that a class may meet and a larger one not, what the sweep made and what the global search made are
//! divided further ([`refine`]).
//!
//! Where the average risk is bounded, sweeps for larger classes are made, one to three, whose size is guessed; of too many
//! classes some are joined ([`fewer`]). The best is compared with the global result; the better is taken. Of a larger
//! lattice than the work allows, nodes are passed over evenly.

#![expect(
    clippy::cast_possible_truncation,
    reason = "tuples and classes are bounded by MAX_ROWS"
)]

use crate::{
    anonymised::Partition,
    checker::Checker,
    classes::OUT,
    config::Refusal,
    fewer::fewer,
    global::{self, Bounds, whole},
    pool::Pool,
    refine::refine,
    space::{Groups, Key, ONE, Space},
};
use std::{cmp::Reverse, collections::HashMap};

/// The share of the work that one sweep may take: as many sweeps may follow each other.
const SWEEPS: u64 = 16;

/// So near to the average risk allowed no better size of classes is sought.
const ENOUGH: f64 = 0.97;

/// The first guess, as a share of the size that surely keeps to the average risk: so that classes are too many by some,
/// which are joined. Where there are many pairs to choose from that loses less than a sweep for larger classes.
const FILLED: f64 = 0.7;

/// The number of classes aimed at, as a multiple of what is allowed: a few more, which are joined.
const OVER: f64 = 1.05;

/// From so many classes on there are pairs enough to choose from: what was joined is not swept again.
const MANY: f64 = 128.0;

/// The better of sweeps and the global result.
pub(crate) fn recode(
    space: &Space,
    checker: &Checker,
    bounds: Bounds,
) -> Result<Partition, Refusal> {
    let order = space.by_base();
    let swept = sought(space, checker, bounds, &mut |least| {
        Sweep::new(space, checker, least).run(&order, bounds)
    });
    let global = |below| {
        let choice = global::search(space, checker, bounds, below)?;
        Ok(whole(space, checker, choice.node))
    };
    let Some(swept) = swept else {
        return Ok(refined(space, checker, bounds, global(u64::MAX)?));
    };
    if !divides(checker) {
        // Only what loses less matters, and little can.
        return Ok(global(swept.loss(space)).unwrap_or(swept));
    }
    let swept = refined(space, checker, bounds, swept);
    let Ok(global) = global(u64::MAX) else {
        return Ok(swept);
    };
    let again = refined(space, checker, bounds, global.clone());
    let all = [global, again, swept];
    let best = all.into_iter().min_by_key(|made| made.loss(space));
    best.ok_or(Refusal::Work)
}

/// Whether results are divided further. A population counts for what a class shows: one that shows less may match too
/// few.
fn divides(checker: &Checker) -> bool {
    !checker.grows() && checker.population == 0
}

fn refined(space: &Space, checker: &Checker, bounds: Bounds, made: Partition) -> Partition {
    if !divides(checker) {
        return made;
    }
    distinct(space, refine(space, checker, bounds, &made))
}

/// The result of the smallest classes that keep to the average risk. No class is smaller than asked, so that so many
/// records allow so many classes at most; there are somewhat fewer, and what is too many is joined. From what a size
/// made another is guessed, for the number of classes falls about as a power of their least size.
fn sought(
    space: &Space,
    checker: &Checker,
    bounds: Bounds,
    swept: &mut impl FnMut(u64) -> Option<Partition>,
) -> Option<Partition> {
    let first = u64::from(checker.rows).max(1);
    let allowed = (bounds.average_risk * real(space.total)).max(1.0);
    let sure = sure(space, bounds).max(first);
    let (mut low, mut high) = (first - 1, sure + 1);
    let mut least = whole_number(real(sure) * FILLED).clamp(first, sure);
    let (mut best, mut before): (Option<Partition>, Option<(u64, usize)>) = (None, None);
    let mut joined = false;
    for _ in 0..SWEEPS {
        let Some(made) = swept(least) else {
            low = least;
            if low + 1 >= high {
                break;
            }
            least = u64::midpoint(low, high);
            continue;
        };
        let classes = made.shown.len();
        let few = fits(space, &made, bounds);
        let near = real(classes as u64) / allowed;
        let fitting = if few {
            high = least;
            Some(made)
        } else {
            low = least;
            fewer(space, made, bounds).map(|made| distinct(space, made))
        };
        let last = joined || allowed >= MANY;
        let enough = near >= ENOUGH && (few || last || near <= OVER);
        let done = fitting.is_some() && (joined || enough);
        joined |= !few && fitting.is_some();
        let both = best.into_iter().chain(fitting);
        best = both.min_by_key(|made| made.loss(space));
        if done || low + 1 >= high {
            break;
        }
        // Of few classes many were joined: a size of which few or none need to be may lose less.
        let mut guess = if joined { near } else { near / OVER };
        if let Some((other, had)) = before {
            let slope =
                (real(had as u64) / real(classes as u64)).ln() / (real(least) / real(other)).ln();
            // Where the size hardly matters, steps are as large as any.
            guess = if slope > 0.1 {
                guess.powf(1.0 / slope)
            } else {
                (if guess < 1.0 { 0.25 } else { 4.0 }) * guess
            };
        }
        before = Some((least, classes));
        least = whole_number(real(least) * guess).clamp(low + 1, high - 1);
    }
    best
}

/// Classes of this size keep to the average risk, whatever they are.
fn sure(space: &Space, bounds: Bounds) -> u64 {
    whole_number((1.0 / bounds.average_risk).min(real(space.total)))
}

#[expect(clippy::cast_sign_loss, reason = "a size of classes")]
fn whole_number(number: f64) -> u64 {
    number.ceil() as u64
}

#[expect(clippy::cast_precision_loss, reason = "bounded by MAX_ROWS")]
fn real(number: u64) -> f64 {
    number as f64
}

fn fits(space: &Space, made: &Partition, bounds: Bounds) -> bool {
    let left: u64 = made
        .class
        .iter()
        .zip(&space.rows)
        .filter(|(class, _)| **class == OUT)
        .map(|(_, rows)| u64::from(*rows))
        .sum();
    left <= bounds.suppressed && bounds.risk(made.shown.len() as u64, space.total - left)
}

struct Sweep<'a> {
    space: &'a Space,
    checker: &'a Checker,
    /// Records of a class.
    least: u64,
    made: Partition,
    pool: Pool<'a>,
    groups: Groups,
}

impl<'a> Sweep<'a> {
    fn new(space: &'a Space, checker: &'a Checker, least: u64) -> Self {
        Self {
            space,
            checker,
            least: least.max(checker.rows.into()),
            made: Partition {
                class: vec![OUT; space.tuples()],
                shown: Vec::new(),
            },
            pool: Pool::new(space),
            groups: Groups::default(),
        }
    }

    /// `None` where the models cannot be met within what may be left out.
    fn run(mut self, order: &[u32], bounds: Bounds) -> Option<Partition> {
        let mut work = bounds.work / SWEEPS;
        let mut at = 0;
        while at < order.len() && !self.pool.is_empty() {
            let node = order[at] as usize;
            let each = self.take(node);
            work = work.saturating_sub(each);
            let left = (order.len() - at) as u64;
            let stride = (left * each).div_ceil(work.max(each * 8).max(1)).max(1);
            // The last node, which makes all equal, is never passed over.
            let next = at + usize::try_from(stride).unwrap_or(usize::MAX);
            at = if at + 1 < order.len() {
                next.min(order.len() - 1)
            } else {
                order.len()
            };
        }
        let space = self.space;
        Some(distinct(space, self.rest(bounds)?))
    }

    /// Makes classes of what becomes equal at a node. How much was looked at.
    fn take(&mut self, node: usize) -> u64 {
        let mut looked = self.pool.sift(node, self.least);
        let sifted = self.pool.sifted();
        if sifted.len() == 0 {
            return looked;
        }
        looked += sifted.len() as u64;
        let at = self.space.at(node);
        self.groups.reset(sifted.len());
        let mut rows: Vec<u64> = Vec::new();
        let mut group = Vec::with_capacity(sifted.len());
        for (tuple, held) in sifted {
            let found = self.groups.find(at.key(tuple));
            if found as usize == rows.len() {
                rows.push(0);
            }
            rows[found as usize] += u64::from(held);
            group.push(found);
        }
        if rows.iter().all(|rows| *rows < self.least) {
            return looked;
        }
        let mut people = vec![0_u64; rows.len()];
        for (tuple, found) in self.space.population.iter().enumerate() {
            if *found > 0
                && let Some(group) = self.groups.known(at.key(tuple as u32))
            {
                people[group as usize] += u64::from(*found);
            }
        }
        looked += self.space.population.len() as u64;
        let mut good: Vec<bool> = rows
            .iter()
            .zip(&people)
            .map(|(rows, people)| *rows >= self.least && self.checker.floor(*rows, *people))
            .collect();
        if !self.checker.floor_only() {
            let asked = good.iter().filter(|good| **good).count() as u64;
            looked += asked * self.checker.effort();
            self.ask(&group, &mut good);
        }
        self.place(node, &group, &good);
        looked
    }

    /// Good groups of what was sifted are classes, and no longer open.
    fn place(&mut self, node: usize, group: &[u32], good: &[bool]) {
        let mut class = vec![OUT; good.len()];
        let tuples: Vec<u32> = self.pool.sifted().map(|(tuple, _)| tuple).collect();
        for (number, (tuple, group)) in tuples.into_iter().zip(group).enumerate() {
            if !good[*group as usize] {
                continue;
            }
            let class = &mut class[*group as usize];
            if *class == OUT {
                *class = self.made.shown.len() as u32;
                self.made.shown.push((node, tuple));
            }
            self.made.class[tuple as usize] = *class;
            self.pool.remove(number);
        }
    }

    fn ask(&self, group: &[u32], good: &mut [bool]) {
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); good.len()];
        for ((tuple, _), group) in self.pool.sifted().zip(group) {
            if good[*group as usize] {
                members[*group as usize].push(tuple);
            }
        }
        for (good, members) in good.iter_mut().zip(members) {
            *good = *good && self.checker.holds(&members);
        }
    }

    /// Places what no node placed.
    fn rest(self, bounds: Bounds) -> Option<Partition> {
        let open: Vec<u32> = self.pool.open().collect();
        let left = self.rows(&open);
        if left == 0 || (left <= bounds.suppressed && !self.checker.grows()) {
            return Some(self.made);
        }
        let classes = members(&self.made).into_iter().zip(&self.made.shown);
        let hosts = classes
            .map(|(members, shown)| Host {
                shown: *shown,
                rows: self.rows(&members),
                members,
            })
            .collect();
        if self.checker.grows() {
            self.scatter(open, hosts, bounds.suppressed)
        } else {
            self.absorb(open, hosts)
        }
    }

    /// Each tuple that is left joins the class where that costs least, or is left out where it may be and that costs
    /// less.
    fn scatter(
        mut self,
        open: Vec<u32>,
        mut hosts: Vec<Host>,
        mut allowed: u64,
    ) -> Option<Partition> {
        for tuple in open {
            let guest = self.guest(vec![tuple])?;
            let each = hosts.iter().enumerate();
            let cheapest = each
                .map(|(class, host)| (self.cost(host, &guest), class))
                .min();
            match cheapest {
                Some((cost, class)) if guest.rows > allowed || cost < ONE * guest.rows => {
                    let host = &mut hosts[class];
                    host.shown.0 = self.space.upper(host.shown, guest.shown);
                    host.rows += guest.rows;
                    self.made.shown[class] = host.shown;
                    self.made.class[tuple as usize] = class as u32;
                }
                _ if guest.rows <= allowed => allowed -= guest.rows,
                _ => return None,
            }
        }
        Some(self.made)
    }

    /// What is left is one class with others, the cheapest first and ever more of them, until the models hold.
    fn absorb(mut self, open: Vec<u32>, mut hosts: Vec<Host>) -> Option<Partition> {
        let mut rest = self.guest(open)?;
        let own = self.made.shown.len() as u32;
        let mut some = 1;
        while !hosts.is_empty() {
            hosts.sort_by_cached_key(|host| Reverse((self.cost(host, &rest), host.shown)));
            for host in hosts.split_off(hosts.len().saturating_sub(some)) {
                rest.shown.0 = self.space.upper(rest.shown, host.shown);
                rest.rows += host.rows;
                rest.members.extend(host.members);
            }
            if self.checker.holds(&rest.members) {
                for tuple in &rest.members {
                    self.made.class[*tuple as usize] = own;
                }
                self.made.shown.push(rest.shown);
                return Some(self.made);
            }
            some *= 2;
        }
        None
    }

    /// A class of these tuples, whether it meets the models or not.
    fn guest(&self, members: Vec<u32>) -> Option<Host> {
        let any = *members.first()?;
        let shown = members.iter().fold((0, any), |shown, tuple| {
            (self.space.upper(shown, (0, *tuple)), any)
        });
        Some(Host {
            shown,
            rows: self.rows(&members),
            members,
        })
    }

    /// What it costs that one class joins another.
    fn cost(&self, host: &Host, guest: &Host) -> u64 {
        let (node, any) = host.shown;
        let loss = |node| self.space.at(node).loss(any);
        let after = loss(self.space.upper(host.shown, guest.shown));
        (after - loss(node)) * host.rows + after * guest.rows
    }

    fn rows(&self, tuples: &[u32]) -> u64 {
        let each = tuples.iter().map(|t| self.space.rows[*t as usize]);
        each.map(u64::from).sum()
    }
}

/// A class that others may join.
struct Host {
    /// Its node and a tuple of it.
    shown: (usize, u32),
    rows: u64,
    members: Vec<u32>,
}

fn members(made: &Partition) -> Vec<Vec<u32>> {
    let mut members = vec![Vec::new(); made.shown.len()];
    for (tuple, class) in made.class.iter().enumerate() {
        if *class != OUT {
            members[*class as usize].push(tuple as u32);
        }
    }
    members
}

/// Classes that show the same are one, and those without records none.
fn distinct(space: &Space, made: Partition) -> Partition {
    let mut number = vec![OUT; made.shown.len()];
    let mut known: HashMap<(usize, Key), u32> = HashMap::new();
    let mut shown = Vec::new();
    let mut class = made.class;
    for class in &mut class {
        if *class == OUT {
            continue;
        }
        let number = &mut number[*class as usize];
        if *number == OUT {
            let (node, any) = made.shown[*class as usize];
            let node = space.lowest(node, any);
            let next = shown.len() as u32;
            *number = *known.entry((node, space.at(node).key(any))).or_insert(next);
            if *number == next {
                shown.push((node, any));
            }
        }
        *class = *number;
    }
    Partition { class, shown }
}
