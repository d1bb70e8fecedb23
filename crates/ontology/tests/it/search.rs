//! What people type, and what they mean.

use crate::ONTOLOGY;
use ontology::{HitKind, HpoId, MAX_HITS};
use proptest::prelude::*;

/// The first hit of a query is this term, found in this kind of text.
#[track_caller]
fn first(query: &str, id: &str, kind: HitKind) {
    let hits = ONTOLOGY.search(query, 5);
    let shown: Vec<_> = hits
        .iter()
        .map(|h| (ONTOLOGY.term(h.term).id(), h.text, h.kind))
        .collect();
    let expect: HpoId = id.parse().expect("an HPO id");
    let found = shown.first().map(|&(id, _, kind)| (id, kind));
    assert_eq!(found, Some((expect, kind)), "{query}: {shown:?}");
}

#[test]
fn names_come_first() {
    first("seizure", "HP:0001250", HitKind::Label);
    first("Seizures", "HP:0001250", HitKind::Label);
    first("ataxia ", "HP:0001251", HitKind::Label);
    first("low set ears", "HP:0000369", HitKind::Label);
    first("ears, low-set", "HP:0000369", HitKind::Label);
    first("global developmental delay", "HP:0001263", HitKind::Label);
    first(
        "Intellectual disability severe",
        "HP:0010864",
        HitKind::Label,
    );
}

#[test]
fn lay_words_are_understood() {
    first("small head", "HP:0000252", HitKind::Layperson);
    first("big head", "HP:0000256", HitKind::Layperson);
    first("hearing loss", "HP:0000365", HitKind::Layperson);
    first("floppy baby", "HP:0001252", HitKind::Everyday);
    first("fits", "HP:0001250", HitKind::Everyday);
    first("nose bleeds", "HP:0000421", HitKind::Layperson);
}

#[test]
fn british_spelling_and_accents_do_not_matter() {
    let check = |a: &str, b: &str| {
        let ids = |query| {
            ONTOLOGY
                .search(query, 5)
                .iter()
                .map(|h| h.term)
                .collect::<Vec<_>>()
        };
        assert!(!ids(a).is_empty());
        assert_eq!(ids(a), ids(b), "{a} {b}");
    };
    check("haemorrhage", "hemorrhage");
    check("cerebral oedema", "cerebral edema");
    check("abnormal behaviour", "abnormal behavior");
    check("Kienböck's", "kienbock");
}

#[test]
fn slips_of_the_keyboard_are_forgiven() {
    first("siezure", "HP:0001250", HitKind::Label);
    first("seizrue", "HP:0001250", HitKind::Label);
    first("hipotonia", "HP:0001252", HitKind::Label);
    first("intelectual disabilty severe", "HP:0010864", HitKind::Label);
    first("microcefaly", "HP:0000252", HitKind::Label);
    assert!(ONTOLOGY.search("siezure", 1)[0].corrected);
    assert!(!ONTOLOGY.search("seizure", 1)[0].corrected);
}

#[test]
fn the_beginning_of_a_word_is_enough() {
    for typed in ["sei", "seiz", "seizu", "seizur"] {
        first(typed, "HP:0001250", HitKind::Label);
    }
    first("global dev", "HP:0001263", HitKind::Label);
    // Finished by a space, it is a word: nothing in HPO is called "sei".
    assert!(ONTOLOGY.search("sei ", 5).is_empty());
}

#[test]
fn ids_are_found_however_they_are_written() {
    for typed in [
        "HP:0001250",
        "hp:0001250",
        "HP_0001250",
        " hp 0001250 ",
        "0001250",
        "HP:0002279",
    ] {
        first(typed, "HP:0001250", HitKind::Id);
    }
    let beginning = ONTOLOGY.search("HP:00012", 200);
    assert!(beginning.len() > 30);
    assert!(beginning.iter().all(|h| {
        ONTOLOGY
            .term(h.term)
            .id()
            .to_string()
            .starts_with("HP:00012")
    }));
    // Not an id of this release, and not a word either.
    assert!(ONTOLOGY.search("HP:9999999", 5).is_empty());
    // A former id that two terms replace offers both.
    let both = ONTOLOGY.search("HP:0000535", 5);
    let labels: Vec<_> = both.iter().map(|h| h.text).collect();
    assert_eq!(labels, ["Thin eyebrow", "Sparse eyebrow"]);
}

#[test]
fn what_nobody_means_finds_nothing_and_what_is_asked_is_bounded() {
    for typed in ["", "  ", "qqqqqqqq", "\u{1F9EC}", "-", "'"] {
        assert!(ONTOLOGY.search(typed, 5).is_empty(), "{typed:?}");
    }
    assert_eq!(ONTOLOGY.search("a", 7).len(), 7);
    assert_eq!(ONTOLOGY.search("a", usize::MAX).len(), MAX_HITS);
    assert!(ONTOLOGY.search("seizure", 0).is_empty());
    let long = "seizure ".repeat(10_000);
    assert!(!ONTOLOGY.search(&long, 5).is_empty());
}

#[test]
fn every_term_is_found_by_its_own_name() {
    let mut missed = Vec::new();
    for ix in ONTOLOGY.terms().step_by(31) {
        let label = ONTOLOGY.term(ix).label();
        if !ONTOLOGY.search(label, 3).iter().any(|hit| hit.term == ix) {
            missed.push(label);
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn everyday_words_mean_live_terms_with_the_name_beside_them() {
    let file = include_str!("../../data/everyday-words.tsv");
    let mut lines = 0;
    let mut known = Vec::new();
    for line in file.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<_> = line.split('\t').collect();
        let [words, id, label] = columns.as_slice() else {
            panic!("{line}: not three columns")
        };
        let ix = ONTOLOGY
            .live(id.parse().expect("an HPO id"))
            .unwrap_or_else(|| panic!("{line}: not live"));
        assert_eq!(ONTOLOGY.term(ix).label(), *label, "{line}");
        let hit = ONTOLOGY.search(words, 1)[0];
        if (hit.term, hit.kind) != (ix, HitKind::Everyday) {
            known.push((line, hit.text));
        }
        lines += 1;
    }
    assert!(
        known.is_empty(),
        "HPO itself knows these or means something else: {known:?}"
    );
    assert!(lines > 10);
}

proptest! {
    #[test]
    fn any_text_can_be_typed(typed in "\\PC{0,40}") {
        let hits = ONTOLOGY.search(&typed, 20);
        prop_assert!(hits.len() <= 20);
        prop_assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
        let mut terms: Vec<_> = hits.iter().map(|h| h.term).collect();
        terms.sort_unstable();
        terms.dedup();
        prop_assert_eq!(terms.len(), hits.len());
    }
}

/// A whole name names exactly these terms.
#[track_caller]
fn named(name: &str, ids: &[&str]) {
    let found = ONTOLOGY.named(name);
    let found: Vec<_> = found
        .iter()
        .map(|&t| ONTOLOGY.term(t).id().to_string())
        .collect();
    assert_eq!(found, ids, "{name}");
}

#[test]
fn whole_names_are_found_and_nothing_else() {
    named("Seizure", &["HP:0001250"]);
    named(" seizures ", &["HP:0001250"]);
    named("Intellectual disability, severe", &["HP:0010864"]);
    named("anaemia", &["HP:0001903"]);
    named("small cranium", &["HP:0000252"]);
    for none in [
        "",
        "  ",
        "seizur",
        "small head",
        "seizzure",
        "seizure anaemia",
        "disability severe",
        "HP:0001250",
    ] {
        named(none, &[]);
    }
    named(&"seizure ".repeat(500), &[]);
}

#[test]
fn each_label_names_its_term() {
    for ix in ONTOLOGY.terms() {
        let label = ONTOLOGY.term(ix).label();
        assert!(ONTOLOGY.named(label).contains(&ix), "{label}");
    }
}
