//! Findings that come and go.

use crate::{CASES, MARFAN, MODEL, ONTOLOGY, findings, term};
use diagnosis::{Findings, GeneWeight, Presentation, Ranking, Session};
use ontology::TermIx;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Terms that patients have, a few hundred.
fn vocabulary() -> Vec<TermIx> {
    let terms: BTreeSet<TermIx> = CASES
        .iter()
        .flat_map(|case| case.order.iter().chain(case.findings.excluded()))
        .copied()
        .collect();
    terms.into_iter().collect()
}

fn from_scratch(observed: &BTreeSet<TermIx>, excluded: &BTreeSet<TermIx>) -> Ranking {
    let ids = |terms: &BTreeSet<TermIx>| terms.iter().map(|&t| ONTOLOGY.term(t).id()).collect();
    let input = Presentation {
        observed: ids(observed),
        excluded: ids(excluded),
        ..Presentation::default()
    };
    let (findings, _) = Findings::read(&ONTOLOGY, &input).expect("findings");
    Session::new(&MODEL, findings).rank()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_order_of_changes_gives_the_answer_of_a_fresh_start(
        changes in prop::collection::vec((0_u8..4, any::<prop::sample::Index>()), 1..40),
    ) {
        let vocabulary = vocabulary();
        let mut session = Session::new(&MODEL, Findings::default());
        let (mut observed, mut excluded) = (BTreeSet::new(), BTreeSet::new());
        for (what, which) in changes {
            let term = *which.get(&vocabulary);
            match what {
                0 | 1 => {
                    session.add(term).expect("room");
                    excluded.remove(&term);
                    observed.insert(term);
                }
                2 => {
                    session.exclude(term).expect("room");
                    observed.remove(&term);
                    excluded.insert(term);
                }
                _ => {
                    let known = observed.remove(&term) | excluded.remove(&term);
                    prop_assert_eq!(session.remove(term), known);
                }
            }
        }
        // To the bit.
        prop_assert_eq!(session.rank(), from_scratch(&observed, &excluded));
    }

    #[test]
    fn an_exclusion_never_raises_a_score(
        case in any::<prop::sample::Index>(),
        others in prop::collection::vec(any::<prop::sample::Index>(), 1..12),
    ) {
        let vocabulary = vocabulary();
        let case = case.get(CASES.as_slice());
        let mut session = Session::new(&MODEL, case.findings.clone());
        for &term in case.findings.excluded() {
            session.remove(term);
        }
        let scores = |session: &Session<'_>| -> BTreeMap<_, _> {
            session.rank().ranked.iter().map(|r| (r.disease, r.score)).collect()
        };
        let mut before = scores(&session);
        for which in others {
            let term = *which.get(&vocabulary);
            if case.findings.observed().contains(&term) {
                continue;
            }
            session.exclude(term).expect("room");
            let after = scores(&session);
            prop_assert_eq!(after.len(), before.len());
            for (disease, score) in &after {
                prop_assert!(*score <= before[disease], "an exclusion raised a score");
            }
            before = after;
        }
    }
}

#[test]
fn an_exclusion_of_what_a_disease_always_shows_lowers_it() {
    let mut session = Session::new(&MODEL, findings(MARFAN, &[]));
    let first = session.rank().ranked[0];
    // Marfan syndrome.
    assert_eq!(
        ONTOLOGY.disease(first.disease).id().to_string(),
        "OMIM:154700"
    );
    session.remove(term("HP:0001083"));
    let without = session.rank();
    session.exclude(term("HP:0001083")).expect("room");
    let excluded = session.rank();
    let score = |ranking: &Ranking| {
        let found = ranking.ranked.iter().find(|r| r.disease == first.disease);
        found.expect("still a candidate").score
    };
    assert!(score(&excluded) < score(&without));
}

#[test]
fn the_same_input_gives_the_same_order_and_ties_go_by_position() {
    // A finding so general that many diseases tie.
    let ranking = Session::new(&MODEL, findings(&["HP:0000118"], &[])).rank();
    assert_eq!(
        ranking,
        Session::new(&MODEL, findings(&["HP:0000118"], &[])).rank()
    );
    for pair in ranking.ranked.windows(2) {
        let ordered = pair[0].score > pair[1].score
            || (pair[0].score == pair[1].score && pair[0].disease < pair[1].disease);
        assert!(ordered);
    }
}

#[test]
fn probabilities_add_up() {
    for case in CASES.iter().take(20) {
        let ranking = Session::new(&MODEL, case.findings.clone()).rank();
        let sum: f64 = ranking.ranked.iter().map(|r| r.posterior).sum();
        assert!((sum + ranking.outside - 1.0).abs() < 1e-9);
        assert!(
            ranking
                .ranked
                .windows(2)
                .all(|p| p[0].posterior >= p[1].posterior)
        );
    }
}

/// With `genes` of these weights, what `disease` is worth, and how much the candidates' log odds moved
/// apart at most.
fn with_genes(observed: &[TermIx], genes: &[(&str, f32)]) -> Ranking {
    let input = Presentation {
        observed: observed.iter().map(|&t| ONTOLOGY.term(t).id()).collect(),
        genes: genes
            .iter()
            .map(|(symbol, weight)| GeneWeight {
                symbol: (*symbol).to_owned(),
                weight: *weight,
            })
            .collect(),
        ..Presentation::default()
    };
    let (findings, _) = Findings::read(&ONTOLOGY, &input).expect("findings");
    Session::new(&MODEL, findings).rank()
}

fn score(ranking: &Ranking, disease: ontology::DiseaseIx) -> Option<f64> {
    let found = ranking.ranked.iter().find(|r| r.disease == disease);
    found.map(|r| r.score)
}

#[test]
fn a_gene_is_worth_what_is_said_of_it_and_no_more_than_its_list() {
    // Of 40 cases: what one gene adds to the score of its disease.
    let mut measured = 0;
    for case in CASES.iter().take(40) {
        let disease = case.known[0];
        let own = ONTOLOGY.disease(disease).genes().first();
        let Some(symbol) = own.map(|&gene| ONTOLOGY.gene(gene).symbol()) else {
            continue;
        };
        let before = with_genes(&case.order, &[]);
        let Some(base) = score(&before, disease) else {
            continue;
        };
        let gain = |genes: &[(&str, f32)]| {
            let after = score(&with_genes(&case.order, genes), disease).expect("a candidate");
            after - base
        };
        let uncertain = gain(&[(symbol, 0.5)]);
        let pathogenic = gain(&[(symbol, 0.99)]);
        let alone = gain(&[(symbol, 1.0)]);
        // Nine times the odds at most, however alone it stands.
        assert!(uncertain > 1.0 && uncertain < 9.0_f64.ln(), "{uncertain}");
        assert!(pathogenic > uncertain + 3.0 && alone > pathogenic);
        assert_eq!(gain(&[(symbol, GeneWeight::PRIOR)]), 0.0);
        let among: Vec<(&str, f32)> = [symbol, "FBN1", "CFTR", "TTN", "PAH", "NF1"]
            .map(|symbol| (symbol, 1.0))
            .to_vec();
        assert!(gain(&among) < alone - 1.0 && gain(&among) > pathogenic - 1.0);
        measured += 1;
    }
    assert!(measured >= 20, "{measured}");
}

#[test]
fn a_variant_of_uncertain_significance_does_not_decide() {
    let (mut clear, mut moved) = (0, 0);
    for case in CASES.iter() {
        let before = with_genes(&case.order, &[]);
        let (first, second) = (before.ranked[0], before.ranked[1]);
        if first.score - second.score < 9.0_f64.ln() {
            continue;
        }
        clear += 1;
        // A gene of any other candidate.
        for other in before.ranked[1..].iter().take(10) {
            let Some(&gene) = ONTOLOGY.disease(other.disease).genes().first() else {
                continue;
            };
            if ONTOLOGY.disease(first.disease).genes().contains(&gene) {
                continue;
            }
            let symbol = ONTOLOGY.gene(gene).symbol();
            let leads = |weight| with_genes(&case.order, &[(symbol, weight)]).ranked[0].disease;
            assert_eq!(leads(0.5), first.disease);
            moved += usize::from(leads(0.99) != first.disease);
        }
    }
    // A pathogenic one may.
    assert!(clear >= 5 && moved >= 5, "{clear} {moved}");
}

#[test]
fn a_gene_multiplies_its_diseases_in() {
    let mut raised = 0;
    for case in CASES.iter().take(30) {
        let disease = case.known[0];
        let Some(&gene) = ONTOLOGY.disease(disease).genes().first() else {
            continue;
        };
        let mut input = Presentation {
            observed: case.order.iter().map(|&t| ONTOLOGY.term(t).id()).collect(),
            ..Presentation::default()
        };
        let posterior = |input: &Presentation| {
            let (findings, _) = Findings::read(&ONTOLOGY, input).expect("findings");
            let ranking = Session::new(&MODEL, findings).rank();
            let found = ranking.ranked.iter().find(|r| r.disease == disease);
            found.map_or(0.0, |r| r.posterior)
        };
        let without = posterior(&input);
        let symbols = [ONTOLOGY.gene(gene).symbol(), "FBN1", "CFTR", "TTN"];
        input.genes = symbols
            .iter()
            .map(|symbol| GeneWeight {
                symbol: (*symbol).to_owned(),
                weight: 1.0,
            })
            .collect();
        assert!(posterior(&input) >= without);
        raised += usize::from(posterior(&input) > 2.0 * without);
    }
    assert!(raised >= 15, "{raised}");
}
