//! From a noisy count to what is shown, and how far it may be off.
//!
//! Nothing here sees an exact count. All of it is post-processing of one noisy number, which costs
//! no privacy: yes or no, the floor and the rounding are read off the same draw.

use crate::epsilon::Epsilon;
use codec::record;
use serde::{Deserialize, Serialize};

record! {
    /// A count with its noise in it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Drawn {
        /// The noisy count; may be negative.
        1 => pub noisy: i64,
        /// The loss at which it was drawn.
        2 => pub epsilon: Epsilon,
    }
}

/// How a noisy count is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Display {
    /// A noisy count below this is shown as none. At least 1.
    pub floor: u64,
    /// The step to which counts are rounded; 1 leaves them.
    pub step: u64,
}

impl Default for Display {
    /// From five on, unrounded.
    fn default() -> Self {
        Self { floor: 5, step: 1 }
    }
}

/// What is shown of a noisy count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Below the floor: shown as a no and as 0. It does not say that there is nobody.
    BelowFloor,
    /// At least the floor.
    About(u64),
}

impl Shown {
    /// The yes or no of Beacon: whether the noisy count reaches the floor.
    pub fn exists(self) -> bool {
        matches!(self, Self::About(_))
    }

    /// The number of Beacon: never negative, and 0 exactly when [`Shown::exists`] is false.
    pub fn count(self) -> u64 {
        match self {
            Self::BelowFloor => 0,
            Self::About(count) => count,
        }
    }
}

impl Display {
    /// What is shown of `noisy`: rounded to the nearest step (half up), but never below the floor.
    pub fn show(&self, noisy: i64) -> Shown {
        let floor = self.floor.max(1);
        match u64::try_from(noisy) {
            Ok(noisy) if noisy >= floor => Shown::About(rounded(noisy, self.step).max(floor)),
            _ => Shown::BelowFloor,
        }
    }
}

fn rounded(count: u64, step: u64) -> u64 {
    let step = step.max(1);
    let down = count - count % step;
    if count % step >= step.div_ceil(2) {
        down.saturating_add(step)
    } else {
        down
    }
}

/// How far counts drawn at one loss are off: the two-sided geometric distribution,
/// `P(Z = z) = (1 - a) / (1 + a) * a^|z|` with `a = e^-epsilon`.
///
/// For people to read, not for accounting: these are floats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    a: f64,
}

impl Accuracy {
    /// At this loss.
    pub fn at(epsilon: Epsilon) -> Self {
        // Exact up to 2^53 millionths, which is more than anybody spends.
        #[allow(clippy::cast_precision_loss, reason = "see above")]
        let epsilon = epsilon.micro() as f64 / 1_000_000.0;
        Self {
            a: (-epsilon).exp(),
        }
    }

    /// How far a count is off on average, in people.
    pub fn mean_error(self) -> f64 {
        2.0 * self.a / (1.0 - self.a * self.a)
    }

    /// The distance, in people, within which a count is at least this often (`0.95`).
    pub fn margin(self, share: f64) -> u64 {
        // P(|Z| > m) = 2 a^(m + 1) / (1 + a)
        let beyond = |m: u64| 2.0 * self.power(m.saturating_add(1)) / (1.0 + self.a);
        (0..MAX_MARGIN)
            .find(|m| beyond(*m) <= 1.0 - share)
            .unwrap_or(MAX_MARGIN)
    }

    /// How often a yes is given although there are `truly` people, fewer than the floor.
    /// How often it is rightly given, if there are as many as the floor or more.
    pub fn yes(self, truly: u64, floor: u64) -> f64 {
        if truly < floor {
            // P(Z >= k) = a^k / (1 + a), k >= 1
            self.power(floor - truly) / (1.0 + self.a)
        } else {
            // P(Z >= -k) = 1 - a^(k + 1) / (1 + a), k >= 0
            1.0 - self.power((truly - floor).saturating_add(1)) / (1.0 + self.a)
        }
    }

    fn power(self, exponent: u64) -> f64 {
        self.a.powi(i32::try_from(exponent).unwrap_or(i32::MAX))
    }
}

/// No margin is searched beyond.
const MAX_MARGIN: u64 = 100_000;
