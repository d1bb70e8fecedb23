//! The fitted numbers, the record of what they were fitted on, and their file.

use crate::features::{FEATURES, Feature};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One fit: a conditional logit and its calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightSet {
    /// One weight per feature, by name, on the features as they are.
    weights: Vec<(String, f64)>,
    /// What the sum is multiplied with before it becomes a probability.
    pub temperature: f64,
    /// Log odds that it is none of the candidates, where the first has half of their probability.
    pub outside: f64,
    /// How much these log odds fall with each unit of the first's own (never negative).
    pub outside_slope: f64,
}

/// The calibration of a set of weights, as in [`WeightSet`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calibration {
    pub(crate) temperature: f64,
    pub(crate) outside: f64,
    pub(crate) outside_slope: f64,
}

/// What the weights were fitted on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedOn {
    /// XXH3-64 of the case file, hexadecimal.
    pub case_file: String,
    /// Cases in the file.
    pub cases: usize,
    /// Cases that took part.
    pub cases_used: usize,
    /// Diseases among them (groups of ids that occur together).
    pub diseases: usize,
    /// Folds over diseases.
    pub folds: usize,
    /// Strength of the quadratic penalty on standardised weights, as text.
    pub regularisation: String,
    /// The ontology's sources: name, version and digest of each.
    pub sources: Vec<String>,
}

/// The shipped weights: fitted on everything, and once per fold without that fold's diseases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Version of this file's layout and of the features it is for.
    pub version: u32,
    /// What it was fitted on.
    pub fitted_on: FittedOn,
    /// From all cases: what is used for patients.
    pub full: WeightSet,
    /// Fold `k`: from the diseases that are not in fold `k`. For measuring only.
    pub folds: Vec<WeightSet>,
    /// Disease ids of the fitted cases and their fold: these are measured with that fold's weights.
    pub fold_of: std::collections::BTreeMap<String, usize>,
}

/// A weights file that cannot be used.
#[derive(Debug, Error)]
pub enum NotWeights {
    /// Not the JSON expected.
    #[error("the weights file is not readable: make it again with `cargo xtask fit-diagnosis`")]
    Malformed(#[from] serde_json::Error),
    /// Another version.
    #[error(
        "the weights file has version {found}, this program needs {FILE_VERSION}: make it again with `cargo xtask fit-diagnosis`"
    )]
    Version {
        /// The version found.
        found: u32,
    },
    /// A feature is missing, unknown or has a number that is not allowed.
    #[error(
        "the weight of '{feature}' is missing, unknown or not allowed: make the file again with `cargo xtask fit-diagnosis`"
    )]
    Feature {
        /// Its name.
        feature: String,
    },
}

/// Six places: what is written is what was fitted with, to the bit.
fn rounded(x: f64) -> f64 {
    (x * 1e6).round() / 1e6
}

/// Version of the weights file.
pub(crate) const FILE_VERSION: u32 = 1;

/// The weights that ship.
const SHIPPED: &str = include_str!("../data/weights.json");

impl WeightSet {
    pub(crate) fn new(weights: &[f64], calibration: Calibration) -> Self {
        Self {
            weights: FEATURES
                .iter()
                .zip(weights)
                .map(|(feature, &weight)| (feature.name().to_owned(), rounded(weight)))
                .collect(),
            temperature: rounded(calibration.temperature),
            outside: rounded(calibration.outside),
            outside_slope: rounded(calibration.outside_slope),
        }
    }

    /// Probability that it is none of the candidates, where the first has `share` of theirs.
    pub(crate) fn outside(&self, share: f64) -> f64 {
        let share = share.clamp(1e-6, 1.0 - 1e-6);
        let odds = self.outside - self.outside_slope * (share / (1.0 - share)).ln();
        1.0 / (1.0 + (-odds).exp())
    }

    /// Weights in the order of [`FEATURES`].
    pub(crate) fn vector(&self) -> [f64; Feature::COUNT] {
        let mut out = [0.0; Feature::COUNT];
        for (place, (_, weight)) in out.iter_mut().zip(&self.weights) {
            *place = *weight;
        }
        out
    }

    fn check(&self) -> Result<(), NotWeights> {
        let bad = |feature: &str| NotWeights::Feature {
            feature: feature.to_owned(),
        };
        if self.weights.len() != FEATURES.len() {
            return Err(bad("(number of weights)"));
        }
        for ((name, weight), feature) in self.weights.iter().zip(FEATURES) {
            // INVARIANT: an excluded finding never counts positively for having been excluded.
            let allowed = weight.is_finite() && (*feature != Feature::Excluded || *weight >= 0.0);
            if name != feature.name() || !allowed {
                return Err(bad(name));
            }
        }
        if !(self.temperature > 0.0 && self.outside.is_finite() && self.outside_slope >= 0.0) {
            return Err(bad("(calibration)"));
        }
        Ok(())
    }
}

impl Weights {
    /// The weights that ship with the program.
    pub fn shipped() -> Result<Self, NotWeights> {
        Self::read(SHIPPED.as_bytes())
    }

    /// No weights at all, to fit from: every disease gets the same probability.
    #[must_use]
    pub fn unfitted() -> Self {
        Self {
            version: FILE_VERSION,
            fitted_on: FittedOn::default(),
            full: WeightSet::new(
                &[0.0; Feature::COUNT],
                Calibration {
                    temperature: 1.0,
                    outside: 0.0,
                    outside_slope: 0.0,
                },
            ),
            folds: Vec::new(),
            fold_of: std::collections::BTreeMap::new(),
        }
    }

    /// Reads a weights file and checks it: every feature in its place, all numbers finite, the
    /// weight of exclusions not negative.
    pub fn read(bytes: &[u8]) -> Result<Self, NotWeights> {
        let weights: Self = serde_json::from_slice(bytes)?;
        if weights.version != FILE_VERSION {
            return Err(NotWeights::Version {
                found: weights.version,
            });
        }
        weights.full.check()?;
        for fold in &weights.folds {
            fold.check()?;
        }
        Ok(weights)
    }

    /// The file's bytes.
    pub fn write(&self) -> Result<Vec<u8>, NotWeights> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The weights that never saw any of these diseases; the shipped ones where none did.
    #[must_use]
    pub fn unseen(&self, diseases: &[String]) -> &WeightSet {
        diseases
            .iter()
            .find_map(|id| self.fold_of.get(id))
            .and_then(|&fold| self.folds.get(fold))
            .unwrap_or(&self.full)
    }
}
