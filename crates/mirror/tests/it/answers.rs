//! Outcomes, Bundles, capabilities.

use crate::check;
use codec::Millis;
use mirror::{
    Answered, BatchResponse, BundleWriter, ConditionalDelete, ConditionalRead, Found, Head,
    History, Issue, IssueType, Mode, Operation, Response, SearchParam, SearchParamType, Searchset,
    Security, Served, ServedType, Severity, SystemInteraction, TransactionResponse,
    TypeInteraction, Version, Versioning, bundle, capability, outcome,
};
use serde_json::json;

/// Spacing, digits and the order of members that a writer of JSON would change.
pub(crate) const ODD: &[u8] =
    br#"{ "resourceType":"Observation","valueQuantity" : {"value":13.500},"status":"final","code":{"text":"\u0061"}}"#;

pub(crate) fn refusal() -> Vec<u8> {
    let issue = Issue {
        severity: Severity::Error,
        code: IssueType::Forbidden,
        details: Some("Not permitted".to_owned()),
        diagnostics: Some("no grant names the \"asker\"\n\u{7}ask the family\u{85}".to_owned()),
        expression: vec!["Patient.name".to_owned(), " ".to_owned()],
    };
    outcome(&[
        issue,
        Issue::error(IssueType::NotFound, "there is no such patient").at("http.if-match"),
    ])
}

#[test]
fn an_outcome_says_what_is_wrong_and_where() {
    check(
        &refusal(),
        &json!({
            "resourceType": "OperationOutcome",
            "issue": [
                {
                    "severity": "error",
                    "code": "forbidden",
                    "details": {"text": "Not permitted"},
                    "diagnostics": "no grant names the \"asker\"\n\u{fffd}ask the family\u{fffd}",
                    "expression": ["Patient.name"],
                },
                {
                    "severity": "error",
                    "code": "not-found",
                    "diagnostics": "there is no such patient",
                    "expression": ["http.if-match"],
                },
            ],
        }),
    );
    check(
        &outcome(&[]),
        &json!({
            "resourceType": "OperationOutcome",
            "issue": [{"severity": "information", "code": "informational", "details": {"text": "All OK"}}],
        }),
    );
}

pub(crate) fn searchset() -> Vec<u8> {
    let refusal = refusal();
    let head = Head {
        id: Some("b1"),
        at: Some(Millis::new(1_767_225_600_000)),
        total: Some(7),
        links: &[
            ("self", "https://node.example/fhir/Observation?code=\"a\""),
            ("next", "https://node.example/fhir?page=2"),
        ],
    };
    bundle::<Searchset>(
        &head,
        [
            Found {
                full_url: Some("https://node.example/fhir/Observation/1"),
                resource: ODD,
                mode: Mode::Match,
            },
            Found {
                full_url: Some("https://node.example/fhir/Observation/2"),
                resource: ODD,
                mode: Mode::Include,
            },
            Found {
                full_url: None,
                resource: &refusal,
                mode: Mode::Outcome,
            },
        ],
    )
}

pub(crate) fn history() -> Vec<u8> {
    let response = Response {
        status: "200",
        etag: Some("W/\"2\""),
        last_modified: Some(Millis::new(1_767_225_600_001)),
        ..Response::default()
    };
    let version = Version {
        full_url: "https://node.example/fhir/Observation/1",
        resource: Some(ODD),
        method: "PUT",
        url: "Observation/1",
        response,
    };
    let deleted = Version {
        resource: None,
        method: "DELETE",
        ..version
    };
    bundle::<History>(
        &Head {
            total: Some(2),
            ..Head::default()
        },
        [deleted, version],
    )
}

pub(crate) fn responses() -> [Vec<u8>; 2] {
    let refusal = refusal();
    let made = Answered {
        full_url: Some("https://node.example/fhir/Observation/1"),
        resource: Some(ODD),
        response: Response {
            status: "201 Created",
            location: Some("Observation/1/_history/1"),
            etag: Some("W/\"1\""),
            last_modified: Some(Millis::new(1_767_225_600_001)),
            outcome: None,
        },
    };
    let refused = Answered {
        full_url: None,
        resource: None,
        response: Response {
            status: "403 Forbidden",
            outcome: Some(&refusal),
            ..Response::default()
        },
    };
    // A total has no place in them.
    let head = Head {
        total: Some(1),
        ..Head::default()
    };
    [
        bundle::<TransactionResponse>(&head, [made]),
        bundle::<BatchResponse>(&head, [made, refused]),
    ]
}

#[test]
fn a_search_set_says_why_each_resource_is_there() {
    let odd: serde_json::Value = serde_json::from_slice(ODD).unwrap();
    let refusal: serde_json::Value = serde_json::from_slice(&refusal()).unwrap();
    check(
        &searchset(),
        &json!({
            "resourceType": "Bundle",
            "id": "b1",
            "type": "searchset",
            "timestamp": "2026-01-01T00:00:00.000Z",
            "total": 7,
            "link": [
                {"relation": "self", "url": "https://node.example/fhir/Observation?code=\"a\""},
                {"relation": "next", "url": "https://node.example/fhir?page=2"},
            ],
            "entry": [
                {"fullUrl": "https://node.example/fhir/Observation/1", "resource": odd, "search": {"mode": "match"}},
                {"fullUrl": "https://node.example/fhir/Observation/2", "resource": odd, "search": {"mode": "include"}},
                {"resource": refusal, "search": {"mode": "outcome"}},
            ],
        }),
    );
}

#[test]
fn a_history_says_how_each_version_came_to_be() {
    let odd: serde_json::Value = serde_json::from_slice(ODD).unwrap();
    let response =
        json!({"status": "200", "etag": "W/\"2\"", "lastModified": "2026-01-01T00:00:00.001Z"});
    let url = "https://node.example/fhir/Observation/1";
    check(
        &history(),
        &json!({
            "resourceType": "Bundle",
            "type": "history",
            "total": 2,
            "entry": [
                {"fullUrl": url, "request": {"method": "DELETE", "url": "Observation/1"}, "response": response},
                {
                    "fullUrl": url,
                    "resource": odd,
                    "request": {"method": "PUT", "url": "Observation/1"},
                    "response": response,
                },
            ],
        }),
    );
}

#[test]
fn responses_answer_each_request() {
    let odd: serde_json::Value = serde_json::from_slice(ODD).unwrap();
    let refusal: serde_json::Value = serde_json::from_slice(&refusal()).unwrap();
    let made = json!({
        "fullUrl": "https://node.example/fhir/Observation/1",
        "resource": odd,
        "response": {
            "status": "201 Created",
            "location": "Observation/1/_history/1",
            "etag": "W/\"1\"",
            "lastModified": "2026-01-01T00:00:00.001Z",
        },
    });
    let [transaction, batch] = responses();
    check(
        &transaction,
        &json!({"resourceType": "Bundle", "type": "transaction-response", "entry": [made]}),
    );
    let refused = json!({"response": {"status": "403 Forbidden", "outcome": refusal}});
    check(
        &batch,
        &json!({"resourceType": "Bundle", "type": "batch-response", "entry": [made, refused]}),
    );
}

#[test]
fn resources_are_copied_as_they_are() {
    for written in [searchset(), history(), responses().concat()] {
        assert!(written.windows(ODD.len()).any(|window| window == ODD));
    }
}

#[test]
fn a_bundle_can_be_sent_while_it_is_written() {
    let mut sent = Vec::new();
    let mut buffer = Vec::new();
    let head = Head {
        total: Some(2),
        ..Head::default()
    };
    let found = Found {
        full_url: None,
        resource: ODD,
        mode: Mode::Match,
    };
    let mut writer = BundleWriter::<Searchset>::open(&mut buffer, &head);
    for _ in 0..2 {
        sent.append(&mut buffer);
        writer.entry(&mut buffer, &found);
    }
    sent.append(&mut buffer);
    assert_eq!(writer.close(&mut sent), 2);
    assert_eq!(sent, bundle::<Searchset>(&head, [found, found]));
    check(
        &bundle::<Searchset>(
            &Head {
                total: Some(0),
                ..head
            },
            [],
        ),
        &json!({"resourceType": "Bundle", "type": "searchset", "total": 0}),
    );
}

#[test]
fn debug_shows_no_resource() {
    let found = Found {
        full_url: Some("secret"),
        resource: b"secret",
        mode: Mode::Match,
    };
    let answered = Answered {
        full_url: Some("secret"),
        resource: Some(b"secret"),
        response: Response {
            status: "200",
            location: Some("secret"),
            ..Response::default()
        },
    };
    let issue = Issue::error(IssueType::Value, "secret").at("secret");
    for shown in [
        format!("{found:?}"),
        format!("{answered:?}"),
        format!("{issue:?}"),
    ] {
        assert!(!shown.contains("secret"), "{shown}");
    }
}

const ID: SearchParam<'_> = SearchParam {
    name: "_id",
    of: SearchParamType::Token,
    definition: Some("http://hl7.org/fhir/SearchParameter/Resource-id"),
    documentation: None,
};
const EVERYTHING: Operation<'_> = Operation {
    name: "everything",
    definition: "http://hl7.org/fhir/OperationDefinition/Patient-everything",
};
const PATIENT: ServedType<'_> = ServedType {
    of: "Patient",
    interactions: TypeInteraction::ALL,
    versioning: Versioning::Versioned,
    read_history: true,
    update_create: false,
    conditional_create: true,
    conditional_read: ConditionalRead::NotMatch,
    conditional_update: true,
    conditional_delete: ConditionalDelete::Single,
    includes: &["Patient:organization"],
    rev_includes: &["Observation:subject"],
    search: &[SearchParam {
        name: "name",
        of: SearchParamType::String,
        definition: None,
        documentation: Some("by prefix"),
    }],
    operations: &[EVERYTHING],
    profiles: &[],
};

pub(crate) fn served(security: Security<'_>) -> Vec<u8> {
    capability(&Served {
        base: "https://node.example/fhir",
        version: "0.1.0",
        description: "A node",
        at: Millis::new(1_767_225_600_000),
        security,
        types: &[PATIENT],
        interactions: SystemInteraction::ALL,
        search: &[ID],
        operations: &[Operation {
            name: "export",
            definition: "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export",
        }],
        compartments: &["http://hl7.org/fhir/CompartmentDefinition/patient"],
    })
}

pub(crate) const SMART: Security<'_> = Security {
    cors: true,
    endpoints: &[
        ("authorize", "https://id.example/authorize"),
        ("token", "https://id.example/token"),
    ],
    capabilities: &["launch-standalone", "permission-v2"],
    description: Some("or mutual TLS"),
};

#[test]
fn a_capability_statement_says_what_is_served() {
    let codes =
        |codes: &[&str]| -> Vec<_> { codes.iter().map(|code| json!({"code": code})).collect() };
    let interactions = codes(&[
        "read",
        "vread",
        "update",
        "patch",
        "delete",
        "history-instance",
        "history-type",
        "create",
        "search-type",
    ]);
    let service = json!({
        "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
            "code": "SMART-on-FHIR",
        }],
    });
    let capabilities = "http://fhir-registry.smarthealthit.org/StructureDefinition/capabilities";
    let mut expected = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-01-01T00:00:00.000Z",
        "kind": "instance",
        "software": {"name": "Ithaca", "version": "0.1.0"},
        "implementation": {"description": "A node", "url": "https://node.example/fhir"},
        "fhirVersion": "4.0.1",
        "format": ["json", "application/fhir+json"],
        "patchFormat": ["application/json-patch+json"],
        "rest": [{
            "mode": "server",
            "security": {
                "extension": [
                    {
                        "extension": [
                            {"url": "authorize", "valueUri": "https://id.example/authorize"},
                            {"url": "token", "valueUri": "https://id.example/token"},
                        ],
                        "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
                    },
                    {"url": capabilities, "valueCode": "launch-standalone"},
                    {"url": capabilities, "valueCode": "permission-v2"},
                ],
                "cors": true,
                "service": [service],
                "description": "or mutual TLS",
            },
            "resource": [{
                "type": "Patient",
                "interaction": interactions,
                "versioning": "versioned",
                "readHistory": true,
                "updateCreate": false,
                "conditionalCreate": true,
                "conditionalRead": "not-match",
                "conditionalUpdate": true,
                "conditionalDelete": "single",
                "searchInclude": ["Patient:organization"],
                "searchRevInclude": ["Observation:subject"],
                "searchParam": [{"name": "name", "type": "string", "documentation": "by prefix"}],
                "operation": [{
                    "name": "everything",
                    "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything",
                }],
            }],
            "interaction": codes(&["transaction", "batch", "search-system", "history-system"]),
            "searchParam": [{
                "name": "_id",
                "definition": "http://hl7.org/fhir/SearchParameter/Resource-id",
                "type": "token",
            }],
            "operation": [{
                "name": "export",
                "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export",
            }],
            "compartment": ["http://hl7.org/fhir/CompartmentDefinition/patient"],
        }],
    });
    check(&served(SMART), &expected);
    // Without an authorisation server nothing is said of SMART.
    expected["rest"][0]["security"] = json!({"cors": false});
    let capabilities = &["launch-standalone"];
    let without = Security {
        capabilities,
        ..Security::default()
    };
    check(&served(without), &expected);
}
