//! Break-glass: emergency reading at the custodian, without consent and without quorum.
//!
//! A session needs an emergency role, a reason and a length of at most four hours. It is logged before it
//! opens anything, a notice is left for subject and privacy officer, and a second person reviews it.

use crate::caller::Caller;
use codec::id::SubjectId;
use codec::time::Millis;
use consent::{PractitionerId, Reason};

pub(crate) mod session;

/// Names a break-glass session: the disclosure row that opened it.
pub use codec::id::DisclosureId as SessionId;

/// Opens a session.
#[derive(Clone)]
pub struct BreakGlassOpen {
    /// A role the policy allows (emergency clinician by default).
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// Why, in the clinician's words. Sealed with the log.
    pub reason: Reason,
    /// How long, at most 240.
    pub minutes: u16,
}

/// An opened session. Fetch with purpose BTG or ETREAT while it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakGlassOpened {
    /// The session.
    pub session: SessionId,
    /// When it ends.
    pub until: Millis,
}

/// Lists sessions.
#[derive(Debug, Clone)]
pub struct BreakGlassQuery {
    /// Privacy officer or auditor (all subjects), or the subject's controller.
    pub caller: Caller,
    /// Only this subject's.
    pub subject: Option<SubjectId>,
    /// Only those without a review.
    pub unreviewed: bool,
}

/// One session as a reviewer sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct BreakGlassView {
    /// The session.
    pub session: SessionId,
    /// The subject.
    pub subject: SubjectId,
    /// Who opened it.
    pub opened_by: PractitionerId,
    /// When.
    pub opened: Millis,
    /// Until when.
    pub until: Millis,
    /// Why.
    pub reason: Reason,
    /// The review, once there is one.
    pub review: Option<Review>,
}

/// A second person's judgement.
#[derive(Clone, PartialEq, Eq)]
pub struct Review {
    /// Who reviewed; never who opened.
    pub by: PractitionerId,
    /// When.
    pub at: Millis,
    /// Whether the access was justified.
    pub justified: bool,
    /// The reviewer's words.
    pub note: Reason,
}

/// Reviews a session.
#[derive(Clone)]
pub struct BreakGlassReview {
    /// Privacy officer; not the one who opened it.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// The session.
    pub session: SessionId,
    /// Whether it was justified.
    pub justified: bool,
    /// In the reviewer's words.
    pub note: Reason,
}

macro_rules! redacted {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    )*};
}
redacted!(BreakGlassOpen, BreakGlassView, Review, BreakGlassReview);
