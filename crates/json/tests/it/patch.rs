//! JSON Patch: the public test suite, and what it does not ask.

use json::{Limits, MAX_OPERATIONS, PatchError, patch};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

fn patched(source: &str, operations: &str) -> Result<String, PatchError> {
    let bytes = patch(source.as_bytes(), operations.as_bytes(), &Limits::default())?;
    Ok(String::from_utf8(bytes).unwrap())
}

fn suite(text: &str) -> usize {
    let cases: Vec<BTreeMap<String, &RawValue>> = serde_json::from_str(text).unwrap();
    let mut count = 0;
    for case in cases {
        let member = |name: &str| case.get(name).map(|value| value.get());
        let (Some(source), Some(operations)) = (member("doc"), member("patch")) else {
            continue;
        };
        if member("disabled") == Some("true") {
            continue;
        }
        let result = patched(source, operations);
        let name = member("comment").or(member("error")).unwrap_or(operations);
        match (member("error"), member("expected")) {
            (Some(_), _) => assert!(result.is_err(), "{name}: {result:?}"),
            (None, expected) => {
                let found = result.unwrap_or_else(|error| panic!("{name}: {error}"));
                let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
                // Without an expected document only the tests in the patch count.
                assert_eq!(value(&found), value(expected.unwrap_or(&found)), "{name}");
            }
        }
        count += 1;
    }
    count
}

#[test]
fn the_public_suite_passes() {
    let count = suite(include_str!("../../testdata/json-patch-tests/tests.json"));
    assert!(count > 80, "{count}");
    let count = suite(include_str!(
        "../../testdata/json-patch-tests/spec_tests.json"
    ));
    assert!(count > 15, "{count}");
}

#[track_caller]
fn check(source: &str, operations: &str, expect: &str) {
    assert_eq!(patched(source, operations).unwrap(), expect);
}

#[test]
fn bytes_that_no_operation_touches_stay() {
    let source = "{\n  \"a\" : 1.500,\n  \"b\": \"\\u00e4\",\n  \"c\": [1.0, 2E+3]\n}\n";
    check(source, r#"[{"op":"test","path":"/a","value":1.5}]"#, source);
    check(
        source,
        r#"[{"op":"replace","path":"/a","value":0.50}]"#,
        &source.replace("1.500", "0.50"),
    );
    check(
        source,
        r#"[{"op":"remove","path":"/b"}]"#,
        "{\n  \"a\" : 1.500,\n  \"c\": [1.0, 2E+3]\n}\n",
    );
    check(
        source,
        r#"[{"op":"remove","path":"/c"},{"op":"add","path":"/d","value":{"x" : 1}}]"#,
        "{\n  \"a\" : 1.500,\n  \"b\": \"\\u00e4\",\n  \"d\": {\"x\" : 1}\n}\n",
    );
    check(
        source,
        r#"[{"op":"add","path":"/c/-","value":3.0},{"op":"add","path":"/c/0","value":0.0}]"#,
        &source.replace("[1.0, 2E+3]", "[0.0,1.0, 2E+3, 3.0]"),
    );
    check(
        source,
        r#"[{"op":"move","from":"/c/1","path":"/a"}]"#,
        &source
            .replace("[1.0, 2E+3]", "[1.0]")
            .replace("1.500", "2E+3"),
    );
    check(
        source,
        r#"[{"op":"copy","from":"/b","path":"/c/1"}]"#,
        &source.replace("[1.0, ", "[1.0, \"\\u00e4\", "),
    );
}

#[test]
fn numbers_are_tested_by_what_they_are_worth() {
    let holds = |one: &str, two: &str| {
        let operations = format!(r#"[{{"op":"test","path":"","value":{two}}}]"#);
        patched(one, &operations).is_ok()
    };
    for (one, two) in [
        ("1", "1.0"),
        ("100", "1e2"),
        ("0.1", "1E-1"),
        ("-0", "0.000"),
        ("12300", "1.23e4"),
        ("0e99999999999999999999999999999999999999999999", "0"),
    ] {
        assert!(holds(one, two) && holds(two, one), "{one} {two}");
    }
    for (one, two) in [
        ("1", "10"),
        ("1", "-1"),
        ("0.1", "0.10000000000000000000000000000000000001"),
        ("1e2", "1e3"),
        ("1", "\"1\""),
    ] {
        assert!(!holds(one, two) && !holds(two, one), "{one} {two}");
    }
}

#[test]
fn what_is_wrong_is_refused_and_shows_no_value() {
    let source = r#"{"a":{"b":["secret"]}}"#;
    let refused = [
        ("{}", "not a list"),
        ("[{}]", "member op"),
        (r#"[{"op":"spam","path":"/a"}]"#, "use add"),
        (r#"[{"op":"add","path":"/a"}]"#, "member value"),
        (r#"[{"op":"add","value":1}]"#, "member path"),
        (r#"[{"op":"add","path":"a","value":1}]"#, "JSON Pointers"),
        (r#"[{"op":"add","path":"/~2","value":1}]"#, "JSON Pointers"),
        (r#"[{"op":"copy","path":"/c"}]"#, "member from"),
        (r#"[{"op":"remove","path":""}]"#, "cannot be removed"),
        (
            r#"[{"op":"remove","path":"/secret"}]"#,
            "not in the document",
        ),
        (
            r#"[{"op":"remove","path":"/a/b/01"}]"#,
            "not in the document",
        ),
        (
            r#"[{"op":"remove","path":"/a/b/-"}]"#,
            "not in the document",
        ),
        (
            r#"[{"op":"add","path":"/a/b/2","value":1}]"#,
            "not in the document",
        ),
        (
            r#"[{"op":"add","path":"/a/b/0/x","value":1}]"#,
            "not in the document",
        ),
        (
            r#"[{"op":"move","from":"/a","path":"/a/b"}]"#,
            "into itself",
        ),
        (r#"[{"op":"move","from":"","path":"/a"}]"#, "into itself"),
        (
            r#"[{"op":"test","path":"/a/b/0","value":"other"}]"#,
            "does not hold",
        ),
        (r#"[{"op":"test","path":"/a","value":{}}]"#, "does not hold"),
        ("[", "the patch: "),
    ];
    for (operations, expect) in refused {
        let error = patched(source, operations).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(expect), "{operations}: {shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }
    assert!(matches!(patched("{", "[]"), Err(PatchError::Document(_))));
}

#[test]
fn patches_are_bounded() {
    let adds = |count: usize| {
        let one = r#"{"op":"add","path":"/a","value":1}"#;
        format!("[{}]", vec![one; count].join(","))
    };
    assert_eq!(patched("{}", &adds(MAX_OPERATIONS)).unwrap(), r#"{"a":1}"#);
    assert_eq!(
        patched("{}", &adds(MAX_OPERATIONS + 1)),
        Err(PatchError::TooMany)
    );
    // Copies of copies double the text each time.
    let doubling = r#"{"op":"copy","from":"","path":"/-"}"#;
    let operations = format!("[{}]", vec![doubling; 60].join(","));
    let small = Limits {
        size_bytes: 10_000,
        ..Limits::default()
    };
    let result = patch(b"[1]", operations.as_bytes(), &small);
    assert!(matches!(result, Err(PatchError::Document(_))));
    // What is nested too deep after the last operation is refused too.
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    let operations = format!(r#"[{{"op":"add","path":"/a/a/a/a/a/-","value":{deep}}}]"#);
    let result = patched(r#"{"a":{"a":{"a":{"a":{"a":[]}}}}}"#, &operations);
    assert!(matches!(result, Err(PatchError::Document(_))), "{result:?}");
}
