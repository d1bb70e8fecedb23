//! Every leaf is in exactly one projection, and each in the one that the rule says.

use crate::{leaves, sample};
use codec::Category;
use fhir::Parsed;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn projections(parsed: &Parsed<'_>) -> Vec<(Category, String)> {
    let projections = parsed.projections().into_iter();
    projections
        .map(|(category, bytes)| (category, String::from_utf8(bytes).unwrap()))
        .collect()
}

/// Path and category of every leaf of the samples: changing a line is a new `RULE_VERSION`.
#[test]
fn each_path_is_in_its_category() {
    let mut lines = Vec::new();
    for (resource, category) in sample::all() {
        let source = resource.to_string();
        let parsed = Parsed::parse(source.as_bytes()).unwrap();
        assert_eq!(parsed.category().as_str(), category, "{source}");
        for (part, text) in projections(&parsed) {
            for (path, _) in leaves::of(&serde_json::from_str(&text).unwrap()) {
                let of = parsed.resource_type();
                lines.push(format!(
                    "{of}({category}){} {part}",
                    path.trim_start_matches('$')
                ));
            }
        }
    }
    lines.sort();
    lines.dedup();
    let found = format!("rule {}\n{}\n", fhir::RULE_VERSION, lines.join("\n"));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/partition.golden");
    if std::env::var_os("ITHACA_BLESS").is_some() {
        fs::write(&golden, &found).unwrap();
    }
    let golden = fs::read_to_string(golden).unwrap();
    let missing = |text: &str, line: &&str| !text.lines().any(|other| other == *line);
    let moved: Vec<_> = golden.lines().filter(|l| missing(&found, l)).collect();
    let new: Vec<_> = found.lines().filter(|l| missing(&golden, l)).collect();
    assert!(
        found == golden,
        "leaves moved; if that is meant, raise RULE_VERSION and run with ITHACA_BLESS=1\n\
         no longer: {moved:#?}\nnew: {new:#?}"
    );
}

#[test]
fn secrets_are_in_identity_and_nothing_open_is() {
    for (resource, category) in sample::all() {
        let source = resource.to_string();
        let parsed = Parsed::parse(source.as_bytes()).unwrap();
        for (part, text) in projections(&parsed) {
            if part == Category::Identity {
                let open = category != "identity" && text.contains("open");
                assert!(!open, "{} {category}: {text}", parsed.resource_type());
            } else {
                assert!(
                    !text.contains("secret"),
                    "{}: {text}",
                    parsed.resource_type()
                );
            }
        }
    }
}

/// The exact bytes of projections: what commitments are computed over.
#[test]
fn projections_are_these_bytes() {
    let source = br#" {"resourceType" : "Observation", "id":"x1",
      "category": [ {"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]} ],
      "code":{ "text":"h\u00e4m" }, "subject":{"reference":"Patient/1","type":"Patient"},
      "note":[{"text":"a note"}], "valueQuantity":{"value" : 13.500, "unit":"g"},
      "_status": {"extension":[]}, "interpretation": {"text": "not a list"} } "#;
    let parsed = Parsed::parse(source).unwrap();
    let expect = [
        (
            Category::Identity,
            r#"{"id":"x1","subject":{"reference":"Patient/1","type":"Patient"},"note":[{"text":"a note"}],"_status":{"extension":[]},"interpretation":{"text":"not a list"}}"#,
        ),
        (
            Category::Laboratory,
            r#"{"resourceType":"Observation","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],"code":{"text":"h\u00e4m"},"valueQuantity":{"value":13.500,"unit":"g"}}"#,
        ),
    ];
    assert_eq!(
        projections(&parsed),
        expect.map(|(c, text)| (c, text.to_owned()))
    );
    assert_eq!(parsed.received(), source);
    assert_eq!(parsed.select(&[Category::Vitals]), None);
}

#[test]
fn what_may_change_the_meaning_keeps_a_resource_whole() {
    let change: [fn(&mut Value); 3] = [
        |r| r["modifierExtension"] = json!([{"url": "http://x", "valueBoolean": true}]),
        |r| r["component"][1]["modifierExtension"] = json!([{"url": "http://x"}]),
        |r| r["implicitRules"] = json!("http://x"),
    ];
    for change in change {
        let (mut resource, _) = sample::all().swap_remove(1);
        change(&mut resource);
        let source = resource.to_string();
        let parsed = Parsed::parse(source.as_bytes()).unwrap();
        assert_eq!(parsed.category(), Category::Identity);
        assert_eq!(projections(&parsed), [(Category::Identity, source.clone())]);
    }
}

#[test]
fn only_random_ids_and_references_stay_with_their_resource() {
    let check = |id: &str, reference: &str, open: bool| {
        let source =
            json!({"resourceType": "Condition", "id": id, "encounter": {"reference": reference},
            "code": {"text": "x"}})
            .to_string();
        let parsed = Parsed::parse(source.as_bytes()).unwrap();
        let projection = &projections(&parsed).pop().unwrap().1;
        assert_eq!(projection.contains(reference), open, "{reference}");
        let id = format!("\"{id}\"");
        assert_eq!(projection.contains(&id), open, "{id}");
    };
    let uuid = "0a1b2c3d-0000-4000-8000-0123456789ab";
    let hex = "0a1b2c3d0000400080000123456789AB";
    check(uuid, &format!("urn:uuid:{uuid}"), true);
    check(uuid, &format!("Encounter/{uuid}"), true);
    check(hex, &format!("Encounter/{hex}/_history/12"), true);
    check("jane", "Encounter/jane", false);
    check("1977-01-01", &format!("Patient/{uuid}"), false);
    check(
        "0a1b2c3d-0000-4000-8000-0123456789ag",
        "Encounter/0a1b2c3d",
        false,
    );
    check(
        "0a1b2c3d00004000800001234567-89A",
        &format!("https://jane.org/Encounter/{uuid}"),
        false,
    );
    check("a", "Encounter?identifier=mrn|1", false);
    check("b", &format!("urn:uuid:{hex}"), false);
    check("c", &format!("Encounter/{uuid}/_history/jane"), false);
    check("d", &format!("Jane/{uuid}"), false);
    check("e", "#jane", false);
}

/// Changes the object with the given number, in the order of a walk.
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

/// Adds a canary of its own to every text but the few that decide on a category.
fn plant(value: &mut Value, name: &str, count: &mut usize) {
    match value {
        Value::String(text) if ["resourceType", "id"].contains(&name) || text.contains("loinc") => {
        }
        Value::String(text) => {
            text.push_str(&format!("canary-{count}-"));
            *count += 1;
        }
        Value::Object(members) => members
            .iter_mut()
            .filter(|(name, _)| *name != "category")
            .for_each(|(name, v)| plant(v, name, count)),
        Value::Array(items) => items.iter_mut().for_each(|v| plant(v, name, count)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_resources_never_panic(
        which in 0..17_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(
            b"{}[]\",:0n_\\ax".to_vec())), 1..4),
    ) {
        let mut source = sample::all().swap_remove(which).0.to_string().into_bytes();
        for (at, byte) in damage {
            let at = at.index(source.len());
            source[at] = byte;
        }
        if let Ok(parsed) = Parsed::parse(&source) {
            let leaves_in = |bytes: &[u8]| leaves::of(&serde_json::from_slice(bytes).unwrap());
            let mut found: Vec<_> = parsed.projections().iter().flat_map(|(_, b)| leaves_in(b)).collect();
            found.sort();
            prop_assert_eq!(found, leaves_in(&source));
            let _ = (fhir::search::terms(&parsed), parsed.dates(), parsed.references(), parsed.subject());
            let assigned = fhir::Assigned {
                id: "1",
                version_id: "1",
                last_updated: codec::time::Millis::from_rfc3339("2026-01-02T03:04:05Z").unwrap(),
            };
            let stored = parsed.stored_form(&assigned, &|text| Some(text.to_owned()));
            prop_assert!(Parsed::parse(&stored.unwrap()).is_ok());
        }
    }

    #[test]
    fn every_leaf_is_in_exactly_one_projection(
        which in 0..17_usize,
        removals in prop::collection::vec((1..60_usize, any::<prop::sample::Index>()), 0..8),
        additions in prop::collection::vec((0..60_usize, 0..5_usize), 0..8),
        pretty: bool,
    ) {
        let (mut document, _) = sample::all().swap_remove(which);
        for (mut at, which) in removals {
            change_object(&mut document, &mut at, &mut |object| {
                let members = object.as_object_mut().unwrap();
                let names: Vec<_> = members.keys().cloned().collect();
                if !names.is_empty() {
                    let name = &names[which.index(names.len())];
                    if name != "resourceType" {
                        members.remove(name);
                    }
                }
            });
        }
        for (number, (mut at, shape)) in additions.into_iter().enumerate() {
            change_object(&mut document, &mut at, &mut |object| {
                let (name, unknown) = match shape {
                    0 => (format!("unknown{number}"), json!("secret")),
                    1 => (format!("_unknown{number}"), json!({"code": "secret", "display": ["secret"]})),
                    2 => (format!("Code{number}"), json!([{"code": "secret"}, [], [["secret"]], {}])),
                    3 => ("_code".to_owned(), json!({"extension": [{"valueCode": "secret"}], "code": "secret"})),
                    _ => ("value".to_owned(), json!({"valueQuantity": {"unit": "secret"}})),
                };
                if !object.as_object().unwrap().contains_key(&name) && object.get("value").is_none() {
                    object.as_object_mut().unwrap().insert(name, unknown);
                }
            });
        }
        let mut planted = 0;
        plant(&mut document, "", &mut planted);
        let source = if pretty {
            serde_json::to_string_pretty(&document).unwrap()
        } else {
            document.to_string()
        };
        let parsed = Parsed::parse(source.as_bytes()).unwrap();
        let projections = projections(&parsed);
        for canary in 0..planted {
            let canary = format!("canary-{canary}-");
            let holding = projections.iter().filter(|(_, text)| text.contains(&canary));
            prop_assert_eq!(holding.count(), 1, "{}", canary);
        }
        let mut found = Vec::new();
        for (category, text) in &projections {
            if *category != Category::Identity {
                prop_assert!(!text.contains("secret"), "{}: {}", category, text);
                prop_assert!(!text.contains("nknown"), "{}: {}", category, text);
            }
            found.extend(leaves::of(&serde_json::from_str(text).unwrap()));
        }
        found.sort();
        prop_assert_eq!(found, leaves::of(&document));
        let all = parsed.select(Category::ALL).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Value>(&all).unwrap(), document);
    }
}
