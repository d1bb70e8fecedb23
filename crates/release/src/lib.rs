//! A release: what of a study leaves, in which files, and how anybody checks it.
//!
//! - [`Header`] (what it is) and [`Group`]s (what is said of at least `k` subjects together) make a package of
//!   files ([`Package`]): `groups.ndjson`, from which all others follow, and Parquet, FHIR R4 NDJSON and GA4GH
//!   phenopackets as wanted, a data dictionary and a `README.md` to cite. They are written group by group, so
//!   that memory does not grow with the release.
//! - [`Measures`]: values of laboratory tests and vital signs -> means and deviations of at least `k` subjects.
//! - [`Manifest`]: each file with its length and SHA-256; its digest is what the ledger holds.
//! - [`Certificate`]: the attacks that were tried on the release, what they achieved, and whether it may leave.
//! - [`check`]: files -> everything that does not fit.
//!
//! The same header and groups give the same bytes. Errors name files and places, never a value.
//!
//! It decides nothing about who may have a release, knows no subject ids, and reads no clock, entropy,
//! storage or network.

mod certificate;
pub mod check;
mod fhir;
mod group;
mod header;
mod measure;
mod package;
mod packet;
mod tables;
mod words;

pub use certificate::{Canaries, Certificate, Earlier, Population, Verdict};
pub use group::{Ages, Diagnosis, Feature, Group, Measure, Sexes, Share};
pub use header::{Format, Header, StudyText, Tier};
pub use measure::{MAX_CODES, Measures, OfSubject, Unit};
pub use package::{File, GROUPS, Manifest, Package, PackageError, Piece};

/// The name and version of the form.
pub const FORMAT: &str = "ithaca-release/1";
/// What stands in every release.
pub const STATEMENT: &str = "De-identified by clustering; the certificate says which attacks were tried and what \
                             they achieved, and no more is claimed. A copy that has left cannot be recalled. Never \
                             try to identify anybody in it. For research; not for clinical use.";
