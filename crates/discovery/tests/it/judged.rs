//! What is answered, judged by the schemas of the specification.

use crate::{
    archive::{document, documents, faults},
    vocabulary::Small,
};
use discovery::{
    Display, Drawn, ENDPOINTS, Epsilon, Kind, Method, Page, Refusal, Request, parse_get,
    response::{self, Beacon, Environment, FilteringTerm, MAX_PAGE, Ontology, Organisation},
};
use serde_json::{Value, json};

const RESPONSES: &str = "framework/json/responses/";

fn beacon() -> Beacon {
    Beacon {
        id: "org.example.ithaca".into(),
        name: "Ithaca at Example Hospital".into(),
        description: "People with rare diseases who let themselves be counted.".into(),
        organisation: Organisation {
            id: "00112233445566778899aabbccddeeff".into(),
            name: "Example Hospital".into(),
            url: "https://hospital.example.org".into(),
        },
        root_url: "https://node.hospital.example.org/beacon/v2".into(),
        environment: Environment::Test,
        version: "0.1.0".into(),
        display: Display::default(),
    }
}

fn ontologies() -> Vec<Ontology> {
    vec![Ontology {
        id: "hp".into(),
        name: "Human Phenotype Ontology".into(),
        prefix: "HP".into(),
        version: "2025-01-16".into(),
        url: "https://purl.obolibrary.org/obo/hp.owl".into(),
    }]
}

fn terms(count: usize) -> impl Iterator<Item = FilteringTerm> {
    (0..count).map(|number| FilteringTerm {
        id: format!("HP:{number:07}"),
        label: format!("Term {number}"),
        kind: "Human Phenotype Ontology".into(),
    })
}

fn asked(text: &str) -> Request {
    parse_get(text, &Small).expect("a request")
}

fn drawn(noisy: i64) -> Drawn {
    Drawn {
        noisy,
        epsilon: Epsilon::from_micro(500_000),
    }
}

fn valid(schema: &str, value: &Value) {
    let wrong = faults(&format!("{RESPONSES}{schema}"), value);
    assert!(wrong.is_empty(), "{schema}: {wrong:?}\n{value:#}");
}

/// The judge condemns: else the other tests here would say nothing.
#[test]
fn the_judge_condemns_what_is_wrong() {
    let schema = format!("{RESPONSES}beaconCountResponse.json");
    let good = response::answer(&beacon(), &asked("requestedGranularity=count"), &drawn(20));
    assert!(faults(&schema, &good).is_empty());
    let check = |pointer: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).expect("a member") = value;
        assert!(!faults(&schema, &bad).is_empty(), "{pointer}");
    };
    check("/responseSummary/numTotalResults", json!(-1));
    check("/responseSummary/exists", json!("yes"));
    check("/meta/returnedGranularity", json!("counts"));
    check(
        "/meta/receivedRequestSummary/pagination/limit",
        json!("ten"),
    );
    check("/meta", json!({}));
    // A reference three files away is followed.
    check("/meta/receivedRequestSummary/requestedSchemas", json!([1]));
}

/// Every schema resolves; and the archive's own examples are as good as they are, no better.
#[test]
fn the_specifications_own_examples() {
    let mut judged = Vec::new();
    for (path, example) in documents() {
        let Some(name) = path.strip_prefix("framework/json/responses/examples-fullDocuments/")
        else {
            continue;
        };
        let kind = name
            .split(['-', '_'])
            .next()
            .expect("a name")
            .trim_end_matches(".json");
        let schema = match kind {
            "beaconInfo" => "beaconInfoResponse",
            "beaconResultsetResponse" => "beaconResultsetsResponse",
            kind => kind,
        };
        let wrong = faults(&format!("{RESPONSES}{schema}.json"), example).len();
        judged.push(format!("{name}: {wrong}"));
    }
    assert_eq!(judged.join("\n"), EXAMPLES.trim());
}

/// Example and number of faults by its own schema.
const EXAMPLES: &str = "
beaconBooleanResponse-example.json: 2
beaconCollectionsResponse-MID-example.json: 2
beaconCollectionsResponse-MIN-example.json: 2
beaconConfigurationResponse-example.json: 0
beaconCountResponse-example.json: 2
beaconEntryTypesResponse-example.json: 0
beaconErrorResponse_example.json: 3
beaconFilteringTermsResponse-example.json: 0
beaconInfo-MAX-example.json: 0
beaconInfo-MIN-example.json: 0
beaconMapResponse-example.json: 0
beaconResultsetResponse-MIN-example.json: 3
";

#[test]
fn answers_are_valid_at_both_granularities() {
    let check = |text: &str, noisy: i64, schema: &str, expect: Value| {
        let request = asked(text);
        let value = response::answer(&beacon(), &request, &drawn(noisy));
        valid(schema, &value);
        assert_eq!(value["responseSummary"], expect, "{text} {noisy}");
        value
    };
    let (boolean, count) = ("beaconBooleanResponse.json", "beaconCountResponse.json");
    check("filters=HP:0001250", 12, boolean, json!({ "exists": true }));
    check("filters=HP:0001250", 4, boolean, json!({ "exists": false }));
    let text = "filters=HP:0001250&requestedGranularity=count";
    check(
        text,
        12,
        count,
        json!({ "exists": true, "numTotalResults": 12 }),
    );
    check(
        text,
        4,
        count,
        json!({ "exists": false, "numTotalResults": 0 }),
    );
    check(
        text,
        -3,
        count,
        json!({ "exists": false, "numTotalResults": 0 }),
    );
    let text = "filters=HP:0001250,age>=18&requestedGranularity=record&limit=3&requestedSchema=s";
    let value = check(
        text,
        12,
        count,
        json!({ "exists": true, "numTotalResults": 12 }),
    );
    let meta = &value["meta"];
    assert_eq!(meta["returnedGranularity"], "count");
    let summary = &meta["receivedRequestSummary"];
    assert_eq!(summary["requestedGranularity"], "record");
    assert_eq!(summary["filters"], json!(["HP:0001250", "age>=P18Y"]));
    assert_eq!(summary["pagination"], json!({ "skip": 0, "limit": 3 }));
    assert_eq!(summary["requestedSchemas"], json!([{ "schema": "s" }]));
    assert_eq!(value["info"]["epsilon"], "0.5");
    assert_eq!(value["info"]["within95"], 6);
}

/// The number of those who were drawn is not in a yes or no, nor below the floor.
#[test]
fn an_answer_says_no_more_than_was_asked() {
    let check = |text: &str, noisy: i64| {
        let value = response::answer(&beacon(), &asked(text), &drawn(noisy));
        assert!(!value.to_string().contains(&noisy.to_string()), "{value:#}");
    };
    check("filters=HP:0001250", 8_642);
    let lenient = Beacon {
        display: Display {
            floor: 9_999,
            step: 1,
        },
        ..beacon()
    };
    let request = asked("requestedGranularity=count");
    let value = response::answer(&lenient, &request, &drawn(8_642));
    assert!(!value.to_string().contains("8642"), "{value:#}");
}

#[test]
fn test_mode_is_about_nobody() {
    let value = response::test_answer(
        &beacon(),
        &asked("testMode=true&requestedGranularity=count"),
    );
    valid("beaconCountResponse.json", &value);
    assert_eq!(
        value["responseSummary"],
        json!({ "exists": false, "numTotalResults": 0 })
    );
    assert_eq!(value["meta"]["testMode"], true);
}

#[test]
fn errors_are_valid_before_and_after_a_request_was_understood() {
    let refusal = parse_get("geneId=BRAF", &Small).expect_err("genomic");
    let value = response::refused(&beacon(), None, &refusal);
    valid("beaconErrorResponse.json", &value);
    assert_eq!(value["error"]["errorCode"], 400);
    assert_eq!(
        value["error"]["errorMessage"],
        Refusal::GenomicVariation.to_string()
    );
    let request = asked("filters=HP:0001250&requestedGranularity=count");
    let value = response::error(
        &beacon(),
        Some(&request),
        429,
        "the privacy budget has 0 left",
    );
    valid("beaconErrorResponse.json", &value);
    assert_eq!(
        value["meta"]["receivedRequestSummary"]["filters"],
        json!(["HP:0001250"])
    );
    assert_eq!(value["error"]["errorCode"], 429);
}

/// Each endpoint of the table has a document, valid by the schema that the table names.
#[test]
fn every_endpoint_answers_by_its_schema() {
    let beacon = beacon();
    let page = Page { skip: 0, limit: 20 };
    for endpoint in ENDPOINTS {
        let value = match endpoint.kind {
            Kind::Info => response::info(&beacon),
            Kind::ServiceInfo => response::service_info(&beacon),
            Kind::Configuration => response::configuration(&beacon),
            Kind::Map => response::map(&beacon),
            Kind::EntryTypes => response::entry_types(&beacon),
            Kind::FilteringTerms => {
                response::filtering_terms(&beacon, &ontologies(), terms(40), page)
            }
            Kind::Individuals => {
                response::answer(&beacon, &asked("requestedGranularity=count"), &drawn(9))
            }
        };
        valid(endpoint.kind.schema(), &value);
        assert_eq!(endpoint.kind.counts(), endpoint.path == "/individuals");
    }
    let specified = |file: &str| document(file)["paths"].as_object().expect("paths").clone();
    let ours = |path: &str| path.starts_with("/individuals");
    for (path, methods) in specified("framework/json/endpoints.json") {
        for method in ["get", "post"]
            .into_iter()
            .filter(|name| methods.get(name).is_some())
        {
            let method = if method == "get" {
                Method::Get
            } else {
                Method::Post
            };
            let mounted = ENDPOINTS
                .iter()
                .any(|e| e.path == path && e.method == method);
            assert!(mounted, "{method:?} {path}");
        }
    }
    let individuals = specified("models/json/beacon-v2-default-model/individuals/endpoints.json");
    assert!(
        ENDPOINTS
            .iter()
            .filter(|e| ours(e.path))
            .all(|e| individuals.contains_key(e.path))
    );
}

#[test]
fn the_map_leads_to_endpoints_that_are_mounted() {
    let map = response::map(&beacon());
    let set = &map["response"]["endpointSets"]["individual"];
    for member in ["rootUrl", "filteringTermsUrl"] {
        let url = set[member].as_str().expect("a URL");
        let path = url
            .strip_prefix(&beacon().root_url)
            .expect("below the root");
        assert!(ENDPOINTS.iter().any(|e| e.path == path), "{path}");
    }
}

#[test]
fn filtering_terms_page_by_page_are_all_of_them_once() {
    let listed = |skip, limit| {
        let page = Page { skip, limit };
        let value = response::filtering_terms(&beacon(), &ontologies(), terms(25), page);
        valid("beaconFilteringTermsResponse.json", &value);
        let terms = value["response"]["filteringTerms"]
            .as_array()
            .expect("terms")
            .clone();
        terms
            .iter()
            .map(|t| t["id"].as_str().expect("an id").to_owned())
            .collect::<Vec<_>>()
    };
    let whole = listed(0, 0);
    assert_eq!(whole.len(), 31);
    let pages: Vec<_> = (0..5).flat_map(|skip| listed(skip, 7)).collect();
    assert_eq!(pages, whole);
    assert!(listed(9, 7).is_empty());
    let most = response::filtering_terms(
        &beacon(),
        &[],
        terms(5_000),
        Page {
            skip: 0,
            limit: u32::MAX,
        },
    );
    assert_eq!(
        most["response"]["filteringTerms"].as_array().map(Vec::len),
        Some(MAX_PAGE)
    );
    // Each field and code that is listed is understood.
    for (id, value) in [
        ("age>=", "P18Y"),
        ("sex=", "other"),
        ("phenotypicFeatures.excluded=", "HP:0001250"),
        ("NCIT:C17998", ""),
    ] {
        let field = id.trim_end_matches(['=', '>']);
        assert!(whole.iter().any(|listed| listed == field), "{field}");
        asked(&format!("filters={id}{value}"));
    }
}
