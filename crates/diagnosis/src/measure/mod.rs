//! Measuring the engine on published cases: accuracy by stratum, time, and a chronological replay.
//!
//! A case is ranked with weights that never saw its disease ([`crate::Weights::unseen`]): what is
//! reported for the development cases is a cross-validation over diseases, and for other cases a
//! measurement on cases not seen. Genes are left out: the phenotype alone is measured.
//!
//! Pure: the clock is an argument, the file's text too.

mod accuracy;
mod case;
mod replay;
mod stored;
mod time;

pub use accuracy::{Part, Stratum, Tally};
pub use case::{Case, CaseError, Corpus, read_cases};
pub use replay::{Replay, replay};
pub use stored::{Stored, stored};
pub use time::{Latency, latency};

use crate::{model::Model, resnik::Resnik, session::Session};
use ontology::{DiseaseIx, TermIx};
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything that `ithaca bench diagnosis` prints. Fractions, not per cent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bench {
    /// Accuracy per stratum, by name ([`Part::name`]).
    #[serde(flatten)]
    pub strata: BTreeMap<&'static str, Stratum>,
    /// The same for Resnik similarity, on all but the stratum of all cases.
    pub resnik: BTreeMap<&'static str, Stratum>,
    /// Times on one core.
    pub latency_us: Latency,
    /// From nothing to the first answer; measured by the caller.
    pub cold_start_ms: f64,
    /// Resident memory; measured by the caller.
    pub rss_bytes: u64,
    /// Which weights were measured, in words.
    pub weights: &'static str,
}

/// What [`Bench::weights`] says.
const WEIGHTS: &str = "cross-validated: each case with the weights of the fold that its disease was kept out of; diseases that took no part in the fit with the shipped weights";

/// Measures `cases`. `clock` gives nanoseconds that never go back. `cold_start_ms` and `rss_bytes`
/// are left 0 for the caller.
#[must_use]
pub fn bench(model: &Model, cases: &[Case], clock: &dyn Fn() -> u64) -> Bench {
    let ours = tallies(cases, |case| ranked(model, case), |_| true);
    let reference = Resnik::new(model);
    let theirs = tallies(
        cases,
        |case| Tally {
            rank: reference.rank_of(case.findings.observed(), &case.known),
            ..Tally::default()
        },
        |part| part != Part::All,
    );
    Bench {
        strata: ours,
        resnik: theirs,
        latency_us: latency(model, cases, clock),
        cold_start_ms: 0.0,
        rss_bytes: 0,
        weights: WEIGHTS,
    }
}

fn tallies(
    cases: &[Case],
    mut rank: impl FnMut(&Case) -> Tally,
    wanted: impl Fn(Part) -> bool,
) -> BTreeMap<&'static str, Stratum> {
    let parts: Vec<(Part, Vec<usize>)> = Part::ALL
        .iter()
        .filter(|part| wanted(**part))
        .map(|part| (*part, part.select(cases)))
        .collect();
    let mut needed = vec![false; cases.len()];
    for at in parts.iter().flat_map(|(_, chosen)| chosen) {
        needed[*at] = true;
    }
    let all: Vec<Tally> = cases
        .iter()
        .zip(&needed)
        .map(|(case, needed)| {
            if *needed {
                rank(case)
            } else {
                Tally::default()
            }
        })
        .collect();
    let stratum = |(part, chosen): &(Part, Vec<usize>)| {
        (part.name(), Stratum::of(*part, cases, chosen, &all))
    };
    parts.iter().map(stratum).collect()
}

/// One case through the engine.
fn ranked(model: &Model, case: &Case) -> Tally {
    let weights = model.weights().unseen(&case.diseases);
    tally(
        model,
        case,
        &Session::new(model, case.findings.clone()).with_weights(weights),
    )
}

fn tally(model: &Model, case: &Case, session: &Session<'_>) -> Tally {
    let ranking = session.rank();
    let first = ranking.ranked.first();
    let known = case.known.iter().any(|&disease| model.ranks(disease));
    Tally {
        rank: best_rank(&case.known, |disease| ranking.rank_of(disease)),
        missing: !known,
        confidence: first.map_or(0.0, |r| r.posterior),
        right: first.is_some_and(|r| case.known.contains(&r.disease)),
    }
}

fn best_rank(known: &[DiseaseIx], rank: impl Fn(DiseaseIx) -> Option<f64>) -> Option<f64> {
    known
        .iter()
        .filter_map(|&disease| rank(disease))
        .min_by(f64::total_cmp)
}

/// Terms of a case in the order in which it lists them.
fn in_order(case: &Case) -> &[TermIx] {
    &case.order
}
