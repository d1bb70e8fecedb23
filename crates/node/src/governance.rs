//! Governing the network: proposals and votes of this institution.
//!
//! A change passes at an epoch's end when two thirds of the members approve it. A restored or replaced
//! validator comes back by a proposal that names its new key; its own institution's vote counts as any
//! other. Every entry carries an ML-DSA signature beside the Ed25519 one.
//!
//! Not here: admitting members and rotating an institution's own keys, which the new keys' holder signs
//! too.

use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::Error;
use crate::subject::{Finality, Wait};
use codec::id::{EntryId, InstitutionId};
use consent::Role;
use keys::PublicKey;
use ledger::Parameters;
use ledger::entry::{
    Change, Entry, InstitutionPropose, InstitutionVote, ProposeTerms, SetValidator, VoteTerms,
    governance_sign,
};
use std::collections::BTreeSet;
use store::Store;
use vault::EntryPurpose;

/// A change of the network that this institution can propose by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkChange {
    /// A member's validator is added, gets another key, or (without one) leaves.
    Validator {
        /// The member.
        institution: InstitutionId,
        /// Its key in the consensus engine.
        key: Option<PublicKey>,
    },
    /// A member leaves; it must not be a validator.
    Retire(InstitutionId),
    /// New parameters.
    Parameters(Parameters),
}

/// Proposes a change; counts as this institution's approval.
#[derive(Debug, Clone)]
pub struct NetworkPropose {
    /// An operator.
    pub caller: Caller,
    /// The change.
    pub change: NetworkChange,
    /// Epochs after this one at whose end it may still pass.
    pub open_epochs: u64,
    /// Whether to wait for finality.
    pub wait: Wait,
}

/// Votes on an open proposal.
#[derive(Debug, Clone)]
pub struct NetworkVote {
    /// An operator.
    pub caller: Caller,
    /// The proposal.
    pub proposal: EntryId,
    /// For or against.
    pub approve: bool,
    /// Whether to wait for finality.
    pub wait: Wait,
}

/// A governance entry that was accepted here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkEntry {
    /// The entry; of a proposal, its name.
    pub entry: EntryId,
    /// Where it stands.
    pub finality: Finality,
}

/// An open proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalView {
    /// Its name.
    pub proposal: EntryId,
    /// Who proposed it.
    pub proposed_by: InstitutionId,
    /// The change.
    pub change: Change,
    /// Last epoch at whose end it may pass.
    pub expires_epoch: u64,
    /// Who approves.
    pub approve: BTreeSet<InstitutionId>,
    /// Who does not.
    pub reject: BTreeSet<InstitutionId>,
}

impl<S: Store> Custodian<S> {
    pub(crate) async fn network_propose(
        &self,
        input: NetworkPropose,
    ) -> Result<NetworkEntry, Error> {
        self.governs(&input.caller)?;
        let epoch = {
            let view = self.ledger.state_view();
            view.parameters().epoch(view.tip().height)
        };
        let terms = ProposeTerms {
            institution: self.id,
            change: match input.change {
                NetworkChange::Validator { institution, key } => {
                    Change::SetValidator(SetValidator { institution, key })
                }
                NetworkChange::Retire(institution) => Change::Retire(institution),
                NetworkChange::Parameters(parameters) => Change::SetParameters(parameters),
            },
            expires_epoch: epoch.saturating_add(input.open_epochs),
        };
        let id = terms.id(&self.network);
        let entry = Entry::InstitutionPropose(Box::new(InstitutionPropose {
            terms,
            governance_signature: governance_sign(&id, &self.governance),
            candidate: None,
        }));
        self.govern(&entry, input.wait).await
    }

    pub(crate) async fn network_vote(&self, input: NetworkVote) -> Result<NetworkEntry, Error> {
        self.governs(&input.caller)?;
        if self.ledger.state_view().proposal(&input.proposal).is_none() {
            return Err(Error::Unknown("open proposal"));
        }
        let terms = VoteTerms {
            institution: self.id,
            proposal: input.proposal,
            approve: input.approve,
        };
        let id = terms.id(&self.network);
        let entry = Entry::InstitutionVote(Box::new(InstitutionVote {
            terms,
            governance_signature: governance_sign(&id, &self.governance),
        }));
        self.govern(&entry, input.wait).await
    }

    pub(crate) async fn network_agenda(&self, caller: Caller) -> Result<Vec<ProposalView>, Error> {
        self.governs(&caller)?;
        let view = self.ledger.state_view();
        let open = view.agenda().open.into_iter().filter_map(|(id, ballot)| {
            let leaf = view.proposal(&id)?;
            Some(ProposalView {
                proposal: id,
                proposed_by: leaf.institution,
                change: leaf.change,
                expires_epoch: ballot.expires_epoch,
                approve: ballot.approve,
                reject: ballot.reject,
            })
        });
        Ok(open.collect())
    }

    fn governs(&self, caller: &Caller) -> Result<(), Error> {
        caller.needs("governing the network", &[Role::Operator])?;
        self.own_staff(caller)
    }

    async fn govern(&self, entry: &Entry, wait: Wait) -> Result<NetworkEntry, Error> {
        let signed = self.sign(entry)?;
        let purpose = EntryPurpose::Other("governance".to_owned());
        self.vault
            .entry_queue(purpose, &signed, self.now(), &mut self.ambient.entropy())
            .await?;
        self.wakes.courier.wake();
        Ok(NetworkEntry {
            entry: signed.id,
            finality: self.entry_wait(&signed.id, wait).await?,
        })
    }
}
