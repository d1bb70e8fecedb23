//! How an institution asks to become a member: made at home, with its own keys, for one sponsor.

use crate::ambient::Ambient;
use crate::institution::{self, Card, Founding, InstitutionError};
use codec::id::{InstitutionId, NetworkId};
use codec::record;
use keys::{PasswordParams, PqSigningKey, PublicKey, SigningKey};
use ledger::entry::{Candidate, Change, ProposeTerms, candidate_sign};
use std::path::Path;
use vault::Keychain;

record! {
    /// A proposal to admit an institution, signed by its keys; the sponsor adds its own and submits it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Application {
        /// The network.
        1 => pub(crate) network: NetworkId,
        /// What the sponsor is to propose.
        2 => pub(crate) terms: ProposeTerms,
        /// By the applicant's keys.
        3 => pub(crate) candidate: Candidate,
        /// The key by which peers are to know its node.
        4 => pub(crate) node: PublicKey,
    }
}

impl Application {
    /// The application of the institution with these keys; none if they are malformed. `until_epoch` is the
    /// last epoch at whose end it may pass.
    pub fn sign(
        keychain: &Keychain,
        card: Card,
        network: NetworkId,
        sponsor: InstitutionId,
        until_epoch: u64,
    ) -> Option<Self> {
        let identity = keychain.identity();
        let terms = ProposeTerms {
            institution: sponsor,
            change: Change::Admit(Box::new(card.institution)),
            expires_epoch: until_epoch,
        };
        let id = terms.id(&network);
        let node = consensus::engine::public_key(&identity.validator_seed)?;
        let signing = SigningKey::from_seed(identity.signing_seed);
        let governance = PqSigningKey::from_seed(identity.pq_signing_seed);
        Some(Self {
            candidate: candidate_sign(&id, &signing, &governance),
            network,
            terms,
            node,
        })
    }

    /// Reads an application.
    ///
    /// # Errors
    /// [`InstitutionError::Application`].
    pub fn decode(bytes: &[u8]) -> Result<Self, InstitutionError> {
        codec::from_slice(bytes).map_err(|_| InstitutionError::Application)
    }

    /// Its bytes, to hand to the sponsor.
    pub fn encode(&self) -> Vec<u8> {
        codec::to_vec(self)
    }

    /// The network that it was made for.
    pub fn network(&self) -> NetworkId {
        self.network
    }

    /// The applicant's id and name.
    pub fn institution(&self) -> Option<(InstitutionId, &str)> {
        match &self.terms.change {
            Change::Admit(institution) => Some((institution.id, &institution.name)),
            _ => None,
        }
    }

    /// The key by which peers are to know the applicant's node.
    pub fn node(&self) -> PublicKey {
        self.node
    }
}

/// Who applies, and to whom.
#[derive(Debug, Clone, Copy)]
pub struct Applicant<'a> {
    /// What it is called and does.
    pub founding: &'a Founding,
    /// The network's genesis, from a source the applicant trusts.
    pub genesis: &'a [u8],
    /// The member that proposes it.
    pub sponsor: InstitutionId,
    /// The last epoch at whose end it may pass.
    pub until_epoch: u64,
}

/// Makes a data folder in an existing network, and the application that its sponsor submits.
///
/// # Errors
/// [`InstitutionError::Exists`] if there is one; [`InstitutionError::Genesis`].
pub fn apply(
    folder: &Path,
    applicant: &Applicant<'_>,
    passphrase: &[u8],
    params: PasswordParams,
    ambient: &Ambient,
) -> Result<Application, InstitutionError> {
    let Applicant {
        founding,
        genesis,
        sponsor,
        until_epoch,
    } = *applicant;
    let (keychain, card) =
        institution::prepare_keys(folder, founding, false, passphrase, params, ambient)?;
    let network = institution::adopt(folder, genesis)?;
    Application::sign(&keychain, card, network, sponsor, until_epoch)
        .ok_or(InstitutionError::Application)
}
