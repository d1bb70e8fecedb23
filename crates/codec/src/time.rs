//! Time as values: Unix milliseconds and civil dates (proleptic Gregorian, UTC).
//!
//! Nothing here reads a clock. The calendar arithmetic is Howard Hinnant's `days_from_civil` and
//! `civil_from_days`; the text forms are RFC 3339. Years are 1 to 9999.

use crate::{Decode, Encode, Error, Reader, Writer};
use std::fmt;
use std::str::FromStr;

const DAY_MS: u64 = 86_400_000;

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(u64);

impl Millis {
    /// The start of Unix time.
    pub const ZERO: Self = Self(0);

    /// This many milliseconds after the start of Unix time.
    pub const fn new(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the start of Unix time.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Later by `ms`, or the latest representable time.
    pub const fn saturating_add(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Earlier by `ms`, or the start of Unix time.
    pub const fn saturating_sub(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Milliseconds since `earlier`, or 0 if that is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The civil date in UTC; `None` after the year 9999.
    pub fn date(self) -> Option<Date> {
        Date::from_days(i64::try_from(self.0 / DAY_MS).ok()?)
    }

    /// Reads an RFC 3339 date-time with any offset. Digits below a millisecond are dropped; the
    /// leap second 60 counts as the first second of the next minute.
    ///
    /// # Errors
    /// Anything else, and times before 1970.
    pub fn from_rfc3339(text: &str) -> Result<Self, Error> {
        parse_rfc3339(text).ok_or(Error::Invalid("not an RFC 3339 time from 1970 on"))
    }

    /// RFC 3339 in UTC with three decimals: `2026-01-31T08:05:09.250Z`. Times after the year 9999,
    /// which that form cannot express, give its last millisecond.
    pub fn to_rfc3339(self) -> String {
        let Some(date) = self.date() else {
            return "9999-12-31T23:59:59.999Z".to_owned();
        };
        let ms = self.0 % DAY_MS;
        let (seconds, ms) = (ms / 1000, ms % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!("{date}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_rfc3339())
    }
}

impl FromStr for Millis {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::from_rfc3339(text)
    }
}

impl Encode for Millis {
    fn encode(&self, w: &mut Writer) {
        w.uint(self.0);
    }
}

impl Decode for Millis {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.uint().map(Self)
    }
}

impl serde::Serialize for Millis {
    /// As an RFC 3339 string.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_rfc3339())
    }
}

impl<'de> serde::Deserialize<'de> for Millis {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A civil date, from 0001-01-01 to 9999-12-31. Encoded as `[year, month, day]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// A date that exists.
    ///
    /// # Errors
    /// A date that does not.
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self, Error> {
        if (1..=9999).contains(&year) && day >= 1 && day <= days_in_month(year, month) {
            Ok(Self { year, month, day })
        } else {
            Err(Error::Invalid("not a date of the years 1 to 9999"))
        }
    }

    /// The year, 1 to 9999.
    pub const fn year(self) -> u16 {
        self.year
    }

    /// The month, 1 to 12.
    pub const fn month(self) -> u8 {
        self.month
    }

    /// The day of the month, from 1.
    pub const fn day(self) -> u8 {
        self.day
    }

    /// The same day `years` later; 29 February becomes 1 March where there is none, so that an age
    /// is never reached early. `None` after the year 9999.
    pub fn add_years(self, years: u16) -> Option<Self> {
        let year = self.year.checked_add(years)?;
        let there = Self::new(year, self.month, self.day);
        there.or_else(|_| Self::new(year, 3, 1)).ok()
    }

    /// The date `days` after 1970-01-01 (before, if negative); `None` outside the years 1 to 9999.
    pub fn from_days(days: i64) -> Option<Self> {
        let z = days.checked_add(719_468)?;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        Self::new(
            u16::try_from(year).ok()?,
            u8::try_from(month).ok()?,
            u8::try_from(day).ok()?,
        )
        .ok()
    }

    /// Days since 1970-01-01, negative before.
    pub fn days(self) -> i64 {
        let month = i64::from(self.month);
        let y = i64::from(self.year) - i64::from(month <= 2);
        let era = y.div_euclid(400);
        let yoe = y.rem_euclid(400);
        let doy = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(self.day) - 1;
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        era * 146_097 + doe - 719_468
    }

    /// The first millisecond of this date in UTC; `None` before 1970.
    pub fn start(self) -> Option<Millis> {
        let days = u64::try_from(self.days()).ok()?;
        Some(Millis(days * DAY_MS))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for Date {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut scan = Scan(text.as_bytes());
        scan.date()
            .filter(|_| scan.0.is_empty())
            .ok_or(Error::Invalid("not a date of the form YYYY-MM-DD"))
    }
}

impl Encode for Date {
    fn encode(&self, w: &mut Writer) {
        (self.year, u16::from(self.month), u16::from(self.day)).encode(w);
    }
}

impl Decode for Date {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let (year, month, day) = Decode::decode(r)?;
        Self::new(year, month, day)
    }
}

impl serde::Serialize for Date {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Date {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 0,
    }
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn parse_rfc3339(text: &str) -> Option<Millis> {
    let mut scan = Scan(text.as_bytes());
    let date = scan.date()?;
    scan.one_of(b"Tt")?;
    let hour = scan.number(2).filter(|h| *h <= 23)?;
    scan.one_of(b":")?;
    let minute = scan.number(2).filter(|m| *m <= 59)?;
    scan.one_of(b":")?;
    let second = scan.number(2).filter(|s| *s <= 60)?;
    let ms = scan.fraction_ms()?;
    let offset_minutes = scan.offset_minutes()?;
    if !scan.0.is_empty() {
        return None;
    }
    let minutes = (date.days() * 24 + i64::from(hour)) * 60 + i64::from(minute) - offset_minutes;
    let total = (minutes * 60 + i64::from(second)) * 1000 + i64::from(ms);
    u64::try_from(total).ok().map(Millis)
}

/// What is left of a text that is being read.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn one_of(&mut self, allowed: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        if !allowed.contains(first) {
            return None;
        }
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self, digits: usize) -> Option<u16> {
        let mut n = 0;
        for _ in 0..digits {
            n = n * 10 + u16::from(self.one_of(b"0123456789")? - b'0');
        }
        Some(n)
    }

    fn date(&mut self) -> Option<Date> {
        let year = self.number(4)?;
        self.one_of(b"-")?;
        let month = u8::try_from(self.number(2)?).ok()?;
        self.one_of(b"-")?;
        let day = u8::try_from(self.number(2)?).ok()?;
        Date::new(year, month, day).ok()
    }

    fn fraction_ms(&mut self) -> Option<u16> {
        if self.one_of(b".").is_none() {
            return Some(0);
        }
        let mut ms = u16::from(self.one_of(b"0123456789")? - b'0') * 100;
        let mut weight = 10;
        while let Some(digit) = self.one_of(b"0123456789") {
            ms += u16::from(digit - b'0') * weight;
            weight /= 10;
        }
        Some(ms)
    }

    fn offset_minutes(&mut self) -> Option<i64> {
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.number(2).filter(|h| *h <= 23)?;
        self.one_of(b":")?;
        let minutes = self.number(2).filter(|m| *m <= 59)?;
        Some(sign * (i64::from(hours) * 60 + i64::from(minutes)))
    }
}
