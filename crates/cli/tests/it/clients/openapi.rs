//! schemathesis reads the OpenAPI document and asks for what it describes, and for what it does not: nothing
//! ends in a 5xx, and answers are as described.

use super::{House, kept, python};
use crate::{
    institution::{As, Server},
    python::text,
};
use std::{fs, process::Command};

/// How long it asks, in seconds, unless `ITHACA_FUZZ_S` says otherwise.
const USUAL_S: u64 = 45;
/// At most so long.
const MOST_S: u64 = 120;
/// Requests of each kind for each endpoint.
const EXAMPLES: &str = "25";
const SEED: &str = "20240506";
/// What must hold of every answer. Not among them: that whatever fits the document is accepted, for it cannot say
/// what fits the state.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,ignored_auth,unsupported_method";

#[test]
fn strangers_find_no_fault_in_what_is_described() {
    let Some(python) = python("strangers_find_no_fault_in_what_is_described") else {
        return;
    };
    let asked = std::env::var("ITHACA_FUZZ_S").ok();
    let seconds = asked
        .map_or(USUAL_S, |text| text.parse().unwrap())
        .min(MOST_S);
    let house = House::found();
    let token = house.institution.token_of(&[
        "clinician",
        "geneticist",
        "desk",
        "privacy-officer",
        "auditor",
        "operator",
    ]);
    let server = house.start();
    let report = kept("clients-schemathesis");
    fs::create_dir_all(&report).unwrap();
    let settings = report.join("schemathesis.toml");
    fs::write(&settings, acquaint(&server)).unwrap();
    let program = python.program.with_file_name("python");
    let output = Command::new(program)
        .args(["-B", "-m", "schemathesis.cli", "--config-file"])
        .arg(&settings)
        .args(["run", &format!("{}/openapi.json", server.base())])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args([
            "--max-time",
            &seconds.to_string(),
            "--max-examples",
            EXAMPLES,
        ])
        .args(["--seed", SEED, "--checks", CHECKS, "--continue-on-failure"])
        .args(["--request-timeout", "10", "--suppress-health-check", "all"])
        // An endless answer.
        .args([
            "--exclude-path",
            "/v1/events",
            "--no-color",
            "--warnings",
            "off",
        ])
        .current_dir(&report)
        .output()
        .unwrap();
    let said = text(&output);
    let log = server.stop("-TERM");
    assert!(
        said.contains("Test cases:"),
        "it did not come to its end: {said}"
    );
    let found: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("❌ ST") || line.contains("Network Error"))
        .collect();
    assert!(found.is_empty(), "{said}\n{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

/// Settings by which most requests are about what is there: families with a Patient and an Observation each,
/// several, for some will be erased.
fn acquaint(server: &Server<'_>) -> String {
    const FHIR: (&str, &str) = ("content-type", "application/fhir+json");
    let post = |path: &str, body: &str, field: &str| {
        let answer = server.call("POST", path, As::Clinician, &[FHIR], Some(body.as_bytes()));
        answer.is(201).value()[field].as_str().unwrap().to_owned()
    };
    let (mut subjects, mut records) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        let path = server.open();
        let patient = post(
            &format!("{path}/records"),
            r#"{"resourceType":"Patient"}"#,
            "record",
        );
        let observation = format!(
            r#"{{"resourceType":"Observation","status":"final","code":{{"text":"seen"}},"subject":{{"reference":"Patient/{patient}"}}}}"#
        );
        records.push(post("/fhir/Observation", &observation, "id"));
        records.push(patient);
        subjects.push(path.rsplit('/').next().unwrap().to_owned());
    }
    let bound = |parameter: &str, values: &str| {
        format!("\"path.{parameter}\" = {{dictionary = \"{values}\", probability = 0.8}}\n")
    };
    format!(
        "[dictionaries.subjects]\nvalues = {subjects:?}\n[dictionaries.records]\nvalues = {records:?}\n\
         [dictionaries.kinds]\nvalues = [\"Patient\", \"Observation\"]\n[parameters]\n{}{}{}{}{}",
        bound("subject", "subjects"),
        bound("record", "records"),
        bound("id", "records"),
        bound("kind", "kinds"),
        bound("other", "kinds"),
    )
}
