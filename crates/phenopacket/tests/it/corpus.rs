//! Published phenopackets: the shipped ones always, the development sample when it is there.

use crate::leaves;
use phenopacket::Parsed;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Parses, and checks the partition by an independent reader; gives the number of findings.
fn check(name: &str, source: &[u8]) -> (usize, usize) {
    let parsed = Parsed::parse(source).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(parsed.stored_form(), source);
    let document: serde_json::Value = serde_json::from_slice(source).unwrap();
    let mut found = Vec::new();
    for (_, bytes) in parsed.projections() {
        found.extend(leaves::of(&serde_json::from_slice(&bytes).unwrap()));
    }
    found.sort();
    assert_eq!(found, leaves::of(&document), "{name}");
    let listed = document["phenotypicFeatures"].as_array().unwrap();
    let findings = parsed.findings();
    assert_eq!(findings.len(), listed.len());
    for (finding, expect) in findings.iter().zip(listed) {
        assert_eq!(finding.term.id, expect["type"]["id"].as_str().unwrap());
        assert_eq!(finding.excluded, expect["excluded"].as_bool() == Some(true));
    }
    assert!(parsed.subject().is_some() && !parsed.diseases().is_empty());
    assert!(!parsed.variants().is_empty() && !parsed.terms().is_empty());
    let excluded = findings.iter().filter(|finding| finding.excluded).count();
    (findings.len() - excluded, excluded)
}

#[test]
fn shipped_cases_parse_and_the_index_is_right() {
    let folder = root().join("testdata");
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let cases = index.as_array().unwrap();
    assert_eq!(cases.len(), 24);
    for case in cases {
        let name = case["file"].as_str().unwrap();
        let packed = fs::read(folder.join(name)).unwrap();
        let source = zstd::decode_all(packed.as_slice()).unwrap();
        let (observed, excluded) = check(name, &source);
        assert_eq!(case["observed"], observed, "{name}");
        assert_eq!(case["excluded"], excluded, "{name}");
        let parsed = Parsed::parse(&source).unwrap();
        assert_eq!(case["variants"], parsed.variants().len(), "{name}");
        let disease = &parsed.diseases()[0].term;
        assert_eq!(case["disease"]["id"], *disease.id, "{name}");
        assert_eq!(case["disease"]["label"], *disease.label, "{name}");
        assert_eq!(case["publication"], *parsed.publications()[0].id, "{name}");
    }
    let files = fs::read_dir(folder.join("phenopackets")).unwrap();
    let packed =
        files.filter(|f| f.as_ref().unwrap().path().extension().unwrap_or_default() == "zst");
    assert_eq!(
        packed.count(),
        cases.len(),
        "a file is missing in cases.json"
    );
}

/// The sample lies beside the repository, or in the folder that `ITHACA_DATA` names.
#[test]
fn the_development_sample_parses() {
    let data = std::env::var_os("ITHACA_DATA").map(PathBuf::from);
    let data = data.unwrap_or_else(|| root().join("../shared/data"));
    let archive = data.join("phenopackets/phenopacket-store-dev.tar.zst");
    let Ok(packed) = fs::read(&archive) else {
        eprintln!("SKIPPED: no development sample at {}", archive.display());
        return;
    };
    let mut count = 0;
    for (name, source) in tar_files(&zstd::decode_all(packed.as_slice()).unwrap()) {
        if !name.ends_with("LICENSE") {
            check(&name, source);
            count += 1;
        }
    }
    assert_eq!(count, 600);
}

/// The files of a tar archive; a name of more than 100 bytes comes cut.
fn tar_files(archive: &[u8]) -> Vec<(String, &[u8])> {
    let text = |field: &[u8]| {
        let field = field.split(|&byte| byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(field).trim().to_owned()
    };
    let mut files = Vec::new();
    let mut at = 0;
    while let Some(header) = archive.get(at..at + 512) {
        let size = usize::from_str_radix(&text(&header[124..136]), 8).unwrap_or(0);
        let body = &archive[at + 512..at + 512 + size];
        if header[156] == b'0' {
            files.push((text(&header[..100]), body));
        }
        at += 512 + size.div_ceil(512) * 512;
    }
    files
}
