//! The use cases of a node, under the engine's deterministic runtime: seeded time, randomness, tasks
//! and storage. A failing test names its seed by its own name; the same code gives the same run.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set up its world has failed"
)]

mod clocks;
mod controllers;
mod counting;
mod crash;
mod damage;
mod deposits;
mod differentials;
mod disclosures;
mod emergencies;
mod erasures;
mod exports;
mod families;
mod folders;
mod golden;
mod governance;
mod house;
mod identities;
mod institutions;
mod members;
mod network;
mod receipts;
mod releases;
mod research;
mod sharing;
mod subscriptions;
mod witnesses;
mod world;
