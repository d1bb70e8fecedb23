//! Extracts and attacks, on people whose answers are known.

#![expect(clippy::expect_used, reason = "tests")]

mod attacks;
mod clusters;
mod later;
mod measured;

use extract::{AgeBand, Cohort, Config, Diversity, Extract, Hpo, Subject};
use ontology::{DiseaseId, Ontology, Sex, Shipped, TermIx};
use std::sync::LazyLock;

static ONTOLOGY: LazyLock<Ontology> = LazyLock::new(|| {
    Ontology::from_sources(&Shipped::unpack().sources()).expect("the shipped originals")
});

static HPO: LazyLock<Hpo<'static>> = LazyLock::new(|| Hpo::new(&ONTOLOGY));

/// Features without a narrower one, each below another branch: none implies another.
static LEAVES: LazyLock<Vec<TermIx>> = LazyLock::new(|| {
    let leaf = |term: &TermIx| HPO.is_phenotypic(*term) && ONTOLOGY.descendants(*term).len() == 1;
    ONTOLOGY.terms().filter(leaf).collect()
});

const DISEASES: [&str; 4] = ["OMIM:154700", "OMIM:219700", "OMIM:143100", "OMIM:310200"];

fn disease(number: usize) -> DiseaseId {
    DISEASES[number].parse().expect("a disease")
}

fn term(id: &str) -> TermIx {
    ONTOLOGY.live(id.parse().expect("an id")).expect("a term")
}

/// Number `number`, with these features and the first disease.
fn person(number: u32, observed: &[TermIx]) -> Subject {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
    id[4..8].copy_from_slice(&number.to_be_bytes());
    Subject {
        id,
        observed: observed.to_vec(),
        excluded: Vec::new(),
        sex: Some(Sex::Female),
        age: Some(AgeBand::From1To4),
        diagnosis: Some(disease(0)),
    }
}

fn k(k: u32) -> Config {
    Config {
        k,
        ..Config::default()
    }
}

fn mixed(k: u32) -> Config {
    Config {
        k,
        cohort: Cohort::Mixed(Diversity::default()),
        ..Config::default()
    }
}

/// Ids of the members, cluster by cluster.
fn ids(subjects: &[Subject], extract: &Extract) -> Vec<Vec<[u8; 32]>> {
    let of = |c: &extract::Cluster| {
        let mut ids: Vec<_> = c.members.iter().map(|&m| subjects[m as usize].id).collect();
        ids.sort_unstable();
        ids
    };
    let mut all: Vec<_> = extract.clusters.iter().map(of).collect();
    all.sort_unstable();
    all
}

/// Whether somebody has a term or a narrower one.
fn has(subject: &Subject, term: TermIx) -> bool {
    subject.observed.iter().any(|&own| ONTOLOGY.is_a(own, term))
}

/// Whether somebody is known to lack a term.
fn lacks(subject: &Subject, term: TermIx) -> bool {
    subject.excluded.iter().any(|&own| ONTOLOGY.is_a(term, own))
}
