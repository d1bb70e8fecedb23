//! Stage 1: one finding's score for every disease, and which diseases go on to stage 2.
//!
//! For finding `t` and disease `d`: `ln((1 - e) * max over ancestors a of t of
//! F(d, a) * lambda^distance / background(a) + e)`.

use crate::{
    math::{fixed, ln},
    model::{Model, Rows},
    overlap::Overlap,
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
        let ratio = &mut self.ratio;
        ratio.fill(0.0);
        if let Some(row) = model.general.row(term) {
            ratio.copy_from_slice(row);
        } else {
            for &(ancestor, distance) in model.ancestors.row(term as usize) {
                if model.general.row(ancestor).is_some() {
                    continue;
                }
                let step = self.steps[usize::from(distance)];
                let weight = step / model.background[ancestor as usize];
                for &(slot, frequency) in model.shown_by.row(ancestor as usize) {
                    let place = &mut ratio[usize::from(slot)];
                    *place = place.max(frequency * weight);
                }
                for &parent in model.parents.row(ancestor as usize) {
                    if let Some(row) = model.general.row(parent) {
                        let step = step * STEP;
                        for (place, &above) in ratio.iter_mut().zip(row) {
                            *place = place.max(above * step);
                        }
                    }
                }
            }
        }
        for (sum, &ratio) in self.sums.iter_mut().zip(&*ratio) {
            // `sign` is 1 or -1: what is added is the score or its complement's successor.
            let mask = (sign - 1) >> 1;
            // Wraps, so that taking away stays exact: thousands of findings, each as telling as any
            // can be, of one disease alone would be needed.
            *sum = sum.wrapping_add((fixed(narrow(ratio)) ^ mask) - mask);
        }
    }

    /// The diseases with the `count` best sums: all that tie with the last of them too, but never
    /// more than twice as many (then the first by position). Ascending by position.
    pub(crate) fn best(&self, count: usize) -> Vec<u16> {
        /// Diseases in a column.
        const DEEP: usize = 16;
        let width = self.sums.len().div_ceil(DEEP);
        if width == 0 || count == 0 {
            return Vec::new();
        }
        let mut greatest = vec![i32::MIN; width];
        for row in self.sums.chunks(width) {
            for (greatest, &sum) in greatest.iter_mut().zip(row) {
                *greatest = sum.max(*greatest);
            }
        }
        // That many columns have a sum that is not below the bar: nor is the last of the best.
        let bar = if count < width {
            let mut order = greatest.clone();
            *order.select_nth_unstable_by(count - 1, |a, b| b.cmp(a)).1
        } else {
            i32::MIN
        };
        let columns: Vec<usize> = (0..width).filter(|&at| greatest[at] >= bar).collect();
        let mut near: Vec<(i32, u16)> = Vec::with_capacity(2 * count);
        for (row, start) in self.sums.chunks(width).zip((0..).step_by(width)) {
            let here = columns.iter().take_while(|&&at| at < row.len());
            let here = here.filter(|&&at| row[at] >= bar);
            near.extend(here.filter_map(|&at| {
                let slot = u16::try_from(start + at).ok()?;
                Some((row[at].saturating_neg(), slot))
            }));
        }
        let at = count.min(near.len()).saturating_sub(1);
        let (_, &mut (bar, _), _) = near.select_nth_unstable(at);
        let mut slots: Vec<u16> = near
            .iter()
            .filter(|(sum, _)| *sum <= bar)
            .map(|(_, slot)| *slot)
            .collect();
        if slots.len() > 2 * count {
            near.truncate(count);
            slots = near.into_iter().map(|(_, slot)| slot).collect();
        }
        slots.sort_unstable();
        slots
    }
}

/// Terms that so many diseases show that their part of stage 1 is kept ready: per such term and
/// disease, the greatest `F(d, a) * lambda^distance / background(a)` over its ancestors `a`. All
/// ancestors of a general term are general, so that a finding meets them at the first on each path.
pub(crate) struct General {
    /// Per term: its row, or `u16::MAX`.
    row_of: Vec<u16>,
    rows: Vec<f32>,
    /// Frequencies alone, of all general terms per disease.
    frequencies: Vec<f32>,
    diseases: usize,
    terms: usize,
}

/// A term is general if more than this share of diseases shows it.
const GENERAL: f32 = 0.06;

impl General {
    pub(crate) fn new(
        ancestors: &Rows<(u32, u8)>,
        shown_by: &Rows<(u16, f32)>,
        background: &[f32],
        diseases: usize,
    ) -> Self {
        let steps = steps(STEP);
        let mut row_of = vec![u16::MAX; background.len()];
        let (mut rows, mut general) = (Vec::new(), Vec::new());
        for (term, place) in row_of.iter_mut().enumerate() {
            if shown_by.row(term).len() as f32 <= GENERAL * diseases as f32 {
                continue;
            }
            // Fewer than terms / GENERAL rows fit; there are a few hundred.
            let Ok(number) = u16::try_from(rows.len() / diseases.max(1)) else {
                break;
            };
            *place = number;
            let start = rows.len();
            rows.resize(start + diseases, 0.0_f32);
            let row = &mut rows[start..];
            for &(ancestor, distance) in ancestors.row(term) {
                let weight = steps[usize::from(distance)] / background[ancestor as usize];
                for &(slot, frequency) in shown_by.row(ancestor as usize) {
                    let place = &mut row[usize::from(slot)];
                    *place = place.max(frequency * weight);
                }
            }
            general.push(term);
        }
        let terms = general.len();
        let mut frequencies = vec![0.0_f32; terms * diseases];
        for (number, &term) in general.iter().enumerate() {
            for &(slot, frequency) in shown_by.row(term) {
                frequencies[usize::from(slot) * terms + number] = frequency;
            }
        }
        Self {
            row_of,
            rows,
            frequencies,
            diseases,
            terms,
        }
    }

    fn row(&self, term: u32) -> Option<&[f32]> {
        let start = self.number(term)? * self.diseases;
        Some(&self.rows[start..start + self.diseases])
    }

    /// The number of a general term; `None` for other terms.
    pub(crate) fn number(&self, term: u32) -> Option<usize> {
        let number = self.row_of[term as usize];
        (number != u16::MAX).then_some(usize::from(number))
    }

    /// How often a disease shows each general term, by its number.
    pub(crate) fn frequencies(&self, slot: u16) -> &[f32] {
        let start = usize::from(slot) * self.terms;
        &self.frequencies[start..start + self.terms]
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
pub(crate) struct Query<'a> {
    /// Ascending.
    pub(crate) observed: Vec<u32>,
    /// Ascending, without those that the observed findings contradict: these rest.
    pub(crate) excluded: Vec<u32>,
    /// Observed terms and all their ancestors.
    pub(crate) closure: Vec<u32>,
    /// Per observed term its ancestors; itself first.
    pub(crate) links: Rows<Link>,
    /// Per term of the ontology: its position in `closure`, or `u16::MAX`.
    pub(crate) place_of: Vec<u16>,
    /// Per place in `closure`: whether it was observed itself.
    pub(crate) observed_at: Vec<bool>,
    /// Per place in `closure`: information content.
    pub(crate) information_at: Vec<f32>,
    /// Per term of the ontology: how much of its information the patient shares, 0 to 1.
    pub(crate) similarity: &'a [f32],
    pub(crate) information: f32,
    pub(crate) length: f32,
}

impl<'a> Query<'a> {
    pub(crate) fn new(
        model: &Model,
        observed: &[u32],
        excluded: &[u32],
        overlap: &'a Overlap,
    ) -> Self {
        let mut place_of = vec![u16::MAX; model.terms.len()];
        let mut closure = Vec::new();
        let (near, far) = (steps(STEP), steps(WIDE_STEP));
        let links = Rows::new(observed.iter().map(|&term| {
            let above = model.ancestors.row(term as usize).iter();
            let link = |&(ancestor, distance): &(u32, u8)| {
                let place = &mut place_of[ancestor as usize];
                if *place == u16::MAX {
                    // Each term once: HPO has some twenty thousand.
                    *place = u16::try_from(closure.len()).unwrap_or(u16::MAX);
                    closure.push(ancestor);
                }
                let background = model.background[ancestor as usize];
                Link {
                    place: *place,
                    narrow: near[usize::from(distance)] / background,
                    wide: far[usize::from(distance)] / background,
                    information: model.information[ancestor as usize],
                }
            };
            above.map(link).collect::<Vec<_>>()
        }));
        let mut observed_at = vec![false; closure.len()];
        for &term in observed {
            if let Some(at) = observed_at.get_mut(usize::from(place_of[term as usize])) {
                *at = true;
            }
        }
        let ic = |&term: &u32| model.information[term as usize];
        Self {
            observed: observed.to_vec(),
            excluded: excluded
                .iter()
                .copied()
                .filter(|&out| place_of[out as usize] == u16::MAX)
                .collect(),
            information: closure.iter().map(ic).sum(),
            length: closure.iter().map(|t| ic(t) * ic(t)).sum::<f32>().sqrt(),
            information_at: closure.iter().map(ic).collect(),
            closure,
            links,
            place_of,
            observed_at,
            similarity: overlap.similarity(),
        }
    }
}
