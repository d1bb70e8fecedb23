//! Dates and times, shifted by whole weeks.
//!
//! A full date moves by exactly the shift; a time does too and is written in UTC, for its zone tells a place.
//! A month or a year alone cannot move by weeks: its middle day is moved, and the month or year that it then
//! falls in is written, so that order among dates of one precision is kept and an interval is off by at
//! most one. Digits of a second beyond the third are cut.

use codec::time::Date;
use std::fmt::Write as _;

/// How exact a date is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Precision {
    Year,
    Month,
    Day,
    Time,
}

/// A `date`, `dateTime` or `instant` as it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct When<'t> {
    /// In UTC when there is a time; the middle of what a partial date says.
    day: Date,
    minute_of_day: i64,
    /// `:ss` with at most three digits of a fraction.
    seconds: &'t str,
    pub(crate) precision: Precision,
}

impl<'t> When<'t> {
    /// Reads a date or time of FHIR, or a timestamp of protocol buffers; `None` for anything else.
    pub(crate) fn read(text: &'t str) -> Option<Self> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let partial = |year: u16, month: u8, day: u8, precision| {
            let day = Date::new(year, month, day).ok()?;
            Some(Self {
                day,
                minute_of_day: 0,
                seconds: "",
                precision,
            })
        };
        match (date.len(), time) {
            (4, None) => partial(number(date, 4)?, 7, 1, Precision::Year),
            (7, None) => {
                let (year, month) = date.split_once('-')?;
                let month = u8::try_from(number(month, 2)?).ok()?;
                partial(number(year, 4)?, month, 15, Precision::Month)
            }
            (10, None) => {
                let day: Date = date.parse().ok()?;
                partial(day.year(), day.month(), day.day(), Precision::Day)
            }
            (10, Some(time)) => Self::timed(date.parse().ok()?, time),
            _ => None,
        }
    }

    /// `hh:mm:ss`, a fraction, and `Z` or `+hh:mm`.
    fn timed(day: Date, time: &'t str) -> Option<Self> {
        let (clock, zone) = match time.strip_suffix('Z') {
            Some(clock) => (clock, 0),
            None => {
                let (clock, zone) = time.split_at_checked(time.len().checked_sub(6)?)?;
                (clock, zone_minutes(zone)?)
            }
        };
        let minutes = clock_minutes(clock.get(..5)?)?;
        let seconds = clock.get(5..)?;
        let digits = seconds.strip_prefix(':')?;
        let (whole, fraction) = match digits.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (digits, None),
        };
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if number(whole, 2)? > 60 || !fraction.is_none_or(plain) {
            return None;
        }
        let total = day.days() * 1440 + minutes - zone;
        Some(Self {
            day: Date::from_days(total.div_euclid(1440))?,
            minute_of_day: total.rem_euclid(1440),
            seconds: seconds.get(..seconds.len().min(7))?,
            precision: Precision::Time,
        })
    }

    /// Its day; the middle one of a month or year.
    pub(crate) fn day(&self) -> Date {
        self.day
    }

    /// The first day of what it says.
    pub(crate) fn earliest(&self) -> Option<Date> {
        match self.precision {
            Precision::Year => Date::new(self.day.year(), 1, 1).ok(),
            Precision::Month => Date::new(self.day.year(), self.day.month(), 1).ok(),
            _ => Some(self.day),
        }
    }

    /// Moved by so many weeks; `None` where no such date can be written.
    pub(crate) fn shifted(&self, weeks: i64) -> Option<Self> {
        let day = Date::from_days(self.day.days() + weeks * 7)?;
        Some(Self { day, ..*self })
    }

    /// Appends it as FHIR writes it.
    pub(crate) fn push_to(&self, out: &mut String) {
        let (hour, minute) = (self.minute_of_day / 60, self.minute_of_day % 60);
        let written = match self.precision {
            Precision::Year => write!(out, "{:04}", self.day.year()),
            Precision::Month => write!(out, "{:04}-{:02}", self.day.year(), self.day.month()),
            Precision::Day => write!(out, "{}", self.day),
            Precision::Time => write!(out, "{}T{hour:02}:{minute:02}{}Z", self.day, self.seconds),
        };
        // A String takes everything.
        written.unwrap_or_default();
    }
}

/// Full years from one date to another; negative before.
pub(crate) fn years_between(from: Date, to: Date) -> i64 {
    let passed = (to.month(), to.day()) >= (from.month(), from.day());
    i64::from(to.year()) - i64::from(from.year()) - i64::from(!passed)
}

fn clock_minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    (hours <= 23 && minutes <= 59).then_some(i64::from(hours) * 60 + i64::from(minutes))
}

fn zone_minutes(text: &str) -> Option<i64> {
    let minutes = clock_minutes(text.get(1..)?)?;
    match text.as_bytes().first()? {
        b'+' => Some(minutes),
        b'-' => Some(-minutes),
        _ => None,
    }
}

/// The value of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u16> {
    let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shifted(text: &str, weeks: i64) -> Option<String> {
        let mut out = String::new();
        When::read(text)?.shifted(weeks)?.push_to(&mut out);
        Some(out)
    }

    #[test]
    fn dates_move_by_whole_weeks() {
        let check = |text, weeks, expect: &str| {
            assert_eq!(shifted(text, weeks).as_deref(), Some(expect), "{text}");
        };
        check("2015-02-07", 1, "2015-02-14");
        check("2016-02-28", 52, "2017-02-26");
        check("2015-02-07T13:28:17-05:00", 1, "2015-02-14T18:28:17Z");
        check(
            "2015-02-07T23:28:17.239000-05:00",
            -1,
            "2015-02-01T04:28:17.239Z",
        );
        check("2015-02-07T00:10:60Z", 0, "2015-02-07T00:10:60Z");
        check(
            "2015-02-07T00:10:00.123456789+02:00",
            0,
            "2015-02-06T22:10:00.123Z",
        );
        check("2015-06", 2, "2015-06");
        check("2015-06", 3, "2015-07");
        check("2015", 26, "2015");
        check("2015", 27, "2016");
    }

    #[test]
    fn what_is_no_date_does_not_move() {
        for text in [
            "",
            "201",
            "2015-13",
            "2015-02-30",
            "2015-02-07T13:28:17",
            "2015-02-07T13:28Z",
            "20150207",
            "2015-02-07T25:28:17Z",
            "2015-02-07T13:28:17.Z",
            "2015-02-07T13:28:17.1a2Z",
            "+015",
            "2015-02-07T13:28:17.MRN-05:00",
            "2015-02-07T\u{e9}3:28:17Z",
            "0000",
            "2015-02-07T13:28:17 Z",
        ] {
            assert_eq!(shifted(text, 1), None, "{text}");
        }
        assert_eq!(shifted("9999-12-31", 1), None);
    }

    #[test]
    fn years_are_full_ones() {
        let date = |text: &str| text.parse::<Date>().unwrap();
        assert_eq!(years_between(date("1950-03-02"), date("2020-03-01")), 69);
        assert_eq!(years_between(date("1950-03-02"), date("2020-03-02")), 70);
        assert_eq!(years_between(date("2020-03-02"), date("2020-03-01")), -1);
    }
}
