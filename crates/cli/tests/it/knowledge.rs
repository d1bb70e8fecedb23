//! `ithaca about` and `ithaca ontology import`.

use crate::binary::run;
use serde_json::Value;
use std::{ffi::OsString, fs, path::Path};

fn import(arguments: &[(&str, &Path)]) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["ontology".into(), "import".into()];
    for (flag, path) in arguments {
        words.extend([OsString::from(flag), path.as_os_str().to_owned()]);
    }
    words
}

#[test]
fn the_data_is_told_with_versions_licences_and_notices() {
    let told = run(["about", "--data"]).succeeded().out;
    for part in [
        "Not for clinical use",
        "hp/releases/2025-01-16",
        "19034 terms",
        "CC BY 4.0",
        "This service uses the Human Phenotype Ontology",
        "Regenstrief Institute",
        "HP:6001185",
    ] {
        assert!(told.contains(part), "'{part}' is not in: {told}");
    }
    let json = run(["about", "--data", "--json"]).succeeded().out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["data"]["terms"], 19_034);
    assert_eq!(json["data"]["sources"].as_array().map(Vec::len), Some(7));
}

#[test]
fn newer_files_make_an_index_and_wrong_ones_are_refused_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("index");
    let loinc = folder.path().join("loinc.tsv");
    let header = "loincId\tloincScale\toutcome\thpoTermId\tsupplementalTermId\tcuration\tcomment\n";
    let line = "704-7\tQn\tH\tHP:0001250\t.\tHPO:x[2018-05-10]\t.\n";
    fs::write(&loinc, format!("{header}{line}")).unwrap();
    let arguments = import(&[("--loinc", &loinc), ("--out", &out)]);
    let made = run(&arguments).succeeded().out;
    assert!(
        made.contains("19034 terms") && made.contains(" 1 laboratory results"),
        "{made}"
    );
    let mut about: Vec<OsString> = ["about", "--data", "--json", "--index"]
        .map(Into::into)
        .into();
    about.push(out.clone().into());
    let json: Value = serde_json::from_str(&run(&about).succeeded().out).unwrap();
    assert_eq!(json["data"]["laboratory_results"], 1);
    // It is not written over.
    let sentence = run(&arguments).refused();
    assert!(sentence.contains("exists"), "{sentence}");

    fs::write(
        &loinc,
        format!("{header}{line}704-8\tQn\tL\tHP:0001250\t.\t.\t.\n"),
    )
    .unwrap();
    let other = folder.path().join("other");
    let sentence = run(import(&[("--loinc", &loinc), ("--out", &other)])).refused();
    assert!(
        sentence.contains("loinc.tsv:3: loincId is '704-8'"),
        "{sentence}"
    );
    assert!(!other.exists());

    let damaged = fs::read(&out).unwrap();
    fs::write(&out, &damaged[..damaged.len() - 1]).unwrap();
    let sentence = run(&about).refused();
    assert!(sentence.contains("import the sources again"), "{sentence}");
}
