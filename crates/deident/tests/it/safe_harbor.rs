//! The eighteen identifiers of HIPAA's Safe Harbor (45 CFR 164.514(b)(2)(i)), one test each; `docs/safe-harbor.md`
//! names them.

use crate::{examples, sample};
use deident::Rules;
use serde_json::{Value, json};

/// What is looked for.
const HERE: &str = "FINDME17";

/// De-identifies resources in which an identifier was put, and looks for it in what is left.
fn gone(identified: &[Value]) {
    for resource in identified {
        let text = resource.to_string();
        assert!(text.contains(HERE), "nothing was put into {text}");
        let out = examples::run(resource).0.unwrap().to_string();
        assert!(!out.contains(HERE), "{out}");
    }
}

fn packet_gone(packet: &Value) {
    assert!(packet.to_string().contains(HERE));
    let bytes = serde_json::to_vec(packet).unwrap();
    let mut fates = Rules::shipped().fates();
    let out = Rules::shipped()
        .phenopacket(&examples::cloak(), examples::at(), &bytes, &mut fates)
        .unwrap();
    assert!(!String::from_utf8(out).unwrap().contains(HERE));
}

fn patient(name: &str, value: Value) -> Value {
    json!({"resourceType": "Patient", "id": "p1", name: value})
}

fn device(name: &str, value: Value) -> Value {
    json!({"resourceType": "Device", "id": "d1", "patient": {"reference": "Patient/p1"}, name: value})
}

fn identifier(system: &str) -> Value {
    json!([{"system": system, "value": HERE, "type": {"text": HERE}, "assigner": {"display": HERE}}])
}

#[test]
fn a_names() {
    gone(&[
        patient(
            "name",
            json!([{"family": HERE, "given": [HERE], "text": HERE}]),
        ),
        patient("contact", json!([{"name": {"text": HERE}}])),
        patient(
            "text",
            json!({"status": "generated", "div": format!("<div>{HERE}</div>")}),
        ),
        json!({"resourceType": "Encounter", "id": "e1", "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB", "display": HERE},
            "subject": {"reference": "Patient/p1", "display": HERE},
            "participant": [{"individual": {"reference": format!("Practitioner/{HERE}"), "display": HERE}}]}),
        json!({"resourceType": "FamilyMemberHistory", "status": "completed", "patient": {"reference": "Patient/p1"},
            "name": HERE, "relationship": {"text": HERE}}),
    ]);
    packet_gone(&json!({"id": HERE, "subject": {"id": HERE, "alternateIds": [HERE]}}));
}

#[test]
fn b_places_smaller_than_a_state() {
    let address = json!([{"line": [HERE], "city": HERE, "district": HERE, "state": HERE, "postalCode": HERE,
        "text": HERE, "country": "DE"}]);
    gone(&[
        patient("address", address.clone()),
        patient("address", json!([{"country": HERE}])),
    ]);
    let out = examples::run(&patient("address", address)).0.unwrap();
    assert_eq!(out["address"], json!([{"country": "DE"}]));
}

#[test]
fn c_dates_and_ages_over_89() {
    let resource = json!({"resourceType": "Patient", "id": "p1", "birthDate": "1931-05-06",
        "deceasedDateTime": "2024-03-02T11:30:00+01:00"});
    let out = examples::run(&resource).0.unwrap();
    assert!(out.get("birthDate").is_none());
    assert_eq!(out["extension"][0]["valueRange"]["low"]["value"], 90);
    let text = out.to_string();
    assert!(!text.contains("1931") && !text.contains("2024-03-02"));
}

#[test]
fn d_telephone_numbers() {
    gone(&[patient(
        "telecom",
        json!([{"system": "phone", "value": HERE}]),
    )]);
}

#[test]
fn e_fax_numbers() {
    gone(&[patient(
        "telecom",
        json!([{"system": "fax", "value": HERE}]),
    )]);
}

#[test]
fn f_email_addresses() {
    gone(&[patient(
        "telecom",
        json!([{"system": "email", "value": format!("{HERE}@example.org")}]),
    )]);
}

#[test]
fn g_social_security_numbers() {
    gone(&[patient(
        "identifier",
        identifier("http://hl7.org/fhir/sid/us-ssn"),
    )]);
}

#[test]
fn h_medical_record_numbers() {
    gone(&[
        patient("identifier", identifier("http://hospital.example/mrn")),
        json!({"resourceType": "Observation", "id": HERE, "status": "final", "code": {"coding": [
            {"system": "http://loinc.org", "code": HERE}, {"system": "http://loinc.org", "code": "8302-2"}]}}),
        json!({"resourceType": "Specimen", "accessionIdentifier": {"value": HERE}, "identifier": identifier("http://lab")}),
    ]);
    packet_gone(&json!({"id": "x", "biosamples": [{"id": HERE, "individualId": HERE}]}));
}

#[test]
fn i_health_plan_numbers() {
    gone(&[
        json!({"resourceType": "MedicationRequest", "status": "active", "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "313782"}]},
        "subject": {"reference": "Patient/p1"}, "insurance": [{"reference": format!("Coverage/{HERE}")}],
        "identifier": identifier("http://plan.example")}),
    ]);
}

#[test]
fn j_account_numbers() {
    gone(&[json!({"resourceType": "Encounter", "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "account": [{"reference": format!("Account/{HERE}"), "identifier": {"value": HERE}}]})]);
}

#[test]
fn k_certificate_and_licence_numbers() {
    gone(&[patient(
        "identifier",
        identifier("urn:oid:2.16.840.1.113883.4.3.36"),
    )]);
}

#[test]
fn l_vehicles() {
    let extension = json!([{"url": "http://example.org/plate", "valueString": HERE}]);
    gone(&[
        patient("extension", extension),
        patient("identifier", identifier("http://plates.example")),
    ]);
}

#[test]
fn m_devices() {
    gone(&[
        device("serialNumber", json!(HERE)),
        device("lotNumber", json!(HERE)),
        device("distinctIdentifier", json!(HERE)),
        device(
            "udiCarrier",
            json!([{"deviceIdentifier": HERE, "carrierHRF": HERE}]),
        ),
        device(
            "deviceName",
            json!([{"name": HERE, "type": "user-friendly-name"}]),
        ),
        device("version", json!([{"value": HERE}])),
    ]);
}

#[test]
fn n_web_addresses() {
    gone(&[
        device("url", json!(format!("http://{HERE}.example"))),
        patient(
            "meta",
            json!({"source": format!("http://{HERE}.example"), "profile": [HERE]}),
        ),
        patient(
            "photo",
            json!([{"url": format!("http://example.org/{HERE}")}]),
        ),
    ]);
    packet_gone(&json!({"id": "x", "files": [{"uri": format!("file:///{HERE}.vcf")}]}));
}

#[test]
fn o_network_addresses() {
    gone(&[
        device("contact", json!([{"system": "other", "value": HERE}])),
        device("note", json!([{"text": HERE}])),
    ]);
}

#[test]
fn p_biometric_identifiers() {
    let coded = json!({"coding": [{"system": "http://loinc.org", "code": "8302-2"}]});
    gone(&[
        json!({"resourceType": "Observation", "status": "final", "code": coded,
        "valueSampledData": {"origin": {"value": 0}, "period": 1, "dimensions": 1, "data": HERE}}),
    ]);
    packet_gone(
        &json!({"id": "x", "interpretations": [{"id": "i", "progressStatus": "SOLVED", "diagnosis": {
        "disease": {"id": "OMIM:154700"}, "genomicInterpretations": [{"subjectOrBiosampleId": "p",
            "variantInterpretation": {"variationDescriptor": {"vcfRecord": {"ref": HERE}, "label": HERE}}}]}}]}),
    );
}

#[test]
fn q_photographs() {
    gone(&[
        patient(
            "photo",
            json!([{"contentType": "image/png", "data": HERE, "title": HERE}]),
        ),
        json!({"resourceType": "DiagnosticReport", "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]},
            "presentedForm": [{"data": HERE}], "media": [{"comment": HERE, "link": {"reference": format!("Media/{HERE}")}}]}),
    ]);
}

#[test]
fn r_any_other_number_or_code() {
    let contained =
        json!([{"resourceType": "Patient", "id": HERE, "identifier": [{"value": HERE}]}]);
    gone(&[
        patient("contained", contained),
        patient("unheardOf", json!(HERE)),
        patient("_gender", json!({"id": HERE})),
        patient("language", json!(HERE)),
        json!({"resourceType": "Procedure", "id": HERE, "status": "completed", "subject": {"reference": "Patient/p1"},
            "code": {"text": HERE, "coding": [{"system": "http://snomed.info/sct", "code": HERE}]}}),
    ]);
}

#[test]
fn the_table_names_these_tests() {
    let own = include_str!("safe_harbor.rs");
    let table = std::fs::read_to_string(sample::root().join("docs/safe-harbor.md")).unwrap();
    let tests: Vec<&str> = own
        .lines()
        .filter_map(|line| line.strip_prefix("fn ")?.split_once("() {"))
        .map(|(name, _)| name)
        .collect();
    let eighteen: Vec<&&str> = tests
        .iter()
        .filter(|name| name.as_bytes()[1] == b'_')
        .collect();
    assert_eq!(eighteen.len(), 18);
    for name in eighteen {
        assert!(table.contains(&format!("`{name}`")), "{name}");
    }
}
