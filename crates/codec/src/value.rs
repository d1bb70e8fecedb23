//! Any item of the dialect, for diagnosis and for tests against other implementations.

use crate::{Decode, Encode, Error, Reader, Writer};

/// One CBOR item of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An unsigned integer.
    Unsigned(u64),
    /// The negative integer -1 - n.
    Negative(u64),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A text string.
    Text(String),
    /// An array.
    Array(Vec<Value>),
    /// A map in any order of its pairs; the encoding sorts them.
    Map(Vec<(Value, Value)>),
    /// A tagged item.
    Tag(u64, Box<Value>),
    /// `false` or `true`.
    Bool(bool),
    /// `null`.
    Null,
}

impl Encode for Value {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Unsigned(n) => w.uint(*n),
            Self::Negative(n) => w.negative(*n),
            Self::Bytes(bytes) => w.bytes(bytes),
            Self::Text(text) => w.text(text),
            Self::Array(items) => Self::encode_slice(items, w),
            Self::Map(pairs) => encode_sorted(pairs.iter().map(|(k, v)| (k, v)), w),
            Self::Tag(tag, item) => {
                w.tag(*tag);
                item.encode(w);
            }
            Self::Bool(value) => w.bool(*value),
            Self::Null => w.null(),
        }
    }
}

impl Decode for Value {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let at = r.position();
        match r.peek_major() {
            None => Err(Error::Truncated { at }),
            Some(0) => r.uint().map(Self::Unsigned),
            Some(1) => r.negative().map(Self::Negative),
            Some(2) => r.bytes().map(|b| Self::Bytes(b.to_vec())),
            Some(3) => r.text().map(|t| Self::Text(t.to_owned())),
            Some(4) => Self::decode_vec(r).map(Self::Array),
            Some(5) => decode_sorted(r).map(Self::Map),
            Some(6) => {
                let tag = r.tag()?;
                Ok(Self::Tag(tag, Box::new(Self::decode(r)?)))
            }
            Some(_) if r.peek_null() => r.null().map(|()| Self::Null),
            Some(_) => r.bool().map(Self::Bool),
        }
    }
}

/// Writes a map with its keys in the bytewise order of their encodings.
pub(crate) fn encode_sorted<'a, K, V>(
    pairs: impl ExactSizeIterator<Item = (&'a K, &'a V)>,
    w: &mut Writer,
) where
    K: Encode + 'a,
    V: Encode + 'a,
{
    w.map(pairs.len());
    let mut keyed: Vec<_> = pairs.map(|(k, v)| (crate::to_vec(k), v)).collect();
    keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (key, value) in keyed {
        w.raw(&key);
        value.encode(w);
    }
}

/// Reads a map whose keys are strictly ascending in the bytewise order of their encodings.
pub(crate) fn decode_sorted<K: Decode, V: Decode>(
    r: &mut Reader<'_>,
) -> Result<Vec<(K, V)>, Error> {
    let count = r.map()?;
    let mut pairs = Vec::new();
    let mut last: Option<&[u8]> = None;
    for _ in 0..count {
        let at = r.position();
        let key = K::decode(r)?;
        let encoded = r.since(at);
        if last.is_some_and(|last| last >= encoded) {
            return Err(Error::Unsorted { at });
        }
        last = Some(encoded);
        pairs.push((key, V::decode(r)?));
    }
    Ok(pairs)
}
