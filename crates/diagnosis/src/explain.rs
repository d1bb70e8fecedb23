//! Why a candidate stands where it stands: what speaks for it, against it, and what is missing.

use crate::{
    features::exclusion_cost,
    math::ln,
    model::UNEXPLAINED,
    session::Session,
    stage::{Query, narrow},
};
use ontology::{DiseaseIx, TermIx};

/// What of the disease a finding was matched with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// The finding itself, or the more general term that the disease shows.
    pub term: TermIx,
    /// How often the disease shows it, 0 to 1.
    pub frequency: f32,
    /// How often any disease of the model shows it, 0 to 1.
    pub background: f32,
}

/// One finding and what it says of a disease.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// The finding.
    pub term: TermIx,
    /// Whether it was looked for and not seen.
    pub excluded: bool,
    /// Natural logarithm of a likelihood ratio: for the disease above 0, against it below.
    pub weight: f32,
    /// What it was matched with; `None` where the disease shows nothing of the kind.
    pub matched: Option<Match>,
    /// The sources say that this disease does not show it.
    pub said_absent: bool,
}

/// A feature of the disease that the patient does not show, or not known to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Missing {
    /// The feature.
    pub term: TermIx,
    /// How often the disease shows it, 0 to 1.
    pub frequency: f32,
    /// Cost in logs, below 0.
    pub weight: f32,
}

/// The evidence on one disease; each list by weight, the heaviest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explanation {
    /// Findings that speak for it.
    pub supporting: Vec<Evidence>,
    /// Findings, seen or excluded, that speak against it.
    pub opposing: Vec<Evidence>,
    /// Frequent features that nobody spoke of: neither seen nor excluded, by themselves or as a kind of something.
    pub missing: Vec<Missing>,
}

/// Features are listed as missing from this frequency.
const MISSING_FROM: f32 = 0.3;
/// How many missing features are listed at most: the heaviest.
pub const MAX_MISSING: usize = 12;

impl Session<'_> {
    pub(crate) fn explain(&self, query: &Query<'_>, disease: DiseaseIx) -> Explanation {
        let model = self.model();
        let Some(slot) = model.slot(disease) else {
            return Explanation::default();
        };
        let profile = self.shown(slot);
        let mut out = Explanation::default();
        let said_absent = |term: u32| profile.absent.binary_search(&term).is_ok();
        for (finding, &term) in query.observed.iter().enumerate() {
            let mut best = (0.0_f32, None);
            for link in query.links.row(finding) {
                let ancestor = query.closure[usize::from(link.place)];
                let frequency = profile.frequency(ancestor);
                let ratio = frequency * link.narrow;
                if ratio > best.0 {
                    let background = model.shown_background[ancestor as usize];
                    best = (
                        ratio,
                        Some(Match {
                            term: model.terms[ancestor as usize],
                            frequency,
                            background,
                        }),
                    );
                }
            }
            let evidence = Evidence {
                term: model.terms[term as usize],
                excluded: false,
                weight: narrow(best.0),
                matched: best.1,
                said_absent: said_absent(term),
            };
            if evidence.weight > 0.0 && !evidence.said_absent {
                out.supporting.push(evidence);
            } else {
                out.opposing.push(evidence);
            }
        }
        for &term in &query.excluded {
            let frequency = profile.frequency(term);
            let weight = exclusion_cost(frequency);
            if weight < 0.0 {
                out.opposing.push(Evidence {
                    term: model.terms[term as usize],
                    excluded: true,
                    weight,
                    matched: Some(Match {
                        term: model.terms[term as usize],
                        frequency,
                        background: model.shown_background[term as usize],
                    }),
                    said_absent: false,
                });
            }
        }
        let is_excluded = |term: u32| {
            let mut above = model.ancestors.row(term as usize).iter();
            above.any(|(ancestor, _)| query.excluded.binary_search(ancestor).is_ok())
        };
        for &(term, frequency) in &profile.annotated {
            let similarity = query.similarity[term as usize];
            if frequency >= MISSING_FROM && similarity < 0.5 && !is_excluded(term) {
                out.missing.push(Missing {
                    term: model.terms[term as usize],
                    frequency,
                    weight: ln(1.0 - UNEXPLAINED * frequency * (1.0 - similarity)),
                });
            }
        }
        out.supporting
            .sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.term.cmp(&b.term)));
        out.opposing
            .sort_by(|a, b| a.weight.total_cmp(&b.weight).then(a.term.cmp(&b.term)));
        out.missing
            .sort_by(|a, b| a.weight.total_cmp(&b.weight).then(a.term.cmp(&b.term)));
        out.missing.truncate(MAX_MISSING);
        out
    }
}
