//! Finalised blocks: own entries become final in the vault, whoever waits is told, events go out.
//!
//! A block that was missed (a restart, a slow moment) is made up for by asking the ledger where each
//! waiting entry is.

use crate::custodian::Custodian;
use crate::error::Error;
use crate::event::Event;
use codec::id::{Digest, EntryId};
use codec::time::Millis;
use consensus::{Finalised, Position};
use futures::FutureExt;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use store::Store;
use vault::{EntryPurpose, FinalEntry};

/// How exactly silence of the ledger is measured.
const TICK_MS: u64 = 1_000;
/// Entries looked at together when making up for missed blocks.
const PAGE: usize = 512;

pub(super) async fn run<S: Store>(custodian: &Custodian<S>) {
    let mut blocks = custodian.ledger.subscribe();
    // Heights up to here were seen. None: what was missed is not known.
    let mut seen: Option<u64> = None;
    loop {
        if seen.is_none() {
            let height = custodian.ledger.tip().height;
            match caught_up(custodian).await {
                Ok(()) => seen = Some(height),
                Err(error) => custodian.trouble("finality", &error).await,
            }
            continue;
        }
        futures::select_biased! {
            block = blocks.recv().fuse() => match block {
                Some(block) => seen = took(custodian, seen, &block).await,
                // Consensus has stopped: nothing becomes final any more, and that is what age tells.
                None => silence(custodian).await,
            },
            () = custodian.ambient.sleep_ms(TICK_MS).fuse() => {
                custodian.quiet_ms.fetch_add(TICK_MS, Ordering::Relaxed);
            },
        }
    }
}

async fn silence<S: Store>(custodian: &Custodian<S>) {
    custodian.ambient.sleep_ms(TICK_MS).await;
    custodian.quiet_ms.fetch_add(TICK_MS, Ordering::Relaxed);
}

/// Takes one block; the height up to which everything was seen, none if something was missed.
async fn took<S: Store>(
    custodian: &Custodian<S>,
    seen: Option<u64>,
    block: &Finalised,
) -> Option<u64> {
    custodian.quiet_ms.store(0, Ordering::Relaxed);
    if seen.is_some_and(|seen| block.height <= seen) {
        return seen;
    }
    if seen.and_then(|seen| seen.checked_add(1)) != Some(block.height) {
        return None;
    }
    let done = async {
        block_final(custodian, block).await?;
        custodian.keys_settle().await
    };
    match done.await {
        Ok(()) => Some(block.height),
        Err(error) => {
            custodian.trouble("finality", &error).await;
            None
        }
    }
}

/// Makes the own entries of a block final. Others' are not looked up; an own one that this process did
/// not submit itself is found when the courier submits it and is told that it is there.
async fn block_final<S: Store>(custodian: &Custodian<S>, block: &Finalised) -> Result<(), Error> {
    let own: Vec<(EntryId, u64)> = {
        let submitted = custodian.on_the_way();
        let entries = block.entries.iter().copied();
        entries.filter(|(id, _)| submitted.contains(id)).collect()
    };
    entries_final(custodian, block.height, block.time_ms, &own).await
}

async fn entries_final<S: Store>(
    custodian: &Custodian<S>,
    height: u64,
    time_ms: u64,
    entries: &[(EntryId, u64)],
) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let settled = custodian
        .vault
        .block_final(
            height,
            Millis::new(time_ms),
            entries,
            &mut custodian.ambient.entropy(),
        )
        .await?;
    for (id, _) in entries {
        custodian.on_the_way().remove(id);
    }
    for entry in settled {
        tell(custodian, &entry).await?;
    }
    Ok(())
}

async fn caught_up<S: Store>(custodian: &Custodian<S>) -> Result<(), Error> {
    catch_up(custodian).await?;
    custodian.keys_settle().await
}

/// Asks the ledger where each waiting entry is.
async fn catch_up<S: Store>(custodian: &Custodian<S>) -> Result<(), Error> {
    let mut after = None;
    loop {
        let page = custodian.vault.entries_pending(after, PAGE).await?;
        for (id, _) in &page {
            if let Some(position) = custodian.ledger.entry_position(id).await? {
                entry_final(custodian, id, position).await?;
            }
        }
        match page.last() {
            Some((id, row)) => after = Some((row.queued, *id)),
            None => return Ok(()),
        }
    }
}

/// Makes one entry final that the ledger holds.
pub(super) async fn entry_final<S: Store>(
    custodian: &Custodian<S>,
    id: &EntryId,
    position: Position,
) -> Result<(), Error> {
    let header = custodian.ledger.header(position.height).await?;
    let header = header.ok_or(Error::Internal("an entry of a block that is not final"))?;
    let entries = [(*id, position.log_index)];
    entries_final(custodian, position.height, header.time_ms, &entries).await
}

/// Wakes whoever waits for an entry or its commitments, and sends the events.
async fn tell<S: Store>(custodian: &Custodian<S>, entry: &FinalEntry) -> Result<(), Error> {
    custodian.counters.entries_final.up();
    custodian.waits.happened(&Digest::new(*entry.id.as_bytes()));
    match &entry.purpose {
        EntryPurpose::RecordBatch => {
            let tree = custodian.vault.batch_tree(&entry.id).await?;
            for commitment in tree.leaves() {
                custodian.waits.happened(commitment);
            }
            let items = custodian
                .batched
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&entry.id);
            for item in items.into_iter().flatten() {
                custodian.differential_due(&item.subject);
                custodian.events.send(&Event::RecordCommitted {
                    subject: item.subject,
                    record: item.record,
                    version: item.version,
                    height: entry.position.height,
                });
            }
        }
        EntryPurpose::SubjectOpen(subject) | EntryPurpose::SubjectUpdate(subject) => {
            match custodian.vault.consent_current(subject).await {
                Ok(view) => {
                    custodian.differential_due(subject);
                    custodian.events.send(&Event::ConsentFinal {
                        subject: *subject,
                        sequence: view.finalised.state.sequence,
                    });
                }
                Err(vault::Error::SubjectErased) => {}
                Err(error) => return Err(error.into()),
            }
        }
        EntryPurpose::DisclosurePeriod(period) => {
            custodian
                .events
                .send(&Event::PeriodFinal { period: *period });
        }
        EntryPurpose::SubjectClose(_)
        | EntryPurpose::SubjectRecover(_)
        | EntryPurpose::Other(_) => {}
    }
    Ok(())
}
