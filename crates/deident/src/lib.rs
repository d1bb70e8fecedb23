//! Records for research: a FHIR R4 resource or a GA4GH phenopacket (version 2) becomes a de-identified one.
//!
//! - In: bytes of one resource or phenopacket, the subject's [`Cloak`] in a study, the release's date. Out: bytes of
//!   a resource that R4 allows, or of a phenopacket; or a [`Refusal`] that says why nothing leaves.
//! - [`Rules`] say what may leave, element by element (`rules.toml`; `docs/deidentification.md` says how to read
//!   it). Whatever has no rule is dropped, and nothing is kept whose type could hold free text: codes are
//!   kept under known public terminologies and in their form, numbers with few digits.
//! - [`StudyKey`] and [`Cloak`]: pseudonyms and one shift of dates per subject and study, unlinkable between
//!   studies; tokens by which the custodian alone finds a subject again.
//! - [`Fates`] count what became of each path, never a value.
//!
//! It knows no consent, storage, clock or entropy, and does not measure how likely somebody is recognised in a
//! release: what is left can still single a person out.

mod amount;
mod cloak;
mod country;
mod date;
mod fates;
mod file;
mod packet;
mod refusal;
mod resource;
mod rules;
mod sheet;
mod terminology;
mod tree;

pub use cloak::{
    Cloak, MAX_SUBJECT_BYTES, MOST_WEEKS, Pseudonym, RECONTACT_BYTES, RecontactError, StudyKey,
};
pub use codec::time::Date;
pub use fates::{Fate, Fates, OtherRules};
pub use file::RulesError;
pub use refusal::Refusal;
pub use rules::Rules;
