//! Golden bytes of the declared types and the refusals of their decoders.

use codec::{
    Category, Digest, Error, Millis, SubjectId, choice, codes, from_slice, record, to_vec,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

record! {
    /// A record with every kind of field.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Visit {
        1 => pub(crate) at: Millis,
        2 => pub(crate) ward: Option<String>,
        4 => pub(crate) signs: Vec<Sign>,
        24 => pub(crate) raw: Vec<u8>,
    }
}

choice! {
    /// A choice with and without bodies.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) enum Sign {
        1 => Pulse(u64),
        2 => Unknown,
        30 => Nested(Box<Visit>),
    }
}

choice! {
    /// A choice of one.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Single {
        7 => Only((u8, bool)),
    }
}

record! {
    /// A record without fields.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Empty {}
}

codes! {
    /// Words.
    enum Volume {
        /// Barely.
        1 => Quiet = "quiet",
        /// Very.
        300 => Loud = "loud",
    }
}

fn check<T: codec::Encode + codec::Decode + PartialEq + Debug>(value: &T, hex: &str) {
    assert_eq!(codec::hex::encode(&to_vec(value)), hex);
    assert_eq!(&from_slice::<T>(&hex::decode(hex).unwrap()).unwrap(), value);
}

fn refuse<T: codec::Encode + codec::Decode + Debug>(hex: &str, why: Error) {
    assert_eq!(
        from_slice::<T>(&hex::decode(hex).unwrap()).unwrap_err(),
        why,
        "{hex}"
    );
}

fn visit(ward: Option<&str>, signs: Vec<Sign>) -> Visit {
    Visit {
        at: Millis::new(1),
        ward: ward.map(str::to_owned),
        signs,
        raw: vec![0xde, 0xad],
    }
}

#[test]
fn record_bytes() {
    check(&visit(None, vec![]), "a301010480181842dead");
    check(&visit(Some("x"), vec![]), "a401010261780480181842dead");
    check(&Empty {}, "a0");
}

#[test]
fn choice_bytes() {
    check(&Sign::Pulse(80), "82011850");
    check(&Sign::Unknown, "8102");
    check(
        &Sign::Nested(Box::new(visit(None, vec![Sign::Unknown]))),
        "82181ea3010104818102181842dead",
    );
    check(&Single::Only((1, true)), "82078201f5");
    assert_eq!(Sign::Unknown.tag(), 2);
    assert_eq!(Single::Only((0, false)).tag(), 7);
}

#[test]
fn codes_bytes_and_words() {
    check(&Volume::Loud, "19012c");
    check(&Category::Documents, "06");
    assert_eq!(Category::ALL.len(), 6);
    for category in Category::ALL {
        assert_eq!(category.as_str().parse::<Category>().unwrap(), *category);
        let json = serde_json::to_string(category).unwrap();
        assert_eq!(serde_json::from_str::<Category>(&json).unwrap(), *category);
    }
    assert_eq!("loud".parse::<Volume>().unwrap().code(), 300);
    assert!("Loud".parse::<Volume>().is_err());
    refuse::<Category>("00", Error::UnknownTag { tag: 0 });
    refuse::<Category>("07", Error::UnknownTag { tag: 7 });
}

#[test]
fn record_refusals() {
    // A required key is missing, an unknown key follows, is in between, or is repeated.
    refuse::<Visit>("a20480181842dead", Error::MissingKey { key: 1 });
    refuse::<Visit>("a401010480181842dead181900", Error::UnknownKey { key: 25 });
    refuse::<Visit>("a4010103000480181842dead", Error::MissingKey { key: 4 });
    refuse::<Visit>("a4010101010480181842dead", Error::MissingKey { key: 4 });
    // Keys out of order.
    refuse::<Visit>("a304800101181842dead", Error::MissingKey { key: 1 });
    // An optional field as null instead of left out.
    refuse::<Visit>("a4010102f60480181842dead", Error::NotCanonical);
    refuse::<Empty>("a10000", Error::UnknownKey { key: 0 });
}

#[test]
fn choice_refusals() {
    refuse::<Sign>("80", Error::WrongLength { at: 0, expected: 1 });
    refuse::<Sign>("8101", Error::WrongLength { at: 0, expected: 2 });
    refuse::<Sign>("820200", Error::WrongLength { at: 0, expected: 1 });
    refuse::<Sign>("8103", Error::UnknownTag { tag: 3 });
}

#[test]
fn standard_types() {
    check(&7u8, "07");
    check(&0xffffu16, "19ffff");
    check(&0x1_0000u32, "1a00010000");
    check(&u64::MAX, "1bffffffffffffffff");
    check(&i64::MIN, "3b7fffffffffffffff");
    check(&-1i64, "20");
    check(&"ü".to_owned(), "62c3bc");
    check(&vec![1u8, 2], "420102");
    check(&[1u8, 2], "420102");
    check(&[1u16, 2], "820102");
    check(&vec![None, Some(3u64)], "82f603");
    check(&BTreeSet::from([2u8, 1]), "820102");
    // Rust orders "aa" before "b"; the encoding orders the shorter key first.
    let map = BTreeMap::from([("aa".to_owned(), 1u8), ("b".to_owned(), 2)]);
    check(&map, "a261620262616101");
    check(
        &Digest::new([0xab; 32]),
        &format!("5820{}", "ab".repeat(32)),
    );
}

#[test]
fn standard_refusals() {
    refuse::<u8>("190100", Error::Range { at: 0 });
    refuse::<i64>("1b8000000000000000", Error::Range { at: 0 });
    refuse::<i64>("3b8000000000000000", Error::Range { at: 0 });
    refuse::<BTreeSet<u8>>("820201", Error::Unsorted { at: 2 });
    refuse::<BTreeSet<u8>>("820101", Error::Unsorted { at: 2 });
    refuse::<BTreeMap<u8, u8>>("a202000100", Error::Unsorted { at: 3 });
    refuse::<BTreeMap<u8, u8>>("a201000100", Error::Unsorted { at: 3 });
    refuse::<[u8; 2]>("4101", Error::WrongLength { at: 0, expected: 2 });
    refuse::<[u16; 2]>("8101", Error::WrongLength { at: 0, expected: 2 });
    refuse::<String>("61ff", Error::Utf8 { at: 0 });
    refuse::<Digest>(
        "40",
        Error::WrongLength {
            at: 0,
            expected: 32,
        },
    );
    // `Some(None)` has no encoding of its own and does not survive.
    assert_eq!(from_slice::<Option<Option<u8>>>(&[0xf6]).unwrap(), None);
}

#[test]
fn ids_in_text() {
    let id = SubjectId::new([0x0f; 32]);
    assert_eq!(id.to_string(), "0f".repeat(32));
    assert_eq!(format!("{id:?}"), "<subject>");
    assert_eq!(format!("{:?}", Digest::new([0x0f; 32])), "0f0f0f0f…");
    assert_eq!("0f".repeat(32).parse::<SubjectId>().unwrap(), id);
    assert!("0F".repeat(32).parse::<SubjectId>().is_err());
    assert!("0f".repeat(31).parse::<SubjectId>().is_err());
    assert!("0f".repeat(33).parse::<SubjectId>().is_err());
    assert!(
        format!("{}0", "0f".repeat(31))
            .parse::<SubjectId>()
            .is_err()
    );
    let json = serde_json::to_string(&id).unwrap();
    assert_eq!(serde_json::from_str::<SubjectId>(&json).unwrap(), id);
}

#[test]
fn domains_are_distinct() {
    let tags: BTreeSet<_> = codec::Domain::ALL.iter().map(|d| d.tag()).collect();
    assert_eq!(tags.len(), codec::Domain::ALL.len());
    for tag in tags {
        let text = std::str::from_utf8(tag).unwrap();
        let name = text.strip_prefix("ithaca/v1/").unwrap();
        assert!(
            name.chars()
                .all(|c| c.is_ascii_lowercase() || "/-".contains(c)),
            "{name}"
        );
        assert!(tag.len() < 64);
    }
}
