//! Sealing to an institution: HPKE base mode (RFC 9180) with the post-quantum hybrid KEM X-Wing
//! (ML-KEM-768 with X25519, KEM 0x647a, draft-ietf-hpke-pq), HKDF-SHA256 and AES-256-GCM.
//!
//! Sealed form: suite byte 2, encapsulated key of 1120 bytes, ciphertext, tag of 16 bytes. It stays
//! secret while either X25519 or ML-KEM-768 holds. Base mode says nothing about the sender: what is
//! sealed carries a signature of its own where that matters.

use crate::Zeroizing;
use crate::entropy::{Entropy, Rng};
use crate::hash::digest;
use crate::seal::{SUITE_HPKE_XWING, SealError, suite_body};
use crate::{Malformed, Secret};
use codec::{Decode, Digest, Domain, Encode, Error, Reader, Writer, hex};
use hpke::aead::{AeadTag, AesGcm256};
use hpke::inout::InOutBuf;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use std::fmt;

/// Bytes of an X-Wing public key.
pub const HYBRID_PUBLIC_KEY_LEN: usize = 1216;
/// Bytes that [`hybrid_seal`] adds.
pub const HYBRID_OVERHEAD: usize = HEAD_LEN + TAG_LEN;

const ENCAPSULATED_LEN: usize = 1120;
const HEAD_LEN: usize = 1 + ENCAPSULATED_LEN;
const TAG_LEN: usize = 16;

type PrivateKey = <XWing as Kem>::PrivateKey;
type KemPublicKey = <XWing as Kem>::PublicKey;
type EncappedKey = <XWing as Kem>::EncappedKey;

/// An X-Wing private key.
#[derive(Clone)]
pub struct HybridSecretKey {
    private: PrivateKey,
    seed: Secret,
}

impl HybridSecretKey {
    /// A random key.
    pub fn generate(entropy: &mut (impl Entropy + ?Sized)) -> Self {
        Self::from_seed(Secret::generate(entropy))
    }

    /// The key of a seed, which is X-Wing's own 32-byte private key. Use a seed for one key only:
    /// [`Secret::derive`] makes more.
    pub fn from_seed(seed: Secret) -> Self {
        match PrivateKey::from_bytes(seed.expose()) {
            Ok(private) => Self { private, seed },
            Err(_) => unreachable!("every 32-byte string is an X-Wing private key"),
        }
    }

    /// The seed, for sealed storage.
    pub fn seed(&self) -> &Secret {
        &self.seed
    }

    /// The public key.
    pub fn public(&self) -> HybridPublicKey {
        HybridPublicKey(XWing::sk_to_pk(&self.private).to_bytes().to_vec())
    }
}

impl fmt::Debug for HybridSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// An X-Wing public key, checked to be one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HybridPublicKey(Vec<u8>);

impl HybridPublicKey {
    /// The key with these bytes.
    ///
    /// # Errors
    /// [`Malformed`] for another length or an ML-KEM part with coefficients out of range.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        KemPublicKey::from_bytes(bytes)
            .map(|_| Self(bytes.to_vec()))
            .map_err(|_| Malformed("an X-Wing public key"))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The digest that names this key on the ledger.
    pub fn id(&self) -> Digest {
        digest(Domain::KeyId, &[&self.0])
    }
}

impl fmt::Debug for HybridPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", hex::encode(self.0.get(..4).unwrap_or_default()))
    }
}

impl Encode for HybridPublicKey {
    fn encode(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }
}

impl Decode for HybridPublicKey {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        Self::from_bytes(r.bytes()?).map_err(|_| Error::Invalid("not an X-Wing public key"))
    }
}

/// Seals `plaintext` to a public key, bound to `info` (what it is for) and `aad` (where it belongs).
pub fn hybrid_seal(
    to: &HybridPublicKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    entropy: &mut (impl Entropy + ?Sized),
) -> Vec<u8> {
    seal_with(to, info, aad, plaintext, &mut |out: &mut [u8]| {
        entropy.fill(out)
    })
}

/// Not generic, so that it is compiled and optimised here whatever the caller's profile.
fn seal_with(
    to: &HybridPublicKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    let Ok(to) = KemPublicKey::from_bytes(&to.0) else {
        unreachable!("the key was checked when it was made");
    };
    let mut sealed = Vec::with_capacity(HYBRID_OVERHEAD + plaintext.len());
    sealed.push(SUITE_HPKE_XWING);
    sealed.resize(HEAD_LEN, 0);
    sealed.extend_from_slice(plaintext);
    let (head, body) = sealed.split_at_mut(HEAD_LEN);
    let outcome = hpke::single_shot_seal_inout_detached_with_rng::<AesGcm256, HkdfSha256, XWing>(
        &OpModeS::Base,
        &to,
        info,
        InOutBuf::from(body),
        aad,
        &mut Rng(entropy),
    );
    let Ok((encapsulated, tag)) = outcome else {
        unreachable!("HPKE seals everything below 64 GiB to a valid key");
    };
    encapsulated.write_exact(&mut head[1..]);
    sealed.extend_from_slice(&tag.to_bytes());
    sealed
}

/// Opens what [`hybrid_seal`] made to this key under the same `info` and `aad`.
///
/// # Errors
/// [`SealError`].
pub fn hybrid_open(
    key: &HybridSecretKey,
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let body = suite_body(sealed, SUITE_HPKE_XWING)?;
    let (encapsulated, rest) = body
        .split_at_checked(ENCAPSULATED_LEN)
        .ok_or(SealError::Truncated)?;
    let len = rest
        .len()
        .checked_sub(TAG_LEN)
        .ok_or(SealError::Truncated)?;
    let (ciphertext, tag) = rest.split_at(len);
    let encapsulated = EncappedKey::from_bytes(encapsulated).map_err(|_| SealError::Refused)?;
    let tag = AeadTag::<AesGcm256>::from_bytes(tag).map_err(|_| SealError::Refused)?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    hpke::single_shot_open_inout_detached::<AesGcm256, HkdfSha256, XWing>(
        &OpModeR::Base,
        &key.private,
        &encapsulated,
        info,
        InOutBuf::from(plaintext.as_mut_slice()),
        aad,
        &tag,
    )
    .map_err(|_| SealError::Refused)?;
    Ok(plaintext)
}
