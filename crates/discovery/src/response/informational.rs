//! What an instance says of itself.

use super::{Beacon, Environment, INDIVIDUAL, INDIVIDUAL_SCHEMA};
use crate::{
    query::{AGE_EDGES, Sex},
    request::{AGE, API_VERSION, EXCLUDED, Page, SEX},
};
use serde_json::{Value, json};

/// The most terms on a page.
pub const MAX_PAGE: usize = 1_000;

/// Where the schemas of the specification are.
const SPECIFICATION: &str = "https://raw.githubusercontent.com/ga4gh-beacon/beacon-v2/main";

/// A term that may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilteringTerm {
    /// Its identifier, or the name of a field.
    pub id: String,
    /// Its name.
    pub label: String,
    /// `alphanumeric`, or the full name of the vocabulary.
    pub kind: String,
}

/// A vocabulary in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ontology {
    /// Short, as in OBO: `hp`.
    pub id: String,
    /// Full name.
    pub name: String,
    /// What its identifiers begin with: `HP`.
    pub prefix: String,
    /// The version in use.
    pub version: String,
    /// Where it is.
    pub url: String,
}

/// `beaconInfoResponse`.
pub fn info(beacon: &Beacon) -> Value {
    let organisation = &beacon.organisation;
    response(
        beacon,
        "beacon-info-v2.0.0",
        json!({
            "id": beacon.id,
            "name": beacon.name,
            "apiVersion": API_VERSION,
            "environment": beacon.environment,
            "organization": {
                "id": organisation.id,
                "name": organisation.name,
                "welcomeUrl": organisation.url,
            },
            "description": beacon.description,
            "version": beacon.version,
        }),
    )
}

/// `service-info` of GA4GH: a document of its own, without `meta`.
pub fn service_info(beacon: &Beacon) -> Value {
    json!({
        "id": beacon.id,
        "name": beacon.name,
        "type": { "group": "org.ga4gh", "artifact": "beacon", "version": API_VERSION },
        "description": beacon.description,
        "organization": { "name": beacon.organisation.name, "url": beacon.organisation.url },
        "environment": beacon.environment,
        "version": beacon.version,
    })
}

/// `beaconConfigurationResponse`.
pub fn configuration(beacon: &Beacon) -> Value {
    let status = match beacon.environment {
        Environment::Production => "PROD",
        Environment::Development => "DEV",
        Environment::Test | Environment::Staging => "TEST",
    };
    response(
        beacon,
        "beacon-configuration-v2.0.0",
        json!({
            "$schema": schema("framework/json/configuration/beaconConfigurationSchema.json"),
            "maturityAttributes": { "productionStatus": status },
            "securityAttributes": {
                "defaultGranularity": "boolean",
                "securityLevels": ["CONTROLLED"],
            },
            "entryTypes": { INDIVIDUAL: individual() },
        }),
    )
}

/// `beaconEntryTypesResponse`.
pub fn entry_types(beacon: &Beacon) -> Value {
    response(
        beacon,
        "beacon-entry-types-v2.0.0",
        json!({ "entryTypes": { INDIVIDUAL: individual() } }),
    )
}

/// `beaconMapResponse`.
pub fn map(beacon: &Beacon) -> Value {
    response(
        beacon,
        "beacon-map-v2.0.0",
        json!({
            "$schema": schema("framework/json/configuration/beaconMapSchema.json"),
            "endpointSets": {
                INDIVIDUAL: {
                    "entryType": INDIVIDUAL,
                    "rootUrl": format!("{}/individuals", beacon.root_url),
                    "filteringTermsUrl": format!("{}/filtering_terms", beacon.root_url),
                },
            },
        }),
    )
}

/// `beaconFilteringTermsResponse`: one page of the fields that are always there, followed by `terms`,
/// all of them, in an order that stays.
///
/// A page has at most [`MAX_PAGE`] terms, whatever is asked.
pub fn filtering_terms(
    beacon: &Beacon,
    ontologies: &[Ontology],
    terms: impl IntoIterator<Item = FilteringTerm>,
    page: Page,
) -> Value {
    let most = u32::try_from(MAX_PAGE).unwrap_or(u32::MAX);
    let limit = if page.limit == 0 {
        most
    } else {
        page.limit.min(most)
    };
    let skipped = u64::from(page.skip) * u64::from(limit);
    let fields = fields();
    let others = terms.into_iter().map(|term| {
        json!({
            "id": term.id,
            "label": term.label,
            "type": term.kind,
            "scopes": [INDIVIDUAL],
        })
    });
    let listed: Vec<_> = fields
        .into_iter()
        .chain(others)
        .skip(usize::try_from(skipped).unwrap_or(usize::MAX))
        .take(usize::try_from(limit).unwrap_or(MAX_PAGE))
        .collect();
    let resources: Vec<_> = ontologies
        .iter()
        .map(|ontology| {
            json!({
                "id": ontology.id,
                "name": ontology.name,
                "nameSpacePrefix": ontology.prefix,
                "version": ontology.version,
                "url": ontology.url,
            })
        })
        .collect();
    let mut document = response(
        beacon,
        "beacon-filtering-terms-v2.0.0",
        json!({ "filteringTerms": listed, "resources": resources }),
    );
    document["info"] = json!({ "pagination": { "skip": page.skip, "limit": limit } });
    document
}

fn fields() -> Vec<Value> {
    let ages: Vec<_> = AGE_EDGES.iter().map(|years| format!("P{years}Y")).collect();
    let sexes: Vec<_> = Sex::ALL.iter().map(|sex| sex.as_str()).collect();
    let field = |id, label| json!({ "id": id, "label": label, "type": "alphanumeric", "scopes": [INDIVIDUAL] });
    let sex = |id, label| json!({ "id": id, "label": label, "type": "NCI Thesaurus", "scopes": [INDIVIDUAL] });
    let mut age = field(AGE, "Age in whole years, cut at the edges of bands");
    age["values"] = json!(ages);
    let mut words = field(SEX, "Sex");
    words["values"] = json!(sexes);
    vec![
        age,
        words,
        field(
            EXCLUDED,
            "Phenotypic feature that was looked for and is absent: a term of HPO",
        ),
        sex("NCIT:C16576", "Female"),
        sex("NCIT:C20197", "Male"),
        sex("NCIT:C17998", "Unknown"),
    ]
}

fn individual() -> Value {
    json!({
        "id": INDIVIDUAL,
        "name": "Individual",
        "description": "A person whose consent lets them be counted. Individuals are counted, with noise, and never listed.",
        "ontologyTermForThisType": { "id": "NCIT:C25190", "label": "Person" },
        "partOfSpecification": "Beacon v2.0.0",
        "defaultSchema": {
            "id": INDIVIDUAL_SCHEMA,
            "name": "Default schema for an individual",
            "referenceToSchemaDefinition": schema("models/json/beacon-v2-default-model/individuals/defaultSchema.json"),
            "schemaVersion": "v2.0.0",
        },
        "additionallySupportedSchemas": [],
        "nonFilteredQueriesAllowed": true,
    })
}

fn schema(path: &str) -> String {
    format!("{SPECIFICATION}/{path}")
}

fn response(beacon: &Beacon, schema: &str, response: Value) -> Value {
    json!({
        "meta": {
            "beaconId": beacon.id,
            "apiVersion": API_VERSION,
            "returnedSchemas": [{ "entityType": "info", "schema": schema }],
        },
        "response": response,
    })
}
