//! Differencing: what two releases of overlapping people tell together.
//!
//! - *Added*: of somebody known to be in the later release and not in the earlier one, three terms
//!   are known. Rows that were already there cannot be theirs; linkage among the others.
//! - *Removed*: the same for who is no longer in, among the earlier release's rows that are gone.
//! - *Companions*: people who share a cluster with somebody in both releases. Whoever could follow a
//!   person from cluster to cluster would know them to be one of these. An upper bound: the members
//!   of clusters are not released. Alone: nobody but the person.

use super::{
    linkage::{Knows, Linkage, among, targets},
    view::View,
};
use crate::{extract::Extract, hpo::Hpo, random::Draws, subject::Subject};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An earlier release, and of whom it was made.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'a> {
    /// As they were given then.
    pub subjects: &'a [Subject],
    /// What was made.
    pub extract: &'a Extract,
}

/// What differencing against one earlier release achieved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Differencing {
    /// Linkage of who was added, by three terms. No targets: nobody was added.
    pub added: Linkage,
    /// Linkage of who was removed, by three terms. No targets: nobody was.
    pub removed: Linkage,
    /// People in both releases.
    pub in_both: u32,
    /// Of those, 0 to 1, who have fewer than `k` companions, themselves counted.
    pub companions_below_k: f64,
    /// Of those, 0 to 1, who are alone.
    pub alone: f64,
}

pub(crate) fn differencing(
    hpo: &Hpo<'_>,
    now: Earlier<'_>,
    then: Earlier<'_>,
    most: usize,
    draws: &mut Draws,
) -> Differencing {
    let added = one_way(hpo, now, then, most, draws);
    let removed = one_way(hpo, then, now, most, draws);
    let before = places(then);
    let mut together: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    for (id, cluster) in places(now) {
        if let Some(&earlier) = before.get(&id) {
            *together.entry((cluster, earlier)).or_default() += 1;
        }
    }
    let in_both: u32 = together.values().sum();
    let share = |of: &dyn Fn(u32) -> bool| {
        let sum: u32 = together.values().filter(|&&n| of(n)).sum();
        f64::from(sum) / f64::from(in_both.max(1))
    };
    let k = now.extract.config.k.min(then.extract.config.k);
    Differencing {
        added,
        removed,
        in_both,
        companions_below_k: share(&|n| n < k),
        alone: share(&|n| n == 1),
    }
}

/// By id: the cluster.
fn places(of: Earlier<'_>) -> BTreeMap<[u8; 32], usize> {
    let clusters = of.extract.clusters.iter().enumerate();
    clusters
        .flat_map(|(at, cluster)| cluster.members.iter().map(move |&m| (m, at)))
        .map(|(member, at)| (of.subjects[member as usize].id, at))
        .collect()
}

/// Linkage of who is in `this` and not in `that`, among the profiles that `that` does not have.
fn one_way(
    hpo: &Hpo<'_>,
    this: Earlier<'_>,
    that: Earlier<'_>,
    most: usize,
    draws: &mut Draws,
) -> Linkage {
    let view = View::of_extract(hpo, this.extract);
    let others = places(that);
    let mut new: Vec<(u32, usize)> = targets(&view, usize::MAX, draws);
    new.retain(|&(member, _)| !others.contains_key(&this.subjects[member as usize].id));
    new.sort_unstable();
    let new = draws.sample(&new, most);
    let there: BTreeSet<_> = that.extract.clusters.iter().map(|c| &c.profile).collect();
    let changed: Vec<bool> = this
        .extract
        .clusters
        .iter()
        .map(|cluster| !there.contains(&cluster.profile))
        .collect();
    let knows = Knows::Terms(3);
    among(hpo, this.subjects, &view, &new, knows, draws, &|row| {
        changed[row]
    })
}
