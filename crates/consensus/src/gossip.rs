//! Tells peers of pending entries, and hears of theirs.
//!
//! One message holds entries as the block does: a count (varint, at most [`MESSAGE_ENTRIES`]) and
//! each entry's length (varint) and bytes, at most [`MESSAGE_MAX_BYTES`] in all. Every validator
//! talks to every other, so nothing heard is passed on. Messages may be lost: an entry submitted
//! here is told again every [`RETELL_MS`] until it is settled. What peers say is checked like any
//! submission; what does not pass is dropped.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use commonware_codec::{Copying, Decode, Encode, RangeCfg};
use commonware_macros::select;
use commonware_p2p::{Receiver, Recipients, Sender};
use commonware_runtime::Handle;
use commonware_utils::channel::mpsc;

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

/// Bytes of entries put in one message, leaving room for the lengths.
const FILL_BYTES: usize = MESSAGE_MAX_BYTES - ENTRY_MAX_BYTES - 5 * (MESSAGE_ENTRIES + 1);

/// Takes what peers tell.
pub(crate) trait Listener: Send + Sync + 'static {
    /// Checks an entry heard from a peer and adds it to the pool.
    fn heard(&self, entry: Bytes);
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
    loop {
        select! {
            _ = &mut shutdown => {
                return;
            },
            entry = outbox.recv() => {
                let Some(entry) = entry else { return };
                tell(&mut sender, &gather(entry, &mut outbox));
            },
            message = receiver.recv() => {
                let Ok((_, message)) = message else { return };
                for entry in parse(message.as_ref()) {
                    listener.heard(entry);
                }
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

/// What waits to be told, up to one message.
fn gather(first: Bytes, outbox: &mut mpsc::UnboundedReceiver<Bytes>) -> Vec<Bytes> {
    let mut bytes = first.len();
    let mut entries = vec![first];
    while entries.len() < MESSAGE_ENTRIES && bytes < FILL_BYTES {
        let Ok(entry) = outbox.try_recv() else { break };
        bytes = bytes.saturating_add(entry.len());
        entries.push(entry);
    }
    entries
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
        let entries = gather(longest, &mut waiting);
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
