//! FHIR R4: what laboratories, EHRs, apps and researchers' tools do with resources.
//!
//! A resource lives in the compartment of the patient it is about, under an id of FHIR's own; what is about no
//! patient (practitioners, organisations, groups) lives in the *directory*, a compartment of the institution
//! itself. Ids, references and search terms lead to compartments by the blind index.
//!
//! - Writes ([`FhirTransact`]) are one path, for one resource and for a transaction: target, placement, stored
//!   form, one atomic batch over all subjects.
//! - Reads ([`FhirRead`], [`FhirHistory`], [`FhirSearch`]) decide for each subject, log one disclosure for each,
//!   durable before anything leaves, and serve the stored form, or the permitted part of it marked `SUBSETTED`.
//! - Subscriptions ([`FhirSubscribe`]) are readings that begin with a write: what was written is told to whoever
//!   may see it and asked for it, some time later.
//! - Exports ([`FhirExport`]) are reads of many: what is kept of one is its plan, and each page of a file is read as
//!   it is downloaded.
//!
//! Scopes and consent must both permit: an [`FhirAsker`] brings the scopes of its software, and every resource that
//! is opened for it, also one that is only included, chained to or part of `$everything`, must be reached by them.

use crate::caller::Caller;
use crate::record::Content;
use crate::subject::Wait;
use codec::id::DisclosureId;
use consent::Purpose;
pub use smart::{Interaction, Scopes};

mod check;
mod directory;
mod everything;
mod export;
mod open;
mod place;
mod plan;
mod read;
mod search;
mod subscriptions;
mod views;
mod write;

pub use export::{
    FhirExport, FhirExportMark, FhirExportOf, FhirExportPage, FhirExportPlan, FhirExportQuery,
    FhirExportRead, FhirExportState,
};
pub use search::MAX_PAGE;
pub use subscriptions::{
    FhirSubscribe, MAX_SUBSCRIPTIONS, MAX_SUBSCRIPTIONS_EACH, Notice, NoticePayload, Notifier,
    SubscriptionId, Subscriptions, Unsent,
};
pub(crate) use subscriptions::{SUBSCRIPTION, Subscribed};
pub(crate) use views::CONSENT;

/// Who asks over FHIR, and how far the scopes reach.
#[derive(Debug, Clone)]
pub struct FhirAsker {
    /// Who.
    pub caller: Caller,
    /// What for; by role when it is left out.
    pub purpose: Option<Purpose>,
    /// The address of this server, such as `https://host/fhir`: references under it are this node's own.
    pub base: String,
    /// The Patient that the scopes confine the whole request to, if they do.
    pub patient: Option<String>,
    /// What the software may do, for each type of resource.
    pub scopes: Scopes,
    /// What it does, as scopes name it.
    pub interaction: Interaction,
    /// The Patient that the session is about: whose resources `patient/` scopes reach.
    pub launched: Option<String>,
}

/// What is to be done to one resource.
#[derive(Debug, Clone)]
pub struct FhirWrite {
    /// Its type.
    pub kind: String,
    /// What.
    pub act: FhirAct,
    /// `fullUrl`, by which other entries refer to it.
    pub full_url: Option<String>,
}

/// An interaction that writes.
#[derive(Debug, Clone)]
pub enum FhirAct {
    /// A new resource, under an id of the server's.
    Create {
        /// The resource.
        content: Content,
        /// Only if nothing matches this search.
        if_none_exist: Option<Vec<(String, String)>>,
    },
    /// A resource as it is to be from now on.
    Update {
        /// The resource.
        content: Content,
        /// Which.
        target: FhirTarget,
        /// Only if this is its version.
        if_match: Option<u32>,
    },
    /// Changes to a resource: JSON Patch (RFC 6902).
    Patch {
        /// The operations.
        operations: Content,
        /// Which.
        target: FhirTarget,
        /// Only if this is its version.
        if_match: Option<u32>,
    },
    /// No resource from now on; its versions stay.
    Delete {
        /// Which.
        target: FhirTarget,
        /// Only if this is its version.
        if_match: Option<u32>,
    },
}

/// Which resource is meant.
#[derive(Debug, Clone)]
pub enum FhirTarget {
    /// The one of this id.
    Id(String),
    /// The one that matches this search.
    Matching(Vec<(String, String)>),
}

/// Writes that happen together or not at all.
#[derive(Debug, Clone)]
pub struct FhirTransact {
    /// Who.
    pub asker: FhirAsker,
    /// What, at most [`crate::config::Limits::bundle_entries`].
    pub writes: Vec<FhirWrite>,
    /// Whether elements that R4 does not know are refused.
    pub strict: bool,
    /// Whether the writes came as a Bundle, so that problems name entries.
    pub bundle: bool,
    /// Whether to wait for finality.
    pub wait: Wait,
    /// The source system, for the provenance.
    pub source: String,
}

/// What became of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FhirOutcome {
    /// There was none before.
    Created,
    /// There is a new version.
    Updated,
    /// It matched what is there, so nothing was written.
    Unchanged,
    /// It is gone; or there was none.
    Deleted,
}

/// One write, done.
#[derive(Debug, Clone)]
pub struct FhirWritten {
    /// What became of it.
    pub outcome: FhirOutcome,
    /// The resource; of a deletion of nothing, there is none.
    pub resource: Option<FhirResource>,
}

/// A version of a resource, as far as it may be seen.
#[derive(Debug, Clone)]
pub struct FhirResource {
    /// Its type.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// The version, from 1.
    pub version: u32,
    /// When that version was put in, Unix milliseconds.
    pub updated_ms: u64,
    /// The resource; none for a version that deletes it.
    pub content: Option<Content>,
    /// Whether some of it was left out, because consent does not permit it.
    pub is_subset: bool,
}

/// Reads a resource.
#[derive(Debug, Clone)]
pub struct FhirRead {
    /// Who.
    pub asker: FhirAsker,
    /// Its type.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// A version; the latest if there is none.
    pub version: Option<u32>,
}

/// A resource with the log row of its reading.
#[derive(Debug, Clone)]
pub struct FhirReadDone {
    /// The log row; none for a family that reads what it decided, or who read its records.
    pub disclosure: Option<DisclosureId>,
    /// The resource.
    pub resource: FhirResource,
}

/// The versions of a resource, or of all resources of a type.
#[derive(Debug, Clone)]
pub struct FhirHistory {
    /// Who.
    pub asker: FhirAsker,
    /// The type.
    pub kind: String,
    /// One resource; all of that type if there is none.
    pub id: Option<String>,
    /// Only versions put in at or after this, Unix milliseconds.
    pub since_ms: Option<u64>,
    /// How many at most.
    pub count: usize,
    /// Where the last page ended.
    pub after: Option<String>,
}

/// A page of results.
#[derive(Debug, Clone)]
pub struct FhirPage {
    /// The resources.
    pub found: Vec<FhirFound>,
    /// How many match in all, if that is known.
    pub total: Option<u64>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// The parameters that were understood, for links.
    pub understood: Vec<(String, String)>,
    /// The names of those that were not.
    pub ignored: Vec<String>,
}

/// A resource of a page.
#[derive(Debug, Clone)]
pub struct FhirFound {
    /// The resource.
    pub resource: FhirResource,
    /// Whether it is there because another one refers to it, or is referred to.
    pub is_include: bool,
}

/// Searches resources of a type.
#[derive(Debug, Clone)]
pub struct FhirSearch {
    /// Who.
    pub asker: FhirAsker,
    /// The type.
    pub kind: String,
    /// Decoded names and values, in order.
    pub query: Vec<(String, String)>,
    /// Whether what is not understood is refused.
    pub strict: bool,
    /// Where the last page ended.
    pub after: Option<String>,
}

/// Everything of a patient.
#[derive(Debug, Clone)]
pub struct FhirEverything {
    /// Who.
    pub asker: FhirAsker,
    /// The Patient.
    pub patient: String,
    /// Only these types; none: all.
    pub kinds: Vec<String>,
    /// Only versions put in at or after this, Unix milliseconds.
    pub since_ms: Option<u64>,
    /// How many at most.
    pub count: usize,
    /// Where the last page ended.
    pub after: Option<String>,
}

/// Asks whether a resource is what R4 says it is; nothing is kept.
#[derive(Debug, Clone)]
pub struct FhirValidate {
    /// Who.
    pub caller: Caller,
    /// The type it is to be.
    pub kind: String,
    /// The resource.
    pub content: Content,
    /// Whether elements that R4 does not know are refused.
    pub strict: bool,
}
