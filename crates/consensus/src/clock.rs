//! The runtime's clock in milliseconds.

use std::time::{SystemTime, UNIX_EPOCH};

use commonware_runtime::Clock;

/// Unix milliseconds by the runtime's clock.
pub(crate) fn now_ms(clock: &impl Clock) -> u64 {
    to_ms(clock.current())
}

fn to_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
