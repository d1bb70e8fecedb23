//! Validator signatures: the engine's Ed25519 certificates and who may sign them in which epoch.
//!
//! A certificate is the engine's finalisation: the round (epoch, view), the parent view, the block
//! id and the Ed25519 signatures (ZIP-215) of at least `n - floor((n - 1) / 3)` of an epoch's `n`
//! validators over them, under a namespace that names the network. Two nodes may hold different
//! certificates for one block, and not every block has one of its own: compare block ids, never
//! certificates.
//!
//! Does not know where certificates are kept, nor how an epoch's validators are chosen.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use codec::{Domain, NetworkId};
use commonware_codec::{Copying, Decode, DecodeExt, Encode};
use commonware_consensus::simplex::scheme::ed25519;
use commonware_consensus::simplex::types::Finalization;
use commonware_consensus::types::Epoch;
use commonware_cryptography::certificate::{Provider, Scoped};
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_cryptography::transcript::{Transcript, Version};
use commonware_cryptography::{Signer, sha256};
use commonware_parallel::Sequential;
use commonware_utils::ordered::Set;
use rand_core::CryptoRng;

/// The engine's signing scheme.
pub(crate) type Scheme = ed25519::Scheme;

/// The most validators an epoch may have; bounds what a certificate may hold.
pub const MAX_VALIDATORS: u32 = 128;

/// Checks the engine's certificates offline.
///
/// Deterministic: the coefficients of the batch verification are derived from the certificate
/// itself, so that it needs no randomness.
#[derive(Clone, Debug)]
pub struct SimplexCertificates {
    namespace: Vec<u8>,
}

impl SimplexCertificates {
    /// A checker for the certificates of one network.
    #[must_use]
    pub fn new(network: &NetworkId) -> Self {
        Self {
            namespace: certificate_namespace(network),
        }
    }

    fn is_valid(
        &self,
        validators: &[keys::PublicKey],
        epoch: u64,
        block: &codec::Digest,
        certificate: &[u8],
    ) -> Option<()> {
        let validators = validator_set(validators)?;
        let signers = validators.len();
        let validator_bytes = validators.encode();
        let scheme = Scheme::verifier(&self.namespace, validators);
        let finalization =
            Finalization::<Scheme, sha256::Digest>::decode_cfg(Copying(certificate), &signers)
                .ok()?;
        if finalization.proposal.round.epoch().get() != epoch
            || finalization.proposal.payload != engine_digest(block)
        {
            return None;
        }
        let mut coefficients =
            derived_rng(&self.namespace, &[&validator_bytes, &finalization.encode()]);
        finalization
            .verify(&mut coefficients, &scheme, &Sequential)
            .then_some(())
    }
}

impl ledger::CertificateCheck for SimplexCertificates {
    fn check(
        &self,
        validators: &[keys::PublicKey],
        epoch: u64,
        header_digest: &codec::Digest,
        certificate: &[u8],
    ) -> bool {
        self.is_valid(validators, epoch, header_digest, certificate)
            .is_some()
    }
}

/// The schemes of the epochs this node has entered, for the engine to sign and check with.
#[derive(Clone)]
pub(crate) struct Schemes {
    namespace: Arc<Vec<u8>>,
    signer: Option<PrivateKey>,
    // INVARIANT: holds every epoch up to the latest entered; marshal stalls in silence on a gap.
    entered: Arc<RwLock<BTreeMap<Epoch, Arc<Scheme>>>>,
}

impl Schemes {
    /// No epochs yet. Without a signer the node only follows.
    pub(crate) fn new(network: &NetworkId, signer: Option<PrivateKey>) -> Self {
        Self {
            namespace: Arc::new(certificate_namespace(network)),
            signer,
            entered: Arc::default(),
        }
    }

    /// Registers an epoch's validators; the epoch's scheme.
    pub(crate) fn enter(&self, epoch: Epoch, validators: &Set<PublicKey>) -> Arc<Scheme> {
        let signing = self
            .signer
            .clone()
            .and_then(|key| Scheme::signer(&self.namespace, validators.clone(), key));
        let scheme = Arc::new(
            signing.unwrap_or_else(|| Scheme::verifier(&self.namespace, validators.clone())),
        );
        self.entered
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(epoch, scheme.clone());
        scheme
    }
}

impl Provider for Schemes {
    type Scope = Epoch;
    type Scheme = Scheme;

    fn scoped(&self, epoch: Epoch) -> Option<Scoped<Scheme>> {
        self.entered
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&epoch)
            .cloned()
            .map(Scoped::scheme)
    }
}

/// The engine's set of these validators; none if a key is malformed, occurs twice, or there are
/// none or too many.
pub(crate) fn validator_set(validators: &[keys::PublicKey]) -> Option<Set<PublicKey>> {
    let keys = validators
        .iter()
        .map(engine_key)
        .collect::<Option<Vec<_>>>()?;
    let count = u32::try_from(keys.len()).ok()?;
    if count == 0 || count > MAX_VALIDATORS {
        return None;
    }
    Set::try_from(keys).ok()
}

/// The engine's form of a public key; none if it is no point of the curve.
pub(crate) fn engine_key(key: &keys::PublicKey) -> Option<PublicKey> {
    PublicKey::decode(Copying(key.as_bytes())).ok()
}

/// Our form of the engine's public key.
pub(crate) fn ledger_key(key: &PublicKey) -> Option<keys::PublicKey> {
    let bytes: [u8; 32] = key.as_ref().try_into().ok()?;
    Some(keys::PublicKey::from_bytes(bytes))
}

/// The engine's key pair of a validator seed.
pub(crate) fn engine_signer(seed: &keys::Secret) -> Option<(PrivateKey, PublicKey)> {
    let private = PrivateKey::decode(Copying(seed.expose())).ok()?;
    let public = private.public_key();
    Some((private, public))
}

/// The engine's form of a block id.
pub(crate) fn engine_digest(digest: &codec::Digest) -> sha256::Digest {
    sha256::Digest::from(*digest.as_bytes())
}

/// The stored form of a certificate.
pub(crate) fn certificate_bytes(finalization: &Finalization<Scheme, sha256::Digest>) -> Bytes {
    finalization.encode()
}

/// Randomness derived from what is being verified, for batch verification without a source of
/// randomness: whoever made the bytes fixed them before the coefficients were known.
pub(crate) fn derived_rng(namespace: &[u8], parts: &[&[u8]]) -> impl CryptoRng + use<> {
    let mut transcript = Transcript::new(namespace, Version::V1);
    for part in parts {
        transcript.commit(*part);
    }
    transcript.noise(b"batch-verification")
}

fn certificate_namespace(network: &NetworkId) -> Vec<u8> {
    namespace(Domain::CertificateNamespace, network)
}

/// A namespace for one use on one network.
pub(crate) fn namespace(domain: Domain, network: &NetworkId) -> Vec<u8> {
    [domain.tag(), b"/", network.as_bytes()].concat()
}
