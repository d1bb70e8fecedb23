//! What is asked of an extract, and when there is none.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most subjects of one extract.
pub const MAX_SUBJECTS: usize = 1_000_000;

/// The most terms, observed and excluded, of one subject.
pub const MAX_TERMS: usize = 2_000;

/// How an extract is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The fewest subjects of a cluster, and the fewest subjects of a cluster that anything shown
    /// of it is true of. From 2.
    pub k: u32,
    /// How many subjects a cluster is to have where there are enough, in per cent of `k`; up to
    /// twice as many where they are alike. From 100. Ten subjects of whom five must share a thing
    /// tell more, and hide each of them better, than five of whom all must.
    pub size_percent: u32,
    /// What the subjects have in common.
    pub cohort: Cohort,
}

/// Whether the diagnosis is what the subjects were chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum Cohort {
    /// Chosen by diagnosis: each cluster has one diagnosis, which is shown, for to be in the cohort
    /// is to have it. Diagnoses with fewer than `k` subjects, and subjects without one, stay out.
    Diagnosis,
    /// Chosen by something else: diagnoses are somebody's secret.
    Mixed(Diversity),
}

/// When a cluster of a mixed cohort shows diagnoses at all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diversity {
    /// The fewest different diagnoses in the cluster (distinct l-diversity; Machanavajjhala et
    /// al., TKDD 2007). From 2.
    pub l: u32,
    /// The greatest share of the cluster with the same diagnosis, in per cent.
    pub dominance_percent: u32,
    /// Clusters that are not diverse enough are merged with their nearest, up to so many times
    /// `k` subjects; 0: never. What is still not diverse enough shows no diagnosis.
    pub merge_to: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            k: 5,
            size_percent: 200,
            cohort: Cohort::Diagnosis,
        }
    }
}

impl Default for Diversity {
    fn default() -> Self {
        Self {
            l: 3,
            dominance_percent: 50,
            merge_to: 0,
        }
    }
}

impl Config {
    /// How many subjects a cluster is to have.
    pub(crate) fn size(&self) -> usize {
        (self.k as usize * self.size_percent as usize).div_ceil(100)
    }

    pub(crate) fn check(&self) -> Result<(), Refusal> {
        // One cluster may be everybody: of the most subjects, with the least k.
        let everybody = crate::MAX_SUBJECTS.saturating_mul(50);
        let fits = (2..=10_000).contains(&self.k)
            && (100..=everybody).contains(&(self.size_percent as usize));
        let diverse = match self.cohort {
            Cohort::Diagnosis => true,
            Cohort::Mixed(diversity) => diversity.l >= 2 && diversity.dominance_percent <= 100,
        };
        match fits && diverse {
            true => Ok(()),
            false => Err(Refusal::Config),
        }
    }
}

/// Why there is no extract. It says nothing that was not asked for: not how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Fewer than `k` subjects, or than `k` of each diagnosis.
    #[error("fewer than {k} subjects: there is no extract of so few; widen the cohort")]
    TooFew {
        /// What was asked for.
        k: u32,
    },
    /// Settings that mean nothing.
    #[error(
        "the settings of the extract are out of range: k from 2, size from 100 %, shares up to 100 %, l from 2"
    )]
    Config,
    /// Two subjects with one id.
    #[error("two subjects have the same id: join the records of one person first")]
    SameId,
    /// A later extract of the same people is made in the same way.
    #[error(
        "the earlier extract was made with other settings: make this one afresh, or with the same"
    )]
    OtherConfig,
    /// More subjects or terms than are taken.
    #[error("more than {MAX_SUBJECTS} subjects, or more than {MAX_TERMS} terms of one")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cluster_may_be_everybody() {
        let of = |size_percent| Config {
            size_percent,
            ..Config::default()
        };
        let everybody = u32::try_from(crate::MAX_SUBJECTS / 2 * 100).unwrap_or(u32::MAX);
        assert_eq!(of(everybody).check(), Ok(()));
        assert_eq!(of(everybody + 1).check(), Err(Refusal::Config));
        assert_eq!(of(99).check(), Err(Refusal::Config));
        let least = Config {
            k: 2,
            ..of(everybody)
        };
        assert_eq!(least.size(), crate::MAX_SUBJECTS);
    }
}
