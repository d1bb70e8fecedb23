//! Deterministic CBOR, identifiers, categories, domain separation and time.
//!
//! Every wire format, stored row, hash preimage and signed message of the system goes through
//! this crate. The dialect is RFC 8949 section 4.2.1 (core deterministic encoding) restricted
//! further: unsigned and negative integers of at most 64 bits, byte strings, UTF-8 text strings,
//! arrays, maps, tags, `false`, `true` and `null`. No floats, no `undefined`, no indefinite
//! lengths; heads are minimal; map keys are sorted bytewise by their encoding and unique.
//!
//! - Input: bytes of any origin. [`from_slice`] accepts exactly the byte strings that encoding the
//!   decoded value gives back; everything else is an [`Error`].
//! - Bounds: nesting of at most [`MAX_DEPTH`]; a length or count larger than the bytes that are
//!   left is refused before anything is allocated.
//! - Types: implement [`Encode`] and [`Decode`], or declare them with [`record!`] (integer-keyed
//!   map), [`choice!`] (`[tag, body]`) or [`codes!`] (named integer).
//!
//! It knows no cryptography, no entry types and no storage.

pub mod base64;
mod category;
mod domain;
mod error;
pub mod hex;
pub mod id;
mod impls;
mod macros;
mod reader;
pub mod time;
mod value;
mod writer;

pub use category::Category;
pub use domain::Domain;
pub use error::Error;
pub use id::{
    DeviceId, Digest, DisclosureId, EntryId, GrantId, InstitutionId, NetworkId, RecordId, StudyId,
    SubjectId,
};
pub use reader::{Fields, MAX_DEPTH, Reader};
pub use time::{Date, Millis};
pub use value::Value;
pub use writer::Writer;

#[doc(hidden)]
pub use macros::__assert_ascending;
#[doc(hidden)]
pub use serde as __serde;

/// A value with exactly one deterministic CBOR encoding.
pub trait Encode {
    /// Writes this value as exactly one CBOR item.
    fn encode(&self, w: &mut Writer);

    /// Whether a record leaves this field out (only `Option::None`).
    #[doc(hidden)]
    fn is_absent(&self) -> bool {
        false
    }

    /// Writes a sequence of this type: an array, or a byte string for `u8`.
    #[doc(hidden)]
    fn encode_slice(items: &[Self], w: &mut Writer)
    where
        Self: Sized,
    {
        w.array(items.len());
        for item in items {
            item.encode(w);
        }
    }
}

/// A value that can be read from its deterministic CBOR encoding.
pub trait Decode: Sized {
    /// Reads exactly one CBOR item.
    ///
    /// # Errors
    /// Anything that is not the deterministic encoding of a value of this type.
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error>;

    /// The value of a field that a record leaves out (only `Option`).
    #[doc(hidden)]
    fn absent() -> Option<Self> {
        None
    }

    /// Reads a sequence of this type: an array, or a byte string for `u8`.
    #[doc(hidden)]
    fn decode_vec(r: &mut Reader<'_>) -> Result<Vec<Self>, Error> {
        let count = r.array()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(Self::decode(r)?);
        }
        Ok(items)
    }

    /// Reads a sequence of exactly `N`.
    #[doc(hidden)]
    fn decode_array<const N: usize>(r: &mut Reader<'_>) -> Result<[Self; N], Error> {
        let at = r.position();
        Self::decode_vec(r)?
            .try_into()
            .map_err(|_| Error::WrongLength { at, expected: N })
    }
}

/// The deterministic encoding of `value`.
pub fn to_vec<T: Encode + ?Sized>(value: &T) -> Vec<u8> {
    let mut w = Writer::new();
    value.encode(&mut w);
    w.into_vec()
}

/// Decodes one value and refuses any byte string that is not exactly its encoding.
///
/// # Errors
/// Every [`Error`]; [`Error::Trailing`] for bytes after the value and [`Error::NotCanonical`] if
/// the value encodes to other bytes.
pub fn from_slice<T: Encode + Decode>(bytes: &[u8]) -> Result<T, Error> {
    let mut r = Reader::new(bytes);
    let value = T::decode(&mut r)?;
    r.finish()?;
    let mut w = Writer::with_capacity(bytes.len());
    value.encode(&mut w);
    if w.as_slice() == bytes {
        Ok(value)
    } else {
        Err(Error::NotCanonical)
    }
}
