//! Safeguarding: two people may delay, for a limited time, that a disclosure is shown to controllers.
//!
//! For a child at risk whose guardian would read the list. The disclosure is logged and proved as ever;
//! only its showing waits. When the time is over it shows by itself, with the delay explained beside it.

use crate::caller::Caller;
use codec::id::{DisclosureId, SubjectId};
use consent::Reason;
use consent::safeguarding::{Audience, Delay, Ground, Proposal};

pub(crate) mod delay;

/// Asks for a delay. It has no effect until a second person approves it.
#[derive(Debug, Clone)]
pub struct SafeguardingPropose {
    /// A proposer by the policy.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// The disclosure not to be shown yet.
    pub disclosure: DisclosureId,
    /// From whom it is withheld.
    pub audience: Audience,
    /// On what ground.
    pub ground: Ground,
    /// Why. Sealed with the log.
    pub reason: Reason,
    /// For how many days from now; the policy bounds it.
    pub days: u16,
}

/// Approves a proposed delay.
#[derive(Debug, Clone)]
pub struct SafeguardingApprove {
    /// An approver by the policy; neither the proposer nor the reader.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// The disclosure.
    pub disclosure: DisclosureId,
}

/// Ends a delay early; one person suffices.
#[derive(Debug, Clone)]
pub struct SafeguardingLift {
    /// A proposer or approver by the policy.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// The disclosure.
    pub disclosure: DisclosureId,
}

/// Lists delays.
#[derive(Debug, Clone)]
pub struct SafeguardingQuery {
    /// Privacy officer or auditor.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
}

/// A delay, proposed or approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Safeguarding {
    /// Waits for a second person; no effect.
    Proposed(Proposal),
    /// Approved (and perhaps over or lifted).
    Approved(Delay),
}
