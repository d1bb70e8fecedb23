//! COSE_Sign1 with Ed25519 (RFC 9052 section 4.2, RFC 9053 section 2.2), one form only.
//!
//! `18([protected: bstr, {}, payload: bstr, signature: bstr .size 64])`: tagged, payload attached,
//! empty unprotected header, and a protected header that is a deterministic CBOR map with `alg`
//! (label 1) = EdDSA (-8). [`protected_header`] makes one that also carries a value of the
//! application under the text label `"ithaca"`, which leaves the registered labels alone. Another
//! COSE implementation verifies the signatures; of the forms another one might make, only this one
//! is accepted.

use crate::{BadSignature, PublicKey, Signature, SigningKey};
use codec::{Decode, Encode, Error, Reader, Value, Writer};

/// COSE header label of the algorithm.
pub const HEADER_ALG: u64 = 1;
/// COSE algorithm EdDSA.
pub const ALG_EDDSA: i64 = -8;
/// COSE header label of the application's own value.
pub const HEADER_APPLICATION: &str = "ithaca";

const TAG_SIGN1: u64 = 18;

/// A signed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign1 {
    /// The encoded protected header.
    pub protected: Vec<u8>,
    /// The signed content.
    pub payload: Vec<u8>,
    /// The signature over both and the external data.
    pub signature: Signature,
}

impl Sign1 {
    /// Signs `payload` under `protected` (see [`protected_header`]) and data that both sides know.
    pub fn sign(
        protected: Vec<u8>,
        payload: Vec<u8>,
        external_aad: &[u8],
        key: &SigningKey,
    ) -> Self {
        let signature = key.sign(&sig_structure(&protected, external_aad, &payload));
        Self {
            protected,
            payload,
            signature,
        }
    }

    /// Verifies the signature under ZIP-215 rules.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, external_aad: &[u8], key: &PublicKey) -> Result<(), BadSignature> {
        key.verify(&self.to_be_signed(external_aad), &self.signature)
    }

    /// The bytes that the signature covers (`Sig_structure`), for batch verification.
    pub fn to_be_signed(&self, external_aad: &[u8]) -> Vec<u8> {
        sig_structure(&self.protected, external_aad, &self.payload)
    }

    /// The encoded message.
    pub fn encode(&self) -> Vec<u8> {
        let mut w =
            Writer::with_capacity(self.protected.len() + self.payload.len() + Signature::LEN + 16);
        Encode::encode(self, &mut w);
        w.into_vec()
    }

    /// Reads a message and refuses every other form or encoding. Verifies nothing.
    ///
    /// # Errors
    /// [`Error`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        codec::from_slice(bytes)
    }
}

impl Encode for Sign1 {
    fn encode(&self, w: &mut Writer) {
        w.tag(TAG_SIGN1);
        w.array(4);
        w.bytes(&self.protected);
        w.map(0);
        w.bytes(&self.payload);
        self.signature.encode(w);
    }
}

impl Decode for Sign1 {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        if r.tag()? != TAG_SIGN1 {
            return Err(Error::Invalid("not a COSE_Sign1 message"));
        }
        r.array_exact(4)?;
        let protected = r.bytes()?;
        check_protected(protected)?;
        if r.map()? != 0 {
            return Err(Error::Invalid("the unprotected header is not empty"));
        }
        Ok(Self {
            protected: protected.to_vec(),
            payload: r.bytes()?.to_vec(),
            signature: Signature::decode(r)?,
        })
    }
}

/// The protected header `{1: -8, "ithaca": application}`.
pub fn protected_header<T: Encode + ?Sized>(application: &T) -> Vec<u8> {
    let mut w = Writer::new();
    w.map(2);
    w.uint(HEADER_ALG);
    w.int(ALG_EDDSA);
    w.text(HEADER_APPLICATION);
    application.encode(&mut w);
    w.into_vec()
}

/// The application's value in a header that [`protected_header`] made; every other header is
/// refused.
///
/// # Errors
/// [`Error`].
pub fn protected_application<T: Encode + Decode>(protected: &[u8]) -> Result<T, Error> {
    let mut r = Reader::new(protected);
    if r.map()? != 2 || r.uint()? != HEADER_ALG || r.int()? != ALG_EDDSA {
        return Err(Error::Invalid("the protected header is not EdDSA's"));
    }
    if r.text()? != HEADER_APPLICATION {
        return Err(Error::Invalid("the protected header has another label"));
    }
    let application = T::decode(&mut r)?;
    r.finish()?;
    if protected_header(&application) == protected {
        Ok(application)
    } else {
        Err(Error::NotCanonical)
    }
}

/// A deterministic map whose first key is `alg` = EdDSA.
fn check_protected(protected: &[u8]) -> Result<(), Error> {
    let not_eddsa = Error::Invalid("the protected header is not EdDSA's");
    let Value::Map(pairs) = codec::from_slice(protected)? else {
        return Err(not_eddsa);
    };
    let alg = Value::Negative(ALG_EDDSA.unsigned_abs() - 1);
    if pairs.first() == Some(&(Value::Unsigned(HEADER_ALG), alg)) {
        Ok(())
    } else {
        Err(not_eddsa)
    }
}

fn sig_structure(protected: &[u8], external_aad: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut w = Writer::with_capacity(protected.len() + external_aad.len() + payload.len() + 40);
    w.array(4);
    w.text("Signature1");
    w.bytes(protected);
    w.bytes(external_aad);
    w.bytes(payload);
    w.into_vec()
}
