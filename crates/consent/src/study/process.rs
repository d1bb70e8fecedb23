//! The way of a study: proposed by a researcher, approved by a committee, agreed to by the researcher's
//! institution, opened, ended. Pure: whoever calls keeps the case and puts its opening on the ledger.
//!
//! | from | step | by | to |
//! |---|---|---|---|
//! | (nothing) | propose | a researcher at the study's institution | proposed |
//! | proposed | approve | a committee member who did not propose it | approved |
//! | proposed | refuse | a committee member who did not propose it | refused |
//! | approved | agree | a researcher at the study's institution who did not approve it | agreed |
//! | agreed | open | a researcher at the study's institution, or the committee | open |
//! | open | end | a researcher at the study's institution, or the committee | ended |
//! | proposed, approved, agreed | withdraw | a researcher at the study's institution | withdrawn |
//! | approved, agreed | withdraw | the committee | withdrawn |
//!
//! No step but the ending of it is taken at or after a study's end. An open study ends with its period,
//! whether or not anybody says so ([`StudyCase::status_at`]). The committee is that of the institution that
//! keeps the case.

use super::{Agreement, InvalidStudy, Signature, Study};
use crate::{Actor, PractitionerAt, Reason, Role};
use codec::{Digest, InstitutionId, Millis, choice, codes, record};
use serde::{Deserialize, Serialize};

codes! {
    /// How far a study has come.
    pub enum StudyStatus {
        /// Waits for the committee.
        1 => Proposed = "proposed",
        /// The committee approved it; waits for the agreement.
        2 => Approved = "approved",
        /// The committee refused it.
        3 => Refused = "refused",
        /// The agreement is accepted; waits to be opened.
        4 => Agreed = "agreed",
        /// It may ask for data.
        5 => Open = "open",
        /// It may no longer.
        6 => Ended = "ended",
        /// It was taken back before it opened.
        7 => Withdrawn = "withdrawn",
    }
}

choice! {
    /// What somebody does to a study.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum StudyStep {
        /// The committee approves.
        1 => Approve,
        /// The committee refuses.
        2 => Refuse(Reason),
        /// The researcher's institution accepts the agreement with this digest.
        3 => Agree(Digest),
        /// It opens.
        4 => Open,
        /// It ends before its date.
        5 => End(Reason),
        /// It is taken back before it opens.
        6 => Withdraw(Reason),
    }
}

record! {
    /// A step that was taken.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct StudyAct {
        /// What.
        1 => pub step: StudyStep,
        /// By whom and when.
        2 => pub signed: Signature,
    }
}

record! {
    /// A study and how far it has come.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct StudyCase {
        /// The study. Never changes but for its approvals and agreement.
        1 => pub study: Study,
        /// How far it has come, its end aside: see [`StudyCase::status_at`].
        2 => pub status: StudyStatus,
        /// What was done to it, in order.
        3 => pub acts: Vec<StudyAct>,
    }
}

/// Why a step was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StudyRefused {
    /// Not a study.
    #[error("the study is not valid")]
    Invalid(#[source] InvalidStudy),
    /// Somebody else's proposal, or one that is approved already.
    #[error("a study is proposed by who sends it, without approvals or an agreement")]
    NotAProposal,
    /// No fitting role.
    #[error("this needs the role {0}")]
    Role(Role),
    /// Not of the study's institution, nor of the committee.
    #[error("only the study's own institution, or the committee of this one, may do this")]
    Elsewhere,
    /// The proposer cannot approve.
    #[error("a study is approved or refused by someone other than whoever proposed it")]
    OwnStudy,
    /// The approver cannot sign for the study.
    #[error("who approved a study cannot accept its agreement")]
    OwnApproval,
    /// Not from here.
    #[error("a study that is {0} cannot take this step")]
    Status(StudyStatus),
    /// Its time is over.
    #[error("the study's time ended at {0}")]
    Over(Millis),
    /// Earlier than the step before.
    #[error("a step cannot come before the one it follows")]
    TooEarly,
}

/// Whether somebody may approve or refuse a study, or accept a condition for it, at an institution: as a
/// member of that institution's committee who is not the one who proposed it, before the study's end.
///
/// # Errors
/// The first rule that it would break.
pub fn study_approval_allowed(
    study: &Study,
    here: InstitutionId,
    actor: &Actor,
    at: Millis,
) -> Result<(), StudyRefused> {
    if !actor.is(Role::Committee) {
        return Err(StudyRefused::Role(Role::Committee));
    }
    if actor.institution != here {
        return Err(StudyRefused::Elsewhere);
    }
    if person(actor) == study.proposed.by {
        return Err(StudyRefused::OwnStudy);
    }
    if at < study.proposed.at {
        return Err(StudyRefused::TooEarly);
    }
    if at >= study.until() {
        return Err(StudyRefused::Over(study.until()));
    }
    Ok(())
}

impl StudyCase {
    /// Proposes a study.
    ///
    /// # Errors
    /// The study is not valid, is not the actor's own, or the actor does no research at its institution.
    pub fn propose(study: Study, actor: &Actor, at: Millis) -> Result<Self, StudyRefused> {
        study.validate().map_err(StudyRefused::Invalid)?;
        researcher(&study, actor)?;
        let own = study.proposed.by == person(actor) && study.proposed.at == at;
        if !own || !study.approvals.is_empty() || study.agreement.is_some() {
            return Err(StudyRefused::NotAProposal);
        }
        if at >= study.until() {
            return Err(StudyRefused::Over(study.until()));
        }
        Ok(Self {
            study,
            status: StudyStatus::Proposed,
            acts: Vec::new(),
        })
    }

    /// Takes a step, at the institution that keeps the case.
    ///
    /// # Errors
    /// The first rule that it would break.
    pub fn step(
        &self,
        step: StudyStep,
        here: InstitutionId,
        actor: &Actor,
        at: Millis,
    ) -> Result<Self, StudyRefused> {
        let status = self.follows(&step)?;
        let last = self.acts.last().map_or(&self.study.proposed, |a| &a.signed);
        if at < last.at {
            return Err(StudyRefused::TooEarly);
        }
        if at >= self.study.until() {
            return Err(StudyRefused::Over(self.study.until()));
        }
        self.may_take(&step, here, actor, at)?;
        let mut next = self.clone();
        let signed = Signature {
            by: person(actor),
            at,
        };
        match &step {
            StudyStep::Approve => next.study.approvals.push(signed.clone()),
            StudyStep::Agree(digest) => {
                next.study.agreement = Some(Agreement {
                    digest: *digest,
                    accepted: signed.clone(),
                });
            }
            _ => {}
        }
        next.status = status;
        next.acts.push(StudyAct { step, signed });
        Ok(next)
    }

    /// How far the study has come at an instant: an open one ends with its period.
    pub fn status_at(&self, at: Millis) -> StudyStatus {
        match self.status {
            StudyStatus::Open if at >= self.study.until() => StudyStatus::Ended,
            status => status,
        }
    }

    /// Where a step leads.
    fn follows(&self, step: &StudyStep) -> Result<StudyStatus, StudyRefused> {
        use StudyStatus::{Agreed, Approved, Ended, Open, Proposed, Refused, Withdrawn};
        match (self.status, step) {
            (Proposed, StudyStep::Approve) => Ok(Approved),
            (Proposed, StudyStep::Refuse(_)) => Ok(Refused),
            (Approved, StudyStep::Agree(_)) => Ok(Agreed),
            (Agreed, StudyStep::Open) => Ok(Open),
            (Open, StudyStep::End(_)) => Ok(Ended),
            (Proposed | Approved | Agreed, StudyStep::Withdraw(_)) => Ok(Withdrawn),
            (status, _) => Err(StudyRefused::Status(status)),
        }
    }

    /// Whether somebody may take a step.
    fn may_take(
        &self,
        step: &StudyStep,
        here: InstitutionId,
        actor: &Actor,
        at: Millis,
    ) -> Result<(), StudyRefused> {
        let committee = || study_approval_allowed(&self.study, here, actor, at);
        match step {
            StudyStep::Approve | StudyStep::Refuse(_) => committee(),
            StudyStep::Agree(_) => {
                researcher(&self.study, actor)?;
                if self.study.approvals.iter().any(|a| a.by == person(actor)) {
                    return Err(StudyRefused::OwnApproval);
                }
                Ok(())
            }
            StudyStep::Withdraw(_) if self.status == StudyStatus::Proposed => {
                researcher(&self.study, actor)
            }
            StudyStep::Open | StudyStep::End(_) | StudyStep::Withdraw(_) => {
                // Who acts for neither is told what the study's own side lacked.
                researcher(&self.study, actor).or_else(|refused| committee().map_err(|_| refused))
            }
        }
    }
}

fn researcher(study: &Study, actor: &Actor) -> Result<(), StudyRefused> {
    if actor.institution != study.institution {
        Err(StudyRefused::Elsewhere)
    } else if !actor.is(Role::Researcher) {
        Err(StudyRefused::Role(Role::Researcher))
    } else {
        Ok(())
    }
}

fn person(actor: &Actor) -> PractitionerAt {
    PractitionerAt {
        institution: actor.institution,
        practitioner: actor.practitioner.clone(),
    }
}
