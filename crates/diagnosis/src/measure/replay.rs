//! Findings one after the other, in the order in which a case records them: after how many is the
//! right disease among the first five, here and by Resnik similarity?

use crate::{
    findings::Findings,
    measure::{Case, Part, best_rank, in_order},
    model::Model,
    resnik::Resnik,
    session::Session,
};
use serde::Serialize;

/// Findings needed, ours against Resnik's. A case never answered needs one more than it has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Replay {
    /// Cases replayed.
    pub n: usize,
    /// Share of cases answered at some point: ours.
    pub answered: f64,
    /// Resnik's.
    pub resnik_answered: f64,
    /// Median number of findings: ours.
    pub median: f64,
    /// Resnik's.
    pub resnik_median: f64,
    /// Mean number of findings: ours.
    pub mean: f64,
    /// Resnik's.
    pub resnik_mean: f64,
    /// Share of cases in which ours needs fewer.
    pub fewer: f64,
    /// Share of cases in which ours needs more.
    pub more: f64,
}

/// A case is replayed if it has at least this many findings.
const FROM_FINDINGS: usize = 4;
/// Answered: the right disease is among this many.
const AMONG: f64 = 5.0;

/// Replays the uncited, LIRICAL and PhenoBrain cases (capped as there).
#[must_use]
pub fn replay(model: &Model, cases: &[Case]) -> Replay {
    let chosen = Part::Unseen.select(cases);
    let long = |at: &&usize| in_order(&cases[**at]).len() >= FROM_FINDINGS;
    let chosen: Vec<usize> = chosen.iter().filter(long).copied().collect();
    let reference = Resnik::new(model);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for case in chosen.iter().map(|&at| &cases[at]) {
        ours.push(needed(model, case));
        let order = in_order(case);
        let found = (1..=order.len()).find(|&k| {
            let rank = reference.rank_of(&order[..k], &case.known);
            rank.is_some_and(|rank| rank <= AMONG)
        });
        theirs.push((found.unwrap_or(order.len() + 1), found.is_some()));
    }
    let n = ours.len();
    let share = |count: usize| count as f64 / n.max(1) as f64;
    let pairs = || ours.iter().zip(&theirs);
    Replay {
        n,
        answered: share(ours.iter().filter(|(_, found)| *found).count()),
        resnik_answered: share(theirs.iter().filter(|(_, found)| *found).count()),
        median: median(&ours),
        resnik_median: median(&theirs),
        mean: share(ours.iter().map(|(k, _)| k).sum()),
        resnik_mean: share(theirs.iter().map(|(k, _)| k).sum()),
        fewer: share(pairs().filter(|((a, _), (b, _))| a < b).count()),
        more: share(pairs().filter(|((a, _), (b, _))| a > b).count()),
    }
}

fn needed(model: &Model, case: &Case) -> (usize, bool) {
    let weights = model.weights().unseen(&case.diseases);
    let start = Findings {
        onset: case.findings.onset,
        age: case.findings.age,
        sex: case.findings.sex,
        ..Findings::default()
    };
    let mut session = Session::new(model, start).with_weights(weights);
    for (k, &term) in (1..).zip(in_order(case)) {
        if session.add(term).is_err() {
            break;
        }
        let ranking = session.rank();
        if best_rank(&case.known, |d| ranking.rank_of(d)).is_some_and(|rank| rank <= AMONG) {
            return (k, true);
        }
    }
    (in_order(case).len() + 1, false)
}

fn median(needed: &[(usize, bool)]) -> f64 {
    let mut counts: Vec<usize> = needed.iter().map(|(k, _)| *k).collect();
    counts.sort_unstable();
    let at = |i: usize| counts.get(i).copied().unwrap_or(0) as f64;
    let half = counts.len() / 2;
    match counts.len() % 2 {
        1 => at(half),
        _ => (at(half.saturating_sub(1)) + at(half)) / 2.0,
    }
}
