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
//! Where the average risk is bounded, the smallest class size is sought, by halves, with which a sweep keeps to it. The
//! result is compared with the global one; the better is taken. Of a larger lattice than the work allows, nodes are
//! passed over evenly.

#![expect(
    clippy::cast_possible_truncation,
    reason = "tuples and classes are bounded by MAX_ROWS"
)]

use crate::{
    anonymised::Partition,
    checker::Checker,
    classes::OUT,
    config::Refusal,
    global::Bounds,
    refine::refine,
    space::{Groups, Halves, Key, ONE, Space},
};
use std::{cmp::Reverse, collections::HashMap};

/// The share of the work that one sweep may take: as many sweeps may follow each other.
const SWEEPS: u64 = 16;

/// So near to the average risk allowed no better size of classes is sought.
const ENOUGH: f64 = 0.97;

/// The better of a sweep and the global result.
pub(crate) fn recode(
    space: &Space,
    checker: &Checker,
    bounds: Bounds,
    global: Result<Partition, Refusal>,
) -> Result<Partition, Refusal> {
    let order = space.by_base();
    let mut halves = Halves::new(space);
    let mut swept = |least| Sweep::new(space, checker, least).run(&order, &mut halves, bounds);
    let first = u64::from(checker.rows);
    let best = match swept(first) {
        Some(made) if !fits(space, &made, bounds) => {
            let classes = made.shown.len();
            narrow(space, bounds, (first, classes), &mut swept)
        }
        made => made,
    };
    let swept = best.ok_or(Refusal::Unreachable {
        allowed: bounds.suppressed,
    });
    // A population counts for what a class shows: one that shows more may match too few.
    let refined = |made: Partition| {
        if checker.grows() || checker.population > 0 {
            return made;
        }
        distinct(space, refine(space, checker, bounds, &made))
    };
    match (swept.map(&refined), global) {
        (Ok(swept), Ok(global)) => {
            let again = refined(global.clone());
            let all = [global, again, swept];
            let best = all.into_iter().min_by_key(|made| made.loss(space));
            best.ok_or(Refusal::Work)
        }
        (Ok(swept), Err(_)) => Ok(swept),
        (Err(_), global) => Ok(refined(global?)),
    }
}

/// The result of the smallest classes that keep to the average risk, from those of too small ones and their number.
/// The number of classes falls about as a power of their least size, by which the size is guessed.
fn narrow(
    space: &Space,
    bounds: Bounds,
    mut low: (u64, usize),
    swept: &mut impl FnMut(u64) -> Option<Partition>,
) -> Option<Partition> {
    let allowed = (bounds.average_risk * real(space.total)).max(1.0);
    let (mut best, mut power) = (None, 1.0_f64);
    let mut high = sure(space, bounds) + 1;
    for _ in 1..SWEEPS {
        if low.0 + 1 >= high {
            break;
        }
        let times = (real(low.1 as u64) / allowed).powf(1.0 / power);
        let least = whole(real(low.0) * times).clamp(low.0 + 1, high - 1);
        let Some(made) = swept(least) else {
            low.0 = least;
            continue;
        };
        let classes = made.shown.len();
        let fewer = (real(low.1 as u64) / real(classes as u64)).ln();
        let slope = fewer / (real(least) / real(low.0)).ln();
        power = if slope > 0.1 { slope } else { 1.0 };
        if fits(space, &made, bounds) {
            best = Some(made);
            high = least;
            if real(classes as u64) >= allowed * ENOUGH {
                break;
            }
        } else {
            low = (least, classes);
        }
    }
    best
}

/// Classes of this size keep to the average risk, whatever they are.
fn sure(space: &Space, bounds: Bounds) -> u64 {
    whole((1.0 / bounds.average_risk).min(real(space.total)))
}

#[expect(clippy::cast_sign_loss, reason = "a size of classes")]
fn whole(number: f64) -> u64 {
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
    /// Tuples not yet placed.
    open: Vec<u32>,
    /// Places in `open` of those that may be placed at this node.
    maybe: Vec<u32>,
    groups: Groups,
    sums: Vec<u32>,
    hashes: Vec<u32>,
}

impl<'a> Sweep<'a> {
    fn new(space: &'a Space, checker: &'a Checker, least: u64) -> Self {
        let tuples = 0..space.tuples() as u32;
        Self {
            space,
            checker,
            least: least.max(checker.rows.into()),
            made: Partition {
                class: vec![OUT; space.tuples()],
                shown: Vec::new(),
            },
            open: tuples
                .filter(|tuple| space.rows[*tuple as usize] > 0)
                .collect(),
            maybe: Vec::new(),
            groups: Groups::default(),
            sums: Vec::new(),
            hashes: Vec::new(),
        }
    }

    /// `None` where the models cannot be met within what may be left out.
    fn run(mut self, order: &[u32], halves: &mut Halves<'_>, bounds: Bounds) -> Option<Partition> {
        let mut work = bounds.work / SWEEPS;
        let mut at = 0;
        while at < order.len() && !self.open.is_empty() {
            let node = order[at] as usize;
            self.take(node, halves);
            let each = self.looks();
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

    /// How many tuples a node takes to look at.
    fn looks(&self) -> u64 {
        let all = if self.space.population.is_empty() {
            0
        } else {
            self.space.tuples()
        };
        // Of the groups of the last node as many as there can be were asked about.
        let asked = self.groups.len().min(self.maybe.len()) as u64;
        (self.open.len() + all) as u64 + asked * self.checker.effort()
    }

    /// Makes classes of what becomes equal at a node.
    fn take(&mut self, node: usize, halves: &mut Halves<'_>) {
        let (low, high) = halves.at(node);
        self.sift(low, high);
        let key = |tuple: u32| {
            let at = tuple as usize;
            Key::from(low[at]) | Key::from(high[at]) << 64
        };
        self.groups.reset(self.maybe.len());
        let mut rows: Vec<u64> = Vec::new();
        let mut group = Vec::with_capacity(self.maybe.len());
        for place in &self.maybe {
            let tuple = self.open[*place as usize];
            let found = self.groups.find(key(tuple));
            if found as usize == rows.len() {
                rows.push(0);
            }
            rows[found as usize] += u64::from(self.space.rows[tuple as usize]);
            group.push(found);
        }
        if rows.iter().all(|rows| *rows < self.least) {
            return;
        }
        let mut people = vec![0_u64; rows.len()];
        for (tuple, found) in self.space.population.iter().enumerate() {
            if *found > 0
                && let Some(group) = self.groups.known(key(tuple as u32))
            {
                people[group as usize] += u64::from(*found);
            }
        }
        let mut good: Vec<bool> = rows
            .iter()
            .zip(&people)
            .map(|(rows, people)| *rows >= self.least && self.checker.floor(*rows, *people))
            .collect();
        if !self.checker.floor_only() {
            self.ask(&group, &mut good);
        }
        self.place(node, &group, &good);
    }

    /// Of the open tuples, the places of those that may have company enough. Sums by a hash of the key bound those by
    /// the key, and are cheap: at most nodes nothing remains.
    fn sift(&mut self, low: &[u64], high: &[u64]) {
        let bits = (self.open.len() * 4).next_power_of_two().ilog2().max(4);
        self.sums.clear();
        self.sums.resize(1 << bits, 0);
        self.hashes.clear();
        for tuple in &self.open {
            let at = *tuple as usize;
            let mixed = low[at]
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .wrapping_add(high[at])
                .wrapping_mul(0xd6e8_feb8_6659_fd93);
            let hash = (mixed >> (u64::BITS - bits)) as u32;
            self.sums[hash as usize] += self.space.rows[at];
            self.hashes.push(hash);
        }
        self.maybe.clear();
        for (place, hash) in self.hashes.iter().enumerate() {
            if u64::from(self.sums[*hash as usize]) >= self.least {
                self.maybe.push(place as u32);
            }
        }
    }

    /// Good groups of [`Self::maybe`] are classes, and no longer open.
    fn place(&mut self, node: usize, group: &[u32], good: &[bool]) {
        let mut class = vec![OUT; good.len()];
        for (place, group) in self.maybe.iter().zip(group) {
            if !good[*group as usize] {
                continue;
            }
            let tuple = &mut self.open[*place as usize];
            let class = &mut class[*group as usize];
            if *class == OUT {
                *class = self.made.shown.len() as u32;
                self.made.shown.push((node, *tuple));
            }
            self.made.class[*tuple as usize] = *class;
            *tuple = OUT;
        }
        self.open.retain(|tuple| *tuple != OUT);
    }

    fn ask(&self, group: &[u32], good: &mut [bool]) {
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); good.len()];
        for (place, group) in self.maybe.iter().zip(group) {
            if good[*group as usize] {
                members[*group as usize].push(self.open[*place as usize]);
            }
        }
        for (good, members) in good.iter_mut().zip(members) {
            *good = *good && self.checker.holds(&members);
        }
    }

    /// Places what no node placed.
    fn rest(self, bounds: Bounds) -> Option<Partition> {
        let left = self.rows(&self.open);
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
            self.scatter(hosts, bounds.suppressed)
        } else {
            self.absorb(hosts)
        }
    }

    /// Each tuple that is left joins the class where that costs least, or is left out where it may be and that costs
    /// less.
    fn scatter(mut self, mut hosts: Vec<Host>, mut allowed: u64) -> Option<Partition> {
        for tuple in std::mem::take(&mut self.open) {
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
    fn absorb(mut self, mut hosts: Vec<Host>) -> Option<Partition> {
        let open = std::mem::take(&mut self.open);
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
