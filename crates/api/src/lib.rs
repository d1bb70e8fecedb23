//! The HTTP edge of a node: JSON over loopback, OpenAPI at `/openapi.json`.
//!
//! One table, [`endpoint::ENDPOINTS`], makes the router, the OpenAPI document and the authorisation matrix
//! of the tests: an endpoint that is not in it does not exist. The edge authenticates a bearer token,
//! parses a request into one value of `node`, calls one use case and writes its answer. It decides
//! nothing: authorisation and consent are the node's.
//!
//! Inputs are bounded: connections by number and by patience, bodies by size, all bodies in flight together by
//! a budget, requests by time.
//! Every error is an RFC 9457 problem document; none carries patient data.
//!
//! Does not know: the vault, the ledger, how consent is decided.

pub mod endpoint;
pub mod openapi;
pub mod problem;
pub mod token;

mod auth;
mod consents;
mod cors;
mod differentials;
mod disclosures;
mod edge;
mod emergencies;
mod events;
mod fhir;
mod guard;
mod hooks;
mod identities;
mod machines;
mod network;
mod notify;
mod operations;
mod publication;
mod read;
mod records;
mod serving;
mod session;
mod shares;
mod studies;
mod subjects;

pub use axum::Router;
pub use edge::{Edge, Limits, router};
pub use machines::{Machines, MachinesError};
pub use notify::{Outgoing, is_endpoint};
pub use problem::Problem;
pub use serving::{Bounds, serve, serve_machines};
pub use session::Session;
pub use shares::{Exchange, Exchanged};
pub use token::{Lasting, NewToken, TokenError, Tokens};
