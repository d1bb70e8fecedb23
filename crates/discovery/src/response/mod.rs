//! Documents of Beacon v2, as JSON values.
//!
//! Answers say what they are: the granularity returned, the loss spent, how far the count may be off,
//! and below which floor it is not shown.

mod informational;

pub use informational::{
    FilteringTerm, MAX_PAGE, Ontology, configuration, entry_types, filtering_terms, info, map,
    service_info,
};

use crate::{
    answer::{Accuracy, Display, Drawn},
    query::Query,
    refusal::Refusal,
    request::{API_VERSION, Granularity, Received, Request, written},
};
use codec::codes;
use serde_json::{Map, Value, json};

/// The entry type that is served.
const INDIVIDUAL: &str = "individual";

/// The schema of the entry type.
const INDIVIDUAL_SCHEMA: &str = "ga4gh-beacon-individual-v2.0.0";

codes! {
    /// What an instance is for.
    pub enum Environment {
        /// Real people, in use.
        1 => Production = "prod",
        /// Tried out.
        2 => Test = "test",
        /// Being built.
        3 => Development = "dev",
        /// About to be used.
        4 => Staging = "staging",
    }
}

/// Who runs an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// Its id in the network.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its page on the web.
    pub url: String,
}

/// An instance, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// Its id: a reversed host name, or a URI.
    pub id: String,
    /// Its name.
    pub name: String,
    /// A sentence on what is found there.
    pub description: String,
    /// Who runs it.
    pub organisation: Organisation,
    /// Where it is, without a slash at the end: `https://node.example.org/beacon/v2`.
    pub root_url: String,
    /// What it is for.
    pub environment: Environment,
    /// The version of the software.
    pub version: String,
    /// How counts are shown.
    pub display: Display,
}

/// The answer to a request, from the noisy count.
pub fn answer(beacon: &Beacon, request: &Request, drawn: &Drawn) -> Value {
    let shown = beacon.display.show(drawn.noisy);
    let accuracy = Accuracy::at(drawn.epsilon);
    let info = json!({
        "noise": "discrete Laplace",
        "epsilon": drawn.epsilon,
        "within95": accuracy.margin(0.95),
        "floor": beacon.display.floor,
        "step": beacon.display.step,
        "note": "The count has random noise in it. Below the floor it is given as false and 0, which does not say that there is nobody.",
    });
    document(beacon, request, shown.exists(), shown.count(), info)
}

/// The answer to a client that tests its connection ([`Request::test_mode`]): about nobody.
pub fn test_answer(beacon: &Beacon, request: &Request) -> Value {
    let info = json!({ "note": "Test mode: answered about an empty set of people." });
    document(beacon, request, false, 0, info)
}

/// A refusal of the request, of status 400. `request` if it was understood before it was refused.
pub fn refused(beacon: &Beacon, request: Option<&Request>, refusal: &Refusal) -> Value {
    error(beacon, request, 400, &refusal.to_string())
}

/// An error with a status of HTTP and a message for the client.
pub fn error(beacon: &Beacon, request: Option<&Request>, status: u16, message: &str) -> Value {
    let nothing = (Query::default(), Received::default());
    let (query, received, returned) = match request {
        Some(request) => (&request.query, &request.received, request.granularity()),
        None => (&nothing.0, &nothing.1, Granularity::Boolean),
    };
    json!({
        "meta": meta(beacon, query, received, returned),
        "error": { "errorCode": status, "errorMessage": message },
    })
}

fn document(beacon: &Beacon, request: &Request, exists: bool, count: u64, info: Value) -> Value {
    let returned = request.granularity();
    let mut summary = Map::new();
    summary.insert("exists".into(), exists.into());
    if returned == Granularity::Count {
        summary.insert("numTotalResults".into(), count.into());
    }
    json!({
        "meta": meta(beacon, &request.query, &request.received, returned),
        "responseSummary": summary,
        "info": info,
    })
}

fn meta(beacon: &Beacon, query: &Query, received: &Received, returned: Granularity) -> Value {
    let schemas: Vec<_> = received
        .schemas
        .iter()
        .map(|asked| {
            let members = [
                ("entityType", &asked.entity_type),
                ("schema", &asked.schema),
            ];
            let given = members
                .into_iter()
                .filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into())));
            Value::Object(given.collect())
        })
        .collect();
    let filters: Vec<_> = query.filters().iter().flat_map(written).collect();
    json!({
        "beaconId": beacon.id,
        "apiVersion": API_VERSION,
        "returnedSchemas": returned_schemas(),
        "returnedGranularity": returned,
        "testMode": received.test_mode,
        "receivedRequestSummary": {
            "apiVersion": received.api_version,
            "requestedSchemas": schemas,
            "filters": filters,
            "includeResultsetResponses": received.include,
            "pagination": { "skip": received.page.skip, "limit": received.page.limit },
            "requestedGranularity": received.granularity,
            "testMode": received.test_mode,
        },
    })
}

fn returned_schemas() -> Value {
    json!([{ "entityType": INDIVIDUAL, "schema": INDIVIDUAL_SCHEMA }])
}
