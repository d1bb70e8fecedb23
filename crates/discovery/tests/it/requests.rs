//! Requests as clients send them, and the examples of the specification.

use crate::{
    archive::{document, documents, faults},
    vocabulary::Small,
};
use discovery::{
    Granularity, Include, MAX_BODY_BYTES, MAX_QUERY_BYTES, Page, Refusal, parse_get, parse_page,
    parse_post,
};
use serde_json::{Value, json};

fn said(request: Result<discovery::Request, Refusal>) -> String {
    match request {
        Ok(request) => request.query.sentence(|_| None),
        Err(refusal) => format!("refused: {refusal}"),
    }
}

fn posted(body: &Value) -> String {
    said(parse_post(body.to_string().as_bytes(), &Small))
}

/// Every example of a request in the archive, whole or a section put into a request.
#[test]
fn examples_of_the_specification_are_read_or_refused_with_a_reason() {
    let body = |query: Value| json!({ "meta": { "apiVersion": "2.0" }, "query": query });
    let mut seen = Vec::new();
    for (path, example) in documents() {
        let Some(name) = path.strip_prefix("framework/json/requests/examples-") else {
            continue;
        };
        let whole = match name {
            "fullDocuments/beaconRequestBody-MIN-example.json"
            | "fullDocuments/beaconRequestBody-MAX-example.json" => example.clone(),
            "sections/beaconRequestMeta-example.json" => json!({ "meta": example }),
            "sections/filteringTerms-example.json" => {
                body(json!({ "filters": example["filters"] }))
            }
            "sections/requestParameters-example.json" => {
                body(json!({ "requestParameters": example }))
            }
            other => panic!("an example that nobody looked at: {other}"),
        };
        let valid = faults("framework/json/requests/beaconRequestBody.json", &whole);
        assert_eq!(valid, Vec::<String>::new(), "{name}");
        seen.push(format!("{name}: {}", posted(&whole)));
    }
    for filter in document("framework/json/requests/examples-sections/filteringTerms-example.json")
        ["filters"]
        .as_array()
        .expect("a list")
    {
        seen.push(format!(
            "{filter}: {}",
            posted(&body(json!({ "filters": [filter] })))
        ));
    }
    let get = document("models/json/beacon-v2-default-model/individuals/endpoints.json");
    let get = &get["components"]["parameters"]["filters"]["examples"]["example1"]["value"][0];
    let get = get.as_str().expect("a filter");
    seen.push(format!(
        "GET {get}: {}",
        said(parse_get(&format!("filters={get}"), &Small))
    ));
    assert_eq!(seen.join("\n"), EXAMPLES.trim());
}

const EXAMPLES: &str = r#"
fullDocuments/beaconRequestBody-MAX-example.json: refused: 'datasets' is not understood; without it the answer would be to another question
fullDocuments/beaconRequestBody-MIN-example.json: How many individuals are there?
sections/beaconRequestMeta-example.json: How many individuals are there?
sections/filteringTerms-example.json: refused: filter 1 is for another entry type; individuals alone are searched
sections/requestParameters-example.json: refused: 'exampleEntry' is not understood; without it the answer would be to another question
{"id":"HP:0002664","includeDescendantTerms":true,"scope":"biosamples","similarity":"exact"}: refused: filter 1 is for another entry type; individuals alone are searched
{"id":"age","operator":">=","scope":"individuals","value":"P70Y"}: How many individuals have age: 70 years or more?
{"id":"demographic.ethnicity:asian","scope":"cohorts"}: refused: filter 1 is for another entry type; individuals alone are searched
GET NCIT:C20197: How many individuals have sex: male?
"#;

/// Whatever the specification lists as a parameter of genomic variations is refused as such.
#[test]
fn genomic_variations_are_refused_by_name() {
    let parameters =
        document("models/json/beacon-v2-default-model/genomicVariations/requestParameters.json");
    let names: Vec<_> = parameters["g_variant"]["properties"]
        .as_object()
        .expect("parameters")
        .keys()
        .collect();
    assert!(names.len() > 10);
    for name in names {
        assert_eq!(
            parse_get(&format!("{name}=1"), &Small),
            Err(Refusal::GenomicVariation),
            "{name}"
        );
        let body = json!({ "meta": { "apiVersion": "v2" }, "query": { "requestParameters": { name: 1 } } });
        assert_eq!(
            parse_post(body.to_string().as_bytes(), &Small),
            Err(Refusal::GenomicVariation)
        );
    }
    let nested = json!({ "meta": { "apiVersion": "v2" }, "query": { "requestParameters": { "g_variant": { "geneId": "BRAF" } } } });
    assert_eq!(
        parse_post(nested.to_string().as_bytes(), &Small),
        Err(Refusal::GenomicVariation)
    );
}

#[test]
fn a_document_and_a_query_string_say_the_same() {
    let text = "filters=HP:0001250,NCIT:C16576&filters=age%3E%3DP18Y&requestedGranularity=record&includeResultsetResponses=ALL&skip=2&limit=5&testMode=true&apiVersion=v2.0";
    let body = json!({
        "meta": { "apiVersion": "v2.0" },
        "query": {
            "filters": [
                { "id": "HP:0001250", "scope": "individuals", "similarity": "exact" },
                { "id": "NCIT:C16576", "includeDescendantTerms": false },
                { "id": "age", "operator": ">=", "value": "P18Y", "scope": "individual" },
            ],
            "requestedGranularity": "record",
            "includeResultsetResponses": "ALL",
            "pagination": { "skip": 2, "limit": 5 },
            "testMode": true,
            "requestParameters": null,
        },
    });
    let get = parse_get(text, &Small).expect("a request");
    let post = parse_post(body.to_string().as_bytes(), &Small).expect("a request");
    assert_eq!(get, post);
    assert_eq!(get.query.filters().len(), 3);
    assert_eq!(get.received.granularity, Granularity::Record);
    assert_eq!(
        get.granularity(),
        Granularity::Count,
        "records are never returned"
    );
    assert_eq!(get.received.include, Include::All);
    assert_eq!(get.received.page, Page { skip: 2, limit: 5 });
    assert!(get.test_mode());
    assert_eq!(
        parse_get("", &Small).expect("everyone").granularity(),
        Granularity::Boolean
    );
}

#[test]
fn query_strings_that_are_refused() {
    let check = |text: &str, expect: &str| {
        assert_eq!(
            said(parse_get(text, &Small)),
            format!("refused: {expect}"),
            "{text}"
        );
    };
    check(
        "filters=HP:9999999",
        "filter 1: HP:9999999 is no term that an individual can have here",
    );
    check(
        "filters=HP:0001250,NCIT:C9999",
        "filter 2 is none that this beacon knows: see filtering_terms",
    );
    check(
        "filters=HP:1250",
        "filter 1 is none that this beacon knows: see filtering_terms",
    );
    check(
        "filters=ethnicity=asian",
        "filter 1 is none that this beacon knows: see filtering_terms",
    );
    check(
        "filters=!HP:0001250",
        "filter 1 is none that this beacon knows: see filtering_terms",
    );
    check(
        "filters=sex>female",
        "filter 1 has an operator that its field has not",
    );
    check(
        "filters=sex=f",
        "filter 1 has a value that its field cannot have",
    );
    check(
        "filters=age=P18Y",
        "filter 1 has an operator that its field has not",
    );
    let ages = "ages can be cut with >=, >, < and <= at whole years, between [0, 1, 2, 6, 12, 18, 30, 40, 50, 60, 70, 80, 90]";
    check("filters=age>=P17Y", &format!("filter 1: {ages}"));
    check("filters=age<P18M", &format!("filter 1: {ages}"));
    check("filters=age>255", &format!("filter 1: {ages}"));
    check("filters=age<0", &format!("filter 1: {ages}"));
    check(
        "filters=phenotypicFeatures.excluded=OMIM:154700",
        "filter 1 has a value that its field cannot have",
    );
    check(
        "filters=HP:0001250&similarity=high",
        "filter 1 asks for similar terms; they are matched exactly or by what stands below",
    );
    check(
        "filters=sex=male,sex=female",
        "nobody has two sexes recorded: male and female",
    );
    check(
        "filters=age<6,age>=6",
        "no age is in all the spans asked for",
    );
    check(
        "datasets=secret",
        "'datasets' is not understood; without it the answer would be to another question",
    );
    check(
        "Anna%20Smith=1",
        "a part of the request is not understood; without it the answer would be to another question",
    );
    check(
        "testMode=true&testMode=false",
        "'testMode' is not understood; without it the answer would be to another question",
    );
    check(
        "requestedGranularity=all",
        "'requestedGranularity' is missing or not of the form that Beacon v2 gives it",
    );
    check(
        "apiVersion=v1.0",
        "this beacon speaks version 2 of the Beacon API",
    );
    check(
        "apiVersion=v20",
        "this beacon speaks version 2 of the Beacon API",
    );
    let many = vec!["HP:0001250"; 17].join(",");
    check(&format!("filters={many}"), "more than 16 filters");
    let sixteen = vec!["HP:0001250"; 16].join(",");
    assert!(parse_get(&format!("filters={sixteen}"), &Small).is_ok());
    check(
        &"a".repeat(MAX_QUERY_BYTES + 1),
        "the request is longer than 8192 bytes",
    );
}

#[test]
fn documents_that_are_refused() {
    let filter = |filter: Value| json!({ "meta": { "apiVersion": "v2.0" }, "query": { "filters": [filter] } });
    let check = |body: Value, expect: &str| {
        assert_eq!(posted(&body), format!("refused: {expect}"), "{body}");
    };
    let form =
        |name: &str| format!("'{name}' is missing or not of the form that Beacon v2 gives it");
    let unknown = |part: &str| {
        format!("{part} is not understood; without it the answer would be to another question")
    };
    check(json!([]), &form("body"));
    check(json!({}), &form("meta"));
    check(json!({ "meta": {} }), &form("apiVersion"));
    check(
        json!({ "meta": { "apiVersion": "v2.0" }, "filters": [] }),
        &unknown("'filters'"),
    );
    check(
        json!({ "meta": { "apiVersion": "v2.0" }, "query": { "g_variant": {} } }),
        &unknown("'g_variant'"),
    );
    check(
        json!({ "meta": { "apiVersion": "v2.0" }, "query": { "filters": "HP:0001250" } }),
        &form("filters"),
    );
    check(
        json!({ "meta": { "apiVersion": "v2.0" }, "query": { "filters": ["HP:0001250"] } }),
        &form("filters"),
    );
    check(
        json!({ "meta": { "apiVersion": "v2.0" }, "query": { "pagination": { "limit": -1 } } }),
        &form("pagination"),
    );
    check(filter(json!({})), &form("id"));
    check(filter(json!({ "id": 5 })), &form("id"));
    // What other beacons take as "not": passed over it would turn the question round.
    check(
        filter(json!({ "id": "HP:0001250", "excluded": true })),
        &unknown("a member of filter 1"),
    );
    check(
        filter(json!({ "id": "HP:0001250", "scope": "biosamples" })),
        "filter 1 is for another entry type; individuals alone are searched",
    );
    check(
        filter(json!({ "id": "age", "operator": ">=" })),
        &form("value"),
    );
    check(
        filter(json!({ "id": "age", "operator": "~", "value": "18" })),
        "filter 1 has an operator that its field has not",
    );
    let twice = br#"{"meta":{"apiVersion":"v2.0"},"meta":{"apiVersion":"v2.0"}}"#;
    assert!(said(parse_post(twice, &Small)).starts_with("refused: the body is not JSON: "));
    let long = vec![b' '; MAX_BODY_BYTES + 1];
    assert_eq!(
        parse_post(&long, &Small),
        Err(Refusal::TooLong(MAX_BODY_BYTES))
    );
}

#[test]
fn pages() {
    assert_eq!(parse_page(""), Ok(Page { skip: 0, limit: 10 }));
    assert_eq!(
        parse_page("skip=3&limit=100"),
        Ok(Page {
            skip: 3,
            limit: 100
        })
    );
    assert_eq!(parse_page("limit=-1"), Err(Refusal::Malformed("limit")));
    assert!(parse_page("filters=HP:0001250").is_err());
}
