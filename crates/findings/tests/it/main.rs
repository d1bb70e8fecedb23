//! Cases as people and systems hand them over: published, synthetic, contradictory, damaged.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test stops at the first surprise"
)]

mod corpus;
mod damaged;
mod laboratory;
mod list;
mod packet;
mod records;
mod resources;

use findings::{Case, State};
use ontology::{Ontology, Shipped, TermIx};
use std::sync::LazyLock;

static ONTOLOGY: LazyLock<Ontology> = LazyLock::new(|| {
    let shipped = Shipped::unpack();
    Ontology::from_sources(&shipped.sources()).expect("shipped originals")
});

fn read(source: &str) -> Case {
    findings::read(source.as_bytes(), &ONTOLOGY).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(source: &[u8]) -> String {
    findings::read(source, &ONTOLOGY).unwrap_err().to_string()
}

fn id(term: TermIx) -> String {
    ONTOLOGY.term(term).id().to_string()
}

fn ids(terms: impl IntoIterator<Item = TermIx>) -> Vec<String> {
    terms.into_iter().map(id).collect()
}

/// Ids in one state, in the order of the findings.
fn of(case: &Case, state: State) -> Vec<String> {
    ids(case.terms(state))
}
