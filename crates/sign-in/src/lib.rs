//! Who is asking: tokens of single sign-on elsewhere, and the node's own accounts.
//!
//! - [`jwt`] signs and checks JSON Web Tokens; no other module names the library.
//! - [`issuers`] believes access tokens of configured OpenID Connect issuers; [`fetch`] gets their keys.
//! - [`own`] is the issuer that comes with the node: accounts, passkeys, clients, codes, refresh tokens, services.
//! - [`file`](mod@file) keeps their small files.
//!
//! Time comes in as milliseconds since 1970, randomness as a function. Nothing here logs a token, a code, a
//! password or a name.
//!
//! It knows no HTTP server, no records and no consent: what it finds out is an [`issuers::Identity`].

pub mod fetch;
pub mod file;
pub mod issuers;
pub mod jwt;
mod key_cache;
pub mod own;
