//! Strata of cases and what is counted in each.

use crate::measure::{Case, Corpus};
use serde::Serialize;
use std::collections::BTreeMap;

/// A stratum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Uncited cases, the first three of each disease: the headline.
    Uncited,
    /// Uncited cases, each disease counting once.
    UncitedMacro,
    /// Every case of the file.
    All,
    /// The LIRICAL corpus.
    Lirical,
    /// The PhenoBrain corpus.
    PhenoBrain,
    /// Cases whose own paper is in the answer key, the first three of each disease.
    Cited,
    /// All that the calibration is meant for: the uncited (the first three of each disease), the LIRICAL
    /// and the PhenoBrain cases. The other strata are too small to tell a calibration error of 0.05.
    Unseen,
}

/// Cases of one disease in a capped stratum.
const CAP: usize = 3;

impl Part {
    /// Every stratum.
    pub const ALL: &'static [Self] = &[
        Self::Uncited,
        Self::UncitedMacro,
        Self::All,
        Self::Lirical,
        Self::PhenoBrain,
        Self::Cited,
        Self::Unseen,
    ];

    /// What [`Part::Unseen`] is made of.
    const OF_UNSEEN: [Self; 3] = [Self::Uncited, Self::Lirical, Self::PhenoBrain];

    /// As in the JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uncited => "uncited_cap3",
            Self::UncitedMacro => "uncited_macro",
            Self::All => "all",
            Self::Lirical => "lirical",
            Self::PhenoBrain => "phenobrain",
            Self::Cited => "cited_cap3",
            Self::Unseen => "unseen",
        }
    }

    /// Whether a case is of this stratum, caps aside. Uncited: the disease is in HPO's annotations,
    /// they do not cite the case's paper for it, and the case was not collected for its structural
    /// variant.
    #[must_use]
    pub fn holds(self, case: &Case) -> bool {
        let described = case.in_hpoa && case.corpus != Corpus::StructuralVariants;
        match self {
            Self::Uncited | Self::UncitedMacro => described && case.cited == Some(false),
            Self::Cited => described && case.cited == Some(true),
            Self::All => true,
            Self::Lirical => case.corpus == Corpus::Lirical,
            Self::PhenoBrain => case.corpus == Corpus::PhenoBrain,
            Self::Unseen => Self::OF_UNSEEN.iter().any(|part| part.holds(case)),
        }
    }

    /// Positions of its cases.
    #[must_use]
    pub fn select(self, cases: &[Case]) -> Vec<usize> {
        if self == Self::Unseen {
            let of = Self::OF_UNSEEN.iter();
            let mut out: Vec<usize> = of.flat_map(|part| part.select(cases)).collect();
            out.sort_unstable();
            out.dedup();
            return out;
        }
        let capped = matches!(self, Self::Uncited | Self::Cited);
        let mut seen: BTreeMap<Option<&String>, usize> = BTreeMap::new();
        let mut out = Vec::new();
        for (at, case) in cases.iter().enumerate().filter(|(_, c)| self.holds(c)) {
            let count = seen.entry(case.diseases.first()).or_default();
            *count += 1;
            if !capped || *count <= CAP {
                out.push(at);
            }
        }
        out
    }
}

/// One case's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tally {
    /// Rank of the best right answer, from 1, ties averaged; `None` if it was no candidate.
    pub rank: Option<f64>,
    /// The model has none of the right answers: a miss.
    pub missing: bool,
    /// Probability of the first candidate.
    pub confidence: f64,
    /// The first candidate is right.
    pub right: bool,
}

/// Accuracy in one stratum. Fractions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Stratum {
    /// Cases (diseases, where each counts once).
    pub n: usize,
    /// Cases whose disease the model lacks; they count as misses.
    pub missing: usize,
    /// Right answer first.
    pub top1: f64,
    /// Among the first three.
    pub top3: f64,
    /// Among the first five.
    pub top5: f64,
    /// Among the first ten.
    pub top10: f64,
    /// Mean of one over the rank, 0 for a miss.
    pub mrr: f64,
    /// Expected calibration error of the first candidate's probability, ten bins of equal width.
    pub ece: f64,
    /// What `ece` would be on as many cases if every probability were exactly right: chance alone.
    pub ece_by_chance: f64,
}

const BINS: usize = 10;

impl Stratum {
    /// Counts the cases at `chosen`.
    #[must_use]
    pub fn of(part: Part, cases: &[Case], chosen: &[usize], tallies: &[Tally]) -> Self {
        let mut of_disease: BTreeMap<Option<&String>, f64> = BTreeMap::new();
        for &at in chosen {
            *of_disease.entry(cases[at].diseases.first()).or_default() += 1.0;
        }
        let each_once = part == Part::UncitedMacro;
        let (mut total, mut missing, mut within, mut mrr) = (0.0, 0, [0.0; 4], 0.0);
        // Per bin: what was said, what was so, and the variance of the latter if it was well said.
        let mut bins = [(0.0_f64, 0.0_f64, 0.0_f64); BINS];
        for &at in chosen {
            let tally = &tallies[at];
            let weight = match each_once {
                true => 1.0 / of_disease[&cases[at].diseases.first()],
                false => 1.0,
            };
            total += weight;
            missing += usize::from(tally.missing);
            if let Some(rank) = tally.rank {
                for (sum, k) in within.iter_mut().zip([1.0, 3.0, 5.0, 10.0]) {
                    *sum += if rank <= k { weight } else { 0.0 };
                }
                mrr += weight / rank;
            }
            let bin = &mut bins[bin(tally.confidence)];
            bin.0 += weight * tally.confidence;
            bin.1 += if tally.right { weight } else { 0.0 };
            bin.2 += weight * weight * tally.confidence * (1.0 - tally.confidence);
        }
        let share = |sum: f64| if total > 0.0 { sum / total } else { 0.0 };
        Self {
            n: if each_once {
                of_disease.len()
            } else {
                chosen.len()
            },
            missing,
            top1: share(within[0]),
            top3: share(within[1]),
            top5: share(within[2]),
            top10: share(within[3]),
            mrr: share(mrr),
            ece: share(bins.iter().map(|(said, was, _)| (said - was).abs()).sum()),
            // Mean absolute deviation of a normal: its deviation times the root of 2 / pi.
            ece_by_chance: share(
                bins.iter()
                    .map(|bin| (bin.2 * std::f64::consts::FRAC_2_PI).sqrt())
                    .sum(),
            ),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a probability times ten"
)]
fn bin(confidence: f64) -> usize {
    ((confidence.clamp(0.0, 1.0) * BINS as f64) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Findings;

    /// Cases whose every probability is right: what is measured as calibration error then is chance, and
    /// `ece_by_chance` says how much.
    #[test]
    fn chance_alone_makes_the_calibration_error_that_is_told() {
        let case = Case {
            id: String::new(),
            corpus: Corpus::Other,
            in_hpoa: true,
            cited: Some(false),
            diseases: vec!["OMIM:1".to_owned()],
            known: Vec::new(),
            findings: Findings::default(),
            order: Vec::new(),
            paper: None,
        };
        let cases = vec![case; 262];
        let chosen: Vec<usize> = (0..cases.len()).collect();
        let mut state = 1_u64;
        let mut share = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(state >> 32).expect("32 bits")) / f64::from(u32::MAX)
        };
        let (mut measured, mut told, mut under) = (0.0, 0.0, 0);
        for _ in 0..400 {
            let tallies: Vec<Tally> = chosen
                .iter()
                .map(|_| {
                    // More of the low ones, as with patients.
                    let confidence = share() * share();
                    Tally {
                        confidence,
                        right: share() < confidence,
                        ..Tally::default()
                    }
                })
                .collect();
            let stratum = Stratum::of(Part::All, &cases, &chosen, &tallies);
            measured += stratum.ece / 400.0;
            told += stratum.ece_by_chance / 400.0;
            under += usize::from(stratum.ece < 0.03);
        }
        assert!((measured - told).abs() < 0.004, "{measured} {told}");
        // However good the probabilities, so few cases seldom show it.
        assert!(told > 0.04 && under < 80, "{told} {under}");
    }
}
