//! Strict, bounded JSON (RFC 8259) that never rewrites a byte.
//!
//! A health document is committed to and served exactly as it was received, so this crate does not
//! turn text into owned values: [`parse`] checks the whole text once and keeps, for every value,
//! where it stands in the source. Numbers keep their digits, strings their escapes.
//!
//! - In: bytes, and [`Limits`] in bytes and number of values. Out: a [`Document`] whose [`Value`]s
//!   are spans into the source.
//! - [`Edits`] replaces or inserts pieces by span and leaves every other byte as it was.
//! - [`patch`] applies a JSON Patch (RFC 6902) in the same way.
//! - [`Assignment`] deals the leaves of a document into parts; [`Partition::select`] writes the
//!   parts asked for.
//!
//! Refused: text over the limits, invalid UTF-8, a byte order mark, the same member name twice in
//! one object (compared after unescaping), nesting deeper than [`MAX_DEPTH`], unpaired surrogate
//! escapes, raw control characters in strings, and anything after the value.
//! An [`Error`] says what, where (line, column, path) and what to do; it never repeats a value, and
//! in its path it shows only member names that [`Limits::shown`] recognises, because a name can be
//! a person's.
//!
//! It does not know FHIR or phenopackets, does not convert numbers to floats, and does not
//! pretty-print or canonicalise.

mod document;
mod edit;
mod error;
mod parser;
mod partition;
mod patch;
mod text;

pub use document::{Document, Kind, Value};
pub use edit::{Edits, Overlap};
pub use error::{Error, Place, Problem};
pub use partition::{Assignment, Partition, Parts};
pub use patch::{MAX_OPERATIONS, PatchError, patch};
pub use text::quote;

/// How many objects and arrays may stand inside each other.
pub const MAX_DEPTH: usize = 64;

/// What [`parse`] accepts.
#[derive(Clone, Copy)]
pub struct Limits {
    /// The longest accepted text, in bytes (never more than 4 GiB, whatever is asked).
    pub size_bytes: usize,
    /// The largest accepted number of values, containers included; one value costs 24 bytes of
    /// memory, so this bounds what a hostile `[0,0,0,...` can claim.
    pub values: usize,
    /// Which member names may be shown in the path of an error; the others print as `*`.
    pub shown: fn(&str) -> bool,
}

impl Default for Limits {
    /// 16 MiB, two million values, no member name shown.
    fn default() -> Self {
        Self {
            size_bytes: 16 << 20,
            values: 2_000_000,
            shown: |_| false,
        }
    }
}

/// Checks the whole text and returns its values as spans into it.
pub fn parse<'a>(source: &'a [u8], limits: &Limits) -> Result<Document<'a>, Error> {
    parser::parse(source, limits)
}
