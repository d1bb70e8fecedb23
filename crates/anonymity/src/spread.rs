//! What a class of records tells of a sensitive value: functions of its histogram.
//!
//! A histogram has one count for each code of the column, zeros included. Sources: l-diversity in its three
//! forms, Machanavajjhala et al., TKDD 2007; t-closeness and its three ground distances, Li, Li and
//! Venkatasubramanian, ICDE 2007.

/// How many different values there are.
pub fn distinct(counts: &[u32]) -> usize {
    counts.iter().filter(|n| **n > 0).count()
}

/// `exp` of the entropy in nats: so many equally frequent values would be as uncertain. 0 of an empty class.
pub fn effective(counts: &[u32]) -> f64 {
    let total = total(counts);
    if total == 0.0 {
        return 0.0;
    }
    let entropy: f64 = counts
        .iter()
        .filter(|n| **n > 0)
        .map(|n| {
            let share = f64::from(*n) / total;
            -share * share.ln()
        })
        .sum();
    entropy.exp()
}

/// The most frequent value's count as a multiple of all from the `l`-th most frequent on: a class is recursively
/// `(c, l)`-diverse where `c` is greater. Infinite where it has fewer than `l` values.
pub fn recursive(counts: &[u32], l: usize) -> f64 {
    let mut sorted: Vec<u32> = counts.iter().copied().filter(|n| *n > 0).collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    if l == 0 || sorted.len() < l {
        return f64::INFINITY;
    }
    f64::from(sorted[0]) / total(&sorted[l - 1..])
}

/// What moving a share of a distribution from one value to another costs.
#[derive(Clone, Debug)]
pub enum Ground {
    /// 1 between any two values.
    Equal,
    /// Places apart in an order, as a share of the greatest; of each code, its place.
    Ordered(Vec<u32>),
    /// Levels up to what both become, as a share of all; of each level from 0, the code of each code.
    Tree(Vec<Vec<u32>>),
}

impl Ground {
    /// The least cost of turning one distribution into the other: 0 equal, 1 as far apart as can be.
    /// Both have one share for each code and sum to 1.
    pub fn distance(&self, one: &[f64], other: &[f64]) -> f64 {
        let extra = || one.iter().zip(other).map(|(a, b)| a - b);
        match self {
            Self::Equal => extra().map(f64::abs).sum::<f64>() / 2.0,
            Self::Ordered(places) => {
                let mut by_place = vec![0.0; places.len()];
                for (place, extra) in places.iter().zip(extra()) {
                    by_place[*place as usize] += extra;
                }
                let steps = places.len().saturating_sub(1).max(1);
                let mut carried = 0.0_f64;
                let mut cost = 0.0;
                for extra in by_place {
                    carried += extra;
                    cost += carried.abs();
                }
                cost / count(steps)
            }
            Self::Tree(levels) => tree(levels, extra().collect()),
        }
    }
}

/// Of each node, what its children have too much and too little cancels there, at the node's height.
fn tree(levels: &[Vec<u32>], extra: Vec<f64>) -> f64 {
    let height = levels.len().saturating_sub(1).max(1);
    // Of each node of the level below: its extra, and one leaf of it.
    let mut below: Vec<(f64, usize)> = extra.into_iter().zip(0..).collect();
    let mut cost = 0.0;
    for (level, codes) in levels.iter().enumerate().skip(1) {
        let width = codes.iter().max().map_or(0, |most| *most as usize + 1);
        let mut nodes = vec![(0.0, 0.0, 0); width];
        for (extra, leaf) in below {
            let (over, under, any) = &mut nodes[codes[leaf] as usize];
            if extra > 0.0 {
                *over += extra;
            } else {
                *under -= extra;
            }
            *any = leaf;
        }
        let moved: f64 = nodes
            .iter()
            .map(|(over, under, _)| f64::min(*over, *under))
            .sum();
        cost += moved * count(level) / count(height);
        below = nodes
            .into_iter()
            .map(|(over, under, leaf)| (over - under, leaf))
            .collect();
    }
    cost
}

/// As shares of their sum; of nothing, zeros.
pub fn shares(counts: &[u32]) -> Vec<f64> {
    let total = total(counts).max(1.0);
    counts.iter().map(|n| f64::from(*n) / total).collect()
}

fn total(counts: &[u32]) -> f64 {
    counts.iter().map(|n| f64::from(*n)).sum()
}

fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }

    #[test]
    fn diversity_of_a_histogram() {
        let counts = [4, 0, 3, 2, 1];
        assert_eq!(distinct(&counts), 4);
        near(effective(&[5, 5, 0]), 2.0);
        near(effective(&[7]), 1.0);
        near(recursive(&counts, 2), 4.0 / 6.0);
        near(recursive(&counts, 4), 4.0);
        assert_eq!(recursive(&counts, 5), f64::INFINITY);
    }

    /// Nine salaries from 3k to 11k: the distances that Li et al. give for two classes of three.
    #[test]
    fn ordered_distances_of_the_paper() {
        let ground = Ground::Ordered((0..9).collect());
        let whole = [1.0 / 9.0; 9];
        let class = |places: [usize; 3]| {
            let mut shares = [0.0; 9];
            for place in places {
                shares[place] += 1.0 / 3.0;
            }
            ground.distance(&shares, &whole)
        };
        near(class([0, 1, 2]), 0.375);
        near(class([3, 5, 8]), 1.0 / 6.0);
    }

    #[test]
    fn a_tree_charges_the_height_at_which_values_meet() {
        // Leaves 0, 1 under one parent, 2, 3 under another; height 2.
        let ground = Ground::Tree(vec![vec![0, 1, 2, 3], vec![0, 0, 1, 1], vec![0; 4]]);
        near(
            ground.distance(&[1.0, 0.0, 0.0, 0.0], &[0.0, 1.0, 0.0, 0.0]),
            0.5,
        );
        near(
            ground.distance(&[1.0, 0.0, 0.0, 0.0], &[0.0, 0.0, 0.0, 1.0]),
            1.0,
        );
        near(ground.distance(&[0.5, 0.0, 0.5, 0.0], &[0.25; 4]), 0.25);
        near(
            Ground::Equal.distance(&[1.0, 0.0, 0.0, 0.0], &[0.25; 4]),
            0.75,
        );
    }
}
