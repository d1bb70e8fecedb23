//! Documents to de-identify: the shipped patients and official examples, and the development sample.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn unpacked(path: &Path) -> Vec<u8> {
    zstd::decode_all(fs::read(path).unwrap().as_slice()).unwrap()
}

/// The official examples of R4 that ship: up to three of each type.
pub(crate) fn official() -> Vec<(String, Vec<u8>)> {
    let archive = unpacked(&root().join("testdata/fhir-r4/examples.tar.zst"));
    let files = tar_files(&archive);
    files
        .into_iter()
        .map(|(name, bytes)| (name, bytes.to_vec()))
        .collect()
}

/// Every official example, when `ITHACA_FHIR_EXAMPLES` names the unpacked folder of npm
/// `hl7.fhir.r4.examples@4.0.1`.
pub(crate) fn official_all() -> Vec<(String, Vec<u8>)> {
    let Some(folder) = std::env::var_os("ITHACA_FHIR_EXAMPLES") else {
        eprintln!("SKIPPED: set ITHACA_FHIR_EXAMPLES to the folder of the official R4 examples");
        return Vec::new();
    };
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect()
}

/// The shipped patients of Synthea: resources with their references resolved as a node stores them.
pub(crate) fn synthea() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for entry in fs::read_dir(root().join("testdata/fhir")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "zst") {
            out.extend(stored(&unpacked(&path)));
        }
    }
    out
}

/// The development sample, beside the repository or in the folder that `ITHACA_DATA` names.
pub(crate) fn synthea_development() -> Vec<Vec<u8>> {
    let data = std::env::var_os("ITHACA_DATA").map(PathBuf::from);
    let data = data.unwrap_or_else(|| root().join("../shared/data"));
    let archive = data.join("fhir/synthea-dev.tar.zst");
    if !archive.exists() {
        eprintln!("SKIPPED: no development sample at {}", archive.display());
        return Vec::new();
    }
    let archive = unpacked(&archive);
    tar_files(&archive)
        .into_iter()
        .flat_map(|(_, bytes)| stored(bytes))
        .collect()
}

/// The resources of a transaction, each under an id of its own, references between them resolved.
pub(crate) fn stored(bundle: &[u8]) -> Vec<Vec<u8>> {
    let bundle = fhir::Bundle::parse(bundle).unwrap();
    let named = |position: usize, resource: &fhir::Parsed<'_>| {
        (format!("{position:032x}"), resource.resource_type())
    };
    let mut targets = std::collections::BTreeMap::new();
    for (position, entry) in bundle.entries().iter().enumerate() {
        if let (Some(url), Some(resource)) = (entry.full_url(), entry.resource()) {
            let (id, name) = named(position, resource);
            targets.insert(url.to_owned(), format!("{name}/{id}"));
        }
    }
    let resolve = |text: &str| targets.get(text).cloned();
    let mut out = Vec::new();
    for (position, entry) in bundle.entries().iter().enumerate() {
        let resource = entry.resource().unwrap();
        let assigned = fhir::Assigned {
            id: &named(position, resource).0,
            version_id: "1",
            last_updated: codec::time::Millis::from_rfc3339("2026-01-02T03:04:05Z").unwrap(),
        };
        out.push(resource.stored_form(&assigned, &resolve).unwrap());
    }
    out
}

/// The files of a tar archive; a name of more than 100 bytes comes cut.
pub(crate) fn tar_files(archive: &[u8]) -> Vec<(String, &[u8])> {
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
