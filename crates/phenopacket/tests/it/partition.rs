//! Every leaf is in exactly one projection, and each in the one that the path table says.

use crate::{leaves, sample};
use codec::Category;
use phenopacket::{Error, Limits, Parsed};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Path and category of every leaf of the sample: changing a line is a new `RULE_VERSION`.
#[test]
fn each_path_is_in_its_category() {
    let source = sample::full().to_string();
    let parsed = Parsed::parse(source.as_bytes()).unwrap();
    let mut lines = Vec::new();
    for (category, projection) in parsed.projections() {
        let projection: Value = serde_json::from_slice(&projection).unwrap();
        for (path, _) in leaves::of(&projection) {
            lines.push(format!("{path} {category}"));
        }
    }
    lines.sort();
    lines.dedup();
    let found = format!("rule {}\n{}\n", phenopacket::RULE_VERSION, lines.join("\n"));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/partition.golden");
    if std::env::var_os("ITHACA_BLESS").is_some() {
        fs::write(&golden, &found).unwrap();
    }
    let golden = fs::read_to_string(golden).unwrap();
    let moved: Vec<_> = golden
        .lines()
        .filter(|line| !lines_of(&found, line))
        .collect();
    let new: Vec<_> = found
        .lines()
        .filter(|line| !lines_of(&golden, line))
        .collect();
    assert!(
        found == golden,
        "leaves moved; if that is meant, raise RULE_VERSION and run with ITHACA_BLESS=1\n\
         no longer: {moved:#?}\nnew: {new:#?}"
    );
}

fn lines_of(text: &str, line: &str) -> bool {
    text.lines().any(|other| other == line)
}

/// The exact bytes of projections: what commitments are computed over.
#[test]
fn projections_are_these_bytes() {
    let source = br#" { "id" : "p\u0031", "metaData":null, "subject": {"id":"s", "sex" : 1,"x":[]},
        "phenotypic_features": [ { "type": {"id": "HP:0001250" , "label" : "Se\u00efzure" },
          "excluded": true, "description": "note" }, {"type":{"id":"HP:2"}, "evidence": [ ] } ],
        "measurements": [{"assay": {"id":"LOINC:8302-2"}, "value": {"quantity": {"value": 13.500}}},
          {"assay": {"id":"LOINC:718-7"}, "value": {"quantity": {"value": 1E+2}}}],
        "unknown": {"deep": [1, {}]} }"#;
    let parsed = Parsed::parse(source).unwrap();
    let projections: Vec<_> = parsed
        .projections()
        .into_iter()
        .map(|(category, bytes)| (category, String::from_utf8(bytes).unwrap()))
        .collect();
    let expect = [
        (
            Category::Identity,
            r#"{"id":"p\u0031","metaData":null,"subject":{"id":"s","x":[]},"phenotypic_features":[{"description":"note"}],"unknown":{"deep":[1,{}]}}"#,
        ),
        (
            Category::Phenotype,
            r#"{"subject":{"sex":1},"phenotypic_features":[{"type":{"id":"HP:0001250","label":"Se\u00efzure"},"excluded":true},{"type":{"id":"HP:2"},"evidence":[]}]}"#,
        ),
        (
            Category::Laboratory,
            r#"{"measurements":[{"assay":{"id":"LOINC:718-7"},"value":{"quantity":{"value":1E+2}}}]}"#,
        ),
        (
            Category::Vitals,
            r#"{"measurements":[{"assay":{"id":"LOINC:8302-2"},"value":{"quantity":{"value":13.500}}}]}"#,
        ),
    ];
    assert_eq!(projections, expect.map(|(c, text)| (c, text.to_owned())));
    assert_eq!(parsed.stored_form(), source);
    let two = parsed.select(&[Category::Vitals, Category::Genomic]);
    assert_eq!(two.unwrap(), projections[3].1.as_bytes());
    assert_eq!(parsed.select(&[Category::Genomic]), None);
    assert_eq!(parsed.select(&[]), None);
}

/// A projection is read again, though it lacks what is in another; what a whole may not be, it may not.
#[test]
fn projections_are_read_again() {
    let source = sample::full().to_string();
    let whole = Parsed::parse(source.as_bytes()).unwrap();
    let limits = Limits::default();
    let again = |category| whole.select(&[category]).unwrap();
    let identity = again(Category::Identity);
    let part = Parsed::parse_part_within(&identity, &limits).unwrap();
    assert!(part.id() == whole.id());
    assert!(!part.findings().is_empty());
    assert!(part.findings().iter().all(|f| f.term.id.is_empty()));
    let phenotype = again(Category::Phenotype);
    let error = Parsed::parse(&phenotype).unwrap_err();
    assert!(matches!(error, Error::NoId(_)), "{error}");
    let part = Parsed::parse_part_within(&phenotype, &limits).unwrap();
    assert!(part.findings() == whole.findings() && part.diseases() == whole.diseases());
    let genomic = again(Category::Genomic);
    let part = Parsed::parse_part_within(&genomic, &limits).unwrap();
    assert!(part.variants() == whole.variants());
    for refused in [
        r#"{"phenotypicFeatures":[{"type":{"id":"HP:1"},"negated":true}]}"#,
        r#"{"metaData":{"phenopacketSchemaVersion":"1.0"}}"#,
        r#"{"proband":{}}"#,
        r#"{"subject":[]}"#,
    ] {
        assert!(Parsed::parse_part_within(refused.as_bytes(), &limits).is_err());
    }
}

/// Changes a document at the object with the given number (in the order of a walk).
fn change_object(value: &mut Value, at: &mut usize, change: &mut dyn FnMut(&mut Value)) {
    if value.is_object() {
        if *at == 0 {
            change(value);
        }
        *at = at.wrapping_sub(1);
    }
    match value {
        Value::Object(members) => {
            members
                .values_mut()
                .for_each(|v| change_object(v, at, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|v| change_object(v, at, change)),
        _ => {}
    }
}

/// Puts a canary of its own in the place of every text that is not a word of an enum, a term id
/// that decides on a category, or a version.
fn plant(value: &mut Value, count: &mut usize) {
    match value {
        Value::String(text) => {
            let word =
                text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') && !text.is_empty();
            if !word && text != "genomic" && !text.starts_with("LOINC:") && text != "2.0" {
                *text = format!("canary-{count}-");
                *count += 1;
            }
        }
        Value::Object(members) => members.values_mut().for_each(|v| plant(v, count)),
        Value::Array(items) => items.iter_mut().for_each(|v| plant(v, count)),
        _ => {}
    }
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn damaged_documents_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(
            b"{}[]\",:0n_\\ax".to_vec())), 1..4),
    ) {
        let mut source = sample::full().to_string().into_bytes();
        for (at, byte) in damage {
            let at = at.index(source.len());
            source[at] = byte;
        }
        if let Ok(parsed) = Parsed::parse(&source) {
            let leaves_in = |bytes: &[u8]| leaves::of(&serde_json::from_slice(bytes).unwrap());
            let mut found: Vec<_> = parsed.projections().iter().flat_map(|(_, b)| leaves_in(b)).collect();
            found.sort();
            prop_assert_eq!(found, leaves_in(&source));
            let _ = (parsed.terms(), parsed.created(), parsed.publications());
        }
    }

    #[test]
    fn every_leaf_is_in_exactly_one_projection(
        removals in prop::collection::vec((0..200_usize, any::<prop::sample::Index>()), 0..12),
        additions in prop::collection::vec((0..200_usize, 0..4_usize), 0..12),
        respellings in prop::collection::vec(0..200_usize, 0..12),
        pretty: bool,
    ) {
        let mut document = sample::full();
        for (mut at, which) in removals {
            change_object(&mut document, &mut at, &mut |object| {
                let members = object.as_object_mut().unwrap();
                let names: Vec<_> = members.keys().cloned().collect();
                if !names.is_empty() {
                    let name = &names[which.index(names.len())];
                    if !["id", "type"].contains(&name.as_str()) {
                        members.remove(name);
                    }
                }
            });
        }
        for mut at in respellings {
            change_object(&mut document, &mut at, &mut |object| {
                let members = std::mem::take(object.as_object_mut().unwrap());
                let respelled = members.into_iter().map(|(k, v)| (snake_case(&k), v));
                *object = Value::Object(respelled.collect());
            });
        }
        for (number, (mut at, shape)) in additions.into_iter().enumerate() {
            change_object(&mut document, &mut at, &mut |object| {
                let unknown = match shape {
                    0 => json!("unknown"),
                    1 => json!({"id": "unknown", "label": ["unknown", {"sex": "unknown"}]}),
                    2 => json!([{"type": "unknown"}, [], [["unknown"]], {}]),
                    _ => json!({"subject": {}, "type": null, "phenotypicFeatures": [{"id": "unknown"}]}),
                };
                object.as_object_mut().unwrap().insert(format!("unknown{number}"), unknown);
            });
        }
        let mut planted = 0;
        plant(&mut document, &mut planted);
        let source = if pretty {
            serde_json::to_string_pretty(&document).unwrap()
        } else {
            document.to_string()
        };
        let parsed = Parsed::parse(source.as_bytes()).unwrap();
        let projections = parsed.projections();
        for canary in 0..planted {
            let canary = format!("canary-{canary}-");
            let holding = projections.iter().filter(|(_, bytes)| {
                String::from_utf8_lossy(bytes).matches(&canary).count() > 0
            });
            prop_assert_eq!(holding.count(), 1, "{}", canary);
        }
        let mut found = Vec::new();
        for (category, bytes) in &projections {
            let text = String::from_utf8(bytes.clone()).unwrap();
            if *category != Category::Identity {
                prop_assert!(!text.contains("unknown"), "{} holds an unknown field", category);
            }
            found.extend(leaves::of(&serde_json::from_str(&text).unwrap()));
        }
        found.sort();
        prop_assert_eq!(found, leaves::of(&document));
        let all = parsed.select(Category::ALL).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Value>(&all).unwrap(), document);
    }
}
