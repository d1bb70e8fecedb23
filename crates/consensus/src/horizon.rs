//! How far the network is known to have come, whatever this node holds of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The greatest height that peers were seen to have reached. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Horizon(Arc<AtomicU64>);

impl Horizon {
    /// The greatest height seen; 0 before anything was.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn seen(&self, height: u64) {
        self.0.fetch_max(height, Ordering::Relaxed);
    }
}
