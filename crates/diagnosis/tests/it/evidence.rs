//! What is said beside the ranking.

use crate::{CASES, MARFAN, MODEL, ONTOLOGY, findings, term};
use diagnosis::{Session, Way};
use std::collections::BTreeSet;

#[test]
fn evidence_names_every_finding_once_and_weighs_it() {
    let mut findings = findings(MARFAN, &["HP:0001250", "HP:0001382"]);
    let session = Session::new(&MODEL, findings.clone());
    let answer = session.differential(5);
    for candidate in &answer.candidates {
        let why = &candidate.explanation;
        let seen: Vec<_> = why.supporting.iter().chain(&why.opposing).collect();
        let observed: BTreeSet<_> = seen
            .iter()
            .filter(|e| !e.excluded)
            .map(|e| e.term)
            .collect();
        assert_eq!(observed, findings.observed().iter().copied().collect());
        assert!(why.supporting.iter().all(|e| e.weight > 0.0 && !e.excluded));
        assert!(
            why.missing
                .iter()
                .all(|m| m.weight < 0.0 && m.frequency >= 0.3)
        );
        for evidence in seen {
            if let Some(matched) = evidence.matched {
                assert!(evidence.excluded || ONTOLOGY.is_a(evidence.term, matched.term));
                assert!(matched.frequency > 0.0 && matched.frequency <= 1.0);
            }
        }
        for excluded in why.opposing.iter().filter(|e| e.excluded) {
            assert!(excluded.weight < 0.0 && excluded.matched.is_some_and(|m| m.frequency > 0.5));
        }
    }
    // The aneurysm of the aortic root is what speaks most for Marfan syndrome.
    let first = &answer.candidates[0].explanation.supporting[0];
    assert_eq!(first.term, term("HP:0002616"));
    findings = crate::findings(&["HP:0000118"], &[]);
    let vague = Session::new(&MODEL, findings).differential(1);
    assert!(
        vague.candidates[0]
            .explanation
            .supporting
            .iter()
            .all(|e| e.weight < 1.0)
    );
}

#[test]
fn what_was_excluded_is_not_said_to_be_missing() {
    let mut against = 0;
    for case in CASES.iter() {
        let excluded = case.findings.excluded();
        let answer = Session::new(&MODEL, case.findings.clone()).differential(10);
        for candidate in &answer.candidates {
            let why = &candidate.explanation;
            against += why.opposing.iter().filter(|e| e.excluded).count();
            for missing in &why.missing {
                assert!(!excluded.iter().any(|&out| ONTOLOGY.is_a(missing.term, out)));
            }
        }
    }
    assert!(against > 0, "no case excludes what a candidate often shows");
}

#[test]
fn next_findings_are_new_and_tell_something() {
    let (mut laboratory, mut full, mut few) = (0, 0, 0);
    let mut ways = BTreeSet::new();
    for case in CASES.iter().take(40) {
        let session = Session::new(&MODEL, case.findings.clone());
        let answer = session.differential(3);
        assert!(
            answer
                .next
                .windows(2)
                .all(|p| p[0].gain_bits >= p[1].gain_bits)
        );
        for way in [Way::Examine, Way::Ask, Way::Test] {
            let of_way = answer.next.iter().filter(|next| next.way == way).count();
            assert!(of_way <= 6);
            full += usize::from(of_way == 6);
            few += usize::from(of_way < 2);
        }
        for next in &answer.next {
            assert!(next.gain_bits >= 0.0 && next.gain_bits <= 1.0);
            assert!(next.probability > 0.0 && next.probability < 1.0);
            let known = case.findings.observed().iter();
            assert!(known.clone().all(|&seen| !ONTOLOGY.is_a(seen, next.term)));
            let absent = case.findings.excluded().iter();
            assert!(absent.clone().all(|&out| !ONTOLOGY.is_a(next.term, out)));
            assert!(!next.alike.contains(&next.term) && next.separates.len() <= 3);
            laboratory += usize::from(next.laboratory.is_some());
            ways.insert(next.way);
        }
    }
    assert!(laboratory > 0);
    // No way crowds another out.
    assert!(
        full >= 100 && few <= 4,
        "{full} of 120 full, {few} nearly empty"
    );
    assert_eq!(ways, BTreeSet::from([Way::Examine, Way::Ask, Way::Test]));
}

/// A finding that is answered as the best candidate would have it makes that candidate likelier, on
/// the whole.
#[test]
fn asking_what_is_suggested_helps() {
    let (mut helped, mut asked) = (0, 0);
    for case in &CASES[..40] {
        let disease = case.known[0];
        let mut session = Session::new(&MODEL, case.findings.clone());
        let answer = session.differential(1);
        let posterior = |session: &Session<'_>| {
            let found = session.rank();
            let found = found.ranked.iter().find(|r| r.disease == disease);
            found.map_or(0.0, |r| r.posterior)
        };
        let before = posterior(&session);
        let theirs: BTreeSet<_> = ONTOLOGY
            .disease(disease)
            .annotations()
            .iter()
            .filter(|a| !a.excluded)
            .map(|a| a.term)
            .collect();
        if let Some(next) = answer.next.iter().find(|n| theirs.contains(&n.term)) {
            asked += 1;
            session.add(next.term).expect("room");
            helped += usize::from(posterior(&session) > before);
        }
    }
    assert!(
        asked >= 15 && helped * 10 >= asked * 8,
        "{helped} of {asked}"
    );
}

#[test]
fn the_gene_panel_deals_out_the_probability() {
    let mut found = 0;
    for case in CASES.iter() {
        let answer = Session::new(&MODEL, case.findings.clone()).differential(1);
        let mut sum = 0.0;
        for gene in &answer.genes {
            sum += gene.mass;
            assert!((gene.cumulative - sum).abs() < 1e-9);
        }
        assert!(sum <= 1.0 - answer.outside + 1e-9);
        assert!(answer.genes.windows(2).all(|p| p[0].mass >= p[1].mass));
        let right = ONTOLOGY.disease(case.known[0]).genes();
        found += usize::from(
            answer
                .genes
                .iter()
                .take(20)
                .any(|g| right.contains(&g.gene)),
        );
    }
    assert!(found * 2 > CASES.len(), "{found} of {}", CASES.len());
}
