//! What a patient's findings share with every term, kept while findings come and go.

use crate::model::{Model, number};
use ontology::TermIx;

/// Per term of the ontology. The same for the same findings, in whatever order they came.
pub(crate) struct Overlap {
    /// How many findings are the term or a kind of it.
    below: Vec<u16>,
    /// For terms that any disease shows: the greatest information content shared with a finding.
    shared: Vec<f32>,
    /// The same over the term's own, 0 to 1.
    similarity: Vec<f32>,
}

impl Overlap {
    pub(crate) fn new(model: &Model, observed: &[TermIx]) -> Self {
        let mut out = Self {
            below: vec![0; model.terms.len()],
            shared: vec![0.0; model.terms.len()],
            similarity: vec![0.0; model.terms.len()],
        };
        for &term in observed {
            for &(above, _) in model.ancestors.row(number(term) as usize) {
                out.below[above as usize] += 1;
            }
        }
        if !observed.is_empty() {
            out.refresh(model);
        }
        out
    }

    /// A finding more.
    pub(crate) fn add(&mut self, model: &Model, term: u32) {
        let mut changed = Vec::new();
        for &(above, _) in model.ancestors.row(term as usize) {
            let below = &mut self.below[above as usize];
            *below += 1;
            if *below == 1 {
                changed.push(above);
            }
        }
        self.renew(model, &changed);
    }

    /// A finding less: one that was added.
    pub(crate) fn remove(&mut self, model: &Model, term: u32) {
        let mut changed = Vec::new();
        for &(above, _) in model.ancestors.row(term as usize) {
            let below = &mut self.below[above as usize];
            *below -= 1;
            if *below == 0 {
                changed.push(above);
            }
        }
        self.renew(model, &changed);
    }

    /// Per term that any disease shows: the greatest information content shared with a finding.
    pub(crate) fn shared(&self) -> &[f32] {
        &self.shared
    }

    /// Per term: how much of its information is shared, 0 to 1.
    pub(crate) fn similarity(&self) -> &[f32] {
        &self.similarity
    }

    /// Works out again what lies below terms that came to be, or are no longer, among the findings'.
    fn renew(&mut self, model: &Model, changed: &[u32]) {
        let rows = || {
            changed
                .iter()
                .map(|&term| model.shown_below.row(term as usize))
        };
        if rows().map(<[u32]>::len).sum::<usize>() > model.order.len() {
            self.refresh(model);
            return;
        }
        // In a row, parents come before children. What lies below two of the terms is right after the
        // later of the two rows.
        for &term in rows().flatten() {
            let at = term as usize;
            let common = if self.below[at] > 0 {
                model.information[at]
            } else {
                let parents = model.parents.row(at).iter();
                parents.fold(0.0, |most, &p| self.shared[p as usize].max(most))
            };
            self.set(model, at, common);
        }
    }

    /// Works all out again.
    fn refresh(&mut self, model: &Model) {
        self.shared.fill(0.0);
        for &[term, one, other] in &model.order {
            let at = term as usize;
            let common = if self.below[at] > 0 {
                model.information[at]
            } else {
                // A term of many parents comes several times: what the first said stays.
                let parents = self.shared[one as usize].max(self.shared[other as usize]);
                self.shared[at].max(parents)
            };
            self.set(model, at, common);
        }
    }

    fn set(&mut self, model: &Model, at: usize, common: f32) {
        self.shared[at] = common;
        self.similarity[at] = (common / model.information[at].max(0.1)).min(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cases::CaseCounts, weights::Weights};
    use ontology::{Ontology, Shipped};

    #[test]
    fn coming_and_going_is_a_fresh_start() {
        let ontology = Ontology::from_sources(&Shipped::unpack().sources()).expect("shipped");
        let weights = Weights::shipped().expect("weights");
        let model = Model::new(&ontology, weights, &CaseCounts::default());
        let root = ontology.roots().phenotypic_abnormality;
        let terms = ontology.descendants(root);
        let mut kept = Overlap::new(&model, &[]);
        let mut observed: Vec<TermIx> = Vec::new();
        // A walk over terms far apart; what came three before goes.
        for step in 0..60 {
            let (term, _) = terms[step * 7_919 % terms.len()];
            if !observed.contains(&term) {
                kept.add(&model, number(term));
                observed.push(term);
            }
            if step % 4 == 3 {
                kept.remove(&model, number(observed.remove(0)));
            }
            let fresh = Overlap::new(&model, &observed);
            assert_eq!(kept.below, fresh.below);
            assert_eq!(kept.shared, fresh.shared);
            assert_eq!(kept.similarity, fresh.similarity);
        }
    }
}
