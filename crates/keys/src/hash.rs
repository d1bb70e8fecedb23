//! SHA-256, plain and domain separated.
//!
//! The domain-separated form is injective: `u64 length || tag`, then `u64 length || part` for each
//! part, lengths big-endian.

use aws_lc_rs::digest::{Context, SHA256, digest as one_shot};
use codec::{Digest, Domain};

/// SHA-256 over the plain concatenation of `parts`.
pub fn sha256(parts: &[&[u8]]) -> Digest {
    if let [whole] = parts {
        return finish(&one_shot(&SHA256, whole));
    }
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    finish(&context.finish())
}

/// SHA-256 over `domain` and `parts`, each with its length.
pub fn digest(domain: Domain, parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    frame(domain, parts, |bytes| context.update(bytes));
    finish(&context.finish())
}

/// `domain` and `parts`, each with its length: authenticated data for [`crate::seal`] and messages
/// to sign.
pub fn aad(domain: Domain, parts: &[&[u8]]) -> Vec<u8> {
    let len = parts.iter().map(|part| part.len() + 8).sum::<usize>() + domain.tag().len() + 8;
    let mut framed = Vec::with_capacity(len);
    frame(domain, parts, |bytes| framed.extend_from_slice(bytes));
    framed
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(a, b).into()
}

/// SHA-256 over bytes that arrive in pieces.
#[derive(Clone)]
pub struct Sha256Hasher(Context);

impl Sha256Hasher {
    /// A hasher of nothing yet.
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Hashes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything.
    pub fn finalize(self) -> [u8; 32] {
        finish(&self.0.finish()).into_bytes()
    }
}

impl Default for Sha256Hasher {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) fn frame(domain: Domain, parts: &[&[u8]], mut sink: impl FnMut(&[u8])) {
    for part in std::iter::once(&domain.tag()).chain(parts) {
        sink(&(part.len() as u64).to_be_bytes());
        sink(part);
    }
}

pub(crate) fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    // INVARIANT: callers pass the output of a function whose length is N.
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    out
}

fn finish(output: &aws_lc_rs::digest::Digest) -> Digest {
    Digest::new(fixed(output.as_ref()))
}
