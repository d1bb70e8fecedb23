//! Decimal numbers, compared exactly.

use std::cmp::Ordering;

/// The most digits that are kept; FHIR asks for 18.
const MAX_DIGITS: usize = 28;

/// A decimal number: `mantissa` times ten to the `exponent`.
#[derive(Clone, Copy)]
pub(super) struct Decimal {
    mantissa: i128,
    exponent: i32,
}

impl Decimal {
    /// Reads a number as JSON writes it. `None` for anything else, for more than 28 digits, and for
    /// exponents beyond 60.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (number, exponent) = match text.find(['e', 'E']) {
            None => (text, 0),
            Some(at) => {
                let exponent: i32 = text.get(at + 1..)?.parse().ok()?;
                (text.get(..at)?, exponent)
            }
        };
        let (sign, digits) = match number.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let is_plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let count = whole.len() + decimals.len();
        if count == 0 || count > MAX_DIGITS || !is_plain(whole) || !is_plain(decimals) {
            return None;
        }
        let all = whole.bytes().chain(decimals.bytes());
        let mantissa = all.fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        let exponent = exponent.checked_sub(i32::try_from(decimals.len()).ok()?)?;
        ((-60..=60).contains(&exponent)).then_some(Self {
            mantissa: sign * mantissa,
            exponent,
        })
    }

    /// The numbers that are rounded to this one at its precision: half a last digit to each side.
    pub(super) fn rounded(self) -> (Self, Self) {
        let at = |offset: i128| Self {
            mantissa: self.mantissa * 10 + offset,
            exponent: self.exponent - 1,
        };
        (at(-5), at(5))
    }

    /// This number less and plus a tenth of it.
    pub(super) fn about(self) -> (Self, Self) {
        let tenth = self.mantissa.abs();
        let at = |offset: i128| Self {
            mantissa: self.mantissa * 10 + offset,
            exponent: self.exponent - 1,
        };
        (at(-tenth), at(tenth))
    }

    /// Near enough for sorting.
    pub(super) fn approximate(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "near enough for sorting")]
        let mantissa = self.mantissa as f64;
        mantissa * 10_f64.powi(self.exponent)
    }

    /// The mantissa at a smaller exponent, while it fits.
    fn scaled(self, exponent: i32) -> Option<i128> {
        let power = u32::try_from(self.exponent.checked_sub(exponent)?).ok()?;
        self.mantissa.checked_mul(10_i128.checked_pow(power)?)
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let signs = self.mantissa.signum().cmp(&other.mantissa.signum());
        if signs != Ordering::Equal || self.mantissa == 0 {
            return signs;
        }
        let exponent = self.exponent.min(other.exponent);
        match (self.scaled(exponent), other.scaled(exponent)) {
            (Some(one), Some(two)) => one.cmp(&two),
            // What overflows is larger by its exponent than 28 digits can make up for.
            (None, _) => self.mantissa.signum().cmp(&0),
            (_, None) => 0.cmp(&other.mantissa.signum()),
        }
    }
}
