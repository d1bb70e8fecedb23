//! Orphanet's disorders: one JSON object a line, compacted from the Orphadata products.

use crate::{
    id::{DiseaseId, HpoId, OrphaCode, plain},
    parse::genes::gene_symbol,
    profile::{
        OmimReference, OmimRelation, OrphanetFrequency, OrphanetInheritance, OrphanetOnset,
        PrevalenceClass, PrevalenceKind, PrevalenceQualification,
    },
    source::{ImportError, Problem, Source, cut, field},
};
use serde::Deserialize;

/// The largest accepted number of entries in one list of a disorder.
const MAX_LIST: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    orpha: String,
    label: String,
    #[serde(rename = "type")]
    kind: String,
    prev: Vec<ObjectPrevalence>,
    onset: Vec<String>,
    inh: Vec<String>,
    xref: Vec<(String, String, String)>,
    genes: Vec<String>,
    hpo: Vec<(String, String)>,
    parents: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct ObjectPrevalence {
    prevalence_type: String,
    prevalence_qualification: String,
    prevalence_class: String,
    val_moy: String,
    prevalence_geographic: String,
}

/// One disorder, ids not yet looked up.
pub(crate) struct Row {
    pub(crate) line: u32,
    pub(crate) code: OrphaCode,
    pub(crate) label: String,
    pub(crate) kind: String,
    pub(crate) prevalences: Vec<RowPrevalence>,
    pub(crate) onsets: Vec<OrphanetOnset>,
    pub(crate) inheritance: Vec<OrphanetInheritance>,
    pub(crate) omim: Vec<OmimReference>,
    pub(crate) genes: Vec<String>,
    pub(crate) features: Vec<(HpoId, OrphanetFrequency)>,
    pub(crate) parents: Vec<OrphaCode>,
}

pub(crate) struct RowPrevalence {
    pub(crate) kind: PrevalenceKind,
    pub(crate) qualification: PrevalenceQualification,
    pub(crate) class: PrevalenceClass,
    pub(crate) mean: Option<f64>,
    pub(crate) geography: String,
}

pub(crate) fn parse(source: &Source<'_>) -> Result<Vec<Row>, ImportError> {
    source
        .lines()?
        .into_iter()
        .map(|line| {
            let object =
                serde_json::from_str(line.text).map_err(|e| Problem::Json(cut(&e.to_string())));
            let row = object.and_then(|object| row(line.at, object));
            row.map_err(|problem| source.error(line.at, problem))
        })
        .collect()
}

fn row(line: u32, object: Object) -> Result<Row, Problem> {
    for length in [
        object.prev.len(),
        object.onset.len(),
        object.inh.len(),
        object.xref.len(),
        object.genes.len(),
        object.hpo.len(),
        object.parents.len(),
    ] {
        if length > MAX_LIST {
            return Err(Problem::TooMuch {
                what: "entries in a list",
                limit: MAX_LIST,
            });
        }
    }
    if object.label.is_empty() {
        return Err(Problem::value("label", "", "a name"));
    }
    Ok(Row {
        line,
        code: code("orpha", &object.orpha)?,
        label: object.label,
        kind: object.kind,
        prevalences: object
            .prev
            .into_iter()
            .map(prevalence)
            .collect::<Result<_, _>>()?,
        onsets: words(
            &object.onset,
            "onset",
            "an age of onset of Orphanet",
            OrphanetOnset::from_word,
        )?,
        inheritance: words(
            &object.inh,
            "inh",
            "a mode of inheritance of Orphanet",
            OrphanetInheritance::from_word,
        )?,
        omim: object.xref.iter().map(omim).collect::<Result<_, _>>()?,
        genes: object
            .genes
            .into_iter()
            .map(|symbol| gene_symbol(&symbol).map(str::to_owned))
            .collect::<Result<_, _>>()?,
        features: object.hpo.iter().map(feature).collect::<Result<_, _>>()?,
        parents: object
            .parents
            .iter()
            .map(|p| code("parents", p))
            .collect::<Result<_, _>>()?,
    })
}

fn code(name: &'static str, text: &str) -> Result<OrphaCode, Problem> {
    plain(text)
        .map(OrphaCode)
        .ok_or_else(|| Problem::value(name, text, "an ORPHA code"))
}

fn words<T>(
    texts: &[String],
    name: &'static str,
    expected: &'static str,
    read: fn(&str) -> Option<T>,
) -> Result<Vec<T>, Problem> {
    texts
        .iter()
        .map(|text| read(text).ok_or_else(|| Problem::value(name, text, expected)))
        .collect()
}

fn prevalence(object: ObjectPrevalence) -> Result<RowPrevalence, Problem> {
    let mean = match object.val_moy.as_str() {
        "no data" => None,
        text => Some(
            text.parse()
                .ok()
                .filter(|m: &f64| m.is_finite() && *m >= 0.0)
                .ok_or_else(|| Problem::value("ValMoy", text, "a number or 'no data'"))?,
        ),
    };
    Ok(RowPrevalence {
        kind: PrevalenceKind::from_word(&object.prevalence_type).ok_or_else(|| {
            Problem::value(
                "PrevalenceType",
                &object.prevalence_type,
                "a type of Orphanet",
            )
        })?,
        qualification: PrevalenceQualification::from_word(&object.prevalence_qualification)
            .ok_or_else(|| {
                Problem::value(
                    "PrevalenceQualification",
                    &object.prevalence_qualification,
                    "a qualification of Orphanet",
                )
            })?,
        class: PrevalenceClass::from_word(&object.prevalence_class).ok_or_else(|| {
            Problem::value(
                "PrevalenceClass",
                &object.prevalence_class,
                "a class of Orphanet",
            )
        })?,
        mean,
        geography: object.prevalence_geographic,
    })
}

fn omim((database, number, relation): &(String, String, String)) -> Result<OmimReference, Problem> {
    let id: DiseaseId = field("xref", &format!("{database}:{number}"), "OMIM and a number")?;
    let relation = OmimRelation::from_word(relation).ok_or_else(|| {
        Problem::value(
            "xref",
            relation,
            "a relation of Orphanet (E, NTBT, BTNT, ND)",
        )
    })?;
    Ok(OmimReference { id, relation })
}

fn feature((term, frequency): &(String, String)) -> Result<(HpoId, OrphanetFrequency), Problem> {
    let frequency = OrphanetFrequency::from_word(frequency)
        .ok_or_else(|| Problem::value("hpo", frequency, "a frequency of Orphanet"))?;
    Ok((field("hpo", term, "HP: and seven digits")?, frequency))
}
