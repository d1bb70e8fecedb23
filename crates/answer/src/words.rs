//! Numbers in words: how probable, how strong evidence is and on what it rests, how much a question would
//! tell, and which versions an answer rests on.

use crate::{Evidence, Missing, Versions};
use serde::Serialize;

/// A fraction as per cent; never 0 or 100 unless it is nothing.
#[must_use]
pub fn percent(fraction: f64) -> String {
    match fraction * 100.0 {
        p if p <= 0.0 => "0%".to_owned(),
        p if p < 0.1 => "under 0.1%".to_owned(),
        p if p < 9.95 => format!("{p:.1}%"),
        p if p < 99.5 => format!("{p:.0}%"),
        _ => "over 99%".to_owned(),
    }
}

impl Evidence {
    /// On what it rests, in words.
    #[must_use]
    pub fn ground(&self) -> String {
        if self.said_absent {
            return "said not to occur in it".to_owned();
        }
        let Some(matched) = &self.matched else {
            return "it shows nothing of the kind".to_owned();
        };
        let frequency = percent(f64::from(matched.frequency));
        if self.excluded {
            return format!("excluded, but {frequency} have it");
        }
        let through = match matched.exact {
            true => String::new(),
            false if self.log_likelihood_ratio > 0.0 => format!("as {}: ", matched.term.label),
            false => format!("only as {}: ", matched.term.label),
        };
        let background = percent(f64::from(matched.background));
        format!("{through}{frequency} have it, {background} over all diseases")
    }
}

impl Missing {
    /// On what it rests, in words.
    #[must_use]
    pub fn ground(&self) -> String {
        format!(
            "{} have it, not reported",
            percent(f64::from(self.frequency))
        )
    }
}

impl Versions {
    /// Program, model and data in one clause, without a full stop.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut sources: Vec<String> = Vec::new();
        for source in &self.sources {
            let version = source.version.as_deref().unwrap_or("of no stated version");
            // Of an address of a release, the release.
            let (_, version) = version.rsplit_once("releases/").unwrap_or(("", version));
            let version = version.split('/').next().unwrap_or_default();
            let version = version.split(" (").next().unwrap_or_default();
            let name = match source.file.as_str() {
                "hp.obo" | "phenotype.hpoa" | "genes_to_phenotype.txt" => "HPO",
                "orphanet.jsonl" => "Orphanet",
                "loinc2hpo-annotations.tsv" => "loinc2hpo",
                mondo if mondo.starts_with("mondo") => "Mondo",
                other => other,
            };
            let named = format!("{name} {version}");
            if !sources.contains(&named) {
                sources.push(named);
            }
        }
        format!(
            "ithaca {}; model {}, fitted on {} published cases of {} diseases; {}",
            self.program,
            self.model,
            self.model_fitted_on.cases,
            self.model_fitted_on.diseases,
            sources.join(", ")
        )
    }
}

/// How strong a likelihood ratio is, either way. Bounds as in Jaeschke et al., JAMA 1994: "Users'
/// guides to the medical literature III".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Under 2, over a half.
    Slight,
    /// From 2, or a half.
    Weak,
    /// From 5, or a fifth.
    Moderate,
    /// From 10, or a tenth.
    Strong,
}

impl Strength {
    /// Of a natural logarithm of a likelihood ratio.
    #[must_use]
    pub fn of(weight: f32) -> Self {
        let bounds = [
            (10.0_f32, Self::Strong),
            (5.0, Self::Moderate),
            (2.0, Self::Weak),
        ];
        bounds
            .into_iter()
            .find(|(ratio, _)| weight.abs() >= ratio.ln())
            .map_or(Self::Slight, |(_, strength)| strength)
    }

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Slight => "slight",
            Self::Weak => "weak",
            Self::Moderate => "moderate",
            Self::Strong => "strong",
        }
    }
}

/// How much the answer to a question of yes or no would tell; it cannot tell more than 1 bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Telling {
    /// Under 0.15 bits.
    Little,
    /// From 0.15 bits.
    Some,
    /// From 0.4 bits.
    Much,
}

impl Telling {
    /// Of a gain in bits.
    #[must_use]
    pub fn of(gain_bits: f64) -> Self {
        match gain_bits {
            bits if bits >= 0.4 => Self::Much,
            bits if bits >= 0.15 => Self::Some,
            _ => Self::Little,
        }
    }

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Little => "tells little",
            Self::Some => "tells some",
            Self::Much => "tells much",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strength_is_the_same_for_and_against() {
        for (ratio, expect) in [
            (1.9_f32, Strength::Slight),
            (2.1, Strength::Weak),
            (5.1, Strength::Moderate),
            (10.1, Strength::Strong),
        ] {
            assert_eq!(Strength::of(ratio.ln()), expect);
            assert_eq!(Strength::of((1.0 / ratio).ln()), expect);
        }
    }
}
