//! Subjects into groups of similar ones.
//!
//! A subject is a unit vector: for each term observed or implied, the square root of its
//! information. Blocks of at most [`BLOCK`] are made by halving along the line between two
//! subjects far apart; in a block, MDAV (Domingo-Ferrer and Torra, DMKD 2005): the subject
//! farthest from the middle takes its nearest, then the one farthest from that, and so on.
//! Memory: the vectors and one block's work. Time: n log n for the blocks, n * BLOCK / size for
//! the groups.
//!
//! In: subjects in the order of their ids. Out: groups of positions; the same for the same subjects.

use crate::hpo::{Hpo, float};
use ontology::TermIx;

/// Subjects that are compared with one another.
const BLOCK: usize = 1024;

/// Subjects as vectors, in one list.
pub(crate) struct Vectors {
    ends: Vec<usize>,
    entries: Vec<(TermIx, f32)>,
    /// As many as the ontology has terms.
    width: usize,
}

impl Vectors {
    /// Of the observed terms of each subject.
    pub(crate) fn new<'a>(hpo: &Hpo<'_>, observed: impl Iterator<Item = &'a [TermIx]>) -> Self {
        let mut vectors = Self {
            ends: Vec::new(),
            entries: Vec::new(),
            width: hpo.ontology().term_count(),
        };
        for terms in observed {
            let closure = hpo.closure(terms);
            let length = hpo.sum(&closure).sqrt().max(f64::MIN_POSITIVE);
            let entry = |term| (term, narrowed(hpo.information(term).sqrt() / length));
            vectors.entries.extend(closure.into_iter().map(entry));
            vectors.ends.push(vectors.entries.len());
        }
        vectors
    }

    fn of(&self, at: u32) -> &[(TermIx, f32)] {
        let at = at as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.entries[start..self.ends[at]]
    }

    fn dot(&self, at: u32, other: &[f32]) -> f32 {
        let entries = self.of(at).iter();
        entries.map(|&(term, w)| w * other[term.index()]).sum()
    }

    fn similarity(&self, one: u32, other: u32) -> f32 {
        let (mut a, mut b) = (
            self.of(one).iter().peekable(),
            self.of(other).iter().peekable(),
        );
        let mut sum = 0.0;
        while let (Some(&&(x, v)), Some(&&(y, w))) = (a.peek(), b.peek()) {
            if x == y {
                sum += v * w;
            }
            if x <= y {
                a.next();
            }
            if y <= x {
                b.next();
            }
        }
        sum
    }

    fn add(&self, at: u32, sum: &mut [f32], sign: f32) {
        for &(term, weight) in self.of(at) {
            sum[term.index()] += sign * weight;
        }
    }

    /// Similarity of each of `who` to `at`, 0 to 1.
    fn near(&self, at: u32, who: &[u32], scratch: &mut [f32]) -> Vec<f32> {
        self.add(at, scratch, 1.0);
        let near = who.iter().map(|&other| self.dot(other, scratch)).collect();
        for &(term, _) in self.of(at) {
            scratch[term.index()] = 0.0;
        }
        near
    }

    /// Of each group, as [`Vectors::middle`], with its size.
    fn middles(&self, groups: &[Vec<u32>]) -> Vec<(Vec<f32>, f32)> {
        let of = |group: &Vec<u32>| (self.middle(group), narrowed(float(group.len())));
        groups.iter().map(of).collect()
    }

    /// Which of the middles is nearest to one.
    fn nearest(&self, who: u32, middles: &[(Vec<f32>, f32)]) -> Option<usize> {
        let far = |(middle, size): &(Vec<f32>, f32)| -self.dot(who, middle) / size;
        let far: Vec<f32> = middles.iter().map(far).collect();
        (!far.is_empty()).then(|| least_of(&far))
    }

    /// Which of `groups` `who` together are nearest to: every pair is compared.
    pub(crate) fn nearest_group(&self, who: &[u32], groups: &[Vec<u32>]) -> Option<usize> {
        let middle = self.middle(who);
        let far = |group: &Vec<u32>| {
            let sum: f32 = group.iter().map(|&at| self.dot(at, &middle)).sum();
            -sum / narrowed(float(group.len()))
        };
        let far: Vec<f32> = groups.iter().map(far).collect();
        (!far.is_empty()).then(|| least_of(&far))
    }

    /// Sum of `who`.
    fn middle(&self, who: &[u32]) -> Vec<f32> {
        let mut sum = vec![0.0; self.width];
        for &at in who {
            self.add(at, &mut sum, 1.0);
        }
        sum
    }
}

#[expect(clippy::cast_possible_truncation, reason = "weights of a unit vector")]
fn narrowed(weight: f64) -> f32 {
    weight as f32
}

/// Groups of `size` to under three times `size`, never under `least`; `None` if there are fewer
/// than `least`. Every one of `who` is in one group.
pub(crate) fn groups(
    vectors: &Vectors,
    who: &[u32],
    least: usize,
    size: usize,
) -> Option<Vec<Vec<u32>>> {
    if who.len() < least {
        return None;
    }
    let mut scratch = vec![0.0; vectors.width];
    let mut done = Vec::new();
    let mut waiting = vec![who.to_vec()];
    while let Some(block) = waiting.pop() {
        if block.len() <= BLOCK.max(4 * size) {
            mdav(vectors, block, least, size, &mut scratch, &mut done);
        } else {
            let (one, other) = halves(vectors, &block, &mut scratch);
            waiting.push(other);
            waiting.push(one);
        }
    }
    Some(done)
}

/// Two parts, each at least a quarter of the block: by how much nearer a subject is to one of two
/// that are far apart.
fn halves(vectors: &Vectors, block: &[u32], scratch: &mut [f32]) -> (Vec<u32>, Vec<u32>) {
    let middle = vectors.middle(block);
    let from_middle: Vec<f32> = block.iter().map(|&at| vectors.dot(at, &middle)).collect();
    let one = block[least_of(&from_middle)];
    let near_one = vectors.near(one, block, scratch);
    let other = block[least_of(&near_one)];
    let near_other = vectors.near(other, block, scratch);
    let mut order: Vec<(f32, u32)> = (block.iter().zip(&near_one).zip(&near_other))
        .map(|((&at, a), b)| (b - a, at))
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let nearer = order.iter().filter(|(by, _)| *by < 0.0).count();
    let cut = nearer.clamp(block.len() / 4, block.len() - block.len() / 4);
    let part = |range: &[(f32, u32)]| {
        let mut part: Vec<u32> = range.iter().map(|&(_, at)| at).collect();
        part.sort_unstable();
        part
    };
    (part(&order[..cut]), part(&order[cut..]))
}

fn mdav(
    vectors: &Vectors,
    block: Vec<u32>,
    least: usize,
    size: usize,
    scratch: &mut [f32],
    done: &mut Vec<Vec<u32>>,
) {
    let first = done.len();
    let mut left = block;
    let mut sum = vectors.middle(&left);
    let mut take = |left: &mut Vec<u32>, sum: &mut [f32], centre: u32, scratch: &mut [f32]| {
        let near = vectors.near(centre, left, scratch);
        let mut order: Vec<(f32, u32)> = near.into_iter().zip(left.iter().copied()).collect();
        // The centre first, whatever is as near to it.
        order.sort_by(|a, b| {
            let centre_first = (b.1 == centre).cmp(&(a.1 == centre));
            centre_first.then(b.0.total_cmp(&a.0)).then(a.1.cmp(&b.1))
        });
        let mut group: Vec<u32> = order.iter().take(size).map(|&(_, at)| at).collect();
        group.sort_unstable();
        left.retain(|at| group.binary_search(at).is_err());
        for &at in &group {
            vectors.add(at, sum, -1.0);
        }
        done.push(group);
    };
    while left.len() >= 2 * size {
        let from_middle: Vec<f32> = left.iter().map(|&at| vectors.dot(at, &sum)).collect();
        let far = left[least_of(&from_middle)];
        let near_far = vectors.near(far, &left, scratch);
        let farther = left[least_of(&near_far)];
        take(&mut left, &mut sum, far, scratch);
        if left.len() >= 2 * size && left.contains(&farther) {
            take(&mut left, &mut sum, farther, scratch);
        }
    }
    if left.len() >= least || done.len() == first {
        done.push(left);
        refine(vectors, &mut done[first..], least, size);
        return;
    }
    // Too few to stand alone: each joins the group it is nearest to.
    let middles = vectors.middles(&done[first..]);
    for at in left {
        if let Some(nearest) = vectors.nearest(at, &middles) {
            done[first + nearest].push(at);
        }
    }
    for group in &mut done[first..] {
        group.sort_unstable();
    }
    refine(vectors, &mut done[first..], least, size);
}

/// The most rounds of [`refine`].
const ROUNDS: usize = 6;

/// Moves subjects to a group they are nearer to, or swaps two, while both groups keep their bounds
/// and the sum of similarities grows. Each round looks at every subject once.
fn refine(vectors: &Vectors, groups: &mut [Vec<u32>], least: usize, size: usize) {
    if groups.len() < 2 {
        return;
    }
    let mut middles: Vec<Vec<f32>> = groups.iter().map(|g| vectors.middle(g)).collect();
    for _ in 0..ROUNDS {
        let mut changed = false;
        for at in 0..groups.len() {
            for place in 0..groups[at].len() {
                let Some(&who) = groups[at].get(place) else {
                    break;
                };
                changed |= better(vectors, groups, &mut middles, (at, who), least, size);
            }
        }
        if !changed {
            break;
        }
    }
    for group in groups {
        group.sort_unstable();
    }
}

/// Finds `who` a better group, if there is one.
fn better(
    vectors: &Vectors,
    groups: &mut [Vec<u32>],
    middles: &mut [Vec<f32>],
    (at, who): (usize, u32),
    least: usize,
    size: usize,
) -> bool {
    let people = |group: usize| narrowed(float(groups[group].len()));
    let own =
        |group: usize, who: u32, sum: &[f32]| (vectors.dot(who, sum) - 1.0) / (people(group) - 1.0);
    let here = own(at, who, &middles[at]);
    let mut best: Option<(f32, usize)> = None;
    for (other, middle) in middles.iter().enumerate() {
        if other == at {
            continue;
        }
        let near = vectors.dot(who, middle) / people(other);
        if best.is_none_or(|(most, _)| near > most) {
            best = Some((near, other));
        }
    }
    let Some((there, other)) = best.filter(|(near, _)| *near > here) else {
        return false;
    };
    if groups[at].len() > least && groups[other].len() < 2 * size {
        let back = None;
        exchange(vectors, groups, middles, (at, who), (other, back));
        return true;
    }
    // Whom the other group would miss least.
    let mut swap: Option<(f32, u32)> = None;
    for &back in &groups[other] {
        let loses = own(other, back, &middles[other]);
        let gains =
            (vectors.dot(back, &middles[at]) - vectors.similarity(back, who)) / (people(at) - 1.0);
        let finds = (there * people(other) - vectors.similarity(back, who)) / (people(other) - 1.0);
        let gain = finds - here + gains - loses;
        if swap.is_none_or(|(most, _)| gain > most) {
            swap = Some((gain, back));
        }
    }
    match swap {
        Some((gain, back)) if gain > 1e-3 => {
            exchange(vectors, groups, middles, (at, who), (other, Some(back)));
            true
        }
        _ => false,
    }
}

fn exchange(
    vectors: &Vectors,
    groups: &mut [Vec<u32>],
    middles: &mut [Vec<f32>],
    (at, who): (usize, u32),
    (other, back): (usize, Option<u32>),
) {
    let mut shift = |who: u32, from: usize, to: usize| {
        groups[from].retain(|&member| member != who);
        groups[to].push(who);
        vectors.add(who, &mut middles[from], -1.0);
        vectors.add(who, &mut middles[to], 1.0);
    };
    shift(who, at, other);
    if let Some(back) = back {
        shift(back, other, at);
    }
}

/// The first of the least.
fn least_of(values: &[f32]) -> usize {
    let mut best = 0;
    for (at, value) in values.iter().enumerate() {
        if value.total_cmp(&values[best]).is_lt() {
            best = at;
        }
    }
    best
}

/// Merges groups until each passes `enough` or would have more than `most` subjects.
pub(crate) fn merged(
    vectors: &Vectors,
    mut groups: Vec<Vec<u32>>,
    most: usize,
    enough: &dyn Fn(&[u32]) -> bool,
) -> Vec<Vec<u32>> {
    let mut done = Vec::new();
    while let Some(group) = groups.pop() {
        if enough(&group) {
            done.push(group);
            continue;
        }
        let middle = vectors.middle(&group);
        let mut best: Option<(f32, usize)> = None;
        for (at, other) in groups.iter().enumerate() {
            if other.len() + group.len() > most {
                continue;
            }
            let near: f32 = other.iter().map(|&o| vectors.dot(o, &middle)).sum();
            let near = near / narrowed(float(other.len()));
            if best.is_none_or(|(so_far, _)| near > so_far) {
                best = Some((near, at));
            }
        }
        match best {
            None => done.push(group),
            Some((_, at)) => {
                groups[at].extend(group);
                groups[at].sort_unstable();
            }
        }
    }
    done
}
