//! Classes joined until the average risk is kept to.
//!
//! Of all pairs of a small class and any other the one that costs least, again and again. The union of two classes that
//! meet the models meets them ([`crate::checker`]), and shows more.

#![expect(
    clippy::cast_possible_truncation,
    reason = "classes are bounded by MAX_ROWS"
)]

use crate::{anonymised::Partition, classes::OUT, global::Bounds, space::Space};

/// Pairs that are weighed at first, at most.
const PAIRS: usize = 4 << 20;

/// As many classes, the smallest, are looked at for each that is too many.
const CHOICE: usize = 4;

/// Of too many classes as many as the average risk allows; `None` where they are by far too many.
pub(crate) fn fewer(space: &Space, made: Partition, bounds: Bounds) -> Option<Partition> {
    let classes = made.shown.len();
    let mut joining = Joining::new(space, made);
    let released = joining.rows.iter().sum();
    let left = space.total - released;
    let allowed = (0..classes)
        .rev()
        .find(|n| bounds.risk(*n as u64, released))?;
    let many = classes - allowed;
    let guests = (many * CHOICE).min(classes).min(PAIRS / classes);
    if left > bounds.suppressed || allowed == 0 || guests < (many * 2).min(classes) {
        return None;
    }
    let mut order: Vec<u32> = (0..classes as u32).collect();
    order.sort_by_key(|class| (joining.rows[*class as usize], *class));
    order.truncate(guests);
    let mut nearest: Vec<(u32, Near)> = order
        .into_iter()
        .map(|guest| (guest, joining.nearest(guest)))
        .collect();
    for _ in allowed..classes {
        let (guest, near) = nearest
            .iter()
            .min_by_key(|(guest, near)| (near.cost, *guest))?;
        let (guest, host) = (*guest, near.host);
        joining.join(guest, host)?;
        nearest.retain(|(other, _)| *other != guest);
        for (other, near) in &mut nearest {
            if *other == host || near.host == host || near.host == guest {
                *near = joining.nearest(*other);
            } else {
                joining.nearer(*other, host, near);
            }
        }
    }
    Some(joining.made())
}

struct Joining<'a> {
    space: &'a Space,
    made: Partition,
    levels: Vec<Vec<u8>>,
    rows: Vec<u64>,
    /// Of one record of each class.
    loss: Vec<u64>,
    /// The class that each joined.
    joined: Vec<Option<u32>>,
}

/// The class that it costs least to join, and how much.
struct Near {
    cost: u64,
    host: u32,
}

impl<'a> Joining<'a> {
    fn new(space: &'a Space, made: Partition) -> Self {
        let classes = made.shown.len();
        let mut rows = vec![0; classes];
        for (class, held) in made.class.iter().zip(&space.rows) {
            if *class != OUT {
                rows[*class as usize] += u64::from(*held);
            }
        }
        let shown = || made.shown.iter();
        Self {
            space,
            levels: shown().map(|(node, _)| space.levels_of(*node)).collect(),
            loss: shown()
                .map(|(node, any)| space.at(*node).loss(*any))
                .collect(),
            rows,
            joined: vec![None; classes],
            made,
        }
    }

    fn nearest(&self, guest: u32) -> Near {
        let mut near = Near {
            cost: u64::MAX,
            host: guest,
        };
        for host in 0..self.rows.len() as u32 {
            self.nearer(guest, host, &mut near);
        }
        near
    }

    fn nearer(&self, guest: u32, host: u32, near: &mut Near) {
        let (g, h) = (guest as usize, host as usize);
        if g == h || self.joined[h].is_some() {
            return;
        }
        let rows = self.rows[g] + self.rows[h];
        let before = self.rows[g] * self.loss[g] + self.rows[h] * self.loss[h];
        // What both show loses no less than either.
        if self.loss[g].max(self.loss[h]) * rows - before >= near.cost {
            return;
        }
        let limit = near.cost.saturating_add(before).div_ceil(rows);
        let shown = |at: usize| (self.levels[at].as_slice(), self.made.shown[at].1);
        let loss = self.space.meeting(shown(g), shown(h), limit);
        if loss < limit {
            let cost = (loss * rows).saturating_sub(before);
            *near = Near { cost, host };
        }
    }

    fn join(&mut self, guest: u32, host: u32) -> Option<()> {
        if guest == host {
            return None;
        }
        let (g, h) = (guest as usize, host as usize);
        let node = self.space.upper(self.made.shown[h], self.made.shown[g]);
        self.made.shown[h].0 = node;
        self.levels[h] = self.space.levels_of(node);
        self.loss[h] = self.space.at(node).loss(self.made.shown[h].1);
        self.rows[h] += self.rows[g];
        self.joined[g] = Some(host);
        Some(())
    }

    fn made(mut self) -> Partition {
        for class in &mut self.made.class {
            while let Some(Some(host)) = self.joined.get(*class as usize) {
                *class = *host;
            }
        }
        self.made
    }
}
