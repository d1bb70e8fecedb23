//! What leaves for research: the attacks on it, what they achieved, and what use is left.

mod phenotype;

use super::PrivacyOptions;
use anyhow::Result;
use serde::Serialize;

/// The whole answer of the bench.
#[derive(Serialize)]
struct Answer {
    /// Clustered phenotype extracts.
    phenotype: phenotype::Answer,
}

#[expect(clippy::print_stdout, reason = "what was measured")]
pub(super) fn run(options: &PrivacyOptions) -> Result<()> {
    let answer = Answer {
        phenotype: phenotype::run(options)?,
    };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        println!("{}", answer.phenotype.shown());
    }
    Ok(())
}
