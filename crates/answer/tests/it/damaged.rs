//! Published and synthetic cases, damaged: in their bytes, and in their meaning.

use crate::{Dice, ONTOLOGY, answered};
use serde_json::{Value, json};
use std::{fs, path::Path};

fn samples() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/phenopackets");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the published cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "zst"))
        .collect();
    files.sort();
    let read = |path: &Path| {
        let packed = fs::read(path).expect("a file");
        String::from_utf8(zstd::decode_all(packed.as_slice()).expect("zstd")).expect("UTF-8")
    };
    let mut samples: Vec<String> = files.iter().step_by(3).map(|path| read(path)).collect();
    // Each as a FHIR Bundle too.
    let bundles: Vec<String> = samples.iter().map(|packet| bundle(packet)).collect();
    samples.extend(bundles);
    samples
}

/// The findings of a phenopacket as Conditions and Observations.
fn bundle(packet: &str) -> String {
    let packet: Value = serde_json::from_str(packet).expect("JSON");
    let features = packet["phenotypicFeatures"].as_array().expect("features");
    let mut entries = vec![json!({"resource": {"resourceType": "Patient", "id": "p"}})];
    for (at, feature) in features.iter().enumerate() {
        let code = json!({"coding": [{
            "system": "http://human-phenotype-ontology.org",
            "code": feature["type"]["id"],
        }]});
        let excluded = feature["excluded"] == json!(true);
        entries.push(json!({"resource": {
            "resourceType": "Condition",
            "id": format!("c{at}"),
            "subject": {"reference": "Patient/p"},
            "verificationStatus": {"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
                "code": if excluded { "refuted" } else { "confirmed" },
            }]},
            "code": code,
        }}));
    }
    entries.push(json!({"resource": {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2020-02-03",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
        "valueQuantity": {"value": 9.5, "unit": "g/dL"},
        "referenceRange": [{"low": {"value": 12, "unit": "g/dL"}}],
    }}));
    json!({"resourceType": "Bundle", "type": "collection", "entry": entries}).to_string()
}

#[test]
fn whole_cases_are_answered_and_cut_ones_refused() {
    for source in samples() {
        let answer = answered(source.as_bytes()).expect("an answer");
        let observed = answer["understood"]["observed"].as_array();
        assert!(observed.is_some_and(|all| !all.is_empty()));
        let mut dice = Dice(3);
        for _ in 0..8 {
            let end = dice.below(source.trim_end().len());
            assert!(
                answered(&source.as_bytes()[..end]).is_none(),
                "cut at {end}"
            );
        }
    }
}

#[test]
fn damaged_bytes_have_an_answer_or_a_sentence() {
    let mut dice = Dice(4);
    let (mut read, mut refused) = (0, 0);
    for source in samples() {
        for _ in 0..16 {
            let mut bytes = source.clone().into_bytes();
            for _ in 0..=dice.below(3) {
                let at = dice.below(bytes.len());
                match dice.below(4) {
                    0 => bytes[at] = dice.roll().to_le_bytes()[0],
                    // Digits: another id, another age.
                    1 if bytes[at].is_ascii_digit() => bytes[at] = b'0' + (bytes[at] + 3) % 10,
                    1 => bytes[at] ^= 0x20,
                    2 => drop(bytes.drain(at..(at + 9).min(bytes.len()))),
                    _ => {
                        let some = bytes[at..(at + 40).min(bytes.len())].to_vec();
                        let to = dice.below(bytes.len());
                        bytes.splice(to..to, some);
                    }
                }
            }
            match answered(&bytes) {
                Some(_) => read += 1,
                None => refused += 1,
            }
        }
    }
    assert!(read >= 20 && refused >= 20, "{read} {refused}");
}

/// Valid JSON that means something else: values of other kinds, what is missing, what comes twice.
#[test]
fn damaged_meaning_has_an_answer_or_a_sentence() {
    let obsolete = (0..20_000_u32)
        .map(|number| format!("HP:{number:07}"))
        .find(|id| {
            let resolved = ONTOLOGY.resolve(id.parse().expect("an id"));
            resolved.term().is_none() && !matches!(resolved, ontology::Resolved::Unknown)
        })
        .expect("an obsolete term without a successor");
    let values = [
        json!(null),
        json!(-1e300),
        json!(u64::MAX),
        json!(""),
        json!([]),
        json!({}),
        json!([[{}]]),
        json!(true),
        json!("HP:9999999"),
        json!("HP:0000118"),
        json!("HP:0000006"),
        json!(obsolete),
        json!("P99999999Y"),
        json!("0000-00-00T99:99:99Z"),
        json!("\u{0}\u{202e}\u{1f9ec}".repeat(2_000)),
        json!("CAUSATIVE"),
        json!("PATHOGENIC"),
    ];
    let mut dice = Dice(5);
    let (mut read, mut refused) = (0, 0);
    for source in samples() {
        let whole: Value = serde_json::from_str(&source).expect("JSON");
        for _ in 0..24 {
            let mut value = whole.clone();
            for _ in 0..=dice.below(3) {
                damage(&mut value, &values, &mut dice);
            }
            match answered(value.to_string().as_bytes()) {
                Some(_) => read += 1,
                None => refused += 1,
            }
        }
    }
    assert!(read >= 50 && refused >= 50, "{read} {refused}");
}

/// Walks down to some place and changes it.
fn damage(value: &mut Value, values: &[Value], dice: &mut Dice) {
    let stop = dice.below(6) == 0;
    match value {
        Value::Object(map) if !map.is_empty() && !stop => {
            let at = dice.below(map.len());
            let key = map.keys().nth(at).expect("a key").clone();
            if dice.below(12) == 0 {
                map.remove(&key);
            } else if let Some(inner) = map.get_mut(&key) {
                damage(inner, values, dice);
            }
        }
        Value::Array(list) if !list.is_empty() && !stop => {
            let at = dice.below(list.len());
            match dice.below(12) {
                0 => drop(list.remove(at)),
                1 => list.push(list[at].clone()),
                // What was seen is said to be absent too, or the other way round.
                2 if list[at].is_object() => {
                    let mut other = list[at].clone();
                    let excluded = other["excluded"] == json!(true);
                    other["excluded"] = json!(!excluded);
                    list.push(other);
                }
                _ => damage(&mut list[at], values, dice),
            }
        }
        other => *other = values[dice.below(values.len())].clone(),
    }
}
