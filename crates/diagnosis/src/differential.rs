//! The answer.

use crate::{explain::Explanation, findings::Findings, next::NextFinding, panel::PanelGene};
use ontology::DiseaseIx;

/// One candidate of a ranking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// The disease.
    pub disease: DiseaseIx,
    /// Log of its odds, up to a constant of the patient.
    pub score: f64,
    /// Calibrated probability, 0 to 1.
    pub posterior: f64,
}

/// Candidates, best first; equal scores in the ontology's order of diseases.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// The candidates.
    pub ranked: Vec<Ranked>,
    /// Probability that it is none of them. All probabilities sum to 1 (unless there are none).
    pub outside: f64,
}

impl Ranking {
    /// The rank of a disease, from 1; candidates with equal scores share the average of their
    /// ranks. `None` if it is no candidate.
    #[must_use]
    pub fn rank_of(&self, disease: DiseaseIx) -> Option<f64> {
        let score = self.ranked.iter().find(|r| r.disease == disease)?.score;
        let better = self.ranked.iter().filter(|r| r.score > score).count();
        let equal = self.ranked.iter().filter(|r| r.score == score).count();
        Some(better as f64 + (equal as f64 + 1.0) / 2.0)
    }
}

/// Why no diagnosis is suggested.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Abstained {
    /// Nothing was seen.
    NoFindings,
    /// The best candidate is less likely than [`Abstained::UNDER`].
    Undecided {
        /// Its probability.
        best: f64,
    },
}

impl Abstained {
    /// Probability of the best candidate under which nothing is suggested.
    pub const UNDER: f64 = 0.1;

    pub(crate) fn of(findings: &Findings, ranking: &Ranking) -> Option<Self> {
        if findings.observed().is_empty() {
            return Some(Self::NoFindings);
        }
        let best = ranking.ranked.first().map_or(0.0, |r| r.posterior);
        (best < Self::UNDER).then_some(Self::Undecided { best })
    }
}

/// A candidate and its evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Which disease, how likely.
    pub ranked: Ranked,
    /// Why.
    pub explanation: Explanation,
}

/// The answer for one patient at one moment. Research and evaluation; not for clinical use.
#[derive(Clone, PartialEq)]
pub struct Differential {
    /// Best first.
    pub candidates: Vec<Candidate>,
    /// Probability that it is no candidate at all.
    pub outside: f64,
    /// Why nothing is suggested, if so. The candidates are there all the same, to show the basis.
    pub abstained: Option<Abstained>,
    /// What to look for next, most telling first.
    pub next: Vec<NextFinding>,
    /// Genes by the probability that they are the cause, greatest first.
    pub genes: Vec<PanelGene>,
    /// Version of the weights.
    pub weights: u32,
}

impl std::fmt::Debug for Differential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Differential(<redacted>)")
    }
}
