//! Simulated machines, the lines between them, and the members whose nodes run on them.
//!
//! [`machine`]: a node's runtime, with a [`disk`] and a clock of its own. [`air`]: what is between them.
//! [`world`]: members, founded and started. [`dice`]: seeded choices.
//!
//! The nodes are the product's own, engine, vault and all; what is simulated is below them. They are large:
//! they are compiled here, once, and not with every change of what befalls them (`sim`).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "where the simulated world is not as it must be, the simulation panics: that is its finding"
)]

pub mod air;
pub mod dice;
pub mod disk;
pub mod machine;
pub mod world;
