//! Membership inference: is this person in the release?
//!
//! The attacker knows the whole record and the diagnosis of somebody who is either in the release
//! or is not, and says "in" if the best fit of any row passes a threshold. Each outsider is set
//! beside a member of the same diagnosis drawn by lot, so that the two sides differ in membership
//! alone. AUC: the chance that the member fits better than the outsider (ties half), over all
//! pairs. Advantage: true minus false positive rate (Yeom et al., CSF 2018), threshold and way of
//! reckoning chosen on one half of the people and counted on the other, both ways round.

use super::view::{View, Way};
use crate::{
    hpo::{Hpo, float},
    random::Draws,
    subject::Subject,
};
use ontology::DiseaseId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What membership inference achieved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// 0.5: no better than a coin; by the way of reckoning that does best.
    pub auc: f64,
    /// -1 to 1; 0: no better than a coin.
    pub advantage: f64,
    /// Pairs of a member and an outsider.
    pub pairs: u32,
}

/// Sets `outside` against members of the same diagnosis. `None` if there are fewer than 20 pairs.
pub(crate) fn membership(
    hpo: &Hpo<'_>,
    subjects: &[Subject],
    view: &View,
    outside: &[Subject],
    most: usize,
    draws: &mut Draws,
) -> Option<Membership> {
    let pairs = pairs(subjects, view, outside, most, draws);
    if pairs.len() < 20 {
        return None;
    }
    // By way, then pair.
    let mut scores = vec![Vec::with_capacity(pairs.len()); Way::ALL.len()];
    for &(member, other) in &pairs {
        let member = score(hpo, view, &subjects[member as usize]);
        let other = score(hpo, view, &outside[other as usize]);
        for (at, list) in scores.iter_mut().enumerate() {
            list.push((member[at], other[at]));
        }
    }
    let (even, odd): (Vec<usize>, Vec<usize>) = (0..pairs.len()).partition(|at| at % 2 == 0);
    let advantage = (crossed(&scores, &even, &odd) + crossed(&scores, &odd, &even)) / 2.0;
    Some(Membership {
        auc: scores.iter().map(|s| auc(s)).fold(0.0, f64::max),
        advantage,
        pairs: u32::try_from(pairs.len()).unwrap_or(u32::MAX),
    })
}

fn pairs(
    subjects: &[Subject],
    view: &View,
    outside: &[Subject],
    most: usize,
    draws: &mut Draws,
) -> Vec<(u32, u32)> {
    let mut members: BTreeMap<Option<DiseaseId>, Vec<u32>> = BTreeMap::new();
    for &member in view.rows.iter().flat_map(|row| &row.members) {
        let diagnosis = subjects[member as usize].diagnosis;
        members.entry(diagnosis).or_default().push(member);
    }
    for list in members.values_mut() {
        list.sort_unstable();
    }
    let known = |s: &Subject| !s.observed.is_empty() && members.contains_key(&s.diagnosis);
    let others: Vec<u32> = (0_u32..)
        .zip(outside)
        .filter(|(_, s)| known(s))
        .map(|(at, _)| at)
        .collect();
    let others = draws.sample(&others, most);
    let beside = |other: u32| {
        let of_same = &members[&outside[other as usize].diagnosis];
        (of_same[draws.below(of_same.len())], other)
    };
    others.into_iter().map(beside).collect()
}

/// Best fit of any row that may be the person's, by way, over the fit of the record to itself.
fn score(hpo: &Hpo<'_>, view: &View, subject: &Subject) -> [f64; Way::ALL.len()] {
    let has = subject.diagnosis.map(|d| view.with_diagnosis(d));
    let told = |row: usize| !view.rows[row].diagnoses.is_empty();
    let possible = |row: usize| has.as_ref().is_none_or(|has| has[row] || !told(row));
    Way::ALL.map(|way| {
        let fits = view.fits(hpo, &subject.observed, way);
        let fits = fits.iter().enumerate().filter(|(row, _)| possible(*row));
        let most = fits.map(|(_, &fit)| fit).fold(f64::MIN, f64::max);
        most / way.of_itself(hpo, &subject.observed).max(f64::MIN_POSITIVE)
    })
}

fn auc(scores: &[(f64, f64)]) -> f64 {
    let mut others: Vec<f64> = scores.iter().map(|s| s.1).collect();
    others.sort_by(f64::total_cmp);
    let mut wins = 0.0;
    for &(member, _) in scores {
        let below = others.partition_point(|&o| o < member);
        let upto = others.partition_point(|&o| o <= member);
        wins += float(below) + float(upto - below) / 2.0;
    }
    wins / (float(scores.len()) * float(others.len()))
}

/// Advantage on `on` with the way and the threshold that are best on `by`.
fn crossed(scores: &[Vec<(f64, f64)>], by: &[usize], on: &[usize]) -> f64 {
    let rate = |way: usize, threshold: f64, of: &[usize]| {
        let passes = |value: f64| f64::from(u8::from(value >= threshold));
        let sum: f64 = of
            .iter()
            .map(|&at| passes(scores[way][at].0) - passes(scores[way][at].1))
            .sum();
        sum / float(of.len().max(1))
    };
    let mut best = (f64::MIN, 0, f64::INFINITY);
    for (way, list) in scores.iter().enumerate() {
        for threshold in thresholds(list, by) {
            let rate = rate(way, threshold, by);
            if rate > best.0 {
                best = (rate, way, threshold);
            }
        }
    }
    rate(best.1, best.2, on)
}

/// At most 200 quantiles of what was seen.
fn thresholds(list: &[(f64, f64)], by: &[usize]) -> Vec<f64> {
    let mut seen: Vec<f64> = by.iter().flat_map(|&at| [list[at].0, list[at].1]).collect();
    seen.sort_by(f64::total_cmp);
    seen.dedup();
    let step = seen.len().div_ceil(200).max(1);
    seen.into_iter().step_by(step).collect()
}
