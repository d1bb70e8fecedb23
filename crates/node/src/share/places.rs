//! Room for others: bounded in all, and for each of them, so that none keeps the others out.

use codec::id::InstitutionId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places that institutions take. Cheap to clone; clones are the same places. Whoever was not authenticated
/// is one of them.
#[derive(Clone, Debug)]
pub struct Places {
    all: usize,
    each: usize,
    // Nobody is there with zero.
    taken: Arc<Mutex<BTreeMap<Option<InstitutionId>, usize>>>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    whose: Option<InstitutionId>,
}

impl Places {
    /// At most so many in all, and so many for each institution.
    #[must_use]
    pub fn new(all: usize, each: usize) -> Self {
        Self {
            all,
            each,
            taken: Arc::default(),
        }
    }

    /// A place for an institution; none if there is no room for it.
    #[must_use]
    pub fn take(&self, whose: Option<InstitutionId>) -> Option<Place> {
        let mut taken = self.lock();
        let own = taken.get(&whose).copied().unwrap_or(0);
        if own >= self.each || taken.values().sum::<usize>() >= self.all {
            return None;
        }
        taken.insert(whose, own.saturating_add(1));
        Some(Place {
            places: self.clone(),
            whose,
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Option<InstitutionId>, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
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
        let id = |byte| Some(InstitutionId::new([byte; 16]));
        let take = |byte, count: usize| -> Vec<Option<Place>> {
            (0..count).map(|_| places.take(id(byte))).collect()
        };
        let mut first = take(1, 4);
        assert!(first.pop().flatten().is_none());
        let second = take(2, 2);
        assert!(second.iter().all(Option::is_some));
        assert!(places.take(id(3)).is_none(), "there is none left");
        first.pop();
        let third = places.take(id(3));
        assert!(third.is_some() && places.take(None).is_none());
        drop((first, second, third));
        assert!(places.lock().is_empty());
    }
}
