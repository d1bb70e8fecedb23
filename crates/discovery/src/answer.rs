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
