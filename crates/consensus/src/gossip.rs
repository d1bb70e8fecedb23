//! Tells peers of pending entries, and hears of theirs.
//!
//! One message holds entries as the block does: a count (varint, at most [`MESSAGE_ENTRIES`]) and
//! each entry's length (varint) and bytes, at most [`MESSAGE_MAX_BYTES`] in all. Every validator
//! talks to every other, so nothing heard is passed on. Messages may be lost: an entry submitted
//! here is told again every [`RETELL_MS`] until it is settled. What peers say is checked like any
//! submission, a message's signatures together; what does not pass is dropped.
//!
//! An entry is told at once, unless one was told less than [`GAP_MS`] ago: then it waits for others, because
//! under load a message costs every peer more than an entry does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use commonware_codec::{Copying, Decode, Encode, RangeCfg};
use commonware_macros::select;
use commonware_p2p::{Receiver, Recipients, Sender};
use commonware_runtime::Handle;
use commonware_utils::channel::mpsc;
use futures::FutureExt;
use futures::future::{BoxFuture, pending};

use crate::block::ENTRY_MAX_BYTES;
use crate::clock::now_ms;
use crate::engine::Runtime;
use crate::mempool::Mempool;

/// Most bytes of a message.
pub(crate) const MESSAGE_MAX_BYTES: usize = 512 * 1024;

/// Most entries in a message.
pub(crate) const MESSAGE_ENTRIES: usize = 1_024;

/// How often unsettled entries are told again.
pub(crate) const RETELL_MS: u64 = 2_000;

/// Shortest time between two messages of news.
pub(crate) const GAP_MS: u64 = 10;

/// Bytes of entries put in one message, leaving room for the lengths.
const FILL_BYTES: usize = MESSAGE_MAX_BYTES - ENTRY_MAX_BYTES - 5 * (MESSAGE_ENTRIES + 1);

/// Takes what peers tell.
pub(crate) trait Listener: Send + Sync + 'static {
    /// Checks entries heard from a peer and adds them to the pool.
    fn heard(&self, entries: Vec<Bytes>);
}

/// Entries to tell peers of. The pool bounds how many wait: only what it took is told.
pub(crate) type Outbox = mpsc::UnboundedSender<Bytes>;

/// Talks to peers until the network closes.
pub(crate) fn start<E, S, R>(
    context: E,
    (sender, receiver): (S, R),
    outbox: mpsc::UnboundedReceiver<Bytes>,
    pool: Arc<Mempool>,
    listener: Arc<dyn Listener>,
) -> Handle<()>
where
    E: Runtime,
    S: Sender,
    R: Receiver<PublicKey = S::PublicKey>,
{
    context.spawn(move |context| run(context, sender, receiver, outbox, pool, listener))
}

async fn run<E, S, R>(
    context: E,
    mut sender: S,
    mut receiver: R,
    mut outbox: mpsc::UnboundedReceiver<Bytes>,
    pool: Arc<Mempool>,
    listener: Arc<dyn Listener>,
) where
    E: Runtime,
    S: Sender,
    R: Receiver<PublicKey = S::PublicKey>,
{
    let mut shutdown = context.stopped();
    let pause = Duration::from_millis(RETELL_MS);
    let mut retell = Box::pin(context.sleep(pause));
    let mut told_ms = 0;
    // Entries that wait for others, and until when.
    let mut held = Held::default();
    let mut release: BoxFuture<'static, ()> = pending().boxed();
    loop {
        select! {
            _ = &mut shutdown => {
                return;
            },
            entry = outbox.recv() => {
                let Some(entry) = entry else { return };
                let is_first = held.entries.is_empty();
                held.gather(entry, &mut outbox);
                // A clock that was set back does not hold news up.
                let since = now_ms(&context).saturating_sub(told_ms);
                let rest = if told_ms == 0 { 0 } else { GAP_MS.saturating_sub(since) };
                if rest == 0 || held.is_full() {
                    tell(&mut sender, &std::mem::take(&mut held).entries);
                    told_ms = now_ms(&context);
                    release = pending().boxed();
                } else if is_first {
                    release = context.sleep(Duration::from_millis(rest)).boxed();
                }
            },
            _ = &mut release => {
                tell(&mut sender, &std::mem::take(&mut held).entries);
                told_ms = now_ms(&context);
                release = pending().boxed();
            },
            message = receiver.recv() => {
                let Ok((_, message)) = message else { return };
                listener.heard(parse(message.as_ref()));
            },
            _ = &mut retell => {
                let now = now_ms(&context);
                let before = now.saturating_sub(RETELL_MS);
                let entries = pool.unsettled(before, now, MESSAGE_ENTRIES, FILL_BYTES);
                if !entries.is_empty() {
                    tell(&mut sender, &entries);
                }
                retell = Box::pin(context.sleep(pause));
            },
        }
    }
}

/// News that is not told yet: at most one message.
#[derive(Default)]
struct Held {
    entries: Vec<Bytes>,
    bytes: usize,
}

impl Held {
    /// Adds what waits to be told.
    fn gather(&mut self, first: Bytes, outbox: &mut mpsc::UnboundedReceiver<Bytes>) {
        self.push(first);
        while !self.is_full() {
            let Ok(entry) = outbox.try_recv() else { break };
            self.push(entry);
        }
    }

    fn push(&mut self, entry: Bytes) {
        self.bytes = self.bytes.saturating_add(entry.len());
        self.entries.push(entry);
    }

    /// Whether one more might not fit.
    fn is_full(&self) -> bool {
        self.entries.len() >= MESSAGE_ENTRIES || self.bytes >= FILL_BYTES
    }
}

fn tell<S: Sender>(sender: &mut S, entries: &Vec<Bytes>) {
    let _ = sender.send(Recipients::All, entries.encode(), false);
}

/// The entries of a message; none if it is malformed. Copies them, so that a short entry does not
/// keep a long message in memory.
fn parse(message: &[u8]) -> Vec<Bytes> {
    let count = RangeCfg::from(1..=MESSAGE_ENTRIES);
    let length = RangeCfg::from(1..=ENTRY_MAX_BYTES);
    match Vec::<Bytes>::decode_cfg(Copying(message), &(count, length)) {
        Ok(entries) => entries
            .iter()
            .map(|entry| Bytes::copy_from_slice(entry))
            .collect(),
        Err(error) => {
            tracing::debug!(%error, "malformed gossip dropped");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_gathering_fits_a_message() {
        let (outbox, mut waiting) = mpsc::unbounded_channel();
        let longest = Bytes::from(vec![1; ENTRY_MAX_BYTES]);
        for _ in 0..40 {
            outbox.send(longest.clone()).unwrap();
        }
        let mut held = Held::default();
        held.gather(longest, &mut waiting);
        let entries = held.entries;
        assert!(entries.len() > 1);
        assert!(entries.encode().len() <= MESSAGE_MAX_BYTES);
        assert_eq!(parse(&entries.encode()), entries);
    }

    #[test]
    fn wire_form_is_fixed() {
        let entries = vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")];
        assert_eq!(entries.encode(), &b"\x02\x03one\x03two"[..]);
        assert_eq!(parse(b"\x02\x03one\x03two"), entries);
        // Nothing, trailing bytes, an empty entry, a length that is not minimal.
        for bad in [
            &b"\x00"[..],
            b"\x01\x03one\x00",
            b"\x01\x00",
            b"\x01\x83\x00one",
        ] {
            assert_eq!(parse(bad), Vec::<Bytes>::new(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn outside_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for entry in parse(&bytes) {
                prop_assert!(!entry.is_empty());
            }
        }
    }
}
