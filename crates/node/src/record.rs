//! Records: deposit, fetch, list.
//!
//! A deposit is answered after the durable write; its commitment then travels to the ledger. A fetch
//! decides first, logs the disclosure durably (refusals too), and only then opens what is permitted.

use crate::caller::Caller;
use crate::subject::{Finality, Wait};
use codec::Category;
use codec::id::{Digest, DisclosureId, EntryId, RecordId, StudyId, SubjectId};
use consent::{Permit, Purpose, RecordKind, Selection};
use keys::Zeroizing;

pub(crate) mod deposit;
pub(crate) mod fetch;
pub(crate) mod form;
mod latest;

/// Bytes of a record, or other patient data: wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(Zeroizing<Vec<u8>>);

/// Something to be put in.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The source: clinician, nurse, laboratory, device, desk or controller.
    pub caller: Caller,
    /// Whose data it is.
    pub subject: SubjectId,
    /// What it is.
    pub payload: Payload,
    /// The record to make a new version of, or the id to make it under; none for a new id.
    pub record: Option<RecordId>,
    /// The source's own id for this deposit (at most 128 bytes): the same key and bytes give the same
    /// answer again.
    pub client_key: Option<String>,
    /// The version the source saw, for a new version of `record`. None or 0: it must not exist yet
    /// (the same bytes again are answered as before, other bytes are a conflict).
    pub expect_version: Option<u32>,
    /// Where it came from.
    pub provenance: Provenance,
    /// Whether to wait for finality.
    pub wait: Wait,
}

/// What is deposited.
#[derive(Debug, Clone)]
pub enum Payload {
    /// A GA4GH phenopacket (JSON).
    Phenopacket(Content),
    /// One FHIR R4 resource (JSON).
    FhirResource(Content),
    /// A FHIR R4 transaction, batch or collection Bundle: all its resources or none.
    FhirBundle(Content),
    /// Any other document.
    Document {
        /// Its bytes.
        bytes: Content,
        /// Its media type.
        media_type: String,
    },
}

/// Where a deposit came from. May name people: kept sealed with the record.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Provenance {
    /// The source system ("lab-lis", "portal").
    pub source: String,
    /// What the source says about it, in its own words.
    pub note: String,
}

/// The answer to a deposit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposited {
    /// One for each resource, in the order of the payload.
    pub records: Vec<DepositedRecord>,
    /// Whether they are final; pending unless the caller waited.
    pub finality: Finality,
}

/// One deposited record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositedRecord {
    /// Its id.
    pub record: RecordId,
    /// Its version, from 1.
    pub version: u32,
    /// "phenopacket", a FHIR resource type, or "document".
    pub kind: RecordKind,
    /// Salted Merkle root over stored form and projections: what the ledger will hold.
    pub commitment: Digest,
    /// False when the same bytes were there already.
    pub created: bool,
}

/// Asks for records.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// Who asks.
    pub caller: Caller,
    /// What for.
    pub purpose: Purpose,
    /// Whose.
    pub subject: SubjectId,
    /// Which categories of which records.
    pub selection: Selection,
    /// For which study, if for one.
    pub study: Option<StudyId>,
    /// Whether less than the selection will do ("whatever I may see"). Otherwise it is the whole
    /// selection or a denial that names what was missing.
    pub partial: bool,
    /// One version of the one selected record, instead of the latest.
    pub version: Option<u32>,
}

/// What was permitted, opened after the disclosure was logged.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The log row of this disclosure.
    pub disclosure: DisclosureId,
    /// Why it was permitted, how far, until when, and whether consent may have changed since.
    pub permit: Permit,
    /// The records.
    pub records: Vec<FetchedRecord>,
}

/// One record, as far as it was permitted.
#[derive(Debug, Clone)]
pub struct FetchedRecord {
    /// About it.
    pub meta: RecordMeta,
    /// The stored form, when every category it has is permitted.
    pub stored_form: Option<Content>,
    /// The permitted projections.
    pub projections: Vec<FetchedProjection>,
}

/// A permitted part of a record.
#[derive(Debug, Clone)]
pub struct FetchedProjection {
    /// Its category.
    pub category: Category,
    /// The rule that made it.
    pub rule_version: u16,
    /// JSON.
    pub bytes: Content,
}

/// About a record.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordMeta {
    /// Its id.
    pub record: RecordId,
    /// The version.
    pub version: u32,
    /// The kind.
    pub kind: RecordKind,
    /// When it was deposited here.
    pub deposited_ms: u64,
    /// The commitment on the ledger.
    pub commitment: Digest,
    /// The categories it has (only permitted ones are named).
    pub categories: Vec<Category>,
    /// Size of the stored form.
    pub size_bytes: u64,
    /// The batch entry that carries it, once assigned.
    pub entry: Option<EntryId>,
    /// Where that stands.
    pub finality: Finality,
}

/// Asks which records there are.
#[derive(Debug, Clone)]
pub struct List {
    /// Who asks.
    pub caller: Caller,
    /// What for.
    pub purpose: Purpose,
    /// For which study, if for one.
    pub study: Option<StudyId>,
    /// Whose.
    pub subject: SubjectId,
    /// Only this record's versions.
    pub record: Option<RecordId>,
}

/// The records of which the caller may know; logged as a disclosure.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The log row.
    pub disclosure: DisclosureId,
    /// Why it was permitted, how far, until when, and whether consent may have changed since.
    pub permit: Permit,
    /// Latest version of each record with a permitted category, or all versions of the one asked for.
    pub records: Vec<RecordMeta>,
}

impl Content {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, taken over.
    pub(crate) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl From<Zeroizing<Vec<u8>>> for Content {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<redacted, {} bytes>", self.0.len())
    }
}

impl std::fmt::Debug for Provenance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Provenance(<redacted>)")
    }
}

impl std::fmt::Debug for RecordMeta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordMeta")
            .field("record", &self.record)
            .field("version", &self.version)
            .field("finality", &self.finality)
            .finish_non_exhaustive()
    }
}
