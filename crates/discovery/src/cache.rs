//! Answers that were given, so that the same question is not drawn anew.
//!
//! **Whoever asks the same again in the same epoch gets the same number and pays nothing.** Fresh
//! noise for nothing could be averaged away.
//!
//! - The same: the same [`Query::digest`](crate::Query::digest), study and researcher. To anybody else
//!   it is a new disclosure: decided, computed from who consents now, and paid for. So a stored
//!   answer only ever goes back to the one who has it, to whom it says nothing new, whatever has
//!   been withdrawn since.
//! - An epoch is one day of UTC, by the clock alone. A withdrawal does not end it: if the same
//!   question then cost something, or gave another number, the researcher would learn that somebody
//!   who counted has left (and who knows that Anna left on Tuesday would learn that she was there).
//!   A count that is computed after a withdrawal never holds the person who withdrew; a stored one
//!   that does is at most a day old and ends with the day.
//! - A new epoch draws new noise and costs anew, changed consents or not; so neither averaging over
//!   epochs nor the difference of two of them gives more than the budgets allow.

use crate::{answer::Drawn, epsilon::Epsilon};
use codec::{Digest, Millis, StudyId, record};

/// How long an answer may stand, in milliseconds: until the end of the UTC day.
pub const EPOCH_MS: u64 = 86_400_000;

record! {
    /// Under what an answer is kept.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct CacheKey {
        /// The day, counted from 1970-01-01. Rows of earlier days are to be deleted.
        1 => pub epoch: u64,
        /// The study it was asked for.
        2 => pub study: StudyId,
        /// Who asked: [`researcher`](crate::researcher).
        3 => pub researcher: Digest,
        /// The question.
        4 => pub query: Digest,
    }
}

impl CacheKey {
    /// The key of a question at a time.
    pub fn new(query: Digest, study: StudyId, researcher: Digest, now: Millis) -> Self {
        Self {
            epoch: now.get() / EPOCH_MS,
            study,
            researcher,
            query,
        }
    }

    /// When the answer under it ends.
    pub fn ends(&self) -> Millis {
        Millis::new(self.epoch.saturating_add(1).saturating_mul(EPOCH_MS))
    }
}

record! {
    /// An answer that was given.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CachedAnswer {
        /// The noisy count.
        1 => pub drawn: Drawn,
        /// When it was drawn.
        2 => pub at: Millis,
    }
}

impl CachedAnswer {
    /// What it had cost.
    pub fn cost(&self) -> Epsilon {
        self.drawn.epsilon
    }
}
