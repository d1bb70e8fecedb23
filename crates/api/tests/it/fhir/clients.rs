//! What widespread clients do that the specification does not spell out.

use super::{by_clinician, get, new_patient, patient};
use crate::{house::run, wire::Call};
use serde_json::json;

/// fhir-kit-client and fhirclient post Bundles to the base with a slash at its end.
#[test]
fn a_slash_at_the_end_changes_nothing() {
    run(async |house| {
        let entry =
            json!({"resource": patient("Slash"), "request": {"method": "POST", "url": "Patient"}});
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
        let call = by_clinician(house, Call::post("/fhir/").fhir(&bundle));
        let answer = call.send(house).await.is(200).value();
        assert_eq!(answer["entry"][0]["response"]["status"], "201 Created");
        let found = get(house, "/Patient/?identifier=http://example.org/mrn%7CSlash").await;
        assert_eq!(found.is(200).value()["total"], 1);
        Call::post("/fhir/").fhir(&bundle).send(house).await.is(401);
        Call::get("/v1/network/").send(house).await.is(404);
    });
}

/// fhirpy asks for a creation on condition by the query, as no release of FHIR since 1.0 has it. Taken for a
/// plain creation it would double the patient.
#[test]
fn a_creation_with_parameters_is_refused() {
    run(async |house| {
        new_patient(house, "Query").await;
        let query = "identifier=http://example.org/mrn%7CQuery";
        let call = Call::post(format!("/fhir/Patient?{query}")).fhir(&patient("Query"));
        let refused = by_clinician(house, call).send(house).await.is(400);
        assert!(
            refused.text().contains("If-None-Exist"),
            "{}",
            refused.text()
        );
        let url = format!("Patient?{query}");
        let entry =
            json!({"resource": patient("Query"), "request": {"method": "POST", "url": url}});
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
        let call = by_clinician(house, Call::post("/fhir").fhir(&bundle));
        call.send(house).await.is(400);
        let found = get(house, &format!("/Patient?{query}")).await;
        assert_eq!(found.is(200).value()["total"], 1);
        // A condition that asks for nothing would be met by anybody.
        for nothing in ["", "_count=1"] {
            let call = Call::post("/fhir/Patient").fhir(&patient("Nothing"));
            let call = call.header("if-none-exist", nothing);
            let refused = by_clinician(house, call).send(house).await.is(400);
            assert!(
                refused.text().contains("at least one"),
                "{}",
                refused.text()
            );
        }
        // What asks for a format is no condition.
        let call = Call::post("/fhir/Patient?_format=json&_pretty=true").fhir(&patient("Query"));
        by_clinician(house, call).send(house).await.is(201);
    });
}

/// A header's fault is not told as the query's.
#[test]
fn an_unknown_purpose_is_told_by_its_header() {
    run(async |house| {
        let id = new_patient(house, "Purpose").await;
        let call = Call::get(format!("/fhir/Patient/{id}")).header("ithaca-purpose", "CURIOSITY");
        let refused = by_clinician(house, call).send(house).await.is(400);
        assert!(
            refused.text().contains("Ithaca-Purpose"),
            "{}",
            refused.text()
        );
        assert_eq!(refused.class(), "value");
    });
}
