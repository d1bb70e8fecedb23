//! Opened keys of the compartments in use: bounded, wiped when they leave.
//!
//! Two generations of half the bound each: a hit moves a key to the young one; when the young one is
//! full it becomes the old one and the old one is dropped. A subject that was shut out (its erasure has
//! begun) is refused from then on, whoever still tries to put its key in.

use codec::SubjectId;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A bounded map from subject to opened keys.
pub(crate) struct Cache<T> {
    half: usize,
    state: Mutex<State<T>>,
}

struct State<T> {
    young: HashMap<SubjectId, Arc<T>>,
    old: HashMap<SubjectId, Arc<T>>,
    shut_out: HashSet<SubjectId>,
}

/// The subject was shut out.
pub(crate) struct ShutOut;

impl<T> Cache<T> {
    /// A cache of at most `bound` opened keys (at least two).
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            half: (bound / 2).max(1),
            state: Mutex::new(State {
                young: HashMap::new(),
                old: HashMap::new(),
                shut_out: HashSet::new(),
            }),
        }
    }

    /// The keys of a subject, if they are here.
    pub(crate) fn hit(&self, subject: &SubjectId) -> Result<Option<Arc<T>>, ShutOut> {
        let mut state = self.lock();
        if state.shut_out.contains(subject) {
            return Err(ShutOut);
        }
        if let Some(found) = state.young.get(subject) {
            return Ok(Some(Arc::clone(found)));
        }
        let found = state.old.remove(subject);
        if let Some(found) = &found {
            self.add(&mut state, *subject, Arc::clone(found));
        }
        Ok(found)
    }

    /// Puts the keys of a subject in.
    pub(crate) fn insert(&self, subject: SubjectId, value: T) -> Result<Arc<T>, ShutOut> {
        let mut state = self.lock();
        if state.shut_out.contains(&subject) {
            return Err(ShutOut);
        }
        let value = Arc::new(value);
        self.add(&mut state, subject, Arc::clone(&value));
        Ok(value)
    }

    /// Drops the keys of a subject and refuses them from now on.
    pub(crate) fn shut_out(&self, subject: SubjectId) {
        let mut state = self.lock();
        state.young.remove(&subject);
        state.old.remove(&subject);
        state.shut_out.insert(subject);
    }

    /// Takes a subject in again whose erasure could not be recorded.
    pub(crate) fn let_in(&self, subject: &SubjectId) {
        self.lock().shut_out.remove(subject);
    }

    /// Whether a subject was shut out.
    pub(crate) fn is_shut_out(&self, subject: &SubjectId) -> bool {
        self.lock().shut_out.contains(subject)
    }

    fn add(&self, state: &mut State<T>, subject: SubjectId, value: Arc<T>) {
        if state.young.len() >= self.half {
            state.old = std::mem::take(&mut state.young);
        }
        state.young.insert(subject, value);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;
    use codec::SubjectId;
    use std::sync::Arc;

    fn subject(n: u8) -> SubjectId {
        SubjectId::new([n; 32])
    }

    #[test]
    fn it_is_bounded_and_drops_what_it_lets_go() {
        let cache = Cache::new(4);
        let first = cache.insert(subject(0), 0).ok().unwrap();
        for n in 1..100 {
            cache.insert(subject(n), n).ok().unwrap();
            let state = cache.lock();
            assert!(state.young.len() + state.old.len() <= 4);
        }
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn what_is_in_use_stays() {
        let cache = Cache::new(4);
        cache.insert(subject(0), 0).ok().unwrap();
        for n in 1..50 {
            cache.insert(subject(n), n).ok().unwrap();
            assert!(cache.hit(&subject(0)).ok().unwrap().is_some());
        }
    }

    #[test]
    fn shut_out_is_refused() {
        let cache = Cache::new(4);
        cache.insert(subject(1), 1).ok().unwrap();
        cache.shut_out(subject(1));
        assert!(cache.hit(&subject(1)).is_err());
        assert!(cache.insert(subject(1), 1).is_err());
        cache.let_in(&subject(1));
        assert!(cache.hit(&subject(1)).ok().unwrap().is_none());
    }
}
