//! Numbers and times that are compared without rounding.

use std::cmp::Ordering;

/// A decimal number: `digits` divided by ten to the power of `scale`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    digits: i128,
    scale: u32,
}

impl From<i64> for Amount {
    fn from(number: i64) -> Self {
        Self {
            digits: number.into(),
            scale: 0,
        }
    }
}

impl Amount {
    /// Reads a JSON number of at most 30 digits, zeros after its point and of its exponent included.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().ok()?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() > 30 || exponent.abs() > 30 {
            return None;
        }
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let scale = i32::try_from(fraction.len()).ok()? - exponent;
        match u32::try_from(scale) {
            Ok(scale) => Some(Self { digits, scale }),
            Err(_) => {
                let digits = digits.checked_mul(10_i128.checked_pow(scale.unsigned_abs())?)?;
                Some(Self { digits, scale: 0 })
            }
        }
    }

    /// Both with the larger scale.
    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let scale = self.scale.max(other.scale);
        let to = |amount: Self| {
            let factor = 10_i128.checked_pow(scale - amount.scale)?;
            amount.digits.checked_mul(factor)
        };
        Some((to(self)?, to(other)?, scale))
    }

    /// How the two compare; unknown when they are too far apart in size.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        self.aligned(other).map(|(a, b, _)| a.cmp(&b))
    }

    pub(super) fn plus(self, other: Self) -> Option<Self> {
        let (a, b, scale) = self.aligned(other)?;
        a.checked_add(b).map(|digits| Self { digits, scale })
    }

    pub(super) fn minus(self, other: Self) -> Option<Self> {
        let (a, b, scale) = self.aligned(other)?;
        a.checked_sub(b).map(|digits| Self { digits, scale })
    }

    pub(super) fn times(self, other: Self) -> Option<Self> {
        let digits = self.digits.checked_mul(other.digits)?;
        Some(Self {
            digits,
            scale: self.scale.checked_add(other.scale)?,
        })
    }

    /// The number when it is whole and fits.
    pub(super) fn whole(self) -> Option<i64> {
        let unit = 10_i128.checked_pow(self.scale)?;
        let whole = (self.digits % unit == 0).then_some(self.digits / unit)?;
        i64::try_from(whole).ok()
    }

    /// The number with as many decimals as it was written with.
    pub(super) fn text(self) -> String {
        let scale = usize::try_from(self.scale).unwrap_or(0);
        let digits = format!("{:0>1$}", self.digits.unsigned_abs(), scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.digits < 0 { "-" } else { "" };
        match scale {
            0 => format!("{sign}{whole}"),
            _ => format!("{sign}{whole}.{fraction}"),
        }
    }

    /// Whether it was written without a decimal.
    pub(super) fn is_integer(self) -> bool {
        self.scale == 0
    }

    /// The same text for the same number.
    pub(super) fn plain(self) -> String {
        let (mut digits, mut scale) = (self.digits, self.scale);
        while scale > 0 && digits % 10 == 0 {
            (digits, scale) = (digits / 10, scale - 1);
        }
        format!("{digits}e-{scale}")
    }
}

/// A date, a date and time, or a time, as precise as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// Year, month, day, hour, minute, and the seconds in nanoseconds; from the hour in UTC when there
    /// is a zone.
    parts: Vec<i64>,
    is_time: bool,
    zoned: bool,
}

impl Moment {
    /// Reads `YYYY-MM-DDThh:mm:ss.fff+zz:zz` or the start of it, or `Thh:mm:ss`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, time),
            None if text.as_bytes().get(2) == Some(&b':') => ("", text),
            None => (text, ""),
        };
        let is_time = date.is_empty();
        let mut parts = Vec::with_capacity(6);
        for part in date.split('-').filter(|part| !part.is_empty()) {
            parts.push(digits(part)?);
        }
        if parts.len() > 3 || (parts.len() < 3 && !is_time && !time.is_empty()) {
            return None;
        }
        let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
        let (clock, zone) = time.split_at(zone_at);
        let clock: Vec<&str> = clock.split(':').filter(|part| !part.is_empty()).collect();
        for (position, part) in clock.iter().enumerate() {
            parts.push(match position {
                2 => nanoseconds(part)?,
                _ => digits(part)?,
            });
        }
        if clock.len() > 3 {
            return None;
        }
        let moment = Self {
            parts,
            is_time,
            zoned: !zone.is_empty(),
        };
        moment.in_utc(zone)
    }

    /// Shifts a moment by its zone, over the ends of days, months and years.
    fn in_utc(mut self, zone: &str) -> Option<Self> {
        let Some(sign) = zone.chars().next().filter(|c| *c != 'Z') else {
            return Some(self);
        };
        let (hours, minutes) = zone.get(1..)?.split_once(':')?;
        let offset = digits(hours)? * 60 + digits(minutes)?;
        let offset = if sign == '-' { -offset } else { offset };
        let [year, month, day, hour, minute, ..] = *self.parts.as_slice() else {
            return None;
        };
        let minutes = days_from_civil(year, month, day) * 1440 + hour * 60 + minute - offset;
        let (year, month, day) = civil_from_days(minutes.div_euclid(1440));
        let of_day = minutes.rem_euclid(1440);
        let shifted = [year, month, day, of_day / 60, of_day % 60];
        for (part, shifted) in self.parts.iter_mut().zip(shifted) {
            *part = shifted;
        }
        Some(self)
    }

    /// Whether both are times of day, or neither.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        self.is_time == other.is_time
    }

    /// How the two compare; unknown when one is more precise and what both say is the same.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        if !self.is_alike(other) {
            return None;
        }
        if self.zoned != other.zoned && self.parts.len() > 3 && other.parts.len() > 3 {
            return None;
        }
        for (own, other) in self.parts.iter().zip(&other.parts) {
            match own.cmp(other) {
                Ordering::Equal => {}
                unequal => return Some(unequal),
            }
        }
        (self.parts.len() == other.parts.len()).then_some(Ordering::Equal)
    }
}

fn digits(text: &str) -> Option<i64> {
    let plain = text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Seconds with or without a fraction, cut after nine digits.
fn nanoseconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut value = digits(whole)?;
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    for digit in digits {
        value = value * 10 + i64::from(char::from(digit).to_digit(10)?);
    }
    Some(value)
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar (Hinnant, chrono algorithms).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}
