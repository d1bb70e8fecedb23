//! ML-DSA-44 signatures (FIPS 204, pure, empty context) for governance and cosignatures.
//!
//! Signing is hedged with randomness of the library itself, so that two signatures of one message
//! differ; nothing may depend on the bytes of a signature. The message carries its own domain.

use crate::hash::digest;
use crate::{Entropy, Malformed, Secret};
use aws_lc_rs::signature::{
    KeyPair, ML_DSA_44, ML_DSA_44_SIGNING, PqdsaKeyPair, UnparsedPublicKey,
};
use codec::{Decode, Digest, Domain, Encode, Error, Reader, Writer, hex};
use std::fmt;

/// Bytes of an ML-DSA-44 public key.
pub const PQ_PUBLIC_KEY_LEN: usize = 1312;
/// Bytes of an ML-DSA-44 signature.
pub const PQ_SIGNATURE_LEN: usize = 2420;

/// An ML-DSA-44 private key.
#[derive(Clone)]
pub struct PqSigningKey {
    pair: PqdsaKeyPair,
    seed: Secret,
}

impl PqSigningKey {
    /// A random key.
    pub fn generate(entropy: &mut (impl Entropy + ?Sized)) -> Self {
        Self::from_seed(Secret::generate(entropy))
    }

    /// The key of a seed. Use a seed for one key only: [`Secret::derive`] makes more.
    pub fn from_seed(seed: Secret) -> Self {
        match PqdsaKeyPair::from_seed(&ML_DSA_44_SIGNING, seed.expose()) {
            Ok(pair) => Self { pair, seed },
            Err(_) => unreachable!("every 32-byte string is the seed of an ML-DSA key"),
        }
    }

    /// The seed, for sealed storage.
    pub fn seed(&self) -> &Secret {
        &self.seed
    }

    /// The public key.
    pub fn public(&self) -> PqPublicKey {
        PqPublicKey(self.pair.public_key().as_ref().to_vec())
    }

    /// A signature of `message`.
    pub fn sign(&self, message: &[u8]) -> PqSignature {
        let mut signature = vec![0; PQ_SIGNATURE_LEN];
        match self.pair.sign(message, &mut signature) {
            Ok(_) => PqSignature(signature),
            Err(_) => unreachable!("signing fails only without memory or system randomness"),
        }
    }
}

impl fmt::Debug for PqSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// An ML-DSA-44 public key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PqPublicKey(Vec<u8>);

/// An ML-DSA-44 signature.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PqSignature(Vec<u8>);

impl PqPublicKey {
    /// The digest that names this key on the ledger.
    pub fn id(&self) -> Digest {
        digest(Domain::KeyId, &[&self.0])
    }

    /// Verifies a signature of `message`.
    ///
    /// # Errors
    /// [`crate::BadSignature`].
    pub fn verify(
        &self,
        message: &[u8],
        signature: &PqSignature,
    ) -> Result<(), crate::BadSignature> {
        UnparsedPublicKey::new(&ML_DSA_44, &self.0)
            .verify(message, &signature.0)
            .map_err(|_| crate::BadSignature)
    }
}

macro_rules! long_bytes {
    ($name:ident, $len:ident, $what:literal) => {
        impl $name {
            /// The value with these bytes.
            ///
            /// # Errors
            /// [`Malformed`] for another length.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
                if bytes.len() == $len {
                    Ok(Self(bytes.to_vec()))
                } else {
                    Err(Malformed($what))
                }
            }

            /// Its bytes.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}…", hex::encode(self.0.get(..4).unwrap_or_default()))
            }
        }

        impl Encode for $name {
            fn encode(&self, w: &mut Writer) {
                w.bytes(&self.0);
            }
        }

        impl Decode for $name {
            fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
                Self::from_bytes(r.bytes()?).map_err(|_| Error::Invalid(concat!("not ", $what)))
            }
        }
    };
}
long_bytes!(PqPublicKey, PQ_PUBLIC_KEY_LEN, "an ML-DSA-44 public key");
long_bytes!(PqSignature, PQ_SIGNATURE_LEN, "an ML-DSA-44 signature");
