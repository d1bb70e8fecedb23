//! Break-glass: emergency reading at the custodian, without consent and without quorum.
//!
//! A session needs an emergency role, a reason and a length the policy allows (at most four hours). It is
//! durable before it opens anything, a notice is left for the controllers, and a second person reviews it.

use crate::caller::Caller;
use codec::id::SubjectId;
use codec::time::Millis;
use consent::BreakGlass;
use consent::Reason;
use consent::break_glass::{Review, Verdict};

pub(crate) mod session;

/// Names a break-glass session.
pub use codec::id::DisclosureId as SessionId;

/// Opens a session.
#[derive(Debug, Clone)]
pub struct BreakGlassOpen {
    /// Whoever holds a role that the policy allows.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// Why, in the clinician's words. Sealed with the log.
    pub reason: Reason,
    /// How long.
    pub minutes: u16,
}

/// An opened session. Fetch with purpose BTG while it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakGlassOpened {
    /// The session.
    pub session: SessionId,
    /// When it ends.
    pub until: Millis,
    /// When it is reviewed at the latest.
    pub review_due: Millis,
}

/// Lists sessions.
#[derive(Debug, Clone)]
pub struct BreakGlassQuery {
    /// A reviewer or auditor, or the subject's controller (then with a subject).
    pub caller: Caller,
    /// Only this subject's. None: those of every subject that await review.
    pub subject: Option<SubjectId>,
}

/// One session as a reviewer or controller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakGlassView {
    /// The session's id.
    pub session: SessionId,
    /// What was opened, by whom, when, why.
    pub opened: BreakGlass,
    /// What the controllers are told.
    pub notice: String,
    /// When it is reviewed at the latest.
    pub review_due: Millis,
    /// The review, once there is one.
    pub review: Option<Review>,
}

/// Reviews a session.
#[derive(Debug, Clone)]
pub struct BreakGlassReview {
    /// A reviewer by the policy; not the one who opened it.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
    /// The session.
    pub session: SessionId,
    /// What was found.
    pub verdict: Verdict,
    /// The reviewer's grounds.
    pub note: Reason,
}
