//! Canaries in the shape of each type.

use super::{DIGITS, WORD};
use serde_json::{Value, json};

/// What is planted where a primitive of this type stands. Some are what the type allows, some are not.
pub(crate) fn of(primitive: &str) -> Vec<Value> {
    let texts: Vec<String> = match primitive {
        "date" => vec![
            DIGITS.into(),
            format!("2020-03-04{WORD}"),
            "9041-72-35".into(),
            format!("{WORD}-03-04"),
        ],
        "dateTime" | "instant" => vec![
            DIGITS.into(),
            format!("2020-03-04T05:06:07.{DIGITS}Z"),
            format!("2020-03-04T05:06:07{WORD}+01:00"),
            format!("2020-03-04T05:06:07Z{WORD}"),
        ],
        "time" => vec![format!("05:06:07.{DIGITS}"), WORD.into()],
        "decimal" | "integer" | "positiveInt" | "unsignedInt" => {
            let number: u64 = DIGITS.parse().unwrap();
            return vec![
                json!(number),
                json!(DIGITS),
                json!(WORD),
                json!({ WORD: WORD }),
            ];
        }
        "boolean" => vec![WORD.into()],
        "base64Binary" => vec!["WlE3S0FOQVJJRTkz".into(), WORD.into(), DIGITS.into()],
        "oid" => vec![format!("urn:oid:1.2.{DIGITS}")],
        "uuid" => vec![format!("urn:uuid:90417235-86{WORD}")],
        "xhtml" => vec![format!(
            "<div xmlns=\"http://www.w3.org/1999/xhtml\">{WORD} {DIGITS}</div>"
        )],
        _ => vec![
            WORD.into(),
            DIGITS.into(),
            format!("{DIGITS}-3"),
            format!("http://{WORD}.example/{DIGITS}"),
            format!("Patient/{WORD}"),
            format!("Observation/{DIGITS}"),
            format!("Observation/p1/_history/{DIGITS}"),
            format!("#{WORD}"),
            format!("urn:oid:2.16.{DIGITS}"),
            format!("mg{{{WORD}}}"),
            format!("HP:{DIGITS}"),
            format!("A{DIGITS}"),
            format!("final {WORD}"),
            format!("{WORD}\u{0}\"\\\u{e9}"),
        ],
    };
    texts.into_iter().map(Value::String).collect()
}

/// What is planted beside a primitive, or as an extension.
pub(crate) fn extension() -> Value {
    json!({"id": WORD, "url": format!("http://{WORD}.example"), "valueString": DIGITS,
        "extension": [{"url": WORD, "valueIdentifier": {"system": WORD, "value": DIGITS}}]})
}
