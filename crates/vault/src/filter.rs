//! Which tokens a generation of a shard may hold, in memory: a search over all shards looks into those alone that do.
//!
//! A filter belongs to one generation of one shard for as long as the process lives, whoever opens the shard anew.
//! Every posting is noted in it before its batch is committed, and what an earlier process posted is taken up by
//! reading the generation's keys once, a part with each search. So it may hold too many tokens, never too few, as soon
//! as it is complete; until then the shard itself is looked into.
//!
//! Of a blinded token it keeps 8 of the 16 bytes that every key shows.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where the blinded token stands in a posting's key, after the shard and the generation.
const TOKEN_AT: usize = 9;

/// The filters of this process, by shard and generation.
#[derive(Default)]
pub(crate) struct Filters(Mutex<BTreeMap<(u8, u64), Arc<Filter>>>);

/// The tokens of one generation.
#[derive(Default)]
pub(crate) struct Filter(Mutex<Tokens>);

#[derive(Default)]
struct Tokens {
    held: HashSet<[u8; 8]>,
    reading: Reading,
}

/// How far the postings of an earlier process are taken up.
#[derive(Default, Clone)]
enum Reading {
    #[default]
    Nothing,
    /// Up to this key.
    Until(Vec<u8>),
    All,
}

/// What a filter knows of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// No posting carries it.
    Absent,
    /// Some may.
    Perhaps,
}

impl Filters {
    /// The filter of a generation.
    pub(crate) fn of(&self, shard: u8, generation: u64) -> Arc<Filter> {
        let mut filters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(filters.entry((shard, generation)).or_default())
    }

    /// Forgets those of a shard's generations but these: nothing is posted to them any more.
    pub(crate) fn keep(&self, shard: u8, generations: &[u64]) {
        let mut filters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        filters
            .retain(|(number, generation), _| *number != shard || generations.contains(generation));
    }
}

impl Filter {
    /// Notes the token in a posting's key.
    pub(crate) fn note(&self, key: &[u8]) {
        if let Some(token) = token_of(key) {
            self.lock().held.insert(token);
        }
    }

    /// What is known of the token in a key, or in the beginning of one.
    pub(crate) fn knows(&self, key: &[u8]) -> Known {
        let tokens = self.lock();
        let is_complete = matches!(tokens.reading, Reading::All);
        match token_of(key) {
            Some(token) if is_complete && !tokens.held.contains(&token) => Known::Absent,
            _ => Known::Perhaps,
        }
    }

    /// Up to which key the postings of an earlier process were read: none of them yet, or `None` if all were.
    pub(crate) fn left(&self) -> Option<Option<Vec<u8>>> {
        match self.lock().reading.clone() {
            Reading::Nothing => Some(None),
            Reading::Until(key) => Some(Some(key)),
            Reading::All => None,
        }
    }

    /// Takes up keys that were read after `from`; `is_end` if they were the last. Does nothing if somebody else
    /// has gone on from there meanwhile.
    pub(crate) fn take_up<'k>(
        &self,
        from: Option<&[u8]>,
        keys: impl Iterator<Item = &'k [u8]>,
        is_end: bool,
    ) {
        let mut tokens = self.lock();
        let is_next = match &tokens.reading {
            Reading::Nothing => from.is_none(),
            Reading::Until(key) => from == Some(key),
            Reading::All => false,
        };
        if !is_next {
            return;
        }
        let mut last = None;
        for key in keys {
            tokens.held.extend(token_of(key));
            last = Some(key.to_vec());
        }
        tokens.reading = match last {
            _ if is_end => Reading::All,
            Some(last) => Reading::Until(last),
            None => Reading::All,
        };
    }

    fn lock(&self) -> MutexGuard<'_, Tokens> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn token_of(key: &[u8]) -> Option<[u8; 8]> {
    key.get(TOKEN_AT..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::{Filter, Filters, Known};

    fn key(token: u8, rest: u8) -> Vec<u8> {
        let mut key = vec![0; 9];
        key.extend([token; 16]);
        key.extend([rest; 24]);
        key
    }

    #[test]
    fn nothing_is_absent_before_everything_was_read() {
        let filter = Filter::default();
        assert_eq!(filter.knows(&key(1, 0)), Known::Perhaps);
        assert_eq!(filter.left(), Some(None));
        filter.take_up(None, [key(1, 0).as_slice()].into_iter(), false);
        assert_eq!(filter.left(), Some(Some(key(1, 0))));
        assert_eq!(filter.knows(&key(2, 0)), Known::Perhaps);
        // Somebody who read the same part.
        filter.take_up(None, std::iter::empty(), true);
        assert_eq!(filter.left(), Some(Some(key(1, 0))));
        filter.note(&key(3, 0));
        filter.take_up(Some(&key(1, 0)), [key(2, 0).as_slice()].into_iter(), true);
        assert_eq!(filter.left(), None);
        for token in 1..=3 {
            assert_eq!(filter.knows(&key(token, 9)), Known::Perhaps, "{token}");
        }
        assert_eq!(filter.knows(&key(4, 0)), Known::Absent);
        filter.note(&key(4, 0));
        assert_eq!(filter.knows(&key(4, 1)[..25]), Known::Perhaps);
    }

    #[test]
    fn a_generation_has_one_filter_however_often_its_shard_is_opened() {
        let filters = Filters::default();
        filters.of(1, 5).note(&key(1, 0));
        filters.of(1, 5).take_up(None, std::iter::empty(), true);
        assert_eq!(filters.of(1, 5).knows(&key(1, 0)), Known::Perhaps);
        filters.keep(1, &[6]);
        assert_eq!(filters.of(1, 5).left(), Some(None));
    }
}
