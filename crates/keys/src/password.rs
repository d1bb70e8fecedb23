//! Sealing under a passphrase: Argon2id (RFC 9106, version 0x13), then AES-256-GCM.
//!
//! The sealed form describes itself: a CBOR record with the cost parameters, a 32-byte salt and the
//! sealed bytes, which are bound to both. Opening refuses costs above the bounds, so that a crafted
//! file cannot exhaust the machine.

use crate::Zeroizing;
use crate::entropy::{Entropy, random};
use crate::hash::aad;
use crate::{Domain, SealError, Secret};
use argon2::{Algorithm, Argon2, Params, Version};
use codec::record;

/// Cost of deriving a key from a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordParams {
    /// Memory in KiB: 8 for each lane to 1 GiB.
    pub m_kib: u32,
    /// Passes, 1 to 64.
    pub t: u32,
    /// Lanes, 1 to 64.
    pub p: u32,
}

impl PasswordParams {
    /// For tests and simulations only: protects nothing.
    pub const INSECURE_FAST: Self = Self {
        m_kib: 8,
        t: 1,
        p: 1,
    };

    fn check(self) -> Result<Params, PasswordError> {
        if self.m_kib > 1 << 20 || self.t > 64 || self.p > 64 {
            return Err(PasswordError::Params);
        }
        Params::new(self.m_kib, self.t, self.p, Some(32)).map_err(|_| PasswordError::Params)
    }
}

impl Default for PasswordParams {
    /// The second recommended option of RFC 9106 section 4: 64 MiB, three passes, four lanes.
    fn default() -> Self {
        Self {
            m_kib: 64 * 1024,
            t: 3,
            p: 4,
        }
    }
}

/// Why a passphrase does not seal or open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Not what [`password_seal`] makes.
    #[error("the bytes are not sealed under a passphrase")]
    Malformed,
    /// Cost parameters outside the bounds.
    #[error("the cost parameters are out of bounds")]
    Params,
    /// A wrong passphrase, or altered bytes.
    #[error("the passphrase is wrong, or the sealed bytes were altered")]
    Refused,
}

record! {
    /// The sealed form.
    struct Sealed {
        // 1: Argon2id version 0x13 and AES-256-GCM.
        1 => scheme: u64,
        2 => m_kib: u32,
        3 => t: u32,
        4 => p: u32,
        5 => salt: [u8; 32],
        6 => sealed: Vec<u8>,
    }
}

const SCHEME: u64 = 1;

/// Seals `plaintext` under a passphrase.
///
/// # Errors
/// [`PasswordError::Params`].
pub fn password_seal(
    passphrase: &[u8],
    params: PasswordParams,
    plaintext: &[u8],
    entropy: &mut (impl Entropy + ?Sized),
) -> Result<Vec<u8>, PasswordError> {
    let salt = random(entropy);
    let key = stretch(passphrase, params, &salt)?;
    Ok(codec::to_vec(&Sealed {
        scheme: SCHEME,
        m_kib: params.m_kib,
        t: params.t,
        p: params.p,
        salt,
        sealed: crate::seal(&key, &bound(params, &salt), plaintext, entropy),
    }))
}

/// Opens what [`password_seal`] made under the same passphrase.
///
/// # Errors
/// [`PasswordError`].
pub fn password_open(
    passphrase: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, PasswordError> {
    let sealed: Sealed = codec::from_slice(sealed).map_err(|_| PasswordError::Malformed)?;
    if sealed.scheme != SCHEME {
        return Err(PasswordError::Malformed);
    }
    let params = PasswordParams {
        m_kib: sealed.m_kib,
        t: sealed.t,
        p: sealed.p,
    };
    let key = stretch(passphrase, params, &sealed.salt)?;
    crate::open(&key, &bound(params, &sealed.salt), &sealed.sealed).map_err(|e| match e {
        SealError::Refused => PasswordError::Refused,
        SealError::UnknownSuite(_) | SealError::Truncated => PasswordError::Malformed,
    })
}

fn stretch(
    passphrase: &[u8],
    params: PasswordParams,
    salt: &[u8; 32],
) -> Result<Secret, PasswordError> {
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.check()?)
        .hash_password_into(passphrase, salt, key.as_mut_slice())
        .map_err(|_| PasswordError::Params)?;
    Ok(Secret::from_bytes(*key))
}

fn bound(params: PasswordParams, salt: &[u8; 32]) -> Vec<u8> {
    aad(
        Domain::PasswordSeal,
        &[
            &SCHEME.to_be_bytes(),
            &params.m_kib.to_be_bytes(),
            &params.t.to_be_bytes(),
            &params.p.to_be_bytes(),
            salt,
        ],
    )
}
