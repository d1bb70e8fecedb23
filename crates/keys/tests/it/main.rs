//! Integration tests of hashing, signatures, sealing and commitments.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
