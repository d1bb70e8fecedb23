//! Solved cases of this node whose subjects agreed to be counted for others.
//!
//! In memory, from the profiles in their compartments; what leaves here are sums. A [`Made`] is a model with
//! the very cases that are in it, so that what is set aside for a subject fits what the model holds.

use codec::id::SubjectId;
use codec::time::Millis;
use diagnosis::{CaseCounts, CaseKey, Model, StoredCase, Weights};
use ontology::{DiseaseIx, Ontology, TermIx};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A case that counts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) disease: DiseaseIx,
    pub(crate) observed: BTreeSet<TermIx>,
    /// The publications about it.
    pub(crate) papers: BTreeSet<String>,
    /// Until when its subject agreed.
    pub(crate) until: Millis,
}

/// The cases as they are now.
#[derive(Default)]
pub(crate) struct Counted(BTreeMap<SubjectId, Case>);

impl Counted {
    /// Counts a subject's case, instead of the one before; whether that changed anything.
    pub(crate) fn put(&mut self, subject: SubjectId, case: Case) -> bool {
        if self.0.get(&subject) == Some(&case) {
            return false;
        }
        self.0.insert(subject, case);
        true
    }

    /// Takes a subject's case away; whether there was one.
    pub(crate) fn remove(&mut self, subject: &SubjectId) -> bool {
        self.0.remove(subject).is_some()
    }

    pub(crate) fn has(&self, subject: &SubjectId) -> bool {
        self.0.contains_key(subject)
    }

    /// Takes the cases away whose grants are over; whether there were any.
    pub(crate) fn expire(&mut self, now: Millis) -> bool {
        let before = self.0.len();
        self.0.retain(|_, case| case.until > now);
        self.0.len() < before
    }

    pub(crate) fn cases(&self) -> BTreeMap<SubjectId, Case> {
        self.0.clone()
    }
}

/// A model and the cases that are counted in it.
pub(crate) struct Made {
    pub(crate) model: Arc<Model>,
    cases: BTreeMap<SubjectId, Case>,
    by_paper: BTreeMap<String, Vec<SubjectId>>,
}

/// Diseases as they are known without some of the model's cases.
pub(crate) type Aside = Vec<(DiseaseIx, CaseCounts)>;

impl Made {
    /// A model without cases.
    pub(crate) fn plain(model: Arc<Model>) -> Self {
        Self {
            model,
            cases: BTreeMap::new(),
            by_paper: BTreeMap::new(),
        }
    }

    pub(crate) fn new(
        ontology: &Ontology,
        weights: Weights,
        cases: BTreeMap<SubjectId, Case>,
    ) -> Self {
        let stored: Vec<StoredCase> = cases.values().map(stored).collect();
        let model = Model::new(ontology, weights, &CaseCounts::new(&stored));
        let mut by_paper: BTreeMap<String, Vec<SubjectId>> = BTreeMap::new();
        for (subject, case) in &cases {
            for paper in &case.papers {
                by_paper.entry(paper.clone()).or_default().push(*subject);
            }
        }
        Self {
            model: Arc::new(model),
            cases,
            by_paper,
        }
    }

    /// What is to be set aside for a subject: the diseases of which a case in the model is its own or of one
    /// of its papers, as they are known from the others.
    pub(crate) fn aside(&self, subject: &SubjectId, papers: &BTreeSet<String>) -> Aside {
        if self.cases.is_empty() {
            return Aside::new();
        }
        let of_papers = papers.iter().filter_map(|paper| self.by_paper.get(paper));
        let related: BTreeSet<&SubjectId> = of_papers
            .flatten()
            .chain(std::iter::once(subject))
            .collect();
        let cases = related.iter().filter_map(|other| self.cases.get(other));
        let diseases: BTreeSet<DiseaseIx> = cases.map(|case| case.disease).collect();
        let related = |other: &SubjectId| related.contains(other);
        let without = |disease| {
            let others = self
                .cases
                .iter()
                .filter(|(other, case)| case.disease == disease && !related(other));
            let others: Vec<StoredCase> = others.map(|(_, case)| stored(case)).collect();
            (disease, CaseCounts::new(&others))
        };
        diseases.into_iter().map(without).collect()
    }
}

fn stored(case: &Case) -> StoredCase {
    StoredCase {
        key: CaseKey::default(),
        disease: case.disease,
        observed: case.observed.clone(),
    }
}
