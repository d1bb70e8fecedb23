//! What is known of terms and diseases, for counts and for holding studies against conditions.

use crate::differential::Knowledge;
use consent::Curie;
use discovery::{TermId, Terms, Vocabulary};
use ontology::{DiseaseIx, HpoId, MondoId, Ontology, OrphaCode};
use std::collections::BTreeSet;

/// How many steps up a hierarchy of disorders are followed.
const STEPS: usize = 64;

/// The port of `discovery`, over what the node knows.
pub(super) struct Known<'a>(pub(super) &'a Ontology);

impl Known<'_> {
    fn term(&self, term: TermId) -> Option<ontology::TermIx> {
        let id: HpoId = term.to_string().parse().ok()?;
        self.0.resolve(id).term()
    }
}

impl Terms for Known<'_> {
    fn resolve(&self, term: TermId) -> Option<TermId> {
        if term.vocabulary().is_disease() {
            return disease_known(self.0, &term.to_string()).then_some(term);
        }
        let ix = self.term(term)?;
        TermId::new(Vocabulary::Hp, self.0.term(ix).id().number())
    }

    fn within(&self, term: TermId, ancestor: TermId) -> bool {
        if term == ancestor {
            return true;
        }
        if term.vocabulary().is_disease() {
            return ancestor.vocabulary().is_disease()
                && above(self.0, &term.to_string()).contains(&ancestor.to_string());
        }
        match (self.term(term), self.term(ancestor)) {
            (Some(term), Some(ancestor)) => self.0.is_a(term, ancestor),
            _ => false,
        }
    }
}

fn disease_known(ontology: &Ontology, id: &str) -> bool {
    if let Ok(mondo) = id.parse::<MondoId>() {
        return ontology.mondo_label(mondo).is_some()
            || ontology.diseases_of_mondo(mondo).next().is_some();
    }
    id.parse()
        .is_ok_and(|id| ontology.find_disease(id).is_some())
        || id
            .parse()
            .is_ok_and(|code| ontology.find_orphanet(code).is_some())
}

/// What a disease is within: what is the same in other vocabularies, and Orphanet's groups above it.
fn above(ontology: &Ontology, id: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut codes: Vec<OrphaCode> = id.parse().into_iter().collect();
    let mut diseases: Vec<DiseaseIx> = Vec::new();
    if let Ok(mondo) = id.parse::<MondoId>() {
        diseases.extend(ontology.diseases_of_mondo(mondo));
    }
    diseases.extend(id.parse().ok().and_then(|id| ontology.find_disease(id)));
    for disease in diseases {
        let disease = ontology.disease(disease);
        found.insert(disease.id().to_string());
        found.extend(disease.mondo().iter().map(ToString::to_string));
        for same in disease.orphanet() {
            codes.push(ontology.orphanet(*same).code());
        }
    }
    let mut seen = BTreeSet::new();
    for _ in 0..STEPS {
        let mut next = Vec::new();
        for code in std::mem::take(&mut codes) {
            if !seen.insert(code) {
                continue;
            }
            found.insert(code.to_string());
            if let Some(ix) = ontology.find_orphanet(code) {
                let disorder = ontology.orphanet(ix);
                found.extend(disorder.mondo().iter().map(ToString::to_string));
                next.extend(disorder.parents().iter().copied());
            }
        }
        codes = next;
    }
    found.remove(id);
    found
}

/// Everything that a disease of a study is within; none: it is not known.
pub(super) fn ancestors(knowledge: &Knowledge, disease: &Curie) -> Option<BTreeSet<Curie>> {
    let ontology = &knowledge.ontology;
    let id = disease.to_string();
    if !disease_known(ontology, &id) {
        return None;
    }
    let above = above(ontology, &id);
    Some(above.iter().filter_map(|id| Curie::new(id).ok()).collect())
}
