//! Proposing, approving, lifting and listing safeguarding delays.

use super::{
    Safeguarding, SafeguardingApprove, SafeguardingLift, SafeguardingPropose, SafeguardingQuery,
};
use crate::custodian::Custodian;
use crate::error::{Conflict, Error};
use codec::id::{DisclosureId, SubjectId};
use codec::time::Millis;
use consent::Role;
use consent::safeguarding::{self, Act, Delay, SafeguardingRefused, Wish};
use store::Store;
use vault::{AuditId, DelayState};

const DAY_MS: u64 = 86_400_000;

impl<S: Store> Custodian<S> {
    pub(crate) async fn safeguarding_propose(
        &self,
        input: SafeguardingPropose,
    ) -> Result<Safeguarding, Error> {
        input.caller.reaches(&input.subject)?;
        let (disclosed, disclosed_to) = self.disclosed(&input.subject, &input.disclosure).await?;
        let at = self.facts().at();
        let wish = Wish {
            disclosure: input.disclosure,
            disclosed,
            disclosed_to,
            audience: input.audience,
            ground: input.ground,
            reason: input.reason,
            until: at.saturating_add(u64::from(input.days).saturating_mul(DAY_MS)),
        };
        let actor = &input.caller.actor;
        let proposal =
            safeguarding::propose(&self.policy, self.id, actor, wish, at).map_err(refused)?;
        let there = self.vault.delay(&input.subject, &input.disclosure).await?;
        if let Some(DelayState::Approved(delay)) = &there
            && delay.ends() > at
        {
            return Err(Conflict::Done("the disclosure is delayed already").into());
        }
        let act = proposal.act();
        let state = DelayState::Proposed(proposal);
        self.delay_put(&input.subject, there.as_ref(), state, &act)
            .await
    }

    /// When and to whom a disclosure was made, or a break-glass session opened.
    async fn disclosed(
        &self,
        subject: &SubjectId,
        id: &DisclosureId,
    ) -> Result<(Millis, consent::PractitionerId), Error> {
        match self.vault.disclosure(subject, id).await {
            Ok(logged) => {
                let disclosure = logged.disclosure;
                Ok((disclosure.at, disclosure.request.actor.practitioner))
            }
            Err(vault::Error::Unknown(_)) => {
                let session = self.vault.session(subject, id).await?;
                Ok((session.opened.opened, session.opened.opened_by))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn safeguarding_approve(
        &self,
        input: SafeguardingApprove,
    ) -> Result<Safeguarding, Error> {
        input.caller.reaches(&input.subject)?;
        let there = self.delay_there(&input.subject, &input.disclosure).await?;
        let DelayState::Proposed(proposal) = there.clone() else {
            return Err(Conflict::Done("the delay was approved").into());
        };
        let at = self.facts().at();
        let delay = safeguarding::approve(&self.policy, proposal, &input.caller.actor, at)
            .map_err(refused)?;
        self.delay_approved(&input.subject, &there, delay).await
    }

    pub(crate) async fn safeguarding_lift(
        &self,
        input: SafeguardingLift,
    ) -> Result<Safeguarding, Error> {
        input.caller.reaches(&input.subject)?;
        let there = self.delay_there(&input.subject, &input.disclosure).await?;
        let DelayState::Approved(delay) = &there else {
            return Err(Error::invalid(
                "safeguarding",
                "",
                "the delay was never approved, so there is nothing to lift",
            ));
        };
        let at = self.facts().at();
        let delay =
            safeguarding::lift(&self.policy, delay, &input.caller.actor, at).map_err(refused)?;
        self.delay_approved(&input.subject, &there, delay).await
    }

    pub(crate) async fn safeguarding_list(
        &self,
        input: SafeguardingQuery,
    ) -> Result<Vec<Safeguarding>, Error> {
        let roles = [Role::PrivacyOfficer, Role::Auditor];
        input.caller.needs("listing safeguarding delays", &roles)?;
        input.caller.reaches(&input.subject)?;
        self.own_staff(&input.caller)?;
        let delays = self.vault.delays(&input.subject).await?;
        Ok(delays.into_iter().map(|(_, state)| shown(state)).collect())
    }

    async fn delay_there(
        &self,
        subject: &SubjectId,
        disclosure: &DisclosureId,
    ) -> Result<DelayState, Error> {
        let there = self.vault.delay(subject, disclosure).await?;
        there.ok_or(Error::Unknown("safeguarding delay"))
    }

    async fn delay_approved(
        &self,
        subject: &SubjectId,
        there: &DelayState,
        delay: Delay,
    ) -> Result<Safeguarding, Error> {
        let acts = delay.acts();
        let act = acts
            .last()
            .ok_or(Error::Internal("a delay without an act"))?;
        self.delay_put(subject, Some(there), DelayState::Approved(delay), act)
            .await
    }

    async fn delay_put(
        &self,
        subject: &SubjectId,
        expected: Option<&DelayState>,
        state: DelayState,
        act: &Act,
    ) -> Result<Safeguarding, Error> {
        let id = AuditId::new(self.ambient.random());
        let mut entropy = self.ambient.entropy();
        self.vault
            .delay_put(subject, expected, &state, (&id, act), &mut entropy)
            .await?;
        Ok(shown(state))
    }
}

fn shown(state: DelayState) -> Safeguarding {
    match state {
        DelayState::Proposed(proposal) => Safeguarding::Proposed(proposal),
        DelayState::Approved(delay) => Safeguarding::Approved(delay),
    }
}

fn refused(why: SafeguardingRefused) -> Error {
    match why {
        SafeguardingRefused::Role
        | SafeguardingRefused::Elsewhere
        | SafeguardingRefused::OwnProposal
        | SafeguardingRefused::OwnDisclosure => Error::Forbidden {
            action: "delaying a disclosure",
            needs: "that the institution's policy names, of another person".to_owned(),
        },
        why => Error::invalid("safeguarding", "", why.to_string()),
    }
}
