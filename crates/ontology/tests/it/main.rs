//! The ontology against the shipped originals and against files that are wrong.

mod facts;

use ontology::{Ontology, Shipped};
use std::sync::LazyLock;

/// The shipped originals, unpacked once.
static SHIPPED: LazyLock<Shipped> = LazyLock::new(Shipped::unpack);

/// The shipped originals as an ontology, read once.
static ONTOLOGY: LazyLock<Ontology> =
    LazyLock::new(|| Ontology::from_sources(&SHIPPED.sources()).expect("shipped originals"));
