//! Search: values, terms, queries.

mod answering;
mod matching;
mod planning;
mod refusing;

use fhir::Parsed;
use fhir::search::{Handling, Query};

const BASE: &str = "http://here/fhir";

/// The query of a type as it would stand in a URL, decoded.
fn query(resource_type: &str, asked: &str) -> Query {
    let query = Query::parse(resource_type, &pairs(asked), Handling::Strict, BASE);
    query.unwrap_or_else(|error| panic!("{asked}: {error}"))
}

fn pairs(asked: &str) -> Vec<(String, String)> {
    let pairs = asked.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

/// Whether a resource posts a term of every list of a plan.
fn is_candidate(resource: &Parsed<'_>, query: &Query) -> bool {
    let terms = fhir::search::terms(resource);
    let plan = query.plan();
    plan.iter()
        .all(|list| list.iter().any(|term| terms.contains(term)))
}

/// Whether a query finds a resource, by the index and by itself.
fn finds(source: &serde_json::Value, asked: &str) -> bool {
    let text = source.to_string();
    let resource = Parsed::parse(text.as_bytes()).unwrap();
    let query = query(resource.resource_type(), asked);
    let matches = query.matches(&resource, 1_600_000_000_000);
    assert!(
        !matches || is_candidate(&resource, &query),
        "{asked} is not in the index"
    );
    matches
}

/// Each query with whether it finds the resource.
fn check(source: &serde_json::Value, cases: &[(&str, bool)]) {
    for (asked, expect) in cases {
        assert_eq!(finds(source, asked), *expect, "{asked}");
    }
}
