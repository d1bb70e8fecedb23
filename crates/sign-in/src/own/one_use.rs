//! What is good once and not for long: consents under way, codes, launches. It dies with the process.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// How many there are at most.
const MAX_HELD: usize = 10_000;

/// Values by the fingerprint of a secret.
#[derive(Debug)]
pub(crate) struct OneUse<T>(Mutex<HashMap<String, (T, u64)>>);

impl<T> Default for OneUse<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> OneUse<T> {
    /// Keeps a value until then, in milliseconds. False: there is no room.
    pub(crate) fn put(&self, key: String, value: T, until_ms: u64, now_ms: u64) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MAX_HELD {
            held.retain(|_, (_, until)| *until > now_ms);
            if held.len() >= MAX_HELD {
                return false;
            }
        }
        held.insert(key, (value, until_ms));
        true
    }

    /// Takes it out, whether or not it is still good; only what is good is given.
    pub(crate) fn take(&self, key: &str, now_ms: u64) -> Option<T> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, until_ms) = held.remove(key)?;
        (now_ms < until_ms).then_some(value)
    }
}
