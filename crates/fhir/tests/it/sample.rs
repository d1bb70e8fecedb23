//! Made-up resources. A text that says `secret` must be in the identity projection only; one that
//! says `open` must not be there.

use serde_json::{Value, json};

const UUID: &str = "0a1b2c3d-0000-4000-8000-0123456789ab";

/// All samples, each with the category that it is in.
pub(crate) fn all() -> Vec<(Value, &'static str)> {
    vec![
        (patient(), "identity"),
        (observation("laboratory", "718-7"), "laboratory"),
        (observation("vital-signs", "85354-9"), "vitals"),
        (observation("social-history", "72166-2"), "phenotype"),
        (observation("laboratory", "69548-6"), "genomic"),
        (observation("unheard-of", "718-7"), "identity"),
        (condition(), "phenotype"),
        (report("GE"), "genomic"),
        (report("HM"), "laboratory"),
        (report("RAD"), "documents"),
        (family_history(), "phenotype"),
        (sequence(), "genomic"),
        (document_reference(), "documents"),
        (medication_request(), "phenotype"),
        (questionnaire_response(), "documents"),
        (specimen(), "laboratory"),
        (claim(), "identity"),
    ]
}

fn concept(code: &str) -> Value {
    json!({"coding": [{"system": "http://open", "version": "open", "code": code, "display": "open",
        "userSelected": true}], "text": "open"})
}

fn random(kind: &str) -> Value {
    json!({"reference": format!("{kind}/{UUID}"), "type": kind, "display": "secret",
        "identifier": {"system": "http://secret", "value": "secret"}})
}

fn person() -> Value {
    json!({"reference": "Patient/secret-1", "display": "secret", "identifier": {"value": "secret"}})
}

fn quantity() -> Value {
    json!({"value": 13.5, "comparator": "<", "unit": "open mmol/L", "system": "http://open", "code": "open"})
}

/// The elements that every resource can have.
fn with_common(mut resource: Value) -> Value {
    let common = json!({
        "id": UUID,
        "meta": {"versionId": "open", "lastUpdated": "2020-01-01T00:00:00Z", "source": "http://secret",
            "profile": ["http://open"], "security": [{"system": "http://open", "code": "open"}],
            "tag": [{"code": "open"}]},
        "language": "en",
        "text": {"status": "generated", "div": "<div>secret</div>"},
        "contained": [{"resourceType": "Patient", "id": "secret", "name": [{"family": "secret"}],
            "gender": "secret"}],
        "extension": [{"url": "http://secret", "valueString": "secret"}],
        "identifier": [{"use": "secret", "system": "http://secret", "value": "secret"}],
        "_language": {"id": "secret", "extension": [{"url": "http://secret", "valueCode": "secret"}]},
        "fhir_comments": ["secret"],
        "unknown": {"code": "secret", "deep": [{"coding": ["secret"]}]},
    });
    for (name, value) in common.as_object().unwrap() {
        resource[name] = value.clone();
    }
    resource
}

fn patient() -> Value {
    with_common(json!({
        "resourceType": "Patient", "active": true,
        "name": [{"family": "secret", "given": ["secret", null], "_given": [null, {"id": "secret"}]}],
        "telecom": [{"system": "phone", "value": "secret"}], "gender": "female",
        "birthDate": "secret", "address": [{"line": ["secret"], "city": "secret"}],
        "photo": [{"contentType": "secret", "data": "secret", "title": "secret"}],
        "contact": [{"name": {"text": "secret"}}], "generalPractitioner": [random("Practitioner")],
    }))
}

/// An observation of a category; what is open in it is secret when the category is unknown.
fn observation(category: &str, loinc: &str) -> Value {
    let mut code = concept("x");
    code["coding"][0]["system"] = json!("http://loinc.org");
    code["coding"][0]["code"] = json!(loinc);
    let system = "http://terminology.hl7.org/CodeSystem/observation-category";
    let resource = with_common(json!({
        "resourceType": "Observation", "status": "final",
        "category": [{"coding": [{"system": system, "code": category}]}],
        "basedOn": [random("ServiceRequest")], "code": code, "subject": person(),
        "focus": [random("Device")], "encounter": random("Encounter"),
        "effectivePeriod": {"start": "2020-01-01", "end": "2020-01-02"},
        "issued": "2020-01-01T00:00:00Z", "performer": [random("Practitioner")],
        "valueQuantity": quantity(), "valueString": "open",
        "interpretation": [concept("H")], "note": [{"authorString": "secret", "text": "secret"}],
        "method": concept("open"), "specimen": random("Specimen"),
        "referenceRange": [{"id": "secret", "low": quantity(), "text": "open", "age": {"low": quantity()}}],
        "component": [
            {"code": concept("open"), "valueQuantity": quantity(), "extension": [{"url": "secret"}]},
            {"code": concept("open"), "valueSampledData": {"origin": quantity(), "period": 1.50,
                "dimensions": 1, "data": "open"}},
            {"code": concept("open"), "valueString": "open", "referenceRange": [{"text": "open"}]},
        ],
    }));
    match category {
        "unheard-of" => {
            serde_json::from_str(&resource.to_string().replace("open", "secret")).unwrap()
        }
        _ => resource,
    }
}

fn condition() -> Value {
    with_common(json!({
        "resourceType": "Condition", "clinicalStatus": concept("active"),
        "verificationStatus": concept("refuted"), "category": [concept("open")], "code": concept("open"),
        "bodySite": [concept("open")], "subject": person(), "encounter": random("Encounter"),
        "onsetString": "secret", "abatementAge": quantity(), "recordedDate": "2020-01-01",
        "recorder": random("Practitioner"), "stage": [{"summary": concept("open"),
            "assessment": [{"reference": "Observation/secret-chosen-by-someone"}]}],
        "evidence": [{"code": [concept("open")], "detail": [random("Observation")]}],
        "note": [{"text": "secret"}],
    }))
}

fn report(section: &str) -> Value {
    let system = "http://terminology.hl7.org/CodeSystem/v2-0074";
    with_common(json!({
        "resourceType": "DiagnosticReport", "status": "final", "code": concept("open"),
        "category": [{"coding": [{"system": system, "code": section}]}], "subject": person(),
        "effectiveDateTime": "2020-01-01", "result": [random("Observation")],
        "conclusion": "open", "conclusionCode": [concept("open")],
        "media": [{"comment": "secret", "link": random("Media")}],
        "presentedForm": [{"contentType": "open", "data": "b3Blbg==", "url": "http://open",
            "title": "open", "id": "secret"}],
    }))
}

fn family_history() -> Value {
    with_common(json!({
        "resourceType": "FamilyMemberHistory", "status": "completed", "patient": person(),
        "date": "2020-01-01", "name": "secret", "relationship": concept("MTH"), "sex": concept("female"),
        "bornDate": "secret", "ageRange": {"low": quantity()}, "deceasedBoolean": true,
        "condition": [{"code": concept("open"), "outcome": concept("open"), "onsetAge": quantity(),
            "note": [{"text": "secret"}]}],
    }))
}

fn sequence() -> Value {
    with_common(json!({
        "resourceType": "MolecularSequence", "type": "dna", "coordinateSystem": 0, "patient": person(),
        "referenceSeq": {"chromosome": concept("1"), "genomeBuild": "open", "referenceSeqString": "open",
            "windowStart": 1, "windowEnd": 2},
        "variant": [{"start": 1, "end": 2, "observedAllele": "open", "referenceAllele": "open", "cigar": "open"}],
        "observedSeq": "open", "repository": [{"type": "other", "url": "secret", "name": "secret",
            "readsetId": "secret"}],
    }))
}

fn document_reference() -> Value {
    with_common(json!({
        "resourceType": "DocumentReference", "status": "current", "type": concept("open"),
        "subject": person(), "author": [random("Practitioner")], "description": "secret",
        "content": [{"attachment": {"contentType": "open", "data": "b3Blbg==", "title": "open"},
            "format": {"code": "open"}}],
        "context": {"encounter": [random("Encounter")], "sourcePatientInfo": person()},
    }))
}

fn medication_request() -> Value {
    with_common(json!({
        "resourceType": "MedicationRequest", "status": "active", "intent": "order", "doNotPerform": true,
        "medicationCodeableConcept": concept("open"), "subject": person(), "requester": random("Practitioner"),
        "instantiatesUri": ["secret"], "dosageInstruction": [{"text": "open", "patientInstruction": "secret",
            "timing": {"event": ["2020-01-01"], "repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}},
            "asNeededCodeableConcept": concept("open"), "doseAndRate": [{"doseQuantity": quantity()}]}],
    }))
}

fn questionnaire_response() -> Value {
    with_common(json!({
        "resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "secret",
        "subject": person(), "item": [{"linkId": "open", "text": "open", "answer": [
            {"valueString": "secret"}, {"valueCoding": {"code": "open", "display": "open"}},
            {"valueAttachment": {"title": "open"}}, {"valueReference": person()}],
            "item": [{"linkId": "open"}]}],
    }))
}

fn specimen() -> Value {
    with_common(json!({
        "resourceType": "Specimen", "type": concept("open"), "subject": person(),
        "accessionIdentifier": {"value": "secret"}, "collection": {"collector": random("Practitioner"),
            "collectedDateTime": "2020-01-01", "quantity": quantity()},
        "container": [{"identifier": [{"value": "secret"}], "description": "secret", "type": concept("open")}],
        "note": [{"text": "secret"}],
    }))
}

fn claim() -> Value {
    with_common(json!({
        "resourceType": "Claim", "patient": person(), "diagnosis": [{"sequence": 1,
            "diagnosisCodeableConcept": {"text": "secret"}}], "supportingInfo": [{"valueString": "secret"}],
    }))
}
