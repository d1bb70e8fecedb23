//! What is refused, and how the refusal reads.

use crate::parse;
use json::{Limits, Problem};

fn check(source: impl AsRef<[u8]>, problem: Problem, place: &str) {
    let error = parse(source.as_ref()).unwrap_err();
    assert_eq!(error.problem(), problem, "{error}");
    assert_eq!(error.place().to_string(), place);
}

#[test]
fn malformed_text_is_refused_where_it_is_wrong() {
    check("", Problem::Empty, "line 1, column 1 ($)");
    check(" \n ", Problem::Empty, "line 2, column 2 ($)");
    check("{", Problem::Truncated, "line 1, column 2 ($)");
    check("{\"a\"", Problem::Truncated, "line 1, column 5 ($.a)");
    check("{\"a\":tru", Problem::Truncated, "line 1, column 9 ($.a)");
    check("{\"a\":trux", Problem::Unexpected, "line 1, column 6 ($.a)");
    check("{a:1}", Problem::Unexpected, "line 1, column 2 ($)");
    check("{\"a\":1,}", Problem::Unexpected, "line 1, column 8 ($)");
    check("{,}", Problem::Unexpected, "line 1, column 2 ($)");
    check("[1 2]", Problem::Unexpected, "line 1, column 4 ($[1])");
    check("[1,]", Problem::Unexpected, "line 1, column 4 ($[1])");
    check("[1}", Problem::Unexpected, "line 1, column 3 ($[1])");
    check("{\"a\" 1}", Problem::Unexpected, "line 1, column 6 ($.a)");
    check("'a'", Problem::Unexpected, "line 1, column 1 ($)");
    check("NaN", Problem::Unexpected, "line 1, column 1 ($)");
    check("{}x", Problem::TrailingData, "line 1, column 3 ($)");
    check("1 2", Problem::TrailingData, "line 1, column 3 ($)");
}

#[test]
fn numbers_are_written_as_in_the_standard() {
    for number in [
        "01", "-", "1.", ".5", "1e", "1e+", "+1", "1.2.3", "-a", "0x1", "1-2",
    ] {
        assert!(parse(number.as_bytes()).is_err(), "{number}");
        assert!(parse(format!("[{number}]").as_bytes()).is_err(), "{number}");
    }
}

/// Strings are scanned in words of eight bytes: what is not plain is found at any place in one.
#[test]
fn what_is_not_plain_is_found_wherever_it_stands() {
    for length in 0..40_usize {
        for plain in ["a", " ", "\u{7f}", "\u{e9}", "\u{ffff}"] {
            let before = plain.repeat(length);
            let column = length + 2;
            for bad in ['\0', '\u{1}', '\u{1f}'] {
                let place = format!("line 1, column {column} ($)");
                let text = format!("\"{before}{bad}{before}\"");
                check(text, Problem::ControlCharacter, &place);
            }
            let text = format!("\"{before}\\n{before}\"");
            let document = parse(text.as_bytes()).unwrap();
            let expected = format!("{before}\n{before}");
            assert_eq!(document.root().text().as_deref(), Some(&*expected));
            let text = format!("[\"{before}\",1]");
            assert_eq!(parse(text.as_bytes()).unwrap().len(), 3);
        }
    }
}

#[test]
fn strings_are_written_as_in_the_standard() {
    check(r#""\x""#, Problem::BadEscape, "line 1, column 2 ($)");
    check(r#""\u12g4""#, Problem::BadEscape, "line 1, column 2 ($)");
    check(
        r#""\ud800""#,
        Problem::LoneSurrogate,
        "line 1, column 2 ($)",
    );
    check(
        r#""\udc00""#,
        Problem::LoneSurrogate,
        "line 1, column 2 ($)",
    );
    check(
        r#""\ud800\u0041""#,
        Problem::LoneSurrogate,
        "line 1, column 2 ($)",
    );
    check("\"\\u12", Problem::Truncated, "line 1, column 2 ($)");
    check("\"a\\", Problem::Truncated, "line 1, column 3 ($)");
    check(
        "\"a\nb\"",
        Problem::ControlCharacter,
        "line 1, column 3 ($)",
    );
    check(
        "\"a\0b\"",
        Problem::ControlCharacter,
        "line 1, column 3 ($)",
    );
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    check(
        b"{\"\xC3\xA9\": \"\xFF\"}",
        Problem::NotUtf8,
        "line 1, column 8 ($)",
    );
    check(
        b"\"\xED\xA0\x80\"",
        Problem::NotUtf8,
        "line 1, column 2 ($)",
    );
    check(
        b"\xEF\xBB\xBF{}",
        Problem::ByteOrderMark,
        "line 1, column 1 ($)",
    );
}

#[test]
fn a_name_that_stands_twice_is_refused_also_when_escaped() {
    let twice = "{\"e\":[0,{\"a\":1,\n\"b\":2,\"\\u0061\":3}]}";
    check(twice, Problem::DuplicateName, "line 2, column 7 ($.e[1].a)");
    let members: Vec<String> = (0..100).map(|n| format!("\"n{n}\":0")).collect();
    let many = format!("{{{},\"n7\":0,\"n9\":0}}", members.join(","));
    let error = parse(many.as_bytes()).unwrap_err();
    assert_eq!(error.problem(), Problem::DuplicateName);
    assert_eq!(error.place().path(), "$.n7");
    let nested = "{\"a\":{\"a\":[{\"a\":1},{\"a\":1}]}}";
    assert!(parse(nested.as_bytes()).is_ok());
}

#[test]
fn nesting_is_bounded() {
    let nest = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(nest(json::MAX_DEPTH).as_bytes()).is_ok());
    let error = parse(nest(json::MAX_DEPTH + 1).as_bytes()).unwrap_err();
    assert_eq!(error.problem(), Problem::TooDeep);
    assert_eq!(error.place().column(), json::MAX_DEPTH + 1);
    let unclosed = "{\"a\":".repeat(1_000_000);
    assert_eq!(
        parse(unclosed.as_bytes()).unwrap_err().problem(),
        Problem::TooDeep
    );
}

#[test]
fn size_and_number_of_values_are_bounded() {
    let huge = vec![b' '; 100 << 20];
    let error = parse(&huge).unwrap_err();
    assert_eq!(error.problem(), Problem::TooLarge(16 << 20));
    let limits = Limits {
        size_bytes: 5,
        values: 3,
        ..Limits::default()
    };
    assert!(json::parse(b"[1,2]", &limits).is_ok());
    let error = json::parse(b"[1,2 ]", &limits).unwrap_err();
    assert_eq!(error.problem(), Problem::TooLarge(5));
    let limits = Limits {
        size_bytes: 50,
        ..limits
    };
    let error = json::parse(b"[1,2,3]", &limits).unwrap_err();
    assert_eq!(error.problem(), Problem::TooManyValues(3));
}

#[test]
fn a_message_names_the_place_and_never_a_value_or_an_unknown_name() {
    let limits = Limits {
        shown: |name| name == "subject",
        ..Limits::default()
    };
    let source = "{\"subject\": [{\"Anna Muster\": {\"id\": \"secret\", \"x\": \"secret\" 5}}]}";
    let error = json::parse(source.as_bytes(), &limits).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a character stands where JSON does not allow it, at line 1, column 61 \
         ($.subject[0].*); correct the JSON and send it again"
    );
}
