//! What was understood of a case, and what of it is ranked by.

use crate::{Term, genes::CaseGene};
use diagnosis::Presentation;
use findings::{Basis, Case, Decision, Format, LeftOut, Note, Progress, State, When};
use ontology::{Ontology, Sex};
use serde::Serialize;

/// What was understood of a case.
#[derive(Serialize)]
pub struct Understood {
    /// `phenopacket`, `fhir`, `list` or `records`.
    pub format: &'static str,
    /// `female` or `male`, where it is known to be one.
    pub sex: Option<&'static str>,
    /// At the last examination.
    pub age: Option<Age>,
    /// When it began.
    pub onset: Option<Age>,
    /// Seen.
    pub observed: Vec<Finding>,
    /// Looked for and not there.
    pub excluded: Vec<Finding>,
    /// Suggested by a laboratory value or an unconfirmed condition: not ranked by until repeated or
    /// confirmed.
    pub suggested: Vec<Finding>,
    /// Suggested to be absent: not ranked by either.
    pub suggested_absent: Vec<Finding>,
    /// Genes that the case names.
    pub genes: Vec<CaseGene>,
    /// What was not understood; nothing of it counts.
    pub not_understood: Vec<NotUnderstood>,
    /// What was said both ways.
    pub contradictions: Vec<Conflict>,
    /// Statements that were passed over, by reason.
    pub passed_over: Vec<Count>,
    /// What should be looked at once more, in sentences.
    pub notes: Vec<String>,
    /// Diagnoses that the case records: never used.
    pub recorded_diagnoses: Vec<Recorded>,
}

/// An age, or a stage of life.
#[derive(Serialize)]
pub struct Age {
    /// The HPO term, if it was given as one.
    pub term: Option<Term>,
    /// At least, in completed days.
    pub from_days: Option<u32>,
    /// At most.
    pub to_days: Option<u32>,
}

/// One finding of the case.
#[derive(Serialize)]
pub struct Finding {
    /// Which.
    #[serde(flatten)]
    pub term: Term,
    /// The text or id as it was handed over.
    pub as_given: String,
    /// `stated`, `provisional`, `laboratory`, `laboratory_repeated`, `laboratory_confirmed`.
    pub basis: &'static str,
    /// When it began.
    pub onset: Option<Age>,
    /// How many statements say so.
    pub sources: usize,
}

/// Something that was not understood.
#[derive(Serialize)]
pub struct NotUnderstood {
    /// As it was handed over.
    pub as_given: String,
    /// Whether it was said to be absent.
    pub excluded: bool,
    /// Where it stands.
    pub place: String,
    /// Why, and what to do.
    pub why: String,
    /// What may be meant.
    pub suggestions: Vec<Term>,
}

/// Something that was said both ways.
#[derive(Serialize)]
pub struct Conflict {
    /// What is there, or may be.
    pub present: Term,
    /// What is said to be absent: the same, or what that is a kind of.
    pub absent: Term,
    /// `observed`, `retracted` or `open`.
    pub decision: &'static str,
    /// The decision in words.
    pub decided: &'static str,
}

/// How many statements were passed over, and why.
#[derive(Serialize)]
pub struct Count {
    /// Why, in words.
    pub reason: &'static str,
    /// How many.
    pub count: usize,
}

/// A diagnosis that the case records.
#[derive(Serialize)]
pub struct Recorded {
    /// Its id.
    pub id: String,
    /// Its name; may be empty.
    pub label: String,
    /// Whether it was excluded.
    pub excluded: bool,
    /// `unknown`, `in_progress`, `completed`, `solved`, `unsolved`.
    pub progress: &'static str,
    /// Always false.
    pub used: bool,
}

/// What of a case is ranked by.
pub(crate) fn presentation(ontology: &Ontology, case: &Case, genes: &[CaseGene]) -> Presentation {
    let terms = |state| {
        let terms = case.terms(state);
        terms.map(|term| ontology.term(term).id()).collect()
    };
    let onset = case.onset.and_then(|onset| onset.onset_term(ontology));
    Presentation {
        observed: terms(State::Observed),
        excluded: terms(State::Excluded),
        tentative: terms(State::Candidate),
        onset: onset.map(|term| ontology.term(term).id()),
        age_days: case.age.and_then(|age| age.from_days(ontology)),
        sex: case.sex,
        genes: genes.iter().filter_map(CaseGene::weight).collect(),
    }
}

pub(crate) fn of(
    ontology: &Ontology,
    case: &Case,
    genes: Vec<CaseGene>,
    notes: &[diagnosis::Note],
) -> Understood {
    let term = |ix| Term::of(ontology, ix);
    let when = |when| age(ontology, when);
    let findings = |state| {
        let wanted = case.findings.iter().filter(|f| f.state == state);
        wanted
            .map(|finding| Finding {
                term: term(finding.term),
                as_given: finding.as_given.clone(),
                basis: basis(finding.basis),
                onset: finding.onset.map(when),
                sources: finding.source_count,
            })
            .collect()
    };
    Understood {
        format: match case.format {
            Format::Phenopacket => "phenopacket",
            Format::Fhir => "fhir",
            Format::List => "list",
            Format::Records => "records",
        },
        sex: case.sex.map(|sex| match sex {
            Sex::Female => "female",
            Sex::Male => "male",
        }),
        age: case.age.map(when),
        onset: case.onset.map(when),
        observed: findings(State::Observed),
        excluded: findings(State::Excluded),
        suggested: findings(State::Candidate),
        suggested_absent: findings(State::CandidateExcluded),
        genes,
        not_understood: case
            .unresolved
            .iter()
            .map(|unresolved| NotUnderstood {
                as_given: unresolved.as_given.clone(),
                excluded: unresolved.excluded,
                place: unresolved.place.to_string(),
                why: unresolved.why.to_string(),
                suggestions: unresolved.suggestions.iter().map(|&t| term(t)).collect(),
            })
            .collect(),
        contradictions: case
            .contradictions
            .iter()
            .map(|said| Conflict {
                present: term(said.present),
                absent: term(said.absent),
                decision: decision(said.decision).0,
                decided: decision(said.decision).1,
            })
            .collect(),
        passed_over: case
            .left_out
            .iter()
            .map(|(&why, &count)| Count {
                reason: left_out(why),
                count,
            })
            .collect(),
        notes: sentences(ontology, case, notes),
        recorded_diagnoses: case
            .recorded_diagnoses
            .iter()
            .map(|recorded| Recorded {
                id: recorded.id.clone(),
                label: recorded.label.clone(),
                excluded: recorded.excluded,
                progress: progress(recorded.progress),
                used: false,
            })
            .collect(),
    }
}

fn age(ontology: &Ontology, when: When) -> Age {
    match when {
        When::Class(term) => Age {
            term: Some(Term::of(ontology, term)),
            from_days: when.from_days(ontology),
            to_days: None,
        },
        When::Days { from, to } => Age {
            term: None,
            from_days: Some(from),
            to_days: Some(to),
        },
    }
}

/// The most observed findings of a case that the probabilities were fitted on.
const MOST_FITTED: usize = 53;

/// What was done to an id that its sender may not have meant, and what the engine could not take.
fn sentences(ontology: &Ontology, case: &Case, notes: &[diagnosis::Note]) -> Vec<String> {
    let label = |ix| ontology.term(ix).label();
    let observed = case.terms(State::Observed).count();
    let too_many = (observed > MOST_FITTED).then(|| {
        format!(
            "{observed} observed findings are more than any case has that the probabilities were fitted on \
             ({MOST_FITTED}): do not rely on them, and leave out what does not matter"
        )
    });
    let of_ids = case.findings.iter().filter_map(|finding| {
        let taken = label(finding.term);
        Some(match finding.note? {
            // Merged ids mean the same.
            Note::Alternative(_) => return None,
            Note::Replaced(id) => format!("{id} is obsolete; its successor '{taken}' was taken"),
            Note::LabelNames(other) => format!(
                "{} was taken as '{taken}', but the label beside it names '{}'; check which is meant",
                ontology.term(finding.term).id(),
                label(other)
            ),
        })
    });
    let of_model = notes.iter().filter_map(|note| {
        use diagnosis::Note as N;
        Some(match note {
            N::NotAnOnset(id) => {
                format!("the onset {id} is none that the model knows; it was not weighed")
            }
            N::Contradiction(id) => format!("a kind of {id} was seen; its exclusion was left out"),
            N::Replaced(old, new) => format!("{old} is obsolete; {new} was taken"),
            N::Unknown(id) | N::Obsolete(id) | N::NotAFinding(id) => {
                format!("{id} was left out: it is no finding of this release")
            }
            // Only genes that the data know are handed on.
            N::UnknownGene(_) => return None,
        })
    });
    too_many.into_iter().chain(of_ids).chain(of_model).collect()
}

const fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Stated => "stated",
        Basis::Provisional => "provisional",
        Basis::Laboratory => "laboratory",
        Basis::LaboratoryRepeated => "laboratory_repeated",
        Basis::LaboratoryConfirmed => "laboratory_confirmed",
    }
}

const fn decision(decision: Decision) -> (&'static str, &'static str) {
    match decision {
        Decision::Observed => ("observed", "it was seen, so the exclusion was left out"),
        Decision::Retracted => ("retracted", "it was refuted later, so it counts as absent"),
        Decision::Open => ("open", "not decided, so neither counts"),
    }
}

const fn progress(progress: Progress) -> &'static str {
    match progress {
        Progress::Unknown => "unknown",
        Progress::InProgress => "in_progress",
        Progress::Completed => "completed",
        Progress::Solved => "solved",
        Progress::Unsolved => "unsolved",
    }
}

const fn left_out(why: LeftOut) -> &'static str {
    match why {
        LeftOut::EnteredInError => "entered in error",
        LeftOut::NotFinal => "not final",
        LeftOut::OlderVersion => "older versions of what came again",
        LeftOut::Modified => "changed in meaning in a way that is not known here",
        LeftOut::NotThePatient => "not about the patient",
        LeftOut::NotInterpreted => {
            "laboratory results with neither interpretation nor a reference range that decides"
        }
        LeftOut::InterpretationsDiffer => "laboratory results whose interpretations disagree",
        LeftOut::NotMapped => "laboratory results that say nothing in terms of HPO",
        LeftOut::UnknownModifier => "modifiers that are none of HPO's",
        LeftOut::NotListed => "not understood, beyond those that are listed",
        LeftOut::Unreadable => "documents that are damaged or of no format that is read",
        LeftOut::SexDiffers => "statements of the sex, which disagree, so none counts",
        LeftOut::BirthDiffers => "dates of birth, which disagree, so none counts",
    }
}
