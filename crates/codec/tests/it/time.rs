//! Civil dates and RFC 3339, against known points of the calendar and each other.

use codec::{Date, Millis, from_slice, to_vec};
use proptest::prelude::*;

fn check(text: &str, ms: u64) {
    assert_eq!(text.parse::<Millis>().unwrap(), Millis::new(ms), "{text}");
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

#[test]
fn rfc3339_known_times() {
    check("1970-01-01T00:00:00Z", 0);
    check("1970-01-01T00:00:00.001Z", 1);
    check("2000-02-29T23:59:59.999Z", 951_868_799_999);
    check("2001-09-09T01:46:40Z", 1_000_000_000_000);
    check("2024-02-29T12:00:00+01:00", 1_709_204_400_000);
    check("2038-01-19T03:14:08Z", 2_147_483_648_000);
    check("9999-12-31T23:59:59.999Z", 253_402_300_799_999);
    // The examples of RFC 3339 section 5.8, but for the one before 1970.
    check("1985-04-12T23:20:50.52Z", 482_196_050_520);
    check("1996-12-19T16:39:57-08:00", 851_042_397_000);
    check("1990-12-31T23:59:60Z", 662_688_000_000);
    check("1990-12-31T15:59:60-08:00", 662_688_000_000);
    // Lower case, digits below a millisecond, an offset that crosses a year.
    check("1970-01-01t00:00:00.0019999z", 1);
    check("1970-01-01T00:30:00+00:30", 0);
    check("1999-12-31T23:00:00-01:00", 946_684_800_000);
}

#[test]
fn rfc3339_refusals() {
    for text in [
        "",
        "2024-02-29",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "2024-01-00T00:00:00Z",
        "2024-04-31T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:61Z",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00:00.Z",
        "2024-01-01 00:00:00Z",
        "2024-01-01T00:00:00Zx",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+0100",
        "2024-01-01T00:00Z",
        "+2024-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "２024-01-01T00:00:00Z",
    ] {
        assert!(text.parse::<Millis>().is_err(), "{text}");
    }
}

#[test]
fn rfc3339_beyond_the_form() {
    let last = Millis::new(253_402_300_799_999);
    assert_eq!(last.to_rfc3339(), "9999-12-31T23:59:59.999Z");
    assert_eq!(Millis::new(u64::MAX).to_rfc3339(), last.to_rfc3339());
    assert_eq!(last.saturating_add(1).date(), None);
}

#[test]
fn dates() {
    assert_eq!(date("1970-01-01").days(), 0);
    assert_eq!(date("1969-12-31").days(), -1);
    assert_eq!(date("0001-01-01").days(), -719_162);
    assert_eq!(date("9999-12-31").days(), 2_932_896);
    assert_eq!(Date::from_days(-719_163), None);
    assert_eq!(Date::from_days(2_932_897), None);
    assert_eq!(Date::from_days(i64::MAX), None);
    assert_eq!(date("1969-12-31").start(), None);
    assert_eq!(date("1970-01-02").start(), Some(Millis::new(86_400_000)));
    assert_eq!(
        to_vec(&date("2024-02-29")),
        [0x83, 0x19, 0x07, 0xe8, 2, 0x18, 29]
    );
    for text in [
        "2024-2-29",
        "2023-02-29",
        "2024-02-29 ",
        "24-02-29",
        "2024/02/29",
    ] {
        assert!(text.parse::<Date>().is_err(), "{text}");
    }
    assert!(from_slice::<Date>(&[0x83, 0x19, 0x07, 0xe7, 2, 0x18, 29]).is_err());
}

#[test]
fn birthdays() {
    let check = |born: &str, years, reached: &str| {
        assert_eq!(date(born).add_years(years), Some(date(reached)));
    };
    check("2006-05-17", 18, "2024-05-17");
    check("2008-02-29", 18, "2026-03-01");
    check("2008-02-29", 16, "2024-02-29");
    check("2024-02-29", 0, "2024-02-29");
    assert_eq!(date("9990-01-01").add_years(10), None);
    assert_eq!(date("2024-01-01").add_years(u16::MAX), None);
}

proptest! {
    #[test]
    fn days_round_trip(days in -719_162i64..=2_932_896) {
        let date = Date::from_days(days).unwrap();
        prop_assert_eq!(date.days(), days);
        prop_assert_eq!(date.to_string().parse::<Date>().unwrap(), date);
        prop_assert_eq!(from_slice::<Date>(&to_vec(&date)).unwrap(), date);
    }

    #[test]
    fn the_next_day_is_later(days in -719_162i64..2_932_896) {
        let (today, tomorrow) = (Date::from_days(days).unwrap(), Date::from_days(days + 1).unwrap());
        prop_assert!(today < tomorrow);
        let follows = (today.year(), today.month(), today.day() + 1)
            == (tomorrow.year(), tomorrow.month(), tomorrow.day());
        prop_assert!(follows || tomorrow.day() == 1);
    }

    #[test]
    fn times_round_trip(ms in 0..=253_402_300_799_999u64) {
        let at = Millis::new(ms);
        prop_assert_eq!(at.to_rfc3339().parse::<Millis>().unwrap(), at);
        let json = serde_json::to_string(&at).unwrap();
        prop_assert_eq!(serde_json::from_str::<Millis>(&json).unwrap(), at);
    }
}
