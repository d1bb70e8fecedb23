//! Fitting the weights, and measuring them on diseases they never saw.
//!
//! Cases of the same disease (or of ids that occur together in a case) stay in one fold. The
//! weights of fold `k` come from the other folds; the calibration of fold `k` from what the other
//! folds' weights said of *their* unseen cases.

mod logit;

use crate::{
    features::Feature,
    math::shares,
    measure::{Case, Corpus, Part},
    model::Model,
    session::Session,
    weights::{Calibration, FILE_VERSION, FittedOn, WeightSet, Weights},
};
use logit::Example;
use ontology::Ontology;
use std::collections::BTreeMap;

/// Folds over diseases.
pub const FOLDS: usize = 5;
/// Strength of the quadratic penalty on standardised weights.
const PENALTY: f64 = 2.0;
/// Cases of one disease from one corpus that take part at most.
const PER_DISEASE: usize = 12;
/// Weight of a case that the annotations of its disease cite: the answer key contains it.
const CITED: f64 = 0.15;
/// Weight of a case about a structural variant.
const STRUCTURAL: f64 = 0.5;
/// A disease whose cases weigh `w` together, more than 1, counts as `w^(1 - TAMING)`.
const TAMING: f64 = 0.4;

/// Fits the weights. Deterministic. `case_file` names the bytes the cases were read from; features
/// named in `left_out` get no weight, to see what they are worth.
#[must_use]
pub fn fit(
    ontology: &Ontology,
    model: &Model,
    cases: &[Case],
    case_file: &str,
    left_out: &[String],
) -> Weights {
    let groups = groups(cases);
    let (examples, used) = examples(model, cases, &groups);
    let every: Vec<&Example> = examples.iter().collect();
    let scale = logit::scale(&every);
    let sets: Vec<[f64; Feature::COUNT]> = (0..FOLDS)
        .map(|fold| {
            let others: Vec<&Example> = examples.iter().filter(|e| e.fold != fold).collect();
            logit::fit(&others, &scale, PENALTY, left_out)
        })
        .collect();
    let full = logit::fit(&every, &scale, PENALTY, left_out);
    let unseen: Vec<Unseen> = examples
        .iter()
        .filter(|e| e.calibrates)
        .map(|e| Unseen {
            fold: e.fold,
            weight: e.weight,
            scores: e.scores(&sets[e.fold]),
            truth: e.truth.clone(),
        })
        .collect();
    let calibrated = |weights: &[f64; Feature::COUNT], without: Option<usize>| {
        WeightSet::new(weights, calibrate(&unseen, without))
    };
    let diseases: std::collections::BTreeSet<&String> = groups.values().collect();
    Weights {
        version: FILE_VERSION,
        fitted_on: FittedOn {
            case_file: case_file.to_owned(),
            cases: cases.len(),
            cases_used: used,
            diseases: diseases.len(),
            folds: FOLDS,
            regularisation: format!("quadratic penalty {PENALTY} on standardised weights"),
            sources: ontology
                .versions()
                .map(|v| format!("{} {}", v.file, v.version))
                .collect(),
        },
        full: calibrated(&full, None),
        folds: (0..FOLDS)
            .map(|fold| calibrated(&sets[fold], Some(fold)))
            .collect(),
        fold_of: groups
            .iter()
            .map(|(id, group)| (id.clone(), fold(group)))
            .collect(),
    }
}

/// Disease ids to the least id of those they occur with.
fn groups(cases: &[Case]) -> BTreeMap<String, String> {
    let mut group: BTreeMap<String, String> = BTreeMap::new();
    for case in cases {
        let ids = &case.diseases;
        let Some(least) = ids
            .iter()
            .map(|id| group.get(id).unwrap_or(id))
            .min()
            .cloned()
        else {
            continue;
        };
        let joined: Vec<String> = ids
            .iter()
            .map(|id| group.get(id).unwrap_or(id).clone())
            .collect();
        for value in group.values_mut() {
            if joined.contains(value) {
                value.clone_from(&least);
            }
        }
        for id in ids {
            group.insert(id.clone(), least.clone());
        }
    }
    group
}

/// The fold of a group: by a hash of its name, so that other cases do not move it.
fn fold(group: &str) -> usize {
    let hash = xxhash_rust::xxh3::xxh3_64(group.as_bytes());
    usize::try_from(hash % FOLDS as u64).unwrap_or(0)
}

fn examples(
    model: &Model,
    cases: &[Case],
    groups: &BTreeMap<String, String>,
) -> (Vec<Example>, usize) {
    let mut taken: BTreeMap<(&str, Corpus, Option<bool>), usize> = BTreeMap::new();
    let mut out = Vec::new();
    let mut owners = Vec::new();
    for case in cases {
        let Some(first) = case.diseases.first() else {
            continue;
        };
        let group = groups.get(first).unwrap_or(first);
        let count = taken
            .entry((group.as_str(), case.corpus, case.cited))
            .or_default();
        *count += 1;
        if case.corpus == Corpus::PhenopacketStore && *count > PER_DISEASE {
            continue;
        }
        let slots: Vec<u16> = case.known.iter().filter_map(|&d| model.slot(d)).collect();
        if slots.is_empty() {
            continue;
        }
        let weight = match (case.corpus, case.cited) {
            (Corpus::PhenopacketStore, Some(true)) => CITED,
            (Corpus::StructuralVariants, _) => STRUCTURAL,
            _ => 1.0,
        };
        // Genes would answer for the phenotype: left out.
        let session = Session::new(model, case.findings.clone());
        let (candidates, _) = session.candidates();
        let truth: Vec<usize> = candidates
            .iter()
            .enumerate()
            .filter(|(_, (slot, _))| slots.contains(slot))
            .map(|(at, _)| at)
            .collect();
        out.push(Example {
            features: candidates.into_iter().map(|(_, x)| x).collect(),
            truth,
            weight,
            fold: fold(group),
            calibrates: Part::Unseen.holds(case),
        });
        owners.push(group.as_str());
    }
    let mut total: BTreeMap<&str, f64> = BTreeMap::new();
    for (example, owner) in out.iter().zip(&owners) {
        *total.entry(owner).or_default() += example.weight;
    }
    for (example, owner) in out.iter_mut().zip(&owners) {
        example.weight /= total[owner].max(1.0).powf(TAMING);
    }
    let used = out.len();
    (out, used)
}

struct Unseen {
    fold: usize,
    weight: f64,
    scores: Vec<f64>,
    truth: Vec<usize>,
}

/// The calibration with the least log loss on unseen cases.
fn calibrate(unseen: &[Unseen], without: Option<usize>) -> Calibration {
    let used = || unseen.iter().filter(|u| Some(u.fold) != without);
    let loss = |temperature: f64| -> f64 {
        used()
            .filter(|u| !u.truth.is_empty())
            .map(|u| {
                let shares = shares(&u.scores, temperature);
                let p: f64 = u.truth.iter().map(|&at| shares[at]).sum();
                -u.weight * p.max(1e-12).ln()
            })
            .sum()
    };
    // The loss is convex in the temperature: a search by thirds.
    let (mut low, mut high) = (0.2, 2.0);
    for _ in 0..40 {
        let third = (high - low) / 3.0;
        if loss(low + third) < loss(high - third) {
            high -= third;
        } else {
            low += third;
        }
    }
    let temperature = f64::midpoint(low, high);
    let points: Vec<(f64, f64, f64)> = used()
        .map(|u| {
            let first = shares(&u.scores, temperature)
                .into_iter()
                .fold(0.0, f64::max);
            let first = first.clamp(1e-6, 1.0 - 1e-6);
            let lost = if u.truth.is_empty() { 1.0 } else { 0.0 };
            ((first / (1.0 - first)).ln(), lost, u.weight)
        })
        .collect();
    let (outside, slope) = logistic(&points);
    Calibration {
        temperature,
        outside,
        outside_slope: (-slope).max(0.0),
    }
}

/// Logistic regression of `(x, y, weight)` with a slight penalty: intercept and slope, by Newton.
fn logistic(points: &[(f64, f64, f64)]) -> (f64, f64) {
    let (mut a, mut b) = (0.0, 0.0);
    for _ in 0..25 {
        let (mut ga, mut gb, mut aa, mut ab, mut bb) = (-0.01 * a, -0.01 * b, 0.01, 0.0, 0.01);
        for &(x, y, weight) in points {
            let p = 1.0 / (1.0 + f64::exp(-(a + b * x)));
            let (error, curve) = (weight * (y - p), weight * p * (1.0 - p));
            ga += error;
            gb += error * x;
            aa += curve;
            ab += curve * x;
            bb += curve * x * x;
        }
        let determinant = aa * bb - ab * ab;
        a += ((bb * ga - ab * gb) / determinant).clamp(-2.0, 2.0);
        b += ((aa * gb - ab * ga) / determinant).clamp(-2.0, 2.0);
    }
    (a, b)
}
