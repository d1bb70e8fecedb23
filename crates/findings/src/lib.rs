//! A case as somebody hands it over, read into findings.
//!
//! - In: bytes, and the [`Ontology`] that knows the terms. Out: a [`Case`]: each term once, observed
//!   or excluded, on what basis and from which sources; age, sex, onset, genes and variants; what was
//!   not understood, with suggestions; and what contradicts itself, with how it was decided.
//! - A case is one document ([`read`]) or many of one person ([`read_all`]).
//! - The format is told by the content, not by a name ([`Format`]): what starts with `{` is a
//!   FHIR R4 resource or Bundle if it has a `resourceType`, and otherwise a GA4GH phenopacket v2;
//!   all else is a plain list (its rules stand at [`Format::List`]).
//! - Nothing is guessed. A name counts if it is the label or an exact synonym of exactly one term;
//!   an obsolete id if it has exactly one successor. All else is in [`Case::unresolved`].
//! - A diagnosis that comes with the case is kept apart ([`Case::recorded_diagnoses`]) and is no
//!   evidence. So is a laboratory value until another day's repeats it or a person confirms it
//!   ([`State::Candidate`], [`State::CandidateExcluded`]; the rules stand at [`Basis`]).
//!
//! Errors: [`Error`] says in one sentence what is wrong, where, and what to do; it never repeats a
//! value of the input. Everything is bounded: bytes, items, nesting, sources, suggestions.
//! `Debug` of whatever holds something of a person prints `<redacted>`.
//!
//! Sources: GA4GH phenopacket-schema 2.0; HL7 FHIR R4 (4.0.1); loinc2hpo (Zhang et al., npj Digital
//! Medicine 2019). It ranks nothing, converts no units, knows no reference ranges of its own, and
//! keeps nothing.

mod case;
mod document;
mod error;
mod gather;
mod genes;
mod laboratory;
mod list;
mod merge;
mod packet;
mod resolve;
mod resources;
mod time;

pub use case::{
    Basis, CandidateGene, Case, Contradiction, Decision, Finding, Format, LeftOut, Note, Place,
    RecordedDiagnosis, Source, State, Unresolved, Variant, Why,
};
pub use error::Error;
pub use phenopacket::{Pathogenicity, Progress, Status};
pub use time::{Day, When};

use ontology::Ontology;
use std::fmt;

/// The largest input, in bytes.
pub const MAX_BYTES: usize = 16 << 20;
/// The largest plain list, in bytes.
pub const MAX_LIST_BYTES: usize = 1 << 20;
/// The most findings of a case; of a list, the most items.
pub const MAX_FINDINGS: usize = 5_000;
/// The most genes and the most variants of a case.
pub const MAX_GENES: usize = 5_000;
/// The most sources that are kept of one finding; [`Finding::source_count`] counts them all.
pub const MAX_SOURCES: usize = 32;
/// The most suggestions for one item that was not understood.
pub const MAX_SUGGESTIONS: usize = 5;
/// The most documents of a case.
pub const MAX_DOCUMENTS: usize = 10_000;
/// The most bytes that the documents of a case may have together.
pub const MAX_DOCUMENTS_BYTES: usize = 4 * MAX_BYTES;

/// Reads a case that is one document, of any [`Format`] but [`Format::Records`].
pub fn read(source: &[u8], ontology: &Ontology) -> Result<Case, Error> {
    let document = document::Document::only(source)?;
    let format = document.format();
    gather::case_of(&[document], format, ontology)
}

/// One of several documents of a person: a phenopacket, a FHIR resource or Bundle, or a projection
/// of one of them ([`phenopacket::Parsed::select`], [`fhir::Parsed::select`]). `Debug` shows nothing
/// of it.
#[derive(Clone, Copy)]
pub struct Document<'a> {
    /// Names it in the [`Place`] of what it says, such as a record's id.
    pub name: &'a str,
    /// The document.
    pub bytes: &'a [u8],
}

impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Document(<redacted>)")
    }
}

/// Reads documents of one person, for which the caller vouches, into one case
/// ([`Format::Records`]). None at all are a case without findings.
///
/// - They are read as one: a value of one document confirms one of another, and the birth date and
///   sex of one serve all. What the documents say of both is in the case unless they disagree
///   ([`LeftOut::SexDiffers`], [`LeftOut::BirthDiffers`]).
/// - They are read in the order of their names (of the same name: of their bytes), so that the order
///   in which they are given does not matter.
/// - One that is damaged or of no such format, also a plain list, is counted
///   ([`LeftOut::Unreadable`]) and stops nothing. A JSON object that says nothing of what is read is
///   passed over: a projection without codes looks like that.
///
/// Errors: more documents, bytes, findings or genes than a case may have.
pub fn read_all(documents: &[Document<'_>], ontology: &Ontology) -> Result<Case, Error> {
    if documents.len() > MAX_DOCUMENTS {
        let given = documents.len();
        return Err(Error::TooManyDocuments { given });
    }
    let sizes = documents.iter().map(|document| document.bytes.len());
    if sizes.sum::<usize>() > MAX_DOCUMENTS_BYTES {
        let limit = MAX_DOCUMENTS_BYTES;
        return Err(Error::TooLarge { limit });
    }
    let mut ordered = documents.to_vec();
    ordered.sort_unstable_by_key(|document| (document.name, document.bytes));
    let documents: Vec<_> = ordered
        .iter()
        .map(|document| document::Document::named(document.name, document.bytes))
        .collect();
    gather::case_of(&documents, Format::Records, ontology)
}
