//! What scopes permit.

#![expect(clippy::expect_used, reason = "tests")]

mod laws;
mod text;
