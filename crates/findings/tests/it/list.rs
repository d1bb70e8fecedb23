//! Plain lists.

use crate::{ONTOLOGY, id, ids, of, read, refusal};
use findings::{Case, Format, MAX_FINDINGS, Note, State, When, Why};
use ontology::Sex;

/// A list without anything unclear: observed and excluded.
#[track_caller]
fn check(source: &str, observed: &[&str], excluded: &[&str]) -> Case {
    let case = read(source);
    let unclear: Vec<_> = case
        .unresolved
        .iter()
        .map(|u| (&u.as_given, u.why))
        .collect();
    assert!(unclear.is_empty(), "{source}: {unclear:?}");
    assert_eq!(of(&case, State::Observed), observed, "{source}");
    assert_eq!(of(&case, State::Excluded), excluded, "{source}");
    assert_eq!(case.format, Format::List);
    case
}

/// A list with one unclear item: why, and that this is among the suggestions.
#[track_caller]
fn unclear(source: &str, why: Why, suggestion: &str) {
    let case = read(source);
    let [only] = case.unresolved.as_slice() else {
        panic!("{source}: {} unclear", case.unresolved.len());
    };
    assert_eq!(only.why, why, "{source}");
    assert!(case.findings.is_empty(), "{source}");
    let suggestions = ids(only.suggestions.clone());
    let found = suggestion.is_empty() || suggestions.iter().any(|s| s == suggestion);
    assert!(found, "{source}: {suggestions:?}");
    assert_eq!(only.place.to_string(), "line 1");
}

#[test]
fn ids_and_names_of_every_spelling() {
    check("HP:0001250", &["HP:0001250"], &[]);
    check(
        "hp:0001250\r\nHP_0001252\r\n",
        &["HP:0001250", "HP:0001252"],
        &[],
    );
    check(
        "\u{feff}Seizures; anaemia , \"Small cranium\"",
        &["HP:0001250", "HP:0001903", "HP:0000252"],
        &[],
    );
    check("HP:0001250 HP:0001252", &["HP:0001250", "HP:0001252"], &[]);
    check(
        "HP:0001250 Seizure\nHypotonia (HP:0001252)\nHP:0001903 | Anemia",
        &["HP:0001250", "HP:0001252", "HP:0001903"],
        &[],
    );
    check("# a comment\n\n+Seizure,,\n", &["HP:0001250"], &[]);
    check(
        "http://purl.obolibrary.org/obo/HP_0001250",
        &["HP:0001250"],
        &[],
    );
}

#[test]
fn a_comma_within_a_name_does_not_cut_it() {
    check("Intellectual disability, severe", &["HP:0010864"], &[]);
    check(
        "Seizure, Intellectual disability, severe, Hypotonia",
        &["HP:0001250", "HP:0010864", "HP:0001252"],
        &[],
    );
    check(
        "no Intellectual disability, severe, Hypotonia",
        &["HP:0001252"],
        &["HP:0010864"],
    );
}

#[test]
fn what_is_absent_is_excluded() {
    check(
        "no seizures, -HP:0001252; !Anemia\nWithout microcephaly\nnot Ataxia",
        &[],
        &[
            "HP:0001250",
            "HP:0001252",
            "HP:0001903",
            "HP:0000252",
            "HP:0001251",
        ],
    );
    // A name that begins like a negation is that name.
    let name = "No social interaction";
    let named = ONTOLOGY.named(name);
    assert_eq!(named.len(), 1);
    check(name, &[&id(named[0])], &[]);
}

#[test]
fn a_dash_and_a_space_is_not_guessed() {
    unclear("- Seizure", Why::Dash, "HP:0001250");
    unclear("- HP:0001250", Why::Dash, "HP:0001250");
    unclear("\u{2022} Seizure", Why::Dash, "HP:0001250");
    for sign in [
        "\u{2022}", "\u{2212}", "\u{2013}", "*", "--", "-!", "?", "- -",
    ] {
        unclear(&format!("{sign}Seizure"), Why::Dash, "HP:0001250");
    }
    for doubt in ["?", " +/-", " -", ": -", " +", ":", " \u{b1}", " ="] {
        unclear(&format!("Seizure{doubt}"), Why::UnclearState, "HP:0001250");
    }
    check("-Seizure", &[], &["HP:0001250"]);
}

#[test]
fn what_is_not_a_name_gets_suggestions() {
    unclear("seizzures", Why::UnknownName, "HP:0001250");
    unclear("no microcefaly", Why::UnknownName, "HP:0000252");
    unclear("Seizure (HP:0001252)", Why::IdAndNameDiffer, "HP:0001250");
    unclear("HP:0001252 Seizure", Why::IdAndNameDiffer, "HP:0001252");
    unclear("HP:9999999", Why::UnknownId, "");
    unclear("HP:0000006", Why::NotAFinding, "");
    unclear("Autosomal dominant inheritance", Why::NotAFinding, "");
    unclear("qzxv", Why::UnknownName, "");
    let absent = read("no microcefaly");
    assert!(absent.unresolved[0].excluded);
}

#[test]
fn a_name_of_several_terms_is_not_guessed() {
    let shared = ONTOLOGY.terms().find_map(|ix| {
        let term = ONTOLOGY.term(ix);
        let texts: Vec<&str> = term.synonyms().map(|s| s.text).collect();
        texts.into_iter().find(|text| {
            let named = ONTOLOGY.named(text);
            let root = ONTOLOGY.roots().phenotypic_abnormality;
            named.len() > 1
                && named.iter().all(|&t| ONTOLOGY.is_a(t, root))
                && !text.contains([',', ';', ':'])
        })
    });
    let shared = shared.expect("some exact synonym is shared");
    let expect = id(ONTOLOGY.named(shared)[1]);
    unclear(shared, Why::Ambiguous, &expect);
}

#[test]
fn former_ids_become_their_successor_or_a_question() {
    let (mut merged, mut obsolete) = (None, None);
    for number in 0..60_000 {
        let id = format!("HP:{number:07}");
        let resolved = ONTOLOGY.resolve(id.parse().unwrap());
        let root = ONTOLOGY.roots().phenotypic_abnormality;
        match (resolved, resolved.term()) {
            (ontology::Resolved::Alternative { of }, _) if ONTOLOGY.is_a(of, root) => {
                merged = merged.or(Some((id, of)));
            }
            (ontology::Resolved::Obsolete { .. }, None) => obsolete = obsolete.or(Some(id)),
            _ => {}
        }
    }
    let (merged, of) = merged.expect("an alternative id");
    let case = check(&merged, &[&id(of)], &[]);
    assert!(matches!(case.findings[0].note, Some(Note::Alternative(_))));
    assert_eq!(case.findings[0].as_given, merged);
    unclear(&obsolete.expect("an obsolete id"), Why::Obsolete, "");
}

#[test]
fn age_sex_onset_and_genes() {
    let case = check(
        "age: 3y 6m\nSex: F\nonset: congenital\ngene: FBN1, scn1a\nHP:0001250",
        &["HP:0001250"],
        &[],
    );
    assert_eq!(
        case.age,
        Some(When::Days {
            from: 1278,
            to: 1278
        })
    );
    assert_eq!(case.sex, Some(Sex::Female));
    assert_eq!(
        case.onset
            .and_then(|o| o.onset_term(&ONTOLOGY))
            .map(id)
            .unwrap(),
        "HP:0003577"
    );
    let symbols = case
        .genes
        .iter()
        .map(|g| ONTOLOGY.gene(g.gene.unwrap()).symbol());
    assert_eq!(symbols.collect::<Vec<_>>(), ["FBN1", "SCN1A"]);
    for (age, days) in [
        ("3y", 1095),
        ("2 weeks", 14),
        ("6m", 182),
        ("P1Y2M3D", 429),
        ("10 days old", 10),
    ] {
        let case = check(&format!("age: {age}"), &[], &[]);
        assert_eq!(
            case.age,
            Some(When::Days {
                from: days,
                to: days
            }),
            "{age}"
        );
    }
    let onset = check("onset: 2y", &[], &[]).onset.unwrap();
    assert_eq!(onset.onset_term(&ONTOLOGY).map(id).unwrap(), "HP:0011463");
}

#[test]
fn answers_that_are_not_understood_are_said() {
    for text in [
        "age: 3",
        "age: old",
        "age: 900y",
        "age: -3y",
        "sex: x",
        "onset: Tuesday",
        "age: NaN y",
    ] {
        unclear(text, Why::NotAnAnswer, "");
    }
    unclear("gene: NOSUCHGENE", Why::UnknownGene, "");
    assert_eq!(read("sex: f\nsex: m").unresolved[0].why, Why::NotAnAnswer);
}

#[test]
fn once_seen_is_seen_and_said() {
    let case = read("Seizure\nno seizure\nHP:0001250");
    assert_eq!(of(&case, State::Observed), ["HP:0001250"]);
    assert_eq!((case.findings.len(), case.findings[0].source_count), (1, 2));
    assert_eq!(case.contradictions.len(), 1);
    assert_eq!(
        case.contradictions[0].not_followed[0].place.to_string(),
        "line 2"
    );
    // A wider term is excluded although a kind of it is there.
    let case = read("no Seizure\nFocal-onset seizure");
    assert_eq!(of(&case, State::Observed), ["HP:0007359"]);
    assert!(of(&case, State::Excluded).is_empty());
    assert_eq!(id(case.contradictions[0].absent), "HP:0001250");
    // A narrower one is no contradiction.
    let case = read("Seizure\nno Focal-onset seizure");
    assert_eq!((case.findings.len(), case.contradictions.len()), (2, 0));
}

#[test]
fn none_and_very_many() {
    assert!(read("# nothing found").findings.is_empty());
    assert!(refusal(b" \n ").starts_with("there is nothing in the input"));
    let root = ONTOLOGY.roots().phenotypic_abnormality;
    let below = ONTOLOGY.descendants(root).iter().map(|&(term, _)| id(term));
    let most: Vec<String> = below.take(MAX_FINDINGS + 1).collect();
    let case = read(&most[..MAX_FINDINGS].join("\n"));
    assert_eq!(case.findings.len(), MAX_FINDINGS);
    assert_eq!(
        refusal(most.join("\n").as_bytes()),
        "line 5001 holds the item after the 5000 that a case may have; send those that matter"
    );
    assert!(refusal(&b"a\n".repeat(600_000)).contains("longer than"));
    let unknown: Vec<String> = (0..500).map(|n| format!("qzx{n}")).collect();
    assert_eq!(read(&unknown.join(",")).unresolved.len(), 500);
}

#[test]
fn what_is_no_text_is_refused_with_its_line() {
    assert_eq!(
        refusal(b"Seizure\n\xff"),
        "line 2 of the input is not text; send JSON, or HPO terms in UTF-8, one a line"
    );
    assert!(refusal(b"%PDF\0").starts_with("line 1 of the input is not text"));
    assert!(refusal(b" [\"HP:0001250\"]").starts_with("the input is a list in JSON"));
}
