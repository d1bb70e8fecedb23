//! Singling out: a statement that is true of exactly one person of the release.
//!
//! The attacker makes one statement from each row: its diagnosis, where it tells one, and its three
//! most informative terms. The rate is the share of statements true of exactly one of the people
//! released. Beside it the same with as many terms that HPO's annotations give the disease (a
//! disease by lot, where the row tells none): what anybody can do without the release. The excess
//! is (rate - without) / (1 - without), as Giomi et al., PoPETs 2023, reckon it.

use super::view::{Row, View};
use crate::{
    hpo::{Hpo, float},
    random::Draws,
    subject::Subject,
};
use ontology::{Aspect, DiseaseId, DiseaseIx, TermIx};
use serde::{Deserialize, Serialize};

/// How many terms a statement joins.
const TERMS: usize = 3;

/// What singling out achieved. Shares of the statements, 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    let (mut with, mut without, mut statements) = (0.0, 0.0, 0_u32);
    for row in rows.iter().map(|&row| &view.rows[row]) {
        let terms = sharpest(hpo, row);
        if terms.is_empty() {
            continue;
        }
        statements += 1;
        let told = match row.diagnoses.as_slice() {
            [only] => Some(*only),
            _ => None,
        };
        with += alone(hpo, subjects, &holders, told, &terms);
        let disease = told
            .and_then(|id| hpo.ontology().find_disease(id))
            .unwrap_or_else(|| all[draws.below(all.len())]);
        let lines = hpo.ontology().disease(disease).annotations().iter();
        let mut public: Vec<TermIx> = lines
            .filter(|line| !line.excluded && line.aspect == Aspect::Phenotype)
            .map(|line| line.term)
            .filter(|&term| hpo.is_phenotypic(term))
            .collect();
        public.sort_unstable();
        public.dedup();
        let public = draws.sample(&public, terms.len());
        without += alone(hpo, subjects, &holders, told, &public);
    }
    let all = f64::from(statements.max(1));
    let (rate, without) = (with / all, without / all);
    SinglingOut {
        rate,
        without,
        excess: ((rate - without) / (1.0 - without).max(f64::MIN_POSITIVE)).max(0.0),
        statements,
    }
}

/// The most informative terms of a row of which none implies another.
fn sharpest(hpo: &Hpo<'_>, row: &Row) -> Vec<TermIx> {
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
        if chosen.len() == TERMS {
            break;
        }
    }
    chosen
}

/// 1 if exactly one person has all of it.
fn alone(
    hpo: &Hpo<'_>,
    subjects: &[Subject],
    holders: &View,
    diagnosis: Option<DiseaseId>,
    terms: &[TermIx],
) -> f64 {
    if terms.is_empty() {
        return 0.0;
    }
    let all = float(terms.len());
    let fits = holders.fits(hpo, terms, super::view::Way::Stated);
    let has = |row: usize| {
        let subject = &subjects[holders.rows[row].members[0] as usize];
        diagnosis.is_none() || subject.diagnosis == diagnosis
    };
    let count = (0..fits.len())
        .filter(|&row| fits[row] >= all && has(row))
        .take(2)
        .count();
    f64::from(u8::from(count == 1))
}
