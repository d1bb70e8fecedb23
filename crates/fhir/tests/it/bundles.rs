//! Bundles are taken apart into resources with their exact bytes.

use fhir::{Bundle, BundleKind, Error, Method, Received};

const TRANSACTION: &str = r#"{"resourceType":"Bundle","type":"transaction","entry":[
  {"fullUrl":"urn:uuid:1","resource": {"resourceType":"Patient" , "active":true} ,"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=x"}},
  {"fullUrl":"urn:uuid:2","resource":{"resourceType":"Observation","subject":{"reference":"urn:uuid:1"},"encounter":{"reference":"urn:uuid:9"}},"request":{"method":"PUT","url":"Observation/o1","ifMatch":"W/\"1\""}},
  {"request":{"method":"GET","url":"Patient/1","ifNoneMatch":"W/\"2\""}},
  {"request":{"method":"POST","url":"$operation"}}]}"#;

#[test]
fn a_transaction_is_taken_apart() {
    let bundle = Bundle::parse(TRANSACTION.as_bytes()).unwrap();
    assert_eq!(bundle.kind(), BundleKind::Transaction);
    let entries = bundle.entries();
    assert_eq!(entries.len(), 4);
    assert_eq!(entries[0].full_url(), Some("urn:uuid:1"));
    let patient = entries[0].resource().unwrap();
    assert_eq!(
        patient.received(),
        br#"{"resourceType":"Patient" , "active":true}"#
    );
    let request = entries[0].request().unwrap();
    assert_eq!((request.method, &*request.url), (Method::Post, "Patient"));
    assert_eq!(request.if_none_exist.as_deref(), Some("identifier=x"));
    let request = entries[1].request().unwrap();
    assert_eq!(request.if_match.as_deref(), Some("W/\"1\""));
    assert!(entries[2].resource().is_none());
    assert_eq!(
        entries[2].request().unwrap().if_none_match.as_deref(),
        Some("W/\"2\"")
    );
    assert_eq!(bundle.dangling(), [(1, "encounter.reference".to_owned())]);
    let shown = format!("{bundle:?} {entries:?}");
    assert!(
        !shown.contains("urn") && !shown.contains("identifier"),
        "{shown}"
    );
}

#[test]
fn one_or_several_resources_are_told_apart() {
    let bundle = Received::parse(TRANSACTION.as_bytes()).unwrap();
    assert!(matches!(bundle, Received::Bundle(_)));
    let patient = Received::parse(br#"{"resourceType":"Patient"}"#).unwrap();
    assert!(matches!(patient, Received::Resource(_)));
    let document = br#"{"resourceType":"Bundle","type":"document"}"#;
    let document = Received::parse(document).unwrap();
    let Received::Resource(document) = document else {
        panic!("a document is one resource");
    };
    assert_eq!(document.category(), codec::Category::Identity);
    let empty = Bundle::parse(br#"{"resourceType":"Bundle","type":"batch"}"#).unwrap();
    assert!(empty.entries().is_empty());
}

fn check(source: &str, expect: &str) {
    let error = Bundle::parse(source.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), expect, "{source}");
}

#[test]
fn a_bundle_of_too_many_entries_is_refused_with_the_place_of_the_first() {
    let of = |count: usize| {
        let entry = r#"{"resource":{"resourceType":"Patient"}}"#;
        let entries = vec![entry; count].join(",");
        format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{entries}]}}"#)
    };
    let most = of(fhir::MAX_ENTRIES);
    let most = Bundle::parse(most.as_bytes()).unwrap();
    assert_eq!(most.entries().len(), fhir::MAX_ENTRIES);
    let refused = Bundle::parse(of(fhir::MAX_ENTRIES + 1).as_bytes()).unwrap_err();
    assert!(matches!(refused, fhir::Error::TooManyEntries(_)));
    assert!(refused.to_string().contains("entry[20000]"), "{refused}");
}

#[test]
fn bad_bundles_are_refused_with_their_place() {
    let with = |kind: &str, entry: &str| {
        format!("{{\"resourceType\":\"Bundle\",\"type\":\"{kind}\",\n\"entry\":[{entry}]}}")
    };
    check(
        r#"{"resourceType":"Patient"}"#,
        "the document at line 1, column 1 ($) is not a Bundle; send a Bundle, or the resource to its \
         own type",
    );
    check(
        &with("searchset", ""),
        "the Bundle type at line 1, column 33 ($.type) is not transaction, batch or collection; send \
         one of these",
    );
    check(
        &with("batch", r#"{"resource":{"resourceType":"Patient"}}"#),
        "the entry at line 2, column 10 ($.entry[0]) has no request; add it",
    );
    check(
        &with("batch", r#"{"request":{"method":"PUT"}}"#),
        "the entry at line 2, column 21 ($.entry[0].request) has no request.url; add it",
    );
    check(
        &with(
            "transaction",
            r#"{"request":{"method":"POST","url":"Patient"}}"#,
        ),
        "the entry at line 2, column 10 ($.entry[0]) has no resource; add it",
    );
    check(
        &with(
            "collection",
            r#"{"resource":{"resourceType":"Patient"}},{}"#,
        ),
        "the entry at line 2, column 50 ($.entry[1]) has no resource; add it",
    );
    check(
        &with("batch", r#"{"request":{"method":"get","url":"x"}}"#),
        "the method at line 2, column 31 ($.entry[0].request.method) is not GET, HEAD, POST, PUT, \
         DELETE or PATCH; use one of these",
    );
    check(
        &with(
            "collection",
            r#"{"resource":{"resourceType":"Patient","id":"a b"}}"#,
        ),
        "the id at line 2, column 53 ($.entry[0].resource.id) is not 1 to 64 letters, digits, '-' or \
         '.'; correct it or leave it out",
    );
    let twice = r#"{"fullUrl":"urn:uuid:1","request":{"method":"GET","url":"x"}}"#;
    let twice = with("transaction", &format!("{twice},{twice}"));
    let error = Bundle::parse(twice.as_bytes()).unwrap_err();
    assert!(matches!(error, Error::SameFullUrl(_)), "{error}");
    let nested = with(
        "collection",
        &format!("{{\"resource\":{}}}", with("batch", "")),
    );
    let error = Bundle::parse(nested.as_bytes()).unwrap_err();
    assert!(matches!(error, Error::IsBundle(_)), "{error}");
}
