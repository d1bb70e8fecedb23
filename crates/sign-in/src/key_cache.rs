//! Somebody's keys, fetched and kept: anew when they are old or one is missing, never too often, and for a while
//! when nobody answers.

use crate::jwt::KeySet;
use std::sync::{Arc, Mutex, PoisonError};

/// Between two tries to fetch somebody's keys, whatever is the reason, in milliseconds.
pub const RETRY_MS: u64 = 10_000;
/// Keys older than this are fetched anew when a token comes, in milliseconds.
pub const FRESH_MS: u64 = 15 * 60_000;
/// Keys older than this are not believed any more, in milliseconds.
pub const KEEP_MS: u64 = 24 * 3_600_000;

/// The keys of one issuer or client.
#[derive(Debug, Default)]
pub(crate) struct KeyCache(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    keys: Option<Arc<KeySet>>,
    fetched_ms: u64,
    tried_ms: Option<u64>,
}

/// What there is.
pub(crate) enum Cached {
    /// These keys, or none.
    Keys(Option<Arc<KeySet>>),
    /// They are to be fetched first.
    Fetch,
}

impl KeyCache {
    /// The keys for a token that names `key_id`.
    pub(crate) fn keys(&self, key_id: Option<&str>, now_ms: u64) -> Cached {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let believed = now_ms < kept.fetched_ms.saturating_add(KEEP_MS);
        let keys = kept.keys.as_ref().filter(|_| believed);
        let has_it = keys.is_some_and(|keys| key_id.is_none_or(|id| keys.has(id)));
        let fresh = now_ms < kept.fetched_ms.saturating_add(FRESH_MS);
        if !(has_it && fresh) && kept.may_try(now_ms) {
            return Cached::Fetch;
        }
        Cached::Keys(keys.cloned())
    }

    /// Fetches them, if it may be tried again. Why not, if they cannot be had.
    pub(crate) fn fetch(
        &self,
        now_ms: u64,
        fetch: impl FnOnce() -> Result<KeySet, String>,
    ) -> Result<(), String> {
        {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !kept.may_try(now_ms) {
                return Ok(());
            }
            kept.tried_ms = Some(now_ms);
        }
        // Not held while it is fetched: whoever comes meanwhile uses what there is.
        let keys = fetch()?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.keys = Some(Arc::new(keys));
        kept.fetched_ms = now_ms;
        Ok(())
    }
}

impl Kept {
    fn may_try(&self, now_ms: u64) -> bool {
        self.tried_ms
            .is_none_or(|tried| now_ms >= tried.saturating_add(RETRY_MS) || now_ms < tried)
    }
}
