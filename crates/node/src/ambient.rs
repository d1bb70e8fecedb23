//! The port to the world's clock and randomness, taken from the engine's runtime context.

use commonware_runtime::{Clock, Supervisor};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

type Fill = dyn FnMut(&mut [u8]) + Send;

/// Clock and randomness of a node. Cheap to clone; under the simulator both are seeded.
#[derive(Clone)]
pub struct Ambient {
    now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    fill: Arc<Mutex<Box<Fill>>>,
}

impl Ambient {
    /// From a runtime context; the context itself goes on being used by the caller.
    pub fn of<E>(context: &E) -> Self
    where
        E: Clock + Supervisor + rand_core::CryptoRng + Send,
    {
        let clock = context.child("clock");
        let mut entropy = context.child("entropy");
        Self::new(
            move || millis(clock.current()),
            move |out: &mut [u8]| rand_core::Rng::fill_bytes(&mut entropy, out),
        )
    }

    /// From two functions: milliseconds since the Unix epoch, and randomness fit for keys.
    pub fn new(
        now_ms: impl Fn() -> u64 + Send + Sync + 'static,
        fill: impl FnMut(&mut [u8]) + Send + 'static,
    ) -> Self {
        Self {
            now_ms: Arc::new(now_ms),
            fill: Arc::new(Mutex::new(Box::new(fill))),
        }
    }

    /// Milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        (self.now_ms)()
    }

    /// Fills `out` with randomness fit for keys.
    pub fn fill(&self, out: &mut [u8]) {
        // A poisoned lock means that a filler panicked half way; the next call fills anew.
        let mut fill = self.fill.lock().unwrap_or_else(PoisonError::into_inner);
        (*fill)(out);
    }

    /// `N` random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// The randomness as the port of `keys`.
    pub fn entropy(&self) -> impl FnMut(&mut [u8]) + Send + Clone + 'static {
        let this = self.clone();
        move |out: &mut [u8]| this.fill(out)
    }
}

impl std::fmt::Debug for Ambient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ambient")
    }
}

fn millis(time: std::time::SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
