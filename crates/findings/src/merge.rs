//! From statements to findings: each term once.

use crate::case::{Basis, Contradiction, Decision, Finding, Note, Source, State};
use crate::time::{Day, When};
use crate::{Error, MAX_FINDINGS, MAX_SOURCES};
use ontology::{Ontology, TermIx};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// What somebody or something says about a term.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// A person: it is there.
    Observed,
    /// A person: it is not there.
    Excluded,
    /// A person: it was thought to be there, and never was.
    Refuted,
    /// A person: it may be there.
    Provisional,
    /// A laboratory value: it is there.
    Abnormal,
    /// A laboratory value: it is not there.
    Normal,
}

/// One statement.
pub(crate) struct Statement {
    pub(crate) term: TermIx,
    pub(crate) said: Said,
    pub(crate) onset: Option<When>,
    pub(crate) modifiers: Vec<TermIx>,
    pub(crate) as_given: String,
    pub(crate) note: Option<Note>,
    pub(crate) source: Source,
}

impl Statement {
    fn is_positive(&self) -> bool {
        matches!(
            self.said,
            Said::Observed | Said::Provisional | Said::Abnormal
        )
    }
}

/// The findings, in the order of their first statements, and the contradictions by term.
pub(crate) fn merge(
    statements: Vec<Statement>,
    ontology: &Ontology,
) -> Result<(Vec<Finding>, Vec<Contradiction>), Error> {
    let mut position: HashMap<TermIx, usize> = HashMap::new();
    let mut groups: Vec<Vec<Statement>> = Vec::new();
    for statement in statements {
        let next = groups.len();
        let at = *position.entry(statement.term).or_insert(next);
        match groups.get_mut(at) {
            Some(group) => group.push(statement),
            None => groups.push(vec![statement]),
        }
    }
    if groups.len() > MAX_FINDINGS {
        let given = groups.len();
        return Err(Error::TooManyFindings { given });
    }
    let stated = |group: &Vec<Statement>| {
        let first = group.first().filter(|_| !observed(group).is_empty())?;
        (!is_retracted(group)).then_some(first.term)
    };
    // What a person saw, and whatever that is a kind of.
    let mut implied: HashSet<TermIx> = HashSet::new();
    for term in groups.iter().filter_map(stated) {
        let ancestors = ontology.ancestors(term).iter();
        implied.extend(ancestors.map(|&(ancestor, _)| ancestor));
    }
    let mut contradictions = Vec::new();
    let mut findings = Vec::with_capacity(groups.len());
    for group in &groups {
        let confirmed = group.first().is_some_and(|s| implied.contains(&s.term));
        findings.extend(decide(group, confirmed, ontology, &mut contradictions));
    }
    settle_wider(&mut findings, ontology, &mut contradictions);
    Ok((findings, contradictions))
}

/// One finding of all statements about one term.
fn decide(
    group: &[Statement],
    confirmed: bool,
    ontology: &Ontology,
    contradictions: &mut Vec<Contradiction>,
) -> Option<Finding> {
    let term = group.first()?.term;
    let retracted = is_retracted(group);
    let positive: Vec<&Statement> = group
        .iter()
        .filter(|s| s.is_positive() && !(retracted && s.said == Said::Observed))
        .collect();
    let negative: Vec<&Statement> = group.iter().filter(|s| !s.is_positive()).collect();
    let mut contradict = |decision, not_followed: Vec<&Statement>| {
        contradictions.push(Contradiction {
            present: term,
            absent: term,
            decision,
            not_followed: sources(&not_followed),
        });
    };
    if retracted {
        contradict(Decision::Retracted, observed(group));
    }
    if positive.is_empty() {
        let (state, basis) = absent(&negative);
        return Some(finding(term, state, basis, &negative, ontology));
    }
    let (state, basis) = present(&positive, confirmed);
    if !negative.is_empty() {
        let decision = match state {
            State::Observed => Decision::Observed,
            _ => Decision::Open,
        };
        contradict(decision, negative);
    }
    Some(finding(term, state, basis, &positive, ontology))
}

fn present(positive: &[&Statement], confirmed: bool) -> (State, Basis) {
    let has = |said| positive.iter().any(|s| s.said == said);
    let lab = has(Said::Abnormal);
    if has(Said::Observed) {
        let basis = if lab {
            Basis::LaboratoryConfirmed
        } else {
            Basis::Stated
        };
        (State::Observed, basis)
    } else if lab && confirmed {
        (State::Observed, Basis::LaboratoryConfirmed)
    } else if lab && is_repeated(positive, Said::Abnormal) {
        (State::Observed, Basis::LaboratoryRepeated)
    } else if lab {
        (State::Candidate, Basis::Laboratory)
    } else {
        (State::Candidate, Basis::Provisional)
    }
}

fn absent(negative: &[&Statement]) -> (State, Basis) {
    let lab = negative.iter().any(|s| s.said == Said::Normal);
    if negative.iter().any(|s| s.said != Said::Normal) {
        let basis = if lab {
            Basis::LaboratoryConfirmed
        } else {
            Basis::Stated
        };
        (State::Excluded, basis)
    } else if is_repeated(negative, Said::Normal) {
        (State::Excluded, Basis::LaboratoryRepeated)
    } else {
        (State::CandidateExcluded, Basis::Laboratory)
    }
}

/// An exclusion of a wider term, when a kind of it is there or may be.
fn settle_wider(
    findings: &mut Vec<Finding>,
    ontology: &Ontology,
    contradictions: &mut Vec<Contradiction>,
) {
    // By wider term: what speaks against its exclusion, what is established first.
    let mut against: HashMap<TermIx, (bool, TermIx)> = HashMap::new();
    for found in findings.iter() {
        let open = match found.state {
            State::Observed => false,
            State::Candidate => true,
            State::Excluded | State::CandidateExcluded => continue,
        };
        for &(wider, distance) in ontology.ancestors(found.term) {
            if distance > 0 {
                let speaks = (open, found.term);
                let known = against.entry(wider).or_insert(speaks);
                *known = (*known).min(speaks);
            }
        }
    }
    findings.retain_mut(|found| {
        let is_exclusion = matches!(found.state, State::Excluded | State::CandidateExcluded);
        let Some(&(open, present)) = against.get(&found.term).filter(|_| is_exclusion) else {
            return true;
        };
        let decision = if open {
            Decision::Open
        } else {
            Decision::Observed
        };
        contradictions.push(Contradiction {
            present,
            absent: found.term,
            decision,
            not_followed: found.sources.clone(),
        });
        if open {
            found.state = State::CandidateExcluded;
        }
        open
    });
}

fn observed(group: &[Statement]) -> Vec<&Statement> {
    group.iter().filter(|s| s.said == Said::Observed).collect()
}

/// Whether a refutation is surely later than everybody who saw it.
fn is_retracted(group: &[Statement]) -> bool {
    let observed = observed(group);
    let days: Option<Vec<Day>> = observed.iter().map(|s| s.source.date).collect();
    // Later than the one that ends last is later than all.
    let Some(latest) = days.and_then(|days| days.into_iter().max_by_key(|day| day.last())) else {
        return false;
    };
    let refuted = group.iter().filter(|s| s.said == Said::Refuted);
    refuted
        .filter_map(|s| s.source.date)
        .any(|day| day.is_surely_after(latest))
}

/// Whether two of the statements are surely of different days.
fn is_repeated(statements: &[&Statement], said: Said) -> bool {
    let days = || {
        let said = statements.iter().filter(|s| s.said == said);
        said.filter_map(|s| s.source.date)
    };
    // If any two surely differ, then so do the one that ends first and the one that begins last.
    let earliest = days().min_by_key(|day| day.last());
    let latest = days().max_by_key(|day| day.first());
    earliest
        .zip(latest)
        .is_some_and(|(earliest, latest)| latest.is_surely_after(earliest))
}

fn finding(
    term: TermIx,
    state: State,
    basis: Basis,
    of: &[&Statement],
    ontology: &Ontology,
) -> Finding {
    let mut modifiers: Vec<TermIx> = of.iter().flat_map(|s| s.modifiers.clone()).collect();
    modifiers.sort_unstable();
    modifiers.dedup();
    // What a person wrote is shown before what was concluded.
    let first = of
        .iter()
        .min_by_key(|s| matches!(s.said, Said::Abnormal | Said::Normal));
    Finding {
        term,
        state,
        basis,
        onset: onset(of, ontology),
        modifiers,
        as_given: first.map_or_else(String::new, |s| s.as_given.clone()),
        note: of.iter().find_map(|s| s.note),
        sources: sources(of),
        source_count: of.len(),
    }
}

/// Of one document the onset that it states first; of several documents the earliest of these.
fn onset(of: &[&Statement], ontology: &Ontology) -> Option<When> {
    let stated = of
        .iter()
        .filter_map(|s| Some((s.source.place.document(), s.onset?)));
    let mut stated: Vec<(Option<&str>, When)> = stated.collect();
    // The statements of a document stand together.
    stated.dedup_by_key(|(document, _)| *document);
    let onsets = stated.into_iter().map(|(_, onset)| onset);
    onsets.min_by_key(|onset| onset.order(ontology))
}

/// Newest first, undated last, otherwise in the order given.
fn sources(of: &[&Statement]) -> Vec<Source> {
    let mut sources: Vec<&Source> = of.iter().map(|s| &s.source).collect();
    sources.sort_by_key(|source| Reverse(source.date.map(|day| (day.last(), day.first()))));
    sources.into_iter().take(MAX_SOURCES).cloned().collect()
}
