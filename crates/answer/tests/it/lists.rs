//! Any number of findings of any kind.

use crate::{Dice, MODEL, ONTOLOGY, answered};
use diagnosis::{Findings, MAX_FINDINGS, Presentation, Session};
use ontology::{HpoId, Resolved};

/// Ids of every sort: live, obsolete, merged, unknown, of other branches.
fn ids() -> Vec<HpoId> {
    (0..30_000_u32)
        .step_by(7)
        .chain(9_999_990..9_999_999)
        .map(|number| format!("HP:{number:07}").parse().expect("an id"))
        .collect()
}

#[test]
fn lists_of_every_length_are_answered() {
    let mut dice = Dice(1);
    let ids = ids();
    let live: Vec<&HpoId> = ids
        .iter()
        .filter(|id| ONTOLOGY.live(**id).is_some())
        .collect();
    let (mut contradicted, mut not_understood, mut abstained) = (0, 0, 0);
    for round in 0..60 {
        let lines = [0, 1, 2, 3, 10, 40, 150][round % 7];
        let mut list = String::new();
        for _ in 0..lines {
            // Of a few terms, so that they meet; or of all sorts.
            let id = match dice.below(4) {
                0 => &ids[dice.below(ids.len())],
                1 => live[dice.below(20)],
                _ => live[dice.below(live.len())],
            };
            let no = dice.one_of(&["", "", "no ", "-"]);
            list.push_str(&format!("{no}{id}\n"));
        }
        let Some(answer) = answered(list.as_bytes()) else {
            assert_eq!(lines, 0, "only nothing is refused");
            continue;
        };
        let understood = &answer["understood"];
        let count = |what: &str| understood[what].as_array().map_or(0, Vec::len);
        assert!(count("observed") + count("excluded") + count("not_understood") <= lines);
        contradicted += count("contradictions");
        not_understood += count("not_understood");
        abstained += usize::from(!answer["abstained"].is_null());
    }
    assert!(contradicted > 10 && not_understood > 50 && abstained > 5);
}

#[test]
fn as_many_findings_as_are_taken_are_answered_and_more_are_refused() {
    let root = ONTOLOGY.roots().phenotypic_abnormality;
    let lines = |count: usize, no: &str| -> String {
        let terms = ONTOLOGY.descendants(root).iter().rev().take(count);
        terms
            .map(|&(term, _)| format!("{no}{}\n", ONTOLOGY.term(term).id()))
            .collect()
    };
    for no in ["", "no "] {
        let answer = answered(lines(MAX_FINDINGS, no).as_bytes()).expect("an answer");
        let understood = &answer["understood"];
        let count = |what: &str| understood[what].as_array().map_or(0, Vec::len);
        assert_eq!(count("observed") + count("excluded"), MAX_FINDINGS);
        assert!(answered(lines(MAX_FINDINGS + 1, no).as_bytes()).is_none());
    }
}

/// Straight to the engine: whatever ids come, in whatever state, and changed in whatever order.
#[test]
fn the_engine_takes_whatever_ids_come() {
    let mut dice = Dice(2);
    let ids = ids();
    let mut replaced = 0;
    for round in 0..60 {
        let mut some = |most: usize| -> Vec<HpoId> {
            let count = dice.below(most + 1);
            (0..count).map(|_| ids[dice.below(ids.len())]).collect()
        };
        let most = [3, 30, 300][round % 3];
        let input = Presentation {
            observed: some(most),
            excluded: some(most),
            tentative: some(most),
            onset: some(1).first().copied(),
            ..Presentation::default()
        };
        let (findings, notes) = Findings::read(&ONTOLOGY, &input).expect("not too many");
        let unknown = |id: &&HpoId| matches!(ONTOLOGY.resolve(**id), Resolved::Unknown);
        let of = input.observed.iter().chain(&input.excluded);
        assert!(notes.len() >= of.filter(unknown).count());
        replaced += notes.len();
        let mut session = Session::new(&MODEL, findings);
        for _ in 0..4 {
            let term = ONTOLOGY.terms().nth(dice.below(ONTOLOGY.term_count()));
            let term = term.expect("a term");
            match dice.below(3) {
                0 => assert!(session.add(term).is_ok()),
                1 => assert!(session.exclude(term).is_ok()),
                _ => {
                    assert!(!session.remove(term) || !session.findings().observed().contains(&term))
                }
            }
            let ranking = session.rank();
            let sum: f64 = ranking.ranked.iter().map(|r| r.posterior).sum();
            assert!((sum + ranking.outside - 1.0).abs() < 1e-9);
            assert!(ranking.ranked.iter().all(|r| r.score.is_finite()));
        }
    }
    assert!(replaced > 1_000);
}
