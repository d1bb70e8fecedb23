//! Which genes to read: the probability of each disease, dealt out to its genes.

use crate::{differential::Ranking, model::Model};
use ontology::GeneIx;
use std::collections::BTreeMap;

/// Genes listed at most.
const MAX_GENES: usize = 50;

/// One gene of the panel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PanelGene {
    /// The gene.
    pub gene: GeneIx,
    /// Probability that it is the cause, 0 to 1: a disease's is dealt to its genes in equal parts.
    pub mass: f64,
    /// Of this gene and all before it.
    pub cumulative: f64,
}

pub(crate) fn panel(model: &Model, ranking: &Ranking) -> Vec<PanelGene> {
    let mut mass: BTreeMap<GeneIx, f64> = BTreeMap::new();
    for ranked in &ranking.ranked {
        let Some(slot) = model.slot(ranked.disease) else {
            continue;
        };
        let genes = &model.entries[usize::from(slot)].genes;
        for &gene in genes {
            *mass.entry(gene).or_default() += ranked.posterior / genes.len() as f64;
        }
    }
    let mut order: Vec<(GeneIx, f64)> = mass.into_iter().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    order.truncate(MAX_GENES);
    let mut cumulative = 0.0;
    order
        .into_iter()
        .map(|(gene, mass)| {
            cumulative += mass;
            PanelGene {
                gene,
                mass,
                cumulative,
            }
        })
        .collect()
}
