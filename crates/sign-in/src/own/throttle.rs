//! How often somebody may try: failures make the next try wait, longer each time.
//!
//! A try counts as a failure from its beginning, so that many at once are no way round; a success forgets it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Failures that are nobody's business.
const FREE: u32 = 5;
/// Failures are forgotten after this long without another, in milliseconds.
const FORGET_MS: u64 = 3_600_000;
/// How many are remembered.
const MAX_KEYS: usize = 20_000;

/// Remembers failures by key.
#[derive(Debug)]
pub struct Throttle {
    most_ms: u64,
    failures: Mutex<HashMap<String, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    times: u32,
    last_ms: u64,
}

/// It is too early: wait so long, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many tries; wait {} seconds", .wait_ms.div_ceil(1000))]
pub struct TooEarly {
    /// How long.
    pub wait_ms: u64,
}

impl Throttle {
    /// Nobody waits longer than `most_ms`.
    pub fn new(most_ms: u64) -> Self {
        Self {
            most_ms,
            failures: Mutex::default(),
        }
    }

    /// Begins a try.
    ///
    /// # Errors
    /// [`TooEarly`]; then the try did not begin and does not count.
    pub fn attempt(&self, key: &str, now_ms: u64) -> Result<(), TooEarly> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MAX_KEYS && !failures.contains_key(key) {
            failures.retain(|_, f| now_ms < f.last_ms.saturating_add(FORGET_MS));
            if failures.len() >= MAX_KEYS {
                // Somebody fills the memory: whoever is new waits until others are forgotten.
                let wait_ms = self.most_ms;
                return Err(TooEarly { wait_ms });
            }
        }
        let entry = failures.entry(key.to_owned()).or_insert(Failures {
            times: 0,
            last_ms: now_ms,
        });
        if now_ms >= entry.last_ms.saturating_add(FORGET_MS) {
            entry.times = 0;
        }
        let next_ms = entry.last_ms.saturating_add(self.pause_ms(entry.times));
        if now_ms < next_ms {
            let wait_ms = next_ms - now_ms;
            return Err(TooEarly { wait_ms });
        }
        entry.times = entry.times.saturating_add(1);
        entry.last_ms = now_ms;
        Ok(())
    }

    /// The try succeeded: what went before is forgotten.
    pub fn succeeded(&self, key: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(key);
    }

    /// The try succeeded, and that alone: others' failures under the same key stay (an address that many share).
    pub fn forgiven(&self, key: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = failures.get_mut(key) {
            entry.times = entry.times.saturating_sub(1);
        }
    }

    fn pause_ms(&self, times: u32) -> u64 {
        match times.checked_sub(FREE) {
            None => 0,
            Some(over) => 1_000_u64
                .saturating_mul(1 << over.min(30))
                .min(self.most_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_end() {
        let throttle = Throttle::new(8_000);
        let mut now_ms = 1_000_000;
        for _ in 0..5 {
            assert_eq!(throttle.attempt("a", now_ms), Ok(()));
        }
        for wait_ms in [1_000, 2_000, 4_000, 8_000, 8_000, 8_000] {
            assert_eq!(throttle.attempt("a", now_ms), Err(TooEarly { wait_ms }));
            assert_eq!(throttle.attempt("b", now_ms), Ok(()), "another");
            throttle.succeeded("b");
            now_ms += wait_ms;
            assert_eq!(throttle.attempt("a", now_ms), Ok(()));
        }
        assert!(throttle.attempt("a", now_ms).is_err());
        assert_eq!(throttle.attempt("a", now_ms + FORGET_MS), Ok(()));
        assert_eq!(throttle.attempt("a", now_ms + FORGET_MS), Ok(()));
    }

    #[test]
    fn success_forgets() {
        let throttle = Throttle::new(8_000);
        for _ in 0..5 {
            throttle.attempt("a", 7).unwrap();
        }
        throttle.succeeded("a");
        for _ in 0..5 {
            throttle.attempt("a", 7).unwrap();
        }
        assert!(throttle.attempt("a", 7).is_err());
        throttle.forgiven("a");
        assert!(throttle.attempt("a", 7).is_ok());
        assert!(throttle.attempt("a", 7).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::new(8_000);
        for n in 0..MAX_KEYS {
            throttle.attempt(&n.to_string(), 7).unwrap();
        }
        assert!(throttle.attempt("new", 7).is_err());
        assert!(throttle.attempt("0", 7).is_ok());
        assert!(throttle.attempt("new", 7 + FORGET_MS).is_ok());
    }
}
