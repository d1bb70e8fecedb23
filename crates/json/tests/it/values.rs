//! Values are spans that keep every byte.

use crate::parse;
use json::{Kind, Value};

#[test]
fn numbers_keep_their_digits() {
    let digits = [
        "0",
        "-0",
        "13.500",
        "1E400",
        "-0.000e-0",
        "123456789012345678901234567890.10",
    ];
    let source = format!("[{}]", digits.join(" , "));
    let document = parse(source.as_bytes()).unwrap();
    let found: Vec<_> = document.root().children().map(|v| v.digits()).collect();
    assert_eq!(found, digits.map(Some));
    let integers: Vec<_> = document.root().children().map(|v| v.integer()).collect();
    assert_eq!(integers[..3], [Some(0), Some(0), None]);
}

#[test]
fn strings_are_unescaped_and_spans_are_not() {
    let source = r#"{"a\u0062" : "\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00é"}"#;
    let document = parse(source.as_bytes()).unwrap();
    let value = document.root().get("ab").unwrap();
    assert_eq!(value.text().unwrap(), "\"\\/\u{8}\u{c}\n\r\té\u{1F600}é");
    assert_eq!(value.key().unwrap(), "ab");
    assert_eq!(&source[value.span()], value.raw());
    assert_eq!(&source[value.key_span().unwrap()], r#""a\u0062""#);
}

#[test]
fn quoting_and_parsing_are_inverse() {
    let text = "a \"quote\" \\ \u{1} \u{1f} \n\r\t é \u{1F600} \u{7f}";
    let quoted = json::quote(text);
    let document = parse(quoted.as_bytes()).unwrap();
    assert_eq!(document.root().text().unwrap(), text);
}

#[test]
fn children_come_in_the_order_of_the_text() {
    let document = parse(br#" { "b" : [ 1 , [ ] , { } ] , "a" : null, "c": false } "#).unwrap();
    let root = document.root();
    let keys: Vec<_> = root.children().filter_map(Value::key).collect();
    assert_eq!(keys, ["b", "a", "c"]);
    let items = root.get("b").unwrap().children();
    let kinds: Vec<_> = items.clone().map(Value::kind).collect();
    assert_eq!(kinds, [Kind::Number, Kind::Array, Kind::Object]);
    let leaves: Vec<_> = items.map(Value::is_leaf).collect();
    assert_eq!(leaves, [true, true, true]);
    assert!(!root.is_leaf());
    assert!(root.get("a").unwrap().is_null());
    assert_eq!(root.get("c").unwrap().boolean(), Some(false));
    assert!(root.get("d").is_none());
    assert_eq!(root.get("a").unwrap().children().count(), 0);
    assert_eq!(document.len(), 7);
}

#[test]
fn a_detached_value_is_a_document_that_knows_where_it_came_from() {
    let source = "{\n \"entry\": [ {\"x\": 1},\n  {\"y\": [true, {\"z\": \"q\"}]} ] }";
    let document = parse(source.as_bytes()).unwrap();
    let second = document.root().get("entry").unwrap().children().nth(1);
    let part = second.unwrap().detach();
    assert_eq!(part.source(), "{\"y\": [true, {\"z\": \"q\"}]}");
    let same = parse(part.source().as_bytes()).unwrap();
    assert_eq!(same.len(), part.len());
    let z = part.root().get("y").unwrap().children().nth(1).unwrap();
    let z = z.get("z").unwrap();
    assert_eq!(z.text().unwrap(), "q");
    assert_eq!(
        z.place().to_string(),
        "line 3, column 22 ($.entry[1].y[1].z)"
    );
    let again = z.detach();
    assert_eq!(again.source(), "\"q\"");
    assert_eq!(again.root().place(), z.place());
    assert!(again.root().key().is_none());
}

#[test]
fn debug_shows_no_content() {
    let document = parse(br#"{"canary": "canary"}"#).unwrap();
    let value = document.root().get("canary").unwrap();
    let shown = format!("{document:?} {value:?}");
    assert!(!shown.contains("canary"), "{shown}");
}
