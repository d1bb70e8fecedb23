//! Solved cases of this node whose subjects agreed to be counted for others.
//!
//! In memory, from the profiles in their compartments; what leaves here are sums.

use codec::id::SubjectId;
use diagnosis::{CaseCounts, StoredCase};
use ontology::DiseaseIx;
use std::collections::BTreeMap;

/// The cases and their sums.
#[derive(Default)]
pub(crate) struct Counted {
    cases: BTreeMap<SubjectId, StoredCase>,
    counts: CaseCounts,
}

impl Counted {
    pub(crate) fn counts(&self) -> &CaseCounts {
        &self.counts
    }

    /// Counts a subject's case, instead of the one before; whether that changed anything.
    pub(crate) fn put(&mut self, subject: SubjectId, case: StoredCase) -> bool {
        if self.cases.get(&subject) == Some(&case) {
            return false;
        }
        self.remove(&subject);
        self.counts.add(&case);
        self.cases.insert(subject, case);
        true
    }

    /// Takes a subject's case away; whether there was one.
    pub(crate) fn remove(&mut self, subject: &SubjectId) -> bool {
        let Some(case) = self.cases.remove(subject) else {
            return false;
        };
        // INVARIANT: what is here was added, so that it can be withdrawn.
        self.counts.withdraw(&case).is_ok()
    }

    /// For a subject whose case counts: its disease, and the counts without it and without those that share
    /// its paper.
    pub(crate) fn without(&self, subject: &SubjectId) -> Option<(DiseaseIx, CaseCounts)> {
        let own = self.cases.get(subject)?;
        let of_disease = self
            .cases
            .values()
            .filter(|case| case.disease == own.disease);
        Some((own.disease, CaseCounts::without(of_disease, &own.key)))
    }
}
