//! What waits by rows of the former version, which named subjects and records under the node's key: moved into the
//! compartments at the first start, as what a write noted. Nothing that waits is lost but of a subject whose key is;
//! a crash meanwhile may have something told twice. How often something was tried is forgotten.

use super::SubscriptionId;
use super::rows::{Due, Noted};
use crate::custodian::Custodian;
use crate::error::Error;
use codec::id::{RecordId, SubjectId};
use codec::record;
use codec::time::Millis;
use std::collections::{BTreeMap, BTreeSet};
use store::Store;
use vault::{NewNote, Transaction};

/// What was noted with writes: time (8 bytes), random (8).
const DUE: &[u8] = b"subscription/d/";
/// What waited: subscription, time, random, place (4).
const QUEUE: &[u8] = b"subscription/q/";
/// How often the first of a queue was tried.
const TRIED: &[u8] = b"subscription/t/";
/// Rows that are moved at a time.
const PAGE: usize = 256;

record! {
    struct OldDue {
        1 => items: Vec<OldNoted>,
    }
}

record! {
    struct OldNoted {
        1 => item: OldItem,
        2 => of: BTreeSet<SubscriptionId>,
    }
}

record! {
    struct OldItem {
        1 => subject: SubjectId,
        2 => record: RecordId,
        3 => version: u32,
    }
}

/// Reads a row by the rest of its name; none, if it cannot be read.
type Reader = fn(&[u8], &[u8], &mut Moved) -> Option<()>;

type Moved = BTreeMap<SubjectId, Vec<NewNote>>;

impl<S: Store> Custodian<S> {
    pub(super) async fn subscriptions_move_old(&self) -> Result<(), Error> {
        let kinds: [(&[u8], Reader); 3] = [(QUEUE, queued), (DUE, noted), (TRIED, |_, _, _| None)];
        for (prefix, read) in kinds {
            loop {
                let page = self.vault.node_rows(prefix, None, PAGE).await?;
                if page.is_empty() {
                    break;
                }
                let mut moved = Moved::new();
                for (name, row) in &page {
                    // One that cannot be read was told to nobody before, either.
                    let rest = name.get(prefix.len()..).unwrap_or_default();
                    read(rest, row, &mut moved);
                }
                for notes in moved.into_values() {
                    self.notes_move(notes).await?;
                }
                let names: Vec<Vec<u8>> = page.into_iter().map(|(name, _)| name).collect();
                self.vault.node_rows_remove(&names).await?;
            }
        }
        Ok(())
    }

    /// Notes what waits to be told of one subject, unless it is erased.
    async fn notes_move(&self, mut notes: Vec<NewNote>) -> Result<(), Error> {
        while !notes.is_empty() {
            let more = notes.split_off(notes.len().min(PAGE));
            let transaction = Transaction {
                notes: std::mem::replace(&mut notes, more),
                ..Transaction::default()
            };
            let mut entropy = self.ambient.entropy();
            let moved = self
                .vault
                .transact(&transaction, self.now(), &mut entropy)
                .await;
            match moved {
                Ok(_) => {}
                Err(vault::Error::SubjectErased | vault::Error::SubjectUnknown) => return Ok(()),
                // Its records open for nobody either: nothing of it can be told, and nobody else waits for that.
                Err(vault::Error::KeyLost) => {
                    tracing::error!("nothing can be told of a subject: its key is lost");
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn queued(name: &[u8], row: &[u8], moved: &mut Moved) -> Option<()> {
    let (id, rest) = name.split_at_checked(SubscriptionId::LEN)?;
    let (due, place) = rest.split_at_checked(16)?;
    let of = BTreeSet::from([SubscriptionId::try_from(id).ok()?]);
    let place = u32::from_be_bytes(place.try_into().ok()?);
    let item: OldItem = codec::from_slice(row).ok()?;
    one(due, place, item, of, moved)
}

fn noted(name: &[u8], row: &[u8], moved: &mut Moved) -> Option<()> {
    let due: OldDue = codec::from_slice(row).ok()?;
    let mut left = u32::try_from(due.items.len()).ok()?;
    for noted in due.items {
        // As it would have been sorted: counted from the end.
        one(name, u32::MAX - left, noted.item, noted.of, moved)?;
        left = left.saturating_sub(1);
    }
    Some(())
}

fn one(
    due: &[u8],
    place: u32,
    item: OldItem,
    of: BTreeSet<SubscriptionId>,
    moved: &mut Moved,
) -> Option<()> {
    let (at, batch) = due.split_at_checked(8)?;
    let due = Due {
        at: Millis::new(u64::from_be_bytes(at.try_into().ok()?)),
        batch: batch.try_into().ok()?,
        from: place,
        items: vec![Noted {
            record: item.record,
            version: item.version,
            of,
        }],
    };
    let notes = moved.entry(item.subject).or_default();
    notes.push(due.note(&item.subject));
    Some(())
}
