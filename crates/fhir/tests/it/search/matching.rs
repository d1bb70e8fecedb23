//! What each kind of parameter matches.

use super::check;
use serde_json::{Value, json};

fn observation() -> Value {
    json!({
        "resourceType": "Observation", "id": "bp", "status": "final",
        "meta": {"profile": ["http://profiles/bp|2.0"], "source": "urn:lab:1",
            "tag": [{"system": "http://tags", "code": "study"}],
            "security": [{"system": "http://sec", "code": "R"}]},
        "identifier": [{"system": "http://ids", "value": "Abc-1",
            "type": {"coding": [{"system": "http://types", "code": "MR"}], "text": "Record number"}}],
        "category": [{"coding": [{"system": "http://cats", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9", "display": "Blood pressure"},
            {"code": "no-system"}], "text": "Bloodpressure panel"},
        "subject": {"reference": "Patient/p1"},
        "performer": [{"reference": "http://here/fhir/Practitioner/doc"},
            {"reference": "http://elsewhere/fhir/Organization/o1/_history/3"},
            {"identifier": {"system": "http://staff", "value": "77"}, "type": "Practitioner"}],
        "effectiveDateTime": "2020-03-04T10:30:00+02:00",
        "component": [
            {"code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
             "valueQuantity": {"value": 120.0, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}},
            {"code": {"coding": [{"system": "http://loinc.org", "code": "8462-4"}]},
             "valueQuantity": {"value": 80, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}},
        ],
    })
}

fn patient() -> Value {
    json!({
        "resourceType": "Patient", "id": "p1", "active": true, "gender": "female",
        "birthDate": "1970-05",
        "name": [{"family": "Müller-Strauß", "given": ["Zoë", "María José"], "text": "Zoë M."}],
        "telecom": [{"system": "phone", "value": "+49 30 1"}, {"system": "email", "value": "z@example.org"}],
        "address": [{"line": ["Hauptstraße 5"], "city": "Köln", "postalCode": "50667", "use": "home"}],
        "deceasedDateTime": "2021-01-02",
        "generalPractitioner": [{"reference": "Practitioner/d1"}],
        "managingOrganization": {"reference": "Organization/o1"},
    })
}

#[test]
fn tokens() {
    check(
        &observation(),
        &[
            ("code=85354-9", true),
            ("code=http://loinc.org|85354-9", true),
            ("code=http://loinc.org|", true),
            ("code=http://snomed.info/sct|85354-9", false),
            ("code=http://snomed.info/sct|", false),
            ("code=|85354-9", false),
            ("code=|no-system", true),
            ("code=no-system", true),
            ("code=8480-6", false),
            ("component-code=8480-6", true),
            ("combo-code=8480-6", true),
            ("combo-code=http://loinc.org|85354-9", true),
            ("combo-code=other", false),
            ("code=nothing,85354-9", true),
            ("code=85354-9&code=no-system", true),
            ("code=85354-9&code=nothing", false),
            ("code:not=85354-9", false),
            ("code:not=nothing", true),
            ("method:not=x", true),
            ("code:text=blood", true),
            ("code:text=BLOODPRESSURE p", true),
            ("code:text=panel", false),
            ("status=final", true),
            ("status=FINAL", true),
            ("status=http://hl7.org/fhir/observation-status|final", true),
            ("status=http://other|final", false),
            ("status=|final", true),
            ("status=preliminary", false),
            ("identifier=http://ids|Abc-1", true),
            ("identifier=Abc-1", true),
            ("identifier=abc-1", false),
            ("identifier:of-type=http://types|MR|Abc-1", true),
            ("identifier:of-type=http://types|XX|Abc-1", false),
            ("identifier:text=record", true),
            ("method:missing=true", true),
            ("method:missing=false", false),
            ("code:missing=false", true),
            ("_tag=http://tags|study", true),
            ("_security=R", true),
            ("_id=bp", true),
            ("_id=BP", false),
            ("_id=other,bp", true),
        ],
    );
    check(
        &patient(),
        &[
            ("active=true", true),
            ("active=false", false),
            ("gender=female", true),
            ("deceased=true", true),
            ("deceased=false", false),
            ("phone=%2B49", false),
            ("phone=+49 30 1", true),
            ("email=+49 30 1", false),
            ("telecom=z@example.org", true),
            ("email=z@example.org", true),
            ("address-use=home", true),
        ],
    );
}

#[test]
fn commas_and_bars_are_escaped() {
    let source = json!({"resourceType": "Basic", "id": "x",
        "code": {"coding": [{"system": "s|t", "code": "a,b"}, {"code": "back\\slash"}]}});
    check(
        &source,
        &[
            ("code=a\\,b", true),
            ("code=a,b", false),
            ("code=s\\|t|a\\,b", true),
            ("code=back\\\\slash", true),
            ("code=x,s\\|t|", true),
        ],
    );
}

#[test]
fn references() {
    check(
        &observation(),
        &[
            ("subject=Patient/p1", true),
            ("subject=p1", true),
            ("subject=http://here/fhir/Patient/p1", true),
            ("subject=http://elsewhere/fhir/Patient/p1", false),
            ("subject:Patient=p1", true),
            ("subject:Group=p1", false),
            ("subject:Patient=Patient/p1", true),
            ("patient=p1", true),
            ("patient=Patient/p1", true),
            ("patient=p2", false),
            ("patient=Group/p1", false),
            ("subject=Patient/P1", false),
            ("performer=Practitioner/doc", true),
            ("performer=doc", true),
            ("performer=http://here/fhir/Practitioner/doc", true),
            ("performer=Organization/o1", false),
            ("performer=http://elsewhere/fhir/Organization/o1", true),
            ("performer:identifier=http://staff|77", true),
            ("performer:identifier=77", true),
            ("performer:identifier=http://other|77", false),
            ("encounter:missing=true", true),
        ],
    );
    let questionnaire = json!({"resourceType": "QuestionnaireResponse", "id": "q", "status": "completed",
        "questionnaire": "http://forms/Questionnaire/a|1.1"});
    check(
        &questionnaire,
        &[
            ("questionnaire=http://forms/Questionnaire/a", true),
            ("questionnaire=http://forms/Questionnaire/a|1.1", true),
            ("questionnaire=http://forms/Questionnaire/a|1.2", false),
        ],
    );
    let contained =
        json!({"resourceType": "Observation", "id": "c", "subject": {"reference": "#p1"}});
    check(
        &contained,
        &[("subject=p1", false), ("subject:missing=true", true)],
    );
}

#[test]
fn a_patient_is_not_found_by_a_group() {
    let group =
        json!({"resourceType": "Observation", "id": "g", "subject": {"reference": "Group/p1"}});
    check(
        &group,
        &[
            ("subject=p1", true),
            ("subject=Group/p1", true),
            ("subject=Patient/p1", false),
            ("patient=p1", false),
            ("patient:missing=true", true),
        ],
    );
}

#[test]
fn parameters_that_take_some_values_of_a_path_are_told_apart() {
    let library = json!({"resourceType": "Library", "id": "l", "relatedArtifact": [
        {"type": "depends-on", "resource": "http://x/Library/a|1"},
        {"type": "composed-of", "resource": "http://x/Library/b"}]});
    check(
        &library,
        &[
            ("depends-on=http://x/Library/a", true),
            ("composed-of=http://x/Library/b", true),
            ("depends-on=http://x/Library/b", false),
            ("derived-from=http://x/Library/a", false),
        ],
    );
    let manager = |of: &str| {
        json!({"resourceType": "EpisodeOfCare", "id": "e", "status": "active",
            "careManager": {"reference": format!("{of}/1")}})
    };
    check(&manager("Practitioner"), &[("care-manager=1", true)]);
    check(&manager("PractitionerRole"), &[("care-manager=1", false)]);
}

#[test]
fn strings() {
    check(
        &patient(),
        &[
            ("family=müll", true),
            ("family=MULLER", true),
            ("family=muller-strauss", true),
            ("family=strauss", false),
            ("family:contains=strauss", true),
            ("family:exact=Müller-Strauß", true),
            ("family:exact=Müller", false),
            ("family:exact=müller-strauß", false),
            ("given=zoe", true),
            ("given=maria jo", true),
            ("given=jose", false),
            ("name=muller", true),
            ("name=zoe m", true),
            ("name=peter,zoe", true),
            ("address=haupt", true),
            ("address=koln", true),
            ("address-city=Koeln", false),
            ("address-city=KÖLN", true),
            ("address-postalcode=506", true),
            ("address:contains=strasse 5", true),
        ],
    );
}

#[test]
fn dates() {
    // 08:30 in UTC.
    check(
        &observation(),
        &[
            ("date=2020-03-04", true),
            ("date=2020-03", true),
            ("date=2020", true),
            ("date=2020-03-04T08:30", true),
            ("date=2020-03-04T08:30:00Z", true),
            ("date=2020-03-04T10:30:00+02:00", true),
            ("date=2020-03-04T10:30:00 02:00", true),
            ("date=2020-03-04T08:30:01Z", false),
            ("date=2020-03-05", false),
            ("date=ne2020-03-05", true),
            ("date=ne2020-03-04", false),
            ("date=gt2020-03-03", true),
            ("date=gt2020-03-04", false),
            ("date=ge2020-03-04", true),
            ("date=lt2020-03-04", false),
            ("date=lt2020-03-05", true),
            ("date=le2020-03-04", true),
            ("date=sa2020-03-03", true),
            ("date=sa2020-03-04", false),
            ("date=eb2020-03-05", true),
            ("date=eb2020-03-04", false),
            ("date=ap2020-03-05", true),
            ("date=ap2020-03-07", false),
            ("date=ge2020-03-01&date=lt2020-04-01", true),
            ("date=ge2019&date=le2021", true),
            ("date=gt2010&date=lt2020", false),
            ("date=ge2020-03-04&date=le2020-03-04", true),
            ("_lastUpdated=2020-09-13", true),
            ("_lastUpdated=gt2020-09-14", false),
            ("_lastUpdated=gt2020-09-01&_lastUpdated=lt2020-10-01", true),
        ],
    );
    // A month is not within a day, but overlaps it.
    check(
        &patient(),
        &[
            ("birthdate=1970-05", true),
            ("birthdate=1970", true),
            ("birthdate=1970-05-03", false),
            ("birthdate=ap1970-05-03", true),
            ("birthdate=ge1970-05-03&birthdate=le1970-05-20", true),
            ("birthdate=gt1970-05-31", false),
            ("birthdate=lt1970-05-31", true),
            ("birthdate=eb1970-06", true),
            ("death-date=2021-01-02", true),
        ],
    );
}

#[test]
fn periods() {
    let open = json!({"resourceType": "Encounter", "id": "e", "period": {"start": "2020-01-10"}});
    check(
        &open,
        &[
            ("date=2020", false),
            ("date=ge2020", true),
            ("date=gt2030", true),
            ("date=lt2020", false),
            ("date=sa2019", true),
            ("date=eb2030", false),
            ("date=ge2025&date=le2026", true),
            ("date=le2020-01-09", false),
        ],
    );
    let year = json!({"resourceType": "Encounter", "id": "e",
        "period": {"start": "2020-01-10", "end": "2021-02"}});
    check(
        &year,
        &[
            ("date=ge2020-06-01&date=le2020-06-30", true),
            ("date=ge2021-03-01&date=le2021-03-30", false),
            ("date=ap2020-05", true),
            ("date=ap2022", true),
            ("date=ap2023-05", false),
        ],
    );
    let timing = json!({"resourceType": "Observation", "id": "t",
        "effectiveTiming": {"event": ["2020-01-01", "2020-01-20"]}});
    check(
        &timing,
        &[
            ("date=2020-01", true),
            ("date=2020-01-01", false),
            ("date=sa2019", true),
        ],
    );
}

#[test]
fn numbers_and_quantities() {
    check(
        &observation(),
        &[
            ("component-value-quantity=120", true),
            ("component-value-quantity=120.4", false),
            ("component-value-quantity=1.2e2", true),
            ("component-value-quantity=gt119", true),
            ("component-value-quantity=gt120", false),
            ("component-value-quantity=ge120", true),
            ("component-value-quantity=lt80", false),
            ("component-value-quantity=le80", true),
            ("component-value-quantity=ap130", true),
            ("component-value-quantity=ap150", false),
            (
                "component-value-quantity=120|http://unitsofmeasure.org|mm[Hg]",
                true,
            ),
            ("component-value-quantity=120||mm[Hg]", true),
            ("component-value-quantity=120||mmHg", true),
            (
                "component-value-quantity=120|http://unitsofmeasure.org|mmHg",
                false,
            ),
            ("combo-value-quantity=80", true),
            ("value-quantity=80", false),
        ],
    );
    let precise = |value: &str| -> Value {
        let text = format!(
            r#"{{"resourceType":"Observation","id":"x","valueQuantity":{{"value":{value}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    };
    check(
        &precise("5.45"),
        &[("value-quantity=5.4", false), ("value-quantity=5.5", true)],
    );
    check(
        &precise("5.35"),
        &[("value-quantity=5.4", true), ("value-quantity=5.40", false)],
    );
    check(
        &precise("-3"),
        &[("value-quantity=-3", true), ("value-quantity=lt-2.5", true)],
    );
    let below = json!({"resourceType": "Observation", "id": "x",
        "valueQuantity": {"value": 5, "comparator": "<"}});
    check(
        &below,
        &[
            ("value-quantity=5", false),
            ("value-quantity=lt5", true),
            ("value-quantity=ge5", false),
            ("value-quantity=gt4", true),
            ("value-quantity=eb5", true),
        ],
    );
    let risk = json!({"resourceType": "RiskAssessment", "id": "r", "status": "final",
        "prediction": [{"probabilityDecimal": 0.5}]});
    check(
        &risk,
        &[
            ("probability=0.5", true),
            ("probability=gt0.4", true),
            ("probability=lt0.4", false),
            ("probability=ne0.5", false),
        ],
    );
}

#[test]
fn uris() {
    check(
        &observation(),
        &[
            ("_profile=http://profiles/bp", true),
            ("_profile=http://profiles/bp|2.0", true),
            ("_profile=http://profiles/bp|3.0", false),
            ("_profile:below=http://profiles/", true),
            ("_profile:below=http://other/", false),
            ("_source=urn:lab:1", true),
            ("_source:above=urn:lab:1:more", true),
            ("_source:above=urn:lab", false),
        ],
    );
}

#[test]
fn composites() {
    check(
        &observation(),
        &[
            ("component-code-value-quantity=8480-6$gt110", true),
            (
                "component-code-value-quantity=http://loinc.org|8480-6$120||mmHg",
                true,
            ),
            ("component-code-value-quantity=8462-4$gt110", false),
            (
                "component-code-value-quantity=8462-4$gt110,8480-6$gt110",
                true,
            ),
            ("combo-code-value-quantity=8462-4$80", true),
            ("combo-code-value-quantity=85354-9$80", false),
            ("code-value-quantity=85354-9$80", false),
            ("code-value-quantity:missing=true", true),
        ],
    );
    let document = json!({"resourceType": "DocumentReference", "id": "d", "relatesTo": [
        {"code": "replaces", "target": {"reference": "DocumentReference/a"}},
        {"code": "signs", "target": {"reference": "DocumentReference/b"}}]});
    check(
        &document,
        &[
            ("relationship=replaces$DocumentReference/a", true),
            ("relationship=replaces$b", false),
            ("relationship=signs$b", true),
        ],
    );
    let sequence = json!({"resourceType": "MolecularSequence", "id": "s", "coordinateSystem": 0,
        "referenceSeq": {"chromosome": {"coding": [{"code": "1"}]}, "windowStart": 100, "windowEnd": 200},
        "variant": [{"start": 150, "end": 151}]});
    check(
        &sequence,
        &[
            ("chromosome-variant-coordinate=1$ge140$le160", true),
            ("chromosome-variant-coordinate=2$ge140$le160", false),
            ("chromosome-window-coordinate=1$ge100$le200", true),
            ("window-start=100", true),
        ],
    );
}
