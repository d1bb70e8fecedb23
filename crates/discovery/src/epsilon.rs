//! Privacy loss, counted in whole millionths.

use std::{fmt, iter::Sum, str::FromStr};

/// A privacy loss (the epsilon of pure differential privacy) in millionths.
///
/// Losses of answers about the same person add up (sequential composition), so they are integers:
/// sums are exact, and never wrap: what does not fit stays at the largest value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epsilon(u64);

impl Epsilon {
    /// No loss.
    pub const ZERO: Self = Self(0);

    /// A loss of this many millionths.
    pub const fn from_micro(micro: u64) -> Self {
        Self(micro)
    }

    /// The loss in millionths.
    pub const fn micro(self) -> u64 {
        self.0
    }

    /// Both losses together; the largest value if that does not fit.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left of this after `other`; nothing if that is more.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Epsilon {
    fn sum<I: Iterator<Item = Self>>(losses: I) -> Self {
        losses.fold(Self::ZERO, Self::plus)
    }
}

impl fmt::Display for Epsilon {
    /// As a decimal without needless zeros: `0.5`, `2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if rest == 0 {
            return f.pad(&whole.to_string());
        }
        let digits = format!("{rest:06}");
        f.pad(&format!("{whole}.{}", digits.trim_end_matches('0')))
    }
}

/// Text that is no privacy loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no decimal number with at most six decimals, like 0.5")]
pub struct NotAnEpsilon;

impl FromStr for Epsilon {
    type Err = NotAnEpsilon;

    fn from_str(text: &str) -> Result<Self, NotAnEpsilon> {
        let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(rest) || rest.len() > 6 {
            return Err(NotAnEpsilon);
        }
        let whole: u64 = whole.parse().map_err(|_| NotAnEpsilon)?;
        let rest: u64 = format!("{rest:0<6}").parse().map_err(|_| NotAnEpsilon)?;
        let micro = whole
            .checked_mul(1_000_000)
            .and_then(|micro| micro.checked_add(rest));
        micro.map(Self).ok_or(NotAnEpsilon)
    }
}

impl codec::Encode for Epsilon {
    fn encode(&self, w: &mut codec::Writer) {
        w.uint(self.0);
    }
}

impl codec::Decode for Epsilon {
    fn decode(r: &mut codec::Reader<'_>) -> Result<Self, codec::Error> {
        r.uint().map(Self)
    }
}

impl serde::Serialize for Epsilon {
    /// As a string: the digits stay those that were written.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Epsilon {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
