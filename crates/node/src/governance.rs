//! Governing the network: what this institution proposes, how it votes, and how matters stand.
//!
//! A change passes at an epoch's end when two thirds of the members approve it, and takes effect with the
//! next epoch; of the validators one changes an epoch. A restored or replaced validator comes back by a
//! proposal that brings its new key's claim; its own institution's vote counts as any other. Every entry
//! carries an ML-DSA signature beside the Ed25519 one, and new keys sign the proposal that brings them:
//! those of a candidate at home ([`Application`]), this institution's own here ([`keys`]). A validator's
//! key signs its claim ([`ValidatorClaim`]), which its node shows and any member can propose.
//!
//! What the ledger would refuse is refused at once, with its reason.

mod application;
pub(crate) mod keys;

pub use application::{Applicant, Application, apply};
pub use ledger::entry::{MalformedClaim, ValidatorClaim};

use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::{Conflict, Error};
use crate::subject::{Finality, Wait};
use ::keys::PublicKey;
use codec::id::{EntryId, InstitutionId, NetworkId};
use consent::Role;
use ledger::entry::{
    Candidate, Change, Entry, InstitutionPropose, InstitutionVote, ProposeTerms, SetValidator,
    VoteTerms, governance_sign,
};
use ledger::state::{Ballot, View, admissible};
use ledger::{Kind, Parameters, Refusal};
use std::collections::{BTreeMap, BTreeSet};
use store::Store;
use vault::{EntryPurpose, Signed};

/// A change of the network that this institution can propose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkChange {
    /// Another institution becomes a member.
    Admit(Box<Application>),
    /// A member leaves; it must not be a validator.
    Retire(InstitutionId),
    /// A member's validator is added, gets another key, or (without a claim) leaves.
    Validator {
        /// The member.
        institution: InstitutionId,
        /// Its key in the consensus engine, as its node claims it.
        claim: Option<ValidatorClaim>,
    },
    /// This institution's node becomes a validator, under its own claim.
    Validate,
    /// Keys of this institution are replaced by new ones, which are made here.
    Rotate(BTreeSet<OwnKey>),
    /// Other parameters.
    Parameters(ParameterChange),
}

/// A key of this institution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnKey {
    /// Signs entries.
    Signing,
    /// Signs governance.
    Governance,
    /// What other institutions seal to.
    Sealing,
    /// Votes in the consensus engine, and names the node to its peers. Proposed alone, for it is a change
    /// of the validators.
    Validator,
}

/// Parameters that change; the others stay. Those that the genesis fixes are not among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParameterChange {
    /// Least time between a custodian's record batches.
    pub batch_interval_ms: Option<u64>,
    /// Least time between groups of subject entries.
    pub subject_release_ms: Option<u64>,
    /// Most heights that an entry's last valid height may lie ahead.
    pub max_validity_heights: Option<u64>,
    /// Time before a recovery of a subject takes effect.
    pub recover_delay_ms: Option<u64>,
}

/// Proposes a change; counts as this institution's approval.
#[derive(Debug, Clone)]
pub struct NetworkPropose {
    /// An operator.
    pub caller: Caller,
    /// The change.
    pub change: NetworkChange,
    /// Epochs after this one at whose end it may still pass. An application brings its own.
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
    /// What it says.
    pub says: String,
    /// Where it stands.
    pub finality: Finality,
}

/// The network as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkView {
    /// The network.
    pub network: NetworkId,
    /// Height of the last finalised block.
    pub height: u64,
    /// Its epoch.
    pub epoch: u64,
    /// The epoch's last height, at which votes are counted.
    pub epoch_last: u64,
    /// The parameters in force.
    pub parameters: Parameters,
    /// The key by which peers know this node.
    pub node: PublicKey,
    /// The claim of this node's validator's key, which any member can propose. Its key is `node`, or its
    /// successor where that was replaced and the node not yet started again.
    pub claim: ValidatorClaim,
    /// The members, by id.
    pub members: Vec<MemberView>,
    /// Approvals that a proposal needs.
    pub approvals_needed: usize,
    /// The open proposals, the oldest first.
    pub proposals: Vec<ProposalView>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// Its id.
    pub id: InstitutionId,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its key in the consensus engine, if it is a validator in this epoch.
    pub validator: Option<PublicKey>,
}

/// An open proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalView {
    /// Its name.
    pub proposal: EntryId,
    /// Who proposed it.
    pub proposed_by: InstitutionId,
    /// The change, in a sentence.
    pub says: String,
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
        let NetworkPropose {
            change,
            open_epochs,
            wait,
            ..
        } = input;
        let set = |institution, key| Change::SetValidator(SetValidator { institution, key });
        let change = match change {
            NetworkChange::Admit(application) => return self.admit(*application, wait).await,
            NetworkChange::Rotate(which) => return self.rotate(&which, open_epochs, wait).await,
            NetworkChange::Validator { institution, claim } => set(institution, claim),
            NetworkChange::Validate => set(self.id, Some(self.validator_claim())),
            NetworkChange::Retire(institution) => Change::Retire(institution),
            NetworkChange::Parameters(new) => {
                Change::SetParameters(new.over(self.ledger.state_view().parameters()))
            }
        };
        let proposal = self.proposal(self.terms(change, open_epochs), None);
        self.govern(&proposal, wait).await
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
            governance_signature: governance_sign(&id, &self.signers().governance),
        }));
        self.govern(&entry, input.wait).await
    }

    pub(crate) async fn network_show(&self, caller: Caller) -> Result<NetworkView, Error> {
        let roles = [Role::Operator, Role::PrivacyOfficer, Role::Auditor];
        caller.needs("reading how the network is governed", &roles)?;
        self.own_staff(&caller)?;
        let view = self.ledger.state_view();
        let parameters = view.parameters();
        let height = view.tip().height;
        let epoch = parameters.epoch(height);
        let validators = view.validators(epoch).unwrap_or_default();
        let roster = view.roster().members;
        let members = roster.iter().map(|(id, kind)| MemberView {
            id: *id,
            name: named(&view, id),
            kind: *kind,
            validator: validators.by_institution().get(id).copied(),
        });
        Ok(NetworkView {
            network: self.network,
            height,
            epoch,
            epoch_last: epoch
                .saturating_add(1)
                .saturating_mul(parameters.epoch_blocks)
                .saturating_sub(1),
            parameters,
            node: self.validator,
            claim: self.validator_claim(),
            members: members.collect(),
            approvals_needed: (roster.len() * 2).div_ceil(3),
            proposals: proposals(&view),
        })
    }

    fn governs(&self, caller: &Caller) -> Result<(), Error> {
        caller.needs("governing the network", &[Role::Operator])?;
        self.own_staff(caller)
    }

    async fn admit(&self, application: Application, wait: Wait) -> Result<NetworkEntry, Error> {
        let refused = |why: &str| Error::invalid("application", "", why);
        if application.network != self.network {
            return Err(refused("it was made for another network"));
        }
        if application.terms.institution != self.id {
            return Err(refused("it names another institution as its sponsor"));
        }
        let proposal = self.proposal(application.terms, Some(application.candidate));
        self.govern(&proposal, wait).await
    }

    /// The terms of a proposal of this institution.
    fn terms(&self, change: Change, open_epochs: u64) -> ProposeTerms {
        let view = self.ledger.state_view();
        let epoch = view.parameters().epoch(view.tip().height);
        ProposeTerms {
            institution: self.id,
            change,
            expires_epoch: epoch.saturating_add(open_epochs),
        }
    }

    fn proposal(&self, terms: ProposeTerms, candidate: Option<Candidate>) -> Entry {
        let id = terms.id(&self.network);
        Entry::InstitutionPropose(Box::new(InstitutionPropose {
            terms,
            governance_signature: governance_sign(&id, &self.signers().governance),
            candidate,
        }))
    }

    /// Signs and queues a governance entry, if the ledger as it is would take it.
    async fn govern(&self, entry: &Entry, wait: Wait) -> Result<NetworkEntry, Error> {
        let signed = self.sign_entry(entry)?;
        let says = {
            let view = self.ledger.state_view();
            admissible(&view, &signed).map_err(|why| refusal(&why))?;
            says(&view, entry)
        };
        let signed = Signed::from(&signed);
        let purpose = EntryPurpose::Other("governance".to_owned());
        self.vault
            .entry_queue(purpose, &signed, self.now(), &mut self.ambient.entropy())
            .await?;
        self.wakes.courier.wake();
        Ok(NetworkEntry {
            entry: signed.id,
            says,
            finality: self.entry_wait(&signed.id, wait).await?,
        })
    }
}

impl ParameterChange {
    fn over(self, now: Parameters) -> Parameters {
        Parameters {
            batch_interval_ms: self.batch_interval_ms.unwrap_or(now.batch_interval_ms),
            subject_release_ms: self.subject_release_ms.unwrap_or(now.subject_release_ms),
            max_validity_heights: self
                .max_validity_heights
                .unwrap_or(now.max_validity_heights),
            recover_delay_ms: self.recover_delay_ms.unwrap_or(now.recover_delay_ms),
            ..now
        }
    }
}

fn refusal(why: &Refusal) -> Error {
    match why {
        Refusal::AlreadyVoted(_) => Conflict::Done("this institution has voted so already").into(),
        Refusal::Duplicate { .. } => Conflict::Done(
            "this institution said the same before; a vote that was taken back cannot be given again",
        )
        .into(),
        Refusal::Change(fault) => Error::invalid("change of the network", "", fault.to_string()),
        other => Error::invalid("change of the network", "", other.to_string()),
    }
}

fn proposals(view: &View) -> Vec<ProposalView> {
    let mut open: Vec<(EntryId, Ballot)> = view.agenda().open.into_iter().collect();
    open.sort_by_key(|(id, ballot)| (ballot.opened, *id));
    let shown = open.into_iter().filter_map(|(proposal, ballot)| {
        let leaf = view.proposal(&proposal)?;
        Some(ProposalView {
            proposal,
            proposed_by: leaf.institution,
            says: change_says(view, &leaf.institution, &leaf.change),
            expires_epoch: ballot.expires_epoch,
            approve: ballot.approve,
            reject: ballot.reject,
        })
    });
    shown.collect()
}

fn says(view: &View, entry: &Entry) -> String {
    match entry {
        Entry::InstitutionPropose(proposal) => {
            let terms = &proposal.terms;
            change_says(view, &terms.institution, &terms.change)
        }
        Entry::InstitutionVote(vote) => {
            let leaf = view.proposal(&vote.terms.proposal);
            leaf.map_or_else(String::new, |leaf| {
                change_says(view, &leaf.institution, &leaf.change)
            })
        }
        _ => String::new(),
    }
}

/// A change in a sentence.
fn change_says(view: &View, proposer: &InstitutionId, change: &Change) -> String {
    match change {
        Change::Admit(new) => format!("{} ({}, {}) becomes a member", new.name, new.kind, new.id),
        Change::Retire(id) => format!("{} ({id}) leaves the network", named(view, id)),
        Change::Rotate(new) => {
            let now = view.institution(proposer).map(|leaf| leaf.institution);
            let changed: Vec<&str> = [
                (now.as_ref().map(|n| n.signing == new.signing), "signing"),
                (
                    now.as_ref().map(|n| n.governance == new.governance),
                    "governance",
                ),
                (now.as_ref().map(|n| n.sealing == new.sealing), "sealing"),
            ]
            .into_iter()
            .filter(|(same, _)| *same != Some(true))
            .map(|(_, name)| name)
            .collect();
            let (name, changed) = (named(view, proposer), changed.join(" and "));
            format!("{name} ({proposer}) replaces its {changed} key")
        }
        Change::SetValidator(SetValidator { institution, key }) => {
            let name = named(view, institution);
            match key {
                Some(claim) => {
                    let key = claim.key;
                    format!("{name} ({institution}) validates under the key {key}")
                }
                None => format!("{name} ({institution}) validates no longer"),
            }
        }
        Change::SetParameters(new) => {
            let now = fields(&view.parameters());
            let changed: Vec<String> = fields(new)
                .into_iter()
                .filter(|(name, value)| now.get(name) != Some(value))
                .map(|(name, value)| format!("{name} becomes {value}"))
                .collect();
            changed.join(", ")
        }
    }
}

fn fields(parameters: &Parameters) -> BTreeMap<&'static str, u64> {
    let Parameters {
        epoch_blocks,
        batch_interval_ms,
        disclosure_period_ms,
        subject_release_ms,
        max_validity_heights,
        recover_delay_ms,
    } = *parameters;
    BTreeMap::from([
        ("epoch_blocks", epoch_blocks),
        ("batch_interval_ms", batch_interval_ms),
        ("disclosure_period_ms", disclosure_period_ms),
        ("subject_release_ms", subject_release_ms),
        ("max_validity_heights", max_validity_heights),
        ("recover_delay_ms", recover_delay_ms),
    ])
}

fn named(view: &View, id: &InstitutionId) -> String {
    let leaf = view.institution(id);
    leaf.map_or_else(|| "a stranger".to_owned(), |leaf| leaf.institution.name)
}
