//! Safeguarding: two people may delay, for a limited time, that a disclosure is shown to the controllers.
//!
//! For a child at risk whose guardian would read the list. The disclosure is logged and proved as ever;
//! only its showing waits. When the time is over it shows by itself, with the delay written beside it.

use crate::caller::Caller;
use codec::id::{DisclosureId, SubjectId};
use codec::time::Millis;
use consent::{PractitionerId, Reason};

/// Asks for a delay. It has no effect until a second person confirms it.
#[derive(Clone)]
pub struct SafeguardingPropose {
    /// Clinician or privacy officer.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// The disclosure not to be shown yet.
    pub disclosure: DisclosureId,
    /// Until when; the policy bounds it.
    pub until: Millis,
    /// Why. Sealed with the log.
    pub reason: Reason,
}

/// Confirms a delay.
#[derive(Debug, Clone)]
pub struct SafeguardingConfirm {
    /// Privacy officer; not the one who asked.
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

/// A delay.
#[derive(Clone, PartialEq, Eq)]
pub struct Safeguarding {
    /// The disclosure it delays.
    pub disclosure: DisclosureId,
    /// Until when.
    pub until: Millis,
    /// Who asked.
    pub proposed_by: PractitionerId,
    /// Who confirmed; none yet: no effect.
    pub confirmed_by: Option<PractitionerId>,
    /// Why.
    pub reason: Reason,
}

impl std::fmt::Debug for SafeguardingPropose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SafeguardingPropose(<redacted>)")
    }
}

impl std::fmt::Debug for Safeguarding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Safeguarding(<redacted>)")
    }
}
