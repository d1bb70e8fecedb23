//! The ontology against the shipped originals and against files that are wrong.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]

mod facts;
mod index;
mod search;
mod small;
mod sources;

use ontology::{Ontology, Shipped};
use std::sync::LazyLock;

/// The index file of the shipped originals, made once.
static INDEX: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let shipped = Shipped::unpack();
    ontology::compile(&shipped.sources()).expect("shipped originals")
});

/// The shipped originals, through their index file.
static ONTOLOGY: LazyLock<Ontology> = LazyLock::new(|| Ontology::open(&INDEX).expect("an index"));
