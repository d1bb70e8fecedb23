//! Break-glass: a professional at the custodian opens a record against the usual rules in an
//! emergency, for a short time, with a reason; the family is told and a second person reviews.
//!
//! Needs no ledger and no quorum. The caller logs each act, and each read under the session, before
//! it takes effect.

use crate::dates::moment;
use crate::{Actor, Policy, PractitionerId, Reason};
use codec::{InstitutionId, Millis, SubjectId, codes, record};
use serde::{Deserialize, Serialize};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

record! {
    /// One person's session for one subject.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct BreakGlass {
        /// About whom.
        1 => pub subject: SubjectId,
        /// The custodian.
        2 => pub institution: InstitutionId,
        /// Who opened it; it serves nobody else.
        3 => pub opened_by: PractitionerId,
        /// When.
        4 => pub opened: Millis,
        /// The first instant after it; see [`BreakGlass::ends`].
        5 => pub until: Millis,
        /// Why.
        6 => pub reason: Reason,
    }
}

codes! {
    /// What the reviewer found.
    pub enum Verdict {
        /// There was an emergency, and this served it.
        1 => Justified = "justified",
        /// There was none, or this did not serve it.
        2 => NotJustified = "not-justified",
    }
}

record! {
    /// A second person's review of a session.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Review {
        /// Who.
        1 => pub reviewed_by: PractitionerId,
        /// When.
        2 => pub reviewed: Millis,
        /// What they found.
        3 => pub verdict: Verdict,
        /// Their grounds.
        4 => pub note: Reason,
    }
}

/// What the controllers are told, and by when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// They are told no later than this, unless a safeguarding delay hides the session.
    pub due: Millis,
    /// The review is made no later than this.
    pub review_due: Millis,
    /// What they are told.
    pub sentence: String,
}

/// Why the glass was not broken or a session not reviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BreakGlassRefused {
    /// The actor is not at the custodian.
    #[error("glass is broken and reviewed at the custodian only")]
    Elsewhere,
    /// No fitting role.
    #[error("none of the roles held allows this")]
    Role,
    /// Too short or too long.
    #[error("a session lasts 1 to {max} minutes; {minutes} were asked for")]
    Minutes {
        /// What was asked for.
        minutes: u16,
        /// What the policy allows.
        max: u16,
    },
    /// The opener cannot review.
    #[error("a session is reviewed by someone other than whoever opened it")]
    OwnSession,
    /// Before the session.
    #[error("a session is not reviewed before it was opened")]
    TooEarly,
}

/// Opens a session of `minutes` from `at`, the later of the local clock and the last block's time.
///
/// # Errors
/// Another institution, no fitting role, or a duration outside the policy's bound.
pub fn open(
    policy: &Policy,
    custodian: InstitutionId,
    actor: &Actor,
    subject: SubjectId,
    reason: Reason,
    minutes: u16,
    at: Millis,
) -> Result<BreakGlass, BreakGlassRefused> {
    if actor.institution != custodian {
        return Err(BreakGlassRefused::Elsewhere);
    }
    if !policy.break_glass.may_open(&actor.roles) {
        return Err(BreakGlassRefused::Role);
    }
    let max = policy.break_glass.max_minutes.min(BreakGlass::MAX_MINUTES);
    if !(1..=max).contains(&minutes) {
        return Err(BreakGlassRefused::Minutes { minutes, max });
    }
    Ok(BreakGlass {
        subject,
        institution: custodian,
        opened_by: actor.practitioner.clone(),
        opened: at,
        until: at.saturating_add(u64::from(minutes) * MINUTE_MS),
        reason,
    })
}

/// Reviews a session.
///
/// # Errors
/// Another institution, no fitting role, or the opener.
pub fn review(
    policy: &Policy,
    session: &BreakGlass,
    actor: &Actor,
    verdict: Verdict,
    note: Reason,
    at: Millis,
) -> Result<Review, BreakGlassRefused> {
    if actor.institution != session.institution {
        return Err(BreakGlassRefused::Elsewhere);
    }
    if actor.practitioner == session.opened_by {
        return Err(BreakGlassRefused::OwnSession);
    }
    if !policy.break_glass.may_review(&actor.roles) {
        return Err(BreakGlassRefused::Role);
    }
    if at < session.opened {
        return Err(BreakGlassRefused::TooEarly);
    }
    Ok(Review {
        reviewed_by: actor.practitioner.clone(),
        reviewed: at,
        verdict,
        note,
    })
}

impl BreakGlass {
    /// The longest session in minutes, whatever the policy.
    pub const MAX_MINUTES: u16 = 240;

    /// The first instant after the session: never more than [`Self::MAX_MINUTES`] after it was
    /// opened, whatever the stored end says.
    pub fn ends(&self) -> Millis {
        let longest = u64::from(Self::MAX_MINUTES) * MINUTE_MS;
        self.until.min(self.opened.saturating_add(longest))
    }

    /// What the controllers are told. The reason goes beside it: it is free text.
    pub fn notice(&self, policy: &Policy) -> Notice {
        let hours = u64::from(policy.break_glass.notice_within_hours);
        let days = u64::from(policy.break_glass.review_within_days);
        let review_due = self.opened.saturating_add(days * DAY_MS);
        Notice {
            due: self.opened.saturating_add(hours * HOUR_MS),
            review_due,
            sentence: format!(
                "On {} a professional of the institution that keeps this record opened it in an \
                 emergency, against the usual rules, for at most {} minutes. A second person \
                 reviews this by {}.",
                moment(self.opened),
                self.ends().since(self.opened).div_ceil(MINUTE_MS),
                moment(review_due),
            ),
        }
    }
}
