//! Edits change the bytes they name and no other.

use crate::parse;
use json::{Edits, Overlap};

fn check(source: &str, after: Option<&str>, members: &[(&str, &str)], expect: &str) {
    let document = parse(source.as_bytes()).unwrap();
    let members: Vec<_> = members.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    let mut edits = Edits::new();
    edits.set_members(document.root(), after, &members);
    let edited = String::from_utf8(edits.apply(&document).unwrap()).unwrap();
    assert_eq!(edited, expect);
    assert!(parse(edited.as_bytes()).is_ok());
}

#[test]
fn no_edit_gives_the_same_bytes() {
    check(" { \"a\" :1.50 }\n", None, &[], " { \"a\" :1.50 }\n");
}

#[test]
fn members_are_replaced_or_inserted_like_their_neighbour() {
    let set: &[(&str, &str)] = &[("id", "\"7\""), ("v", "{}")];
    check("{}", None, set, "{\"id\":\"7\",\"v\":{}}");
    check("{ }", Some("a"), set, "{\"id\":\"7\",\"v\":{} }");
    check(r#"{"a":1}"#, Some("a"), set, r#"{"a":1,"id":"7","v":{}}"#);
    check(r#"{"a":1}"#, None, set, r#"{"id":"7","v":{},"a":1}"#);
    check(
        r#"{"id":"old","a":[1, 2.0]}"#,
        Some("a"),
        set,
        r#"{"id":"7","a":[1, 2.0],"v":{}}"#,
    );
    check(
        "{\n  \"a\" : 1,\n  \"b\": 2\n}",
        Some("a"),
        set,
        "{\n  \"a\" : 1,\n  \"id\" : \"7\",\n  \"v\" : {},\n  \"b\": 2\n}",
    );
    check(
        "{\n  \"b\": 2\n}",
        Some("a"),
        &[("id", "\"7\"")],
        "{\n  \"id\": \"7\",\n  \"b\": 2\n}",
    );
    check("[1]", None, set, "[1]");
}

#[test]
fn a_member_with_an_escaped_name_is_found() {
    check(r#"{"i\u0064":1}"#, None, &[("id", "2")], r#"{"i\u0064":2}"#);
}

#[test]
fn edits_are_made_in_any_order_and_may_not_overlap() {
    let document = parse(br#"{"a": [1, 2, 3]}"#).unwrap();
    let list = document.root().get("a").unwrap();
    let mut edits = Edits::new();
    for (position, text) in [(2, "three"), (0, "one")] {
        edits.replace(list.children().nth(position).unwrap(), json::quote(text));
    }
    let edited = edits.apply(&document).unwrap();
    assert_eq!(edited, br#"{"a": ["one", 2, "three"]}"#);
    let mut edits = Edits::new();
    edits.replace(list, "4");
    edits.replace(list.children().next().unwrap(), "5");
    assert_eq!(edits.apply(&document), Err(Overlap));
    let mut edits = Edits::new();
    edits.replace_span(3..900, "4");
    assert_eq!(edits.apply(&document), Err(Overlap));
}
