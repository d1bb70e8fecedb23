//! Consent openings: what consent stood on a compartment at a block, or that there was none.
//!
//! The chain: compartment -> its leaf, or its absence, in the state -> header -> certificate ->
//! epoch boundaries -> genesis. The leaf holds a salted commitment to the complete consent state;
//! whoever opens it compares it with the commitment of the state that it was shown. The ledger does
//! not know consent states.

use crate::finality::{Anchor, BrokenLink, CertificateCheck, Finality};
use crate::genesis::Genesis;
use crate::state::{StateKey, StateProof, SubjectLeaf};
use codec::{InstitutionId, SubjectId, record};

record! {
    /// Proof of a compartment's leaf at a block, or of its absence.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ConsentOpening {
        /// Who holds the compartment.
        1 => pub custodian: InstitutionId,
        /// The compartment.
        2 => pub subject: SubjectId,
        /// Its leaf, if it has one.
        3 => pub leaf: Option<SubjectLeaf>,
        /// Proof of that in the state of the first header of `finality`.
        4 => pub proof: StateProof,
        /// Proof that the header is final.
        5 => pub finality: Finality,
    }
}

/// What a verified consent opening says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Who holds the compartment.
    pub custodian: InstitutionId,
    /// The compartment.
    pub subject: SubjectId,
    /// Its leaf; none if the compartment did not exist.
    pub leaf: Option<SubjectLeaf>,
    /// After the block of this height
    pub height: u64,
    /// and time, in Unix milliseconds.
    pub time_ms: u64,
}

/// Checks a consent opening against a genesis.
///
/// # Errors
/// The first broken link.
pub fn verify(
    opening: &ConsentOpening,
    genesis: &Genesis,
    check: &dyn CertificateCheck,
) -> Result<Opened, BrokenLink> {
    verify_from(opening, &Anchor::genesis(genesis), check)
}

/// Checks a consent opening against validators that are trusted already.
///
/// # Errors
/// The first broken link.
pub fn verify_from(
    opening: &ConsentOpening,
    anchor: &Anchor,
    check: &dyn CertificateCheck,
) -> Result<Opened, BrokenLink> {
    let header = opening.finality.verify(anchor, check)?;
    let at = StateKey::Subject((opening.custodian, opening.subject));
    let value = opening.leaf.as_ref().map(codec::to_vec);
    opening
        .proof
        .verify(&header.state_root, &at, value.as_deref())
        .map_err(|_| BrokenLink::State)?;
    Ok(Opened {
        custodian: opening.custodian,
        subject: opening.subject,
        leaf: opening.leaf.clone(),
        height: header.height,
        time_ms: header.time_ms,
    })
}

impl ConsentOpening {
    /// Reads an opening; every opening has exactly one encoding.
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
