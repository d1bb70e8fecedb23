//! What the rest of a node sees of consensus: submit, look, listen, prove.
//!
//! Cheap to clone and independent of the engine's runtime: its futures may be awaited anywhere.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use codec::{Digest, EntryId, NetworkId};
use commonware_utils::channel::ring;
use futures::{Stream, StreamExt};
use ledger::entry::EntryError;
use ledger::log::Checkpoint;
use ledger::state::View;
use ledger::{Genesis, Header, Refusal};
use store::Store;

use crate::application::Halt;
use crate::certificates::SimplexCertificates;
use crate::evidence::{Fault, Faults};
use crate::gossip::Outbox;
use crate::horizon::Horizon;
use crate::replica::Replica;
use crate::rows::{self, Position, RowError};

/// The last finalised block, as this node knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its height.
    pub height: u64,
    /// Its time, in Unix milliseconds.
    pub time_ms: u64,
    /// Its id.
    pub digest: Digest,
    /// Leaves of the log before its own header's.
    pub log_size: u64,
    /// When it became final here, by this node's clock, in Unix milliseconds. After a restart, the
    /// block's own time.
    pub observed_at_ms: u64,
}

/// A finalised block's entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finalised {
    /// The block's height.
    pub height: u64,
    /// Its time, in Unix milliseconds.
    pub time_ms: u64,
    /// Its entries in order, and where they are in the log.
    pub entries: Vec<(EntryId, u64)>,
}

/// Why an entry was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// Too many entries are pending.
    #[error("too many entries are pending; submit it again later")]
    Full,
    /// It is on the ledger already.
    #[error("entry {0} is on the ledger already")]
    Duplicate(EntryId),
    /// The finalised state refuses it.
    #[error("the ledger refuses the entry")]
    Refused(#[source] Refusal),
    /// It is no entry.
    #[error("the bytes are no signed entry")]
    Malformed(#[source] EntryError),
    /// This node takes no part any more.
    #[error("consensus has stopped")]
    Stopped(#[source] Halt),
}

/// Why something could not be read or proved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Stored rows failed.
    #[error("the stored ledger could not be read")]
    Rows(#[from] RowError),
    /// There is no such entry or height yet.
    #[error("the ledger does not hold that yet")]
    NotFinal,
    /// The entry is not signed by an institution's key.
    #[error("the entry is not signed by an institution")]
    NoInstitution,
    /// This node takes no part any more, so nothing will be certified.
    #[error("consensus has stopped")]
    Stopped(#[source] Halt),
}

/// A node's handle on its ledger.
pub struct Handle<S> {
    pub(crate) replica: Arc<Replica<S>>,
    pub(crate) outbox: Outbox,
    pub(crate) faults: Faults,
    pub(crate) horizon: Horizon,
}

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self {
            replica: self.replica.clone(),
            outbox: self.outbox.clone(),
            faults: self.faults.clone(),
            horizon: self.horizon.clone(),
        }
    }
}

impl<S: Store> Handle<S> {
    /// Makes an entry pending here and tells the other validators. Submitting it again is harmless.
    ///
    /// Pending is not final and not durable: submit it again until [`Self::entry_position`] has it
    /// or its last valid height has passed.
    ///
    /// # Errors
    /// [`SubmitError`]; after [`SubmitError::Duplicate`], ask for its position.
    pub async fn submit(&self, bytes: Bytes) -> Result<EntryId, SubmitError> {
        if let Some(why) = self.replica.halted() {
            return Err(SubmitError::Stopped(why));
        }
        let admitted = self.replica.admit(&bytes, true)?;
        if let Some(news) = admitted.told {
            // Without a network there is nobody to tell.
            let _ = self.outbox.send(news);
        }
        Ok(admitted.id)
    }

    /// The last finalised block.
    #[must_use]
    pub fn tip(&self) -> Tip {
        self.replica.tip()
    }

    /// The greatest height that the network is known to have reached; while it is above the tip's,
    /// this node is catching up.
    #[must_use]
    pub fn horizon(&self) -> u64 {
        self.horizon.height().max(self.tip().height)
    }

    /// Hears of every block finalised from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.replica.listen())
    }

    /// What [`Self::subscribe`] would have said of a height; none if it is not final yet.
    ///
    /// # Errors
    /// [`ReadError::Rows`].
    pub async fn finalised(&self, height: u64) -> Result<Option<Finalised>, ReadError> {
        let Some(header) = self.header(height).await? else {
            return Ok(None);
        };
        let first = match height.checked_sub(1) {
            Some(before) => {
                let before = self.header(before).await?.ok_or(ReadError::NotFinal)?;
                before.log_size.saturating_add(1)
            }
            None => 0,
        };
        let stored = rows::entries(&self.replica.store, first, header.log_size).await?;
        let mut entries = Vec::with_capacity(stored.len());
        for (index, bytes) in stored {
            let entry = ledger::SignedEntry::decode(&bytes)
                .map_err(|_| RowError::Malformed(rows::ENTRIES))?;
            entries.push((entry.entry_id(), index));
        }
        Ok(Some(Finalised {
            height,
            time_ms: header.time_ms,
            entries,
        }))
    }

    /// Where an entry is on the ledger; none if it is not final.
    ///
    /// # Errors
    /// [`ReadError::Rows`].
    pub async fn entry_position(&self, id: &EntryId) -> Result<Option<Position>, ReadError> {
        Ok(rows::position(&self.replica.store, id).await?)
    }

    /// The exact bytes of the entry at a log index, and its height; none for a header's leaf and
    /// beyond the log.
    ///
    /// # Errors
    /// [`ReadError::Rows`].
    pub async fn entry(&self, log_index: u64) -> Result<Option<(u64, Bytes)>, ReadError> {
        Ok(rows::entry(&self.replica.store, log_index).await?)
    }

    /// A finalised header; none above the tip.
    ///
    /// # Errors
    /// [`ReadError::Rows`].
    pub async fn header(&self, height: u64) -> Result<Option<Header>, ReadError> {
        Ok(rows::header(&self.replica.store, height).await?)
    }

    /// Typed reads of the finalised state. Drop it soon: while it lives, the state keeps what it
    /// shows.
    #[must_use]
    pub fn state_view(&self) -> View {
        self.replica.view()
    }

    /// The log at the last finalised block's end, for witnesses to cosign.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let log = self.replica.log();
        Checkpoint::new(&self.network(), log.size(), log.root())
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> NetworkId {
        self.replica.network()
    }

    /// The network's genesis.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.replica.genesis
    }

    /// Checks this network's certificates offline.
    #[must_use]
    pub fn certificates(&self) -> SimplexCertificates {
        SimplexCertificates::new(&self.network())
    }

    /// Validators seen misbehaving since this node started.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.faults.all()
    }

    /// Entries pending, and their bytes.
    #[must_use]
    pub fn pending(&self) -> (usize, usize) {
        self.replica.pool.size()
    }

    /// Why this node takes no part any more, if so.
    #[must_use]
    pub fn halted(&self) -> Option<Halt> {
        self.replica.halted()
    }

    /// Says that this node is being stopped: from here on nothing is taken or told, and that the engine's
    /// parts end is no fault. They end with the task that owns them.
    pub fn stop(&self) {
        self.replica.halt(&Halt::Shutdown);
    }

    /// Waits until this node takes no part any more.
    pub async fn stopped(&self) -> Halt {
        let mut halts = self.replica.halts();
        loop {
            if let Some(why) = halts.borrow_and_update().clone() {
                return why;
            }
            if halts.changed().await.is_err() {
                return Halt::Engine("it was dropped");
            }
        }
    }
}

/// Finalised blocks, in order. A listener that lags too far behind misses the oldest: a height
/// that does not follow the last one tells, and [`Handle::finalised`] has what was missed.
pub struct Subscription(ring::Receiver<Finalised>);

impl Subscription {
    /// The next block; none once consensus has stopped.
    pub async fn recv(&mut self) -> Option<Finalised> {
        self.0.next().await
    }
}

impl Stream for Subscription {
    type Item = Finalised;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Finalised>> {
        Pin::new(&mut self.0).poll_next(context)
    }
}
