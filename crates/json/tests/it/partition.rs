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

/// What has no white space is copied whole where it can be; the outcome is that of the long way.
#[test]
fn a_compact_text_is_divided_like_a_spaced_one() {
    let compact =
        br#"{"a":{"b":1,"c":[true,{"d":"x y"},[]]},"e":{},"f":[{"g":null,"h":"\u0041 \""}]}"#;
    let spaced = br#" { "a" : {"b":1 , "c":[true, {"d":"x y"},[ ]]}, "e":{ } ,"f":[{"g":null,"h":"\u0041 \""} ] } "#;
    let (compact, spaced) = (parse(compact).unwrap(), parse(spaced).unwrap());
    assert_eq!(compact.len(), spaced.len());
    for pattern in 0..1_u32 << compact.len() {
        let divided = |document: &json::Document<'_>| {
            let mut assignment = Assignment::new(document, 0);
            let mut pending = vec![document.root()];
            while let Some(value) = pending.pop() {
                if value.is_leaf() && pattern >> value.index() & 1 == 1 {
                    assignment.assign(value, 1);
                }
                pending.extend(value.children());
            }
            let partition = assignment.finish(document);
            [
                Parts::one(0),
                Parts::one(1),
                Parts::one(0).with(Parts::one(1)),
            ]
            .map(|wanted| partition.select(document, wanted))
        };
        assert_eq!(divided(&compact), divided(&spaced), "{pattern:b}");
    }
}
