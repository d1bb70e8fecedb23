//! From what was given to a term; and where what was not understood is gathered.

use crate::case::{LeftOut, Note, Place, Unresolved, Why};
use crate::{MAX_FINDINGS, MAX_SUGGESTIONS};
use ontology::{GeneIx, HpoId, Ontology, Resolved, TermIx};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many texts that were not understood get suggestions: each costs a search.
const MAX_SEARCHES: usize = 100;
/// How many characters of what was given are kept.
const MAX_GIVEN: usize = 200;

/// What was given: a text or id, whether it was said to be absent, and where it stands.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) text: &'a str,
    pub(crate) excluded: bool,
    pub(crate) place: &'a Place,
}

/// Knows the terms and remembers what was not understood.
pub(crate) struct Resolver<'o> {
    pub(crate) ontology: &'o Ontology,
    unresolved: Vec<Unresolved>,
    /// What was given and why it was not understood, once each.
    seen: BTreeSet<(String, bool, Why)>,
    left_out: BTreeMap<LeftOut, usize>,
    /// What was searched for and found.
    searched: HashMap<String, Vec<TermIx>>,
}

impl<'o> Resolver<'o> {
    pub(crate) fn new(ontology: &'o Ontology) -> Self {
        Self {
            ontology,
            unresolved: Vec::new(),
            seen: BTreeSet::new(),
            left_out: BTreeMap::new(),
            searched: HashMap::new(),
        }
    }

    pub(crate) fn finish(self) -> (Vec<Unresolved>, BTreeMap<LeftOut, usize>) {
        (self.unresolved, self.left_out)
    }

    pub(crate) fn leave_out(&mut self, why: LeftOut) {
        self.leave_out_all(why, 1);
    }

    pub(crate) fn leave_out_all(&mut self, why: LeftOut, count: usize) {
        if count > 0 {
            *self.left_out.entry(why).or_default() += count;
        }
    }

    /// The finding with an id, whose label may stand beside it.
    pub(crate) fn id(
        &mut self,
        id: HpoId,
        label: &str,
        given: Given<'_>,
    ) -> Option<(TermIx, Option<Note>)> {
        let (term, note) = match self.ontology.resolve(id) {
            Resolved::Live(term) => (term, None),
            Resolved::Alternative { of } => (of, Some(Note::Alternative(id))),
            Resolved::Replaced { by: [only], .. } => (*only, Some(Note::Replaced(id))),
            Resolved::Replaced { by: several, .. } => {
                self.report(given, Why::Obsolete, several.to_vec());
                return None;
            }
            Resolved::Obsolete { label, consider } => {
                let mut suggestions = consider.to_vec();
                if suggestions.is_empty() {
                    suggestions = self.search(label);
                }
                self.report(given, Why::Obsolete, suggestions);
                return None;
            }
            Resolved::Unknown => {
                let suggestions = self.search(label);
                self.report(given, Why::UnknownId, suggestions);
                return None;
            }
        };
        if !self.is_finding(term) {
            self.report(given, Why::NotAFinding, Vec::new());
            return None;
        }
        let named = self.ontology.named(label);
        let other = named.first().filter(|_| !named.contains(&term));
        Some((term, note.or(other.map(|&other| Note::LabelNames(other)))))
    }

    /// The finding with a name, if there is exactly one.
    pub(crate) fn name(&mut self, name: &str, given: Given<'_>) -> Option<TermIx> {
        let named = self.ontology.named(name);
        let findings: Vec<TermIx> = named
            .iter()
            .copied()
            .filter(|&t| self.is_finding(t))
            .collect();
        match (findings.as_slice(), named.as_slice()) {
            ([only], _) => return Some(*only),
            ([], []) => {
                let suggestions = self.search(name);
                self.report(given, Why::UnknownName, suggestions);
            }
            ([], _) => self.report(given, Why::NotAFinding, Vec::new()),
            _ => self.report(given, Why::Ambiguous, findings),
        }
        None
    }

    /// A clinical modifier, or `None` and one more left out.
    pub(crate) fn modifier(&mut self, id: &str) -> Option<TermIx> {
        let root = self.ontology.roots().clinical_modifier;
        let term = hpo_id(id).and_then(|id| self.ontology.resolve(id).term());
        let term = term.filter(|&term| self.ontology.is_a(term, root));
        if term.is_none() {
            self.leave_out(LeftOut::UnknownModifier);
        }
        term
    }

    /// The gene with a symbol or, as in `NCBIGene:2290`, a number; reported if it is not known.
    pub(crate) fn gene(&mut self, symbol: &str, id: &str, place: &Place) -> Option<GeneIx> {
        let symbol = symbol.trim();
        let upper = || self.ontology.find_gene(&symbol.to_ascii_uppercase());
        let numbered = || {
            let (prefix, number) = id.split_once(':')?;
            let is_ncbi = ["NCBIGene", "NCBI", "ENTREZ"]
                .iter()
                .any(|known| prefix.eq_ignore_ascii_case(known));
            let number = number.parse().ok().filter(|_| is_ncbi)?;
            self.ontology.find_gene_ncbi(number)
        };
        let found = self.ontology.find_gene(symbol).or_else(upper);
        let found = found.or_else(numbered);
        if found.is_none() {
            let text = if symbol.is_empty() { id } else { symbol };
            let given = Given {
                text,
                excluded: false,
                place,
            };
            self.report(given, Why::UnknownGene, Vec::new());
        }
        found
    }

    /// Terms that a text may mean; nothing once the budget of searches is spent.
    pub(crate) fn search(&mut self, text: &str) -> Vec<TermIx> {
        if let Some(known) = self.searched.get(text) {
            return known.clone();
        }
        if self.searched.len() == MAX_SEARCHES || text.trim().is_empty() {
            return Vec::new();
        }
        let hits = self.ontology.search(text, 4 * MAX_SUGGESTIONS);
        let terms = hits.iter().map(|hit| hit.term);
        let findings = terms.filter(|&term| self.is_finding(term));
        let findings: Vec<TermIx> = findings.take(MAX_SUGGESTIONS).collect();
        self.searched.insert(text.to_owned(), findings.clone());
        findings
    }

    pub(crate) fn report(&mut self, given: Given<'_>, why: Why, mut suggestions: Vec<TermIx>) {
        let as_given = clip(given.text);
        if self.unresolved.len() == MAX_FINDINGS {
            return self.leave_out(LeftOut::NotListed);
        }
        if !self.seen.insert((as_given.clone(), given.excluded, why)) {
            return;
        }
        suggestions.truncate(MAX_SUGGESTIONS);
        self.unresolved.push(Unresolved {
            as_given,
            excluded: given.excluded,
            place: given.place.clone(),
            why,
            suggestions,
        });
    }

    pub(crate) fn is_finding(&self, term: TermIx) -> bool {
        let root = self.ontology.roots().phenotypic_abnormality;
        self.ontology.is_a(term, root)
    }
}

/// The beginning of a text, trimmed.
pub(crate) fn clip(text: &str) -> String {
    text.trim().chars().take(MAX_GIVEN).collect()
}

/// An HPO id as people and systems write it: `HP:0001250`, `hp:0001250`, `HP_0001250`, also at the
/// end of a URL of the OBO library.
pub(crate) fn hpo_id(text: &str) -> Option<HpoId> {
    const OBO: &str = "http://purl.obolibrary.org/obo/";
    let text = text.trim();
    let text = text.strip_prefix(OBO).unwrap_or(text);
    let (prefix, digits) = text.split_once([':', '_'])?;
    let prefixed = prefix.eq_ignore_ascii_case("HP");
    prefixed.then(|| format!("HP:{digits}").parse().ok())?
}
