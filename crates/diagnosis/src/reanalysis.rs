//! When an answer has changed enough to tell somebody.

use crate::differential::{Abstained, Ranking};
use ontology::DiseaseIx;

/// What is kept of an answer, to compare the next one with.
#[derive(Clone, PartialEq)]
pub struct Standing {
    /// The best candidates and their probabilities, best first.
    pub top: Vec<(DiseaseIx, f64)>,
}

/// How many candidates a standing keeps.
const KEPT: usize = 10;
/// A candidate that is told about is at least this likely.
const LIKELY: f64 = 0.25;
/// And has at least this many times its former probability.
const RISEN: f64 = 2.0;
/// A leading diagnosis that falls under half from at least this is told about.
const STRONG: f64 = 0.5;

/// A change that clinicians should see.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// There was no suggestion, now there is one.
    Findable {
        /// The best candidate.
        disease: DiseaseIx,
        /// Its probability.
        posterior: f64,
    },
    /// A disease leads that did not, at least 25 % likely and twice as likely as before.
    Leads {
        /// The disease.
        disease: DiseaseIx,
        /// Its probability before (0 if it was not among the best).
        before: f64,
        /// Its probability now.
        posterior: f64,
    },
    /// The leading diagnosis was at least 50 % likely and is now less than half as likely.
    Doubtful {
        /// The disease.
        disease: DiseaseIx,
        /// Its probability before.
        before: f64,
        /// Its probability now (0 if it is not among the best).
        posterior: f64,
    },
}

impl Standing {
    /// What to keep of a ranking.
    #[must_use]
    pub fn of(ranking: &Ranking) -> Self {
        let best = ranking.ranked.iter().take(KEPT);
        Self {
            top: best.map(|r| (r.disease, r.posterior)).collect(),
        }
    }

    fn suggests(&self) -> Option<(DiseaseIx, f64)> {
        let &(disease, posterior) = self.top.first()?;
        (posterior >= Abstained::UNDER).then_some((disease, posterior))
    }

    fn posterior(&self, disease: DiseaseIx) -> f64 {
        let found = self.top.iter().find(|(d, _)| *d == disease);
        found.map_or(0.0, |(_, posterior)| *posterior)
    }

    /// The one change from `self` to `now` that is worth telling, if any.
    #[must_use]
    pub fn change(&self, now: &Self) -> Option<Change> {
        let (before, after) = (self.suggests(), now.suggests());
        if let (None, Some((disease, posterior))) = (before, after)
            && posterior >= LIKELY
        {
            return Some(Change::Findable { disease, posterior });
        }
        if let Some((disease, posterior)) = after {
            let before = self.posterior(disease);
            let led = self.top.first().is_some_and(|(d, _)| *d == disease);
            if !led && posterior >= LIKELY && posterior >= RISEN * before {
                return Some(Change::Leads {
                    disease,
                    before,
                    posterior,
                });
            }
        }
        let (disease, before) = before?;
        let posterior = now.posterior(disease);
        (before >= STRONG && posterior < before / 2.0).then_some(Change::Doubtful {
            disease,
            before,
            posterior,
        })
    }
}

impl std::fmt::Debug for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Standing(<redacted>)")
    }
}
