//! One answer to "what may this patient have?", ready to be shown or sent.
//!
//! - In: a [`findings::Case`], the [`Ontology`] it was read with, and the [`Model`]. Out: an [`Answer`]:
//!   what was understood of the case, the ranked diseases with their evidence, what to look for next,
//!   which genes to read, the versions of all it rests on, and the [`STATEMENT`].
//! - Everything in it is an id with its label or a number: probabilities and frequencies are fractions
//!   of 1, ages days, gains bits, weights natural logarithms of likelihood ratios. It serialises under
//!   stable names ([`FORMAT`]). What is left out for want of room is counted, never dropped silently.
//! - What counts of a case: observed and excluded findings, onset, age, sex, and genes by the rule of
//!   [`Weighed`]. What is only suggested is shown and not ranked by; a recorded diagnosis is shown and
//!   never used.
//!
//! Errors: those of [`diagnosis::Refused`]. `Debug` shows nothing of the person. It renders nothing,
//! keeps nothing, and reads no clock, file or network.

mod basis;
mod genes;
mod understood;
mod words;

pub use basis::{Candidate, Evidence, Grounds, Matched, Missing, Named, Next, PanelGene};
pub use genes::{CaseGene, Weighed};
pub use understood::{Age, Conflict, Count, Finding, NotUnderstood, Recorded, Understood};
pub use words::{Strength, Telling, percent};

use diagnosis::{Abstained, CaseCounts, Findings, Model, Presentation, Refused, Session};
use ontology::{DiseaseIx, Ontology, TermIx};
use serde::Serialize;

/// What stands on every answer.
pub const STATEMENT: &str = "Research and evaluation build. Not a diagnosis; not for clinical use; not CE-marked \
                             or FDA-cleared; for professionals who can review its basis.";

/// The name and version of the serialised form.
pub const FORMAT: &str = "ithaca-differential/1";

/// How to answer.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// How many candidates are given, each with its evidence.
    pub limit: usize,
    /// Whether the case's genes are weighed in.
    pub genes: bool,
    /// Where cases of the model's are this patient's, or of the same paper: their diseases, and the counts
    /// without them.
    pub aside: &'a [(DiseaseIx, CaseCounts)],
}

/// What of a case is ranked by; with its genes, if they are to be weighed in.
#[must_use]
pub fn presentation(ontology: &Ontology, case: &findings::Case, genes: bool) -> Presentation {
    understood::presentation(ontology, case, &genes::weigh(ontology, case, genes))
}

/// The answer for one case at one moment.
#[derive(Serialize)]
pub struct Answer {
    /// [`FORMAT`].
    pub format: &'static str,
    /// [`STATEMENT`].
    pub statement: &'static str,
    /// What it rests on.
    pub versions: Versions,
    /// What was understood of the case.
    pub understood: Understood,
    /// Why nothing is suggested, if so; the candidates show the basis all the same.
    pub abstained: Option<Abstention>,
    /// Diseases, most probable first.
    pub candidates: Vec<Candidate>,
    /// Probability of all diseases that are not among the candidates.
    pub others: f64,
    /// What to look for next, most telling first.
    pub next: Vec<Next>,
    /// Genes by the probability that they are the cause.
    pub genes: Vec<PanelGene>,
}

/// An HPO term.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Term {
    /// Such as `HP:0001250`.
    pub id: String,
    /// Its name.
    pub label: String,
}

impl Term {
    pub(crate) fn of(ontology: &Ontology, ix: TermIx) -> Self {
        let term = ontology.term(ix);
        Self {
            id: term.id().to_string(),
            label: term.label().to_owned(),
        }
    }
}

/// Why nothing is suggested.
#[derive(Serialize)]
pub struct Abstention {
    /// `no_findings` or `undecided`.
    pub reason: &'static str,
    /// The probability of the best candidate, if there is one.
    pub best: Option<f64>,
    /// The probability from which a candidate would be suggested.
    pub suggested_from: f64,
}

/// What an answer rests on.
#[derive(Serialize)]
pub struct Versions {
    /// Of this program.
    pub program: &'static str,
    /// Of the fitted weights.
    pub model: u32,
    /// What these were fitted on.
    pub model_fitted_on: FittedOn,
    /// The data.
    pub sources: Vec<DataSource>,
}

/// What the weights were fitted on.
#[derive(Serialize)]
pub struct FittedOn {
    /// The file of cases: the first digits of its digest.
    pub case_file: String,
    /// How many cases were used.
    pub cases: usize,
    /// Of how many diseases.
    pub diseases: usize,
}

/// One file of the data.
#[derive(Serialize)]
pub struct DataSource {
    /// What it is.
    pub title: &'static str,
    /// The file's name.
    pub file: String,
    /// Its version, where it states one.
    pub version: Option<String>,
    /// Its XXH3-128 digest, hexadecimal.
    pub xxh3_128: String,
}

impl Answer {
    /// Ranks what a case says. `ontology` is the one that the case was read with and the model made of.
    pub fn new(
        ontology: &Ontology,
        model: &Model,
        case: &findings::Case,
        options: &Options<'_>,
    ) -> Result<Self, Refused> {
        let genes = genes::weigh(ontology, case, options.genes);
        let presentation = understood::presentation(ontology, case, &genes);
        let (findings, notes) = Findings::read(ontology, &presentation)?;
        let understood = understood::of(ontology, case, genes, &notes);
        let mut session = Session::new(model, findings);
        for (disease, counts) in options.aside {
            session.set_aside(ontology, *disease, counts);
        }
        let differential = session.differential(options.limit);
        let candidates = basis::candidates(ontology, &differential);
        let shown: f64 = candidates.iter().map(|c| c.probability).sum();
        Ok(Self {
            format: FORMAT,
            statement: STATEMENT,
            versions: versions(ontology, model),
            understood,
            abstained: differential.abstained.map(|why| Abstention {
                reason: match why {
                    Abstained::NoFindings => "no_findings",
                    Abstained::Undecided { .. } => "undecided",
                },
                best: match why {
                    Abstained::NoFindings => None,
                    Abstained::Undecided { best } => Some(best),
                },
                suggested_from: Abstained::UNDER,
            }),
            others: (1.0 - shown).clamp(0.0, 1.0),
            candidates,
            next: basis::next(ontology, &differential),
            genes: basis::panel(ontology, &differential),
        })
    }
}

fn versions(ontology: &Ontology, model: &Model) -> Versions {
    let weights = model.weights();
    let fitted = &weights.fitted_on;
    Versions {
        program: env!("CARGO_PKG_VERSION"),
        model: weights.version,
        model_fitted_on: FittedOn {
            case_file: fitted.case_file.clone(),
            cases: fitted.cases_used,
            diseases: fitted.diseases,
        },
        sources: ontology
            .versions()
            .map(|source| DataSource {
                title: source.kind.attribution().title,
                file: source.kind.file_name().to_owned(),
                version: (!source.version.is_empty()).then(|| source.version.to_owned()),
                xxh3_128: format!("{:032x}", source.digest),
            })
            .collect(),
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer(<redacted>)")
    }
}
