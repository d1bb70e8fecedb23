//! Behaviour of the FHIR layer on official, synthetic, damaged and hostile documents.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod bundles;
mod clinical;
mod corpus;
mod examples;
mod extraction;
mod invariants;
mod leaves;
mod mutants;
mod partition;
mod refusals;
mod sample;
mod search;
mod stored;
mod validation;
