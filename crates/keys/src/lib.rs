//! Hashing, signatures, sealing and commitments: the only crate that names cryptographic
//! libraries (the consensus engine's certificates and TLS at the edges aside).
//!
//! | use | construction | library |
//! |---|---|---|
//! | digests, MACs, derivation | SHA-256, HMAC, HKDF | aws-lc-rs |
//! | signatures | Ed25519, verified under ZIP-215 rules | aws-lc-rs signs, ed25519-consensus verifies |
//! | governance, cosignatures | ML-DSA-44 (FIPS 204) | aws-lc-rs |
//! | signatures of web tokens (keys only) | ECDSA P-256 | aws-lc-rs |
//! | sealing at rest | AES-256-GCM | aws-lc-rs |
//! | sealing to an institution | HPKE base mode, X-Wing, HKDF-SHA256, AES-256-GCM | hpke |
//! | passphrases | Argon2id | argon2 |
//! | signed entries | COSE_Sign1 (RFC 9052) | here, over `codec` |
//! | trees | RFC 6962 | here |
//!
//! Randomness comes in as an [`Entropy`]; there is no clock and no I/O. Every digest, MAC, derived
//! key and piece of authenticated data is made under a [`codec::Domain`]; every ciphertext starts
//! with a byte that names its suite. Secrets are erased on drop and print as `<redacted>`.
//!
//! It knows no entries, no records and no storage.

pub mod commitment;
pub mod cose;
mod ecdsa;
mod entropy;
mod hash;
mod hybrid;
pub mod merkle;
mod password;
mod pq;
mod seal;
mod secret;
mod sign;
mod tree;
mod wiped;

pub use codec::{Digest, Domain};
pub use ecdsa::p256_generate;
pub use entropy::Entropy;
pub use hash::{Sha256Hasher, aad, constant_time_eq, digest, sha256};
pub use hybrid::{
    HYBRID_OVERHEAD, HYBRID_PUBLIC_KEY_LEN, HybridPublicKey, HybridSecretKey, hybrid_open,
    hybrid_seal,
};
pub use password::{PasswordError, PasswordParams, password_open, password_seal};
pub use pq::{PQ_PUBLIC_KEY_LEN, PQ_SIGNATURE_LEN, PqPublicKey, PqSignature, PqSigningKey};
pub use seal::{SEAL_OVERHEAD, SUITE_AES_256_GCM, SUITE_HPKE_XWING, SealError, open, seal};
pub use secret::Secret;
pub use sign::{BadBatch, BadSignature, PublicKey, Signature, SigningKey, verify_batch};
pub use wiped::{Wipe, Zeroizing};

/// Bytes that are not a key or signature of the expected kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not {0}")]
pub struct Malformed(pub(crate) &'static str);
