//! What a release is.

use codec::{Digest, InstitutionId, Millis, StudyId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How much of the subjects a release holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tier {
    /// Aggregates of the whole cohort.
    T2,
    /// Groups of at least `k` subjects, each with one profile.
    T3,
}

/// A format beside `groups.ndjson`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Apache Parquet: groups, features, diagnoses, measurements.
    Parquet,
    /// FHIR R4: Group and Observation, one resource on each line.
    Fhir,
    /// GA4GH phenopackets version 2, one on each line.
    Phenopackets,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Parquet, Self::Fhir, Self::Phenopackets];
}

/// A study as a release tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyText {
    /// Its id.
    pub id: StudyId,
    /// Who runs it.
    pub institution: InstitutionId,
    /// What for.
    pub purpose: String,
    /// Digest of the policy that the ledger holds.
    pub policy: Digest,
    /// Digest of the data-use agreement, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agreement: Option<Digest>,
}

/// What a release is. Serialises as `release.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`crate::FORMAT`].
    pub format: String,
    /// For which study.
    pub study: StudyText,
    /// Which of its releases, from 0.
    pub number: u64,
    /// How much it holds.
    pub tier: Tier,
    /// The fewest subjects of whom anything is said.
    pub k: u32,
    /// Who is in it, in words.
    pub cohort: String,
    /// The date of its making.
    pub made: Millis,
    /// Versions of the terminologies and rules it rests on, by name.
    pub versions: Vec<(String, String)>,
    /// The formats beside `groups.ndjson`.
    pub formats: BTreeSet<Format>,
    /// [`crate::STATEMENT`].
    pub statement: String,
}
