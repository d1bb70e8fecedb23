//! SMART App Launch scopes, versions 1 and 2: what an access token lets its bearer's software do.
//!
//! [`Scopes::parse`] reads the space-separated text of a `scope` parameter or claim; [`Scopes::permits`]
//! answers for one interaction with one resource type with a [`Reach`]: nothing, or whose resources and
//! which of them. [`Scopes::within`] cuts what is asked for down to what may be had. Scopes that are
//! not about resources (`openid`, `fhirUser`, `launch/patient`, `offline_access`) are kept by name.
//!
//! A scope is one half of an answer: who the bearer is and what consent says is asked elsewhere, and both
//! must permit. This crate knows no person, no token, no clock and no resource: whether a resource lies in
//! the patient's compartment or matches a filter comes in as a function ([`Reach::covers`]).
//!
//! Errors: [`BadScope`] for text that looks like a clinical scope and is not one, and beyond [`MAX_BYTES`],
//! [`MAX_SCOPES`] or [`MAX_FILTERS`]. They name a position, never the text.
//!
//! Source: SMART App Launch 2.2, "Scopes for requesting FHIR resources" (`.cruds`, in that order, with an
//! optional query) and its mapping of version 1 (`.read` = `.rs`, `.write` = `.cud`, `.*` = `.cruds`);
//! RFC 6749 section 3.3 for the characters.

mod clinical;
mod reach;
mod scopes;
mod words;

pub use clinical::{Clinical, Context, Filter, Interaction, Interactions};
pub use reach::Reach;
pub use scopes::{BadScope, Fault, MAX_BYTES, MAX_FILTERS, MAX_SCOPES, Scope, Scopes};
