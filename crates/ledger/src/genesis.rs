//! The start of a network: founding institutions, validators, parameters.
//!
//! The network id is the digest of the encoded [`Genesis`]; every entry, header and proof names it.
//! A [`SignedGenesis`] adds a signature of every founder. A verifier needs only the [`Genesis`].
//!
//! It does not build the first state; [`crate::state::State::genesis`] does.

use crate::entry::KeyId;
use codec::{Digest, Domain, InstitutionId, NetworkId, codes, record};
use keys::{HybridPublicKey, PqPublicKey, PublicKey, Signature, SigningKey};
use std::collections::{BTreeMap, BTreeSet};

/// Most bytes of an institution's name.
pub const NAME_MAX_BYTES: usize = 128;

/// Most heights that an entry's last valid height may lie ahead.
pub const VALIDITY_LIMIT_HEIGHTS: u64 = 10_000;

record! {
    /// The document that starts a network.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Genesis {
        /// Founders, ascending by id.
        1 => pub institutions: Vec<Institution>,
        /// Validators of epoch 0.
        2 => pub validators: Validators,
        /// Parameters, until governance changes them.
        3 => pub parameters: Parameters,
        /// Time of block 0, in Unix milliseconds.
        4 => pub time_ms: u64,
        /// Randomness that makes the network id unique.
        5 => pub nonce: [u8; 32],
    }
}

record! {
    /// A member of the network and its public keys.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Institution {
        /// Random identifier.
        1 => pub id: InstitutionId,
        /// Name for people, at most [`NAME_MAX_BYTES`].
        2 => pub name: String,
        /// What it is.
        3 => pub kind: Kind,
        /// Signs entries.
        4 => pub signing: PublicKey,
        /// Signs governance beside `signing`.
        5 => pub governance: PqPublicKey,
        /// Seals answers to this institution.
        6 => pub sealing: HybridPublicKey,
    }
}

codes! {
    /// What an institution is.
    pub enum Kind {
        /// Hospital or clinic.
        1 => Hospital = "hospital",
        /// Laboratory.
        2 => Laboratory = "laboratory",
        /// Research institute.
        3 => ResearchInstitute = "research-institute",
        /// Patient organisation.
        4 => PatientOrganisation = "patient-organisation",
        /// Network operator: holds no data and less than a third of votes and validators.
        5 => Operator = "operator",
    }
}

record! {
    /// Rules of the network that governance may change, except where noted.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Parameters {
        /// Blocks in an epoch; fixed by the genesis.
        1 => pub epoch_blocks: u64,
        /// Least time between a custodian's record batches.
        2 => pub batch_interval_ms: u64,
        /// Length of a disclosure period; fixed by the genesis.
        3 => pub disclosure_period_ms: u64,
        /// Least time between groups of subject entries.
        4 => pub subject_release_ms: u64,
        /// Most heights that an entry's last valid height may lie ahead.
        5 => pub max_validity_heights: u64,
        /// Time before a recovery of a subject takes effect.
        6 => pub recover_delay_ms: u64,
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            epoch_blocks: 1_000,
            batch_interval_ms: 1_000,
            disclosure_period_ms: 60_000,
            subject_release_ms: 2_000,
            max_validity_heights: VALIDITY_LIMIT_HEIGHTS,
            recover_delay_ms: 7 * 24 * 60 * 60 * 1_000,
        }
    }
}

impl Parameters {
    /// Whether the values are within their bounds.
    ///
    /// # Errors
    /// [`GenesisError::Parameters`] names the first that is not.
    pub fn check(&self) -> Result<(), GenesisError> {
        let fault = if self.epoch_blocks < 2 {
            "epoch_blocks is below 2"
        } else if self.disclosure_period_ms == 0 {
            "disclosure_period_ms is 0"
        } else if self.max_validity_heights == 0
            || self.max_validity_heights > VALIDITY_LIMIT_HEIGHTS
        {
            "max_validity_heights is not within 1 and 10,000"
        } else {
            return Ok(());
        };
        Err(GenesisError::Parameters(fault))
    }

    /// The epoch of a height.
    pub fn epoch(&self, height: u64) -> u64 {
        height / self.epoch_blocks.max(1)
    }

    /// Whether a height is the first of its epoch.
    pub fn is_epoch_first(&self, height: u64) -> bool {
        height.is_multiple_of(self.epoch_blocks.max(1))
    }

    /// Whether a height is the last of its epoch.
    pub fn is_epoch_last(&self, height: u64) -> bool {
        height
            .checked_add(1)
            .is_some_and(|next| self.is_epoch_first(next))
    }

    /// Number of the disclosure period that a time lies in.
    pub fn period_at(&self, time_ms: u64) -> u64 {
        time_ms / self.disclosure_period_ms.max(1)
    }
}

/// Who validates: each institution's key in the consensus engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators(BTreeMap<InstitutionId, PublicKey>);

impl Validators {
    /// These validators.
    pub fn new(validators: BTreeMap<InstitutionId, PublicKey>) -> Self {
        Self(validators)
    }

    /// Validators by institution.
    pub fn by_institution(&self) -> &BTreeMap<InstitutionId, PublicKey> {
        &self.0
    }

    /// Their keys, ascending by bytes.
    pub fn keys(&self) -> Vec<PublicKey> {
        let mut keys: Vec<_> = self.0.values().copied().collect();
        keys.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        keys
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The digest that the last header of the epoch before names.
    pub fn digest(&self) -> Digest {
        keys::digest(Domain::ValidatorSet, &[&codec::to_vec(self)])
    }

    pub(crate) fn with(&self, institution: InstitutionId, key: Option<PublicKey>) -> Self {
        let mut validators = self.0.clone();
        match key {
            Some(key) => validators.insert(institution, key),
            None => validators.remove(&institution),
        };
        Self(validators)
    }

    /// Whether no two institutions share a key.
    pub(crate) fn keys_are_distinct(&self) -> bool {
        let distinct: BTreeSet<_> = self.0.values().map(|key| *key.as_bytes()).collect();
        distinct.len() == self.0.len()
    }
}

impl codec::Encode for Validators {
    fn encode(&self, w: &mut codec::Writer) {
        self.0.encode(w);
    }
}

impl codec::Decode for Validators {
    fn decode(r: &mut codec::Reader<'_>) -> Result<Self, codec::Error> {
        BTreeMap::decode(r).map(Self)
    }
}

impl Genesis {
    /// The digest of this document.
    pub fn network_id(&self) -> NetworkId {
        let digest = keys::digest(Domain::NetworkId, &[&codec::to_vec(self)]);
        NetworkId::new(digest.into_bytes())
    }

    /// A founder.
    pub fn institution(&self, id: &InstitutionId) -> Option<&Institution> {
        self.institutions.iter().find(|i| i.id == *id)
    }

    /// Whether this document can start a network.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn check(&self) -> Result<(), GenesisError> {
        self.parameters.check()?;
        if !self.institutions.is_sorted_by(|a, b| a.id < b.id) {
            return Err(GenesisError::Order);
        }
        let mut signing = BTreeSet::new();
        for institution in &self.institutions {
            if !name_is_valid(&institution.name) {
                return Err(GenesisError::Name(institution.id));
            }
            if !institution.signing.is_point() {
                return Err(GenesisError::Key(institution.id));
            }
            if !signing.insert(KeyId::of(&institution.signing)) {
                return Err(GenesisError::SharedKey(institution.id));
            }
        }
        if self.validators.is_empty() {
            return Err(GenesisError::NoValidator);
        }
        let founder = |id: &InstitutionId| self.institution(id).ok_or(GenesisError::Founder(*id));
        let mut validator_kinds = Vec::new();
        for id in self.validators.by_institution().keys() {
            validator_kinds.push(founder(id)?.kind);
        }
        for (id, key) in self.validators.by_institution() {
            if !key.is_point() {
                return Err(GenesisError::Key(*id));
            }
        }
        if !self.validators.keys_are_distinct() {
            return Err(GenesisError::SharedValidatorKey);
        }
        let founder_kinds = self.institutions.iter().map(|i| i.kind);
        if !operators_are_few(founder_kinds) || !operators_are_few(validator_kinds) {
            return Err(GenesisError::Operators);
        }
        Ok(())
    }

    /// Signs as a founder.
    pub fn sign(&self, key: &SigningKey) -> Signature {
        key.sign(founding_message(&self.network_id()).as_bytes())
    }
}

record! {
    /// A genesis with the signature of every founder.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SignedGenesis {
        /// The document.
        1 => pub genesis: Genesis,
        /// One signature of each founder ([`Genesis::sign`]).
        2 => pub signatures: BTreeMap<InstitutionId, Signature>,
    }
}

impl SignedGenesis {
    /// Checks the document and that every founder, and nobody else, signed it.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn verify(&self) -> Result<(), GenesisError> {
        self.genesis.check()?;
        let message = founding_message(&self.genesis.network_id());
        for founder in &self.genesis.institutions {
            self.signatures
                .get(&founder.id)
                .and_then(|signature| founder.signing.verify(message.as_bytes(), signature).ok())
                .ok_or(GenesisError::Signature(founder.id))?;
        }
        match self
            .signatures
            .keys()
            .find(|id| self.genesis.institution(id).is_none())
        {
            Some(stranger) => Err(GenesisError::Founder(*stranger)),
            None => Ok(()),
        }
    }
}

/// Why a genesis cannot start a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// A parameter is out of its bounds.
    #[error("a parameter is out of bounds: {0}")]
    Parameters(&'static str),
    /// Founders are not ascending by id.
    #[error("the founders are not in ascending order of their ids, or one is repeated")]
    Order,
    /// A founder's name is empty or too long.
    #[error("the name of institution {0} is empty or longer than 128 bytes")]
    Name(InstitutionId),
    /// A key that no signature verifies under.
    #[error("a key of institution {0} is not an Ed25519 public key")]
    Key(InstitutionId),
    /// Two founders share a signing key.
    #[error("institution {0} shares its signing key with another")]
    SharedKey(InstitutionId),
    /// Two validators share a key.
    #[error("two validators share a key")]
    SharedValidatorKey,
    /// No validator.
    #[error("there is no validator")]
    NoValidator,
    /// A validator or signer is not a founder.
    #[error("institution {0} is not a founder")]
    Founder(InstitutionId),
    /// Operators hold too much.
    #[error("operators hold a third or more of the votes or of the validators")]
    Operators,
    /// The first state cannot be built, which is a fault of this program.
    #[error("the first state cannot be built")]
    State,
    /// A founder's signature is missing or wrong.
    #[error("the signature of founder {0} is missing or wrong")]
    Signature(InstitutionId),
}

pub(crate) fn name_is_valid(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_MAX_BYTES
}

/// Whether operators are fewer than a third: of the votes, or of the validators.
pub fn operators_are_few(kinds: impl IntoIterator<Item = Kind>) -> bool {
    let (mut operators, mut all) = (0_usize, 0_usize);
    for kind in kinds {
        all += 1;
        operators += usize::from(kind == Kind::Operator);
    }
    operators * 3 < all
}

fn founding_message(network: &NetworkId) -> Digest {
    keys::digest(Domain::GenesisSignature, &[network.as_bytes()])
}
