//! What the clustering and the attacks know of the ontology: which terms say that another is there,
//! and how much each tells.
//!
//! Information is in nats: minus the logarithm of the share of HPO's annotated diseases that show
//! the term or one below it (Resnik, IJCAI 1995). It is public knowledge: nothing of it is made of
//! the subjects.

use ontology::{Aspect, HpoId, Ontology, TermIx};

/// Steps of a nat that information is rounded to, so that no platform's logarithm moves a subject.
const STEPS: f64 = 1024.0;

/// The phenotypic part of an ontology, with information for each term.
pub struct Hpo<'a> {
    ontology: &'a Ontology,
    /// By term, in nats; 0 for what is not below `HP:0000118`.
    information: Vec<f64>,
    phenotypic: Vec<bool>,
}

impl<'a> Hpo<'a> {
    /// Counts the annotations once: some milliseconds.
    #[must_use]
    pub fn new(ontology: &'a Ontology) -> Self {
        let root = ontology.roots().phenotypic_abnormality;
        let mut phenotypic = vec![false; ontology.term_count()];
        for &(below, _) in ontology.descendants(root).iter().skip(1) {
            phenotypic[below.index()] = true;
        }
        let mut counts = vec![0_u32; ontology.term_count()];
        let mut seen = vec![usize::MAX; ontology.term_count()];
        for (number, disease) in ontology.diseases().enumerate() {
            for line in ontology.disease(disease).annotations() {
                if line.excluded || line.aspect != Aspect::Phenotype {
                    continue;
                }
                for &(above, _) in ontology.ancestors(line.term) {
                    if seen[above.index()] != number {
                        seen[above.index()] = number;
                        counts[above.index()] += 1;
                    }
                }
            }
        }
        let all = float(ontology.disease_count()) + 1.0;
        let information = counts
            .iter()
            .zip(&phenotypic)
            .map(|(&count, &counted)| match counted {
                true => ((all / (f64::from(count) + 1.0)).ln() * STEPS).round() / STEPS,
                false => 0.0,
            })
            .collect();
        Self {
            ontology,
            information,
            phenotypic,
        }
    }

    /// The ontology.
    #[must_use]
    pub fn ontology(&self) -> &'a Ontology {
        self.ontology
    }

    /// In nats.
    #[must_use]
    pub fn information(&self, term: TermIx) -> f64 {
        self.information[term.index()]
    }

    /// Whether a term is a feature, and not an onset, a modifier or the root.
    #[must_use]
    pub fn is_phenotypic(&self, term: TermIx) -> bool {
        self.phenotypic[term.index()]
    }

    /// The term and what it implies, without the root.
    pub(crate) fn implied(&self, term: TermIx) -> impl Iterator<Item = TermIx> + '_ {
        let terms = self
            .ontology
            .ancestors(term)
            .iter()
            .map(|&(above, _)| above);
        terms.filter(|&above| self.is_phenotypic(above))
    }

    /// `terms` and all that they imply, ascending, each once.
    pub(crate) fn closure(&self, terms: &[TermIx]) -> Vec<TermIx> {
        let mut all: Vec<TermIx> = terms.iter().flat_map(|&term| self.implied(term)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// `terms` and all below them: who does not have a feature has none of its kinds.
    pub(crate) fn closure_below(&self, terms: &[TermIx]) -> Vec<TermIx> {
        let below = |term: &TermIx| self.ontology.descendants(*term).iter();
        let mut all: Vec<TermIx> = terms
            .iter()
            .flat_map(below)
            .map(|&(below, _)| below)
            .collect();
        all.retain(|&term| self.is_phenotypic(term));
        all.sort_unstable();
        all.dedup();
        all
    }

    pub(crate) fn id(&self, term: TermIx) -> HpoId {
        self.ontology.term(term).id()
    }

    pub(crate) fn sum(&self, terms: &[TermIx]) -> f64 {
        terms.iter().map(|&term| self.information(term)).sum()
    }
}

impl std::fmt::Debug for Hpo<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hpo({} terms)", self.information.len())
    }
}

/// A count as a number.
pub(crate) fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
