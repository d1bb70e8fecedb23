//! One patient's findings as they come in, and the ranking at any moment.

use crate::{
    cases::CaseCounts,
    differential::{Abstained, Candidate, Differential, Ranked, Ranking},
    features::{Feature, Patient, View},
    findings::{Findings, GeneWeight, MAX_FINDINGS, Refused},
    math::{ONE, shares},
    model::{Model, Summary, number},
    overlap::Overlap,
    profile::Profile,
    sheet::{Frequencies, forward},
    stage::{Query, Sums},
    weights::WeightSet,
};
use ontology::{DiseaseIx, Ontology, TermIx};
use std::collections::BTreeMap;

/// How many diseases stage 1 passes on.
const CANDIDATES: usize = 120;
/// Never fewer, however many findings there are.
const CANDIDATES_AT_LEAST: usize = 60;
/// Findings up to which all [`CANDIDATES`] go on. With more, stage 1 knows better, and each costs more.
const FINDINGS_FOR_ALL: usize = 12;
/// How many more of those whose genes are under suspicion.
const GENE_CANDIDATES: usize = 100;

/// Findings that change, over one model. Adding, excluding and removing findings in any order gives
/// the same answer, to the bit, as starting with what is left.
pub struct Session<'m> {
    model: &'m Model,
    weights: &'m WeightSet,
    findings: Findings,
    sums: Sums,
    overlap: Overlap,
    /// Profiles that stand in for the model's own, with their sums.
    aside: BTreeMap<u16, Aside>,
}

/// A profile that stands in for the model's own.
struct Aside {
    profile: Profile,
    summary: Summary,
    shown: Profile,
}

impl<'m> Session<'m> {
    /// Starts with `findings`.
    #[must_use]
    pub fn new(model: &'m Model, findings: Findings) -> Self {
        let mut sums = Sums::new(model);
        for &term in &findings.observed {
            sums.change(model, number(term), 1);
        }
        Self {
            model,
            weights: &model.weights().full,
            overlap: Overlap::new(model, &findings.observed),
            findings,
            sums,
            aside: BTreeMap::new(),
        }
    }

    /// Ranks with other weights than those for patients.
    #[must_use]
    pub(crate) fn with_weights(mut self, weights: &'m WeightSet) -> Self {
        self.weights = weights;
        self
    }

    /// Takes `disease` as it is known from `cases` alone, instead of the model's stored cases: for
    /// a patient (or a paper) that is among the model's, so that nothing is evidence for itself.
    pub fn set_aside(&mut self, ontology: &Ontology, disease: DiseaseIx, cases: &CaseCounts) {
        if let Some(slot) = self.model.slot(disease) {
            let profile = self.model.profile(ontology, disease, cases);
            let aside = Aside {
                summary: self.model.summary(&profile),
                shown: self.model.shown(ontology, disease, cases),
                profile,
            };
            self.aside.insert(slot, aside);
        }
    }

    /// What is known now.
    #[must_use]
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// `term` was seen. False if that was known; an exclusion of the same term is taken back, one of
    /// a more general term rests while `term` stands.
    pub fn add(&mut self, term: TermIx) -> Result<bool, Refused> {
        remove(&mut self.findings.excluded, term);
        remove(&mut self.findings.tentative, term);
        let added = insert(&mut self.findings.observed, term)?;
        if added {
            self.sums.change(self.model, number(term), 1);
            self.overlap.add(self.model, number(term));
        }
        Ok(added)
    }

    /// `term` was looked for and not seen. False if that was known.
    pub fn exclude(&mut self, term: TermIx) -> Result<bool, Refused> {
        if remove(&mut self.findings.observed, term) {
            self.sums.change(self.model, number(term), -1);
            self.overlap.remove(self.model, number(term));
        }
        insert(&mut self.findings.excluded, term)
    }

    /// Nothing is known about `term` any more. False if nothing was.
    pub fn remove(&mut self, term: TermIx) -> bool {
        if remove(&mut self.findings.observed, term) {
            self.sums.change(self.model, number(term), -1);
            self.overlap.remove(self.model, number(term));
            return true;
        }
        remove(&mut self.findings.excluded, term)
    }

    /// The candidates in order, with their probabilities. Empty without an observed finding.
    #[must_use]
    pub fn rank(&self) -> Ranking {
        self.rank_and_query().0
    }

    fn rank_and_query(&self) -> (Ranking, Query<'_>) {
        let weights = self.weights.vector();
        let (candidates, query) = self.candidates();
        let mut scored: Vec<(f64, u16)> = candidates
            .iter()
            .map(|(slot, x)| (dot(&weights, x), *slot))
            .collect();
        let genes: f32 = self.findings.genes.values().sum();
        for (score, slot) in &mut scored {
            *score = self.weights.temperature * *score + self.gene_log_ratio(*slot, genes);
        }
        // The order of ties: by position of the disease.
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let scores: Vec<f64> = scored.iter().map(|s| s.0).collect();
        let shares = shares(&scores, 1.0);
        let outside = shares
            .first()
            .map_or(1.0, |&first| self.weights.outside(first));
        let ranked = scored
            .iter()
            .zip(shares)
            .map(|(&(score, slot), share)| Ranked {
                disease: self.model.entries[usize::from(slot)].disease,
                score,
                posterior: (1.0 - outside) * share,
            })
            .collect();
        (Ranking { ranked, outside }, query)
    }

    /// The whole answer: the best `limit` candidates with their evidence, whether to abstain, what
    /// to look for next and which genes to read.
    #[must_use]
    pub fn differential(&self, limit: usize) -> Differential {
        let (ranking, query) = self.rank_and_query();
        let candidates = ranking
            .ranked
            .iter()
            .take(limit)
            .map(|&ranked| Candidate {
                ranked,
                explanation: self.explain(&query, ranked.disease),
            })
            .collect();
        Differential {
            candidates,
            outside: ranking.outside,
            abstained: Abstained::of(&self.findings, &ranking),
            next: crate::next::next(self.model, &self.findings, &query, &ranking),
            genes: crate::panel::panel(self.model, &ranking),
            weights: self.model.weights().version,
        }
    }

    pub(crate) fn query(&self) -> Query<'_> {
        let observed = indices(&self.findings.observed);
        let excluded = indices(&self.findings.excluded);
        Query::new(self.model, &observed, &excluded, &self.overlap)
    }

    /// What of a disease may be shown: nothing that was counted in few stored cases.
    pub(crate) fn shown(&self, slot: u16) -> &Profile {
        let entry = &self.model.entries[usize::from(slot)];
        match (self.aside.get(&slot), &entry.shown) {
            (Some(aside), _) => &aside.shown,
            (None, Some(shown)) => shown,
            (None, None) => &entry.profile,
        }
    }

    pub(crate) fn view(&self, slot: u16) -> View<'_> {
        let entry = &self.model.entries[usize::from(slot)];
        match self.aside.get(&slot) {
            Some(aside) => View {
                entry,
                profile: &aside.profile,
                summary: aside.summary,
            },
            None => View {
                entry,
                profile: &entry.profile,
                summary: entry.summary,
            },
        }
    }

    pub(crate) fn model(&self) -> &'m Model {
        self.model
    }

    /// The candidates of stage 1, ascending by position, with their features.
    pub(crate) fn candidates(&self) -> (Vec<(u16, [f32; Feature::COUNT])>, Query<'_>) {
        let query = self.query();
        if query.observed.is_empty() {
            return (Vec::new(), query);
        }
        let fewer = CANDIDATES * FINDINGS_FOR_ALL / query.observed.len();
        let mut slots = self.sums.best(fewer.clamp(CANDIDATES_AT_LEAST, CANDIDATES));
        slots.extend(self.aside.keys());
        slots.extend(self.gene_slots());
        slots.sort_unstable();
        slots.dedup();
        let patient = Patient {
            query: &query,
            findings: &self.findings,
        };
        let mut shown = Frequencies::new(self.model, &query.closure, &slots);
        let mut excluded = Frequencies::new(self.model, &query.excluded, &slots);
        for (at, slot) in slots.iter().enumerate() {
            if let Some(Aside { profile, .. }) = self.aside.get(slot) {
                shown.replace(at, &query.closure, profile);
                excluded.replace(at, &query.excluded, profile);
            }
        }
        let out = slots
            .iter()
            .zip(forward(self.model, &query, &shown, &excluded))
            .map(|(&slot, forward)| {
                let siblings = &self.model.entries[usize::from(slot)].siblings;
                let best = siblings
                    .iter()
                    .filter(|sibling| !self.aside.contains_key(sibling))
                    .map(|&s| self.sums.sums[usize::from(s)])
                    .max()
                    .map(|sum| sum as f32 / ONE);
                let view = self.view(slot);
                let x = patient.features(view, best, &forward);
                (slot, x)
            })
            .collect();
        (out, query)
    }

    /// Diseases of the genes under suspicion, the best by stage 1.
    fn gene_slots(&self) -> Vec<u16> {
        if self.findings.genes.is_empty() {
            return Vec::new();
        }
        let mut slots: Vec<(i32, u16)> = (0_u16..)
            .zip(&self.model.entries)
            .filter(|(_, entry)| self.gene_weight(&entry.genes) > 0.0)
            .map(|(slot, _)| (self.sums.sums[usize::from(slot)].saturating_neg(), slot))
            .collect();
        slots.sort_unstable();
        slots.truncate(GENE_CANDIDATES);
        slots.into_iter().map(|(_, slot)| slot).collect()
    }

    fn gene_weight(&self, genes: &[ontology::GeneIx]) -> f32 {
        genes
            .iter()
            .filter_map(|gene| self.findings.genes.get(gene))
            .copied()
            .fold(0.0, f32::max)
    }

    /// Log of the likelihood ratio of the genes given, for one disease.
    fn gene_log_ratio(&self, slot: u16, total: f32) -> f64 {
        let weight = self.gene_weight(&self.model.entries[usize::from(slot)].genes);
        gene_log_ratio(weight, total, self.model.gene_count)
    }
}

/// Probability that the causal gene is on the list that somebody made.
const LISTED: f32 = 0.8;

/// Log of the likelihood ratio of a gene that was given with `weight` among others whose weights sum to
/// `total`, of `genes` in all; 0 for a gene that was not given. Two things bound it:
///
/// - the list: it has the causal gene with probability [`LISTED`], so that its genes together cannot be
///   worth more than all genes, shared out by weight: `genes * weight / total`;
/// - what is said of the gene itself, as odds over those of [`GeneWeight::PRIOR`]. A variant of uncertain
///   significance (one half) is thus worth 9 at most, however alone it stands, and does not decide.
///
/// A gene that is not given says nothing: nobody said which genes were read.
///
/// [`GeneWeight::PRIOR`]: crate::GeneWeight::PRIOR
fn gene_log_ratio(weight: f32, total: f32, genes: f32) -> f64 {
    if weight <= 0.0 || total <= 0.0 {
        return 0.0;
    }
    let odds = |p: f32| p / (1.0 - p).max(f32::EPSILON);
    let by_list = genes * weight / total;
    let by_itself = odds(weight) / odds(GeneWeight::PRIOR);
    let ratio = 1.0 + LISTED * (by_list.min(by_itself) - 1.0).max(0.0);
    f64::from(ratio).ln()
}

pub(crate) fn dot(weights: &[f64; Feature::COUNT], x: &[f32; Feature::COUNT]) -> f64 {
    weights.iter().zip(x).map(|(w, &x)| w * f64::from(x)).sum()
}

fn indices(terms: &[TermIx]) -> Vec<u32> {
    terms.iter().map(|&term| number(term)).collect()
}

fn insert(terms: &mut Vec<TermIx>, term: TermIx) -> Result<bool, Refused> {
    match terms.binary_search(&term) {
        Ok(_) => Ok(false),
        Err(_) if terms.len() >= MAX_FINDINGS => Err(Refused::TooManyFindings {
            given: terms.len() + 1,
        }),
        Err(at) => {
            terms.insert(at, term);
            Ok(true)
        }
    }
}

fn remove(terms: &mut Vec<TermIx>, term: TermIx) -> bool {
    terms
        .binary_search(&term)
        .map(|at| terms.remove(at))
        .is_ok()
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(<redacted>)")
    }
}
