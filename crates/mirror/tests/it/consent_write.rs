//! Grants, opt-outs and restriction as Consent, by hand-made documents.

use crate::check;
use codec::{Category, GrantId, InstitutionId, Millis, RecordId, StudyId};
use consent::{Exception, Grant, Grantee, PractitionerAt, PractitionerId, Purpose, RecordKind};
use mirror::{Frame, consent_write, opt_outs_write, restriction_write};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const HERE: InstitutionId = InstitutionId::new([0xaa; 16]);
pub(crate) const THERE: InstitutionId = InstitutionId::new([0xbb; 16]);

pub(crate) fn frame() -> Frame<'static> {
    Frame {
        id: None,
        version: Some(("3", Millis::new(1_767_225_600_000))),
        patient: "Patient/p1",
        at: Some(Millis::new(1_767_225_600_000)),
        custodian: HERE,
        is_over: false,
        is_pending: false,
    }
}

pub(crate) fn grant() -> Grant {
    let kind = |kind| Exception::Kind(RecordKind::new(kind).unwrap());
    Grant {
        id: GrantId::new([0xee; 16]),
        grantee: Grantee::Institution(THERE),
        purposes: BTreeSet::from([Purpose::Treat, Purpose::Coc]),
        categories: BTreeSet::from([Category::Phenotype, Category::Genomic]),
        from: Millis::new(1_767_225_600_000),
        until: Millis::new(1_798_761_600_000),
        exceptions: BTreeSet::from([
            Exception::Record(RecordId::new([1; 16])),
            Exception::Record(RecordId::new([2; 16])),
            kind("Condition"),
            kind("phenopacket"),
            Exception::Practitioner(PractitionerId::new("cousin").unwrap()),
        ]),
    }
}

pub(crate) fn kinds() -> BTreeMap<RecordId, RecordKind> {
    BTreeMap::from([
        (
            RecordId::new([1; 16]),
            RecordKind::new("Observation").unwrap(),
        ),
        (
            RecordId::new([2; 16]),
            RecordKind::new("phenopacket").unwrap(),
        ),
    ])
}

fn concept(system: &str, code: &str) -> Value {
    json!({"coding": [{"system": system, "code": code}]})
}

fn consent(scope: &str, policy: &str, provision: &Value) -> Value {
    let here = "aa".repeat(16);
    json!({
        "resourceType": "Consent",
        "meta": {"versionId": "3", "lastUpdated": "2026-01-01T00:00:00.000Z"},
        "status": "active",
        "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", scope),
        "category": [concept("http://loinc.org", "59284-0")],
        "patient": {"reference": "Patient/p1"},
        "dateTime": "2026-01-01T00:00:00.000Z",
        "organization": [{
            "type": "Organization",
            "identifier": {"system": "urn:ithaca:institution", "value": here},
        }],
        "policy": [{"uri": policy}],
        "provision": {"provision": [provision]},
    })
}

const ACTION: &str = "http://terminology.hl7.org/CodeSystem/consentaction";
const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

#[test]
fn a_grant_permits_with_exceptions() {
    let role = concept(
        "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
        "PRCP",
    );
    let logical = |system: &str, value: &str| json!({"system": system, "value": value});
    let category = |code| json!({"system": "urn:ithaca:category", "code": code});
    let there = "bb".repeat(16);
    let mut expected = consent(
        "patient-privacy",
        "urn:ithaca:consent:grant",
        &json!({
            "type": "permit",
            "period": {"start": "2026-01-01T00:00:00.000Z", "end": "2026-12-31T23:59:59.999Z"},
            "actor": [{
                "role": role,
                "reference": {
                    "type": "Organization",
                    "identifier": logical("urn:ithaca:institution", &there),
                },
            }],
            "action": [concept(ACTION, "access")],
            "purpose": [{"system": REASON, "code": "TREAT"}, {"system": REASON, "code": "COC"}],
            "class": [category("phenotype"), category("genomic")],
            "provision": [
                {
                    "type": "deny",
                    "data": [
                        {
                            "meaning": "instance",
                            "reference": {"reference": format!("Observation/{}", "01".repeat(16))},
                        },
                        {
                            "meaning": "instance",
                            "reference": {"identifier": logical("urn:ithaca:record", &"02".repeat(16))},
                        },
                    ],
                },
                {
                    "type": "deny",
                    "class": [
                        {"system": "http://hl7.org/fhir/resource-types", "code": "Condition"},
                        {"system": "urn:ithaca:record-kind", "code": "phenopacket"},
                    ],
                },
                {
                    "type": "deny",
                    "actor": [{
                        "role": role,
                        "reference": {
                            "type": "Practitioner",
                            "identifier": logical("urn:ithaca:practitioner", "cousin"),
                        },
                    }],
                },
            ],
        }),
    );
    let id = "ee".repeat(16);
    let whole = expected.as_object_mut().unwrap();
    whole.insert("id".to_owned(), json!(id));
    whole.insert(
        "identifier".to_owned(),
        json!([logical("urn:ithaca:grant", &id)]),
    );
    let rule = concept(
        "http://terminology.hl7.org/CodeSystem/v3-ActCode",
        "OPTOUTE",
    );
    whole.insert("policyRule".to_owned(), rule);
    check(&consent_write(&grant(), &kinds(), &frame()), &expected);
}

#[test]
fn each_grantee_is_an_actor() {
    let practitioner = PractitionerAt {
        institution: THERE,
        practitioner: PractitionerId::new("p-1").unwrap(),
    };
    let system = format!("urn:ithaca:practitioner:{}", "bb".repeat(16));
    for (grantee, scope, expected) in [
        (
            Grantee::Practitioner(practitioner),
            "patient-privacy",
            json!({"type": "Practitioner", "identifier": {"system": system, "value": "p-1"}}),
        ),
        (
            Grantee::Study(StudyId::new([5; 16])),
            "research",
            json!({
                "type": "Group",
                "identifier": {"system": "urn:ithaca:study", "value": "05".repeat(16)},
            }),
        ),
    ] {
        let purpose = if scope == "research" {
            Purpose::Dsrch
        } else {
            Purpose::Dximp
        };
        let grant = Grant {
            grantee,
            purposes: BTreeSet::from([purpose]),
            ..grant()
        };
        let written = consent_write(&grant, &BTreeMap::new(), &frame());
        let written: Value = serde_json::from_slice(&written).unwrap();
        let permit = &written["provision"]["provision"][0];
        assert_eq!(permit["actor"][0]["reference"], expected);
        assert_eq!(written["scope"]["coding"][0]["code"], scope);
        let system = if scope == "research" {
            REASON
        } else {
            "urn:ithaca:purpose"
        };
        assert_eq!(
            permit["purpose"],
            json!([{"system": system, "code": purpose.as_str()}])
        );
    }
}

#[test]
fn opt_outs_and_restriction_deny_under_their_own_policies() {
    let frame = frame();
    let out = BTreeSet::from([Purpose::Hresch]);
    check(
        &opt_outs_write(&out, &frame).unwrap(),
        &consent(
            "patient-privacy",
            "urn:ithaca:consent:opt-out",
            &json!({"type": "deny", "purpose": [{"system": REASON, "code": "HRESCH"}]}),
        ),
    );
    assert_eq!(opt_outs_write(&BTreeSet::new(), &frame), None);
    let actions = ["access", "use", "disclose"].map(|action| concept(ACTION, action));
    let mut expected = consent(
        "patient-privacy",
        "urn:ithaca:consent:restriction",
        &json!({"type": "deny", "action": actions}),
    );
    let whole = expected.as_object_mut().unwrap();
    whole.insert("id".to_owned(), json!("restricted"));
    whole.insert("status".to_owned(), json!("inactive"));
    let over = Frame {
        id: Some("restricted"),
        is_over: true,
        ..frame
    };
    check(&restriction_write(&over), &expected);
}
