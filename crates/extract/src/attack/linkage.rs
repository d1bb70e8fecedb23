//! Linkage: whose row is it?
//!
//! The attacker knows some true terms of a person and that the person is in the release, takes the
//! rows that fit best, and picks one of their people by lot. The chance of picking the right one is
//! 1 / (people of the best rows) if the person's row is among the best, else 0 (the prosecutor's
//! risk of El Emam and Dankar, JAMIA 2008, with candidates ranked instead of matched exactly). The
//! rate is the mean of that chance over the targets, by the [`Way`] that does best.

use super::view::{View, Way, best, people};
use crate::{hpo::Hpo, random::Draws, subject::Subject};
use ontology::TermIx;
use serde::{Deserialize, Serialize};

/// What the attacker knows of the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Knows {
    /// So many of the observed terms, drawn by lot; people with fewer are no targets.
    Terms(u8),
    /// All observed terms.
    Record,
    /// So many of the observed terms, and the diagnosis.
    TermsAndDiagnosis(u8),
    /// All observed and excluded terms, diagnosis, sex and age band.
    Everything,
}

impl Knows {
    /// What is measured.
    pub const ALL: [Self; 7] = [
        Self::Terms(1),
        Self::Terms(2),
        Self::Terms(3),
        Self::Terms(5),
        Self::Record,
        Self::TermsAndDiagnosis(3),
        Self::Everything,
    ];

    /// The terms of `subject` that are known; `None`: no target.
    pub(crate) fn draw(
        self,
        hpo: &Hpo<'_>,
        subject: &Subject,
        draws: &mut Draws,
    ) -> Option<Vec<TermIx>> {
        let mut observed = subject.observed.clone();
        observed.retain(|&term| hpo.is_phenotypic(term));
        observed.sort_unstable();
        observed.dedup();
        match self {
            Self::Terms(count) | Self::TermsAndDiagnosis(count) => {
                let count = usize::from(count);
                (observed.len() >= count).then(|| draws.sample(&observed, count))
            }
            Self::Record | Self::Everything => (!observed.is_empty()).then_some(observed),
        }
    }
}

/// What linkage achieved. Shares of the targets, 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linkage {
    /// With what.
    pub knows: Knows,
    /// Mean chance of picking the right person.
    pub rate: f64,
    /// Targets for whom one single person is left, the right one.
    pub unique_and_correct: f64,
    /// Targets whose row, and no other, fits best.
    pub right_row: f64,
    /// How many people were looked for.
    pub targets: u32,
    /// Which way of reckoning achieved `rate`.
    pub way: String,
}

#[derive(Default, Clone, Copy)]
struct Sum {
    rate: f64,
    unique: f64,
    right_row: f64,
}

/// Looks for each of `targets` (positions; with the row that is theirs).
pub(crate) fn linkage(
    hpo: &Hpo<'_>,
    subjects: &[Subject],
    view: &View,
    targets: &[(u32, usize)],
    knows: Knows,
    draws: &mut Draws,
) -> Linkage {
    among(hpo, subjects, view, targets, knows, draws, &|_| true)
}

/// The same among some rows alone.
pub(crate) fn among(
    hpo: &Hpo<'_>,
    subjects: &[Subject],
    view: &View,
    targets: &[(u32, usize)],
    knows: Knows,
    draws: &mut Draws,
    rows: &dyn Fn(usize) -> bool,
) -> Linkage {
    let mut sums = [Sum::default(); Way::ALL.len()];
    let mut count = 0_u32;
    for &(target, own) in targets {
        let subject = &subjects[target as usize];
        let Some(known) = knows.draw(hpo, subject, draws) else {
            continue;
        };
        count += 1;
        let diagnosis = match knows {
            Knows::Terms(_) | Knows::Record => None,
            // Rows that tell no diagnosis may be anybody's.
            _ => subject.diagnosis.map(|d| view.with_diagnosis(d)),
        };
        let suits = match knows {
            Knows::Everything => view.suits(hpo, subject),
            _ => Vec::new(),
        };
        let possible = |row: usize| {
            let tells = !view.rows[row].diagnoses.is_empty();
            rows(row) && diagnosis.as_ref().is_none_or(|has| has[row] || !tells)
        };
        for (way, sum) in Way::ALL.into_iter().zip(&mut sums) {
            let mut fits = view.fits(hpo, &known, way);
            for (fit, suits) in fits.iter_mut().zip(&suits) {
                *fit += way.nat() * suits;
            }
            let found = best(&fits, possible);
            if !found.contains(&own) {
                continue;
            }
            let candidates = people(view, &found);
            sum.rate += 1.0 / candidates;
            sum.unique += f64::from(u8::from(candidates < 1.5));
            sum.right_row += f64::from(u8::from(found.len() == 1));
        }
    }
    let all = f64::from(count.max(1));
    let most = |of: fn(&Sum) -> f64| sums.iter().map(of).fold(0.0, f64::max) / all;
    let rate = most(|s| s.rate);
    let by = sums.iter().position(|s| s.rate / all >= rate).unwrap_or(0);
    Linkage {
        knows,
        rate,
        unique_and_correct: most(|s| s.unique),
        right_row: most(|s| s.right_row),
        targets: count,
        way: Way::ALL[by].name().to_owned(),
    }
}

/// Everybody in a row, with the row; at most `most`, by lot.
pub(crate) fn targets(view: &View, most: usize, draws: &mut Draws) -> Vec<(u32, usize)> {
    let mut all: Vec<(u32, usize)> = Vec::new();
    for (number, row) in view.rows.iter().enumerate() {
        all.extend(row.members.iter().map(|&member| (member, number)));
    }
    all.sort_unstable();
    draws.sample(&all, most)
}
