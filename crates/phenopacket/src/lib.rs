//! GA4GH phenopackets, version 2, as JSON: what one holds, and which part of it belongs to which
//! category of health data.
//!
//! - In: the bytes of one `Phenopacket` message in proto3 JSON (GA4GH phenopacket-schema 2.0,
//!   ISO 4454:2022). Out: a [`Parsed`] that borrows them; the bytes themselves are the stored form
//!   and are never rewritten.
//! - As proto3 JSON allows, absent and `null` fields have their default, fields are spelled in
//!   camelCase or as in the schema (snake_case), and enums are names or numbers. Unlike a proto3
//!   parser, unknown fields are kept: they belong to the identity category, the most restricted.
//! - [`Parsed::projections`] deals every leaf of the document to exactly one category by the path
//!   table in `table.rs`, under [`RULE_VERSION`].
//!
//! Refused with an [`Error`] that names the place and never a value: JSON that `json` refuses,
//! fields of the wrong kind, a field in both spellings, version 1 phenopackets (their `negated`
//! would be read as observed), and families and cohorts (each person is a compartment of their own).
//!
//! It does not check terms against ontologies, does not apply the rules of the schema beyond its
//! shape, and knows no storage, consent or matching.

mod definitions;
mod error;
mod facts;
mod fields;
mod schema;
mod table;
mod terms;

pub use definitions::{Definition, FieldDefinition, Holds};
pub use error::Error;
pub use facts::{
    Coded, Diagnosis, Disease, Finding, Gene, Pathogenicity, Progress, Publication, Sex, Status,
    Subject, Time, Variant, VcfRecord,
};
pub use json::Limits;
pub use terms::Term;

use codec::Category;
use json::{Assignment, Document, Partition, Parts};
use schema::Extent;
use std::fmt;

/// The version of the rule that deals leaves to categories. A change of the rule that moves a leaf
/// of any document is a new version, for commitments name it.
pub const RULE_VERSION: u16 = 1;

/// One phenopacket, checked and divided into categories.
pub struct Parsed<'a> {
    document: Document<'a>,
    partition: Partition,
}

impl<'a> Parsed<'a> {
    /// Parses a phenopacket of at most 16 MiB.
    pub fn parse(source: &'a [u8]) -> Result<Self, Error> {
        Self::parse_within(source, &Limits::default())
    }

    /// Parses a phenopacket within other limits; which names errors show is not the caller's choice.
    pub fn parse_within(source: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        Self::parse_extent(source, limits, Extent::Whole)
    }

    /// Parses a phenopacket or a projection of one ([`Parsed::select`]), which may lack the id and
    /// the terms of findings. Such a finding has an empty term.
    pub fn parse_part_within(source: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        Self::parse_extent(source, limits, Extent::Part)
    }

    fn parse_extent(source: &'a [u8], limits: &Limits, extent: Extent) -> Result<Self, Error> {
        let limits = Limits {
            shown: schema::is_field_name,
            ..*limits
        };
        let document = json::parse(source, &limits)?;
        let mut assignment = Assignment::new(&document, part(Category::Identity));
        schema::check(document.root(), extent, &mut assignment)?;
        let partition = assignment.finish(&document);
        Ok(Self {
            document,
            partition,
        })
    }

    /// The stored form: the bytes as they were received.
    pub fn stored_form(&self) -> &'a [u8] {
        self.document.source().as_bytes()
    }

    /// The leaves of each category that has any, in the order of [`Category::ALL`], each as a JSON
    /// document of its own: member names and values as they are written, in the order of the source,
    /// without white space between them. Every leaf is in exactly one of them.
    pub fn projections(&self) -> Vec<(Category, Vec<u8>)> {
        let of = |&category: &Category| Some((category, self.select(&[category])?));
        Category::ALL.iter().filter_map(of).collect()
    }

    /// The leaves of several categories as one document, written as in [`Parsed::projections`];
    /// `None` when there is no such leaf.
    pub fn select(&self, categories: &[Category]) -> Option<Vec<u8>> {
        let add = |parts: Parts, &category: &Category| parts.with(Parts::one(part(category)));
        let wanted = categories.iter().fold(Parts::NONE, add);
        self.partition.select(&self.document, wanted)
    }

    /// What the phenopacket can be found by: sorted, each term once.
    pub fn terms(&self) -> Vec<Term> {
        terms::of(self)
    }
}

impl fmt::Debug for Parsed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phenopacket(<redacted>)")
    }
}

/// The part of a [`Partition`] that stands for a category.
const fn part(category: Category) -> u8 {
    category as u8
}
