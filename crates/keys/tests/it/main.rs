//! Integration tests of hashing, signatures, sealing and commitments, against published vectors,
//! other implementations and golden bytes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commitment;
mod cose;
mod hash;
mod hybrid;
mod merkle;
mod password;
mod pq;
mod seal;
mod sign;
mod vectors;
