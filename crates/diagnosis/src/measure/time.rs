//! How long an answer takes.

use crate::{
    measure::{Case, in_order},
    model::Model,
    resnik::Resnik,
    session::Session,
};
use serde::Serialize;

/// Times in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// From findings to a whole answer (ten candidates with evidence, next findings, genes): median.
    pub full_p50: f64,
    /// 99th percentile.
    pub full_p99: f64,
    /// One finding added to a session, and the ranking with probabilities after it: median.
    pub update_p50: f64,
    /// 99th percentile.
    pub update_p99: f64,
    /// Resnik similarity of all diseases, for the same findings: median.
    pub resnik_p50: f64,
    /// 99th percentile.
    pub resnik_p99: f64,
}

/// Cases timed at most, evenly over the file.
const TIMED: usize = 1_000;
/// Candidates explained.
const SHOWN: usize = 10;

/// Times full queries and updates.
#[must_use]
pub fn latency(model: &Model, cases: &[Case], clock: &dyn Fn() -> u64) -> Latency {
    let usable: Vec<&Case> = cases.iter().filter(|c| !c.order.is_empty()).collect();
    let step = usable.len().div_ceil(TIMED).max(1);
    let reference = Resnik::new(model);
    let (mut full, mut update, mut resnik) = (Vec::new(), Vec::new(), Vec::new());
    for case in usable.into_iter().step_by(step) {
        let findings = case.findings.clone();
        let start = clock();
        let answer = Session::new(model, findings).differential(SHOWN);
        full.push(clock().saturating_sub(start));
        // The answer is used, so that it is made.
        assert!(answer.candidates.len() <= SHOWN);
        let start = clock();
        let scores = reference.scores(case.findings.observed());
        resnik.push(clock().saturating_sub(start));
        assert_eq!(scores.len(), model.disease_count());
        let mut session = Session::new(model, case.findings.clone());
        let Some(&last) = in_order(case).last() else {
            continue;
        };
        session.remove(last);
        let start = clock();
        let added = session.add(last);
        let ranking = session.rank();
        update.push(clock().saturating_sub(start));
        assert!(added.is_ok() && !ranking.ranked.is_empty());
    }
    Latency {
        full_p50: percentile(&mut full, 50),
        full_p99: percentile(&mut full, 99),
        update_p50: percentile(&mut update, 50),
        update_p99: percentile(&mut update, 99),
        resnik_p50: percentile(&mut resnik, 50),
        resnik_p99: percentile(&mut resnik, 99),
    }
}

/// In microseconds, of nanoseconds; 0 of nothing.
fn percentile(times: &mut [u64], percent: usize) -> f64 {
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, |&ns| ns as f64 / 1_000.0)
}
