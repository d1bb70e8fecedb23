//! A 256-bit symmetric key and what derives from it.

use crate::entropy::Entropy;
use crate::hash::{fixed, frame};
use aws_lc_rs::{hkdf, hmac};
use codec::{Decode, Digest, Domain, Encode, Error, Reader, Writer};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 32 secret bytes: a sealing key, a MAC key, or the seed of a key pair. Erased on drop.
///
/// One secret has one use; [`Secret::derive`] makes another for another. It can be encoded, so that
/// key tables can be sealed; the encoding is as secret and is the caller's to erase.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A random secret.
    pub fn generate(entropy: &mut (impl Entropy + ?Sized)) -> Self {
        let mut secret = Self([0; 32]);
        entropy.fill(&mut secret.0);
        secret
    }

    /// The secret with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Another secret, for `domain` and `info` (HKDF-SHA256, RFC 5869).
    pub fn derive(&self, domain: Domain, info: &[u8]) -> Self {
        let mut framed = Vec::with_capacity(domain.tag().len() + info.len() + 16);
        frame(domain, &[info], |bytes| framed.extend_from_slice(bytes));
        let mut derived = Self([0; 32]);
        let filled = hkdf::Salt::none(hkdf::HKDF_SHA256)
            .extract(&self.0)
            .expand(&[&framed], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut derived.0));
        match filled {
            Ok(()) => derived,
            Err(_) => unreachable!("HKDF-SHA256 gives up to 8160 bytes and 32 were asked for"),
        }
    }

    /// The HMAC-SHA256 of `domain` and `parts`, each with its length.
    pub fn mac(&self, domain: Domain, parts: &[&[u8]]) -> Digest {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        frame(domain, parts, |bytes| context.update(bytes));
        Digest::new(fixed(context.sign().as_ref()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl PartialEq for Secret {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl Encode for Secret {
    fn encode(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }
}

impl Decode for Secret {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.bytes_exact().map(Self)
    }
}
