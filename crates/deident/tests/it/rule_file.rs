//! The rule file: what is shipped, what its schema says, what is refused.

use crate::examples;
use deident::{Rules, RulesError};
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../../src/rules.schema.json");

fn faults(text: &str) -> usize {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let rules: Value = toml::from_str::<toml::Value>(text)
        .and_then(Value::try_from_toml)
        .unwrap();
    jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(&rules)
        .count()
}

/// A TOML document as JSON.
trait FromToml: Sized {
    fn try_from_toml(value: toml::Value) -> Result<Self, toml::de::Error>;
}

impl FromToml for Value {
    fn try_from_toml(value: toml::Value) -> Result<Self, toml::de::Error> {
        value.try_into()
    }
}

fn changed(from: &str, to: &str) -> String {
    let text = Rules::shipped_text();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

#[test]
fn the_shipped_rules_are_what_the_schema_says() {
    assert_eq!(faults(Rules::shipped_text()), 0);
    assert_eq!(Rules::shipped().version(), 1);
    assert_eq!(Rules::shipped().resource_types().count(), 13);
    for (from, to) in [
        ("version = 1", "version = \"1\""),
        ("gender = \"keep\"", "gender = \"keep it\""),
        ("pooled_from_years = 90", "pooled_from_years = 120"),
        ("form = \"loinc\"", "form = \"anything\""),
        ("[numbers]", "[extra]\na = 1\n[numbers]"),
        ("system = \"http://loinc.org\"", "system = \"loinc\""),
    ] {
        assert!(faults(&changed(from, to)) > 0, "{to}");
    }
}

/// No rule file, however it is written, keeps what can hold free text.
#[test]
fn what_could_let_text_through_is_refused() {
    let check = |from: &str, to: &str, expect: fn(&RulesError) -> bool| {
        let error = Rules::parse(&changed(from, to)).unwrap_err();
        assert!(expect(&error), "{to}: {error}");
    };
    let word = |error: &RulesError| matches!(error, RulesError::Word { .. });
    for kept in ["name", "telecom", "identifier", "photo", "contact"] {
        check(
            &format!("{kept} = \"drop\""),
            &format!("{kept} = \"keep\""),
            |error| matches!(error, RulesError::Word { .. } | RulesError::NoType(_)),
        );
    }
    check("valueString = \"drop\"", "valueString = \"keep\"", word);
    check(
        "valueSampledData = \"drop\"",
        "valueSampledData = \"keep\"",
        word,
    );
    check("display = \"drop\"", "display = \"keep\"", word);
    check("note = \"drop\"", "note = \"keep\"", word);
    check("onsetAge = \"age\"", "onsetAge = \"keep\"", word);
    check("subject = \"subject\"", "subject = \"keep\"", word);
    check("issued = \"shift\"", "issued = \"keep\"", word);
    check("label = \"drop\"", "label = \"keep\"", word);
    check("vcfRecord = \"drop\"", "vcfRecord = \"coded\"", word);
    check("variation = \"drop\"", "variation = \"keep\"", word);
    check("active = \"keep\"", "actif = \"keep\"", |error| {
        matches!(error, RulesError::Unknown(_))
    });
    check("active = \"keep\"", "language = \"keep\"", word);
    check("active = \"keep\"", "text = \"keep\"", word);
    check("active = \"keep\"", "extension = \"keep\"", word);
    check("[resources.Patient]", "[resources.Patients]", |error| {
        matches!(error, RulesError::Unknown(_))
    });
    check("back_years = 89", "back_years = 90", |error| {
        matches!(error, RulesError::Range(..))
    });
    check(
        "significant_digits = 6",
        "significant_digits = 20",
        |error| matches!(error, RulesError::Range(..)),
    );
    check("bands_years = [0, 1,", "bands_years = [1, 0,", |error| {
        matches!(error, RulesError::Range(..))
    });
    check("version = 1", "version = 1\nnew = 2", |error| {
        matches!(error, RulesError::Text(_))
    });
    check("form = \"loinc\"", "form = \"any\"", |error| {
        matches!(error, RulesError::Form(_))
    });
    check("CodeSystem/admit-source", "CodeSystem/nowhere", |error| {
        matches!(error, RulesError::Codes(_))
    });
    check("http://www.omim.org", "http://loinc.org", |error| {
        matches!(error, RulesError::Twice(_))
    });
    check(
        "[types.Coding]\nsystem = \"coded\"",
        "[types.Coding]",
        |error| matches!(error, RulesError::NoType(_)),
    );
}

/// A rule decides: without it the same element is dropped, and the counts say so.
#[test]
fn without_its_rule_an_element_is_dropped() {
    let rules = Rules::parse(&changed("gender = \"keep\"\n", "")).unwrap();
    assert_ne!(rules.digest(), Rules::shipped().digest());
    assert_eq!(
        Rules::shipped().digest(),
        Rules::parse(Rules::shipped_text()).unwrap().digest()
    );
    let patient =
        serde_json::to_vec(&json!({"resourceType": "Patient", "id": "p1", "gender": "female"}))
            .unwrap();
    let (mut with, mut without) = (Rules::shipped().fates(), rules.fates());
    let kept = Rules::shipped()
        .resource(&examples::cloak(), examples::at(), &patient, &mut with)
        .unwrap();
    let dropped = rules
        .resource(&examples::cloak(), examples::at(), &patient, &mut without)
        .unwrap();
    assert!(String::from_utf8(kept).unwrap().contains("female"));
    assert!(!String::from_utf8(dropped).unwrap().contains("female"));
    let path = |fates: &deident::Fates| {
        let mut paths = fates.paths();
        paths
            .find(|(path, _, _)| *path == "Patient.gender")
            .map(|(_, rule, counts)| (rule.to_owned(), counts))
    };
    assert_eq!(
        path(&with),
        Some(("Patient.gender: keep".to_owned(), [1, 0, 0, 0, 0]))
    );
    assert_eq!(
        path(&without),
        Some(("no rule".to_owned(), [0, 0, 0, 0, 1]))
    );
    assert!(with.merge(&without).is_err());
}
