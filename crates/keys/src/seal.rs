//! Sealing at rest: AES-256-GCM under a [`Secret`].
//!
//! Sealed form: suite byte 1, nonce of 12 bytes, ciphertext, tag of 16 bytes. The nonce is random:
//! a key seals at most 2^32 messages (NIST SP 800-38D section 8.3), which fresh data keys keep far
//! away. GCM does not commit to its key; nothing here opens one ciphertext under several keys.

use crate::Secret;
use crate::Zeroizing;
use crate::entropy::{Entropy, random};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// First byte of what [`seal`] makes: AES-256-GCM under a symmetric key.
pub const SUITE_AES_256_GCM: u8 = 1;
/// First byte of what [`crate::hybrid_seal`] makes: HPKE with X-Wing, HKDF-SHA256 and AES-256-GCM.
pub const SUITE_HPKE_XWING: u8 = 2;

/// Bytes that [`seal`] adds.
pub const SEAL_OVERHEAD: usize = HEAD_LEN + TAG_LEN;

const NONCE_LEN: usize = 12;
const HEAD_LEN: usize = 1 + NONCE_LEN;
const TAG_LEN: usize = 16;

/// Why sealed bytes do not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The first byte names no suite that opens here.
    #[error("the sealed bytes name the unknown suite {0}")]
    UnknownSuite(u8),
    /// Shorter than the suite's overhead.
    #[error("the sealed bytes are truncated")]
    Truncated,
    /// The key, the authenticated data or the bytes are not those of sealing.
    #[error("the sealed bytes do not open: wrong key, wrong place, or altered")]
    Refused,
}

/// Seals `plaintext` under `key`, bound to `aad`.
pub fn seal(
    key: &Secret,
    aad: &[u8],
    plaintext: &[u8],
    entropy: &mut (impl Entropy + ?Sized),
) -> Vec<u8> {
    seal_with(key, random(entropy), aad, plaintext)
}

/// Not generic, so that it is compiled and optimised here whatever the caller's profile.
fn seal_with(key: &Secret, nonce: [u8; NONCE_LEN], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut sealed = vec![0; SEAL_OVERHEAD + plaintext.len()];
    let (head, body) = sealed.split_at_mut(HEAD_LEN);
    let (ciphertext, tag) = body.split_at_mut(plaintext.len());
    head[0] = SUITE_AES_256_GCM;
    head[1..].copy_from_slice(&nonce);
    let outcome = cipher(key).seal_out_of_place_scatter(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(aad),
        plaintext,
        ciphertext,
        &[],
        tag,
    );
    match outcome {
        Ok(()) => sealed,
        Err(_) => unreachable!("AES-256-GCM seals everything below 64 GiB"),
    }
}

/// Opens what [`seal`] made under the same key and `aad`.
///
/// # Errors
/// [`SealError`].
pub fn open(key: &Secret, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let body = suite_body(sealed, SUITE_AES_256_GCM)?;
    let (nonce, rest) = body
        .split_at_checked(NONCE_LEN)
        .ok_or(SealError::Truncated)?;
    let len = rest
        .len()
        .checked_sub(TAG_LEN)
        .ok_or(SealError::Truncated)?;
    let (ciphertext, tag) = rest.split_at(len);
    let mut plaintext = Zeroizing::new(vec![0; len]);
    cipher(key)
        .open_separate_gather(
            Nonce::assume_unique_for_key(crate::hash::fixed(nonce)),
            Aad::from(aad),
            ciphertext,
            tag,
            &mut plaintext,
        )
        .map_err(|_| SealError::Refused)?;
    Ok(plaintext)
}

/// What follows the suite byte, if that names `suite`.
pub(crate) fn suite_body(sealed: &[u8], suite: u8) -> Result<&[u8], SealError> {
    match sealed.split_first() {
        None => Err(SealError::Truncated),
        Some((first, body)) if *first == suite => Ok(body),
        Some((other, _)) => Err(SealError::UnknownSuite(*other)),
    }
}

fn cipher(key: &Secret) -> LessSafeKey {
    match UnboundKey::new(&AES_256_GCM, key.expose()) {
        Ok(key) => LessSafeKey::new(key),
        Err(_) => unreachable!("every 32-byte string is an AES-256 key"),
    }
}
