//! What stored cases are worth: each case ranked with and without the other papers' cases of its
//! disease, never with its own paper's.

use crate::{
    cases::{CaseCounts, CaseKey, StoredCase},
    measure::{Case, Part, Stratum, Tally, tally},
    model::Model,
    session::Session,
};
use ontology::Ontology;
use serde::Serialize;

/// Accuracy on uncited cases (three of each disease) that another paper's case is stored for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Stored {
    /// Published knowledge alone.
    pub without: Stratum,
    /// With the stored cases' counts.
    pub with: Stratum,
}

/// Measures what the phenopacket cases of other papers add.
#[must_use]
pub fn stored(ontology: &Ontology, model: &Model, cases: &[Case]) -> Stored {
    let store: Vec<StoredCase> = cases
        .iter()
        .filter(|case| case.paper.is_some())
        .flat_map(|case| {
            case.known.iter().map(|&disease| StoredCase {
                key: key(case),
                disease,
                observed: case.findings.observed().iter().copied().collect(),
            })
        })
        .collect();
    let (mut chosen, mut without, mut with) = (Vec::new(), Vec::new(), Vec::new());
    for at in Part::Uncited.select(cases) {
        let case = &cases[at];
        let others = store
            .iter()
            .filter(|other| case.known.contains(&other.disease) && !other.key.shares(&key(case)));
        let counts = CaseCounts::new(others);
        if counts == CaseCounts::default() {
            continue;
        }
        let weights = model.weights().unseen(&case.diseases);
        let mut session = Session::new(model, case.findings.clone()).with_weights(weights);
        without.push((at, tally(model, case, &session)));
        for &disease in &case.known {
            session.set_aside(ontology, disease, &counts);
        }
        with.push((at, tally(model, case, &session)));
        chosen.push(at);
    }
    let stratum = |found: &[(usize, Tally)]| {
        let mut all = vec![Tally::default(); cases.len()];
        for &(at, tally) in found {
            all[at] = tally;
        }
        Stratum::of(Part::Uncited, cases, &chosen, &all)
    };
    Stored {
        without: stratum(&without),
        with: stratum(&with),
    }
}

fn key(case: &Case) -> CaseKey {
    CaseKey {
        paper: case.paper.clone(),
        subject: None,
    }
}
