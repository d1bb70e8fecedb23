//! Safeguarding: showing a disclosure to a family later than usual, where showing it at once could
//! put the subject or another person at risk of serious harm.
//!
//! Two people, a time limit, a trace: one professional proposes, another approves, who is not the
//! one the disclosure was made to; one person alone can end it; and afterwards the family sees the
//! disclosure together with every act that delayed it. While it lasts, the disclosure is left out
//! as if it were not there yet.
//!
//! It hides a line of the trail from some eyes for some time; it permits no read and removes
//! nothing. The caller logs each [`Act`] in the audit compartment.

use crate::dates::moment;
use crate::{Actor, ControllerRole, Policy, PractitionerId, Reason};
use codec::{DisclosureId, InstitutionId, Millis, codes, record};
use serde::{Deserialize, Serialize};

const DAY_MS: u64 = 86_400_000;
/// The longest that anything is withheld after it happened, in days, whatever the policy.
const MAX_TOTAL_DAYS: u16 = 730;

codes! {
    /// From whom a disclosure is withheld for a time.
    pub enum Audience {
        /// Guardians, but not the subject.
        1 => Guardians = "guardians",
        /// The subject and guardians.
        2 => Everyone = "everyone",
    }
}

codes! {
    /// What makes showing it dangerous.
    pub enum Ground {
        /// Abuse or neglect is suspected.
        1 => SuspectedAbuse = "suspected-abuse",
        /// Knowing it would put someone at risk of serious harm.
        2 => SeriousHarm = "serious-harm",
        /// An authority investigates and has asked for it.
        3 => Investigation = "investigation",
    }
}

record! {
    /// One person's wish to delay one disclosure.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Wish {
        /// Which.
        1 => pub disclosure: DisclosureId,
        /// When that happened.
        2 => pub disclosed: Millis,
        /// To whom: they cannot approve.
        3 => pub disclosed_to: PractitionerId,
        /// From whom it is withheld.
        4 => pub audience: Audience,
        /// On what ground.
        5 => pub ground: Ground,
        /// Why, in words.
        6 => pub reason: Reason,
        /// The first instant after the delay.
        7 => pub until: Millis,
    }
}

record! {
    /// A wish that the policy allows; delays nothing until approved.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Proposal {
        /// What.
        1 => pub wish: Wish,
        /// Where.
        2 => pub institution: InstitutionId,
        /// Who.
        3 => pub proposed_by: PractitionerId,
        /// When.
        4 => pub proposed: Millis,
    }
}

record! {
    /// An approved delay.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Delay {
        /// What was proposed.
        1 => pub proposal: Proposal,
        /// Who approved.
        2 => pub approved_by: PractitionerId,
        /// When.
        3 => pub approved: Millis,
        /// Who ended it early, if anyone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        4 => pub lifted: Option<Lift>,
    }
}

record! {
    /// An early end.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Lift {
        /// Who.
        1 => pub by: PractitionerId,
        /// When.
        2 => pub at: Millis,
    }
}

codes! {
    /// A kind of act.
    pub enum ActKind {
        /// Someone proposed a delay.
        1 => Proposed = "proposed",
        /// Someone else approved it.
        2 => Approved = "approved",
        /// Someone ended it early.
        3 => Lifted = "lifted",
    }
}

record! {
    /// One line of the trace of a delay.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Act {
        /// What was done.
        1 => pub kind: ActKind,
        /// About which disclosure.
        2 => pub disclosure: DisclosureId,
        /// By whom.
        3 => pub by: PractitionerId,
        /// When.
        4 => pub at: Millis,
    }
}

/// Why a delay was not proposed, approved or lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SafeguardingRefused {
    /// Not at the custodian.
    #[error("a delay is a matter of the custodian alone")]
    Elsewhere,
    /// No fitting role.
    #[error("none of the roles held allows this")]
    Role,
    /// Not in the future.
    #[error("a delay ends after it is proposed")]
    Empty,
    /// Longer than the policy allows.
    #[error("this delay can last until {0} at most")]
    TooLong(Millis),
    /// The proposer cannot approve.
    #[error("a delay is approved by someone other than whoever proposed it")]
    OwnProposal,
    /// The reader cannot approve.
    #[error("a delay is not approved by whoever the disclosure was made to")]
    OwnDisclosure,
    /// The proposed period is over.
    #[error("the proposed delay ended at {0}")]
    Over(Millis),
    /// Ended early before.
    #[error("the delay was lifted at {0}")]
    Lifted(Millis),
}

/// Proposes a delay at `at`.
///
/// # Errors
/// Another institution, no fitting role, or a time outside the policy's bounds.
pub fn propose(
    policy: &Policy,
    custodian: InstitutionId,
    actor: &Actor,
    wish: Wish,
    at: Millis,
) -> Result<Proposal, SafeguardingRefused> {
    if actor.institution != custodian {
        return Err(SafeguardingRefused::Elsewhere);
    }
    if !policy.safeguarding.may_propose(&actor.roles) {
        return Err(SafeguardingRefused::Role);
    }
    let bounds = &policy.safeguarding;
    let total_days = bounds.max_total_days.min(MAX_TOTAL_DAYS);
    let latest = days_after(at, bounds.max_days).min(days_after(wish.disclosed, total_days));
    if wish.until <= at {
        return Err(SafeguardingRefused::Empty);
    }
    if wish.until > latest {
        return Err(SafeguardingRefused::TooLong(latest));
    }
    Ok(Proposal {
        institution: custodian,
        proposed_by: actor.practitioner.clone(),
        proposed: at,
        wish,
    })
}

/// Approves a proposal at `at`; the delay begins.
///
/// # Errors
/// Another institution, no fitting role, the proposer, the reader, or too late.
pub fn approve(
    policy: &Policy,
    proposal: Proposal,
    actor: &Actor,
    at: Millis,
) -> Result<Delay, SafeguardingRefused> {
    if actor.institution != proposal.institution {
        return Err(SafeguardingRefused::Elsewhere);
    }
    if actor.practitioner == proposal.proposed_by {
        return Err(SafeguardingRefused::OwnProposal);
    }
    if actor.practitioner == proposal.wish.disclosed_to {
        return Err(SafeguardingRefused::OwnDisclosure);
    }
    if !policy.safeguarding.may_approve(&actor.roles) {
        return Err(SafeguardingRefused::Role);
    }
    if at >= proposal.wish.until {
        return Err(SafeguardingRefused::Over(proposal.wish.until));
    }
    Ok(Delay {
        proposal,
        approved_by: actor.practitioner.clone(),
        approved: at,
        lifted: None,
    })
}

/// Ends a delay at `at`. One person suffices: showing needs no second opinion.
///
/// # Errors
/// Another institution, no fitting role, or already over.
pub fn lift(
    policy: &Policy,
    delay: &Delay,
    actor: &Actor,
    at: Millis,
) -> Result<Delay, SafeguardingRefused> {
    if actor.institution != delay.proposal.institution {
        return Err(SafeguardingRefused::Elsewhere);
    }
    let safeguarding = &policy.safeguarding;
    if !safeguarding.may_propose(&actor.roles) && !safeguarding.may_approve(&actor.roles) {
        return Err(SafeguardingRefused::Role);
    }
    if let Some(lift) = &delay.lifted {
        return Err(SafeguardingRefused::Lifted(lift.at));
    }
    if at >= delay.ends() {
        return Err(SafeguardingRefused::Over(delay.ends()));
    }
    let by = actor.practitioner.clone();
    Ok(Delay {
        lifted: Some(Lift { by, at }),
        ..delay.clone()
    })
}

/// Whether a disclosure is shown to a controller at `at`. Where it is not, neither is that it is
/// not.
pub fn is_shown(
    delays: &[Delay],
    disclosure: &DisclosureId,
    to: ControllerRole,
    at: Millis,
) -> bool {
    !delays
        .iter()
        .any(|delay| delay.proposal.wish.disclosure == *disclosure && delay.hides_from(to, at))
}

impl Delay {
    /// The first instant after it: never more than two years after the disclosure,
    /// whatever the stored end says.
    pub fn ends(&self) -> Millis {
        let wish = &self.proposal.wish;
        let latest = days_after(wish.disclosed, MAX_TOTAL_DAYS);
        let lifted = self.lifted.as_ref().map(|lift| lift.at);
        lifted.into_iter().fold(wish.until.min(latest), Millis::min)
    }

    /// Whether this hides its disclosure from a controller at `at`.
    ///
    /// INVARIANT: a delay with one pair of eyes hides nothing, whatever is stored.
    pub fn hides_from(&self, to: ControllerRole, at: Millis) -> bool {
        let concerned = match self.proposal.wish.audience {
            Audience::Guardians => to == ControllerRole::Guardian,
            Audience::Everyone => true,
        };
        let two_people = self.approved_by != self.proposal.proposed_by;
        concerned && two_people && at < self.ends()
    }

    /// Every act, in order, for the audit compartment and for the family afterwards.
    pub fn acts(&self) -> Vec<Act> {
        let approved = self.act(ActKind::Approved, &self.approved_by, self.approved);
        let lifted = self
            .lifted
            .as_ref()
            .map(|lift| self.act(ActKind::Lifted, &lift.by, lift.at));
        [self.proposal.act(), approved]
            .into_iter()
            .chain(lifted)
            .collect()
    }

    /// What the family reads beside the disclosure once it is shown.
    pub fn explanation(&self) -> String {
        let ground = match self.proposal.wish.ground {
            Ground::SuspectedAbuse => "a suspicion of abuse or neglect",
            Ground::SeriousHarm => "a risk of serious harm to someone",
            Ground::Investigation => "the investigation of an authority",
        };
        format!(
            "This access was shown later than usual, from {} until {}, because of {ground}. \
             One professional proposed the delay and another approved it.",
            moment(self.approved),
            moment(self.ends()),
        )
    }

    fn act(&self, kind: ActKind, by: &PractitionerId, at: Millis) -> Act {
        Act {
            kind,
            disclosure: self.proposal.wish.disclosure,
            by: by.clone(),
            at,
        }
    }
}

impl Proposal {
    /// The act of proposing, for the audit compartment.
    pub fn act(&self) -> Act {
        Act {
            kind: ActKind::Proposed,
            disclosure: self.wish.disclosure,
            by: self.proposed_by.clone(),
            at: self.proposed,
        }
    }
}

fn days_after(start: Millis, days: u16) -> Millis {
    start.saturating_add(u64::from(days) * DAY_MS)
}
