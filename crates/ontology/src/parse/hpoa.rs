//! `phenotype.hpoa`: twelve columns a line, after comments that carry the version.

use crate::{
    id::{DiseaseId, HpoId},
    profile::{Aspect, Evidence, Frequency, FrequencyClass, Sex},
    source::{ImportError, Problem, Source, field},
};

const HEADER: &str = "database_id\tdisease_name\tqualifier\thpo_id\treference\tevidence\tonset\tfrequency\tsex\tmodifier\taspect\tbiocuration";
const ID: &str = "HP: and seven digits";

/// The file.
pub(crate) struct Hpoa<'a> {
    pub(crate) version: String,
    pub(crate) rows: Vec<Row<'a>>,
}

/// One line.
pub(crate) struct Row<'a> {
    pub(crate) line: u32,
    pub(crate) disease: DiseaseId,
    pub(crate) name: &'a str,
    pub(crate) excluded: bool,
    pub(crate) term: HpoId,
    pub(crate) references: &'a str,
    pub(crate) evidence: Evidence,
    pub(crate) onset: Option<HpoId>,
    pub(crate) frequency: Frequency,
    pub(crate) sex: Option<Sex>,
    pub(crate) modifiers: Vec<HpoId>,
    pub(crate) aspect: Aspect,
    pub(crate) curation: &'a str,
}

pub(crate) fn parse<'a>(source: &Source<'a>) -> Result<Hpoa<'a>, ImportError> {
    let mut version = String::new();
    let mut rows = Vec::new();
    let mut headed = false;
    for line in source.lines()? {
        if let Some(comment) = line.text.strip_prefix('#') {
            if let Some(value) = comment.strip_prefix("version:") {
                value.trim().clone_into(&mut version);
            }
        } else if !headed {
            if line.text != HEADER {
                return Err(source.error(
                    line.at,
                    Problem::Expected("the column names of phenotype.hpoa"),
                ));
            }
            headed = true;
        } else {
            let row = line.columns().and_then(|columns| row(line.at, columns));
            rows.push(row.map_err(|problem| source.error(line.at, problem))?);
        }
    }
    if version.is_empty() {
        return Err(source.error(0, Problem::Missing("#version")));
    }
    if rows.is_empty() {
        return Err(source.error(0, Problem::Missing("annotation")));
    }
    Ok(Hpoa { version, rows })
}

fn row<'a>(line: u32, columns: [&'a str; 12]) -> Result<Row<'a>, Problem> {
    let [
        disease,
        name,
        qualifier,
        term,
        references,
        evidence,
        onset,
        frequency,
        sex,
        modifiers,
        aspect,
        curation,
    ] = columns;
    if name.is_empty() {
        return Err(Problem::value("disease_name", name, "a name"));
    }
    if references.is_empty() || references.split(';').any(|r| !r.contains(':')) {
        return Err(Problem::value(
            "reference",
            references,
            "database:id, separated by semicolons",
        ));
    }
    Ok(Row {
        line,
        disease: field(
            "database_id",
            disease,
            "OMIM:, DECIPHER: or ORPHA: and a number",
        )?,
        name,
        excluded: match qualifier {
            "" => false,
            "NOT" => true,
            _ => return Err(Problem::value("qualifier", qualifier, "NOT or nothing")),
        },
        term: field("hpo_id", term, ID)?,
        references,
        evidence: Evidence::from_word(evidence)
            .ok_or_else(|| Problem::value("evidence", evidence, "PCS, TAS or IEA"))?,
        onset: if onset.is_empty() {
            None
        } else {
            Some(field("onset", onset, ID)?)
        },
        frequency: read_frequency(frequency)?,
        sex: match sex {
            "" => None,
            _ => Some(
                Sex::from_word(&sex.to_ascii_uppercase())
                    .ok_or_else(|| Problem::value("sex", sex, "MALE, FEMALE or nothing"))?,
            ),
        },
        modifiers: modifiers
            .split(';')
            .filter(|m| !m.is_empty())
            .map(|m| field("modifier", m, ID))
            .collect::<Result<_, _>>()?,
        aspect: Aspect::from_word(aspect)
            .ok_or_else(|| Problem::value("aspect", aspect, "P, I, C, M or H"))?,
        curation,
    })
}

/// `m/n`, `12.5%`, a frequency term, or nothing.
fn read_frequency(text: &str) -> Result<Frequency, Problem> {
    const EXPECTED: &str =
        "m/n with m at most n and n at least 1, 0 to 100 %, a frequency term or nothing";
    let read = || {
        if text.is_empty() {
            return Some(Frequency::Unstated);
        }
        if let Some((affected, examined)) = text.split_once('/') {
            let affected = if affected == "0" {
                0
            } else {
                crate::id::plain(affected)?
            };
            let examined = crate::id::plain(examined)?;
            return (affected <= examined).then_some(Frequency::Count { affected, examined });
        }
        if let Some(number) = text.strip_suffix('%') {
            let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let percent: f32 = number.parse().ok().filter(|_| plain)?;
            return (0.0..=100.0)
                .contains(&percent)
                .then_some(Frequency::Percent(percent));
        }
        FrequencyClass::from_word(text).map(Frequency::Class)
    };
    read().ok_or_else(|| Problem::value("frequency", text, EXPECTED))
}
