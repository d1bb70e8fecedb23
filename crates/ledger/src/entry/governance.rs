//! Entries of the members about the network itself.
//!
//! A change passes at an epoch's end when at least two thirds of the members approve it; it takes
//! effect with the next epoch. Each entry carries an ML-DSA-44 signature beside the Ed25519 one,
//! and a change that brings new keys also carries signatures of those keys.

use super::{entry_id, inner_message, inner_sign, inner_verify, tags};
use crate::genesis::{Institution, Parameters};
use codec::{Domain, EntryId, InstitutionId, NetworkId, choice, record};
use keys::{
    HybridPublicKey, PqPublicKey, PqSignature, PqSigningKey, PublicKey, Signature, SigningKey,
};

record! {
    /// Proposes a change; counts as the proposer's approval. Its entry id names the proposal.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct InstitutionPropose {
        /// What is proposed.
        1 => pub terms: ProposeTerms,
        /// The proposer's ML-DSA signature ([`governance_sign`]).
        2 => pub governance_signature: PqSignature,
        /// Signatures of the keys that the change brings, if it does ([`candidate_sign`]).
        3 => pub candidate: Option<Candidate>,
    }
}

record! {
    /// A change and until when it may pass.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ProposeTerms {
        /// Who proposes.
        1 => pub institution: InstitutionId,
        /// The change.
        2 => pub change: Change,
        /// Last epoch at whose end it may pass.
        3 => pub expires_epoch: u64,
    }
}

choice! {
    /// What governance can change.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Change {
        /// A new member, or a retired one again with new keys.
        1 => Admit(Box<Institution>),
        /// A member leaves; it must not be a validator.
        2 => Retire(InstitutionId),
        /// The proposer's own keys change.
        3 => Rotate(Box<Rotation>),
        /// One validator is added, replaced or removed.
        4 => SetValidator(SetValidator),
        /// New parameters.
        5 => SetParameters(Parameters),
    }
}

record! {
    /// The keys of the proposing institution from then on; those that do not change are named again. All
    /// that sign, sign the proposal too.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Rotation {
        /// Signs entries.
        1 => pub signing: PublicKey,
        /// Signs governance.
        2 => pub governance: PqPublicKey,
        /// Seals answers.
        3 => pub sealing: HybridPublicKey,
    }
}

record! {
    /// A member's place among the validators.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SetValidator {
        /// The member.
        1 => pub institution: InstitutionId,
        /// Its key in the consensus engine; none removes it.
        2 => pub key: Option<PublicKey>,
    }
}

record! {
    /// Proof that the holder of new keys takes part.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Candidate {
        /// By the new Ed25519 key.
        1 => pub signature: Signature,
        /// By the new ML-DSA key.
        2 => pub governance_signature: PqSignature,
    }
}

record! {
    /// Approves or disapproves of a proposal; a later vote replaces an earlier one.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct InstitutionVote {
        /// The vote.
        1 => pub terms: VoteTerms,
        /// The voter's ML-DSA signature ([`governance_sign`]).
        2 => pub governance_signature: PqSignature,
    }
}

record! {
    /// A vote.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct VoteTerms {
        /// Who votes.
        1 => pub institution: InstitutionId,
        /// Entry id of the proposal.
        2 => pub proposal: EntryId,
        /// For or against.
        3 => pub approve: bool,
    }
}

impl ProposeTerms {
    /// The id of the entry with these terms, which names the proposal.
    pub fn id(&self, network: &NetworkId) -> EntryId {
        entry_id(network, tags::INSTITUTION_PROPOSE, self)
    }
}

impl VoteTerms {
    /// The id of the entry with these terms.
    pub fn id(&self, network: &NetworkId) -> EntryId {
        entry_id(network, tags::INSTITUTION_VOTE, self)
    }
}

impl Change {
    /// The keys whose holder must sign too.
    pub fn candidate_keys(&self) -> Option<(&PublicKey, &PqPublicKey)> {
        match self {
            Self::Admit(institution) => Some((&institution.signing, &institution.governance)),
            Self::Rotate(rotation) => Some((&rotation.signing, &rotation.governance)),
            Self::Retire(_) | Self::SetValidator(_) | Self::SetParameters(_) => None,
        }
    }
}

/// The ML-DSA signature of a governance entry with this id.
pub fn governance_sign(id: &EntryId, key: &PqSigningKey) -> PqSignature {
    key.sign(inner_message(Domain::GovernancePqSignature, id).as_bytes())
}

/// Both signatures of the holder of new keys over a proposal with this id.
pub fn candidate_sign(id: &EntryId, signing: &SigningKey, governance: &PqSigningKey) -> Candidate {
    Candidate {
        signature: inner_sign(Domain::Proposal, id, signing),
        governance_signature: governance_sign(id, governance),
    }
}

pub(crate) fn governance_verify(id: &EntryId, key: &PqPublicKey, signature: &PqSignature) -> bool {
    let message = inner_message(Domain::GovernancePqSignature, id);
    key.verify(message.as_bytes(), signature).is_ok()
}

pub(crate) fn candidate_verify(
    id: &EntryId,
    (signing, governance): (&PublicKey, &PqPublicKey),
    candidate: &Candidate,
) -> bool {
    inner_verify(Domain::Proposal, id, signing, &candidate.signature)
        && governance_verify(id, governance, &candidate.governance_signature)
}
