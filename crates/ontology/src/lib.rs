//! What is known about phenotypes and rare diseases, in one index.
//!
//! The Human Phenotype Ontology, its disease annotations with their counts and papers, genes,
//! Orphanet's own descriptions, Mondo's exact matches and the LOINC-to-HPO map.
//!
//! - In: the original files as bytes ([`Sources`]; [`Shipped`] unpacks those that come with the
//!   program), or an index file that [`compile`] made of them. Out: an [`Ontology`] that answers by
//!   dense positions ([`TermIx`], [`DiseaseIx`], ...).
//! - Nothing is merged: Orphanet's frequencies ([`OrphanetFeature`]) and HPO's ([`Annotation`]) have
//!   types of their own, a disease that has several names keeps them, and what could not be placed
//!   is listed in [`Ontology::notices`].
//! - Errors: [`ImportError`] names file and line of what is malformed, [`OpenError`] says
//!   why an index is not opened. Files, lines, lists and notices are bounded.
//!
//! Sources: OBO flat file format 1.2; phenotype.hpoa as described by HPO ("Annotation format");
//! SSSOM; Orphadata; loinc2hpo (Zhang et al., npj Digital Medicine 2019).
//!
//! It does not rank diseases, knows no patients, and reads no files.

mod assemble;
mod bytes;
mod graph;
mod handles;
mod id;
mod index;
mod ontology;
mod parse;
mod profile;
mod search;
mod shipped;
mod source;
mod tables;

pub use handles::{Disease, Gene, Orphanet, Synonym, Term};
pub use id::{
    Database, DiseaseId, DiseaseIx, GeneIx, HpoId, LoincCode, MondoId, NotAnId, OrphaCode,
    OrphanetIx, ReferenceIx, TermIx,
};
pub use index::{FORMAT, OpenError};
pub use ontology::{LoincFinding, Notice, Ontology, Resolved, Roots, Version};
pub use parse::loinc::{LoincScale, Outcome};
pub use parse::obo::{Scope, SynonymKind};
pub use profile::{
    Annotation, Aspect, Evidence, Frequency, FrequencyClass, OmimReference, OmimRelation,
    OrphanetFeature, OrphanetFrequency, OrphanetInheritance, OrphanetOnset, Prevalence,
    PrevalenceClass, PrevalenceKind, PrevalenceQualification, Sex,
};
pub use search::{Hit, HitKind, MAX_HITS};
pub use shipped::{ATTRIBUTIONS, Attribution, Shipped};
pub use source::{
    ImportError, MAX_LINE_BYTES, MAX_LINES, MAX_SOURCE_BYTES, Problem, Source, Sources,
};
pub use tables::SourceKind;

/// Turns the original files into one index file.
pub fn compile(sources: &Sources<'_>) -> Result<Vec<u8>, ImportError> {
    Ok(Ontology::from_sources(sources)?.to_index())
}

impl Ontology {
    /// Opens an index file.
    pub fn open(bytes: &[u8]) -> Result<Self, OpenError> {
        Self::new(index::decode(bytes)?).map_err(|_| OpenError::Malformed)
    }

    /// Reads the original files into memory, without an index file in between.
    pub fn from_sources(sources: &Sources<'_>) -> Result<Self, ImportError> {
        let tables = assemble::assemble(sources)?;
        Self::new(tables).map_err(|problem| sources.hp_obo.error(0, problem))
    }

    /// The index file of this ontology: the same sources give the same bytes.
    pub fn to_index(&self) -> Vec<u8> {
        index::encode(&self.tables)
    }
}
