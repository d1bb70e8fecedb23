//! What the dialect takes and refuses, byte by byte.

use codec::{Decode, Error, MAX_DEPTH, Reader, Value, from_slice, hex, to_vec};

fn read(bytes: &[u8]) -> Result<Value, Error> {
    let mut r = Reader::new(bytes);
    let value = Value::decode(&mut r)?;
    r.finish()?;
    Ok(value)
}

/// The reader alone accepts the bytes, and they are the encoding of their value.
fn accept(text: &str, value: &Value) {
    let bytes = hex::decode(text).unwrap();
    assert_eq!(&read(&bytes).unwrap(), value, "{text}");
    assert_eq!(hex::encode(&to_vec(value)), text);
}

/// The reader alone refuses the bytes, without the comparison of [`from_slice`].
fn refuse(text: &str, why: Error) {
    assert_eq!(read(&hex::decode(text).unwrap()), Err(why), "{text}");
}

/// The examples of RFC 8949 appendix A that the dialect has.
#[test]
fn rfc_8949_examples() {
    use Value::{Array, Bool, Bytes, Map, Negative, Null, Tag, Text, Unsigned};
    let text = |t: &str| Text(t.to_owned());
    for (encoded, value) in [
        ("00", Unsigned(0)),
        ("17", Unsigned(23)),
        ("1818", Unsigned(24)),
        ("1903e8", Unsigned(1000)),
        ("1a000f4240", Unsigned(1_000_000)),
        ("1b000000e8d4a51000", Unsigned(1_000_000_000_000)),
        ("1bffffffffffffffff", Unsigned(u64::MAX)),
        ("3bffffffffffffffff", Negative(u64::MAX)),
        ("20", Negative(0)),
        ("3863", Negative(99)),
        ("3903e7", Negative(999)),
        ("f4", Bool(false)),
        ("f5", Bool(true)),
        ("f6", Null),
        ("d74401020304", Tag(23, Box::new(Bytes(vec![1, 2, 3, 4])))),
        (
            "d818456449455446",
            Tag(24, Box::new(Bytes(b"dIETF".to_vec()))),
        ),
        ("40", Bytes(vec![])),
        ("60", text("")),
        ("6449455446", text("IETF")),
        ("62225c", text("\"\\")),
        ("64f0908591", text("\u{10151}")),
        ("80", Array(vec![])),
        (
            "8301820203820405",
            Array(vec![
                Unsigned(1),
                Array(vec![Unsigned(2), Unsigned(3)]),
                Array(vec![Unsigned(4), Unsigned(5)]),
            ]),
        ),
        ("a0", Map(vec![])),
        (
            "a201020304",
            Map(vec![(Unsigned(1), Unsigned(2)), (Unsigned(3), Unsigned(4))]),
        ),
        (
            "a26161016162820203",
            Map(vec![
                (text("a"), Unsigned(1)),
                (text("b"), Array(vec![Unsigned(2), Unsigned(3)])),
            ]),
        ),
    ] {
        accept(encoded, &value);
    }
}

/// RFC 8949 section 4.2.1: keys in the bytewise order of their encodings.
#[test]
fn rfc_8949_key_order() {
    let keys = ["0a", "1864", "20", "617a", "626161", "811864", "8120", "f4"];
    let encoded = format!("a8{}", keys.map(|k| format!("{k}00")).concat());
    let bytes = hex::decode(&encoded).unwrap();
    let Value::Map(mut pairs) = read(&bytes).unwrap() else {
        unreachable!("a map");
    };
    pairs.reverse();
    assert_eq!(hex::encode(&to_vec(&Value::Map(pairs))), encoded);
}

#[test]
fn heads_are_minimal() {
    for major in 0..=6u8 {
        let initial = |info: u8| hex::encode(&[major << 5 | info]);
        for argument in ["00", "17"] {
            refuse(
                &format!("{}{argument}", initial(24)),
                Error::NotMinimal { at: 0 },
            );
        }
        for long in ["0000", "00ff"] {
            refuse(
                &format!("{}{long}", initial(25)),
                Error::NotMinimal { at: 0 },
            );
        }
        for long in ["00000000", "0000ffff"] {
            refuse(
                &format!("{}{long}", initial(26)),
                Error::NotMinimal { at: 0 },
            );
        }
        for long in ["0000000000000000", "00000000ffffffff"] {
            refuse(
                &format!("{}{long}", initial(27)),
                Error::NotMinimal { at: 0 },
            );
        }
    }
    refuse("81181700", Error::NotMinimal { at: 1 });
}

#[test]
fn forms_outside_the_dialect() {
    let unsupported = Error::Unsupported { at: 0 };
    // Indefinite lengths and a stray break.
    for text in ["5f4101ff", "7f6161ff", "9f01ff", "bf0102ff", "ff"] {
        refuse(text, unsupported);
    }
    // Half, single and double floats; undefined; simple values in both forms.
    for text in [
        "f93c00",
        "fa47c35000",
        "fb3ff199999999999a",
        "f7",
        "e0",
        "f3",
        "f820",
        "f8ff",
    ] {
        refuse(text, unsupported);
    }
    // Reserved additional information.
    for major in 0..=7u8 {
        for info in 28..=30u8 {
            refuse(&hex::encode(&[major << 5 | info, 0, 0]), unsupported);
        }
    }
}

#[test]
fn maps_are_sorted_without_duplicates() {
    refuse("a201000100", Error::Unsorted { at: 3 });
    refuse("a202000100", Error::Unsorted { at: 3 });
    refuse("a2616200616100", Error::Unsorted { at: 4 });
    // The longer key is larger, whatever its letters.
    refuse("a262616100616200", Error::Unsorted { at: 5 });
    refuse("a220000000", Error::Unsorted { at: 3 });
}

#[test]
fn text_is_utf8() {
    for text in ["61ff", "62c328", "63eda080", "64f4908080"] {
        refuse(text, Error::Utf8 { at: 0 });
    }
}

#[test]
fn truncated_and_trailing() {
    refuse("", Error::Truncated { at: 0 });
    refuse("18", Error::Truncated { at: 0 });
    refuse("1b00000000000000", Error::Truncated { at: 0 });
    refuse("d8", Error::Truncated { at: 0 });
    refuse("c1", Error::Truncated { at: 1 });
    refuse("0000", Error::Trailing { at: 1 });
    refuse("81", Error::TooLong { at: 0 });
    refuse("a100", Error::TooLong { at: 0 });
    refuse("820018", Error::Truncated { at: 2 });
    assert_eq!(from_slice::<Value>(&[0, 0]), Err(Error::Trailing { at: 1 }));
}

#[test]
fn length_bombs() {
    let bomb = Error::TooLong { at: 0 };
    for text in [
        "5bffffffffffffffff",
        "7bffffffffffffffff",
        "9bffffffffffffffff",
        "bbffffffffffffffff",
        "bb8000000000000000",
        "5a7fffffff00",
        "9a7fffffff00",
        "ba7fffffff0000",
        "4201",
        "8200",
        "a2000000",
    ] {
        refuse(text, bomb);
    }
    // Nested counts that all fit the input one by one.
    let mut nested = vec![0x98, 0xf0];
    nested.extend(std::iter::repeat_n([0x98, 0xef], 20).flatten());
    nested.resize(400, 0x80);
    assert!(read(&nested).is_err());
    assert!(from_slice::<Vec<Vec<Vec<u64>>>>(&nested).is_err());
}

#[test]
fn depth_bombs() {
    for (open, close) in [("81", "00"), ("c1", "00"), ("a100", "00")] {
        let nested = |depth: usize| hex::decode(&(open.repeat(depth) + close)).unwrap();
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        let at = MAX_DEPTH * open.len() / 2;
        let error = read(&nested(MAX_DEPTH + 1)).unwrap_err();
        assert_eq!(error, Error::Depth { at });
        assert!(read(&nested(100_000)).is_err());
    }
    // Siblings do not add up.
    let wide = hex::decode(&format!("98ff{}", "8100".repeat(255))).unwrap();
    assert!(read(&wide).is_ok());
    // A typed decoder is bounded like an untyped one.
    let mut deep = hex::decode(&"81".repeat(MAX_DEPTH)).unwrap();
    deep.push(0x81);
    deep.push(0x00);
    assert!(from_slice::<Deep>(&deep).is_err());
}

/// A type that nests without end.
#[derive(Debug)]
struct Deep(Vec<Deep>);

impl codec::Encode for Deep {
    fn encode(&self, w: &mut codec::Writer) {
        self.0.encode(w);
    }
}

impl Decode for Deep {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        Vec::decode(r).map(Self)
    }
}

#[test]
fn reader_reads_raw_items() {
    let bytes = hex::decode("8301a1010203").unwrap();
    let mut r = Reader::new(&bytes);
    r.array_exact(3).unwrap();
    assert_eq!(r.raw_item().unwrap(), [0x01]);
    assert_eq!(r.raw_item().unwrap(), [0xa1, 0x01, 0x02]);
    assert!(!r.is_at_end());
    assert_eq!(r.raw_item().unwrap(), [0x03]);
    assert!(r.is_at_end());
    assert_eq!(r.raw_item(), Err(Error::Truncated { at: 6 }));
}
