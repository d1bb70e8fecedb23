//! Entries to the ledger: identical bytes again and again until they are final.
//!
//! Entries about subjects leave in shuffled groups, at most one group a release interval, so that their
//! timing tells less; of one subject one at a time, in the order they were accepted. Everything else
//! leaves at once. An entry whose last valid height has passed without it is signed again if this
//! institution signed it; a family's signature cannot be made again, so its change is given up and the
//! family told.

use crate::custodian::Custodian;
use crate::error::Error;
use codec::id::{EntryId, SubjectId};
use consensus::SubmitError;
use futures::FutureExt;
use ledger::{KeyId, Refusal, SignedEntry};
use std::collections::{BTreeMap, BTreeSet};
use store::Store;
use vault::{AuditId, EntryPurpose, EntryRow, Notice};

/// How long consensus is given with an entry before it gets it again.
const RESEND_MS: u64 = 5_000;
/// Entries looked at in one round.
const ROUND: usize = 2_048;

/// What is remembered between rounds; nothing of it matters after a restart.
#[derive(Default)]
struct Memory {
    /// When each entry was last submitted, by rounds' own time.
    sent_ms: BTreeMap<EntryId, u64>,
    /// Time by the runtime's timer since the start.
    time_ms: u64,
    /// When the next group may leave.
    group_due_ms: u64,
}

pub(super) async fn run<S: Store>(custodian: &Custodian<S>) {
    let mut memory = Memory::default();
    loop {
        let release_ms = custodian
            .ledger
            .state_view()
            .parameters()
            .subject_release_ms
            .max(1);
        if let Err(error) = round(custodian, &mut memory, release_ms).await {
            custodian.trouble("courier", &error).await;
        }
        // Time is counted, not read: a clock that jumps changes nothing here.
        let tick_ms = release_ms.clamp(1, 1_000);
        let tick = custodian.ambient.sleep_ms(tick_ms);
        futures::select_biased! {
            () = tick.fuse() => {
                memory.time_ms = memory.time_ms.saturating_add(tick_ms);
            },
            () = custodian.wakes.courier.woken().fuse() => {},
        }
    }
}

/// Submits what is due.
async fn round<S: Store>(
    custodian: &Custodian<S>,
    memory: &mut Memory,
    release_ms: u64,
) -> Result<(), Error> {
    if custodian.in_service().is_err() {
        return Ok(());
    }
    let pending = custodian.vault.entries_pending(None, ROUND).await?;
    let live: BTreeSet<EntryId> = pending.iter().map(|(id, _)| *id).collect();
    memory.sent_ms.retain(|id, _| live.contains(id));
    // Beyond a round's entries nothing is forgotten: they may be on their way.
    if live.len() < ROUND {
        custodian.on_the_way().retain(|id| live.contains(id));
    }
    let mut group = Vec::new();
    let mut periods = BTreeMap::new();
    let mut ahead: BTreeSet<SubjectId> = BTreeSet::new();
    for (id, row) in pending {
        let subject = subject_of(&row.purpose);
        if let Some(subject) = subject
            && !ahead.insert(subject)
        {
            // An earlier entry of this subject is not final yet.
            continue;
        }
        let row = match revalidated(custodian, &id, row).await? {
            Some(row) => row,
            None => continue,
        };
        let sent = memory.sent_ms.get(&id);
        if sent.is_some_and(|sent| memory.time_ms < sent.saturating_add(RESEND_MS)) {
            continue;
        }
        match row.purpose {
            EntryPurpose::DisclosurePeriod(period) => {
                periods.insert(period, (id, row));
            }
            _ if subject.is_some() => group.push((id, row)),
            _ => deliver(custodian, memory, &id, &row).await?,
        }
    }
    // In their order, so that the ledger can take them together.
    for (id, row) in periods.values() {
        deliver(custodian, memory, id, row).await?;
    }
    if !group.is_empty() && memory.time_ms >= memory.group_due_ms {
        group.truncate(custodian.limits.group_entries.max(1));
        shuffle(&mut group, &mut custodian.ambient.entropy());
        for (id, row) in &group {
            deliver(custodian, memory, id, row).await?;
        }
        memory.group_due_ms = memory.time_ms.saturating_add(release_ms);
    }
    Ok(())
}

/// The entry as it may be submitted now: as it is, or signed again; none if nothing is to be done.
async fn revalidated<S: Store>(
    custodian: &Custodian<S>,
    id: &EntryId,
    row: EntryRow,
) -> Result<Option<EntryRow>, Error> {
    if custodian.ledger.tip().height < row.last_valid {
        return Ok(Some(row));
    }
    signed_again(custodian, id, row).await
}

/// The entry under a signature that serves; none if nothing is to be done.
async fn signed_again<S: Store>(
    custodian: &Custodian<S>,
    id: &EntryId,
    row: EntryRow,
) -> Result<Option<EntryRow>, Error> {
    // INVARIANT: the tip has passed the last valid height, or the key that signed was retired in a final
    // block, so that what is not on the ledger by now never will be with these bytes.
    if settle(custodian, id).await? {
        return Ok(None);
    }
    let old = SignedEntry::decode(&row.bytes)
        .map_err(|_| Error::Damaged("an entry in the outbox".to_owned()))?;
    let institutional = !matches!(row.purpose, EntryPurpose::SubjectUpdate(_));
    if !institutional && !custodian.signed_here(&old) {
        drop_entry(
            custodian,
            id,
            &row,
            "it was not recorded while its signature was valid",
        )
        .await?;
        return Ok(None);
    }
    let signed = custodian.sign(old.entry())?;
    custodian
        .vault
        .entry_resign(&signed, &mut custodian.ambient.entropy())
        .await?;
    custodian.counters.entries_resigned.up();
    Ok(Some(EntryRow {
        bytes: signed.bytes,
        last_valid: signed.last_valid,
        ..row
    }))
}

async fn deliver<S: Store>(
    custodian: &Custodian<S>,
    memory: &mut Memory,
    id: &EntryId,
    row: &EntryRow,
) -> Result<(), Error> {
    match custodian.submit(id, &row.bytes).await {
        Ok(_) | Err(SubmitError::Full) => {}
        Err(SubmitError::Duplicate(_)) => {
            settle(custodian, id).await?;
        }
        Err(SubmitError::Refused(Refusal::RetiredKey)) => {
            let old = SignedEntry::decode(&row.bytes)
                .map_err(|_| Error::Damaged("an entry in the outbox".to_owned()))?;
            // Until this institution's own new keys serve here, or it is no member any more, it waits.
            let signer = KeyId::of(&custodian.signers().signing.public());
            if custodian.signed_before_rotation(&old) && old.header().signer != signer {
                signed_again(custodian, id, row.clone()).await?;
                custodian.wakes.courier.wake();
                return Ok(());
            }
        }
        // A restored node's view of the ledger is not the one that refuses for good.
        Err(SubmitError::Refused(why))
            if is_for_good(&why) && custodian.vault.restored().is_none() =>
        {
            drop_entry(custodian, id, row, &why.to_string()).await?;
            return Ok(());
        }
        Err(SubmitError::Malformed(_)) => {
            return Err(Error::Damaged("an entry in the outbox".to_owned()));
        }
        Err(error) => tracing::debug!(%id, %error, "not taken now"),
    }
    memory.sent_ms.insert(*id, memory.time_ms);
    Ok(())
}

/// Whether trying again cannot help. A retired key is replaced when the entry is signed again; an entry
/// that came too late is signed again too.
fn is_for_good(why: &Refusal) -> bool {
    !why.may_pass()
        && !matches!(
            why,
            Refusal::Expired { .. }
                | Refusal::Duplicate { .. }
                | Refusal::UnknownSigner
                | Refusal::RetiredKey
        )
}

/// Makes an entry that is on the ledger final here too; whether it is.
async fn settle<S: Store>(custodian: &Custodian<S>, id: &EntryId) -> Result<bool, Error> {
    let Some(position) = custodian.ledger.entry_position(id).await? else {
        return Ok(false);
    };
    super::finality::entry_final(custodian, id, position).await?;
    Ok(true)
}

/// Gives an entry up. A change of consent that goes with it is told to the controllers.
async fn drop_entry<S: Store>(
    custodian: &Custodian<S>,
    id: &EntryId,
    row: &EntryRow,
    why: &str,
) -> Result<(), Error> {
    // The view that refused it may have moved on since it was asked.
    if settle(custodian, id).await? {
        return Ok(());
    }
    tracing::error!(%id, why, "the ledger will never take this entry");
    let mut entropy = custodian.ambient.entropy();
    if let EntryPurpose::SubjectUpdate(subject) = &row.purpose {
        let notice = Notice {
            due: custodian.now(),
            sentence: format!(
                "A change of your consent, accepted on {}, could not be recorded and does not hold. \
                 Please make it again.",
                row.queued
            ),
            about: None,
            told: None,
        };
        // Named after the entry: told once, however often this is tried.
        let name = AuditId::try_from(id.as_bytes().get(..AuditId::LEN).unwrap_or_default());
        if let Ok(name) = name {
            match custodian
                .vault
                .notice_put(subject, &name, &notice, &mut entropy)
                .await
            {
                Ok(()) | Err(vault::Error::Conflict(_) | vault::Error::SubjectErased) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    custodian.vault.entry_drop(id, why, &mut entropy).await?;
    custodian.counters.entries_dropped.up();
    Ok(())
}

fn subject_of(purpose: &EntryPurpose) -> Option<SubjectId> {
    match purpose {
        EntryPurpose::SubjectOpen(subject)
        | EntryPurpose::SubjectUpdate(subject)
        | EntryPurpose::SubjectClose(subject)
        | EntryPurpose::SubjectRecover(subject) => Some(*subject),
        EntryPurpose::RecordBatch | EntryPurpose::DisclosurePeriod(_) | EntryPurpose::Other(_) => {
            None
        }
    }
}

/// Fisher-Yates with enough bits that the bias does not matter.
fn shuffle<T>(items: &mut [T], entropy: &mut impl keys::Entropy) {
    for last in (1..items.len()).rev() {
        let random = u64::from_le_bytes(entropy.array());
        let bound = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1);
        let other = usize::try_from(random % bound).unwrap_or(0);
        items.swap(last, other);
    }
}
