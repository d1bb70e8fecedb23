//! One parser per original file. Each takes the lines of its file and returns what it says, in its
//! own order; [`crate::assemble`] puts the files together.

pub(crate) mod genes;
pub(crate) mod hpoa;
pub(crate) mod loinc;
pub(crate) mod mondo;
pub(crate) mod obo;
pub(crate) mod orphanet;
