//! Conditional logit with a quadratic penalty, by Newton's method.

use crate::{
    features::{FEATURES, Feature},
    math::shares,
    session::dot,
};

const N: usize = Feature::COUNT;
/// Newton steps at most.
const STEPS: usize = 15;
/// Longest step of a standardised weight.
const LONGEST: f64 = 1.5;
/// The weight of exclusions, on the feature as it is, where the cases give it less: published cases
/// exclude what the true disease shows, patients do not.
const EXCLUDED_AT_LEAST: f64 = 0.1;

/// One case: its candidates' features, which of them are right, and how much it counts.
pub(super) struct Example {
    pub(super) features: Vec<[f32; N]>,
    pub(super) truth: Vec<usize>,
    pub(super) weight: f64,
    pub(super) fold: usize,
    pub(super) calibrates: bool,
}

impl Example {
    pub(super) fn scores(&self, weights: &[f64; N]) -> Vec<f64> {
        self.features.iter().map(|x| dot(weights, x)).collect()
    }
}

/// Standard deviation of every feature over all candidates.
pub(super) fn scale(examples: &[&Example]) -> [f64; N] {
    let (mut sum, mut squares, mut count) = ([0.0; N], [0.0; N], 0.0);
    for x in examples.iter().flat_map(|e| &e.features) {
        count += 1.0;
        for k in 0..N {
            sum[k] += f64::from(x[k]);
            squares[k] += f64::from(x[k]) * f64::from(x[k]);
        }
    }
    let mut out = [1.0; N];
    for k in 0..N {
        let variance = squares[k] / f64::max(count, 1.0) - (sum[k] / f64::max(count, 1.0)).powi(2);
        out[k] = variance.max(1e-9).sqrt();
    }
    out
}

/// Weights on the features as they are; those `left_out` get none. The weight of exclusions is kept
/// at its least, or above.
pub(super) fn fit(
    examples: &[&Example],
    scale: &[f64; N],
    penalty: f64,
    left_out: &[String],
) -> [f64; N] {
    let excluded = Feature::Excluded as usize;
    debug_assert_eq!(FEATURES[excluded], Feature::Excluded);
    let least = EXCLUDED_AT_LEAST * scale[excluded];
    let mut weights = [0.0; N];
    let mut held = [false; N];
    for (held, feature) in held.iter_mut().zip(FEATURES) {
        *held = left_out.iter().any(|name| name == feature.name());
    }
    if !held[excluded] {
        weights[excluded] = least;
    }
    for _ in 0..STEPS {
        let (mut gradient, mut hessian) = slope(examples, scale, &weights, penalty);
        for at in (0..N).filter(|&at| held[at]) {
            gradient[at] = 0.0;
            for k in 0..N {
                hessian[at][k] = 0.0;
                hessian[k][at] = 0.0;
            }
            hessian[at][at] = 1.0;
        }
        solve(&mut hessian, &mut gradient);
        let longest = gradient.iter().fold(0.0_f64, |m, step| m.max(step.abs()));
        let shorten = if longest > LONGEST {
            LONGEST / longest
        } else {
            1.0
        };
        for (weight, step) in weights.iter_mut().zip(&gradient) {
            *weight += shorten * step;
        }
        // INVARIANT: exclusions never count positively.
        if weights[excluded] < least && !held[excluded] {
            weights[excluded] = least;
            held[excluded] = true;
        }
        if longest < 1e-4 {
            break;
        }
    }
    for (weight, scale) in weights.iter_mut().zip(scale) {
        *weight /= scale;
    }
    weights
}

type Matrix = [[f64; N]; N];

/// Gradient of the penalised log likelihood, and its negative Hessian.
fn slope(
    examples: &[&Example],
    scale: &[f64; N],
    weights: &[f64; N],
    penalty: f64,
) -> ([f64; N], Box<Matrix>) {
    let mut gradient = weights.map(|w| -penalty * w);
    let mut hessian: Box<Matrix> = Box::new([[0.0; N]; N]);
    for (k, row) in hessian.iter_mut().enumerate() {
        row[k] = penalty;
    }
    let mut raw = [0.0; N];
    for k in 0..N {
        raw[k] = weights[k] / scale[k];
    }
    for example in examples.iter().filter(|e| !e.truth.is_empty()) {
        let p = shares(&example.scores(&raw), 1.0);
        let right: f64 = example
            .truth
            .iter()
            .map(|&at| p[at])
            .sum::<f64>()
            .max(1e-12);
        let (mut mean, mut wanted) = ([0.0; N], [0.0; N]);
        let mut second: Box<Matrix> = Box::new([[0.0; N]; N]);
        for (at, (x, &p)) in example.features.iter().zip(&p).enumerate() {
            let true_here = example.truth.contains(&at);
            if p < 1e-7 && !true_here {
                continue;
            }
            let mut z = [0.0; N];
            for k in 0..N {
                z[k] = f64::from(x[k]) / scale[k];
                mean[k] += p * z[k];
                if true_here {
                    wanted[k] += p / right * z[k];
                }
            }
            for k in 0..N {
                for j in 0..=k {
                    second[k][j] += p * z[k] * z[j];
                }
            }
        }
        for k in 0..N {
            gradient[k] += example.weight * (wanted[k] - mean[k]);
            for j in 0..=k {
                let value = example.weight * (second[k][j] - mean[k] * mean[j]);
                hessian[k][j] += value;
                if j != k {
                    hessian[j][k] += value;
                }
            }
        }
    }
    (gradient, hessian)
}

/// Solves `a x = b` in place (Gauss, with row exchange); `b` becomes `x`.
fn solve(a: &mut Matrix, b: &mut [f64; N]) {
    for k in 0..N {
        let pivot = (k..N)
            .max_by(|&i, &j| a[i][k].abs().total_cmp(&a[j][k].abs()))
            .unwrap_or(k);
        a.swap(k, pivot);
        b.swap(k, pivot);
        let (top, value) = (a[k], b[k]);
        for (row, right) in a.iter_mut().zip(b.iter_mut()).skip(k + 1) {
            let factor = row[k] / top[k];
            for (entry, above) in row.iter_mut().zip(&top).skip(k) {
                *entry -= factor * above;
            }
            *right -= factor * value;
        }
    }
    for k in (0..N).rev() {
        let known: f64 = a[k].iter().zip(&*b).skip(k + 1).map(|(a, x)| a * x).sum();
        b[k] = (b[k] - known) / a[k][k];
    }
}
