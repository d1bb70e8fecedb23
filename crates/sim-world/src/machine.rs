//! One machine: the simulator's scheduler, with a disk and a clock of its own.
//!
//! Everything a node asks of its runtime goes through here. Its clock may be wrong and may jump; a
//! sleep lasts as long as it says whatever the clock does meanwhile. A panic of one of its tasks ends
//! that task alone and is remembered: whether it was allowed is for the checkers to say.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use commonware_runtime::telemetry::metrics::{Metric, Registered};
use commonware_runtime::{
    BlobVersion, Clock, Error, Handle, Metrics, Name, Spawner, Storage, Supervisor, deterministic,
    signal,
};
use futures::FutureExt as _;
use rand_core::{TryCryptoRng, TryRng};

use crate::disk::{Disk, Opened};

/// Nothing is waited for longer; some wait for the end of time, which no clock shows.
const LONGEST_SLEEP: Duration = Duration::from_secs(365 * 86_400);

/// What makes a machine itself. Cheap to clone.
#[derive(Clone, Default)]
pub struct Body {
    /// Its disk.
    pub disk: Disk,
    skew_ms: Arc<AtomicI64>,
    panics: Arc<Mutex<Vec<String>>>,
}

impl Body {
    /// A machine with this disk.
    #[must_use]
    pub fn with_disk(disk: Disk) -> Self {
        Self {
            disk,
            ..Self::default()
        }
    }

    /// How far its clock is ahead from now on, in ms.
    pub fn set_clock(&self, ahead_ms: i64) {
        self.skew_ms.store(ahead_ms, Ordering::Relaxed);
    }

    /// What its tasks died of since this was last asked.
    #[must_use]
    pub fn panics(&self) -> Vec<String> {
        std::mem::take(&mut self.panics.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn panicked(&self, payload: &(dyn std::any::Any + Send)) {
        let text = payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| {
                payload
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
            })
            .unwrap_or_else(|| "of something".to_owned());
        let mut panics = self.panics.lock().unwrap_or_else(PoisonError::into_inner);
        panics.push(text);
    }

    fn shown(&self, true_time: SystemTime) -> SystemTime {
        let skew_ms = self.skew_ms.load(Ordering::Relaxed);
        let by = Duration::from_millis(skew_ms.unsigned_abs());
        if skew_ms < 0 {
            true_time - by
        } else {
            true_time + by
        }
    }
}

/// A task's place on a machine.
pub struct Machine {
    inner: deterministic::Context,
    body: Body,
}

impl Machine {
    /// A machine on this scheduler.
    #[must_use]
    pub fn new(inner: deterministic::Context, body: &Body) -> Self {
        Self {
            inner,
            body: body.clone(),
        }
    }

    fn with(&self, inner: deterministic::Context) -> Self {
        Self {
            inner,
            body: self.body.clone(),
        }
    }
}

impl Supervisor for Machine {
    fn name(&self) -> Name {
        self.inner.name()
    }

    fn child(&self, label: &'static str) -> Self {
        self.with(self.inner.child(label))
    }

    fn with_attribute(self, key: &'static str, value: impl Display) -> Self {
        Self {
            inner: self.inner.with_attribute(key, value),
            body: self.body,
        }
    }
}

impl Spawner for Machine {
    fn shared(self, blocking: bool) -> Self {
        Self {
            inner: self.inner.shared(blocking),
            body: self.body,
        }
    }

    fn dedicated(self) -> Self {
        Self {
            inner: self.inner.dedicated(),
            body: self.body,
        }
    }

    fn spawn<F, Fut, T>(self, f: F) -> Handle<T>
    where
        F: FnOnce(Self) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let body = self.body;
        self.inner.spawn(move |inner| {
            let task = f(Self {
                inner,
                body: body.clone(),
            });
            async move {
                match AssertUnwindSafe(task).catch_unwind().await {
                    Ok(output) => output,
                    Err(payload) => {
                        body.panicked(payload.as_ref());
                        std::panic::resume_unwind(payload)
                    }
                }
            }
        })
    }

    fn stop(
        self,
        value: i32,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        self.inner.stop(value, timeout)
    }

    fn stopped(&self) -> signal::Signal {
        self.inner.stopped()
    }
}

impl Metrics for Machine {
    fn register<N: Into<String>, H: Into<String>, M: Metric>(
        &self,
        name: N,
        help: H,
        metric: M,
    ) -> Registered<M> {
        self.inner.register(name, help, metric)
    }

    fn encode(&self) -> String {
        self.inner.encode()
    }
}

impl governor::clock::Clock for Machine {
    type Instant = SystemTime;

    fn now(&self) -> SystemTime {
        self.current()
    }
}

impl governor::clock::ReasonablyRealtime for Machine {}

impl Clock for Machine {
    fn current(&self) -> SystemTime {
        self.body.shown(self.inner.current())
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.inner.sleep(duration)
    }

    fn sleep_until(
        &self,
        deadline: SystemTime,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        let left = deadline.duration_since(self.current()).unwrap_or_default();
        self.inner.sleep(left.min(LONGEST_SLEEP))
    }
}

impl TryRng for Machine {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.inner.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.inner.try_next_u64()
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Self::Error> {
        self.inner.try_fill_bytes(dest)
    }
}

impl TryCryptoRng for Machine {}

impl Storage for Machine {
    type Blob = Opened;

    async fn open_versioned(
        &self,
        partition: &str,
        name: &[u8],
        versions: std::ops::RangeInclusive<BlobVersion>,
    ) -> Result<(Self::Blob, u64, BlobVersion), Error> {
        self.body
            .disk
            .open_versioned(partition, name, versions)
            .await
    }

    async fn remove(&self, partition: &str, name: Option<&[u8]>) -> Result<(), Error> {
        self.body.disk.remove(partition, name).await
    }

    async fn scan(&self, partition: &str) -> Result<Vec<Vec<u8>>, Error> {
        self.body.disk.scan(partition).await
    }
}
