//! HL7 FHIR R4 (4.0.1) as JSON: what a resource or Bundle holds, its stored form, and which part of
//! it belongs to which category of health data.
//!
//! - In: the bytes of one resource ([`Parsed::parse`]) or of a transaction, batch or collection
//!   ([`Bundle::parse`]), or of either ([`Received::parse`]). Out: views that borrow them.
//!   [`resources`] reads a Bundle of any type, for those who only look.
//! - [`Parsed::stored_form`] is the received bytes with only the server's id, `meta.versionId`,
//!   `meta.lastUpdated` and resolved references spliced in; every other byte stays.
//! - [`Parsed::projections`] deals every leaf to exactly one category, under [`RULE_VERSION`]: the
//!   category of the resource (`category.rs`), unless the element's rule (`rule.rs`) says identity
//!   or documents. What the table of R4 elements (`elements.txt`) does not know is identity.
//! - [`search`] says what a resource is found by, and reads queries (`search.txt`).
//!
//! Refused with an [`Error`] that names the place and never a value: JSON that `json` refuses, a
//! `resourceType` that R4 does not have, ids and Bundles that break the rules they need.
//!
//! [`validate`] says what of a resource is not as R4 defines it. Nothing else here depends on that: a
//! resource that is not valid can be read, and an element of the wrong shape is in the identity category.
//!
//! It knows no profiles, no terminologies but the value sets that bind codes, no storage or consent, and reads no XML and no other version of FHIR. Its tables (`elements.txt`, `bindings.txt`,
//! `invariants.txt`) are written from the official definitions by `cargo xtask fhir-tables`.

mod bindings;
mod bundle;
mod category;
mod clinical;
mod definitions;
mod error;
mod facts;
mod fhirpath;
mod invariants;
mod parsed;
mod primitive;
mod rule;
pub mod search;
mod stored;
mod table;
mod validate;
mod walk;
mod xhtml;

pub use bundle::{
    Bundle, BundleKind, Entry, MAX_ENTRIES, Method, Received, Request, Resource, resources,
};
pub use clinical::{
    Coding, Concept, Condition, Measured, Observation, Onset, Patient, Quantity, Reading,
    ReferenceRange,
};
pub use definitions::{Definition, ElementDefinition, Holds};
pub use error::Error;
pub use facts::{Code, Date, Link};
pub use invariants::unchecked_invariants;
pub use json::Limits;
pub use parsed::Parsed;
pub use stored::Assigned;
pub use table::{is_id, is_resource_type, resource_types};
pub use validate::{Issue, IssueCode, MAX_ISSUES, Severity, Strictness, validate, validate_bytes};

/// The version of the rule that deals leaves to categories. A change of the rule that moves a leaf
/// of any resource is a new version, for commitments name it.
pub const RULE_VERSION: u16 = 1;
