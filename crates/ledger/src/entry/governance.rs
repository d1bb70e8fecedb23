//! Entries of the members about the network itself.
//!
//! A change passes at an epoch's end when at least two thirds of the members approve it; it takes
//! effect with the next epoch. Each entry carries an ML-DSA-44 signature beside the Ed25519 one,
//! and a change that brings new keys also carries signatures of those keys: an institution's over
//! the proposal, a validator's over its place, so that any member can propose it.

use super::{entry_id, inner_message, inner_sign, inner_verify, tags};
use crate::genesis::{Institution, Parameters};
use codec::{Digest, Domain, EntryId, InstitutionId, NetworkId, choice, record};
use keys::{
    BadSignature, HybridPublicKey, PqPublicKey, PqSignature, PqSigningKey, PublicKey, Signature,
    SigningKey,
};
use std::fmt;
use std::str::FromStr;

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
        /// Its key in the consensus engine, and that key's consent; none removes the member.
        2 => pub key: Option<ValidatorClaim>,
    }
}

record! {
    /// A validator's key, with its signature that it validates for one institution of one network.
    ///
    /// Whoever holds the key makes the claim, and any member can propose it: a restored node's new
    /// key is proposed by the others. It names no proposal and no time, so after its key was removed
    /// or replaced it can be proposed again; two thirds of the members decide on it as they did the
    /// first time.
    ///
    /// As text: 192 lowercase hexadecimal digits, the key's and then the signature's.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ValidatorClaim {
        /// The key in the consensus engine.
        1 => pub key: PublicKey,
        /// By that key, over the network, the institution and the key.
        2 => pub signature: Signature,
    }
}

/// A text that is not a [`ValidatorClaim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a validator's claim is 192 lowercase hexadecimal digits, the key and its signature, as its node shows it"
)]
pub struct MalformedClaim;

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

impl ValidatorClaim {
    /// The claim of this key to validate for an institution.
    pub fn sign(network: &NetworkId, institution: &InstitutionId, key: &SigningKey) -> Self {
        let public = key.public();
        Self {
            key: public,
            signature: key.sign(claim_message(network, institution, &public).as_bytes()),
        }
    }

    /// Checks that the key claims to validate for this institution in this network.
    ///
    /// # Errors
    /// [`BadSignature`], also if the claim is for another institution or another network.
    pub fn verify(
        &self,
        network: &NetworkId,
        institution: &InstitutionId,
    ) -> Result<(), BadSignature> {
        let message = claim_message(network, institution, &self.key);
        self.key.verify(message.as_bytes(), &self.signature)
    }
}

impl fmt::Display for ValidatorClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.key, self.signature)
    }
}

impl FromStr for ValidatorClaim {
    type Err = MalformedClaim;

    fn from_str(text: &str) -> Result<Self, MalformedClaim> {
        let (key, signature) = text
            .split_at_checked(PublicKey::LEN * 2)
            .ok_or(MalformedClaim)?;
        Ok(Self {
            key: key.parse().map_err(|_| MalformedClaim)?,
            signature: signature.parse().map_err(|_| MalformedClaim)?,
        })
    }
}

impl Change {
    /// The keys whose holder must sign the proposal too. A validator's key does not: it signed its
    /// [`ValidatorClaim`].
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

fn claim_message(network: &NetworkId, institution: &InstitutionId, key: &PublicKey) -> Digest {
    keys::digest(
        Domain::ValidatorClaim,
        &[network.as_bytes(), institution.as_bytes(), key.as_bytes()],
    )
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
