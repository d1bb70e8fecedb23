//! Made-up people in any number, for measuring time and memory: nobody's records.

use crate::{
    hpo::Hpo,
    random::Draws,
    subject::{AgeBand, Subject},
};
use ontology::{Aspect, Sex, TermIx};

/// People with diseases by lot, each term of the disease's annotations with even chance, at most
/// twenty; five of another disease's are excluded.
#[must_use]
pub fn crowd(hpo: &Hpo<'_>, count: u32, seed: u64) -> Vec<Subject> {
    let mut draws = Draws::new(seed);
    let diseases: Vec<_> = hpo.ontology().diseases().collect();
    let terms: Vec<Vec<TermIx>> = diseases
        .iter()
        .map(|&disease| {
            let lines = hpo.ontology().disease(disease).annotations().iter();
            lines
                .filter(|line| !line.excluded && line.aspect == Aspect::Phenotype)
                .map(|line| line.term)
                .collect()
        })
        .collect();
    let person = |number: u32| {
        let (at, other) = (draws.below(diseases.len()), draws.below(diseases.len()));
        let mut observed = terms[at].clone();
        observed.retain(|_| draws.below(2) == 0);
        let mut id = [0; 32];
        id[..8].copy_from_slice(&draws.next().to_be_bytes());
        id[8..12].copy_from_slice(&number.to_be_bytes());
        Subject {
            id,
            observed: draws.sample(&observed, 20),
            excluded: draws.sample(&terms[other], 5),
            sex: Some(
                *[Sex::Female, Sex::Male]
                    .get(draws.below(2))
                    .unwrap_or(&Sex::Female),
            ),
            age: u32::try_from(draws.below(80)).ok().map(AgeBand::of_years),
            diagnosis: Some(hpo.ontology().disease(diseases[at]).id()),
        }
    };
    (0..count).map(person).collect()
}
