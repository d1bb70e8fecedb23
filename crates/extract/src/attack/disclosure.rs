//! Attribute disclosure: does being in the release give one's diagnosis away?
//!
//! The attacker knows three terms and names the diagnosis of the best rows. The rate for members is
//! set against the rate for outsiders of the same diagnoses, whose diagnosis the release cannot
//! hold: what it teaches of diseases in general helps against both, and is what it is for.

use super::{
    linkage::Knows,
    view::{View, Way, best, people},
};
use crate::{
    hpo::{Hpo, float},
    random::Draws,
    subject::Subject,
};
use ontology::DiseaseId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What attribute disclosure achieved. Mean chance of naming the right diagnosis, 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclosure {
    /// For people in the release.
    pub members: f64,
    /// For people who are not.
    pub outsiders: f64,
    /// The one less the other, by the way of reckoning with the greatest difference.
    pub beyond: f64,
    /// Targets on each side.
    pub targets: (u32, u32),
}

pub(crate) fn disclosure(
    hpo: &Hpo<'_>,
    subjects: &[Subject],
    view: &View,
    members: &[(u32, usize)],
    outside: &[Subject],
    most: usize,
    draws: &mut Draws,
) -> Option<Disclosure> {
    let told: BTreeSet<Option<DiseaseId>> = view
        .rows
        .iter()
        .flat_map(|row| row.members.iter().map(|&m| subjects[m as usize].diagnosis))
        .collect();
    let with: BTreeSet<Option<DiseaseId>> = outside.iter().map(|s| s.diagnosis).collect();
    let members: Vec<&Subject> = members
        .iter()
        .map(|&(at, _)| &subjects[at as usize])
        .filter(|s| s.diagnosis.is_some() && with.contains(&s.diagnosis))
        .collect();
    let outsiders: Vec<&Subject> = outside
        .iter()
        .filter(|s| s.diagnosis.is_some() && told.contains(&s.diagnosis))
        .collect();
    let outsiders = draws.sample(&outsiders, most);
    let (inside, n) = named(hpo, view, &members, draws);
    let (beyond, m) = named(hpo, view, &outsiders, draws);
    if n < 20 || m < 20 {
        return None;
    }
    let difference = |at: usize| inside[at] - beyond[at];
    let at = (0..inside.len()).max_by(|&a, &b| difference(a).total_cmp(&difference(b)))?;
    Some(Disclosure {
        members: inside[at],
        outsiders: beyond[at],
        beyond: difference(at),
        targets: (n, m),
    })
}

/// By way of reckoning.
fn named(
    hpo: &Hpo<'_>,
    view: &View,
    who: &[&Subject],
    draws: &mut Draws,
) -> ([f64; Way::ALL.len()], u32) {
    let mut sums = [0.0; Way::ALL.len()];
    let mut count = 0_u32;
    for subject in who {
        let (Some(known), Some(diagnosis)) =
            (Knows::Terms(3).draw(hpo, subject, draws), subject.diagnosis)
        else {
            continue;
        };
        count += 1;
        for (way, sum) in Way::ALL.into_iter().zip(&mut sums) {
            let found = best(&view.fits(hpo, &known, way), |_| true);
            let chance = |row: &usize| {
                let row = &view.rows[*row];
                match row.diagnoses.binary_search(&diagnosis) {
                    Ok(_) => float(row.members.len()) / float(row.diagnoses.len()),
                    Err(_) => 0.0,
                }
            };
            let right: f64 = found.iter().map(chance).sum();
            *sum += right / people(view, &found).max(1.0);
        }
    }
    (sums.map(|sum| sum / f64::from(count.max(1))), count)
}
