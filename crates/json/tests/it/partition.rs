//! Each leaf is in exactly one part, and a selection holds only its own.

use crate::parse;
use json::{Assignment, Document, Partition, Parts};

fn select(document: &Document<'_>, partition: &Partition, parts: Parts) -> Option<String> {
    let selected = partition.select(document, parts)?;
    Some(String::from_utf8(selected).unwrap())
}

#[test]
fn a_selection_keeps_the_bytes_and_order_of_its_leaves() {
    let source =
        br#"{ "k\u0065y" : [ 1.0 , { "a" : "\u0041" , "b" : [ ] } , [ { } ] ] , "z" : null }"#;
    let document = parse(source).unwrap();
    let root = document.root();
    let list = root.get("key").unwrap();
    let object = list.children().nth(1).unwrap();
    let mut assignment = Assignment::new(&document, 0);
    assignment.assign(list, 3);
    assignment.assign(object.get("a").unwrap(), 7);
    let partition = assignment.finish(&document);
    let part = |part| select(&document, &partition, Parts::one(part));
    assert_eq!(part(0).unwrap(), r#"{"z":null}"#);
    assert_eq!(part(3).unwrap(), r#"{"k\u0065y":[1.0,{"b":[]},[{}]]}"#);
    assert_eq!(part(7).unwrap(), r#"{"k\u0065y":[{"a":"\u0041"}]}"#);
    assert_eq!(part(1), None);
    let both = Parts::one(0).with(Parts::one(7));
    assert_eq!(
        select(&document, &partition, both).unwrap(),
        r#"{"k\u0065y":[{"a":"\u0041"}],"z":null}"#
    );
}

#[test]
fn a_scalar_or_an_empty_container_is_a_document_with_one_leaf() {
    for source in ["5", "{ }", "[]", "\"x\""] {
        let document = parse(source.as_bytes()).unwrap();
        let partition = Assignment::new(&document, 2).finish(&document);
        let all = select(&document, &partition, Parts::one(2)).unwrap();
        assert_eq!(all, source.replace(' ', ""));
        assert_eq!(select(&document, &partition, Parts::one(1)), None);
    }
}
