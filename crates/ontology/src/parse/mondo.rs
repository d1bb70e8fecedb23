//! Mondo's mappings in SSSOM: exact matches of Mondo ids with ids of another database.

use crate::{
    id::{DiseaseId, MondoId, OrphaCode, plain},
    source::{ImportError, Problem, Source, field},
};

const HEADER: &str =
    "subject_id\tsubject_label\tpredicate_id\tobject_id\tobject_label\tmapping_justification";

/// The file.
pub(crate) struct Mappings<'a> {
    pub(crate) version: String,
    pub(crate) rows: Vec<Row<'a>>,
}

/// One line.
pub(crate) struct Row<'a> {
    pub(crate) line: u32,
    pub(crate) mondo: MondoId,
    pub(crate) label: &'a str,
    pub(crate) object: DiseaseId,
}

pub(crate) fn parse<'a>(source: &Source<'a>) -> Result<Mappings<'a>, ImportError> {
    let mut version = String::new();
    let mut rows = Vec::new();
    let mut headed = false;
    for line in source.lines()? {
        if let Some(comment) = line.text.strip_prefix('#') {
            if let Some(value) = comment.trim().strip_prefix("mapping_set_version:") {
                value.trim().clone_into(&mut version);
            }
        } else if !headed {
            if line.text != HEADER {
                return Err(source.error(
                    line.at,
                    Problem::Expected("the column names of a Mondo mapping set"),
                ));
            }
            headed = true;
        } else {
            let row = line.columns().and_then(|columns| row(line.at, columns));
            rows.push(row.map_err(|problem| source.error(line.at, problem))?);
        }
    }
    if rows.is_empty() {
        return Err(source.error(0, Problem::Missing("mapping")));
    }
    Ok(Mappings { version, rows })
}

fn row<'a>(line: u32, columns: [&'a str; 6]) -> Result<Row<'a>, Problem> {
    let [mondo, label, predicate, object, _, _] = columns;
    if predicate != "skos:exactMatch" {
        return Err(Problem::value("predicate_id", predicate, "skos:exactMatch"));
    }
    let expected = "OMIM: or Orphanet: and a number";
    let object = match object.strip_prefix("Orphanet:") {
        Some(number) => plain(number).map(|n| DiseaseId::from(OrphaCode(n))),
        None => object.parse().ok(),
    }
    .ok_or_else(|| Problem::value("object_id", object, expected))?;
    Ok(Row {
        line,
        mondo: field("subject_id", mondo, "MONDO: and seven digits")?,
        label,
        object,
    })
}
