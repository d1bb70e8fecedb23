//! Everything that does not depend on a patient, laid out for speed: per term the diseases that
//! show it, backgrounds, information content; per disease its profile and what else is known.

use crate::{
    cases::CaseCounts,
    findings::OnsetClass,
    math::ln,
    profile::{Draft, Profile},
    stage::General,
    weights::Weights,
};
use ontology::{
    Aspect, Database, Disease, DiseaseIx, GeneIx, LoincCode, Ontology, OrphanetOnset,
    PrevalenceClass, TermIx,
};
use std::collections::BTreeMap;

/// A term's position in 32 bits: HPO has some twenty thousand.
pub(crate) fn number(term: TermIx) -> u32 {
    u32::try_from(term.index()).unwrap_or(u32::MAX)
}

/// Rows of values of any length behind each other.
#[derive(Debug, Default)]
pub(crate) struct Rows<T> {
    starts: Vec<usize>,
    values: Vec<T>,
}

impl<T> Rows<T> {
    pub(crate) fn new(rows: impl Iterator<Item = impl IntoIterator<Item = T>>) -> Self {
        let mut starts = vec![0];
        let mut values = Vec::new();
        for row in rows {
            values.extend(row);
            starts.push(values.len());
        }
        Self { starts, values }
    }

    pub(crate) fn row(&self, at: usize) -> &[T] {
        &self.values[self.starts[at]..self.starts[at + 1]]
    }
}

/// Which sex an X-linked disease is seen in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SexLink {
    None,
    XLinked,
    XLinkedRecessive,
    XLinkedDominant,
}

/// What is known of one disease, besides its profile.
pub(crate) struct Entry {
    pub(crate) disease: DiseaseIx,
    pub(crate) profile: Profile,
    /// What of it may be shown, where stored cases are in it: without what was counted in few.
    pub(crate) shown: Option<Box<Profile>>,
    pub(crate) summary: Summary,
    /// Share of patients by [`OnsetClass`], where known.
    pub(crate) onset: Option<[f32; OnsetClass::COUNT]>,
    pub(crate) sex_link: SexLink,
    /// 1 (under 1 in 1,000,000) to 5 (over 1 in 1,000); 0 unknown.
    pub(crate) prevalence: f32,
    /// Other diseases of the same genes.
    pub(crate) siblings: Vec<u16>,
    pub(crate) genes: Vec<GeneIx>,
}

/// Sums over a profile that every patient needs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Summary {
    /// Information content of the closure.
    pub(crate) information: f32,
    /// Length of the closure as a vector of frequency times information content.
    pub(crate) length: f32,
    /// What the unexplained-feature penalty would be if nothing were explained.
    pub(crate) all_unexplained: f32,
}

/// A model: one ontology, one set of weights, and the cases stored here.
pub struct Model {
    pub(crate) terms: Vec<TermIx>,
    pub(crate) ancestors: Rows<(u32, u8)>,
    pub(crate) parents: Rows<u32>,
    /// Terms that any disease shows, parents before children: the term and two of its parents, or
    /// itself in their place; terms with more parents come several times in a row.
    pub(crate) order: Vec<[u32; 3]>,
    /// Per term: itself and its kinds that any disease shows, parents before children.
    pub(crate) shown_below: Rows<u32>,
    pub(crate) background: Vec<f32>,
    /// Of what may be shown.
    pub(crate) shown_background: Vec<f32>,
    pub(crate) information: Vec<f32>,
    /// Per term: the diseases that show it, and how often.
    pub(crate) shown_by: Rows<(u16, f32)>,
    pub(crate) general: General,
    pub(crate) entries: Vec<Entry>,
    slots: BTreeMap<DiseaseIx, u16>,
    /// LOINC codes whose abnormal result is the term.
    pub(crate) laboratory: BTreeMap<u32, Vec<LoincCode>>,
    /// Per term: how a finding of that kind is come by.
    pub(crate) ways: Vec<crate::next::Way>,
    pub(crate) gene_count: f32,
    weights: Weights,
}

/// Upper bound of diseases: positions are kept in 16 bits.
const MAX_DISEASES: usize = 65_000;

impl Model {
    /// Compiles a model. Diseases are those of OMIM and DECIPHER with at least one feature, in the
    /// ontology's order; Orphanet's descriptions are merged into them through Mondo.
    #[must_use]
    pub fn new(ontology: &Ontology, weights: Weights, cases: &CaseCounts) -> Self {
        let terms: Vec<TermIx> = ontology.terms().collect();
        let mut draft = Draft::new(ontology, &terms);
        let none = BTreeMap::new();
        let mut entries: Vec<Entry> = ontology
            .diseases()
            .filter(|&ix| ontology.disease(ix).id().database() != Database::Orpha)
            .filter_map(|ix| {
                let disease = ontology.disease(ix);
                let counts = cases.of(ix);
                let profile = draft.profile(&disease, counts.as_ref().unwrap_or(&none));
                let shown = counts.map(|_| {
                    let shown = cases.shown_of(ix);
                    Box::new(draft.profile(&disease, &shown))
                });
                (!profile.annotated.is_empty()).then(|| Entry {
                    shown,
                    ..entry(ontology, &disease, profile)
                })
            })
            .take(MAX_DISEASES)
            .collect();
        let count = entries.len().max(1) as f32;
        let mut background = vec![0.0_f32; terms.len()];
        let mut lists: Vec<Vec<(u16, f32)>> = vec![Vec::new(); terms.len()];
        for (slot, entry) in (0_u16..).zip(&entries) {
            for &(term, frequency) in &entry.profile.closure {
                background[term as usize] += frequency;
                lists[term as usize].push((slot, frequency));
            }
        }
        let mut shown_background = background.clone();
        for entry in &entries {
            let Some(shown) = &entry.shown else {
                continue;
            };
            for &(term, frequency) in &entry.profile.closure {
                shown_background[term as usize] -= frequency;
            }
            for &(term, frequency) in &shown.closure {
                shown_background[term as usize] += frequency;
            }
        }
        for value in background.iter_mut().chain(&mut shown_background) {
            *value = (*value / count).max(0.5 / count);
        }
        let information: Vec<f32> = lists
            .iter()
            .map(|list| -ln((list.len() as f32).max(0.5) / count))
            .map(|ic| ic.max(0.0))
            .collect();
        for entry in &mut entries {
            entry.summary = summary(&entry.profile, &information);
        }
        siblings(&mut entries);
        let slots = (0_u16..)
            .zip(&entries)
            .map(|(slot, entry)| (entry.disease, slot))
            .collect();
        let ancestors = Rows::new(terms.iter().map(|&t| {
            let above = ontology.ancestors(t).iter();
            above.map(|&(a, distance)| (number(a), distance))
        }));
        let shown_by = Rows::new(lists.into_iter());
        let order = lineage(ontology, &terms, &shown_by);
        Self {
            shown_below: shown_below(&order, &ancestors, terms.len()),
            general: General::new(&ancestors, &shown_by, &background, entries.len()),
            ancestors,
            parents: Rows::new(terms.iter().map(|&t| {
                let parents = ontology.term(t).parents().iter();
                parents.map(|&p| number(p))
            })),
            order,
            background,
            shown_background,
            information,
            shown_by,
            entries,
            slots,
            laboratory: laboratory(ontology),
            ways: crate::next::ways(ontology, &terms),
            gene_count: ontology.gene_count().max(1) as f32,
            terms,
            weights,
        }
    }

    /// How many diseases it ranks.
    #[must_use]
    pub fn disease_count(&self) -> usize {
        self.entries.len()
    }

    /// Whether it can name `disease` at all.
    #[must_use]
    pub fn ranks(&self, disease: DiseaseIx) -> bool {
        self.slots.contains_key(&disease)
    }

    /// The weights it was made with.
    #[must_use]
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    pub(crate) fn slot(&self, disease: DiseaseIx) -> Option<u16> {
        self.slots.get(&disease).copied()
    }

    /// A disease's profile from other stored cases than the model's: for a patient who is one of them.
    #[must_use]
    pub fn profile(&self, ontology: &Ontology, disease: DiseaseIx, cases: &CaseCounts) -> Profile {
        let counts = cases.of(disease).unwrap_or_default();
        Draft::new(ontology, &self.terms).profile(&ontology.disease(disease), &counts)
    }

    /// What of [`Model::profile`] may be shown.
    pub(crate) fn shown(
        &self,
        ontology: &Ontology,
        disease: DiseaseIx,
        cases: &CaseCounts,
    ) -> Profile {
        let counts = cases.shown_of(disease);
        Draft::new(ontology, &self.terms).profile(&ontology.disease(disease), &counts)
    }

    pub(crate) fn summary(&self, profile: &Profile) -> Summary {
        summary(profile, &self.information)
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Model({} diseases, {} terms)",
            self.entries.len(),
            self.terms.len()
        )
    }
}

/// What one frequent feature that the patient lacks costs at most.
pub(crate) const UNEXPLAINED: f32 = 0.9;

fn summary(profile: &Profile, information: &[f32]) -> Summary {
    let mut out = Summary::default();
    let mut squares = 0.0;
    for &(term, frequency) in &profile.closure {
        let ic = information[term as usize];
        out.information += ic;
        squares += (frequency * ic) * (frequency * ic);
    }
    out.length = f32::sqrt(squares);
    for &(_, frequency) in &profile.annotated {
        out.all_unexplained += ln(1.0 - UNEXPLAINED * frequency);
    }
    out
}

fn entry(ontology: &Ontology, disease: &Disease<'_>, profile: Profile) -> Entry {
    Entry {
        disease: disease.ix(),
        profile,
        shown: None,
        summary: Summary::default(),
        onset: onset(ontology, disease),
        sex_link: sex_link(ontology, disease),
        prevalence: disease
            .orphanet()
            .iter()
            .map(|&o| {
                let orphanet = ontology.orphanet(o);
                let classes = orphanet.prevalences().map(|p| prevalence_class(p.class));
                classes.fold(0.0, f32::max)
            })
            .fold(0.0, f32::max),
        siblings: Vec::new(),
        genes: disease.genes().to_vec(),
    }
}

fn prevalence_class(class: PrevalenceClass) -> f32 {
    match class {
        PrevalenceClass::Below1In1000000 => 1.0,
        PrevalenceClass::From1To9In1000000 => 2.0,
        PrevalenceClass::From1To9In100000 => 3.0,
        PrevalenceClass::From1To5In10000 => 4.0,
        PrevalenceClass::From6To9In10000 => 4.5,
        PrevalenceClass::Above1In1000 => 5.0,
        PrevalenceClass::Unknown | PrevalenceClass::NotDocumented | PrevalenceClass::NoData => 0.0,
    }
}

/// What an Orphanet onset counts beside one patient of HPO's.
const ORPHANET_ONSET: f32 = 0.7;

fn onset(ontology: &Ontology, disease: &Disease<'_>) -> Option<[f32; OnsetClass::COUNT]> {
    let mut weight = [0.0_f32; OnsetClass::COUNT];
    for annotation in disease.annotations() {
        if annotation.aspect != Aspect::Course || annotation.excluded {
            continue;
        }
        let Some((from, to)) = OnsetClass::of_term(ontology.term(annotation.term).id()) else {
            continue;
        };
        let patients = match annotation.frequency {
            ontology::Frequency::Count { affected, .. } => affected as f32,
            _ => 1.0,
        };
        spread(&mut weight, from.index(), to.index(), patients, true);
    }
    for &orphanet in disease.orphanet() {
        for &onset in ontology.orphanet(orphanet).onsets() {
            let (from, to) = match onset {
                OrphanetOnset::Antenatal => (0, 1),
                OrphanetOnset::Neonatal => (1, 2),
                OrphanetOnset::Infancy => (3, 3),
                OrphanetOnset::Childhood => (4, 4),
                OrphanetOnset::Adolescent => (5, 5),
                OrphanetOnset::Adult => (6, 7),
                OrphanetOnset::Elderly => (8, 8),
                OrphanetOnset::AllAges | OrphanetOnset::NoData => (0, 8),
            };
            spread(&mut weight, from, to, ORPHANET_ONSET, false);
        }
    }
    let sum: f32 = weight.iter().sum();
    (sum > 0.0).then(|| weight.map(|w| w / sum))
}

fn spread(weight: &mut [f32], from: usize, to: usize, patients: f32, divided: bool) {
    let each = if divided {
        patients / (to - from + 1) as f32
    } else {
        patients
    };
    for class in &mut weight[from..=to] {
        *class += each;
    }
}

fn sex_link(ontology: &Ontology, disease: &Disease<'_>) -> SexLink {
    let mut link = SexLink::None;
    for annotation in disease.annotations() {
        if annotation.aspect != Aspect::Inheritance || annotation.excluded {
            continue;
        }
        match ontology.term(annotation.term).id().to_string().as_str() {
            // Autosomal dominant, autosomal recessive: either sex.
            "HP:0000006" | "HP:0000007" => return SexLink::None,
            "HP:0001417" if link == SexLink::None => link = SexLink::XLinked,
            "HP:0001419" => link = SexLink::XLinkedRecessive,
            "HP:0001423" => link = SexLink::XLinkedDominant,
            _ => {}
        }
    }
    link
}

/// Diseases that share a gene stand for one another; a list is bounded, the nearest by position kept.
const MAX_SIBLINGS: usize = 32;

fn siblings(entries: &mut [Entry]) {
    let mut by_gene: BTreeMap<GeneIx, Vec<u16>> = BTreeMap::new();
    for (slot, entry) in (0_u16..).zip(entries.iter()) {
        for &gene in &entry.genes {
            by_gene.entry(gene).or_default().push(slot);
        }
    }
    for (slot, entry) in (0_u16..).zip(entries.iter_mut()) {
        let mut found: Vec<u16> = entry
            .genes
            .iter()
            .flat_map(|gene| &by_gene[gene])
            .copied()
            .filter(|&other| other != slot)
            .collect();
        found.sort_unstable();
        found.dedup();
        found.sort_by_key(|&other| (other.abs_diff(slot), other));
        found.truncate(MAX_SIBLINGS);
        entry.siblings = found;
    }
}

fn lineage(ontology: &Ontology, terms: &[TermIx], shown_by: &Rows<(u16, f32)>) -> Vec<[u32; 3]> {
    let mut depth: Vec<(usize, TermIx)> = terms
        .iter()
        .filter(|term| !shown_by.row(term.index()).is_empty())
        // A term has more ancestors than any of its ancestors.
        .map(|&term| (ontology.ancestors(term).len(), term))
        .collect();
    depth.sort_unstable();
    let mut out = Vec::with_capacity(depth.len());
    for (_, term) in depth {
        let parents = ontology.term(term).parents();
        let own = number(term);
        if parents.is_empty() {
            out.push([own, own, own]);
        }
        for pair in parents.chunks(2) {
            out.push([
                own,
                number(pair[0]),
                pair.get(1).map_or(own, |&p| number(p)),
            ]);
        }
    }
    out
}

fn shown_below(order: &[[u32; 3]], ancestors: &Rows<(u32, u8)>, terms: usize) -> Rows<u32> {
    let mut out = vec![Vec::new(); terms];
    let mut shown: Vec<u32> = order.iter().map(|&[term, ..]| term).collect();
    shown.dedup();
    for term in shown {
        for &(above, _) in ancestors.row(term as usize) {
            out[above as usize].push(term);
        }
    }
    Rows::new(out.into_iter())
}

/// LOINC codes kept for one term.
const MAX_CODES: usize = 5;

fn laboratory(ontology: &Ontology) -> BTreeMap<u32, Vec<LoincCode>> {
    let mut out: BTreeMap<u32, Vec<LoincCode>> = BTreeMap::new();
    for finding in ontology.loinc_findings() {
        if finding.negated {
            continue;
        }
        let codes = out.entry(number(finding.term)).or_default();
        if codes.len() < MAX_CODES && !codes.contains(&finding.code) {
            codes.push(finding.code);
        }
    }
    out
}
