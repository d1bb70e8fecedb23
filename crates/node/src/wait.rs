//! Waiting within the process: for finality, and pumps for work.

use codec::id::Digest;
use futures::channel::oneshot;
use futures::task::AtomicWaker;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// Resolves when what is waited for has happened, or never will in this process.
pub(crate) struct Signal(oneshot::Receiver<()>);

impl Future for Signal {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context).map(|_| ())
    }
}

/// Who waits for which entry or commitment. Bounded by the calls in flight.
#[derive(Default)]
pub(crate) struct Waits(Mutex<BTreeMap<Digest, Vec<oneshot::Sender<()>>>>);

impl Waits {
    pub(crate) fn on(&self, what: Digest) -> Signal {
        let (sender, receiver) = oneshot::channel();
        let mut waits = self.lock();
        // Those who no longer wait are forgotten when the next one comes.
        waits.retain(|_, senders| {
            senders.retain(|sender| !sender.is_canceled());
            !senders.is_empty()
        });
        waits.entry(what).or_default().push(sender);
        Signal(receiver)
    }

    pub(crate) fn happened(&self, what: &Digest) {
        for sender in self.lock().remove(what).into_iter().flatten() {
            sender.send(()).ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Vec<oneshot::Sender<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes one pump. Waking it twice before it looks is waking it once.
#[derive(Clone, Default)]
pub(crate) struct Wake(Arc<Flag>);

#[derive(Default)]
struct Flag {
    raised: AtomicBool,
    waker: AtomicWaker,
}

/// The wakes of all pumps.
#[derive(Clone, Default)]
pub(crate) struct Wakes {
    /// There are commitments to put into a batch.
    pub(crate) records: Wake,
    /// There are entries to submit.
    pub(crate) courier: Wake,
    /// There are differentials to make again.
    pub(crate) differentials: Wake,
    /// There are exports to plan.
    pub(crate) exports: Wake,
    /// A release is to be made, or was certified.
    pub(crate) releases: Wake,
    /// There are notifications to send, or subscriptions that changed.
    pub(crate) subscriptions: Wake,
}

impl Wake {
    pub(crate) fn wake(&self) {
        self.0.raised.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    /// Resolves when it was woken since the last time. For one pump only.
    pub(crate) fn woken(&self) -> impl Future<Output = ()> + Send + 'static {
        let flag = self.0.clone();
        std::future::poll_fn(move |context| {
            flag.waker.register(context.waker());
            if flag.raised.swap(false, Ordering::AcqRel) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
    }
}
