//! Disclosures as AuditEvent, writes as Provenance.

use crate::check;
use codec::{Category, DeviceId, DisclosureId, GrantId, InstitutionId, Millis};
use consent::{Actor, Basis, Missing, PractitionerAt, PractitionerId, Purpose, Role};
use mirror::{
    Act, Activity, Author, Disclosed, Ended, Network, ReceiptState, Written, audit_event,
    provenance,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const HERE: InstitutionId = InstitutionId::new([0xaa; 16]);
const THERE: InstitutionId = InstitutionId::new([0xbb; 16]);

fn here() -> String {
    "aa".repeat(16)
}

fn there() -> String {
    "bb".repeat(16)
}

pub(crate) fn actor() -> Actor {
    Actor {
        institution: THERE,
        practitioner: PractitionerId::new("dr. \"who\"").unwrap(),
        roles: BTreeSet::from([Role::Clinician, Role::Geneticist]),
        slot: None,
    }
}

pub(crate) fn disclosed<'a>(act: Act<'a>, ended: Ended<'a>, actor: &'a Actor) -> Disclosed<'a> {
    Disclosed {
        id: DisclosureId::new([0xdd; 16]),
        event: None,
        at: Millis::new(1_767_225_600_000),
        act,
        ended,
        purpose: Purpose::Treat,
        actor,
        client: Some("app-1"),
        client_at: Some(Network::Ip("192.0.2.7")),
        custodian: HERE,
        custodian_at: Some(Network::Domain("node.example")),
        patient: Some("Patient/p1"),
        categories: &[Category::Laboratory],
        records: &["Observation/1/_history/2"],
        request_id: Some("r-1"),
        session: None,
        stale: false,
    }
}

fn bases() -> [Basis; 2] {
    [Basis::Grant(GrantId::new([0xee; 16])), Basis::BreakGlass]
}

/// One of each, by name.
pub(crate) fn events() -> Vec<(String, Vec<u8>)> {
    let actor = actor();
    let bases = bases();
    let missing = [Missing::NoGrant, Missing::OptedOut(Purpose::Hresch)];
    let acts = [
        Act::Read,
        Act::Vread,
        Act::Search(b"Observation?code=1"),
        Act::History,
        Act::Create,
        Act::Update,
        Act::Patch,
        Act::Delete,
        Act::Operation("everything"),
        Act::Disclosure,
        Act::Export,
        Act::Other("consent-show"),
    ];
    let endings = [
        Ended::Permitted(&bases),
        Ended::Refused(&missing),
        Ended::Refused(&[]),
        Ended::Failed("the disk is full"),
    ];
    let mut events = Vec::new();
    for (a, act) in acts.into_iter().enumerate() {
        for (e, ended) in endings.into_iter().enumerate() {
            let full = disclosed(act, ended, &actor);
            let bare = Disclosed {
                client: None,
                client_at: None,
                custodian_at: None,
                patient: None,
                categories: &[],
                records: &[],
                request_id: None,
                session: Some(full.id),
                stale: true,
                ..full
            };
            events.push((format!("audit-{a}-{e}"), audit_event(&full)));
            events.push((format!("audit-{a}-{e}-bare"), audit_event(&bare)));
        }
    }
    events
}

#[test]
fn a_read_is_told_as_balp_tells_it() {
    let actor = actor();
    let bases = bases();
    let dcm = "http://dicom.nema.org/resources/ontology/DCM";
    let reason = json!({
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
    });
    let role = |role| json!({"coding": [{"system": "urn:ithaca:role", "code": role}]});
    let custodian = json!({
        "type": "Organization",
        "identifier": {"system": "urn:ithaca:institution", "value": here()},
    });
    let entity_type = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
    let object_role = "http://terminology.hl7.org/CodeSystem/object-role";
    check(
        &audit_event(&disclosed(Act::Read, Ended::Permitted(&bases), &actor)),
        &json!({
            "resourceType": "AuditEvent",
            "id": "dd".repeat(16),
            "meta": {
                "profile": ["https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead"],
            },
            "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
            "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": "read"}],
            "action": "R",
            "recorded": "2026-01-01T00:00:00.000Z",
            "outcome": "0",
            "purposeOfEvent": [reason],
            "agent": [
                {
                    "type": {"coding": [{"system": dcm, "code": "110152"}]},
                    "who": {"identifier": {"value": "app-1"}},
                    "requestor": false,
                    "network": {"address": "192.0.2.7", "type": "2"},
                },
                {
                    "type": {"coding": [{"system": dcm, "code": "110153"}]},
                    "who": custodian,
                    "requestor": false,
                    "network": {"address": "node.example", "type": "1"},
                },
                {
                    "type": {"coding": [{
                        "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                        "code": "IRCP",
                    }]},
                    "role": [role("clinician"), role("geneticist")],
                    "who": {
                        "type": "Practitioner",
                        "identifier": {
                            "system": format!("urn:ithaca:practitioner:{}", there()),
                            "value": "dr. \"who\"",
                        },
                    },
                    "requestor": true,
                    "policy": [format!("urn:ithaca:grant:{}", "ee".repeat(16)), "urn:ithaca:break-glass"],
                    "purposeOfUse": [reason],
                },
            ],
            "source": {
                "observer": custodian,
                "type": [{"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4"}],
            },
            "entity": [
                {
                    "what": {"reference": "Patient/p1"},
                    "type": {"system": entity_type, "code": "1"},
                    "role": {"system": object_role, "code": "1"},
                    "detail": [{"type": "urn:ithaca:category", "valueString": "laboratory"}],
                },
                {
                    "what": {"reference": "Observation/1/_history/2"},
                    "type": {"system": entity_type, "code": "2"},
                    "role": {"system": object_role, "code": "4"},
                },
                {
                    "what": {"identifier": {"value": "r-1"}},
                    "type": {
                        "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
                        "code": "XrequestId",
                    },
                },
            ],
        }),
    );
}

fn told(of: &Disclosed<'_>) -> Value {
    serde_json::from_slice(&audit_event(of)).unwrap()
}

#[test]
fn each_act_has_its_type_action_and_direction() {
    let actor = actor();
    let bases = bases();
    let expect = |act, kind: &str, subtype: &str, action: &str, client: &str, user: &str| {
        let event = told(&disclosed(act, Ended::Permitted(&bases), &actor));
        let last = event["subtype"].as_array().unwrap().last().unwrap();
        let found = [
            &event["type"]["code"],
            &last["code"],
            &event["action"],
            &event["agent"][0]["type"]["coding"][0]["code"],
            &event["agent"][2]["type"]["coding"][0]["code"],
        ];
        assert_eq!(found, [kind, subtype, action, client, user]);
        let server = if client == "110152" {
            "110153"
        } else {
            "110152"
        };
        assert_eq!(event["agent"][1]["type"]["coding"][0]["code"], server);
    };
    let (to, from) = ("110152", "110153");
    expect(Act::Vread, "rest", "vread", "R", to, "IRCP");
    expect(Act::Search(b"x"), "rest", "search-type", "E", from, "IRCP");
    expect(Act::History, "rest", "history-instance", "R", to, "IRCP");
    expect(Act::Create, "rest", "create", "C", from, "AUT");
    expect(Act::Update, "rest", "update", "U", from, "AUT");
    expect(Act::Patch, "rest", "patch", "U", from, "AUT");
    expect(Act::Delete, "rest", "delete", "D", from, "AUT");
    expect(
        Act::Operation("everything"),
        "rest",
        "everything",
        "E",
        from,
        "IRCP",
    );
    expect(Act::Disclosure, "110106", "disclose", "R", to, "IRCP");
    expect(Act::Export, "110106", "export", "R", to, "IRCP");
    expect(
        Act::Other("consent-show"),
        "110110",
        "consent-show",
        "E",
        from,
        "IRCP",
    );
}

#[test]
fn a_query_is_kept_as_it_came() {
    let actor = actor();
    let of = Disclosed {
        records: &[],
        ..disclosed(
            Act::Search(b"Observation?code=\xff"),
            Ended::Permitted(&[]),
            &actor,
        )
    };
    let event = told(&of);
    assert_eq!(event["entity"][1]["query"], "T2JzZXJ2YXRpb24/Y29kZT3/");
    assert_eq!(event["entity"][1]["role"]["code"], "24");
    let profile = event["meta"]["profile"][0].as_str().unwrap();
    assert!(
        profile.ends_with("IHE.BasicAudit.PatientQuery"),
        "{profile}"
    );
}

#[test]
fn refusals_and_failures_say_why_and_claim_no_profile() {
    let actor = actor();
    let missing = [Missing::NoGrant, Missing::OptedOut(Purpose::Hresch)];
    let said = format!("{}; {}", missing[0], missing[1]);
    for (ended, outcome, why) in [
        (Ended::Refused(&missing), "4", said.as_str()),
        (Ended::Refused(&[]), "4", "refused"),
        (Ended::Failed("the disk is full"), "8", "the disk is full"),
    ] {
        let event = told(&disclosed(Act::Read, ended, &actor));
        assert_eq!(event["outcome"], outcome);
        assert_eq!(event["outcomeDesc"], why);
        assert_eq!(event["meta"], Value::Null);
        assert_eq!(event["agent"][2]["policy"], Value::Null);
    }
}

#[test]
fn a_profile_is_claimed_only_where_its_demands_are_met() {
    let actor = actor();
    let of = disclosed(Act::Disclosure, Ended::Permitted(&[]), &actor);
    let profile = told(&of)["meta"]["profile"][0].as_str().unwrap().to_owned();
    assert!(
        profile.ends_with("IHE.BasicAudit.PrivacyDisclosure.Source"),
        "{profile}"
    );
    for lacking in [
        Disclosed {
            client_at: None,
            ..of
        },
        Disclosed {
            custodian_at: None,
            ..of
        },
        Disclosed {
            patient: None,
            ..of
        },
        Disclosed {
            act: Act::Read,
            records: &[],
            ..of
        },
        Disclosed {
            act: Act::Search(b"q"),
            ..of
        },
        Disclosed {
            act: Act::Create,
            ..of
        },
    ] {
        assert_eq!(told(&lacking)["meta"], Value::Null);
    }
}

pub(crate) fn written<'a>(author: &'a Author, receipt: ReceiptState<'a>) -> Written<'a> {
    Written {
        id: "prov-1",
        targets: &["Observation/1/_history/2"],
        at: Millis::new(1_767_225_600_000),
        activity: Activity::Update,
        author,
        custodian: HERE,
        reason: Some(Purpose::Treat),
        revises: Some("Observation/1/_history/1"),
        source: Some("Binary/7"),
        receipt,
    }
}

pub(crate) fn author() -> Author {
    Author::Practitioner(PractitionerAt {
        institution: THERE,
        practitioner: PractitionerId::new("p-1").unwrap(),
    })
}

pub(crate) const RECEIPT: ReceiptState<'_> = ReceiptState::Final {
    at: Millis::new(1_767_225_601_500),
    bytes: &[0xa1, 0x01, 0xff, 0xfe],
};

#[test]
fn a_write_has_its_receipt_once_it_is_final() {
    let author = author();
    let participant = |code| {
        let system = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
        json!({"coding": [{"system": system, "code": code}]})
    };
    let institution = |id: String| json!({"type": "Organization", "identifier": {"system": "urn:ithaca:institution", "value": id}});
    let mut expected = json!({
        "resourceType": "Provenance",
        "id": "prov-1",
        "target": [{"reference": "Observation/1/_history/2"}],
        "recorded": "2026-01-01T00:00:00.000Z",
        "reason": [{
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
        }],
        "activity": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "UPDATE"}],
        },
        "agent": [
            {
                "type": participant("author"),
                "who": {
                    "type": "Practitioner",
                    "identifier": {"system": format!("urn:ithaca:practitioner:{}", there()), "value": "p-1"},
                },
                "onBehalfOf": institution(there()),
            },
            {"type": participant("custodian"), "who": institution(here())},
        ],
        "entity": [
            {"role": "revision", "what": {"reference": "Observation/1/_history/1"}},
            {"role": "source", "what": {"reference": "Binary/7"}},
        ],
        "signature": [{
            "type": [{"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.18"}],
            "when": "2026-01-01T00:00:01.500Z",
            "who": institution(here()),
            "targetFormat": "application/fhir+json",
            "sigFormat": "application/cbor",
            "data": "oQH//g==",
        }],
    });
    check(&provenance(&written(&author, RECEIPT)), &expected);

    let whole = expected.as_object_mut().unwrap();
    whole.remove("signature");
    let state = json!([{"url": "urn:ithaca:receipt-state", "valueCode": "pending"}]);
    whole.insert("extension".to_owned(), state);
    let pending = written(&author, ReceiptState::Pending);
    check(&provenance(&pending), &expected);

    let whole = expected.as_object_mut().unwrap();
    whole.remove("entity");
    whole.remove("reason");
    expected["agent"][0] = json!({
        "type": participant("author"),
        "who": {"type": "Device", "identifier": {"system": "urn:ithaca:device", "value": "cc".repeat(16)}},
    });
    expected["activity"]["coding"][0]["code"] = json!("CREATE");
    let device = Author::Device(DeviceId::new([0xcc; 16]));
    let first = Written {
        author: &device,
        activity: Activity::Create,
        reason: None,
        revises: None,
        source: None,
        ..pending
    };
    check(&provenance(&first), &expected);
}

#[test]
fn debug_shows_nobody() {
    let actor = actor();
    let author = author();
    let disclosed = disclosed(Act::Search(b"name=Miller"), Ended::Failed("Miller"), &actor);
    for shown in [
        format!("{disclosed:?} {:?} {:?}", disclosed.act, disclosed.ended),
        format!("{:?} {author:?}", written(&author, RECEIPT)),
    ] {
        for secret in ["Miller", "Patient/p1", "who", "p-1", "Observation", "192"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
