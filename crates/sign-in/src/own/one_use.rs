//! What is good once and not for long: consents under way, codes, launches. It dies with the process.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// How many there are at most.
const MAX_HELD: usize = 10_000;
/// How many of one owner there are at most, so that nobody uses up the room of all.
const MAX_EACH: usize = 64;

/// Values by the fingerprint of a secret.
#[derive(Debug)]
pub(crate) struct OneUse<T>(Mutex<HashMap<String, Held<T>>>);

#[derive(Debug)]
struct Held<T> {
    value: T,
    owner: String,
    until_ms: u64,
}

impl<T> Default for OneUse<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> OneUse<T> {
    /// Keeps a value of an owner until then, in milliseconds. False: there is no room, for all or for this one.
    pub(crate) fn put(
        &self,
        key: String,
        value: T,
        owner: &str,
        until_ms: u64,
        now_ms: u64,
    ) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_owner = |held: &&Held<T>| held.owner == owner;
        if held.len() >= MAX_HELD || held.values().filter(of_owner).count() >= MAX_EACH {
            held.retain(|_, held| held.until_ms > now_ms);
            if held.len() >= MAX_HELD || held.values().filter(of_owner).count() >= MAX_EACH {
                return false;
            }
        }
        let owner = owner.to_owned();
        held.insert(
            key,
            Held {
                value,
                owner,
                until_ms,
            },
        );
        true
    }

    /// Takes it out, whether or not it is still good; only what is good is given.
    pub(crate) fn take(&self, key: &str, now_ms: u64) -> Option<T> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.remove(key)?;
        (now_ms < held.until_ms).then_some(held.value)
    }
}
