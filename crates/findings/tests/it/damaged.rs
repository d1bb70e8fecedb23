//! Damaged and hostile input: an answer or a sentence, never a panic.

use crate::ONTOLOGY;
use findings::{Case, Error, MAX_FINDINGS, MAX_SOURCES, MAX_SUGGESTIONS, State};
use proptest::prelude::*;

const PACKET: &str = r#"{"id":"a","subject":{"id":"b","sex":"MALE","timeAtLastEncounter":{"age":{"iso8601duration":"P3Y"}}},"phenotypicFeatures":[{"type":{"id":"HP:0001250","label":"Seizure"},"onset":{"ontologyClass":{"id":"HP:0003577"}}},{"type":{"id":"HP:0000252"},"excluded":true}],"diseases":[{"term":{"id":"OMIM:1"}}],"interpretations":[{"id":"c","diagnosis":{"genomicInterpretations":[{"gene":{"valueId":"HGNC:1","symbol":"FBN1"}}]}}]}"#;
const BUNDLE: &str = r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"p","gender":"female","birthDate":"2001-02-03"}},{"resource":{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"recordedDate":"2020-01","onsetAge":{"value":3,"code":"a"},"code":{"coding":[{"system":"http://human-phenotype-ontology.org","code":"HP:0001250"}]}}},{"resource":{"resourceType":"Observation","id":"o","status":"final","effectiveDateTime":"2020-02-03","code":{"coding":[{"system":"http://loinc.org","code":"718-7"}]},"valueQuantity":{"value":9.5,"unit":"g/dL"},"referenceRange":[{"low":{"value":12,"unit":"g/dL"}}]}}]}"#;
const LIST: &str = "Seizure, no small cranium; HP:0001252 Hypotonia\nage: 3y 6m\nsex: f\nonset: P2Y\ngene: FBN1\n- what";

/// What must hold of every answer.
fn check(source: &[u8]) {
    match findings::read(source, &ONTOLOGY) {
        Ok(case) => sound(&case),
        Err(error) => sentence(&error),
    }
}

pub(crate) fn sound(case: &Case) {
    let root = ONTOLOGY.roots().phenotypic_abnormality;
    let mut terms: Vec<_> = case.findings.iter().map(|f| f.term).collect();
    assert!(terms.iter().all(|&term| ONTOLOGY.is_a(term, root)));
    terms.sort_unstable();
    terms.dedup();
    assert_eq!(terms.len(), case.findings.len(), "each term once");
    assert!(terms.len() <= MAX_FINDINGS && case.unresolved.len() <= MAX_FINDINGS);
    for finding in &case.findings {
        assert!((1..=MAX_SOURCES).contains(&finding.sources.len()));
        assert!(finding.source_count >= finding.sources.len());
    }
    for observed in case.terms(State::Observed) {
        for excluded in case.terms(State::Excluded) {
            assert!(
                !ONTOLOGY.is_a(observed, excluded),
                "excluded and a kind of it observed"
            );
        }
    }
    assert!(
        case.unresolved
            .iter()
            .all(|u| u.suggestions.len() <= MAX_SUGGESTIONS)
    );
}

fn sentence(error: &Error) {
    let text = error.to_string();
    assert!(
        text.len() < 600 && text.contains(';') && !text.contains('\n'),
        "{text}"
    );
}

#[test]
fn the_samples_are_whole() {
    for source in [PACKET, BUNDLE, LIST] {
        let case = findings::read(source.as_bytes(), &ONTOLOGY).unwrap();
        assert!(case.findings.len() >= 2);
        sound(&case);
    }
}

#[test]
fn every_truncation_has_an_answer() {
    for source in [PACKET, BUNDLE, LIST] {
        for end in 0..source.len() {
            let cut = findings::read(&source.as_bytes()[..end], &ONTOLOGY);
            let is_json = source.starts_with('{');
            assert!(!is_json || cut.is_err(), "a cut document is refused");
            cut.map_or_else(|error| sentence(&error), |case| sound(&case));
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    for open in [
        "[",
        "{\"a\":",
        "{\"resourceType\":\"Bundle\",\"entry\":[{\"resource\":",
    ] {
        check(open.repeat(50_000).as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes);
    }

    #[test]
    fn arbitrary_text(text in "[ -~\\n\u{e0}-\u{ff}\u{2022}]{0,200}") {
        check(text.as_bytes());
    }

    #[test]
    fn near_lists(text in "((no |-|!|\\+|- |#)?(HP:00012[0-9]{2}|seizure|age: ?[0-9]{1,9}[ymdwq]|sex: [fmx]|gene: [A-Z]{1,4}|,|;| |\\n)){0,20}") {
        check(text.as_bytes());
    }

    #[test]
    fn mutations(which in 0..3usize, edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = [PACKET, BUNDLE, LIST][which].as_bytes().to_vec();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check(&bytes);
    }

    #[test]
    fn other_values(which in 0..2usize, at in any::<prop::sample::Index>(), value in prop::sample::select(vec!["null", "0", "-1e999", "\"\"", "[]", "{}", "true", "\"HP:0000118\"", "\"9999-12-31\"", "[[]]", "\"P999999Y\""])) {
        // Some value of the document becomes another.
        let source = [PACKET, BUNDLE][which];
        let starts: Vec<usize> = source.match_indices("\":").map(|(at, _)| at + 2).collect();
        let start = starts[at.index(starts.len())];
        let end = source[start..].find([',', '}', ']']).map_or(source.len(), |end| start + end);
        check(format!("{}{value}{}", &source[..start], &source[end..]).as_bytes());
    }
}
