//! Stage 1: one finding's score for every disease, and which diseases go on to stage 2.
//!
//! For finding `t` and disease `d`: `ln((1 - e) * max over ancestors a of t of
//! F(d, a) * lambda^distance / background(a) + e)`.

use crate::{
    math::{fixed, ln},
    model::Model,
};

/// How much a step up to a more general term costs.
pub(crate) const STEP: f32 = 0.8;
/// Share of findings that the disease has nothing to do with.
pub(crate) const NOISE: f32 = 0.01;
/// The same two for the wide score, which forgives more.
pub(crate) const WIDE_STEP: f32 = 0.95;
pub(crate) const WIDE_NOISE: f32 = 0.1;

/// `STEP^distance`, by distance.
pub(crate) fn steps(step: f32) -> [f32; 256] {
    let mut out = [1.0; 256];
    for distance in 1..256 {
        out[distance] = out[distance - 1] * step;
    }
    out
}

/// What a finding adds where the ratio of frequency to background is `ratio`.
pub(crate) fn narrow(ratio: f32) -> f32 {
    ln((1.0 - NOISE) * ratio + NOISE)
}

/// The same, wide.
pub(crate) fn wide(ratio: f32) -> f32 {
    ln((1.0 - WIDE_NOISE) * ratio + WIDE_NOISE)
}

/// Sums of stage 1, in whole numbers: adding and taking away a finding is exact.
pub(crate) struct Sums {
    pub(crate) sums: Vec<i32>,
    ratio: Vec<f32>,
    steps: [f32; 256],
}

impl Sums {
    pub(crate) fn new(model: &Model) -> Self {
        Self {
            sums: vec![0; model.entries.len()],
            ratio: vec![0.0; model.entries.len()],
            steps: steps(STEP),
        }
    }

    /// Adds (`sign` 1) or takes away (-1) a finding.
    pub(crate) fn change(&mut self, model: &Model, term: u32, sign: i32) {
        self.ratio.fill(0.0);
        for &(ancestor, distance) in model.ancestors.row(term as usize) {
            let weight =
                self.steps[usize::from(distance)] / model.background[ancestor as usize];
            for &(slot, frequency) in model.shown_by.row(ancestor as usize) {
                let place = &mut self.ratio[usize::from(slot)];
                *place = place.max(frequency * weight);
            }
        }
        for (sum, &ratio) in self.sums.iter_mut().zip(&self.ratio) {
            *sum += sign * fixed(narrow(ratio));
        }
    }

    /// The diseases with the `count` best sums: all that tie with the last of them too, but never
    /// more than twice as many (then the first by position). Ascending by position.
    pub(crate) fn best(&self, count: usize) -> Vec<u16> {
        let mut order: Vec<(i32, u16)> = self.sums.iter().map(|s| -s).zip(0_u16..).collect();
        if order.is_empty() {
            return Vec::new();
        }
        let last = count.min(order.len()) - 1;
        let (_, &mut (bar, _), _) = order.select_nth_unstable(last);
        let tied = self.sums.iter().zip(0_u16..).filter(|(s, _)| -**s <= bar);
        let mut slots: Vec<u16> = tied.map(|(_, slot)| slot).collect();
        if slots.len() > 2 * count {
            order.truncate(count);
            slots = order.into_iter().map(|(_, slot)| slot).collect();
            slots.sort_unstable();
        }
        slots
    }
}

/// One ancestor of a finding, as stage 2 needs it.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// Position in [`Query::closure`].
    pub(crate) place: u16,
    pub(crate) narrow: f32,
    pub(crate) wide: f32,
    pub(crate) information: f32,
}

/// A patient's observed findings, prepared for stage 2.
pub(crate) struct Query {
    /// Ascending.
    pub(crate) observed: Vec<u32>,
    pub(crate) excluded: Vec<u32>,
    /// Observed terms and all their ancestors.
    pub(crate) closure: Vec<u32>,
    /// Per observed term its ancestors; itself first.
    pub(crate) links: Vec<Vec<Link>>,
    /// Per term of the ontology: its position in `closure`, or `u16::MAX`.
    pub(crate) place_of: Vec<u16>,
    /// Per term of the ontology: the greatest information content it shares with the patient.
    pub(crate) shared: Vec<f32>,
    pub(crate) information: f32,
    pub(crate) length: f32,
}

impl Query {
    pub(crate) fn new(model: &Model, observed: &[u32], excluded: &[u32]) -> Self {
        let mut place_of = vec![u16::MAX; model.terms.len()];
        let mut closure = Vec::new();
        let (near, far) = (steps(STEP), steps(WIDE_STEP));
        let mut links = Vec::with_capacity(observed.len());
        for &term in observed {
            let mut of_term = Vec::new();
            for &(ancestor, distance) in model.ancestors.row(term as usize) {
                let place = &mut place_of[ancestor as usize];
                if *place == u16::MAX {
                    // At most MAX_FINDINGS findings with fewer than 200 ancestors each.
                    *place = u16::try_from(closure.len()).unwrap_or(u16::MAX);
                    closure.push(ancestor);
                }
                let background = model.background[ancestor as usize];
                of_term.push(Link {
                    place: *place,
                    narrow: near[usize::from(distance)] / background,
                    wide: far[usize::from(distance)] / background,
                    information: model.information[ancestor as usize],
                });
            }
            links.push(of_term);
        }
        let mut shared = vec![0.0_f32; model.terms.len()];
        for &term in &model.order {
            let at = term as usize;
            shared[at] = if place_of[at] == u16::MAX {
                let parents = model.parents.row(at).iter();
                parents.map(|&p| shared[p as usize]).fold(0.0, f32::max)
            } else {
                model.information[at]
            };
        }
        let ic = |&term: &u32| model.information[term as usize];
        Self {
            observed: observed.to_vec(),
            excluded: excluded.to_vec(),
            information: closure.iter().map(ic).sum(),
            length: closure.iter().map(|t| ic(t) * ic(t)).sum::<f32>().sqrt(),
            closure,
            links,
            place_of,
            shared,
        }
    }
}
