//! What is refused, and how the refusal reads.

use fhir::{Error, Limits, Parsed};

fn check(source: impl AsRef<[u8]>, expect: &str) {
    let error = Parsed::parse(source.as_ref()).unwrap_err();
    assert_eq!(error.to_string(), expect);
}

#[test]
fn what_is_not_a_resource_of_r4_is_refused() {
    check(
        "[]",
        "a resource is one JSON object, but at line 1, column 1 ($) stands something else; send the \
         object",
    );
    check(
        "{}",
        "the resource at line 1, column 1 ($) has no resourceType; name its type, such as Patient",
    );
    check(
        r#"{"resourceType":"Patientx"}"#,
        "the resourceType at line 1, column 17 ($.resourceType) is not one of FHIR R4 (4.0.1); send \
         an R4 resource",
    );
    for other in [
        "DomainResource",
        "Resource",
        "Element",
        "patient",
        "",
        "NutritionIntake",
    ] {
        let source = format!(r#"{{"resourceType":"{other}"}}"#);
        let error = Parsed::parse(source.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::UnknownResourceType(_)), "{error}");
    }
    let error = Parsed::parse(br#"{"resourceType":5}"#).unwrap_err();
    assert!(matches!(error, Error::NoResourceType(_)), "{error}");
    let contained = br#"{"resourceType":"Patient","contained":[{"resourceType":"Anna"}]}"#;
    let error = Parsed::parse(contained).unwrap_err();
    assert!(matches!(error, Error::UnknownResourceType(_)), "{error}");
    let bundle = br#"{"resourceType":"Bundle","type":"transaction"}"#;
    let error = Parsed::parse(bundle).unwrap_err();
    assert!(matches!(error, Error::IsBundle(_)), "{error}");
}

#[test]
fn ids_and_shapes_are_checked() {
    for id in ["\"\"", "\"a b\"", "\"a/b\"", "\"ä\"", "5", "null", "[]"] {
        let source = format!(r#"{{"resourceType":"Patient","id":{id}}}"#);
        let error = Parsed::parse(source.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::BadId(_)), "{error}");
    }
    let long = format!(r#"{{"resourceType":"Patient","id":"{}"}}"#, "a".repeat(65));
    assert!(Parsed::parse(long.as_bytes()).is_err());
    assert!(Parsed::parse(br#"{"resourceType":"Patient","id":"A-1.b"}"#).is_ok());
    for bad in [r#""meta":[]"#, r#""meta":null"#, r#""contained":{}"#] {
        let source = format!(r#"{{"resourceType":"Patient",{bad}}}"#);
        let error = Parsed::parse(source.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::WrongKind { .. }), "{error}");
    }
}

#[test]
fn hostile_text_is_refused_quickly_and_without_its_content() {
    let huge = vec![b'{'; 100 << 20];
    let deep = format!("{{\"resourceType\":{}", "[".repeat(100_000));
    let hostile: [&[u8]; 8] = [
        b"",
        b"{\"resourceType\":\"secret\"",
        b"{\"resourceType\":\"secret\"}{}",
        b"{\"id\":\"\xFFsecret\"}",
        b"\xEF\xBB\xBF{\"id\":\"secret\"}",
        b"{\"secret\":1,\"secret\":2}",
        deep.as_bytes(),
        &huge,
    ];
    for source in hostile {
        let error = Parsed::parse(source).unwrap_err();
        assert!(matches!(error, Error::Json(_)), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let small = Limits {
        size_bytes: 26,
        ..Limits::default()
    };
    assert!(Parsed::parse_within(br#"{"resourceType":"Patient"}"#, &small).is_ok());
    assert!(Parsed::parse_within(br#"{"resourceType":"Patient"} "#, &small).is_err());
}

#[test]
fn numbers_keep_their_digits() {
    let digits = "123456789012345678901234567890.1230000e-400";
    let source = format!(
        r#"{{"resourceType":"Observation","category":[{{"coding":[{{"code":"laboratory"}}]}}],"valueQuantity":{{"value":{digits}}}}}"#
    );
    let parsed = Parsed::parse(source.as_bytes()).unwrap();
    let laboratory = parsed.select(&[codec::Category::Laboratory]).unwrap();
    assert!(String::from_utf8(laboratory).unwrap().contains(digits));
}
