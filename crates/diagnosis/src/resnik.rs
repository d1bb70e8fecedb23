//! A reference to stand beside: Resnik similarity, symmetric best-match average, all diseases.
//! Köhler et al., AJHG 2009, equation 2, without its p-values.

use crate::{
    model::{Model, number},
    overlap::Overlap,
};
use ontology::{DiseaseIx, TermIx};

/// Ranks a model's diseases by similarity alone.
#[derive(Debug)]
pub struct Resnik<'m> {
    model: &'m Model,
}

impl<'m> Resnik<'m> {
    /// Over the diseases and information content of `model`.
    #[must_use]
    pub fn new(model: &'m Model) -> Self {
        Self { model }
    }

    /// Similarity of every disease, in the model's order, in nats.
    #[must_use]
    pub fn scores(&self, observed: &[TermIx]) -> Vec<f32> {
        let model = self.model;
        let overlap = Overlap::new(model, observed);
        let shared = overlap.shared();
        let mut forward = vec![0.0_f32; model.entries.len()];
        let mut best = vec![0.0_f32; model.entries.len()];
        for &term in observed {
            best.fill(0.0);
            for &(ancestor, _) in model.ancestors.row(number(term) as usize) {
                let information = model.information[ancestor as usize];
                for &(slot, _) in model.shown_by.row(ancestor as usize) {
                    let place = &mut best[usize::from(slot)];
                    *place = place.max(information);
                }
            }
            for (sum, best) in forward.iter_mut().zip(&best) {
                *sum += best;
            }
        }
        let count = observed.len().max(1) as f32;
        let back = model.entries.iter().map(|entry| {
            let terms = &entry.profile.annotated;
            let sum: f32 = terms.iter().map(|&(t, _)| shared[t as usize]).sum();
            sum / terms.len().max(1) as f32
        });
        let both = forward.iter().zip(back);
        both.map(|(forward, back)| (forward / count + back) / 2.0)
            .collect()
    }

    /// The best rank of any of `diseases`, from 1; equal scores share the average of their ranks.
    /// `None` if the model has none of them.
    #[must_use]
    pub fn rank_of(&self, observed: &[TermIx], diseases: &[DiseaseIx]) -> Option<f64> {
        let scores = self.scores(observed);
        let slots = diseases.iter().filter_map(|&d| self.model.slot(d));
        let of = |slot: u16| {
            let score = scores[usize::from(slot)];
            let better = scores.iter().filter(|&&s| s > score).count();
            let equal = scores.iter().filter(|&&s| s == score).count();
            better as f64 + (equal as f64 + 1.0) / 2.0
        };
        slots.map(of).min_by(f64::total_cmp)
    }
}
