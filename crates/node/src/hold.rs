//! Legal holds: while one stands, a subject cannot be erased.

use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::Error;
use codec::id::SubjectId;
use codec::time::Millis;
use consent::{LegalHold, Purpose, Role, RuleName};
use store::Store;
use vault::Holds;

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

impl<S: Store> Custodian<S> {
    pub(crate) async fn hold_set(&self, input: HoldSet) -> Result<Hold, Error> {
        self.holder(&input.caller, &input.subject)?;
        if input.until <= self.facts().at() {
            return Err(Error::invalid("legal hold", "until", "it lies in the past"));
        }
        let hold = LegalHold {
            until: input.until,
            reason_code: input.reason_code,
        };
        self.holds_change(
            &input.caller,
            &input.subject,
            "hold-set",
            vec![hold.clone()],
        )
        .await?;
        Ok(Hold {
            until: hold.until,
            reason_code: hold.reason_code,
        })
    }

    pub(crate) async fn hold_clear(&self, input: HoldClear) -> Result<(), Error> {
        self.holder(&input.caller, &input.subject)?;
        self.holds_change(&input.caller, &input.subject, "hold-clear", Vec::new())
            .await
    }

    fn holder(&self, caller: &Caller, subject: &SubjectId) -> Result<(), Error> {
        caller.needs("setting a legal hold", &[Role::PrivacyOfficer])?;
        caller.reaches(subject)?;
        self.own_staff(caller)
    }

    async fn holds_change(
        &self,
        caller: &Caller,
        subject: &SubjectId,
        act: &'static str,
        holds: Vec<LegalHold>,
    ) -> Result<(), Error> {
        let there = self.vault.holds(subject).await?;
        let changed = Holds {
            holds,
            retentions: there.retentions.clone(),
        };
        self.act_log(caller, subject, Purpose::Hlegal, act).await?;
        self.vault
            .holds_put(subject, &there, &changed, &mut self.ambient.entropy())
            .await?;
        Ok(())
    }
}
