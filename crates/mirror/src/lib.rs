//! What a node itself knows, as FHIR R4 (4.0.1) resources in JSON; and Consent, read back.
//!
//! - [`consent_write`], [`opt_outs_write`], [`restriction_write`]: what a family decided, as `Consent`;
//!   [`consent_read`]: what a Consent states, exactly, or why it is refused.
//! - [`audit_event`]: a disclosure as `AuditEvent` (IHE BALP). [`provenance`]: a write as `Provenance`, with
//!   the ledger's receipt once it is final.
//! - [`capability`]: what an endpoint serves. [`outcome`]: what went wrong. [`bundle()`], [`BundleWriter`]:
//!   answers of several resources, whose bytes are copied as they are.
//! - [`names`]: what this node's identifiers are called in FHIR.
//!
//! Ids, times and references come from whoever calls. Clinical resources are not made here: they are kept as
//! they came. No clock, no entropy, no storage, no HTTP; nothing is decided here.

mod audit;
mod bundle;
mod capability;
mod consent_read;
mod consent_write;
mod data_use_write;
pub mod names;
mod outcome;
mod provenance;
mod write;

pub use audit::{Act, Disclosed, Ended, Network, audit_event};
pub use bundle::{
    Answered, BatchResponse, BundleWriter, Found, Head, History, Kind, Member, Mode, Response,
    Searchset, TransactionResponse, Version, bundle,
};
pub use capability::{
    ConditionalDelete, ConditionalRead, Operation, SearchParam, SearchParamType, Security, Served,
    ServedType, SystemInteraction, TypeInteraction, Versioning, capability,
};
pub use consent_read::{Directory, GrantDraft, MAX_BYTES, Named, Party, Stated, consent_read};
pub use consent_write::{Frame, consent_write, opt_outs_write, restriction_write};
pub use outcome::{Issue, IssueType, Severity, outcome};
pub use provenance::{Activity, Author, ReceiptState, Written, provenance};
