//! Published cases, one JSON object a line.

use crate::findings::{Findings, OnsetClass, Presentation, Refused};
use ontology::{DiseaseId, DiseaseIx, HpoId, Ontology, Sex, TermIx};
use serde::Deserialize;
use thiserror::Error;

/// Where a case was collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Corpus {
    /// Phenopacket Store.
    PhenopacketStore,
    /// The cases of the LIRICAL paper, from PhEval.
    Lirical,
    /// PhenoBrain's public test set.
    PhenoBrain,
    /// PhEval's structural variants.
    StructuralVariants,
    /// Any other.
    Other,
}

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its id in the corpus.
    pub id: String,
    /// The corpus.
    pub corpus: Corpus,
    /// HPO's annotations know the disease.
    pub in_hpoa: bool,
    /// They cite the case's own paper for it; `None` where nobody knows.
    pub cited: Option<bool>,
    /// Ids of the diagnosis, in the order of the file: any of them is right.
    pub diseases: Vec<String>,
    /// Those of them that the ontology has.
    pub known: Vec<DiseaseIx>,
    /// What was found, genes left out.
    pub findings: Findings,
    /// The observed terms in the order of the file.
    pub order: Vec<TermIx>,
    /// The paper, `PMID:` and a number.
    pub paper: Option<String>,
}

/// A line that is no case.
#[derive(Debug, Error)]
pub enum CaseError {
    /// Not the JSON expected.
    #[error("line {line} of the cases is not a case: {source}")]
    Json {
        /// From 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// An HPO id that is none.
    #[error("line {line} of the cases has an id that is no HPO id")]
    Id {
        /// From 1.
        line: usize,
    },
    /// More than is taken.
    #[error("line {line} of the cases cannot be ranked: {source}")]
    Refused {
        /// From 1.
        line: usize,
        /// Why.
        source: Refused,
    },
}

#[derive(Deserialize)]
struct Line {
    id: String,
    corpus: String,
    pmid: Option<String>,
    observed: Vec<String>,
    excluded: Vec<String>,
    onset: Option<String>,
    age: Option<String>,
    sex: Option<String>,
    diseases: Vec<String>,
    in_hpoa: bool,
    cited: Option<bool>,
}

/// Reads cases; blank lines are skipped.
pub fn read_cases(ontology: &Ontology, text: &str) -> Result<Vec<Case>, CaseError> {
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(line, text)| case(ontology, line, text))
        .collect()
}

fn case(ontology: &Ontology, line: usize, text: &str) -> Result<Case, CaseError> {
    let raw: Line =
        serde_json::from_str(text).map_err(|source| CaseError::Json { line, source })?;
    let ids = |texts: &[String]| -> Result<Vec<HpoId>, CaseError> {
        let parse = |text: &String| text.parse().map_err(|_| CaseError::Id { line });
        texts.iter().map(parse).collect()
    };
    let presentation = Presentation {
        observed: ids(&raw.observed)?,
        excluded: ids(&raw.excluded)?,
        onset: raw.onset.as_deref().and_then(|text| text.parse().ok()),
        sex: match raw.sex.as_deref() {
            Some("M") => Some(Sex::Male),
            Some("F") => Some(Sex::Female),
            _ => None,
        },
        ..Presentation::default()
    };
    let (mut findings, _) = Findings::read(ontology, &presentation)
        .map_err(|source| CaseError::Refused { line, source })?;
    findings.age = raw.age.as_deref().and_then(age);
    let mut order = Vec::new();
    for &id in &presentation.observed {
        if let Some(term) = ontology.resolve(id).term()
            && findings.observed().contains(&term)
            && !order.contains(&term)
        {
            order.push(term);
        }
    }
    let known = raw
        .diseases
        .iter()
        .filter_map(|text| text.parse::<DiseaseId>().ok())
        .filter_map(|id| ontology.find_disease(id))
        .collect();
    Ok(Case {
        id: raw.id,
        corpus: match raw.corpus.as_str() {
            "pps" => Corpus::PhenopacketStore,
            "pheval_lirical" => Corpus::Lirical,
            "phenobrain_public" => Corpus::PhenoBrain,
            "pheval_structural_variants" => Corpus::StructuralVariants,
            _ => Corpus::Other,
        },
        in_hpoa: raw.in_hpoa,
        cited: raw.cited,
        diseases: raw.diseases,
        known,
        findings,
        order,
        paper: raw.pmid,
    })
}

/// An ISO 8601 duration or an HPO onset term, as an age class.
fn age(text: &str) -> Option<OnsetClass> {
    if let Ok(term) = text.parse::<HpoId>() {
        return OnsetClass::of_term(term).map(|(from, _)| from);
    }
    let date = text.strip_prefix('P')?.split('T').next()?;
    let (mut days, mut number) = (0.0_f64, String::new());
    for c in date.chars() {
        let unit = match c {
            'Y' => 365.25,
            'M' => 30.44,
            'W' => 7.0,
            'D' => 1.0,
            _ => {
                number.push(c);
                continue;
            }
        };
        days += number.parse::<f64>().ok()? * unit;
        number.clear();
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to what an age can be"
    )]
    Some(OnsetClass::of_age(days.clamp(0.0, 100_000.0) as u32))
}
