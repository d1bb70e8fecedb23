//! Consents one thing at a time: what is taken, and what is refused, where.

use crate::consent_write::{HERE, THERE};
use crate::laws::{Own, SUBJECT};
use codec::{Category, Date, GrantId, InstitutionId, Millis, RecordId, SubjectId};
use consent::{Exception, Grantee, PractitionerAt, PractitionerId, Purpose, RecordKind};
use mirror::{Directory, GrantDraft, Issue, MAX_BYTES, Named, Party, Stated, consent_read};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(crate) fn concept(system: &str, code: &str) -> Value {
    json!({"coding": [{"system": system, "code": code, "display": "shown"}], "text": "shown"})
}

pub(crate) fn role(code: &str) -> Value {
    concept(
        "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
        code,
    )
}

pub(crate) fn action(code: &str) -> Value {
    concept("http://terminology.hl7.org/CodeSystem/consentaction", code)
}

pub(crate) fn purpose(code: &str) -> Value {
    json!({"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": code})
}

pub(crate) fn there() -> Value {
    json!({"reference": format!("Organization/{}", "bb".repeat(16)), "display": "shown"})
}

/// As a record system sends it: the root permits.
fn consent() -> Value {
    json!({
        "resourceType": "Consent",
        "id": "c1",
        "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">said</div>"},
        "status": "active",
        "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [concept("http://loinc.org", "59284-0")],
        "patient": {"reference": "Patient/p1"},
        "dateTime": "2026-01-01",
        "performer": [{"reference": "RelatedPerson/mother"}],
        "organization": [{"reference": "Organization/any"}],
        "sourceReference": {"reference": "DocumentReference/any"},
        "policyRule": concept("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTOUT"),
        "verification": [{"verified": true}],
        "provision": {
            "type": "permit",
            "period": {"start": "2026-01-01", "end": "2026-01-31"},
            "actor": [{"role": role("PRCP"), "reference": there()}],
            "action": [action("access")],
            "purpose": [purpose("TREAT")],
            "provision": [{"type": "deny", "class": [
                {"system": "http://hl7.org/fhir/resource-types", "code": "Condition"},
            ]}],
        },
    })
}

fn read(consent: &Value) -> Result<Stated, Vec<Issue>> {
    consent_read(&serde_json::to_vec(consent).unwrap(), &Own)
}

fn draft() -> GrantDraft {
    GrantDraft {
        subject: SUBJECT,
        id: None,
        grantee: Grantee::Institution(THERE),
        purposes: BTreeSet::from([Purpose::Treat]),
        categories: Category::ALL.iter().copied().collect(),
        from: Millis::from_rfc3339("2026-01-01T00:00:00Z").unwrap(),
        until: Millis::from_rfc3339("2026-02-01T00:00:00Z").unwrap(),
        exceptions: BTreeSet::from([Exception::Kind(RecordKind::new("Condition").unwrap())]),
    }
}

/// The consent with one element changed or, if null, taken away.
pub(crate) fn with(at: &str, value: Value) -> Value {
    let mut consent = consent();
    let (parent, name) = at.rsplit_once('/').unwrap();
    let parent = consent.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(members), Value::Null) => {
            members.remove(name).unwrap();
        }
        (Value::Object(members), value) => {
            members.insert(name.to_owned(), value);
        }
        (Value::Array(items), value) => items.insert(name.parse().unwrap(), value),
        _ => panic!("{at}"),
    }
    consent
}

#[track_caller]
fn reads(consent: &Value, edit: impl FnOnce(&mut GrantDraft)) {
    let mut expected = draft();
    edit(&mut expected);
    assert_eq!(read(consent), Ok(Stated::Grant(expected)));
}

#[track_caller]
pub(crate) fn refuses(consent: &Value, expected: &[&str]) {
    let issues = read(consent).unwrap_err();
    let found: Vec<String> = issues
        .iter()
        .map(|issue| format!("{} {}", issue.code, issue.expression.join("|")))
        .collect();
    assert_eq!(found, expected, "{issues:?}");
    assert!(issues.iter().all(|issue| issue.diagnostics.is_some()));
}

#[test]
fn a_consent_as_a_record_system_sends_it_is_a_grant() {
    reads(&consent(), |_| {});
    reads(&with("/provision/type", json!("permit")), |_| {});
    reads(&with("/id", json!("ee".repeat(16))), |draft| {
        draft.id = Some(GrantId::new([0xee; 16]));
    });
    let extension = "http://hl7.org/fhir/StructureDefinition/consent-Witness";
    let extension = json!([{"url": extension, "valueReference": {"reference": "Person/1"}}]);
    reads(&with("/extension", extension), |_| {});
    let custodian = json!({"role": role("CST"), "reference": {
        "reference": format!("Organization/{}", "aa".repeat(16)),
    }});
    reads(&with("/provision/actor/0", custodian.clone()), |_| {});
    // Around a provision that names who receives, the custodian alone says nothing.
    let mut around = consent();
    around["provision"] = json!({"actor": [custodian], "provision": [consent()["provision"]]});
    reads(&around, |_| {});
}

#[test]
fn periods_hold_their_ends() {
    let cases = [
        (
            "2026",
            "2026",
            "2026-01-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
        ),
        (
            "2026-02",
            "2028-02",
            "2026-02-01T00:00:00Z",
            "2028-03-01T00:00:00Z",
        ),
        (
            "1964-01-01",
            "2026-12-31",
            "1970-01-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
        ),
        (
            "2026-01-01T10:00:00+02:00",
            "2026-01-02T10:00:00.5-05:00",
            "2026-01-01T08:00:00Z",
            "2026-01-02T15:00:00.501Z",
        ),
    ];
    for (start, end, from, until) in cases {
        let period = json!({"start": start, "end": end});
        reads(&with("/provision/period", period), |draft| {
            draft.from = Millis::from_rfc3339(from).unwrap();
            draft.until = Millis::from_rfc3339(until).unwrap();
        });
    }
    for wrong in [
        "",
        "26",
        "2026-1",
        "2026-02-30",
        "2026-01-01T10:00:00",
        "2026-01-01T10:00Z",
        "2026-01-01T10:00:00.1234Z",
        "2026-01-01T23:59:60Z",
        "1969-12-31T23:59:59Z",
        "soon",
        "T",
    ] {
        let at = "Consent.provision.period";
        let period = json!({"start": "1970", "end": wrong});
        let value = format!("value {at}.end");
        refuses(
            &with("/provision/period", period),
            &[&value, &format!("required {at}")],
        );
    }
    for lacking in [
        "/provision/period/start",
        "/provision/period/end",
        "/provision/period",
    ] {
        refuses(
            &with(lacking, Value::Null),
            &["required Consent.provision.period"],
        );
    }
    let reversed = json!({"start": "2026-01-02", "end": "2026-01-01"});
    refuses(
        &with("/provision/period", reversed),
        &["business-rule Consent.provision.period"],
    );
    refuses(
        &with("/provision/period", json!({"start": "2026", "end": "9999"})),
        &[
            "value Consent.provision.period.end",
            "required Consent.provision.period",
        ],
    );
}

#[test]
fn what_is_missing_is_refused() {
    for (at, expected) in [
        ("/status", "business-rule Consent.status"),
        ("/scope", "code-invalid Consent.scope"),
        ("/patient", "required Consent.patient"),
        ("/policyRule", "required Consent.policyRule"),
        ("/provision", "required Consent.provision"),
        ("/provision/type", "required Consent.provision.type"),
        ("/provision/actor", "required Consent.provision.actor"),
        ("/provision/action", "required Consent.provision.action"),
        ("/provision/purpose", "required Consent.provision.purpose"),
        (
            "/provision/provision/0/type",
            "required Consent.provision.provision[0].type",
        ),
        ("/resourceType", "invalid Consent.resourceType"),
    ] {
        let consent = with(at, Value::Null);
        let issues = read(&consent).unwrap_err();
        let first = &issues[0];
        assert_eq!(format!("{} {}", first.code, first.expression[0]), expected);
    }
}

/// The consent with one item of a list in the place of another.
pub(crate) fn replaced(at: &str, value: Value) -> Value {
    let mut consent = consent();
    *consent.pointer_mut(at).unwrap() = value;
    consent
}

#[test]
fn a_provision_below_another_permits_less() {
    let inner = json!({
        "type": "permit",
        "purpose": [purpose("TREAT"), purpose("HRESCH")],
        "period": {"start": "2025-06", "end": "2026-01-15"},
        "class": [{"system": "urn:ithaca:category", "code": "genomic"}],
        "actor": [{"role": role("IRCP"), "reference": {"identifier": {
            "system": format!("urn:ithaca:practitioner:{}", "bb".repeat(16)),
            "value": "p-1",
        }}}],
        "provision": [{
            "type": "deny",
            "actor": [{"role": role("PRCP"), "reference": {"identifier": {
                "system": "urn:ithaca:practitioner",
                "value": "cousin",
            }}}],
        }],
    });
    reads(&with("/provision/provision/1", inner), |draft| {
        draft.until = Millis::from_rfc3339("2026-01-16T00:00:00Z").unwrap();
        draft.categories = BTreeSet::from([Category::Genomic]);
        draft.grantee = Grantee::Practitioner(PractitionerAt {
            institution: THERE,
            practitioner: PractitionerId::new("p-1").unwrap(),
        });
        let cousin = PractitionerId::new("cousin").unwrap();
        draft.exceptions.insert(Exception::Practitioner(cousin));
    });
    let two = json!([{"type": "permit"}, {"type": "permit"}]);
    let expected = "not-supported Consent.provision.provision[1]";
    refuses(&with("/provision/provision", two), &[expected]);
    let elsewhere = json!({"type": "permit", "actor": [{"role": role("PRCP"), "reference": {
        "reference": format!("Organization/{}", "cc".repeat(16)),
    }}]});
    let expected = "invariant Consent.provision.provision[1].actor[0]";
    refuses(&with("/provision/provision/1", elsewhere), &[expected]);
}

#[test]
fn exceptions_leave_out() {
    let record = RecordId::new([1; 16]);
    let deny = |name: &str, value: Value| {
        let mut denial = json!({"type": "deny"});
        denial[name] = value;
        with("/provision/provision/1", denial)
    };
    let data = json!([{"meaning": "instance", "reference": {"reference": format!("Observation/{record}")}}]);
    reads(&deny("data", data), |draft| {
        draft.exceptions.insert(Exception::Record(record));
    });
    reads(
        &deny(
            "class",
            json!([{"system": "urn:ithaca:category", "code": "genomic"}]),
        ),
        |draft| {
            draft.categories.remove(&Category::Genomic);
        },
    );
    // Denied is a purpose with everything below it.
    let mut consent = deny("purpose", json!([purpose("ETREAT")]));
    consent["provision"]["purpose"] =
        json!([purpose("TREAT"), purpose("ETREAT"), purpose("ERTREAT")]);
    reads(&consent, |_| {});
    // That the custodian shall disclose nothing is no exception.
    let custodian = json!([{"role": role("CST"), "reference": {
        "reference": format!("Organization/{}", "aa".repeat(16)),
    }}]);
    refuses(
        &deny("actor", custodian),
        &["not-supported Consent.provision.provision[1].actor[0].role"],
    );
}

#[test]
fn a_scope_must_fit_the_purposes() {
    let scope = |code| concept("http://terminology.hl7.org/CodeSystem/consentscope", code);
    reads(&with("/scope", scope("treatment")), |_| {});
    refuses(
        &with("/scope", scope("research")),
        &["invariant Consent.scope"],
    );
    refuses(
        &with("/scope", scope("adr")),
        &["code-invalid Consent.scope"],
    );
}

#[test]
fn a_consent_that_is_over_revokes_the_grant_that_it_names() {
    let id = "ee".repeat(16);
    for status in ["inactive", "rejected", "entered-in-error"] {
        let mut over = with("/status", json!(status));
        refuses(&over, &["required Consent.identifier"]);
        over["identifier"] = json!([
            {"system": "urn:oid:1.2.3", "value": "7"},
            {"system": "urn:ithaca:grant", "value": id},
        ]);
        let grant = GrantId::new([0xee; 16]);
        let revoked = Stated::Revocation {
            subject: SUBJECT,
            grant,
        };
        assert_eq!(read(&over), Ok(revoked));
        over["identifier"][1]["value"] = json!("7");
        refuses(
            &over,
            &["value Consent.identifier[1]", "required Consent.identifier"],
        );
    }
    let mut out = with(
        "/policy",
        json!([{"uri": "urn:ithaca:consent:restriction"}]),
    );
    out["status"] = json!("inactive");
    out["id"] = json!(id);
    out.as_object_mut().unwrap().remove("policyRule");
    refuses(&out, &["business-rule Consent.status"]);
}

#[test]
fn own_policies_take_nothing_but_their_own() {
    let under = |policy: &str, provision: Value| {
        let mut consent = with("/policy", json!([{"uri": policy}]));
        consent.as_object_mut().unwrap().remove("policyRule");
        consent["provision"] = provision;
        consent
    };
    let out = "urn:ithaca:consent:opt-out";
    let deny = json!({"type": "deny", "purpose": [purpose("HRESCH")]});
    let stated = read(&under(out, json!({"provision": [deny]}))).unwrap();
    let purposes = BTreeSet::from([Purpose::Hresch]);
    assert_eq!(
        stated,
        Stated::OptOuts {
            subject: SUBJECT,
            purposes
        }
    );
    for (provision, at) in [
        (
            json!({"provision": [deny, deny]}),
            "business-rule Consent.provision",
        ),
        (
            json!({"type": "permit", "provision": [deny]}),
            "business-rule Consent.provision",
        ),
        (
            json!({"period": {"start": "2026"}, "provision": [deny]}),
            "business-rule Consent.provision",
        ),
        (
            json!({"provision": [{"type": "deny"}]}),
            "required Consent.provision.provision[0].purpose",
        ),
        (
            json!({"provision": [{"type": "deny", "purpose": [purpose("HRESCH")], "period": {"start": "2026"}}]}),
            "business-rule Consent.provision",
        ),
    ] {
        refuses(&under(out, provision), &[at]);
    }
    let restriction = "urn:ithaca:consent:restriction";
    let some = json!({"provision": [{"type": "deny", "action": [action("use")]}]});
    refuses(
        &under(restriction, some),
        &["business-rule Consent.provision.provision[0].action"],
    );
}

/// An institution in another time zone, which knows its patients, staff and records by its own names.
struct Hospital;

impl Directory for Hospital {
    fn custodian(&self) -> InstitutionId {
        HERE
    }

    fn subject(&self, patient: &Named<'_>) -> Option<SubjectId> {
        let (system, value) = patient.identifier.as_ref()?;
        (system == "urn:oid:1.2.3" && value == "mrn-7").then_some(SUBJECT)
    }

    fn party(&self, named: &Named<'_>) -> Option<Party> {
        let known = named.reference.as_deref() == Some("https://there.example/fhir/Organization/1");
        known.then_some(Party::Institution(THERE))
    }

    fn record(&self, named: &Named<'_>) -> Option<RecordId> {
        let looks_like_another = format!("Observation/{}", "09".repeat(16));
        let known = ["Observation/lab-1", &looks_like_another];
        let known = known.contains(&&**named.reference.as_ref()?);
        known.then_some(RecordId::new([4; 16]))
    }

    fn day(&self, date: Date) -> Option<(Millis, Millis)> {
        let start = date.start()?.saturating_sub(3_600_000);
        Some((start, start.saturating_add(86_400_000)))
    }

    fn denies_by_default(&self, policy: &str) -> bool {
        policy == "https://hospital.example/policy/1"
    }
}

#[test]
fn an_institution_knows_its_own_names_days_and_policies() {
    let mut consent = with(
        "/policy",
        json!([{"uri": "https://hospital.example/policy/1"}]),
    );
    consent.as_object_mut().unwrap().remove("policyRule");
    consent["patient"] = json!({"identifier": {"system": "urn:oid:1.2.3", "value": "mrn-7"}});
    let there = "https://there.example/fhir/Organization/1";
    consent["provision"]["actor"][0]["reference"] = json!({"reference": there});
    consent["provision"]["provision"][0] = json!({"type": "deny", "data": [
        {"meaning": "instance", "reference": {"reference": "Observation/lab-1"}},
    ]});
    let read = consent_read(&serde_json::to_vec(&consent).unwrap(), &Hospital).unwrap();
    // What a reference leads to is not what its id looks like.
    let reference = &mut consent["provision"]["provision"][0]["data"][0]["reference"]["reference"];
    *reference = json!(format!("Observation/{}", "09".repeat(16)));
    let alike = consent_read(&serde_json::to_vec(&consent).unwrap(), &Hospital).unwrap();
    assert_eq!(read, alike);
    consent["provision"]["actor"][0]["reference"]["reference"] =
        json!(format!("Organization/{}", "bb".repeat(16)));
    consent_read(&serde_json::to_vec(&consent).unwrap(), &Hospital).unwrap_err();
    let expected = GrantDraft {
        from: Millis::from_rfc3339("2026-01-01T00:00:00+01:00").unwrap(),
        until: Millis::from_rfc3339("2026-02-01T00:00:00+01:00").unwrap(),
        exceptions: BTreeSet::from([Exception::Record(RecordId::new([4; 16]))]),
        ..draft()
    };
    assert_eq!(read, Stated::Grant(expected));
}

#[test]
fn a_hostile_consent_is_bounded() {
    let refused = |source: &[u8]| consent_read(source, &Own).unwrap_err();
    let long = vec![b' '; MAX_BYTES + 1];
    assert_eq!(refused(&long)[0].expression, ["Consent"]);
    let deep = "{\"provision\":".repeat(100) + "1" + &"}".repeat(100);
    assert_eq!(refused(deep.as_bytes()).len(), 1);
    let many = vec![json!({"type": "x"}); 100];
    let issues = read(&with("/provision/provision", json!(many))).unwrap_err();
    assert_eq!(issues.len(), 50);
    for source in [
        "",
        "7",
        "[]",
        "{}",
        "{\"resourceType\":\"Patient\"}",
        "\u{feff}{}",
    ] {
        assert!(!refused(source.as_bytes()).is_empty(), "{source}");
    }
}

#[test]
fn issues_and_debug_tell_no_value() {
    let mut consent = with("/Miller", json!("Miller"));
    consent["patient"] = json!({"reference": "Patient/Miller"});
    consent["provision"]["actor"][0]["reference"] = json!({"reference": "Practitioner/Miller"});
    consent["provision"]["purpose"][0]["code"] = json!("Miller");
    let issues = read(&consent).unwrap_err();
    assert!(issues.len() >= 4);
    let written = mirror::outcome(&issues);
    assert!(!String::from_utf8(written).unwrap().contains("Miller"));
    let shown = format!("{:?} {:?}", read(&self::consent()), issues);
    assert!(
        !shown.contains("0707") && !shown.contains("Condition"),
        "{shown}"
    );
}
