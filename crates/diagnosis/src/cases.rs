//! Solved cases of this node as counts beside the published ones. Whoever keeps the cases gives
//! them here; only sums are kept.

use crate::profile::Counts;
use ontology::{DiseaseIx, TermIx};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use thiserror::Error;

/// Nothing that was counted in fewer cases of a disease is shown to anybody.
pub const SHOWN_FROM_CASES: u32 = 5;

/// Where a case comes from: cases that share a paper or a subject are not evidence for one another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct CaseKey {
    /// The publication, if it is published.
    pub paper: Option<String>,
    /// Whose case it is.
    pub subject: Option<String>,
}

impl CaseKey {
    /// Whether the two are about the same paper or the same subject.
    #[must_use]
    pub fn shares(&self, other: &Self) -> bool {
        (self.paper.is_some() && self.paper == other.paper)
            || (self.subject.is_some() && self.subject == other.subject)
    }
}

/// A case whose diagnosis is known. What was excluded is not kept: a case counts as one of its
/// disease's, with or without each term. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredCase {
    /// Where it comes from.
    pub key: CaseKey,
    /// The diagnosis.
    pub disease: DiseaseIx,
    /// Terms seen.
    pub observed: BTreeSet<TermIx>,
}

/// A case was withdrawn that had never been added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the case is not among those counted: withdraw only what was added")]
pub struct NotStored;

#[derive(Clone, Default, PartialEq, Eq)]
struct Tally {
    cases: u32,
    /// Cases with the term.
    affected: BTreeMap<TermIx, u32>,
}

/// Counts per disease and term. Adding and withdrawing a case leaves exactly what was before.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CaseCounts {
    tallies: BTreeMap<DiseaseIx, Tally>,
}

impl CaseCounts {
    /// Counts `cases`.
    pub fn new<'a>(cases: impl IntoIterator<Item = &'a StoredCase>) -> Self {
        let mut counts = Self::default();
        for case in cases {
            counts.add(case);
        }
        counts
    }

    /// Counts every case but those that share a paper or a subject with `key`.
    pub fn without<'a>(cases: impl IntoIterator<Item = &'a StoredCase>, key: &CaseKey) -> Self {
        Self::new(cases.into_iter().filter(|case| !case.key.shares(key)))
    }

    /// Adds one case.
    pub fn add(&mut self, case: &StoredCase) {
        let tally = self.tallies.entry(case.disease).or_default();
        tally.cases += 1;
        for &term in &case.observed {
            *tally.affected.entry(term).or_default() += 1;
        }
    }

    /// Takes one case away.
    pub fn withdraw(&mut self, case: &StoredCase) -> Result<(), NotStored> {
        let tally = self.tallies.get_mut(&case.disease).ok_or(NotStored)?;
        let counted = |term: &TermIx| tally.affected.get(term).is_some_and(|&n| n > 0);
        if tally.cases == 0 || !case.observed.iter().all(counted) {
            return Err(NotStored);
        }
        tally.cases -= 1;
        for term in &case.observed {
            if let Some(count) = tally.affected.get_mut(term) {
                *count -= 1;
            }
        }
        tally.affected.retain(|_, count| *count > 0);
        if tally.cases == 0 {
            self.tallies.remove(&case.disease);
        }
        Ok(())
    }

    /// Cases of a disease with `term`, of how many; `None` from fewer than [`SHOWN_FROM_CASES`]
    /// cases: the only figures of stored cases that may be shown.
    #[must_use]
    pub fn shown(&self, disease: DiseaseIx, term: TermIx) -> Option<(u32, u32)> {
        let tally = self.tallies.get(&disease)?;
        let affected = *tally.affected.get(&term)?;
        (tally.cases >= SHOWN_FROM_CASES && affected >= SHOWN_FROM_CASES)
            .then_some((affected, tally.cases))
    }

    /// The counts of [`CaseCounts::shown`], in the form of published ones.
    pub(crate) fn shown_of(&self, disease: DiseaseIx) -> BTreeMap<TermIx, Counts> {
        let counts = self.of(disease).unwrap_or_default();
        let is_shown = |term: &TermIx| self.shown(disease, *term).is_some();
        counts
            .into_iter()
            .filter(|(term, _)| is_shown(term))
            .collect()
    }

    /// A disease's counts in the form of published ones: of all its cases, those with the term.
    pub(crate) fn of(&self, disease: DiseaseIx) -> Option<BTreeMap<TermIx, Counts>> {
        let tally = self.tallies.get(&disease)?;
        let counts = |affected: u32| Counts {
            affected: affected as f32,
            examined: tally.cases as f32,
        };
        let terms = tally.affected.iter().filter(|(_, count)| **count > 0);
        Some(terms.map(|(&term, &n)| (term, counts(n))).collect())
    }
}

impl fmt::Debug for CaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl fmt::Debug for StoredCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl fmt::Debug for CaseCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaseCounts({} diseases)", self.tallies.len())
    }
}
