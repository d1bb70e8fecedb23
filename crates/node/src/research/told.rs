//! What earlier releases told of nearly the same people, so that no difference of two releases tells of a few.
//!
//! A group that left before as it is tells of each measurement what it told then, whatever was measured since: of
//! two means the difference would tell of whom a value changed. One that differs from such a group by fewer than `k`
//! people, or some of whose people let a study read less or more since, does not tell what that told: the difference of
//! two sums would be of those few.

use super::again::Before;
use crate::custodian::Custodian;
use crate::error::Error;
use ::release::{Group, Measure, Unit};
use codec::id::Digest;
use extract::Extract;
use std::collections::{BTreeMap, BTreeSet};
use store::Store;

/// By groups of the release that is made.
pub(super) type Told = BTreeMap<usize, OfGroup>;

/// What was told of a group's people, or nearly those.
#[derive(Default)]
pub(super) struct OfGroup {
    /// Of just these.
    same: BTreeMap<Unit, Measure>,
    /// Of some that differ by fewer than `k`.
    near: BTreeSet<Unit>,
}

impl OfGroup {
    /// Has a group of a release of `k` tell nothing that differs by a few from what was told; how many measurements
    /// it tells no more.
    pub(super) fn settle(&self, group: &mut Group, k: u32) -> u64 {
        let measured = std::mem::take(&mut group.measured);
        let mut told = BTreeMap::new();
        // Told then of fewer than are asked for now: neither that nor anything beside it.
        for (unit, measure) in self.same.iter().filter(|(_, told)| told.at_least >= k) {
            let at_least = (measure.at_least - measure.at_least % k.max(1)).min(group.at_least);
            let measure = Measure {
                at_least,
                ..measure.clone()
            };
            told.insert(unit.clone(), measure);
        }
        let mut withheld = 0;
        for measure in measured {
            let unit = unit_of(&measure);
            if told.contains_key(&unit) {
                continue;
            }
            if self.near.contains(&unit) || self.same.contains_key(&unit) {
                withheld += 1;
            } else {
                told.insert(unit, measure);
            }
        }
        group.measured = told.into_values().collect();
        withheld
    }
}

/// A group of the release that is made, and one of an earlier release that has all but a few of its people.
struct Near {
    group: usize,
    earlier: usize,
    is_same: bool,
}

impl<S: Store> Custodian<S> {
    /// What earlier releases with measurements told of groups that are, or nearly are, those of an extract. Of all
    /// people, in their order: who, and how far the study may read.
    pub(super) async fn told_before(
        &self,
        people: &[([u8; 32], Digest)],
        extract: &Extract,
        earlier: &[Before],
        k: u32,
    ) -> Result<Told, Error> {
        let mut told = Told::new();
        let ids: Vec<[u8; 32]> = people.iter().map(|(id, _)| *id).collect();
        let now = groups(&ids, extract);
        let reach: BTreeMap<[u8; 32], Digest> = people.iter().copied().collect();
        for before in earlier.iter().filter(|before| before.row.measurements) {
            let then: Vec<[u8; 32]> = before.subjects.iter().map(|one| one.id).collect();
            let near = near(&now, &groups(&then, &before.extract), k as usize);
            if near.is_empty() {
                continue;
            }
            let wanted: BTreeSet<usize> = near.iter().map(|near| near.earlier).collect();
            let measured = self.measured_before(before, &wanted).await?;
            let heard: BTreeMap<[u8; 32], Digest> = before.reach().collect();
            let reads_the_same = |group: usize| {
                let people = now.get(group).into_iter().flatten();
                let mut people = people.map(|id| (heard.get(id), reach.get(id)));
                people.all(|(then, now)| then.is_some() && then == now)
            };
            for near in near {
                let measures = measured.get(&near.earlier).into_iter().flatten();
                let of = told.entry(near.group).or_default();
                for measure in measures {
                    let unit = unit_of(measure);
                    match near.is_same && reads_the_same(near.group) {
                        // What left first was repeated since.
                        true => drop(of.same.entry(unit).or_insert_with(|| measure.clone())),
                        false => drop(of.near.insert(unit)),
                    }
                }
            }
        }
        Ok(told)
    }

    /// The measurements of some groups of a release that left.
    async fn measured_before(
        &self,
        before: &Before,
        wanted: &BTreeSet<usize>,
    ) -> Result<BTreeMap<usize, Vec<Measure>>, Error> {
        let damaged = || Error::Damaged("the groups of a release".to_owned());
        let mut measured = BTreeMap::new();
        let mut line = Vec::new();
        let mut at = 0;
        for piece in 0.. {
            let piece = self
                .content_piece(&before.row.id, ::release::GROUPS, piece)
                .await?;
            let Some(piece) = piece else { break };
            for part in piece.split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(part);
                if !line.ends_with(b"\n") {
                    continue;
                }
                if wanted.contains(&at) {
                    let group: Group = serde_json::from_slice(&line).map_err(|_| damaged())?;
                    measured.insert(at, group.measured);
                }
                at += 1;
                line.clear();
            }
        }
        // INVARIANT: what cannot be compared does not leave.
        match measured.len() == wanted.len() {
            true => Ok(measured),
            false => Err(damaged()),
        }
    }
}

/// The people of each group.
fn groups(ids: &[[u8; 32]], extract: &Extract) -> Vec<BTreeSet<[u8; 32]>> {
    let clusters = extract.clusters.iter();
    let of = |members: &[u32]| {
        let members = members.iter();
        let found = members.filter_map(|at| ids.get(*at as usize).copied());
        found.collect()
    };
    clusters.map(|cluster| of(&cluster.members)).collect()
}

/// Groups that differ by fewer than `k` people.
fn near(now: &[BTreeSet<[u8; 32]>], then: &[BTreeSet<[u8; 32]>], k: usize) -> Vec<Near> {
    let mut places: BTreeMap<&[u8; 32], (usize, usize)> = BTreeMap::new();
    for (at, ids) in then.iter().enumerate() {
        places.extend(ids.iter().map(|id| (id, (at, ids.len()))));
    }
    let mut found = Vec::new();
    for (group, ids) in now.iter().enumerate() {
        let mut together: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for place in ids.iter().filter_map(|id| places.get(id)) {
            *together.entry(*place).or_default() += 1;
        }
        for ((earlier, size), common) in together {
            let apart = (ids.len() + size).saturating_sub(2 * common);
            if apart < k {
                found.push(Near {
                    group,
                    earlier,
                    is_same: apart == 0,
                });
            }
        }
    }
    found
}

fn unit_of(measure: &Measure) -> Unit {
    Unit {
        system: measure.system.clone(),
        code: measure.code.clone(),
        unit: measure.unit.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(code: &str, mean: f64) -> Measure {
        Measure {
            system: "s".to_owned(),
            code: code.to_owned(),
            unit: "u".to_owned(),
            at_least: 5,
            mean,
            deviation: 1.0,
        }
    }

    #[test]
    fn what_was_told_is_told_again_and_what_is_near_it_is_not() {
        let of = OfGroup {
            same: [measure("a", 1.0)]
                .map(|m| (unit_of(&m), m))
                .into_iter()
                .collect(),
            near: [unit_of(&measure("a", 0.0)), unit_of(&measure("b", 0.0))]
                .into_iter()
                .collect(),
        };
        let mut group: Group = serde_json::from_value(serde_json::json!({
            "id": "G1", "at_least": 5, "sex": [], "diagnoses": [], "observed": [], "excluded": [],
            "measured": [measure("a", 2.0), measure("b", 3.0), measure("c", 4.0)],
        }))
        .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(of.settle(&mut group, 5), 1);
        assert_eq!(group.measured, [measure("a", 1.0), measure("c", 4.0)]);
        // What cannot be told any more by itself is repeated too: that it is missing would tell.
        group.measured = vec![measure("b", 3.0)];
        assert_eq!(of.settle(&mut group, 5), 1);
        assert_eq!(group.measured, [measure("a", 1.0)]);
        // It was told of five.
        group.measured = vec![measure("a", 2.0)];
        assert_eq!(of.settle(&mut group, 6), 1);
        assert_eq!(group.measured, []);
        assert_eq!(of.settle(&mut group, 2), 0);
        assert_eq!(group.measured[0].at_least, 4, "a multiple of k");
    }

    #[test]
    fn groups_are_near_that_differ_by_fewer_than_k() {
        let now = [[1, 2, 3], [4, 5, 6], [7, 8, 9]].map(|ids| ids.map(|id| [id; 32]).into());
        // The first as it was; of the second one is gone and one came; the third has nobody of before.
        let then = [[90, 91, 92], [4, 5, 77], [3, 2, 1]].map(|ids| ids.map(|id| [id; 32]).into());
        let found = |k| -> Vec<(usize, usize, bool)> {
            near(&now, &then, k)
                .iter()
                .map(|near| (near.group, near.earlier, near.is_same))
                .collect()
        };
        assert_eq!(found(3), [(0, 2, true), (1, 1, false)]);
        assert_eq!(found(2), [(0, 2, true)]);
    }
}
