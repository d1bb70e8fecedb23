//! Two institutions in processes of their own: a record asked for over TLS, as consent has it.

use crate::{
    binary::run,
    institution::{Answer, As, Institution, Server},
    network::{free_ports, init},
};
use serde_json::{Value, json};
use std::{fs, path::Path};

const CASE: &str = r#"{"id":"case-1","subject":{"id":"Telemachos","sex":"MALE"},
"phenotypicFeatures":[{"type":{"id":"HP:0001250","label":"Seizure"}}],
"metaData":{"created":"2026-01-01T00:00:00Z","createdBy":"test","phenopacketSchemaVersion":"2.0","resources":[]}}"#;

const JSON: (&str, &str) = ("content-type", "application/json");

pub(crate) fn found(below: &Path) -> [Institution; 2] {
    let ports: [u16; 4] = free_ports();
    let mut text =
        "name = \"Two\"\n[parameters]\nbatch_interval_ms = 20\nsubject_release_ms = 20\n"
            .to_owned();
    for (name, ports) in ["Ithaca", "Pylos"].iter().zip(ports.chunks(2)) {
        fs::write(below.join(name), format!("passphrase of {name}\n")).unwrap();
        text += &format!(
            "[[institution]]\nname = \"{name}\"\nkind = \"hospital\"\nvalidator = true\n\
             peers = \"127.0.0.1:{}\"\nhttp = \"127.0.0.1:0\"\nshare = \"127.0.0.1:{}\"\n\
             passphrase_file = \"{name}\"\n",
            ports[0], ports[1]
        );
    }
    let path = below.join("institutions.toml");
    fs::write(&path, text).unwrap();
    let network = below.join("network");
    init(&path, &network).succeeded();
    ["Ithaca", "Pylos"].map(|name| {
        let scratch = below.join(format!("{name}-scratch"));
        fs::create_dir(&scratch).unwrap();
        Institution::of(
            &scratch,
            network.join(name.to_lowercase()),
            below.join(name),
        )
    })
}

pub(crate) fn id_of(institution: &Institution) -> String {
    let id = fs::read_to_string(institution.data().join("institution")).unwrap();
    id.trim().to_owned()
}

fn post(server: &Server<'_>, path: &str, who: As, body: &Value) -> Answer {
    let headers = [JSON, ("prefer", "wait=final")];
    server.call(
        "POST",
        path,
        who,
        &headers,
        Some(body.to_string().as_bytes()),
    )
}

#[test]
fn a_record_travels_as_the_family_allowed_and_no_further() {
    let below = tempfile::tempdir().unwrap();
    let [ithaca, pylos] = found(below.path());
    let (mut here, there) = (ithaca.start(), pylos.start());
    let subject = here.open();
    let deposited = post(
        &here,
        &format!("{subject}/records"),
        As::Clinician,
        &serde_json::from_str(CASE).unwrap(),
    );
    let record = deposited.is(201).value()["record"]
        .as_str()
        .unwrap()
        .to_owned();
    let ask = |categories: Value| {
        let subject = subject.rsplit('/').next().unwrap();
        let body = json!({"custodian": id_of(&ithaca), "subject": subject, "purpose": "TREAT", "categories": categories});
        post(&there, "/v1/shares", As::Clinician, &body)
    };
    let phenotype = || ask(json!(["phenotype"]));
    let refused = phenotype().is(403).value();
    assert_eq!(refused["missing"][0]["reason"], "no-grant", "{refused}");

    let grant = json!({
        "grantee": {"practitioner": {"institution": id_of(&pylos), "practitioner": "clinician"}},
        "purposes": ["TREAT"],
        "categories": ["phenotype"],
        "from": "2020-01-01T00:00:00Z",
        "until": "2090-01-01T00:00:00Z",
    });
    let granted = post(&here, &format!("{subject}/grants"), As::Desk, &grant)
        .is(201)
        .value();
    let grant = granted["grant"].as_str().unwrap();

    let shared = phenotype().is(200);
    assert!(shared.text().contains("HP:0001250"));
    assert!(!shared.text().contains("Telemachos"));
    let shared = shared.value();
    assert_eq!(shared["records"][0]["record"], record.as_str());
    let part = shared["records"][0]["parts"][0]["body"].to_string();
    let receipt = shared["records"][0]["receipt"].as_str().unwrap();
    pylos.verify_receipt(&codec::hex::decode(receipt).unwrap(), part.as_bytes());

    // What was not granted is refused, and both ends have a trace of what was.
    ask(json!(["identity"])).is(403);
    let trail = here
        .get(&format!("{subject}/disclosures"), As::Officer)
        .is(200)
        .text();
    assert!(
        trail.contains(shared["disclosure"].as_str().unwrap()),
        "{trail}"
    );
    let visitor = shared["visitor"].as_str().unwrap();
    let visits = there.get(&format!("/v1/subjects/{visitor}/disclosures"), As::Officer);
    assert!(
        visits
            .is(200)
            .text()
            .contains(shared["logged"].as_str().unwrap())
    );

    // A pointer says whom to ask.
    let token = below.path().join("token");
    fs::write(&token, ithaca.token("desk")).unwrap();
    let token = token.display().to_string();
    let words = [
        "share",
        "--node",
        here.base(),
        "--token-file",
        &token,
        "--subject",
        subject.rsplit('/').next().unwrap(),
        "--grant",
        grant,
    ];
    let pointer = run(words).succeeded().out.trim().to_owned();
    let by_pointer = json!({"pointer": pointer, "purpose": "TREAT", "categories": ["phenotype"]});
    post(&there, "/v1/shares", As::Clinician, &by_pointer).is(200);

    // The custodian is away, and comes back.
    here.crash();
    let away = phenotype().is(502).value();
    assert!(
        away["detail"]
            .as_str()
            .unwrap()
            .contains("could not be asked at"),
        "{away}"
    );
    here = ithaca.start();
    there.wait_for("the custodian's view to be fresh", || {
        (phenotype().status == 200).then_some(())
    });

    let revoked = here.call(
        "DELETE",
        &format!("{subject}/grants/{grant}"),
        As::Desk,
        &[],
        None,
    );
    revoked.is(200);
    phenotype().is(403);
    here.stop("-TERM");
    there.stop("-TERM");
}
