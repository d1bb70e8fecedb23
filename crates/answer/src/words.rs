//! Numbers in words: how strong evidence is, and how much a question would tell.

use serde::Serialize;

/// How strong a likelihood ratio is, either way. Bounds as in Jaeschke et al., JAMA 1994: "Users'
/// guides to the medical literature III".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Under 2, over a half.
    Slight,
    /// From 2, or a half.
    Weak,
    /// From 5, or a fifth.
    Moderate,
    /// From 10, or a tenth.
    Strong,
}

impl Strength {
    /// Of a natural logarithm of a likelihood ratio.
    #[must_use]
    pub fn of(weight: f32) -> Self {
        let bounds = [
            (10.0_f32, Self::Strong),
            (5.0, Self::Moderate),
            (2.0, Self::Weak),
        ];
        bounds
            .into_iter()
            .find(|(ratio, _)| weight.abs() >= ratio.ln())
            .map_or(Self::Slight, |(_, strength)| strength)
    }

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Slight => "slight",
            Self::Weak => "weak",
            Self::Moderate => "moderate",
            Self::Strong => "strong",
        }
    }
}

/// How much the answer to a question of yes or no would tell; it cannot tell more than 1 bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Telling {
    /// Under 0.15 bits.
    Little,
    /// From 0.15 bits.
    Some,
    /// From 0.4 bits.
    Much,
}

impl Telling {
    /// Of a gain in bits.
    #[must_use]
    pub fn of(gain_bits: f64) -> Self {
        match gain_bits {
            bits if bits >= 0.4 => Self::Much,
            bits if bits >= 0.15 => Self::Some,
            _ => Self::Little,
        }
    }

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Little => "tells little",
            Self::Some => "tells some",
            Self::Much => "tells much",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strength_is_the_same_for_and_against() {
        for (ratio, expect) in [
            (1.9_f32, Strength::Slight),
            (2.1, Strength::Weak),
            (5.1, Strength::Moderate),
            (10.1, Strength::Strong),
        ] {
            assert_eq!(Strength::of(ratio.ln()), expect);
            assert_eq!(Strength::of((1.0 / ratio).ln()), expect);
        }
    }
}
