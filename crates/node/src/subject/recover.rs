//! Recovery of lost controller keys: drafted by the custodian, countersigned by a second institution.
//!
//! Nothing of it is stored until it is submitted: the draft travels as bytes between the two. What the
//! custodian's desk does is in the subject's trail; the second institution has no trail of this subject,
//! and its signature is in the entry on the ledger.

use super::{RecoveryDraft, RecoveryEndorse, RecoverySubmit, SubjectEntry, SubjectRecover};
use crate::consent_change::apply::refused;
use crate::custodian::Custodian;
use crate::error::Error;
use codec::id::NetworkId;
use codec::record;
use consent::{Purpose, Role};
use keys::Signature;
use ledger::entry::{self, Entry, RecoverTerms, SLOTS};
use store::Store;
use vault::EntryPurpose;

record! {
    /// A recovery between the two institutions.
    struct Travelling {
        1 => network: NetworkId,
        2 => terms: RecoverTerms,
        3 => witness: Option<Signature>,
    }
}

impl<S: Store> Custodian<S> {
    pub(crate) async fn subject_recover(
        &self,
        input: SubjectRecover,
    ) -> Result<RecoveryDraft, Error> {
        input.caller.needs("recovering a subject", &[Role::Desk])?;
        self.own_staff(&input.caller)?;
        input.caller.reaches(&input.subject)?;
        self.in_service()?;
        let standing = self.standing(&input.subject).await?;
        if standing.facts.closed {
            return Err(Error::SubjectClosed);
        }
        if standing.latest().assisted {
            return Err(refused(
                "the desk acts for this subject; enrol the family's keys instead",
            ));
        }
        let member = self.ledger.state_view().institution(&input.witness);
        if input.witness == self.id || member.is_none_or(|leaf| leaf.retired.is_some()) {
            return Err(refused("the second institution must be another member"));
        }
        if input.keys.is_empty() || !input.keys.values().all(keys::PublicKey::is_point) {
            return Err(refused("a recovery needs the new controllers' public keys"));
        }
        if input.keys.keys().any(|slot| usize::from(*slot) >= SLOTS) {
            return Err(refused("a subject has the slots 0 to 3"));
        }
        let (caller, subject) = (&input.caller, &input.subject);
        self.act_log(caller, subject, Purpose::Patadmin, "recovery-prepare")
            .await?;
        let terms = RecoverTerms {
            custodian: self.id,
            subject: input.subject,
            slots: self.slots(&input.keys),
            witness: input.witness,
        };
        Ok(draft(self.network, terms, None))
    }

    pub(crate) async fn subject_recover_endorse(
        &self,
        input: RecoveryEndorse,
    ) -> Result<RecoveryDraft, Error> {
        input.caller.needs("endorsing a recovery", &[Role::Desk])?;
        self.own_staff(&input.caller)?;
        let Travelling { network, terms, .. } = self.recovery(&input.draft)?;
        input.caller.reaches(&terms.subject)?;
        if terms.witness != self.id {
            return Err(refused("it names another institution as its witness"));
        }
        let signature = terms.sign(&network, &self.signers().signing);
        Ok(draft(network, terms, Some(signature)))
    }

    pub(crate) async fn subject_recover_submit(
        &self,
        input: RecoverySubmit,
    ) -> Result<SubjectEntry, Error> {
        input.caller.needs("recovering a subject", &[Role::Desk])?;
        self.own_staff(&input.caller)?;
        input.caller.reaches(&input.subject)?;
        self.in_service()?;
        if self.standing(&input.subject).await?.facts.closed {
            return Err(Error::SubjectClosed);
        }
        let Travelling { terms, witness, .. } = self.recovery(&input.draft)?;
        if terms.custodian != self.id || terms.subject != input.subject {
            return Err(refused("it is for another custodian or another subject"));
        }
        let witness_signature = witness.ok_or(Error::Signature {
            what: "the recovery",
            why: "the second institution has not countersigned it",
        })?;
        let subject = terms.subject;
        self.act_log(
            &input.caller,
            &subject,
            Purpose::Patadmin,
            "recovery-submit",
        )
        .await?;
        let signed = self.sign(&Entry::SubjectRecover(Box::new(entry::SubjectRecover {
            terms,
            witness_signature,
        })))?;
        let purpose = EntryPurpose::SubjectRecover(subject);
        self.vault
            .entry_queue(purpose, &signed, self.now(), &mut self.ambient.entropy())
            .await?;
        self.wakes.courier.wake();
        Ok(SubjectEntry {
            entry: signed.id,
            finality: self.entry_wait(&signed.id, input.wait).await?,
            custodian: self.id,
        })
    }

    fn recovery(&self, draft: &RecoveryDraft) -> Result<Travelling, Error> {
        let found: Travelling = codec::from_slice(&draft.bytes)
            .map_err(|_| refused("the bytes are no recovery draft"))?;
        if found.network == self.network {
            Ok(found)
        } else {
            Err(refused("it was made for another network"))
        }
    }
}

fn draft(network: NetworkId, terms: RecoverTerms, witness: Option<Signature>) -> RecoveryDraft {
    RecoveryDraft {
        bytes: codec::to_vec(&Travelling {
            network,
            terms,
            witness,
        }),
    }
}
