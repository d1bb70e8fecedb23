//! A case as somebody hands it over, read into findings.
//!
//! - In: bytes, and the [`Ontology`] that knows the terms. Out: a [`Case`]: each term once, observed
//!   or excluded, on what basis and from which sources; age, sex, onset, genes and variants; what was
//!   not understood, with suggestions; and what contradicts itself, with how it was decided.
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
mod error;
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

/// Reads a case of any [`Format`].
pub fn read(source: &[u8], ontology: &Ontology) -> Result<Case, Error> {
    if source.len() > MAX_BYTES {
        return Err(Error::TooLarge { limit: MAX_BYTES });
    }
    match source.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => Err(Error::Empty),
        Some(b'{') => read_json(source, ontology),
        Some(b'[') => Err(Error::JsonList),
        Some(_) => list::read(source, ontology),
    }
}

fn read_json(source: &[u8], ontology: &Ontology) -> Result<Case, Error> {
    const NAME: &[u8] = b"\"resourceType\"";
    if source.windows(NAME.len()).any(|window| window == NAME) {
        let limits = fhir::Limits {
            size_bytes: MAX_BYTES,
            ..fhir::Limits::default()
        };
        match fhir::resources(source, &limits) {
            // The name stands deeper in the document: it may be a phenopacket after all.
            Err(fhir::Error::NoResourceType(place)) if place.path() == "$" => {}
            Err(error) => return Err(error.into()),
            Ok(resources) => return resources::read(&resources, ontology),
        }
    }
    packet::read(source, ontology)
}
