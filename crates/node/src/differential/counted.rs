//! Solved cases of this node whose subjects agreed to be counted for others.
//!
//! In memory, from the profiles in their compartments; what leaves here are sums.

use codec::id::SubjectId;
use codec::time::Millis;
use diagnosis::{CaseCounts, StoredCase};
use ontology::DiseaseIx;
use std::collections::BTreeMap;

/// The cases and their sums.
#[derive(Default)]
pub(crate) struct Counted {
    cases: BTreeMap<SubjectId, Case>,
    counts: CaseCounts,
}

/// A case, and until when its subject agreed.
#[derive(PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) stored: StoredCase,
    pub(crate) until: Millis,
}

impl Counted {
    pub(crate) fn counts(&self) -> &CaseCounts {
        &self.counts
    }

    /// Counts a subject's case, instead of the one before; whether that changed anything.
    pub(crate) fn put(&mut self, subject: SubjectId, case: Case) -> bool {
        if self.cases.get(&subject) == Some(&case) {
            return false;
        }
        self.remove(&subject);
        self.counts.add(&case.stored);
        self.cases.insert(subject, case);
        true
    }

    /// Takes a subject's case away; whether there was one.
    pub(crate) fn remove(&mut self, subject: &SubjectId) -> bool {
        let Some(case) = self.cases.remove(subject) else {
            return false;
        };
        // INVARIANT: what is here was added, so that it can be withdrawn.
        self.counts.withdraw(&case.stored).is_ok()
    }

    /// Takes the cases away whose grants are over; whether there were any.
    pub(crate) fn expire(&mut self, now: Millis) -> bool {
        let over = self.cases.iter().filter(|(_, case)| case.until <= now);
        let over: Vec<SubjectId> = over.map(|(subject, _)| *subject).collect();
        for subject in &over {
            self.remove(subject);
        }
        !over.is_empty()
    }

    /// For a subject whose case counts: its disease, and the counts without it and without those that share
    /// its paper.
    pub(crate) fn without(&self, subject: &SubjectId) -> Option<(DiseaseIx, CaseCounts)> {
        let own = &self.cases.get(subject)?.stored;
        let cases = self.cases.values().map(|case| &case.stored);
        let of_disease = cases.filter(|case| case.disease == own.disease);
        Some((own.disease, CaseCounts::without(of_disease, &own.key)))
    }
}
