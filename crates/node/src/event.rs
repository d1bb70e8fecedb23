//! Events for other parts of the node's process: bounded, and lost by who cannot keep up.
//!
//! An event is a hint, never the truth: a subscriber that was cut off subscribes again and re-reads.

use codec::id::{RecordId, SubjectId};
use futures::channel::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A record is in a finalised block.
    RecordCommitted {
        /// Whose.
        subject: SubjectId,
        /// Which.
        record: RecordId,
        /// Its version.
        version: u32,
        /// The block.
        height: u64,
    },
    /// A consent change is final.
    ConsentFinal {
        /// Whose.
        subject: SubjectId,
        /// Its sequence.
        sequence: u64,
    },
    /// A disclosure period is final: its proofs can be had.
    PeriodFinal {
        /// The period.
        period: u64,
    },
    /// A subject's differential has news, for clinicians only.
    DifferentialChanged {
        /// Whose.
        subject: SubjectId,
    },
    /// A break-glass session was opened and wants review.
    BreakGlassOpened {
        /// Whose records.
        subject: SubjectId,
    },
}

/// A stream of events. It ends when the node stops or the subscriber fell too far behind.
pub type Events = mpsc::Receiver<Event>;

/// The sending side.
#[derive(Clone)]
pub(crate) struct Broadcast {
    backlog: usize,
    subscribers: Arc<Mutex<Vec<mpsc::Sender<Event>>>>,
}

impl Broadcast {
    pub(crate) fn new(backlog: usize) -> Self {
        Self {
            backlog,
            subscribers: Arc::default(),
        }
    }

    pub(crate) fn subscribe(&self) -> Events {
        let (sender, receiver) = mpsc::channel(self.backlog);
        self.lock().push(sender);
        receiver
    }

    /// Sends to all; a full or closed subscriber is dropped, which ends its stream.
    pub(crate) fn send(&self, event: &Event) {
        self.lock()
            .retain_mut(|subscriber| subscriber.try_send(event.clone()).is_ok());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<mpsc::Sender<Event>>> {
        self.subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
