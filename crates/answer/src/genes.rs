//! Which genes of a case are weighed in, and how much.

use diagnosis::GeneWeight;
use findings::{CandidateGene, Case, Pathogenicity, Status};
use ontology::Ontology;
use serde::Serialize;

/// Whether a gene of the case was weighed in.
///
/// Weighed in is a gene that somebody calls causative (1), contributory (0.5) or a candidate (0.1),
/// times the probability that its variant is pathogenic. That is the middle, on the scale of odds, of
/// what the ACMG class stands for (Tavtigian et al., Genetics in Medicine 2018): pathogenic 0.99, likely
/// pathogenic 0.97, uncertain 0.5; without a class their prior, 0.1. Only the proportions between the
/// genes of a case matter. A gene that was rejected, that has benign or likely benign variants at
/// most, or of which nobody says what it is to the illness, is left out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighed {
    /// With this weight.
    With(f32),
    /// Nobody says what it is to the illness.
    NoStatus,
    /// It was rejected.
    Rejected,
    /// Its variants are benign or likely benign.
    Benign,
    /// The data have no disease of it.
    Unknown,
    /// It was not asked for.
    NotAsked,
}

impl Weighed {
    /// In words, for a gene that is not weighed in.
    #[must_use]
    pub const fn why_not(self) -> Option<&'static str> {
        Some(match self {
            Self::With(_) => return None,
            Self::NoStatus => "nobody says what it is to the illness",
            Self::Rejected => "rejected",
            Self::Benign => "benign or likely benign",
            Self::Unknown => "no disease of it is known here",
            Self::NotAsked => "left out as asked",
        })
    }
}

/// A gene that the case names.
#[derive(Serialize)]
pub struct CaseGene {
    /// Its symbol; its id where none was given.
    pub symbol: String,
    /// `unknown`, `rejected`, `candidate`, `contributory`, `causative`.
    pub status: &'static str,
    /// `not_provided`, `benign`, `likely_benign`, `uncertain`, `likely_pathogenic`, `pathogenic`.
    pub pathogenicity: &'static str,
    /// Whether it was weighed in.
    pub weighed: Weighed,
}

impl CaseGene {
    pub(crate) fn weight(&self) -> Option<GeneWeight> {
        match self.weighed {
            Weighed::With(weight) => Some(GeneWeight {
                symbol: self.symbol.clone(),
                weight,
            }),
            _ => None,
        }
    }
}

pub(crate) fn weigh(ontology: &Ontology, case: &Case, asked: bool) -> Vec<CaseGene> {
    let one = |gene: &CandidateGene| {
        let known = gene.gene.map(|ix| ontology.gene(ix).symbol());
        let known = known.filter(|symbol| !symbol.is_empty());
        let given = [gene.symbol.as_str(), gene.id.as_str()];
        let given = given.into_iter().find(|name| !name.is_empty());
        CaseGene {
            symbol: known.or(given).unwrap_or_default().to_owned(),
            status: status(gene.status),
            pathogenicity: pathogenicity(gene.pathogenicity),
            weighed: match known {
                _ if !asked => Weighed::NotAsked,
                None => Weighed::Unknown,
                Some(_) => weighed(gene.status, gene.pathogenicity),
            },
        }
    };
    case.genes.iter().map(one).collect()
}

fn weighed(status: Status, pathogenicity: Pathogenicity) -> Weighed {
    let role = match status {
        Status::Unknown => return Weighed::NoStatus,
        Status::Rejected => return Weighed::Rejected,
        Status::Candidate => 0.1,
        Status::Contributory => 0.5,
        Status::Causative => 1.0,
    };
    let pathogenic = match pathogenicity {
        Pathogenicity::Benign | Pathogenicity::LikelyBenign => return Weighed::Benign,
        Pathogenicity::NotProvided => 0.1,
        Pathogenicity::Uncertain => 0.5,
        Pathogenicity::LikelyPathogenic => 0.97,
        Pathogenicity::Pathogenic => 0.99,
    };
    Weighed::With(role * pathogenic)
}

const fn status(status: Status) -> &'static str {
    match status {
        Status::Unknown => "unknown",
        Status::Rejected => "rejected",
        Status::Candidate => "candidate",
        Status::Contributory => "contributory",
        Status::Causative => "causative",
    }
}

const fn pathogenicity(class: Pathogenicity) -> &'static str {
    match class {
        Pathogenicity::NotProvided => "not_provided",
        Pathogenicity::Benign => "benign",
        Pathogenicity::LikelyBenign => "likely_benign",
        Pathogenicity::Uncertain => "uncertain",
        Pathogenicity::LikelyPathogenic => "likely_pathogenic",
        Pathogenicity::Pathogenic => "pathogenic",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gene_counts_by_what_is_said_of_it() {
        let with = |status, class| match weighed(status, class) {
            Weighed::With(weight) => weight,
            other => panic!("{other:?}"),
        };
        let causative = with(Status::Causative, Pathogenicity::LikelyPathogenic);
        let candidate = with(Status::Candidate, Pathogenicity::Pathogenic);
        let uncertain = with(Status::Candidate, Pathogenicity::Uncertain);
        let plain = with(Status::Candidate, Pathogenicity::NotProvided);
        assert!(causative > candidate && candidate > uncertain && uncertain > plain);
        for (status, class, expect) in [
            (
                Status::Rejected,
                Pathogenicity::Pathogenic,
                Weighed::Rejected,
            ),
            (
                Status::Unknown,
                Pathogenicity::Pathogenic,
                Weighed::NoStatus,
            ),
            (
                Status::Candidate,
                Pathogenicity::LikelyBenign,
                Weighed::Benign,
            ),
        ] {
            assert_eq!(weighed(status, class), expect);
        }
    }
}
