//! The stored form: the server's edits, and no other byte changed.

use crate::sample;
use codec::time::Millis;
use fhir::{Assigned, Error, Parsed};
use proptest::prelude::*;
use serde_json::{Value, json};

fn assigned() -> Assigned<'static> {
    Assigned {
        id: "7",
        version_id: "2",
        last_updated: Millis::from_rfc3339("2026-01-02T03:04:05.678Z").unwrap(),
    }
}

fn resolve(text: &str) -> Option<String> {
    let to = match text {
        "urn:uuid:1" => "Patient/a",
        "urn:uuid:2" => "Binary/b&c",
        "Patient?identifier=x|1" => "Patient/a",
        _ => return None,
    };
    Some(to.to_owned())
}

fn check(source: &str, expect: &str) {
    let parsed = Parsed::parse(source.as_bytes()).unwrap();
    let stored = parsed.stored_form(&assigned(), &resolve).unwrap();
    let stored = String::from_utf8(stored).unwrap();
    assert_eq!(stored, expect);
    let again = Parsed::parse(stored.as_bytes()).unwrap();
    assert_eq!(again.id().unwrap(), "7");
    assert_eq!(
        again.stored_form(&assigned(), &resolve).unwrap(),
        expect.as_bytes()
    );
}

#[test]
fn id_and_meta_are_inserted_after_the_type() {
    check(
        r#"{"resourceType":"Basic"}"#,
        r#"{"resourceType":"Basic","id":"7","meta":{"versionId":"2","lastUpdated":"2026-01-02T03:04:05.678Z"}}"#,
    );
    check(
        "{\n  \"active\": true,\n  \"resourceType\": \"Patient\",\n  \"multipleBirthInteger\": 1.0e0\n}\n",
        "{\n  \"active\": true,\n  \"resourceType\": \"Patient\",\n  \"id\": \"7\",\n  \"meta\": \
         {\"versionId\":\"2\",\"lastUpdated\":\"2026-01-02T03:04:05.678Z\"},\n  \
         \"multipleBirthInteger\": 1.0e0\n}\n",
    );
}

#[test]
fn id_and_meta_are_replaced_where_they_stand() {
    check(
        r#"{"meta" : { "tag":[] , "versionId":"9" }, "resourceType":"Basic", "id" : "old"}"#,
        r#"{"meta" : { "lastUpdated":"2026-01-02T03:04:05.678Z", "tag":[] , "versionId":"2" }, "resourceType":"Basic", "id" : "7"}"#,
    );
    check(
        r#"{"resourceType":"Basic","id":"old","meta":{}}"#,
        r#"{"resourceType":"Basic","id":"7","meta":{"versionId":"2","lastUpdated":"2026-01-02T03:04:05.678Z"}}"#,
    );
}

#[test]
fn references_are_replaced_where_links_stand_and_nowhere_else() {
    let meta = r#""id":"7","meta":{"versionId":"2","lastUpdated":"2026-01-02T03:04:05.678Z"}"#;
    check(
        &format!(
            r#"{{"resourceType":"Observation",{meta},"subject":{{"reference":"urn:uuid:1","display":"urn:uuid:1"}},
            "performer":[{{"reference" : "Patient?identifier=x|1"}},{{"reference":"urn:uuid:3"}}],
            "identifier":[{{"value":"urn:uuid:1","system":"urn:uuid:1"}}],"unknown":{{"reference":"urn:uuid:1"}},
            "contained":[{{"resourceType":"Media","content":{{"url":"urn:uuid:2"}}}}],
            "extension":[{{"url":"u","valueUri":"urn:uuid:1"}},{{"url":"u","valueString":"urn:uuid:1"}}],
            "text":{{"status":"generated","div":"<div>urn:uuid:1 <a href=\"urn:uuid:1\"/><img src='urn:uuid:2'/><a href=\"urn:uuid:3\"/></div>"}}}}"#
        ),
        &format!(
            r#"{{"resourceType":"Observation",{meta},"subject":{{"reference":"Patient/a","display":"urn:uuid:1"}},
            "performer":[{{"reference" : "Patient/a"}},{{"reference":"urn:uuid:3"}}],
            "identifier":[{{"value":"urn:uuid:1","system":"Patient/a"}}],"unknown":{{"reference":"urn:uuid:1"}},
            "contained":[{{"resourceType":"Media","content":{{"url":"Binary/b&c"}}}}],
            "extension":[{{"url":"u","valueUri":"Patient/a"}},{{"url":"u","valueString":"urn:uuid:1"}}],
            "text":{{"status":"generated","div":"<div>urn:uuid:1 <a href=\"Patient/a\"/><img src='Binary/b&amp;c'/><a href=\"urn:uuid:3\"/></div>"}}}}"#
        ),
    );
}

#[test]
fn ids_that_are_none_are_not_spliced_in() {
    let parsed = Parsed::parse(br#"{"resourceType":"Basic"}"#).unwrap();
    for id in ["", "a b", "\"", "a/b", &"a".repeat(65)] {
        let with_id = Assigned { id, ..assigned() };
        let error = parsed.stored_form(&with_id, &resolve).unwrap_err();
        assert_eq!(error, Error::BadAssigned("id"));
        let with_version = Assigned {
            version_id: id,
            ..assigned()
        };
        let error = parsed.stored_form(&with_version, &resolve).unwrap_err();
        assert_eq!(error, Error::BadAssigned("versionId"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against a rewrite by serde_json: the same document, and the same again when repeated.
    #[test]
    fn the_stored_form_is_the_document_with_id_and_meta(which in 0..17_usize, pretty: bool, has_id: bool, has_meta: bool) {
        let (mut resource, _) = sample::all().swap_remove(which);
        let members = resource.as_object_mut().unwrap();
        if !has_id {
            members.remove("id");
        }
        if !has_meta {
            members.remove("meta");
        }
        let source = if pretty {
            serde_json::to_string_pretty(&resource).unwrap()
        } else {
            resource.to_string()
        };
        let parsed = Parsed::parse(source.as_bytes()).unwrap();
        let stored = parsed.stored_form(&assigned(), &resolve).unwrap();
        let mut expect = resource;
        expect["id"] = json!("7");
        expect["meta"]["versionId"] = json!("2");
        expect["meta"]["lastUpdated"] = json!("2026-01-02T03:04:05.678Z");
        prop_assert_eq!(serde_json::from_slice::<Value>(&stored).unwrap(), expect);
        let again = Parsed::parse(&stored).unwrap();
        prop_assert_eq!(again.stored_form(&assigned(), &resolve).unwrap(), stored);
    }
}
