//! Laws over all values and all bytes, and agreement with `ciborium`.

use crate::values::{Sign, Visit};
use ciborium::Value as Theirs;
use codec::{Decode, Encode, Millis, Reader, Value, from_slice, to_vec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

fn values() -> impl Strategy<Value = Value> {
    let argument = prop_oneof![0..30u64, 0..70_000u64, any::<u64>()];
    let leaf = prop_oneof![
        argument.clone().prop_map(Value::Unsigned),
        argument.clone().prop_map(Value::Negative),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        ".{0,12}".prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((inner.clone(), inner.clone()), 0..6).prop_map(unique_keys),
            // Tags 2 and 3 are bignums, which `ciborium` reads as integers.
            (argument.clone(), inner)
                .prop_map(|(tag, item)| Value::Tag(tag.max(4), Box::new(item))),
        ]
    })
}

fn unique_keys(pairs: Vec<(Value, Value)>) -> Value {
    let sorted: BTreeMap<_, _> = pairs
        .into_iter()
        .map(|(key, value)| (to_vec(&key), (key, value)))
        .collect();
    Value::Map(sorted.into_values().collect())
}

fn visits() -> impl Strategy<Value = Visit> {
    let visit = |signs: BoxedStrategy<Vec<Sign>>| {
        (
            any::<u64>(),
            prop::option::of(".{0,8}"),
            signs,
            prop::collection::vec(any::<u8>(), 0..40),
        )
            .prop_map(|(at, ward, signs, raw)| Visit {
                at: Millis::new(at),
                ward,
                signs,
                raw,
            })
    };
    visit(Just(vec![]).boxed()).prop_recursive(3, 20, 4, move |inner| {
        let sign = prop_oneof![
            any::<u64>().prop_map(Sign::Pulse),
            Just(Sign::Unknown),
            inner.prop_map(|v| Sign::Nested(Box::new(v))),
        ];
        visit(prop::collection::vec(sign, 0..4).boxed())
    })
}

/// Without the comparison of [`from_slice`]: the decoder itself must be strict.
fn read<T: Decode>(bytes: &[u8]) -> Option<T> {
    let mut r = Reader::new(bytes);
    let value = T::decode(&mut r).ok()?;
    r.finish().ok()?;
    Some(value)
}

fn check_round_trip<T: Encode + Decode + PartialEq + Debug>(value: &T) {
    let bytes = to_vec(value);
    assert_eq!(&from_slice::<T>(&bytes).unwrap(), value);
    assert_eq!(read::<T>(&bytes).as_ref(), Some(value));
}

/// Every other byte string within one changed, removed or added byte is refused or means another
/// value, which it encodes exactly.
fn check_mutations<T: Encode + Decode + PartialEq + Debug>(value: &T) {
    let bytes = to_vec(value);
    let mut others: Vec<Vec<u8>> = Vec::new();
    for at in 0..bytes.len() {
        for flip in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff] {
            let mut other = bytes.clone();
            other[at] ^= flip;
            others.push(other);
        }
        let mut other = bytes.clone();
        other.remove(at);
        others.push(other);
        let mut other = bytes.clone();
        other.insert(at, 0);
        others.push(other);
    }
    let mut other = bytes.clone();
    other.push(0);
    others.push(other);
    for other in others.iter().filter(|other| **other != bytes) {
        if let Some(read) = read::<T>(other) {
            assert_ne!(&read, value, "{}", codec::hex::encode(other));
            assert_eq!(&to_vec(&read), other);
        }
    }
}

fn theirs(value: &Value) -> Theirs {
    match value {
        Value::Unsigned(n) => Theirs::Integer((*n).into()),
        Value::Negative(n) => Theirs::Integer((-1 - i128::from(*n)).try_into().unwrap()),
        Value::Bytes(bytes) => Theirs::Bytes(bytes.clone()),
        Value::Text(text) => Theirs::Text(text.clone()),
        Value::Array(items) => Theirs::Array(items.iter().map(theirs).collect()),
        Value::Map(pairs) => {
            Theirs::Map(pairs.iter().map(|(k, v)| (theirs(k), theirs(v))).collect())
        }
        Value::Tag(tag, item) => Theirs::Tag(*tag, Box::new(theirs(item))),
        Value::Bool(value) => Theirs::Bool(*value),
        Value::Null => Theirs::Null,
    }
}

fn has_bignum(value: &Value) -> bool {
    match value {
        Value::Tag(tag, item) => matches!(tag, 2 | 3) || has_bignum(item),
        Value::Array(items) => items.iter().any(has_bignum),
        Value::Map(pairs) => pairs.iter().any(|(k, v)| has_bignum(k) || has_bignum(v)),
        _ => false,
    }
}

/// Bytes that are often CBOR: an encoding with a few bytes overwritten.
fn near_values() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    (values(), edits).prop_map(|(value, edits)| {
        let mut bytes = to_vec(&value);
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn values_round_trip(value in values()) {
        check_round_trip(&value);
    }

    #[test]
    fn records_round_trip(visit in visits()) {
        check_round_trip(&visit);
    }

    #[test]
    fn collections_round_trip(
        map in prop::collection::btree_map(".{0,4}", any::<i64>(), 0..20),
        set in prop::collection::btree_set(any::<u32>(), 0..20),
        tuple in any::<(u8, Option<bool>, [u8; 5], Vec<Option<u16>>)>(),
    ) {
        check_round_trip::<BTreeMap<String, i64>>(&map);
        check_round_trip::<BTreeSet<u32>>(&set);
        check_round_trip(&tuple);
    }

    #[test]
    fn accepted_bytes_are_the_encoding(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
        if let Some(value) = read::<Value>(&bytes) {
            prop_assert_eq!(to_vec(&value), bytes);
        }
    }

    #[test]
    fn accepted_near_bytes_are_the_encoding(bytes in near_values()) {
        if let Some(value) = read::<Value>(&bytes) {
            prop_assert_eq!(&to_vec(&value), &bytes);
            if !has_bignum(&value) {
                let read: Theirs = ciborium::from_reader(bytes.as_slice()).unwrap();
                prop_assert_eq!(read, theirs(&value));
            }
        }
        if let Some(visit) = read::<Visit>(&bytes) {
            prop_assert_eq!(to_vec(&visit), bytes);
        }
    }

    #[test]
    fn agrees_with_ciborium(value in values()) {
        let bytes = to_vec(&value);
        let read: Theirs = ciborium::from_reader(bytes.as_slice()).unwrap();
        prop_assert_eq!(&read, &theirs(&value));
        let mut written = Vec::new();
        ciborium::into_writer(&theirs(&value), &mut written).unwrap();
        prop_assert_eq!(written, bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn mutated_values_are_other_values(value in values()) {
        check_mutations(&value);
    }

    #[test]
    fn mutated_records_are_other_records(visit in visits()) {
        check_mutations(&visit);
    }
}
