//! Singling out: a statement that is true of exactly one person of the release.
//!
//! The attacker makes one statement from each row: its diagnosis, where it tells one, and its most
//! informative terms, of which none implies another: one, two, three, or up to twenty of them,
//! whichever goes farthest. The rate is the share of statements true of exactly one of the people
//! released. Beside it the same with as many terms that HPO's annotations give the disease (a
//! disease by lot, where the row tells none): what anybody can do without the release. The excess
//! is (rate - without) / (1 - without), as Giomi et al., PoPETs 2023, reckon it.

use super::view::{Row, View};
use crate::{hpo::Hpo, random::Draws, subject::Subject};
use ontology::{Aspect, DiseaseId, DiseaseIx, TermIx};
use serde::{Deserialize, Serialize};

/// How many terms a statement joins at most.
const LENGTHS: [usize; 4] = [1, 2, 3, 20];

/// What singling out achieved. Shares of the statements, 0 to 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinglingOut {
    /// True of exactly one person.
    pub rate: f64,
    /// The same for statements made without the release.
    pub without: f64,
    /// Of what could be gained beyond those, how much was; at least 0.
    pub excess: f64,
    /// How many statements were made.
    pub statements: u32,
    /// How many terms a statement joined at most.
    pub terms: u32,
}

pub(crate) fn singling_out(
    hpo: &Hpo<'_>,
    subjects: &[Subject],
    view: &View,
    most: usize,
    draws: &mut Draws,
) -> SinglingOut {
    let people: Vec<u32> = view.rows.iter().flat_map(|r| r.members.clone()).collect();
    let holders = View::raw(hpo, subjects, &people);
    let rows: Vec<usize> = (0..view.rows.len()).collect();
    let rows = draws.sample(&rows, most);
    let all: Vec<DiseaseIx> = hpo.ontology().diseases().collect();
    let mut most_of_all: Option<SinglingOut> = None;
    for length in LENGTHS {
        let (mut with, mut without, mut statements) = (0.0, 0.0, 0_u32);
        for row in rows.iter().map(|&row| &view.rows[row]) {
            let terms = sharpest(hpo, row, length);
            if terms.is_empty() {
                continue;
            }
            statements += 1;
            let told = match row.diagnoses.as_slice() {
                [only] => Some(*only),
                _ => None,
            };
            with += alone(subjects, &holders, told, &terms);
            let disease = told
                .and_then(|id| hpo.ontology().find_disease(id))
                .unwrap_or_else(|| all[draws.below(all.len())]);
            let public = draws.sample(&annotated(hpo, disease), terms.len());
            without += alone(subjects, &holders, told, &public);
        }
        let all = f64::from(statements.max(1));
        let (rate, without) = (with / all, without / all);
        let excess = ((rate - without) / (1.0 - without).max(f64::MIN_POSITIVE)).max(0.0);
        let better = |so_far: &SinglingOut| (excess, rate) > (so_far.excess, so_far.rate);
        if most_of_all.as_ref().is_none_or(better) {
            most_of_all = Some(SinglingOut {
                rate,
                without,
                excess,
                statements,
                terms: u32::try_from(length).unwrap_or(u32::MAX),
            });
        }
    }
    most_of_all.unwrap_or_default()
}

/// The features that HPO's annotations give a disease, ascending.
fn annotated(hpo: &Hpo<'_>, disease: DiseaseIx) -> Vec<TermIx> {
    let lines = hpo.ontology().disease(disease).annotations().iter();
    let mut terms: Vec<TermIx> = lines
        .filter(|line| !line.excluded && line.aspect == Aspect::Phenotype)
        .map(|line| line.term)
        .filter(|&term| hpo.is_phenotypic(term))
        .collect();
    terms.sort_unstable();
    terms.dedup();
    terms
}

/// The most informative terms of a row of which none implies another.
fn sharpest(hpo: &Hpo<'_>, row: &Row, most: usize) -> Vec<TermIx> {
    let mut terms: Vec<TermIx> = row.terms.iter().map(|&(term, _)| term).collect();
    terms.sort_by(|&a, &b| {
        let by = hpo.information(b).total_cmp(&hpo.information(a));
        by.then(a.cmp(&b))
    });
    let mut chosen: Vec<TermIx> = Vec::new();
    for term in terms {
        let related =
            |&other: &TermIx| hpo.ontology().is_a(other, term) || hpo.ontology().is_a(term, other);
        if !chosen.iter().any(related) {
            chosen.push(term);
        }
        if chosen.len() == most {
            break;
        }
    }
    chosen
}

/// 1 if exactly one person has all of it.
fn alone(
    subjects: &[Subject],
    holders: &View,
    diagnosis: Option<DiseaseId>,
    terms: &[TermIx],
) -> f64 {
    if terms.is_empty() {
        return 0.0;
    }
    let has = |row: usize| {
        let row = &holders.rows[row];
        let told = diagnosis.is_none() || subjects[row.members[0] as usize].diagnosis == diagnosis;
        let term = |term: &TermIx| row.terms.binary_search_by_key(term, |t| t.0).is_ok();
        told && terms.iter().all(term)
    };
    let count = (0..holders.rows.len())
        .filter(|&row| has(row))
        .take(2)
        .count();
    f64::from(u8::from(count == 1))
}
