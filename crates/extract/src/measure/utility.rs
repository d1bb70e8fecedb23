//! What is left to learn from a release: held-out people diagnosed by it.
//!
//! A row speaks for its diagnosis as well as it fits the person's observed terms (shared over all
//! information; of several measures the best for raw records and for clusters); a diagnosis is as
//! good as the best of its rows. Ranks of equals are averaged.

use crate::{
    attack::{Made, View, Way},
    hpo::Hpo,
    subject::Subject,
};
use ontology::DiseaseId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Shares of the people held out, 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Utility {
    /// The right diagnosis comes first.
    pub top1: f64,
    /// Among the first ten.
    pub top10: f64,
    /// People held out whose diagnosis somebody released has.
    pub people: u32,
}

impl Utility {
    /// Over all the people: each counts once.
    pub(crate) fn mean<'a>(of: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let people: u32 = of.clone().map(|u| u.people).sum();
        let share = |value: fn(&Self) -> f64| {
            let right: f64 = of.clone().map(|u| value(u) * f64::from(u.people)).sum();
            right / f64::from(people.max(1))
        };
        Self {
            top1: share(|u| u.top1),
            top10: share(|u| u.top10),
            people,
        }
    }
}

/// Diagnoses `held_out` by what was made of `subjects`: those of them whose diagnosis somebody in
/// the extract has.
#[must_use]
pub fn diagnosed(
    hpo: &Hpo<'_>,
    subjects: &[Subject],
    made: Made<'_>,
    held_out: &[Subject],
) -> Utility {
    let view = View::of(hpo, subjects, made);
    let known: BTreeSet<DiseaseId> = view
        .rows
        .iter()
        .flat_map(|row| &row.members)
        .filter_map(|&at| subjects[at as usize].diagnosis)
        .collect();
    let mut out = Utility::default();
    for subject in held_out {
        let Some(diagnosis) = subject.diagnosis.filter(|d| known.contains(d)) else {
            continue;
        };
        out.people += 1;
        let Some(rank) = rank(hpo, &view, subject, diagnosis) else {
            continue;
        };
        out.top1 += within(rank, 1);
        out.top10 += within(rank, 10);
    }
    let all = f64::from(out.people.max(1));
    out.top1 /= all;
    out.top10 /= all;
    out
}

/// How many are better, and how many as good, the right one counted.
fn rank(hpo: &Hpo<'_>, view: &View, subject: &Subject, diagnosis: DiseaseId) -> Option<(u32, u32)> {
    let fits = view.fits(hpo, &subject.observed, Way::Overlap);
    let mut best: BTreeMap<DiseaseId, f64> = BTreeMap::new();
    for (fit, row) in fits.iter().zip(&view.rows) {
        for &told in &row.diagnoses {
            let slot = best.entry(told).or_insert(f64::NEG_INFINITY);
            *slot = slot.max(*fit);
        }
    }
    let own = *best.get(&diagnosis)?;
    let near = 1e-9 * (1.0 + own.abs());
    let count = |test: &dyn Fn(f64) -> bool| {
        let count = best.values().filter(|&&fit| test(fit)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    Some((
        count(&|fit| fit > own + near),
        count(&|fit| (fit - own).abs() <= near),
    ))
}

/// The chance that the right one is among the first `places` if equals are shuffled.
fn within((better, equal): (u32, u32), places: u32) -> f64 {
    let left = f64::from(places.saturating_sub(better));
    (left / f64::from(equal.max(1))).min(1.0)
}
