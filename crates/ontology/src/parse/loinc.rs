//! `loinc2hpo-annotations.tsv`: what a laboratory result, interpreted, says in HPO terms.

use crate::{
    id::{HpoId, LoincCode},
    profile::words,
    source::{ImportError, Problem, Source, field},
};

const HEADER: &str =
    "loincId\tloincScale\toutcome\thpoTermId\tsupplementalTermId\tcuration\tcomment";

words! {
    /// The scale of a LOINC test.
    LoincScale {
        /// Quantitative.
        Quantitative = "Qn",
        /// Ordinal: present or absent.
        Ordinal = "Ord",
        /// Nominal: a name.
        Nominal = "Nom",
    }
}

/// How a result was interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Above the reference range.
    High,
    /// Below it.
    Low,
    /// Within it.
    Normal,
    /// Detected.
    Positive,
    /// Not detected.
    Negative,
    /// A finding of SNOMED CT.
    Snomed(u64),
}

impl Outcome {
    /// Whether the result says that the term is *not* there: a normal or negative one.
    pub const fn negates(self) -> bool {
        matches!(self, Self::Normal | Self::Negative)
    }

    fn from_word(text: &str) -> Option<Self> {
        Some(match text {
            "H" => Self::High,
            "L" => Self::Low,
            "N" => Self::Normal,
            "POS" => Self::Positive,
            "NEG" => Self::Negative,
            _ => {
                let number = text.strip_prefix("SNOMEDCT:")?;
                let fits =
                    (6..=18).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
                Self::Snomed(number.parse().ok().filter(|_| fits)?)
            }
        })
    }
}

/// One line.
pub(crate) struct Row {
    pub(crate) line: u32,
    pub(crate) code: LoincCode,
    pub(crate) scale: LoincScale,
    pub(crate) outcome: Outcome,
    pub(crate) term: HpoId,
}

pub(crate) fn parse(source: &Source<'_>) -> Result<Vec<Row>, ImportError> {
    let mut lines = source.lines()?.into_iter();
    if lines.next().is_none_or(|line| line.text != HEADER) {
        return Err(source.error(
            1,
            Problem::Expected("the column names of loinc2hpo-annotations.tsv"),
        ));
    }
    lines
        .map(|line| {
            let row = line.columns().and_then(|columns| row(line.at, columns));
            row.map_err(|problem| source.error(line.at, problem))
        })
        .collect()
}

fn row(line: u32, columns: [&str; 7]) -> Result<Row, Problem> {
    let [code, scale, outcome, term, _, _, _] = columns;
    Ok(Row {
        line,
        code: field("loincId", code, "a LOINC code with its check digit")?,
        scale: LoincScale::from_word(scale)
            .ok_or_else(|| Problem::value("loincScale", scale, "Qn, Ord or Nom"))?,
        outcome: Outcome::from_word(outcome).ok_or_else(|| {
            Problem::value("outcome", outcome, "H, L, N, POS, NEG or SNOMEDCT:id")
        })?,
        term: field("hpoTermId", term, "HP: and seven digits")?,
    })
}
