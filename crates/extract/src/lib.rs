//! A clustered phenotype extract and the attacks on it.
//!
//! - In: [`Subject`]s (HPO terms, sex, age band, diagnosis) and a [`Config`]. Out: an [`Extract`]:
//!   clusters of at least `k` subjects with one [`Profile`] each; [`Extract::release`] is what may
//!   leave.
//! - Errors: [`Refusal`].
//!
//! It does not decide who may have an extract, does not know consent, and reads no clock, entropy
//! or files.

mod attack;
mod config;
mod extract;
mod group;
mod hpo;
pub mod measure;
mod profile;
mod random;
mod subject;

pub use attack::{
    Against, AttackTable, Differencing, Disclosure, Earlier, Knows, Limits, Linkage, Made,
    Membership, SinglingOut, Verdict, attack, verdicts,
};
pub use config::{Cohort, Config, Diversity, MAX_SUBJECTS, MAX_TERMS, Refusal};
pub use extract::{Because, Cluster, Extract, Kept, LeftOut, Release, cluster, cluster_after};
pub use hpo::Hpo;
pub use profile::{Diagnoses, Profile, Share, Shown};
pub use subject::{AgeBand, Subject};
