//! Behaviour of the phenopacket layer on real, damaged and hostile documents.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod corpus;
mod extraction;
mod leaves;
mod partition;
mod refusals;
mod sample;
