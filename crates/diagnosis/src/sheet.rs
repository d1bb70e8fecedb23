//! Stage 2's sums over a patient's findings, for all candidates at once: a row per term, a column per
//! candidate. One finding is the same few operations on neighbouring numbers, whatever the candidate.

use crate::{
    features::exclusion_cost,
    model::Model,
    profile::Profile,
    stage::{Query, narrow, wide},
};

/// How often each of some diseases shows each of some terms.
pub(crate) struct Frequencies {
    values: Vec<f32>,
    width: usize,
}

impl Frequencies {
    /// Of the `terms` (rows) and the diseases at `slots` (columns), in those orders.
    pub(crate) fn new(model: &Model, terms: &[u32], slots: &[u16]) -> Self {
        let width = slots.len();
        let mut values = vec![0.0_f32; width * terms.len()];
        if values.is_empty() {
            return Self { values, width };
        }
        let mut column = vec![u16::MAX; model.entries.len()];
        for (at, &slot) in (0_u16..).zip(slots) {
            column[usize::from(slot)] = at;
        }
        let mut general = Vec::new();
        for (place, row) in values.chunks_exact_mut(width).enumerate() {
            let term = terms[place];
            if let Some(number) = model.general.number(term) {
                general.push((place, number));
            } else {
                for &(slot, frequency) in model.shown_by.row(term as usize) {
                    if let Some(value) = row.get_mut(usize::from(column[usize::from(slot)])) {
                        *value = frequency;
                    }
                }
            }
        }
        for (at, &slot) in slots.iter().enumerate() {
            let frequencies = model.general.frequencies(slot);
            for &(place, number) in &general {
                values[place * width + at] = frequencies[number];
            }
        }
        Self { values, width }
    }

    /// Of the term that was given at `place`: one value per disease.
    fn row(&self, place: usize) -> &[f32] {
        &self.values[place * self.width..(place + 1) * self.width]
    }

    /// Puts another profile's in the place of those of the disease at `at`.
    pub(crate) fn replace(&mut self, at: usize, terms: &[u32], profile: &Profile) {
        for (row, &term) in self.values.chunks_exact_mut(self.width).zip(terms) {
            row[at] = profile.frequency(term);
        }
    }
}

/// One candidate's sums over the patient's findings.
#[derive(Clone, Copy, Default)]
pub(crate) struct Forward {
    /// Information content of what patient and disease share.
    pub(crate) shared: f32,
    /// Product of their closures as vectors.
    pub(crate) product: f32,
    /// Stage 1.
    pub(crate) narrow: f32,
    /// Stage 1, wide.
    pub(crate) wide: f32,
    /// Stage 1 of the three findings that it likes best.
    pub(crate) best_three: f32,
    /// Resnik similarity.
    pub(crate) resnik: f32,
    /// The same, each over its finding's own information.
    pub(crate) lin: f32,
    /// Findings that it has nothing to do with.
    pub(crate) foreign: f32,
    /// Geometric means of Resnik similarity and shared information.
    pub(crate) phenodigm: f32,
    /// Cost of the exclusions: never positive.
    pub(crate) excluded: f32,
}

/// Information content under which sharing says nothing.
const FOREIGN_UNDER: f32 = 1.0;

/// The sums of every candidate, in the order of the columns.
pub(crate) fn forward(
    model: &Model,
    query: &Query<'_>,
    shown: &Frequencies,
    excluded: &Frequencies,
) -> Vec<Forward> {
    let mut out = vec![Forward::default(); shown.width];
    for (place, &ic) in query.information_at.iter().enumerate() {
        for (sums, &f) in out.iter_mut().zip(shown.row(place)) {
            sums.shared += if f > 0.0 { ic } else { 0.0 };
            sums.product += f * ic * ic;
        }
    }
    let mut best = vec![[f32::NEG_INFINITY; 3]; shown.width];
    let mut one = Finding::new(shown.width);
    for (finding, &term) in query.observed.iter().enumerate() {
        one.start();
        for link in query.links.row(finding) {
            let row = shown.row(usize::from(link.place));
            one.meet(row, link.narrow, link.wide, link.information);
        }
        one.score();
        let own = model.information[term as usize].max(0.1);
        for (at, sums) in out.iter_mut().enumerate() {
            let (score, resnik) = (one.near[at], one.resnik[at]);
            sums.narrow += score;
            sums.wide += one.far[at];
            insert(&mut best[at], score);
            sums.resnik += resnik;
            sums.lin += resnik / own;
            sums.foreign += f32::from(u8::from(resnik < FOREIGN_UNDER));
            let shared = sums.shared / query.information.max(1e-6);
            sums.phenodigm += (resnik * shared).sqrt();
        }
    }
    for (sums, best) in out.iter_mut().zip(&best) {
        sums.best_three = best.iter().filter(|b| b.is_finite()).sum();
    }
    for place in 0..query.excluded.len() {
        for (sums, &f) in out.iter_mut().zip(excluded.row(place)) {
            // INVARIANT: never positive, and each exclusion can only lower it.
            sums.excluded += exclusion_cost(f);
        }
    }
    out
}

/// What one finding is to every candidate: the greatest over its ancestors.
struct Finding {
    near: Vec<f32>,
    far: Vec<f32>,
    resnik: Vec<f32>,
}

impl Finding {
    fn new(width: usize) -> Self {
        Self {
            near: vec![0.0; width],
            far: vec![0.0; width],
            resnik: vec![0.0; width],
        }
    }

    fn start(&mut self) {
        self.near.fill(0.0);
        self.far.fill(0.0);
        self.resnik.fill(0.0);
    }

    /// One ancestor, shown with these frequencies.
    fn meet(&mut self, row: &[f32], narrow: f32, wide: f32, information: f32) {
        let places = self.near.iter_mut().zip(&mut self.far);
        for (((near, far), resnik), &f) in places.zip(&mut self.resnik).zip(row) {
            *near = greater(*near, f * narrow);
            *far = greater(*far, f * wide);
            *resnik = greater(*resnik, if f > 0.0 { information } else { 0.0 });
        }
    }

    /// Makes scores of the ratios.
    fn score(&mut self) {
        for near in &mut self.near {
            *near = narrow(*near);
        }
        for far in &mut self.far {
            *far = wide(*far);
        }
    }
}

/// The greater of two numbers: one instruction, where `f32::max` looks for what is not a number.
pub(crate) fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// Keeps the three greatest, greatest first.
fn insert(best: &mut [f32; 3], value: f32) {
    let [first, second, third] = *best;
    let less = |a: f32, b: f32| if a < b { a } else { b };
    let down = less(first, value);
    *best = [
        greater(first, value),
        greater(second, down),
        greater(third, less(second, down)),
    ];
}
