//! Against serde_json: the same texts are accepted, with the same values.

use crate::parse;
use json::{Assignment, Kind, Parts, Problem};
use proptest::prelude::*;

/// Our value as serde_json's, through the public accessors only.
fn convert(value: json::Value<'_, '_>) -> serde_json::Value {
    match value.kind() {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool => value.boolean().unwrap().into(),
        Kind::Number => serde_json::from_str(value.digits().unwrap()).unwrap(),
        Kind::String => value.text().unwrap().into_owned().into(),
        Kind::Array => value.children().map(convert).collect(),
        Kind::Object => value
            .children()
            .map(|member| (member.key().unwrap().into_owned(), convert(member)))
            .collect(),
    }
}

/// Both accept and agree, or both refuse; differences are only those that are meant.
fn check(source: &[u8]) {
    let theirs = serde_json::from_slice::<serde_json::Value>(source);
    match (parse(source), theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(convert(ours.root()), theirs),
        (Ok(_), Err(error)) => {
            let text = error.to_string();
            assert!(text.starts_with("number out of range"), "{text}");
        }
        (Err(error), Ok(_)) => assert_eq!(error.problem(), Problem::DuplicateName, "{error}"),
        (Err(_), Err(_)) => {}
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof!["[a-c\"\\\\\n\u{1}é\u{1F600}]{0,4}", any::<String>()];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        text.clone().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 20, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(text.clone(), inner, 0..20)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// White space and escapes that mean the same text.
fn written(value: &serde_json::Value, pretty: bool, escape: bool) -> String {
    let text = if pretty {
        serde_json::to_string_pretty(value).unwrap()
    } else {
        serde_json::to_string(value).unwrap()
    };
    if !escape {
        return text;
    }
    let mut escaped = String::new();
    for character in text.chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04X}"));
            }
        }
    }
    escaped
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn valid_text_means_the_same(value in any_json(), pretty: bool, escape: bool) {
        let text = written(&value, pretty, escape);
        let document = parse(text.as_bytes()).unwrap();
        let theirs: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(convert(document.root()), theirs);
        let all = Assignment::new(&document, 1).finish(&document);
        let selected = all.select(&document, Parts::one(1)).unwrap();
        let compact = written(&value, false, escape);
        prop_assert_eq!(String::from_utf8(selected).unwrap(), compact);
    }

    #[test]
    fn damaged_text_is_refused_by_both(
        value in any_json(),
        at: prop::sample::Index,
        with: u8,
        cut: bool,
    ) {
        let mut text = written(&value, false, true).into_bytes();
        let at = at.index(text.len());
        if cut {
            text.truncate(at);
        } else {
            text[at] = with;
        }
        check(&text);
    }

    #[test]
    fn noise_is_refused_by_both(text in r#"[\[\]{}:,"\\ 0-2.eE+\-utrfalsn\nd8]{0,24}"#) {
        check(text.as_bytes());
    }

    #[test]
    fn bytes_never_panic(bytes: Vec<u8>) {
        check(&bytes);
    }

    #[test]
    fn two_parts_together_are_the_whole(value in any_json(), picks: Vec<bool>) {
        let text = written(&value, false, false);
        let document = parse(text.as_bytes()).unwrap();
        let mut assignment = Assignment::new(&document, 0);
        let mut leaves = 0;
        let mut stack = vec![document.root()];
        while let Some(at) = stack.pop() {
            stack.extend(at.children());
            if at.is_leaf() {
                leaves += 1;
                if picks.get(at.index()) == Some(&true) {
                    assignment.assign(at, 1);
                }
            }
        }
        let partition = assignment.finish(&document);
        let count = |part| {
            let Some(selected) = partition.select(&document, Parts::one(part)) else {
                return 0;
            };
            let selected = parse(&selected).unwrap();
            let mut stack = vec![selected.root()];
            let mut leaves = 0;
            while let Some(at) = stack.pop() {
                stack.extend(at.children());
                leaves += usize::from(at.is_leaf());
            }
            leaves
        };
        prop_assert_eq!(count(0) + count(1), leaves);
        let whole = partition.select(&document, Parts::one(0).with(Parts::one(1)));
        prop_assert_eq!(String::from_utf8(whole.unwrap()).unwrap(), text);
    }
}
