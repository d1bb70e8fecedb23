//! Whole records of synthetic patients, put in as transactions and read back complete.

use super::{testdata, unpack};
use crate::institution::{As, Institution, Server};
use serde_json::Value;
use std::{collections::BTreeMap, fs, io::Write as _, path::PathBuf};

const FHIR: (&str, &str) = ("content-type", "application/fhir+json");

#[test]
fn shipped_patients_come_back_whole() {
    let folder = testdata().join("fhir");
    let mut bundles = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "zst") {
            bundles.push(zstd::decode_all(fs::read(path).unwrap().as_slice()).unwrap());
        }
    }
    // Three patients and a directory of practitioners.
    assert_eq!(there_and_back(&bundles), (4, 362));
}

/// The sample lies beside the repository, or in the folder that `ITHACA_DATA` names.
#[test]
fn the_development_sample_comes_back_whole() {
    let data = std::env::var_os("ITHACA_DATA").map(PathBuf::from);
    let data = data.unwrap_or_else(|| testdata().join("../../shared/data"));
    let archive = data.join("fhir/synthea-dev.tar.zst");
    if !archive.is_file() {
        let archive = archive.display();
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no development sample at {archive}"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unpacked = folder.path().join("sample");
    unpack(&archive, &unpacked);
    let files = fs::read_dir(unpacked.join("synthea_r4")).unwrap();
    let bundles: Vec<Vec<u8>> = files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert_eq!(there_and_back(&bundles), (16, 2_149));
}

/// Posts transactions to a new node; how many, and how many resources came back as they were.
fn there_and_back(bundles: &[Vec<u8>]) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let institution = Institution::found(folder.path());
    let server = institution.start();
    let resources = bundles.iter().map(|bundle| one(&server, bundle)).sum();
    server.stop("-TERM");
    (bundles.len(), resources)
}

/// One transaction; how many resources came back as they were.
fn one(server: &Server<'_>, bundle: &[u8]) -> usize {
    let answer = server
        .call("POST", "/fhir", As::Clinician, &[FHIR], Some(bundle))
        .is(200)
        .value();
    assert_eq!(answer["type"], "transaction-response");
    let sent: Value = serde_json::from_slice(bundle).unwrap();
    let (sent, answered) = (&sent["entry"], &answer["entry"]);
    let (sent, answered) = (sent.as_array().unwrap(), answered.as_array().unwrap());
    assert_eq!(sent.len(), answered.len());
    // Where each entry is now.
    let mut places = BTreeMap::new();
    for (entry, answer) in sent.iter().zip(answered) {
        assert_eq!(answer["response"]["status"], "201 Created");
        let location = answer["response"]["location"].as_str().unwrap();
        let (place, version) = location.split_once("/_history/").unwrap();
        assert_eq!(version, "1");
        places.insert(entry["fullUrl"].as_str().unwrap(), place);
    }
    for entry in sent {
        let place = places[entry["fullUrl"].as_str().unwrap()];
        let found = server.get(&format!("/fhir/{place}"), As::Clinician).is(200);
        let mut found = found.value();
        let (_, id) = place.split_once('/').unwrap();
        assert_eq!(found["id"], id);
        assert_eq!(found["meta"]["versionId"], "1");
        let mut wanted = entry["resource"].clone();
        refer(&mut wanted, &places);
        without_server(&mut found);
        without_server(&mut wanted);
        assert_eq!(found, wanted, "{place}");
    }
    sent.len()
}

/// Takes away what is the server's; of `meta`, what the client sent stays.
fn without_server(resource: &mut Value) {
    let resource = resource.as_object_mut().unwrap();
    resource.remove("id");
    let Some(Value::Object(meta)) = resource.get_mut("meta") else {
        return;
    };
    meta.remove("versionId");
    meta.remove("lastUpdated");
    if meta.is_empty() {
        resource.remove("meta");
    }
}

/// Replaces each reference to an entry by the place where the entry is.
fn refer(value: &mut Value, places: &BTreeMap<&str, &str>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), &mut *value) {
                    ("reference", Value::String(text)) => {
                        if let Some(place) = places.get(text.as_str()) {
                            *text = (*place).to_owned();
                        }
                    }
                    _ => refer(value, places),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| refer(value, places)),
        _ => {}
    }
}
