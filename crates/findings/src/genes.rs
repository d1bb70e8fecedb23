//! Genes under suspicion, each once.

use crate::case::CandidateGene;
use ontology::GeneIx;
use phenopacket::Status;
use std::collections::HashMap;

/// Genes in the order in which they were first named.
#[derive(Default)]
pub(crate) struct Genes {
    genes: Vec<CandidateGene>,
    positions: HashMap<Name, usize>,
}

/// What tells genes apart.
#[derive(PartialEq, Eq, Hash)]
enum Name {
    Known(GeneIx),
    /// Symbol and id of a gene that is not known.
    Unknown(String, String),
}

impl Genes {
    /// Adds a gene, or what is new of one that is there.
    pub(crate) fn add(&mut self, new: CandidateGene) {
        let name = match new.gene {
            Some(gene) => Name::Known(gene),
            None => Name::Unknown(new.symbol.clone(), new.id.clone()),
        };
        let next = self.genes.len();
        let at = *self.positions.entry(name).or_insert(next);
        match self.genes.get_mut(at) {
            None => self.genes.push(new),
            Some(known) => {
                if strength(new.status) > strength(known.status) {
                    known.status = new.status;
                }
                if new.pathogenicity as u8 > known.pathogenicity as u8 {
                    known.pathogenicity = new.pathogenicity;
                }
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.genes.len()
    }

    pub(crate) fn into_vec(self) -> Vec<CandidateGene> {
        self.genes
    }
}

fn strength(status: Status) -> u8 {
    match status {
        Status::Rejected => 0,
        Status::Unknown => 1,
        Status::Candidate => 2,
        Status::Contributory => 3,
        Status::Causative => 4,
    }
}
