//! What an institution has set: prices, budgets, display.

use crate::{account::Budget, answer::Display, epsilon::Epsilon};
use serde::{Deserialize, Serialize};

/// The settings of discovery. The defaults are those of `docs/discovery.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// What an answer costs.
    pub cost: Epsilon,
    /// What one researcher may spend.
    pub researcher: Budget,
    /// What all researchers of a study may spend together.
    pub study: Budget,
    /// What may be spent on one subject by everybody: the guarantee. The others are brakes.
    pub subject: Budget,
    /// How counts are shown.
    pub display: Display,
}

impl Default for Policy {
    fn default() -> Self {
        let budget = |whole: u64, days| Budget {
            epsilon: Epsilon::from_micro(whole * 1_000_000),
            days: Some(days),
        };
        Self {
            cost: Epsilon::from_micro(500_000),
            researcher: budget(10, 90),
            study: budget(20, 90),
            subject: budget(6, 365),
            display: Display::default(),
        }
    }
}
