//! Research: studies that a committee approves, noisy counts for who looks for cases, and releases whose risk was
//! measured.
//!
//! Whoever is in a count or a release is decided one by one, with the study that asks, and logged before anything
//! of theirs is opened. A withdrawn or expired consent leaves every later count and release. Exact counts stay
//! inside.

mod again;
mod beacon;
mod canary;
mod cohort;
mod content;
mod count;
mod group;
mod held;
mod make;
mod release;
mod rows;
mod study;
mod terms;
mod told;

use crate::caller::Caller;
use ::release::{Certificate, Format, Tier};
use codec::id::{Digest, StudyId, SubjectId};
use codec::time::Millis;
use consent::{
    Condition, DataUse, Grantee, Label, Match, Purpose, Reason, Study, StudyCase, StudyStatus,
    StudyStep, StudyUse,
};
use discovery::{Budget, Drawn, Epsilon, Filter, Shown};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) use make::{Due, Making};

/// Makes noise for counts: an edge's, for it takes its entropy from the machine.
pub trait Noise: Send + Sync {
    /// The count with noise that loses at most so many millionths of epsilon.
    ///
    /// # Errors
    /// Why not, without the count.
    fn count(&self, count: u64, epsilon_micro: u64) -> Result<i64, String>;
}

/// What an operator sets for research.
#[derive(Clone, Default)]
pub struct Research {
    /// Makes noise; without it there are no counts.
    pub noise: Option<Arc<dyn Noise>>,
    /// Budgets, prices and display of counts.
    pub discovery: discovery::Policy,
    /// What attacks on a release may achieve; a study may ask for less.
    pub limits: extract::Limits,
}

impl std::fmt::Debug for Research {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Research")
    }
}

/// Proposes a study.
#[derive(Debug, Clone)]
pub struct StudyPropose {
    /// A researcher here.
    pub caller: Caller,
    /// What it is called.
    pub title: Label,
    /// What it is for, in words for everybody.
    pub summary: Reason,
    /// What it declares; its id is made here, whatever it says.
    pub declared: StudyUse,
    /// The purposes that it asks under.
    pub purposes: BTreeSet<Purpose>,
    /// What it asks for.
    pub categories: BTreeSet<codec::Category>,
    /// The fewest people in a group of its releases, and the most linked of them in thousandths.
    pub limits: consent::Limits,
}

/// Takes a step with a study.
#[derive(Debug, Clone)]
pub struct StudyTake {
    /// Who.
    pub caller: Caller,
    /// Which study.
    pub study: StudyId,
    /// What.
    pub step: StudyStep,
    /// With an approval: what the committee accepts of the conditions that only a person can judge.
    pub accepted: BTreeSet<Condition>,
}

/// Asks for a study, or for all.
#[derive(Debug, Clone)]
pub struct StudyQuery {
    /// Who.
    pub caller: Caller,
    /// Which.
    pub study: StudyId,
}

/// A study as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyView {
    /// The study and what was done to it.
    pub case: StudyCase,
    /// How far it is now.
    pub status: StudyStatus,
    /// What the committee accepted. Only for the committee.
    pub accepted: BTreeSet<Condition>,
    /// Digest of its policy, as the ledger has it or will.
    pub policy: Digest,
    /// Whether it is open on the ledger.
    pub on_ledger: bool,
    /// Releases on the ledger.
    pub releases: u64,
}

/// How a study matches what families agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyMatching {
    /// Subjects whose consent permits the study, rounded down to a multiple of five.
    pub permitted: u64,
    /// Of whom something is left to a person, likewise.
    pub for_a_person: u64,
    /// Whose conditions it breaks, likewise.
    pub denied: u64,
    /// Who agreed to no research, or opted out, likewise.
    pub none: u64,
    /// Each set of conditions that somebody gave, with how the study keeps it.
    pub conditions: Vec<(DataUse, Match)>,
}

/// Asks how many there are.
#[derive(Debug, Clone)]
pub struct StudyCount {
    /// A researcher of the study.
    pub caller: Caller,
    /// For which study.
    pub study: StudyId,
    /// All of these hold.
    pub filters: Vec<Filter>,
}

/// Asks a study's beacon.
#[derive(Debug, Clone)]
pub struct BeaconAsk {
    /// A researcher of the study.
    pub caller: Caller,
    /// The study.
    pub study: StudyId,
    /// How.
    pub method: discovery::Method,
    /// What for.
    pub kind: discovery::Kind,
    /// The query string.
    pub query: String,
    /// The body of a POST.
    pub body: Option<Vec<u8>>,
    /// Where the beacon is, without a slash at the end.
    pub root: String,
}

/// A document of Beacon v2.
#[derive(Debug, Clone)]
pub struct BeaconAnswer {
    /// Of HTTP.
    pub status: u16,
    /// The document.
    pub body: serde_json::Value,
}

/// How many there are, about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// What is shown.
    pub shown: Shown,
    /// The noisy count that it is of.
    pub drawn: Drawn,
    /// What it cost: nothing if it was answered before.
    pub cost: Epsilon,
    /// When it was drawn.
    pub at: Millis,
    /// What is left to the caller, and when it is renewed.
    pub left: Epsilon,
    /// See `left`.
    pub renews: Option<Millis>,
}

/// What was spent of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// The budget.
    pub budget: Budget,
    /// What was spent or is reserved, in this period.
    pub spent: Epsilon,
    /// What is left.
    pub left: Epsilon,
    /// When it is renewed.
    pub renews: Option<Millis>,
}

/// What was spent for a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spending {
    /// By the caller, if it researches.
    pub researcher: Option<Spent>,
    /// By the study.
    pub study: Spent,
}

/// Asks for a release.
#[derive(Debug, Clone)]
pub struct ReleasePrepare {
    /// A researcher of the study.
    pub caller: Caller,
    /// The study.
    pub study: StudyId,
    /// How much it holds.
    pub tier: Tier,
    /// The fewest subjects of whom anything is said; at least the study's.
    pub k: u32,
    /// Who is in it.
    pub cohort: ReleaseCohort,
    /// The formats beside `groups.ndjson`.
    pub formats: BTreeSet<Format>,
    /// Whether measurements are in it.
    pub measurements: bool,
}

/// Who is in a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseCohort {
    /// Everybody with a diagnosis: groups are of one diagnosis each, which is told.
    Diagnosed,
    /// Who has one of these diagnoses.
    Diseases(BTreeSet<String>),
    /// Everybody: diagnoses are told only of groups in which they differ enough.
    Everybody,
}

/// Asks for a release that was asked for.
#[derive(Debug, Clone)]
pub struct ReleaseQuery {
    /// Who.
    pub caller: Caller,
    /// The study.
    pub study: StudyId,
    /// Which of its releases.
    pub number: u64,
}

/// How far a release is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseStanding {
    /// It is being made.
    Preparing {
        /// In a word.
        phase: &'static str,
        /// How far.
        done: u64,
        /// Of how much; 0: not known yet.
        of: u64,
    },
    /// It was made and attacked; the committee certifies it, or not.
    Prepared,
    /// It will not leave, for this reason.
    Refused(String),
    /// It was certified and is on its way to the ledger.
    Publishing,
    /// It is on the ledger and may be had.
    Released {
        /// Height of the block.
        height: u64,
    },
}

/// A release as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseView {
    /// The study.
    pub study: StudyId,
    /// Which of its releases.
    pub number: u64,
    /// How much it holds.
    pub tier: Tier,
    /// The fewest subjects of whom anything is said.
    pub k: u32,
    /// Who is in it, in words.
    pub cohort: String,
    /// When it was asked for.
    pub asked: Millis,
    /// How far it is.
    pub standing: ReleaseStanding,
    /// What the attacks achieved, once they were tried.
    pub certificate: Option<Certificate>,
    /// Its files with their lengths, once they may be had.
    pub files: Vec<(String, u64)>,
}

/// Reads a piece of a file of a release.
#[derive(Debug, Clone)]
pub struct ReleaseRead {
    /// Who.
    pub caller: Caller,
    /// The study.
    pub study: StudyId,
    /// Which of its releases.
    pub number: u64,
    /// The file.
    pub file: String,
    /// From where.
    pub offset: u64,
}

/// A piece of a file.
#[derive(Debug, Clone)]
pub struct ReleasePiece {
    /// The bytes; none: the file ends there.
    pub bytes: Vec<u8>,
    /// The file's length.
    pub length: u64,
}

/// The committee's word on a release.
#[derive(Debug, Clone)]
pub struct ReleaseCertify {
    /// A member of the committee who did not ask for it.
    pub caller: Caller,
    /// The study.
    pub study: StudyId,
    /// Which of its releases.
    pub number: u64,
    /// Whether it may leave; a release whose certificate says no never may.
    pub approve: bool,
}

/// What a repeated attack found.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseReplayed {
    /// Subjects of the release whose data is still here.
    pub subjects: u64,
    /// Subjects of the release that were erased since, or are elsewhere.
    pub gone: u64,
    /// What differs from the certificate; empty: nothing.
    pub differs: Vec<String>,
}

/// Asks a custodian to contact whom a token stands for.
#[derive(Debug, Clone)]
pub struct Recontact {
    /// A researcher of the study.
    pub caller: Caller,
    /// The study.
    pub study: StudyId,
    /// The token, as the release has it.
    pub token: Vec<u8>,
}

/// Asks what research holds of a subject.
#[derive(Debug, Clone)]
pub struct ResearchQuery {
    /// A controller of the subject, or who answers for data protection.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
}

/// A release that holds a subject's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldView {
    /// The study.
    pub study: StudyId,
    /// What it is called, if it is known here.
    pub title: Option<String>,
    /// What it is for.
    pub summary: Option<String>,
    /// Which of its releases.
    pub number: u64,
    /// When it was made.
    pub at: Millis,
    /// The largest share of its subjects that an attack linked, in millionths.
    pub risk_ppm: u32,
    /// Digest of its certificate, as the ledger has it.
    pub certificate: Digest,
}

/// What research holds of a subject, and has learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResearchHeld {
    /// Releases that hold its data.
    pub releases: Vec<HeldView>,
    /// What counts have learnt.
    pub spent: Spent,
    /// Studies to whom its consent allows its data now.
    pub studies: Vec<(StudyId, String)>,
}

/// What is said wherever releases are named to a family.
pub const CANNOT_RECALL: &str = "A copy that has left cannot be recalled. What you change now holds for every later \
                                 count and release.";

/// Whether a grant is for research by studies that are not named in it.
pub(crate) fn is_broad(grantee: &Grantee) -> bool {
    matches!(grantee, Grantee::Research(_))
}

/// What is needed to know of a study before it may use data.
pub(crate) fn study_text(study: &Study, policy: Digest) -> ::release::StudyText {
    ::release::StudyText {
        id: study.id(),
        institution: study.institution,
        purpose: study.summary.to_string(),
        policy,
        agreement: study.agreement.as_ref().map(|agreement| agreement.digest),
    }
}
