//! FHIR search: what a resource is found by, and queries over it.
//!
//! - [`index`] reads the values of every search parameter of R4 out of a resource; [`terms`] the
//!   short byte strings under which a blind index keeps it.
//! - [`Query::parse`] reads a search for a type. [`Query::plan`] names the terms of the candidates
//!   (perhaps too many, never too few) and [`Query::matches`] compares exactly.
//!
//! Which parameter reads which elements is generated from the official definitions (`search.txt`);
//! its first lines list the few parameters that cannot be read by paths.
//!
//! Codes and units are compared as they are written (codes without regard to case): value sets,
//! hierarchies and conversions of units are not known. Nothing is read, stored or fetched here: the
//! caller finds candidates, opens them, and resolves chains, `_has` and includes.

mod date;
mod decimal;
mod links;
mod parse;
mod plan;
mod query;
mod reference;
mod results;
mod sort;
mod subset;
mod table;
mod terms;
mod text;
mod value;
mod walk;
mod wanted;

pub use date::Span;
pub use links::{Placing, compartment_parameters, compartment_references, pointing_at, references};
pub use parse::{MAX_ALTERNATIVES, MAX_PARAMETERS};
pub use query::{Chain, Handling, Has, Query, QueryError};
pub use reference::Target;
pub use results::{Include, Results, Summary, Total};
pub use sort::SortKey;
pub use subset::{Subset, subset};
pub use table::{Kind, Parameter};
pub use terms::{
    MAX_TERM_BYTES, MAX_TERMS, TERMS_VERSION, id_term, is_identifier_term, overflow_term, terms,
    type_term,
};
pub use value::{IndexValue, Interval, Quantity, Reference, Token};
pub use walk::{Indexed, index};

/// The parameters of a resource type, in the order of their names.
pub fn parameters(resource_type: &str) -> impl Iterator<Item = &'static Parameter> {
    let searched = table::table().searched(resource_type);
    searched.into_iter().flat_map(|of| &of.parameters)
}
