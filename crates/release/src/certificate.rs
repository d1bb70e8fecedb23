//! The certificate of a release: what was tried on it, what that achieved, and whether it may leave.

use crate::header::{Header, Tier};
use crate::words;
use codec::{Digest, Domain, Millis, StudyId};
use extract::{AttackTable, Kept, Limits};
use serde::{Deserialize, Serialize};

/// The name and version of the form.
const FORMAT: &str = "ithaca-release-certificate/1";

/// Whom a release is of. Counts are rounded down to multiples of `k`: exact ones would tell of one who joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// In its groups.
    pub released: u32,
    /// In none: no phenotypic feature is known of them.
    pub without_feature: u32,
    /// In none: the cohort is chosen by diagnosis and they have none.
    pub without_diagnosis: u32,
    /// In none: too few have the same diagnosis.
    pub too_few_alike: u32,
    /// Measurements of groups that are not told: too few subjects, one that stands out, or all alike.
    pub measurements_withheld: u64,
}

/// An earlier release that holds some of the same subjects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Earlier {
    /// Of which study.
    pub study: StudyId,
    /// Which of its releases.
    pub number: u64,
    /// Digest of its content.
    pub content: Digest,
}

/// Identifiers that were planted in made-up records, and how many were found in what was made of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canaries {
    /// Planted.
    pub planted: u32,
    /// Found again.
    pub survived: u32,
}

/// Whether a release may leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Whether it may.
    pub passes: bool,
    /// The limits that were exceeded, by name.
    pub exceeded: Vec<String>,
    /// What could not be measured, by name: too few subjects, or nothing to compare with.
    pub not_measured: Vec<String>,
}

/// A release certificate. Serialises as `certificate.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The form.
    pub format: String,
    /// For which study.
    pub study: StudyId,
    /// Digest of the study's policy.
    pub policy: Digest,
    /// Which of its releases.
    pub number: u64,
    /// How much it holds.
    pub tier: Tier,
    /// Digest of its content: of `manifest.json`.
    pub content: Digest,
    /// When it was made.
    pub made: Millis,
    /// The fewest subjects of whom anything is said.
    pub k: u32,
    /// How the groups were made.
    pub config: extract::Config,
    /// Whom it is of.
    pub population: Population,
    /// What the attacks on it achieved.
    pub attacks: AttackTable,
    /// What they achieve on the records as they are: a reference.
    pub raw: AttackTable,
    /// What they may achieve.
    pub limits: Limits,
    /// What the groups keep of the subjects' information.
    pub kept: Kept,
    /// Earlier releases of some of the same subjects, which the attacks joined with it.
    pub earlier: Vec<Earlier>,
    /// Planted identifiers.
    pub canaries: Canaries,
    /// Whether it may leave.
    pub verdict: Verdict,
    /// [`crate::STATEMENT`].
    pub statement: String,
}

impl Certificate {
    /// A certificate with its verdict.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of the certificate"
    )]
    pub fn new(
        header: &Header,
        content: Digest,
        config: extract::Config,
        population: Population,
        attacks: AttackTable,
        raw: AttackTable,
        limits: Limits,
        kept: Kept,
        earlier: Vec<Earlier>,
        canaries: Canaries,
    ) -> Self {
        let verdict = judge(&attacks, canaries);
        Self {
            format: FORMAT.to_owned(),
            study: header.study.id,
            policy: header.study.policy,
            number: header.number,
            tier: header.tier,
            content,
            made: header.made,
            k: header.k,
            config,
            population,
            attacks,
            raw,
            limits,
            kept,
            earlier,
            canaries,
            verdict,
            statement: crate::STATEMENT.to_owned(),
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        words::pretty(self)
    }

    /// What the ledger holds of a certificate with these bytes.
    pub fn digest(bytes: &[u8]) -> Digest {
        keys::digest(Domain::ReleaseCertificate, &[bytes])
    }

    /// Reads a certificate.
    ///
    /// # Errors
    /// It is not one of this form.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let read: Self = serde_json::from_slice(bytes).map_err(|error| place(&error))?;
        match read.format == FORMAT {
            true => Ok(read),
            false => Err(format!("it is not of the form {FORMAT}")),
        }
    }

    /// The largest share of subjects that an attack linked: what a subject is told.
    pub fn risk(&self) -> f64 {
        let rates = self.attacks.linkage.iter().map(|linkage| linkage.rate);
        rates.fold(0.0, f64::max)
    }

    /// Whether the verdict follows from the figures.
    pub(crate) fn is_consistent(&self) -> bool {
        self.verdict == judge(&self.attacks, self.canaries)
            && self.attacks.verdicts == extract::verdicts(&self.attacks, &self.limits)
    }
}

/// INVARIANT: a release passes only if linkage was measured, and no limit that was measured is exceeded.
fn judge(attacks: &AttackTable, canaries: Canaries) -> Verdict {
    let mut exceeded = Vec::new();
    let mut not_measured = Vec::new();
    for verdict in &attacks.verdicts {
        match verdict.measured {
            Some(_) if verdict.held => {}
            Some(_) => exceeded.push(verdict.attack.clone()),
            None => not_measured.push(verdict.attack.clone()),
        }
    }
    if canaries.survived > 0 || canaries.planted == 0 {
        exceeded.push("canaries".to_owned());
    }
    Verdict {
        passes: exceeded.is_empty() && attacks.held(),
        exceeded,
        not_measured,
    }
}

/// Where JSON is wrong, without its values.
pub(crate) fn place(error: &serde_json::Error) -> String {
    format!(
        "line {}, column {} cannot be read",
        error.line(),
        error.column()
    )
}
