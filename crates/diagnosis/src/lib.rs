//! The engine that ranks rare diseases from what was found in a patient.
//!
//! - In: an [`ontology::Ontology`], the shipped [`Weights`], and [`Findings`] (HPO terms seen and
//!   looked for without being seen, onset, age, sex, genes). Out: a [`Differential`]: diseases with
//!   a calibrated probability and the evidence for, against and missing; or why it abstains; what to
//!   look for next; which genes to read.
//! - Two stages. All diseases are scored by a sum over findings, kept in whole numbers, so that a
//!   finding is one row added or taken away ([`Session`]) and the answer is that of a fresh start,
//!   to the bit. The best few hundred get the features of a conditional logit, whose weights
//!   `cargo xtask fit-diagnosis` fits on published cases.
//! - An excluded finding can only lower a disease's score: its feature is never positive and its
//!   weight never negative ([`Weights::read`] refuses others).
//! - Ties are broken by the order of the ontology's diseases; the same input gives the same answer.
//!
//! Sources: Resnik, IJCAI 1995 (information content); Köhler et al., AJHG 2009 (Phenomizer);
//! Robinson et al., AJHG 2020 (likelihood ratios of phenotypes); McFadden 1974 (conditional logit).
//!
//! It knows no patients, keeps nothing, and reads no clock, file or network. Not for clinical use:
//! it suggests, a professional who can review the basis decides.

mod cases;
mod differential;
mod explain;
mod features;
mod findings;
pub mod fit;
mod math;
pub mod measure;
mod model;
mod next;
mod overlap;
mod panel;
mod profile;
mod reanalysis;
mod resnik;
mod session;
mod sheet;
mod stage;
mod weights;

pub use cases::{CaseCounts, CaseKey, NotStored, SHOWN_FROM_CASES, StoredCase};
pub use differential::{Abstained, Candidate, Differential, Ranked, Ranking};
pub use explain::{Evidence, Explanation, MAX_MISSING, Match, Missing};
pub use findings::{
    Findings, GeneWeight, MAX_FINDINGS, MAX_GENES, Note, OnsetClass, Presentation, Refused,
};
pub use model::Model;
pub use next::{Laboratory, NextFinding, Way};
pub use panel::PanelGene;
pub use profile::{Counts, Profile};
pub use reanalysis::{Change, Standing};
pub use resnik::Resnik;
pub use session::Session;
pub use weights::{FittedOn, NotWeights, WeightSet, Weights};
