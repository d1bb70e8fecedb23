//! The port to the world's clock and randomness, taken from the engine's runtime context.

use commonware_runtime::{Clock, Supervisor};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

type Fill = dyn FnMut(&mut [u8]) + Send;
type Sleep = dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync;

/// Clock and randomness of a node. Cheap to clone; under the simulator both are seeded.
#[derive(Clone)]
pub struct Ambient {
    now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    fill: Arc<Mutex<Box<Fill>>>,
    sleep: Arc<Sleep>,
}

impl Ambient {
    /// From a runtime context; the context itself goes on being used by the caller.
    pub fn of<E>(context: &E) -> Self
    where
        E: Clock + Supervisor + rand_core::CryptoRng + Send,
    {
        let clock = context.child("clock");
        let mut entropy = context.child("entropy");
        let sleeper = context.child("sleep");
        Self {
            now_ms: Arc::new(move || millis(clock.current())),
            fill: Arc::new(Mutex::new(Box::new(move |out: &mut [u8]| {
                rand_core::Rng::fill_bytes(&mut entropy, out);
            }))),
            sleep: Arc::new(move |duration| sleeper.sleep(duration).boxed()),
        }
    }

    /// With another clock, for simulations of clocks that are wrong.
    #[must_use]
    pub fn with_clock(self, now_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self {
            now_ms: Arc::new(now_ms),
            ..self
        }
    }

    /// Sleeps by the runtime's timer. Only for tasks of that runtime.
    pub(crate) async fn sleep_ms(&self, duration_ms: u64) {
        (self.sleep)(Duration::from_millis(duration_ms)).await;
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
