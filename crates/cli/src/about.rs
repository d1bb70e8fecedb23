//! `ithaca about`: what this program is, and with `--data` what it knows, from where and under which licence.

use crate::ontologies;
use anyhow::Result;
use clap::Args;
use ontology::{Ontology, Version};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Options {
    /// The sources of the knowledge: versions, licences, and the notices that go with them.
    #[arg(long)]
    data: bool,
    /// Of this index file instead of the data that comes with the program.
    #[arg(long, value_name = "FILE", requires = "data")]
    index: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

const PURPOSE: &str =
    "Research and evaluation build. Not for clinical use; not CE-marked, not FDA-cleared.";

#[expect(clippy::print_stdout, reason = "what was asked for")]
pub(crate) fn run(options: &Options) -> Result<()> {
    let data = options
        .data
        .then(|| ontologies::open(options.index.as_deref()))
        .transpose()?;
    if options.json {
        let value = json!({
            "program": "ithaca",
            "version": env!("CARGO_PKG_VERSION"),
            "licence": "Apache-2.0",
            "purpose": PURPOSE,
            "data": data.as_ref().map(described),
        });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    println!("ithaca {}, Apache-2.0", env!("CARGO_PKG_VERSION"));
    println!("{PURPOSE}");
    if let Some(ontology) = &data {
        println!("{}", shown(ontology));
    }
    Ok(())
}

/// How an unstated version is shown.
fn version<'a>(source: &Version<'a>) -> &'a str {
    if source.version.is_empty() {
        "not stated"
    } else {
        source.version
    }
}

fn shown(ontology: &Ontology) -> String {
    let mut lines = vec![String::new(), ontologies::counts(ontology), String::new()];
    for source in ontology.versions() {
        let about = source.kind.attribution();
        lines.push(about.title.to_owned());
        lines.push(format!(
            "    file     {} ({} lines)",
            source.file, source.lines
        ));
        lines.push(format!("    version  {}", version(&source)));
        lines.push(format!("    xxh3-128 {:032x}", source.digest));
        lines.push(format!("    from     {}", about.url));
        lines.push(format!("    licence  {}", source.licence));
    }
    lines.push("\nNotices that go with the data:".to_owned());
    let mut notices: Vec<&str> = Vec::new();
    for source in ontology.versions() {
        if !notices.contains(&source.notice) {
            notices.push(source.notice);
            lines.push(format!("\n{}", source.notice.trim_end()));
        }
    }
    lines.push(format!("\n{}", ontologies::notices(ontology, usize::MAX)));
    lines.join("\n")
}

fn described(ontology: &Ontology) -> Value {
    let sources: Vec<Value> = ontology
        .versions()
        .map(|source| {
            let about = source.kind.attribution();
            json!({
                "title": about.title,
                "file": source.file,
                "version": version(&source),
                "size_bytes": source.size_bytes,
                "lines": source.lines,
                "xxh3_128": format!("{:032x}", source.digest),
                "url": about.url,
                "licence": source.licence,
                "notice": source.notice,
            })
        })
        .collect();
    let notices: Vec<Value> = ontology
        .notices()
        .map(|n| json!({ "file": n.source.file_name(), "line": n.line, "text": n.text }))
        .collect();
    json!({
        "terms": ontology.term_count(),
        "diseases": ontology.disease_count(),
        "genes": ontology.gene_count(),
        "orphanet_disorders": ontology.orphanet_count(),
        "laboratory_results": ontology.loinc_findings().len(),
        "sources": sources,
        "not_placed": notices,
    })
}
