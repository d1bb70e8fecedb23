//! Consent: a policy and a subject's consent states in, a decision with its basis out.
//!
//! - Vocabulary: [`Purpose`] (HL7 v3 PurposeOfUse codes), [`Role`], `codec::Category`.
//! - What a subject's controllers decided: [`ConsentState`] (grants, guardians, maturity,
//!   restriction, opt-outs), with one strict encoding and a salted commitment.
//! - What the institution decided: [`Policy`].
//! - [`decide`]: whether one [`Request`] may go on, on which [`Basis`], how far, until when; or
//!   everything that is [`Missing`].
//! - [`change_allowed`]: whether a controller may replace one consent state by the next, and
//!   whether that narrows or widens.
//! - [`data_use`], [`duo`]: what the data may be used for in research, as codes of the Data Use Ontology.
//! - [`study`]: what a study declares, and the way to its approval. [`matching`]: whether the one allows
//!   the other.
//! - [`erasure_allowed`], [`break_glass`], [`safeguarding`]: the acts that are not reads.
//! - [`listing`]: what a family has agreed to, in plain sentences.
//!
//! Times are `codec::Millis`. A period starts at its first and ends before its last instant.
//!
//! Everything denies by default. No clock, no entropy, no storage, no ledger, no FHIR: whoever
//! calls brings the states, the facts and the time, logs the decision before acting on it, and
//! proves who the asker is.

pub mod break_glass;
mod change;
pub mod data_use;
mod dates;
mod decide;
mod decision;
pub mod duo;
mod facts;
mod grant;
mod hold;
pub mod listing;
pub mod matching;
mod policy;
mod request;
pub mod safeguarding;
mod state;
pub mod study;
mod text;
mod vocabulary;

pub use break_glass::BreakGlass;
pub use change::{ChangeBy, ChangeKind, ChangeRefused, change_allowed, change_kind, is_narrowing};
pub use data_use::{Clause, DataUse, InvalidDataUse, Modifier, Period, Permission};
pub use decide::decide;
pub use decision::{Basis, Because, Decision, Denial, Missing, Permit};
pub use duo::Duo;
pub use facts::{Effective, Facts, MAX_LEDGER_AGE_MS, Opening, StudyFacts};
pub use grant::{Exception, Grant, Grantee, InvalidGrant, PractitionerAt};
pub use hold::{ErasureRefused, LegalHold, Retention, erasure_allowed};
pub use matching::{ClauseMatch, Condition, Finding, Match, Outcome, match_use};
pub use policy::{
    BreakGlassPolicy, InvalidPolicy, Policy, RetentionPolicy, Rule, SafeguardingPolicy,
    SharingRule, SystemPolicy,
};
pub use request::{Actor, Records, Request, Selection};
pub use state::{
    ConsentState, Control, Controller, ControllerRole, Holder, InvalidState, MAX_GRANTS, SLOTS,
    Standing, Terms,
};
pub use study::{
    Agreement, EthicsApproval, InvalidStudy, Limits, Organisation, ResearchType, Sensitive,
    Signature, Study, StudyAct, StudyCase, StudyRefused, StudyStatus, StudyStep, StudyUse,
    study_approval_allowed,
};
pub use text::{
    Country, Curie, InvalidText, Label, PractitionerId, Reason, RecordKind, RuleName, Topic,
};
pub use vocabulary::{Purpose, Role};
