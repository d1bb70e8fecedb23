//! Invariants that no example comes near: each is broken by a resource made for it, and holds of one that
//! differs in what the rule is about.

use fhir::{IssueCode, Limits, Strictness};
use serde_json::{Value, json};

fn broken(resource: &Value) -> Vec<String> {
    let source = resource.to_string();
    let issues = fhir::validate_bytes(source.as_bytes(), &Limits::default(), Strictness::Strict);
    let issues = issues.unwrap().into_iter();
    let of_invariants = issues.filter(|issue| issue.code == IssueCode::Invariant);
    of_invariants
        .map(|issue| issue.message.split(':').next().unwrap().to_owned())
        .collect()
}

/// Checks each key on a resource of a type with some members that break it, and with some that do not.
fn check(of: &str, cases: &[(&str, Value, Value)]) {
    for (key, wrong, right) in cases {
        let made = |members: &Value| {
            let mut resource = members.clone();
            resource["resourceType"] = json!(of);
            broken(&resource).iter().any(|found| found == key)
        };
        assert!(made(wrong), "{key} holds of {wrong}");
        assert!(!made(right), "{key} is broken by {right}");
    }
}

fn concept(system: &str, code: &str) -> Value {
    json!({"coding": [{"system": format!("http://terminology.hl7.org/CodeSystem/{system}"), "code": code}]})
}

#[test]
fn of_clinical_resources() {
    let retracted = concept("allergyintolerance-verification", "entered-in-error");
    let active = concept("allergyintolerance-clinical", "active");
    check(
        "AllergyIntolerance",
        &[
            ("ait-1", json!({}), json!({"clinicalStatus": active})),
            ("ait-1", json!({}), json!({"verificationStatus": retracted})),
            (
                "ait-2",
                json!({"clinicalStatus": active, "verificationStatus": retracted}),
                json!({"clinicalStatus": active}),
            ),
        ],
    );
    let retracted = concept("condition-ver-status", "entered-in-error");
    check(
        "Condition",
        &[
            (
                "con-4",
                json!({"abatementString": "x"}),
                json!({"abatementString": "x", "clinicalStatus": concept("condition-clinical", "resolved")}),
            ),
            (
                "con-5",
                json!({"verificationStatus": retracted, "clinicalStatus": concept("condition-clinical", "active")}),
                json!({"verificationStatus": retracted}),
            ),
        ],
    );
    check(
        "Observation",
        &[
            (
                "obs-3",
                json!({"referenceRange": [{"age": {"low": {"value": 1}}}]}),
                json!({"referenceRange": [{"text": "x"}]}),
            ),
            (
                "obs-6",
                json!({"dataAbsentReason": {"text": "x"}, "valueInteger": 1}),
                json!({"dataAbsentReason": {"text": "x"}}),
            ),
            (
                "obs-7",
                json!({"valueInteger": 1, "code": {"coding": [{"code": "a", "system": "s"}]}, "component": [{"code": {"coding": [{"system": "s", "code": "a"}]}}]}),
                json!({"valueInteger": 1, "code": {"coding": [{"code": "a", "system": "s"}]}, "component": [{"code": {"coding": [{"system": "s", "code": "b"}]}}]}),
            ),
        ],
    );
    check(
        "FamilyMemberHistory",
        &[
            (
                "fhs-1",
                json!({"ageString": "x", "bornString": "y"}),
                json!({"ageString": "x"}),
            ),
            (
                "fhs-2",
                json!({"estimatedAge": true}),
                json!({"estimatedAge": true, "ageString": "x"}),
            ),
        ],
    );
    let range = |code: &str| json!({"prediction": [{"probabilityRange": {"low": {"value": 1, "code": code, "system": "http://unitsofmeasure.org"}}}]});
    check(
        "RiskAssessment",
        &[
            ("ras-1", range("mg"), range("%")),
            (
                "ras-2",
                json!({"prediction": [{"probabilityDecimal": 100.01}]}),
                json!({"prediction": [{"probabilityDecimal": 100.0}]}),
            ),
            (
                "ras-2",
                json!({"prediction": [{"probabilityDecimal": 1e3}]}),
                json!({"prediction": [{}]}),
            ),
        ],
    );
    check(
        "MolecularSequence",
        &[
            (
                "msq-3",
                json!({"coordinateSystem": 2}),
                json!({"coordinateSystem": 1}),
            ),
            (
                "msq-5",
                json!({"referenceSeq": {"genomeBuild": "x"}}),
                json!({"referenceSeq": {"genomeBuild": "x", "chromosome": {"text": "1"}}}),
            ),
        ],
    );
    check(
        "CarePlan",
        &[(
            "cpl-3",
            json!({"activity": [{"detail": {}, "reference": {"display": "x"}}]}),
            json!({"activity": [{"reference": {"display": "x"}}]}),
        )],
    );
    check(
        "ServiceRequest",
        &[(
            "prr-1",
            json!({"orderDetail": [{"text": "x"}]}),
            json!({"orderDetail": [{"text": "x"}], "code": {"text": "y"}}),
        )],
    );
    check(
        "Appointment",
        &[(
            "app-4",
            json!({"cancelationReason": {"text": "x"}, "status": "booked"}),
            json!({"cancelationReason": {"text": "x"}, "status": "cancelled"}),
        )],
    );
    check(
        "List",
        &[
            (
                "lst-1",
                json!({"emptyReason": {"text": "x"}, "entry": [{}]}),
                json!({"emptyReason": {"text": "x"}}),
            ),
            (
                "lst-2",
                json!({"mode": "working", "entry": [{"deleted": true}]}),
                json!({"mode": "changes", "entry": [{"deleted": true}]}),
            ),
        ],
    );
    check(
        "Composition",
        &[(
            "cmp-2",
            json!({"section": [{"emptyReason": {"text": "x"}, "entry": [{"display": "y"}]}]}),
            json!({"section": [{"emptyReason": {"text": "x"}}]}),
        )],
    );
    check(
        "AuditEvent",
        &[(
            "sev-1",
            json!({"entity": [{"name": "x", "query": "YWJj"}]}),
            json!({"entity": [{"query": "YWJj"}]}),
        )],
    );
}

#[test]
fn of_data_types() {
    let quantity = |name: &str, more: Value| json!({"extension": [{"url": "http://x", format!("value{name}"): more}]});
    let timing = |repeat: Value| json!({"extension": [{"url": "http://x", "valueTiming": {"repeat": repeat}}]});
    let ucum = "http://unitsofmeasure.org";
    check(
        "Patient",
        &[
            (
                "cnt-3",
                quantity("Count", json!({"value": 1.5, "code": "1", "system": ucum})),
                quantity("Count", json!({"value": 15, "code": "1", "system": ucum})),
            ),
            (
                "dis-1",
                quantity("Distance", json!({"value": 1})),
                quantity("Distance", json!({"value": 1, "code": "m", "system": ucum})),
            ),
            (
                "drt-1",
                quantity("Duration", json!({"value": 1, "code": "h"})),
                quantity("Duration", json!({"value": 1, "code": "h", "system": ucum})),
            ),
            (
                "age-1",
                quantity("Age", json!({"value": 0, "code": "a", "system": ucum})),
                quantity("Age", json!({"value": 1, "code": "a", "system": ucum})),
            ),
            (
                "rng-2",
                quantity("Range", json!({"low": {"value": 2}, "high": {"value": 1}})),
                quantity("Range", json!({"low": {"value": 2}, "high": {"value": 10}})),
            ),
            (
                "rat-1",
                quantity("Ratio", json!({"numerator": {"value": 2}})),
                quantity(
                    "Ratio",
                    json!({"numerator": {"value": 2}, "denominator": {"value": 2}}),
                ),
            ),
            (
                "tim-4",
                timing(json!({"duration": -1, "durationUnit": "h"})),
                timing(json!({"duration": 0, "durationUnit": "h"})),
            ),
            (
                "tim-5",
                timing(json!({"period": -1, "periodUnit": "h"})),
                timing(json!({"period": 1, "periodUnit": "h"})),
            ),
            (
                "tim-10",
                timing(json!({"timeOfDay": ["10:00:00"], "when": ["MORN"]})),
                timing(json!({"when": ["MORN"]})),
            ),
            (
                "tim-9",
                timing(json!({"offset": 1, "when": ["CM"]})),
                timing(json!({"offset": 1, "when": ["MORN"]})),
            ),
            (
                "drq-2",
                quantity(
                    "DataRequirement",
                    json!({"dateFilter": [{"path": "a", "searchParam": "b"}]}),
                ),
                quantity("DataRequirement", json!({"dateFilter": [{"path": "a"}]})),
            ),
            (
                "trd-1",
                quantity(
                    "TriggerDefinition",
                    json!({"data": [{}], "timingDate": "2020"}),
                ),
                quantity("TriggerDefinition", json!({"timingDate": "2020"})),
            ),
            (
                "dom-5",
                json!({"contained": [{"resourceType": "Basic", "meta": {"security": [{"code": "x"}]}}]}),
                json!({"contained": [{"resourceType": "Basic", "meta": {"tag": [{"code": "x"}]}}]}),
            ),
        ],
    );
}

#[test]
fn of_bundles_and_conformance_resources() {
    check(
        "Bundle",
        &[
            (
                "bdl-8",
                json!({"entry": [{"fullUrl": "http://x/Patient/1/_history/2"}]}),
                json!({"entry": [{"fullUrl": "http://x/Patient/1"}, {"request": {}}]}),
            ),
            (
                "bdl-7",
                json!({"type": "batch", "entry": [{"fullUrl": "urn:x:1"}, {"fullUrl": "urn:x:1"}]}),
                json!({"type": "batch", "entry": [{"fullUrl": "urn:x:1"}, {"fullUrl": "urn:x:2"}]}),
            ),
            (
                "bdl-11",
                json!({"type": "document", "entry": [{"resource": {"resourceType": "Patient"}}]}),
                json!({"type": "document", "entry": [{"resource": {"resourceType": "Composition"}}]}),
            ),
        ],
    );
    check(
        "CodeSystem",
        &[(
            "csd-1",
            json!({"concept": [{"code": "a", "concept": [{"code": "a"}]}]}),
            json!({"concept": [{"code": "a", "concept": [{"code": "b"}]}]}),
        )],
    );
    check(
        "CapabilityStatement",
        &[
            (
                "cpb-2",
                json!({"kind": "instance"}),
                json!({"description": "x"}),
            ),
            (
                "cpb-9",
                json!({"rest": [{"resource": [{"type": "Patient"}, {"type": "Patient"}]}]}),
                json!({"rest": [{"resource": [{"type": "Patient"}, {"type": "Basic"}]}]}),
            ),
            (
                "cpb-7",
                json!({"document": [{"mode": "producer", "profile": "x"}, {"mode": "producer", "profile": "x"}]}),
                json!({"document": [{"mode": "producer", "profile": "x"}, {"mode": "consumer", "profile": "x"}]}),
            ),
        ],
    );
    let item = |more: Value| json!({"item": [more]});
    check(
        "Questionnaire",
        &[
            (
                "que-2",
                json!({"item": [{"linkId": "a"}, {"item": [{"linkId": "a"}]}]}),
                json!({"item": [{"linkId": "a"}, {"item": [{"linkId": "b"}]}]}),
            ),
            (
                "que-8",
                item(json!({"type": "group", "initial": [{"valueInteger": 1}]})),
                item(json!({"type": "integer", "initial": [{"valueInteger": 1}]})),
            ),
            (
                "que-9",
                item(json!({"type": "display", "readOnly": true})),
                item(json!({"type": "string", "readOnly": true})),
            ),
            (
                "que-11",
                item(
                    json!({"answerOption": [{"valueInteger": 1}], "initial": [{"valueInteger": 1}]}),
                ),
                item(json!({"initial": [{"valueInteger": 1}]})),
            ),
            (
                "que-13",
                item(
                    json!({"type": "integer", "initial": [{"valueInteger": 1}, {"valueInteger": 2}]}),
                ),
                item(
                    json!({"type": "integer", "repeats": true, "initial": [{"valueInteger": 1}, {"valueInteger": 2}]}),
                ),
            ),
            (
                "que-7",
                item(json!({"enableWhen": [{"operator": "exists", "answerString": "x"}]})),
                item(json!({"enableWhen": [{"operator": "exists", "answerBoolean": true}]})),
            ),
        ],
    );
    let element = |more: Value| json!({"snapshot": {"element": [more]}});
    check(
        "StructureDefinition",
        &[
            (
                "eld-2",
                element(json!({"min": 2, "max": "1"})),
                element(json!({"min": 2, "max": "10"})),
            ),
            (
                "eld-3",
                element(json!({"max": "x"})),
                element(json!({"max": "0"})),
            ),
            (
                "eld-8",
                element(json!({"patternString": "x", "fixedString": "y"})),
                element(json!({"fixedString": "y"})),
            ),
            (
                "eld-13",
                element(json!({"type": [{"code": "x"}, {"code": "x"}]})),
                element(json!({"type": [{"code": "x"}, {"code": "y"}]})),
            ),
            (
                "eld-16",
                element(json!({"sliceName": "a b"})),
                element(json!({"sliceName": "a/b-[c]@d"})),
            ),
            (
                "eld-19",
                element(json!({"path": "!"})),
                element(json!({"path": "Patient.name"})),
            ),
            (
                "sdf-1",
                json!({"snapshot": {"element": [{"path": "a"}, {"path": "a"}]}}),
                json!({"derivation": "constraint", "snapshot": {"element": [{"path": "a"}, {"path": "a"}]}}),
            ),
            (
                "sdf-6",
                json!({"kind": "resource"}),
                element(json!({"path": "x"})),
            ),
            (
                "sdf-8a",
                json!({"type": "A", "differential": {"element": [{"path": "A"}, {"path": "B.c"}]}}),
                json!({"type": "A", "differential": {"element": [{"path": "A"}, {"path": "A.c"}]}}),
            ),
            (
                "sdf-23",
                element(json!({"path": "a", "sliceName": "b"})),
                element(json!({"path": "a.b", "sliceName": "b"})),
            ),
        ],
    );
    check(
        "NamingSystem",
        &[
            (
                "nsd-1",
                json!({"kind": "root", "uniqueId": [{"type": "uuid"}]}),
                json!({"kind": "root", "uniqueId": [{"type": "oid"}]}),
            ),
            (
                "nsd-2",
                json!({"uniqueId": [{"type": "oid", "preferred": true}, {"type": "oid", "preferred": true}]}),
                json!({"uniqueId": [{"type": "oid", "preferred": true}, {"type": "oid"}]}),
            ),
        ],
    );
    check(
        "ValueSet",
        &[
            (
                "vsd-3",
                json!({"compose": {"include": [{"concept": [{"code": "a"}], "filter": [{"value": "x"}]}]}}),
                json!({"compose": {"include": [{"concept": [{"code": "a"}]}]}}),
            ),
            (
                "vsd-9",
                json!({"expansion": {"contains": [{"display": "x"}]}}),
                json!({"expansion": {"contains": [{"display": "x", "abstract": true}]}}),
            ),
            (
                "vsd-10",
                json!({"expansion": {"contains": [{"code": "x"}]}}),
                json!({"expansion": {"contains": [{"code": "x", "system": "s"}]}}),
            ),
        ],
    );
    check(
        "ImplementationGuide",
        &[
            (
                "ig-1",
                json!({"definition": {"grouping": [{"id": "a"}], "resource": [{"groupingId": "b"}]}}),
                json!({"definition": {"grouping": [{"id": "a"}], "resource": [{"groupingId": "a"}]}}),
            ),
            (
                "ig-2",
                json!({"fhirVersion": ["4.0.1"], "definition": {"resource": [{"fhirVersion": ["3.0.1"]}]}}),
                json!({"fhirVersion": ["4.0.1"], "definition": {"resource": [{"fhirVersion": ["4.0.1"]}]}}),
            ),
        ],
    );
}
