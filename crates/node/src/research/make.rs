//! Making a release: whoever is in it decided and logged, clustered, measured, packed, attacked.
//!
//! ```text
//! admitted, logged (durable), opened -> features in memory -> clusters -> measurements, 16 groups at a time (durable)
//!   -> files (durable) -> attacks, with every earlier release of some of the same people -> certificate
//!   -> notes in compartments (durable) -> prepared, or refused
//! ```
//! After a restart the subjects are read again; if they are the same under the same consents, finished groups are
//! not made again. What grows with the number of subjects is their features; measurements are of 16 groups at
//! a time.

use super::cohort::{Admitted, Asker, GROUP, asker};
use super::content::Content;
use super::held::NOBODY;
use super::rows::{CohortRow, Read, ReleaseRow, ReleaseState};
use super::{ReleaseReplayed, study_text};
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::differential::Insight;
use crate::error::Error;
use codec::id::{Digest, DisclosureId, SubjectId};
use codec::record;
use codec::time::Millis;
use consent::{Actor, Category, PractitionerAt};
use deident::Rules;
use extract::{
    Against, AttackTable, Cohort, Config, Diversity, Earlier, Extract, Hpo, Made, Profile, Subject,
    attack, cluster, cluster_after,
};
use keys::Domain;
use ontology::{DiseaseId, HpoId, Ontology};
use release::{
    Canaries, Certificate, Group, Header, Measures, OfSubject, Package, Population, Tier, Unit,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use store::Store;
use vault::{ReleaseHeld, ReleasePut};
