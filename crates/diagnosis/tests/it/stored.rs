//! Stored cases as counts, and answers that change.

use crate::{CASES, MARFAN, MODEL, ONTOLOGY, findings, term};
use diagnosis::{
    CaseCounts, CaseKey, Change, Model, NotStored, SHOWN_FROM_CASES, Session, Standing, StoredCase,
    Weights,
};
use std::collections::BTreeSet;

fn stored(at: usize, paper: &str, subject: &str) -> StoredCase {
    let case = &CASES[at];
    StoredCase {
        key: CaseKey {
            paper: Some(paper.to_owned()),
            subject: Some(subject.to_owned()),
        },
        disease: case.known[0],
        observed: case.findings.observed().iter().copied().collect(),
    }
}

fn model(counts: &CaseCounts) -> Model {
    Model::new(&ONTOLOGY, Weights::shipped().expect("weights"), counts)
}

#[test]
fn a_stored_case_makes_the_next_like_it_findable() {
    let case = stored(0, "PMID:1", "a");
    let counts = CaseCounts::new([&case]);
    let with = model(&counts);
    let rank = |model: &Model| {
        let ranking = Session::new(model, CASES[0].findings.clone()).rank();
        ranking
            .ranked
            .iter()
            .find(|r| r.disease == case.disease)
            .map_or(0.0, |r| r.posterior)
    };
    assert!(rank(&with) > rank(&MODEL));
    // The same patient again: set aside, the stored case says nothing.
    let mut session = Session::new(&with, CASES[0].findings.clone());
    session.set_aside(
        &ONTOLOGY,
        case.disease,
        &CaseCounts::without([&case], &case.key),
    );
    let aside = session.rank();
    let fresh = Session::new(&MODEL, CASES[0].findings.clone()).rank();
    let of = |ranking: &diagnosis::Ranking| {
        let found = ranking.ranked.iter().find(|r| r.disease == case.disease);
        found.map_or(0.0, |r| r.posterior)
    };
    // Backgrounds, means over all diseases, still count it: a difference in the fourth place.
    assert!((of(&aside) - of(&fresh)).abs() < 2e-3);
}

#[test]
fn same_paper_or_same_subject_is_not_evidence() {
    let cases = [
        stored(0, "PMID:1", "a"),
        stored(0, "PMID:2", "a"),
        stored(0, "PMID:1", "b"),
        stored(0, "PMID:3", "c"),
    ];
    let counted = CaseCounts::without(&cases, &cases[0].key);
    assert!(counted == CaseCounts::new([&cases[3]]));
    let nobody = CaseKey::default();
    assert!(CaseCounts::without(&cases, &nobody) == CaseCounts::new(&cases));
}

#[test]
fn withdrawing_takes_away_exactly_what_was_added() {
    let all: Vec<StoredCase> = (0..30)
        .map(|k| stored(k % 10, "PMID:1", &k.to_string()))
        .collect();
    let mut counts = CaseCounts::new(&all[..20]);
    for case in &all[20..] {
        counts.add(case);
    }
    for case in all[20..].iter().rev() {
        counts.withdraw(case).expect("it was added");
    }
    assert!(counts == CaseCounts::new(&all[..20]));
    for case in &all[..20] {
        counts.withdraw(case).expect("it was added");
    }
    assert!(counts == CaseCounts::default());
    assert_eq!(counts.withdraw(&all[0]), Err(NotStored));
}

#[test]
fn nothing_is_shown_from_few_cases() {
    let case = stored(0, "PMID:1", "a");
    let term = *case.observed.first().expect("a finding");
    let mut counts = CaseCounts::default();
    for n in 1..=SHOWN_FROM_CASES {
        counts.add(&case);
        let expect = (n >= SHOWN_FROM_CASES).then_some((n, n));
        assert_eq!(counts.shown(case.disease, term), expect);
    }
    let rare = StoredCase {
        observed: BTreeSet::from([crate::term("HP:0001250")]),
        ..case.clone()
    };
    counts.add(&rare);
    assert_eq!(counts.shown(case.disease, crate::term("HP:0001250")), None);
}

#[test]
fn changes_worth_telling() {
    let at =
        |observed: &[&str]| Standing::of(&Session::new(&MODEL, findings(observed, &[])).rank());
    let vague = at(&["HP:0001263"]);
    let clear = at(MARFAN);
    let marfan = clear.top[0].0;
    assert!(
        matches!(vague.change(&clear), Some(Change::Findable { disease, .. }) if disease == marfan)
    );
    assert_eq!(clear.change(&clear), None);
    assert_eq!(vague.change(&vague), None);
    let gone = clear.change(&vague);
    assert!(
        matches!(gone, Some(Change::Doubtful { disease, before, .. }) if disease == marfan && before >= 0.5)
    );
    // Another disease takes the lead: achondroplasia by the book.
    let other = at(&[
        "HP:0003498",
        "HP:0008905",
        "HP:0000256",
        "HP:0002007",
        "HP:0004060",
    ]);
    assert!(
        matches!(clear.change(&other), Some(Change::Leads { disease, .. }) if disease == other.top[0].0)
    );
    assert!(term("HP:0003498") != term("HP:0008905"));
}

#[test]
fn what_was_counted_in_few_cases_is_nowhere_shown() {
    let with = |count| {
        let case = stored(0, "PMID:1", "a");
        let cases: Vec<StoredCase> = (0..count)
            .map(|n| stored(0, &format!("PMID:{n}"), &format!("{n}")))
            .collect();
        let model = model(&CaseCounts::new(&cases));
        let mut session = Session::new(&model, diagnosis::Findings::default());
        for &term in &case.observed {
            session.add(term).unwrap();
        }
        // All candidates: the disease may rank low without its counts.
        let differential = session.differential(1_000);
        let found = differential
            .candidates
            .iter()
            .find(|c| c.ranked.disease == case.disease);
        found.map(|candidate| {
            let frequencies = candidate
                .explanation
                .supporting
                .iter()
                .chain(&candidate.explanation.opposing);
            let mut told: Vec<_> = frequencies
                .map(|e| (e.term, e.matched.map(|m| m.frequency.to_bits())))
                .collect();
            told.sort_unstable();
            (told, candidate.explanation.missing.len())
        })
    };
    let four = with(4).expect("it is a candidate");
    let five = with(5).expect("it is a candidate");
    assert_ne!(four, five, "from five on it is shown");
    if let Some(none) = with(0) {
        assert_eq!(four, none, "below five, what is published");
    }
    let one = with(1).expect("it is a candidate");
    assert_eq!(one, four, "below five nothing tells how many there are");
}
