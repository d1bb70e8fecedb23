//! Classes divided further, for as long as all parts meet the models.
//!
//! A class is divided by one column, one level down: groups that meet the models are classes of their own, and the others
//! remain together, with as many more as they need to meet them too. Of the columns the one that regains most. For models
//! that a class may meet and a larger one not, where a sweep leaves a rest that is hard to place.

#![expect(
    clippy::cast_possible_truncation,
    reason = "tuples and classes are bounded by MAX_ROWS"
)]

use crate::{
    anonymised::Partition,
    checker::Checker,
    classes::OUT,
    global::Bounds,
    space::{Groups, Space},
};
use std::{cmp::Reverse, collections::BinaryHeap};

/// The same records, with no more loss.
pub(crate) fn refine(
    space: &Space,
    checker: &Checker,
    bounds: Bounds,
    made: &Partition,
) -> Partition {
    let refining = Refining { space, checker };
    let mut parts: Vec<Part> = made
        .shown
        .iter()
        .map(|shown| Part {
            shown: *shown,
            members: Vec::new(),
        })
        .collect();
    for (tuple, class) in made.class.iter().enumerate() {
        if *class != OUT {
            parts[*class as usize].members.push(tuple as u32);
        }
    }
    let released = parts.iter().map(|part| refining.rows(&part.members)).sum();
    let mut classes = parts.len() as u64;
    // The class that loses most first, for the average risk may allow only some more.
    let mut queue: BinaryHeap<_> = parts
        .into_iter()
        .map(|part| refining.queued(part))
        .collect();
    let mut class = vec![OUT; space.tuples()];
    let mut shown = Vec::new();
    while let Some((_, _, part)) = queue.pop() {
        let divided = refining.divide(&part).filter(|parts| {
            let more = classes + parts.len() as u64 - 1;
            bounds.risk(more, released)
        });
        if let Some(parts) = divided {
            classes += parts.len() as u64 - 1;
            queue.extend(parts.into_iter().map(|part| refining.queued(part)));
            continue;
        }
        for tuple in part.members {
            class[tuple as usize] = shown.len() as u32;
        }
        shown.push(part.shown);
    }
    Partition { class, shown }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    /// Its node and a tuple of it.
    shown: (usize, u32),
    members: Vec<u32>,
}

struct Refining<'a> {
    space: &'a Space,
    checker: &'a Checker,
}

impl Refining<'_> {
    fn queued(&self, part: Part) -> (u64, Reverse<u32>, Part) {
        (self.loss(&part), Reverse(part.shown.1), part)
    }

    /// The division that regains most.
    fn divide(&self, part: &Part) -> Option<Vec<Part>> {
        let before = self.loss(part);
        let columns = (0..self.space.width).filter_map(|c| self.by(part, c));
        let weighed = columns.map(|parts| {
            let after: u64 = parts.iter().map(|part| self.loss(part)).sum();
            (after, parts)
        });
        let (after, parts) = weighed.min_by_key(|(after, _)| *after)?;
        (after < before).then_some(parts)
    }

    /// Divided by a column.
    fn by(&self, part: &Part, column: usize) -> Option<Vec<Part>> {
        let node = self.space.below(part.shown.0, column)?;
        let at = self.space.at(node);
        let mut groups = Groups::default();
        groups.reset(16);
        let mut parts: Vec<Part> = Vec::new();
        for tuple in &part.members {
            let group = groups.find(at.key(*tuple)) as usize;
            if group == parts.len() {
                parts.push(Part {
                    shown: (node, *tuple),
                    members: Vec::new(),
                });
            }
            parts[group].members.push(*tuple);
        }
        let (mut good, bad): (Vec<Part>, Vec<Part>) = parts
            .into_iter()
            .partition(|part| self.holds(&part.members));
        let mut rest: Vec<u32> = bad.into_iter().flat_map(|part| part.members).collect();
        if rest.is_empty() {
            return Some(good);
        }
        // The smallest go back first, and ever more of them.
        good.sort_by_cached_key(|part| Reverse((self.rows(&part.members), part.shown.1)));
        let mut some = 1;
        while !self.holds(&rest) {
            if good.is_empty() {
                return None;
            }
            let back = good.split_off(good.len().saturating_sub(some));
            rest.extend(back.into_iter().flat_map(|part| part.members));
            some *= 2;
        }
        let shown = (part.shown.0, rest[0]);
        good.push(Part {
            shown,
            members: rest,
        });
        Some(good)
    }

    fn holds(&self, members: &[u32]) -> bool {
        self.rows(members) >= u64::from(self.checker.rows) && self.checker.holds(members)
    }

    fn rows(&self, members: &[u32]) -> u64 {
        let each = members.iter().map(|t| self.space.rows[*t as usize]);
        each.map(u64::from).sum()
    }

    fn loss(&self, part: &Part) -> u64 {
        let (node, any) = part.shown;
        self.space.at(node).loss(any) * self.rows(&part.members)
    }
}
