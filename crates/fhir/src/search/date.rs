//! Dates as spans of time, and the buckets that find them.

use codec::time::Date;

const DAY_MS: i64 = 86_400_000;

/// A span of time in milliseconds from 1970-01-01T00:00:00Z: from `from_ms` until before `until_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first millisecond; `i64::MIN` when there is no start.
    pub from_ms: i64,
    /// The first millisecond after it; `i64::MAX` when there is no end.
    pub until_ms: i64,
}

impl Span {
    /// All time.
    pub(super) const ALWAYS: Self = Self {
        from_ms: i64::MIN,
        until_ms: i64::MAX,
    };

    /// The span that a `date`, `dateTime` or `instant` covers to its precision: `2020` is a year,
    /// `2020-01-01T10:00` a minute. A time without offset counts as UTC.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let mut parts = date.split('-');
        let year = number(parts.next()?, 4)?;
        let month = parts.next().map(|part| number(part, 2));
        let day = parts.next().map(|part| number(part, 2));
        if parts.next().is_some() {
            return None;
        }
        let first = |year, month| Some(Date::new(year, u8::try_from(month).ok()?, 1).ok()?.days());
        let (from, until) = match (month, day, time) {
            (None, None, None) => (first(year, 1)?, first(year, 12)? + 31),
            (Some(month), None, None) => {
                let month = month?;
                let next = match month {
                    12 => first(year, 12)? + 31,
                    month => first(year, month + 1)?,
                };
                (first(year, month)?, next)
            }
            (Some(month), Some(day), time) => {
                let month = u8::try_from(month?).ok()?;
                let day = Date::new(year, month, u8::try_from(day?).ok()?)
                    .ok()?
                    .days();
                if let Some(time) = time {
                    return Self::time(day * DAY_MS, time);
                }
                (day, day + 1)
            }
            _ => return None,
        };
        Some(Self {
            from_ms: from * DAY_MS,
            until_ms: until * DAY_MS,
        })
    }

    /// `hh:mm`, `hh:mm:ss` or with decimals, with `Z`, an offset or nothing after it.
    fn time(day_ms: i64, text: &str) -> Option<Self> {
        let (clock, offset_minutes) = match text.find(['Z', '+', '-']) {
            None => (text, 0),
            Some(at) => {
                let (clock, zone) = text.split_at_checked(at)?;
                (clock, offset(zone)?)
            }
        };
        let mut parts = clock.splitn(3, ':');
        let hour = i64::from(number(parts.next()?, 2).filter(|h| *h <= 23)?);
        let minute = i64::from(number(parts.next()?, 2).filter(|m| *m <= 59)?);
        let (ms, length) = match parts.next() {
            None => (0, 60_000),
            Some(seconds) => seconds_ms(seconds)?,
        };
        let from_ms = day_ms + (hour * 60 + minute - offset_minutes) * 60_000 + ms;
        Some(Self {
            from_ms,
            until_ms: from_ms + length,
        })
    }

    /// Whether the other lies within this one.
    pub(super) fn contains(self, other: Self) -> bool {
        self.from_ms <= other.from_ms && other.until_ms <= self.until_ms
    }

    /// Whether they share a moment.
    pub(super) fn meets(self, other: Self) -> bool {
        self.from_ms < other.until_ms && other.from_ms < self.until_ms
    }

    /// This span with as much again before and after it.
    pub(super) fn widened(self) -> Self {
        let length = self.until_ms.saturating_sub(self.from_ms);
        Self {
            from_ms: self.from_ms.saturating_sub(length),
            until_ms: self.until_ms.saturating_add(length),
        }
    }

    /// The smallest span over both.
    pub(super) fn joined(self, other: Self) -> Self {
        Self {
            from_ms: self.from_ms.min(other.from_ms),
            until_ms: self.until_ms.max(other.until_ms),
        }
    }
}

/// Seconds with decimals: where they start and how long they are, in ms.
fn seconds_ms(text: &str) -> Option<(i64, i64)> {
    let (whole, decimals) = match text.split_once('.') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (text, None),
    };
    let seconds = i64::from(number(whole, 2).filter(|s| *s <= 60)?) * 1000;
    let Some(decimals) = decimals else {
        return Some((seconds, 1000));
    };
    if decimals.is_empty() || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (mut ms, mut unit) = (0, 100);
    for digit in decimals.bytes().take(3) {
        ms += i64::from(digit - b'0') * unit;
        unit /= 10;
    }
    let length = match decimals.len() {
        1 => 100,
        2 => 10,
        _ => 1,
    };
    Some((seconds + ms, length))
}

fn offset(zone: &str) -> Option<i64> {
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("Z", "") => return Some(0),
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let hours = i64::from(number(hours, 2).filter(|h| *h <= 14)?);
    let minutes = i64::from(number(minutes, 2).filter(|m| *m <= 59)?);
    Some(sign * (hours * 60 + minutes))
}

fn number(text: &str, digits: usize) -> Option<u16> {
    let plain = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

/// A bucket of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bucket {
    /// A year that a span meets.
    Year(u16),
    /// A month that a span meets.
    Month(u16, u8),
    /// A day that a short span meets.
    Day(u16, u8, u8),
    /// A month that a span meets which has no days in the index.
    NoDays(u16, u8),
    /// A year that a span meets which has no months in the index.
    NoMonths(u16),
    /// A span that has no years in the index.
    NoYears,
}

impl Bucket {
    /// As it stands in an index term.
    pub(super) fn text(self) -> String {
        match self {
            Self::Year(year) => format!("{year:04}"),
            Self::Month(year, month) => format!("{year:04}{month:02}"),
            Self::Day(year, month, day) => format!("{year:04}{month:02}{day:02}"),
            Self::NoDays(year, month) => format!("~{year:04}{month:02}"),
            Self::NoMonths(year) => format!("~{year:04}"),
            Self::NoYears => "~".to_owned(),
        }
    }
}

const MAX_DAYS: usize = 7;
const MAX_MONTHS: usize = 24;
const MAX_YEARS: usize = 20;

/// The buckets of a value: with days if it spans up to a week, with months up to two years, with
/// years up to twenty.
pub(super) fn posted(span: Span) -> Vec<Bucket> {
    let Some((first, last)) = ends(span) else {
        return vec![Bucket::NoYears];
    };
    let Some(years) = years(first, last, MAX_YEARS) else {
        return vec![Bucket::NoYears];
    };
    let mut buckets: Vec<Bucket> = years.iter().map(|&year| Bucket::Year(year)).collect();
    let Some(months) = months(first, last, MAX_MONTHS) else {
        buckets.extend(years.into_iter().map(Bucket::NoMonths));
        return buckets;
    };
    buckets.extend(months.iter().map(|&(y, m)| Bucket::Month(y, m)));
    match days(first, last, MAX_DAYS) {
        Some(days) => buckets.extend(days),
        None => buckets.extend(months.into_iter().map(|(y, m)| Bucket::NoDays(y, m))),
    }
    buckets
}

/// Buckets that every value has one of which lies within the span.
pub(super) fn within(span: Span) -> Option<Vec<Bucket>> {
    let (first, last) = ends(span)?;
    if let Some(days) = days(first, last, MAX_DAYS) {
        return Some(days);
    }
    if let Some(months) = months(first, last, 1) {
        return Some(months.iter().map(|&(y, m)| Bucket::Month(y, m)).collect());
    }
    let years = years(first, last, MAX_YEARS)?;
    Some(years.into_iter().map(Bucket::Year).collect())
}

/// Buckets that every value has one of which meets the span; `None` when they would be too many.
pub(super) fn meeting(span: Span) -> Option<Vec<Bucket>> {
    let (first, last) = ends(span)?;
    let mut buckets = vec![Bucket::NoYears];
    let many = 50;
    let Some(months) = months(first, last, many) else {
        buckets.extend(years(first, last, many)?.into_iter().map(Bucket::Year));
        return Some(buckets);
    };
    let years = years(first, last, many)?;
    buckets.extend(years.into_iter().map(Bucket::NoMonths));
    match days(first, last, many) {
        Some(days) => {
            buckets.extend(months.into_iter().map(|(y, m)| Bucket::NoDays(y, m)));
            buckets.extend(days);
        }
        None => buckets.extend(months.into_iter().map(|(y, m)| Bucket::Month(y, m))),
    }
    Some(buckets)
}

/// The first and the last day of a span that has both ends.
fn ends(span: Span) -> Option<(Date, Date)> {
    let last = span.until_ms.checked_sub(1)?.max(span.from_ms);
    let first = Date::from_days(span.from_ms.div_euclid(DAY_MS))?;
    Some((first, Date::from_days(last.div_euclid(DAY_MS))?))
}

fn years(first: Date, last: Date, most: usize) -> Option<Vec<u16>> {
    let years = usize::from(last.year().checked_sub(first.year())?) + 1;
    (years <= most).then(|| (first.year()..=last.year()).collect())
}

fn months(first: Date, last: Date, most: usize) -> Option<Vec<(u16, u8)>> {
    let mut months = vec![(first.year(), first.month())];
    while let Some(&(year, month)) = months.last()
        && (year, month) < (last.year(), last.month())
    {
        if months.len() == most {
            return None;
        }
        months.push(match month {
            12 => (year + 1, 1),
            month => (year, month + 1),
        });
    }
    Some(months)
}

fn days(first: Date, last: Date, most: usize) -> Option<Vec<Bucket>> {
    let count = usize::try_from(last.days() - first.days()).ok()? + 1;
    if count > most {
        return None;
    }
    let day = |days: i64| {
        let date = Date::from_days(days)?;
        Some(Bucket::Day(date.year(), date.month(), date.day()))
    };
    (first.days()..=last.days()).map(day).collect()
}
