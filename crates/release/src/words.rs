//! The data dictionary and the README of a release.

use crate::header::{Format, Header, Tier};
use crate::tables::{Kind, TABLES};
use crate::{fhir, packet};
use serde_json::{Value, json};

/// The data dictionary: every file, and every column or field with its type and meaning.
pub(crate) fn dictionary(header: &Header) -> Vec<u8> {
    let mut files = vec![json!({
        "file": "groups.ndjson",
        "says": "Everything of this release, one JSON object a group; all other files follow from it.",
        "fields": GROUP_FIELDS.iter().map(|(name, says)| json!({"name": name, "says": says})).collect::<Vec<_>>(),
    })];
    for format in &header.formats {
        match format {
            Format::Parquet => files.extend(TABLES.iter().map(|table| {
                let columns: Vec<Value> = table
                    .columns
                    .iter()
                    .map(|column| {
                        let kind = match column.kind {
                            Kind::Text => "UTF-8 text",
                            Kind::Number => "32-bit integer",
                            Kind::Real => "64-bit real",
                        };
                        json!({
                            "name": column.name,
                            "type": kind,
                            "may_be_absent": column.optional,
                            "says": column.says,
                        })
                    })
                    .collect();
                json!({"file": table.file, "says": table.says, "columns": columns})
            })),
            Format::Fhir => files.extend(
                fhir::FILES
                    .iter()
                    .map(|(file, says)| json!({"file": file, "says": says})),
            ),
            Format::Phenopackets => {
                files.push(json!({"file": packet::FILE.0, "says": packet::FILE.1}));
            }
        }
    }
    pretty(&json!({"format": crate::FORMAT, "k": header.k, "files": files}))
}

const GROUP_FIELDS: [(&str, &str); 10] = [
    (
        "id",
        "Name of the group in this release; no release knows another's.",
    ),
    ("at_least", "Subjects, rounded down to a multiple of k."),
    ("sex", "A sex that enough of the subjects have."),
    (
        "ages",
        "Ages that enough of the subjects are in, in completed years; without `to`: and more.",
    ),
    (
        "diagnoses",
        "id, label, and whether all have it (the cohort was chosen by it) or it is one of several. Empty: not told.",
    ),
    (
        "observed",
        "Features seen: term and label of HPO, and of how many of the subjects it is stated: some (from k of them to under half), many (half to under 80 %), nearly-all (80 % and more).",
    ),
    (
        "excluded",
        "Features looked for and not there, in the same form.",
    ),
    (
        "measured",
        "Measurements: system, code, unit (UCUM), subjects with a value, mean to three digits, standard deviation to two. Of each subject the median counts, once.",
    ),
    (
        "recontact",
        "Tokens that the custodian alone opens, to ask whether one of the subjects may be contacted. Some stand for nobody. Absent: none.",
    ),
    (
        "share",
        "What is not stated of a subject is not known to be otherwise.",
    ),
];

/// The README: what it is, how to cite it, what must not be done with it.
pub(crate) fn readme(header: &Header) -> Vec<u8> {
    let study = &header.study;
    let date = header.made.to_rfc3339();
    let date = date.get(..10).unwrap_or_default();
    let tier = match header.tier {
        Tier::T2 => "T2, aggregates of the whole cohort",
        Tier::T3 => "T3, groups of subjects with one profile each",
    };
    let versions = header
        .versions
        .iter()
        .map(|(name, version)| format!("- {name}: {version}\n"))
        .collect::<String>();
    let agreement = match &study.agreement {
        Some(agreement) => format!("under the data-use agreement with SHA-256 digest {agreement}"),
        None => "without a data-use agreement".to_owned(),
    };
    format!(
        "# Release {number} of study {id}\n\n\
         {statement}\n\n\
         - Purpose: {purpose}\n\
         - Released by institution {institution} on {date}, {agreement}\n\
         - Tier: {tier}\n\
         - Who is in it: {cohort}\n\
         - Nothing is said of fewer than {k} subjects.\n\n\
         ## To cite it\n\n\
         Institution {institution}: release {number} of study {id}, {date}. Digest of the content: \
         in `certificate.json`, and on the ledger of its network.\n\n\
         ## To check it\n\n\
         `ithaca release verify DIR --genesis FILE` compares every file with `manifest.json`, makes all files again \
         from `groups.ndjson`, holds each group against the rules, and finds content and certificate on the \
         ledger (`ledger.proof`). `certificate.json` says which attacks were tried and what they achieved.\n\n\
         ## What is in it\n\n\
         `dictionary.json` says what each file and column means.\n\n\
         ## What it rests on\n\n{versions}",
        number = header.number,
        id = study.id,
        statement = header.statement,
        purpose = study.purpose,
        institution = study.institution,
        cohort = header.cohort,
        k = header.k,
    )
    .into_bytes()
}

/// JSON for people, with a newline.
pub(crate) fn pretty<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}
