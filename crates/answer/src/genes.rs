//! Which genes of a case are weighed in, and how much.

use diagnosis::GeneWeight;
use findings::{CandidateGene, Case, Pathogenicity, Status};
use ontology::Ontology;
use serde::Serialize;

/// Whether a gene of the case was weighed in.
///
/// Weighed in is a gene that somebody calls causative, contributory or a candidate, with the
/// probability that its variant is what makes ill, by what is said of it and nothing else:
///
/// - The class, on the scale of odds of Tavtigian et al. (Genetics in Medicine 2018), over the odds of
///   their prior of 0.1. The middle of what each ACMG class stands for: pathogenic 0.99 (891 times the
///   prior's odds), likely pathogenic 0.97 (291), uncertain 0.5 (9). Without a class: of a gene that is
///   called causative, the least that a report would call likely pathogenic, 0.9 (81); of others, one
///   piece of supporting evidence (2.08).
/// - The status: how likely it is that the variant bears on this illness at all, and is not a chance
///   find that says nothing: causative 1, contributory 0.5, candidate 0.1. So the ratio is
///   `1 + status * (class - 1)`.
///
/// How many genes are named bounds what each is worth further, in [`diagnosis`]. A variant of uncertain
/// significance never decides alone: ACMG's rules keep it out of decisions, and a ratio of 9 at most is
/// what one telling finding is worth. A gene that was rejected, that has benign or likely benign variants
/// at most, or of which nobody says what it is to the illness, is left out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighed {
    /// With this probability that its variant is what makes ill.
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

/// Odds of a variant being pathogenic before anything is said of it.
const PRIOR_ODDS: f32 = GeneWeight::PRIOR / (1.0 - GeneWeight::PRIOR);

fn weighed(status: Status, pathogenicity: Pathogenicity) -> Weighed {
    let bears_on_it = match status {
        Status::Unknown => return Weighed::NoStatus,
        Status::Rejected => return Weighed::Rejected,
        Status::Candidate => 0.1,
        Status::Contributory => 0.5,
        Status::Causative => 1.0,
    };
    let over_prior = |p: f32| p / (1.0 - p) / PRIOR_ODDS;
    let class = match pathogenicity {
        Pathogenicity::Benign | Pathogenicity::LikelyBenign => return Weighed::Benign,
        Pathogenicity::NotProvided if status == Status::Causative => over_prior(0.9),
        Pathogenicity::NotProvided => 2.08,
        Pathogenicity::Uncertain => over_prior(0.5),
        Pathogenicity::LikelyPathogenic => over_prior(0.97),
        Pathogenicity::Pathogenic => over_prior(0.99),
    };
    let odds = PRIOR_ODDS * (1.0 + bears_on_it * (class - 1.0));
    Weighed::With(odds / (1.0 + odds))
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
        // The class of a causative variant, as it is; nothing is less than what nothing is said of.
        assert!((causative - 0.97).abs() < 1e-6 && plain > GeneWeight::PRIOR);
        let unclassified = with(Status::Causative, Pathogenicity::NotProvided);
        assert!((unclassified - 0.9).abs() < 1e-6);
        for status in [Status::Candidate, Status::Contributory, Status::Causative] {
            // Nine times the prior's odds at most.
            assert!(with(status, Pathogenicity::Uncertain) < 0.5 + 1e-6);
        }
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
