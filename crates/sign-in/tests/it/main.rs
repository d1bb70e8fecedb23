//! Signing in, from outside.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod issuers;
mod keeping;
mod keyring;
mod little_issuer;
mod own;
mod passkeys;
mod refreshing;
mod services;
mod tokens;
