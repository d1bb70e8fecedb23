//! Room for others: bounded in all, and for each of them, so that none keeps the others out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places that others take, each known by a `K`. Cheap to clone; clones are the same places.
#[derive(Clone, Debug)]
pub struct Places<K> {
    all: usize,
    each: usize,
    // Nobody is there with zero.
    taken: Arc<Mutex<BTreeMap<K, usize>>>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub struct Place<K: Ord> {
    places: Places<K>,
    whose: K,
}

impl<K: Ord + Clone> Places<K> {
    /// At most so many in all, and so many for each.
    #[must_use]
    pub fn new(all: usize, each: usize) -> Self {
        Self {
            all,
            each,
            taken: Arc::default(),
        }
    }

    /// A place; none if there is no room for who asks.
    #[must_use]
    pub fn take(&self, whose: K) -> Option<Place<K>> {
        let mut taken = self.lock();
        let own = taken.get(&whose).copied().unwrap_or(0);
        if own >= self.each || taken.values().sum::<usize>() >= self.all {
            return None;
        }
        taken.insert(whose.clone(), own.saturating_add(1));
        Some(Place {
            places: self.clone(),
            whose,
        })
    }
}

impl<K> Places<K> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        match taken.get_mut(&self.whose) {
            Some(own) if *own > 1 => *own = own.saturating_sub(1),
            _ => {
                taken.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_the_places() {
        let places = Places::new(5, 3);
        let take = |who, count: usize| -> Vec<Option<Place<u8>>> {
            (0..count).map(|_| places.take(who)).collect()
        };
        let mut first = take(1, 4);
        assert!(first.pop().flatten().is_none());
        let second = take(2, 2);
        assert!(second.iter().all(Option::is_some));
        assert!(places.take(3).is_none(), "there is none left");
        first.pop();
        let third = places.take(3);
        assert!(third.is_some() && places.take(4).is_none());
        drop((first, second, third));
        assert!(places.lock().is_empty());
    }
}
