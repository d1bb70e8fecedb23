//! Legal holds: while one stands, a subject cannot be erased.

use crate::caller::Caller;
use codec::id::SubjectId;
use codec::time::Millis;
use consent::RuleName;

/// Sets a hold, replacing an earlier one.
#[derive(Debug, Clone)]
pub struct HoldSet {
    /// A privacy officer.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// Until when.
    pub until: Millis,
    /// A code, not a story ("litigation", "public-health-order").
    pub reason_code: RuleName,
}

/// Clears a hold.
#[derive(Debug, Clone)]
pub struct HoldClear {
    /// A privacy officer.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
}

/// A hold that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Until when.
    pub until: Millis,
    /// Why.
    pub reason_code: RuleName,
}
