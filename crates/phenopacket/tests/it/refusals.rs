//! What is refused, and how the refusal reads.

use phenopacket::{Error, Limits, Parsed};

fn check(source: impl AsRef<[u8]>, expect: &str) {
    let error = Parsed::parse(source.as_ref()).unwrap_err();
    assert_eq!(error.to_string(), expect);
}

#[test]
fn what_is_not_a_phenopacket_is_refused() {
    check(
        "[{}]",
        "a phenopacket is one JSON object, but at line 1, column 1 ($) stands something else; \
         send the object",
    );
    check(
        r#"{"resourceType": "Patient", "id": "x"}"#,
        "the document at line 1, column 1 ($) is a FHIR resource; send it as FHIR, not as a \
         phenopacket",
    );
    for several in [r#"{"id":"f","proband":{}}"#, r#"{"id":"c","members":[]}"#] {
        let error = Parsed::parse(several.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::SeveralPeople(_)), "{error}");
    }
    for no_id in ["{}", r#"{"id":""}"#, r#"{"id":null,"subject":{"id":"a"}}"#] {
        let error = Parsed::parse(no_id.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::NoId(_)), "{error}");
    }
}

/// A version 1 exclusion must never be read as an observation.
#[test]
fn version_one_is_refused() {
    let negated = r#"{"id":"x","phenotypicFeatures":[{"type":{"id":"HP:1"},"negated":true}]}"#;
    let meta = r#"{"id":"x","metaData":{"phenopacketSchemaVersion":"1.0.0-RC3"}}"#;
    let snake = r#"{"id":"x","meta_data":{"phenopacket_schema_version":"1.0"}}"#;
    for source in [negated, meta, snake] {
        let error = Parsed::parse(source.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::VersionOne(_)), "{error}");
    }
}

#[test]
fn fields_of_the_wrong_kind_are_refused_with_their_place() {
    check(
        "{\"id\":\"x\",\n \"phenotypicFeatures\":[{\"type\":{\"id\":\"HP:1\"},\"excluded\":\"true\"}]}",
        "true or false is expected at line 2, column 57 ($.phenotypicFeatures[0].excluded); \
         correct the field or leave it out",
    );
    let wrong = [
        r#"{"id":5}"#,
        r#"{"id":"x","subject":"Anna"}"#,
        r#"{"id":"x","subject":[]}"#,
        r#"{"id":"x","phenotypicFeatures":{}}"#,
        r#"{"id":"x","phenotypicFeatures":[["HP:1"]]}"#,
        r#"{"id":"x","phenotypicFeatures":[null]}"#,
        r#"{"id":"x","diseases":[{"term":"OMIM:1"}]}"#,
        r#"{"id":"x","measurements":[{"value":{"quantity":{"value":true}}}]}"#,
    ];
    for source in wrong {
        let error = Parsed::parse(source.as_bytes()).unwrap_err();
        assert!(
            matches!(error, Error::WrongKind { .. }),
            "{source}: {error}"
        );
    }
    for source in [
        r#"{"id":"x","subject":{"sex":"female"}}"#,
        r#"{"id":"x","subject":{"sex":4}}"#,
        r#"{"id":"x","subject":{"sex":-1}}"#,
        r#"{"id":"x","subject":{"sex":1.5}}"#,
        r#"{"id":"x","subject":{"sex":true}}"#,
    ] {
        let error = Parsed::parse(source.as_bytes()).unwrap_err();
        assert!(
            matches!(error, Error::UnknownChoice(_)),
            "{source}: {error}"
        );
    }
    for source in [
        r#"{"id":"x","phenotypicFeatures":[{}]}"#,
        r#"{"id":"x","phenotypicFeatures":[{"type":{"id":""}}]}"#,
        r#"{"id":"x","biosamples":[{"phenotypicFeatures":[{"excluded":true}]}]}"#,
    ] {
        let error = Parsed::parse(source.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::NoTerm(_)), "{source}: {error}");
    }
}

#[test]
fn a_field_may_not_stand_in_both_spellings() {
    let source = r#"{"id":"x","metaData":{"createdBy":"a","created_by":"b"}}"#;
    let error = Parsed::parse(source.as_bytes()).unwrap_err();
    assert!(matches!(error, Error::TwoSpellings(_)), "{error}");
}

#[test]
fn hostile_text_is_refused_quickly_and_without_its_content() {
    let huge = vec![b'['; 100 << 20];
    let deep = format!("{{\"id\":{}", "[".repeat(100_000));
    let hostile: [&[u8]; 8] = [
        b"",
        b"{\"id\":\"secret\"",
        b"{\"id\":\"secret\"}{}",
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
        size_bytes: 10,
        ..Limits::default()
    };
    assert!(Parsed::parse_within(br#"{"id":"x"}"#, &small).is_ok());
    assert!(Parsed::parse_within(br#"{"id":"xy"}"#, &small).is_err());
}
