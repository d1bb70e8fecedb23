//! Tests of `release` from outside.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod package;
