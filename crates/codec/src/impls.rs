//! Encodings of standard types: integers, `bool`, strings, byte strings (`Vec<u8>`, `[u8; N]`),
//! arrays (`Vec`, `[T; N]`, tuples, `BTreeSet`), maps (`BTreeMap`) and `Option` (`null`).
//!
//! `Option<Option<T>>` and `Option<()>` are not told apart from their inner value; do not use them.

use crate::value::{decode_sorted, encode_sorted};
use crate::{Decode, Encode, Error, Reader, Writer};
use std::collections::{BTreeMap, BTreeSet};

impl Encode for u8 {
    fn encode(&self, w: &mut Writer) {
        w.uint(u64::from(*self));
    }

    fn encode_slice(items: &[Self], w: &mut Writer) {
        w.bytes(items);
    }
}

impl Decode for u8 {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        narrow(r)
    }

    fn decode_vec(r: &mut Reader<'_>) -> Result<Vec<Self>, Error> {
        r.bytes().map(<[u8]>::to_vec)
    }

    fn decode_array<const N: usize>(r: &mut Reader<'_>) -> Result<[Self; N], Error> {
        r.bytes_exact()
    }
}

macro_rules! unsigned {
    ($($ty:ty),*) => {$(
        impl Encode for $ty {
            fn encode(&self, w: &mut Writer) {
                w.uint(u64::from(*self));
            }
        }

        impl Decode for $ty {
            fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
                narrow(r)
            }
        }
    )*};
}
unsigned!(u16, u32, u64);

fn narrow<T: TryFrom<u64>>(r: &mut Reader<'_>) -> Result<T, Error> {
    let at = r.position();
    T::try_from(r.uint()?).map_err(|_| Error::Range { at })
}

impl Encode for i64 {
    fn encode(&self, w: &mut Writer) {
        w.int(*self);
    }
}

impl Decode for i64 {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.int()
    }
}

impl Encode for bool {
    fn encode(&self, w: &mut Writer) {
        w.bool(*self);
    }
}

impl Decode for bool {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.bool()
    }
}

impl Encode for str {
    fn encode(&self, w: &mut Writer) {
        w.text(self);
    }
}

impl Encode for String {
    fn encode(&self, w: &mut Writer) {
        w.text(self);
    }
}

impl Decode for String {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.text().map(str::to_owned)
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, w: &mut Writer) {
        (**self).encode(w);
    }

    fn is_absent(&self) -> bool {
        (**self).is_absent()
    }
}

impl<T: Encode + ?Sized> Encode for Box<T> {
    fn encode(&self, w: &mut Writer) {
        (**self).encode(w);
    }

    fn is_absent(&self) -> bool {
        (**self).is_absent()
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        T::decode(r).map(Box::new)
    }

    fn absent() -> Option<Self> {
        T::absent().map(Box::new)
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, w: &mut Writer) {
        match self {
            Some(value) => value.encode(w),
            None => w.null(),
        }
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        if r.peek_null() {
            r.null().map(|()| None)
        } else {
            T::decode(r).map(Some)
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, w: &mut Writer) {
        T::encode_slice(self, w);
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, w: &mut Writer) {
        T::encode_slice(self, w);
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        T::decode_vec(r)
    }
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    fn encode(&self, w: &mut Writer) {
        T::encode_slice(self, w);
    }
}

impl<T: Decode, const N: usize> Decode for [T; N] {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        T::decode_array(r)
    }
}

impl<T: Encode> Encode for BTreeSet<T> {
    fn encode(&self, w: &mut Writer) {
        w.array(self.len());
        for item in self {
            item.encode(w);
        }
    }
}

impl<T: Decode + Ord> Decode for BTreeSet<T> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let count = r.array()?;
        let mut set = Self::new();
        for _ in 0..count {
            let at = r.position();
            let item = T::decode(r)?;
            if set.last().is_some_and(|last| *last >= item) {
                return Err(Error::Unsorted { at });
            }
            set.insert(item);
        }
        Ok(set)
    }
}

impl<K: Encode, V: Encode> Encode for BTreeMap<K, V> {
    fn encode(&self, w: &mut Writer) {
        encode_sorted(self.iter(), w);
    }
}

impl<K: Decode + Ord, V: Decode> Decode for BTreeMap<K, V> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        decode_sorted(r).map(Self::from_iter)
    }
}

macro_rules! tuple {
    ($count:literal: $($ty:ident $index:tt),*) => {
        impl<$($ty: Encode),*> Encode for ($($ty,)*) {
            fn encode(&self, w: &mut Writer) {
                w.array($count);
                $(self.$index.encode(w);)*
            }
        }

        impl<$($ty: Decode),*> Decode for ($($ty,)*) {
            fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
                r.array_exact($count)?;
                Ok(($($ty::decode(r)?,)*))
            }
        }
    };
}
tuple!(1: A 0);
tuple!(2: A 0, B 1);
tuple!(3: A 0, B 1, C 2);
tuple!(4: A 0, B 1, C 2, D 3);
tuple!(5: A 0, B 1, C 2, D 3, E 4);
tuple!(6: A 0, B 1, C 2, D 3, E 4, F 5);
