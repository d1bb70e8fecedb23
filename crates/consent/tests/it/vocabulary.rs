//! Codes and texts.

use codec::{from_slice, to_vec};
use consent::{Country, Curie, Label, PractitionerId, Purpose, RecordKind, Role, RuleName, Topic};
use std::fmt::Write;

#[test]
fn purposes_are_spelled_as_the_standard_does() {
    let mut text = String::new();
    for purpose in Purpose::ALL {
        let word = purpose.as_str();
        assert!(word.chars().all(|c| c.is_ascii_uppercase()), "{word}");
        assert_eq!(word.parse::<Purpose>(), Ok(*purpose));
        assert!(word.to_lowercase().parse::<Purpose>().is_err());
        assert_eq!(from_slice::<Purpose>(&to_vec(purpose)), Ok(*purpose));
        assert_eq!(
            serde_json::to_string(purpose).unwrap(),
            format!("\"{word}\"")
        );
        assert!(purpose.is_within(*purpose));
        let parent = purpose.parent().map_or("PurposeOfUse", Purpose::as_str);
        writeln!(
            text,
            "{:3} {word} < {parent}: for {}",
            purpose.code(),
            purpose.phrase()
        )
        .unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn purposes_below_a_purpose() {
    assert!(Purpose::Btg.is_within(Purpose::Treat));
    assert!(!Purpose::Treat.is_within(Purpose::Btg));
    assert!(!Purpose::Treat.is_within(Purpose::Hresch));
    assert!(Purpose::Clintrch.is_research() && Purpose::Clintrl.is_research());
    assert!(!Purpose::Treat.is_research());
}

#[test]
fn roles_read_back() {
    for role in Role::ALL {
        assert_eq!(role.as_str().parse::<Role>(), Ok(*role));
        assert_eq!(from_slice::<Role>(&to_vec(role)), Ok(*role));
    }
    assert_eq!(
        serde_json::to_string(&Role::PrivacyOfficer).unwrap(),
        "\"privacy-officer\""
    );
}

#[test]
fn texts_are_bounded_and_harmless() {
    assert!(PractitionerId::new("a".repeat(128)).is_ok());
    assert!(PractitionerId::new("a".repeat(129)).is_err());
    assert!(Label::new("Grand-mère Özlem 李").is_ok());
    for bad in [
        "",
        " ",
        " padded",
        "padded ",
        "line\nbreak",
        "tab\t",
        "right\u{202e}left",
        "zero\u{200b}width",
        "\u{feff}mark",
    ] {
        assert!(Label::new(bad).is_err(), "{bad:?}");
        assert!(PractitionerId::new(bad).is_err(), "{bad:?}");
        let json = serde_json::to_string(bad).unwrap();
        assert!(serde_json::from_str::<Label>(&json).is_err(), "{bad:?}");
        assert!(from_slice::<Label>(&to_vec(bad)).is_err(), "{bad:?}");
    }
    assert!(RecordKind::new("Observation").is_ok());
    assert!(RecordKind::new("an Observation").is_err());
    assert!(RuleName::new("own-care").is_ok());
    assert!(RuleName::new("Own").is_err());
    for good in [
        "MONDO:0009861",
        "OMIM:166200",
        "ORPHA:666",
        "DOID:10155",
        "a.b-c:d_e",
    ] {
        assert!(Curie::new(good).is_ok(), "{good}");
    }
    for bad in [
        "MONDO",
        ":1",
        "MONDO:",
        "a:b:c",
        "MONDO:1 2",
        "http://x",
        "",
    ] {
        assert!(Curie::new(bad).is_err(), "{bad}");
        assert!(from_slice::<Curie>(&to_vec(bad)).is_err(), "{bad}");
    }
    for bad in ["D", "DEU", "de", "D1", ""] {
        assert!(Country::new(bad).is_err(), "{bad}");
    }
    assert!(Country::new("DE").is_ok());
    assert!(Topic::new("x".repeat(300)).is_ok() && Topic::new("x".repeat(301)).is_err());
    assert!(Topic::new("two\nlines").is_err());
    let long = Label::new("x".repeat(200)).unwrap_err().to_string();
    assert_eq!(long, "a label has at most 128 bytes; this has 200");
    assert_eq!(format!("{:?}", Label::new("Mama").unwrap()), "<label>");
    assert_eq!(format!("{:?}", person_id()), "<practitioner>");
}

fn person_id() -> PractitionerId {
    PractitionerId::new("j.doe").unwrap()
}
