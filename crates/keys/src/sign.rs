//! Ed25519 signatures (RFC 8032), verified under ZIP-215 rules.
//!
//! ZIP-215 makes acceptance a function of the bytes alone, the same for single and batch
//! verification: S is below the group order, A and R decode as points (non-canonical encodings
//! included), and the cofactored equation holds. Every verification of the system goes through
//! here or through the consensus engine, which follows the same rules.

use crate::entropy::{Entropy, Rng};
use crate::hash::{digest, fixed};
use crate::{Malformed, Secret};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, VerificationAlgorithm as _};
use codec::{Decode, Digest, Domain, Encode, Error, Reader, Writer, hex};
use ed25519_consensus as zip215;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// An Ed25519 private key.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<Ed25519KeyPair>,
    seed: Secret,
}

impl SigningKey {
    /// A random key.
    pub fn generate(entropy: &mut (impl Entropy + ?Sized)) -> Self {
        Self::from_seed(Secret::generate(entropy))
    }

    /// The key of a seed. Use a seed for one key only: [`Secret::derive`] makes more.
    pub fn from_seed(seed: Secret) -> Self {
        match Ed25519KeyPair::from_seed_unchecked(seed.expose()) {
            Ok(pair) => Self {
                pair: Arc::new(pair),
                seed,
            },
            Err(_) => unreachable!("every 32-byte string is the seed of an Ed25519 key"),
        }
    }

    /// The seed, for the consensus engine and for sealed storage.
    pub fn seed(&self) -> &Secret {
        &self.seed
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(fixed(self.pair.public_key().as_ref()))
    }

    /// The signature of `message` (deterministic). The message carries its own domain.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(fixed(self.pair.sign(message).as_ref()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// An Ed25519 public key: 32 bytes, which need not decode as a point (then nothing verifies).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 64]);

/// A signature that does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// A batch of signatures of which one does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signature {index} of the batch does not verify")]
pub struct BadBatch {
    /// The first such signature.
    pub index: usize,
}

impl PublicKey {
    /// The digest that names this key on the ledger.
    pub fn id(&self) -> Digest {
        digest(Domain::KeyId, &[&self.0])
    }

    /// Whether the bytes decode as a point, without which nothing verifies.
    pub fn is_point(&self) -> bool {
        zip215::VerificationKey::try_from(self.0).is_ok()
    }

    /// Verifies a signature of `message` under ZIP-215 rules.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        // Nearly every signature that is met was made by an honest signer, and aws-lc checks those in half
        // the time. INVARIANT: its verdict counts only where it accepts. It asks for more than ZIP-215: that
        // R is the one encoding of [S]B - [k]A, with the same k and S below the group order, from which the
        // cofactored equation follows. What it refuses is judged by ZIP-215 alone.
        if ED25519.verify_sig(&self.0, message, &signature.0).is_ok() {
            return Ok(());
        }
        self.verify_zip_215(message, signature)
    }

    fn verify_zip_215(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        zip215::VerificationKey::try_from(self.0)
            .and_then(|key| key.verify(&zip215::Signature::from(signature.0), message))
            .map_err(|_| BadSignature)
    }
}

/// Fewer cost less one by one.
const BATCH_MIN: usize = 8;

/// Verifies many signatures at about two thirds of the cost, with the same outcome as one by one.
///
/// # Errors
/// [`BadBatch`] with the first signature that does not verify.
pub fn verify_batch(
    items: &[(PublicKey, &[u8], Signature)],
    entropy: &mut (impl Entropy + ?Sized),
) -> Result<(), BadBatch> {
    verify_all(items, &mut |out: &mut [u8]| entropy.fill(out))
}

/// Not generic, so that it is compiled and optimised here whatever the caller's profile.
fn verify_all(
    items: &[(PublicKey, &[u8], Signature)],
    entropy: &mut dyn Entropy,
) -> Result<(), BadBatch> {
    if items.len() >= BATCH_MIN {
        let mut batch = zip215::batch::Verifier::new();
        for (key, message, signature) in items {
            let key = zip215::VerificationKeyBytes::from(key.0);
            batch.queue((key, zip215::Signature::from(signature.0), *message));
        }
        if batch.verify(Rng(entropy)).is_ok() {
            return Ok(());
        }
    }
    let bad = items
        .iter()
        .position(|(key, message, signature)| key.verify(message, signature).is_err());
    match bad {
        None => Ok(()),
        Some(index) => Err(BadBatch { index }),
    }
}

macro_rules! fixed_bytes {
    ($name:ident, $len:literal, $what:literal) => {
        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The value with these bytes.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = Malformed;

            fn try_from(bytes: &[u8]) -> Result<Self, Malformed> {
                bytes.try_into().map(Self).map_err(|_| Malformed($what))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&hex::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}…", hex::encode(self.0.get(..4).unwrap_or_default()))
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                hex::decode_exact(text)
                    .map(Self)
                    .map_err(|_| Malformed($what))
            }
        }

        impl Encode for $name {
            fn encode(&self, w: &mut Writer) {
                w.bytes(&self.0);
            }
        }

        impl Decode for $name {
            fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
                r.bytes_exact().map(Self)
            }
        }
    };
}
fixed_bytes!(PublicKey, 32, "an Ed25519 public key");
fixed_bytes!(Signature, 64, "an Ed25519 signature");
