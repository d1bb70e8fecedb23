//! A clustered phenotype extract, and the attacks on it.
//!
//! - In: [`Subject`]s (observed and excluded HPO terms, sex, age band, diagnosis, an opaque id of 32
//!   bytes), at most [`MAX_SUBJECTS`] with at most [`MAX_TERMS`] terms each, and a [`Config`]. Out:
//!   an [`Extract`]: clusters of at least `k` subjects, as positions among those given, with one
//!   [`Profile`] each, and who was left out and why. [`Extract::release`] is what may leave: it has
//!   no members. [`cluster_after`] makes a later one of some of the same people.
//! - [`attack`] tries a release on the people it was made of, outsiders and earlier releases, and
//!   says what each attack achieved, as shares from 0 to 1, and whether the [`Limits`] held.
//!   [`measure::rehearse`] makes the outsiders where there are none.
//! - Errors: [`Refusal`]; it tells no count. Everything can be serialised; the same input gives the
//!   same output, whatever the order of the subjects (draws of an attack go by it).
//!
//! Sources: Domingo-Ferrer and Torra, DMKD 2005 (MDAV); Machanavajjhala et al., TKDD 2007
//! (l-diversity); Ganta et al., KDD 2008 (composition); the attacks' modules name theirs.
//! `docs/extracts.md` has the method in short, what was measured, and what is not protected.
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
