//! The ranking with its evidence, by ids and names.

use crate::{
    Term,
    words::{Strength, Telling},
};
use diagnosis::{Differential, Way};
use ontology::{DiseaseIx, Ontology};
use serde::Serialize;

/// A disease by name.
#[derive(Serialize)]
pub struct Named {
    /// Such as `OMIM:154700`.
    pub id: String,
    /// Its name.
    pub name: String,
}

impl Named {
    fn of(ontology: &Ontology, ix: DiseaseIx) -> Self {
        let disease = ontology.disease(ix);
        Self {
            id: disease.id().to_string(),
            name: disease.name().to_owned(),
        }
    }
}

/// One disease of the ranking.
#[derive(Serialize)]
pub struct Candidate {
    /// Its place, from 1.
    pub rank: usize,
    /// Which.
    #[serde(flatten)]
    pub disease: Named,
    /// Symbols of its genes.
    pub genes: Vec<String>,
    /// Calibrated, 0 to 1.
    pub probability: f64,
    /// Why.
    pub evidence: Grounds,
}

/// The evidence on one disease; each list by weight, the heaviest first.
#[derive(Serialize)]
pub struct Grounds {
    /// What speaks for it.
    #[serde(rename = "for")]
    pub supporting: Vec<Evidence>,
    /// What speaks against it.
    #[serde(rename = "against")]
    pub opposing: Vec<Evidence>,
    /// Frequent features of the disease that were not reported: the heaviest, at most
    /// [`diagnosis::MAX_MISSING`].
    pub missing: Vec<Missing>,
}

/// One finding and what it says of a disease.
#[derive(Serialize)]
pub struct Evidence {
    /// The finding.
    #[serde(flatten)]
    pub term: Term,
    /// Whether it was looked for and not seen.
    pub excluded: bool,
    /// Natural logarithm of a likelihood ratio.
    pub log_likelihood_ratio: f32,
    /// The same in a word.
    pub strength: Strength,
    /// What of the disease it was matched with; null where the disease shows nothing of the kind.
    pub matched: Option<Matched>,
    /// The sources say that this disease does not show it.
    pub said_absent: bool,
}

/// What of a disease a finding was matched with.
#[derive(Serialize)]
pub struct Matched {
    /// The finding itself, or something more general.
    #[serde(flatten)]
    pub term: Term,
    /// Whether it is the finding itself.
    pub exact: bool,
    /// How often the disease shows it, 0 to 1.
    pub frequency: f32,
    /// How often the diseases show it on average, 0 to 1.
    pub background: f32,
}

/// A feature of the disease that was not reported.
#[derive(Serialize)]
pub struct Missing {
    /// The feature.
    #[serde(flatten)]
    pub term: Term,
    /// How often the disease shows it, 0 to 1.
    pub frequency: f32,
    /// Natural logarithm of what its absence costs.
    pub log_likelihood_ratio: f32,
    /// The same in a word.
    pub strength: Strength,
}

/// One suggestion of what to look for.
#[derive(Serialize)]
pub struct Next {
    /// `examine`, `ask` or `test`.
    pub way: &'static str,
    /// What.
    #[serde(flatten)]
    pub term: Term,
    /// Terms that would tell nearly the same.
    pub alike: Vec<Term>,
    /// LOINC codes of tests, where there are any.
    pub loinc: Vec<String>,
    /// How much its answer tells, in bits; at most 1.
    pub gain_bits: f64,
    /// The same in a word.
    pub telling: Telling,
    /// Probability that it is there, 0 to 1.
    pub probability: f64,
    /// The candidates that it would speak for most.
    pub speaks_for: Vec<Named>,
    /// The case suggests it already: to be repeated or confirmed.
    pub suggested: bool,
}

/// One gene of the panel.
#[derive(Serialize)]
pub struct PanelGene {
    /// HGNC symbol; empty for the few genes that the sources only number.
    pub symbol: String,
    /// NCBI's number.
    pub ncbi: Option<u32>,
    /// Probability that it is the cause, 0 to 1.
    pub probability: f64,
    /// Of this gene and all before it.
    pub cumulative: f64,
}

pub(crate) fn candidates(ontology: &Ontology, differential: &Differential) -> Vec<Candidate> {
    (1..)
        .zip(&differential.candidates)
        .map(|(rank, candidate)| {
            let disease = candidate.ranked.disease;
            let symbols = ontology.disease(disease).genes().iter();
            Candidate {
                rank,
                disease: Named::of(ontology, disease),
                genes: symbols
                    .map(|&gene| ontology.gene(gene).symbol().to_owned())
                    .filter(|symbol| !symbol.is_empty())
                    .collect(),
                probability: candidate.ranked.posterior,
                evidence: grounds(ontology, &candidate.explanation),
            }
        })
        .collect()
}

fn grounds(ontology: &Ontology, explanation: &diagnosis::Explanation) -> Grounds {
    let evidence = |e: &diagnosis::Evidence| Evidence {
        term: Term::of(ontology, e.term),
        excluded: e.excluded,
        log_likelihood_ratio: e.weight,
        strength: Strength::of(e.weight),
        matched: e.matched.map(|matched| Matched {
            term: Term::of(ontology, matched.term),
            exact: matched.term == e.term,
            frequency: matched.frequency,
            background: matched.background,
        }),
        said_absent: e.said_absent,
    };
    Grounds {
        supporting: explanation.supporting.iter().map(evidence).collect(),
        opposing: explanation.opposing.iter().map(evidence).collect(),
        missing: explanation
            .missing
            .iter()
            .map(|m| Missing {
                term: Term::of(ontology, m.term),
                frequency: m.frequency,
                log_likelihood_ratio: m.weight,
                strength: Strength::of(m.weight),
            })
            .collect(),
    }
}

pub(crate) fn next(ontology: &Ontology, differential: &Differential) -> Vec<Next> {
    let one = |next: &diagnosis::NextFinding| {
        let codes = next.laboratory.iter().flat_map(|tests| &tests.codes);
        Next {
            way: match next.way {
                Way::Examine => "examine",
                Way::Ask => "ask",
                Way::Test => "test",
            },
            term: Term::of(ontology, next.term),
            alike: next.alike.iter().map(|&t| Term::of(ontology, t)).collect(),
            loinc: codes.map(ToString::to_string).collect(),
            gain_bits: next.gain_bits,
            telling: Telling::of(next.gain_bits),
            probability: next.probability,
            speaks_for: next
                .separates
                .iter()
                .map(|&d| Named::of(ontology, d))
                .collect(),
            suggested: next.tentative,
        }
    };
    differential.next.iter().map(one).collect()
}

pub(crate) fn panel(ontology: &Ontology, differential: &Differential) -> Vec<PanelGene> {
    let one = |listed: &diagnosis::PanelGene| {
        let gene = ontology.gene(listed.gene);
        PanelGene {
            symbol: gene.symbol().to_owned(),
            ncbi: gene.ncbi(),
            probability: listed.mass,
            cumulative: listed.cumulative,
        }
    };
    differential.genes.iter().map(one).collect()
}
