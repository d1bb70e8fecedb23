//! Release proofs: which data set a study released under which certificate, checkable offline.
//!
//! The chain: release and study -> their leaves in the state -> header -> certificate -> epoch boundaries ->
//! genesis. The leaves hold digests; whoever has the data set and its certificate compares.

use crate::finality::{Anchor, BrokenLink, CertificateCheck, Finality};
use crate::genesis::Genesis;
use crate::state::{ReleaseLeaf, StateKey, StateProof, StudyLeaf};
use codec::{Digest, InstitutionId, StudyId, record};

record! {
    /// Proof that a data set was released.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ReleaseProof {
        /// The study.
        1 => pub study: StudyId,
        /// Which of its releases, from 0.
        2 => pub number: u64,
        /// The study's leaf.
        3 => pub study_leaf: StudyLeaf,
        /// Proof of that in the state of the first header of `finality`.
        4 => pub study_proof: StateProof,
        /// The release's leaf.
        5 => pub release_leaf: ReleaseLeaf,
        /// Proof of that in the same state.
        6 => pub release_proof: StateProof,
        /// Proof that the header is final.
        7 => pub finality: Finality,
    }
}

/// What a verified release proof says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// The study.
    pub study: StudyId,
    /// Which of its releases, from 0.
    pub number: u64,
    /// Who runs the study and released.
    pub institution: InstitutionId,
    /// Digest of the study's policy.
    pub policy: Digest,
    /// Digest of the released content.
    pub content: Digest,
    /// Digest of the release certificate.
    pub certificate: Digest,
    /// Height of the block that released it.
    pub height: u64,
    /// Proved as of a block of this time, Unix milliseconds.
    pub time_ms: u64,
}

/// Checks a release proof against a genesis.
///
/// # Errors
/// The first broken link.
pub fn verify(
    proof: &ReleaseProof,
    genesis: &Genesis,
    check: &dyn CertificateCheck,
) -> Result<Released, BrokenLink> {
    let header = proof.finality.verify(&Anchor::genesis(genesis), check)?;
    let places = [
        (
            StateKey::Study(proof.study),
            codec::to_vec(&proof.study_leaf),
            &proof.study_proof,
        ),
        (
            StateKey::Release((proof.study, proof.number)),
            codec::to_vec(&proof.release_leaf),
            &proof.release_proof,
        ),
    ];
    for (key, value, path) in places {
        path.verify(&header.state_root, &key, Some(&value))
            .map_err(|_| BrokenLink::Release)?;
    }
    Ok(Released {
        study: proof.study,
        number: proof.number,
        institution: proof.study_leaf.institution,
        policy: proof.study_leaf.policy,
        content: proof.release_leaf.content,
        certificate: proof.release_leaf.certificate,
        height: proof.release_leaf.height,
        time_ms: header.time_ms,
    })
}

impl ReleaseProof {
    /// Reads a proof; every proof has exactly one encoding.
    ///
    /// # Errors
    /// [`BrokenLink::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BrokenLink> {
        codec::from_slice(bytes).map_err(|_| BrokenLink::Malformed)
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::to_vec(self)
    }
}
