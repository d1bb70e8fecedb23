//! What leaves for research: the attacks on it, what they achieved, and what use is left; and how much tables lose,
//! beside other tools of the same run.

mod phenotype;
mod tabular;

use super::{PrivacyOptions, PrivacyPart};
use anyhow::Result;
use serde::Serialize;

/// The whole answer of the bench.
#[derive(Serialize)]
struct Answer {
    /// Clustered phenotype extracts.
    #[serde(skip_serializing_if = "Option::is_none")]
    phenotype: Option<phenotype::Answer>,
    /// Generalised tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    tabular: Option<Vec<tabular::Row>>,
}

#[expect(clippy::print_stdout, reason = "what was measured")]
pub(super) fn run(options: &PrivacyOptions) -> Result<()> {
    let wants = |part| options.only.is_none_or(|only| only == part);
    let mut answer = Answer {
        phenotype: None,
        tabular: None,
    };
    if wants(PrivacyPart::Phenotype) {
        answer.phenotype = Some(phenotype::run(options)?);
    }
    if wants(PrivacyPart::Tabular) {
        answer.tabular = Some(tabular::measure(options.python.as_deref())?);
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    if let Some(phenotype) = &answer.phenotype {
        println!("{}", phenotype.shown());
    }
    if let Some(tabular) = &answer.tabular {
        println!("{}", tabular::shown(tabular));
    }
    Ok(())
}
