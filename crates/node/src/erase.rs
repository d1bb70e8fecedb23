//! Erasure: the subject's key is destroyed here; nothing of it opens again.
//!
//! Refused under a legal hold or retention period, saying until when. Idempotent, and finished after a
//! crash. What outlives it, the disclosure log, is handed over with the key that proves it.

use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::disclosure::DisclosureView;
use crate::disclosure::log::{is_visible, view};
use crate::error::Error;
use crate::subject::Finality;
use codec::id::{EntryId, SubjectId};
use codec::time::Millis;
use consent::{ControllerRole, ErasureRefused, Purpose, Role};
use std::collections::BTreeSet;
use store::Store;
use vault::LoggedDisclosure;

/// Erases a subject at this custodian.
#[derive(Debug, Clone)]
pub struct Erase {
    /// Privacy officer, or the subject's controller.
    pub caller: Caller,
    /// The subject.
    pub subject: SubjectId,
}

/// An erasure that was done.
#[derive(Clone)]
pub struct Erased {
    /// The SubjectClose entry; none when the subject had been closed before.
    pub entry: Option<EntryId>,
    /// Where it stands.
    pub finality: Finality,
    /// Whether an earlier call did it.
    pub already: bool,
    /// What the subject takes along.
    pub handover: Handover,
}

/// What outlives an erasure, for the subject to keep.
#[derive(Clone)]
pub struct Handover {
    /// Finds the subject's line in every disclosure period of this custodian, and its absence.
    pub audit_key: [u8; 32],
    /// Every disclosure and refusal: copies already disclosed are listed, not denied.
    pub disclosures: Vec<DisclosureView>,
    /// A proof for each period with a disclosure, for [`crate::verify::disclosure`]; periods not final
    /// yet are missing and can be asked for later.
    pub proofs: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Erased {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erased")
            .field("entry", &self.entry)
            .field("finality", &self.finality)
            .field("already", &self.already)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Handover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handover(<redacted>)")
    }
}

/// The most disclosures handed over at once.
const HANDOVER_MAX: usize = 100_000;

impl<S: Store> Custodian<S> {
    pub(crate) async fn erase(&self, input: Erase) -> Result<Erased, Error> {
        let roles = [Role::PrivacyOfficer, Role::Controller];
        input.caller.needs("erasing a subject", &roles)?;
        input.caller.reaches(&input.subject)?;
        self.own_staff(&input.caller)?;
        if !input.caller.has(Role::PrivacyOfficer) {
            self.controller(&input.caller, &input.subject).await?;
        }
        let subject = &input.subject;
        let before = self.vault.erasure(subject).await?;
        let entry = match before {
            Some(_) => None,
            None => match self.erasure_begin(&input.caller, subject).await {
                Ok(entry) => Some(entry),
                // Somebody else's erasure of it began in between: this one ends with it.
                Err(Error::SubjectErased) => None,
                Err(error) => return Err(error),
            },
        };
        // What is handed over again is the trail: logged as looking at the trail is.
        if entry.is_none() && !input.caller.has(Role::Controller) {
            self.act_log(&input.caller, subject, Purpose::Hcompl, "handover")
                .await?;
        }
        // Also if the erasure ends later: nothing of the subject counts from here on.
        if let Some(insight) = &self.insight {
            insight.forget(subject);
        }
        self.subscriptions_forget(subject).await?;
        self.vault
            .erase(subject, self.facts().at(), &mut self.ambient.entropy())
            .await?;
        // What a crash leaves of it is not shown, and removed when it is met.
        self.identity_forget(subject).await?;
        self.subscriptions_unqueue(subject);
        if let Some(insight) = &self.insight {
            insight.forget(subject);
            self.wakes.differentials.wake();
        }
        self.counters.erasures.up();
        Ok(Erased {
            finality: match &entry {
                Some(entry) => self.entry_finality(entry).await?,
                None => self.closing_finality(subject),
            },
            entry,
            already: before.is_some_and(|erasure| erasure.done.is_some()),
            handover: self.handover(subject).await?,
        })
    }

    /// Closes the subject on the ledger, and logs who asked for the erasure. The ledger hears of it first: a
    /// crash in between leaves a subject that takes nothing new, and an erasure that is asked for again.
    async fn erasure_begin(&self, caller: &Caller, subject: &SubjectId) -> Result<EntryId, Error> {
        self.in_service()?;
        if let Some(refused) = self.erasure_held(subject).await? {
            return Err(held(&refused));
        }
        let entry = self.close(subject).await?;
        self.act_log(caller, subject, Purpose::Patrqt, "erase")
            .await?;
        Ok(entry)
    }

    /// What stands against the erasure of a subject now: legal holds, and the retention law of the policy.
    pub(crate) async fn erasure_held(
        &self,
        subject: &SubjectId,
    ) -> Result<Option<ErasureRefused>, Error> {
        let holds = self.vault.holds(subject).await?;
        let mut retentions = holds.retentions;
        if self.policy.retention.is_some()
            && let Some(last) = self.last_deposit(subject).await?
        {
            retentions.extend(self.policy.retention_after(last));
        }
        let at = self.facts().at();
        Ok(consent::erasure_allowed(&holds.holds, &retentions, at).err())
    }

    /// When the subject's latest version was deposited.
    async fn last_deposit(&self, subject: &SubjectId) -> Result<Option<Millis>, Error> {
        const PAGE: usize = 512;
        let mut last = None;
        let mut after = None;
        loop {
            let page = self.vault.record_list(subject, None, after, PAGE).await?;
            last = last.max(page.iter().map(|meta| meta.deposited).max());
            after = page.last().map(|meta| (meta.record, meta.version));
            if page.len() < PAGE {
                return Ok(last);
            }
        }
    }

    fn closing_finality(&self, subject: &SubjectId) -> Finality {
        let tip = self.ledger.tip();
        let leaf = self.ledger.state_view().subject(&self.id, subject);
        match leaf {
            Some(leaf) if leaf.is_closed() => Finality::Final {
                height: tip.height,
                time_ms: tip.time_ms,
            },
            _ => Finality::Pending,
        }
    }

    async fn handover(&self, subject: &SubjectId) -> Result<Handover, Error> {
        let (logged, _) = self
            .vault
            .disclosure_list(subject, Millis::ZERO, Millis::new(u64::MAX), HANDOVER_MAX)
            .await?;
        let delays = self.vault.delays(subject).await?;
        let at = self.facts().at();
        // Erasure does not end a safeguarding delay.
        let hidden = |logged: &LoggedDisclosure| {
            !is_visible(
                &delays,
                &logged.disclosure.id,
                Some(ControllerRole::Guardian),
                at,
            )
        };
        let withheld: BTreeSet<u64> = logged
            .iter()
            .filter(|logged| hidden(logged))
            .map(|logged| logged.period)
            .collect();
        let periods: BTreeSet<u64> = logged
            .iter()
            .map(|logged| logged.period)
            .filter(|period| !withheld.contains(period))
            .collect();
        let shown = logged.iter().filter(|logged| !hidden(logged));
        Ok(Handover {
            audit_key: *self.vault.audit_period_key(subject)?.expose(),
            disclosures: shown.map(|logged| view(logged, &delays)).collect(),
            proofs: self.period_proofs(subject, periods).await?,
        })
    }
}

fn held(refused: &ErasureRefused) -> Error {
    Error::Held {
        until: refused.until(),
        because: match refused {
            ErasureRefused::LegalHold(hold) => format!("a legal hold ({})", hold.reason_code),
            ErasureRefused::Retention(law) => format!("the retention law {}", law.rule),
        },
    }
}
