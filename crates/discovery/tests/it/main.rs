//! Tests of discovery.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod accounts;
mod answers;
mod archive;
mod cache;
mod charges;
mod garbage;
mod judged;
mod queries;
mod requests;
mod vocabulary;
