//! Disclosure periods: one entry for each, also an empty one, one after the other without a gap.
//!
//! Periods end by the ledger's time, never by this machine's clock alone. And what else is due from time
//! to time: going on after a restore, ending audit compartments whose retention is over.

use crate::custodian::Custodian;
use crate::error::Error;
use codec::time::Millis;
use consent::Opening;
use ledger::entry::{DisclosurePeriod, Entry};
use std::sync::atomic::Ordering;
use store::Store;
use vault::EntryPurpose;

/// Periods closed in one go: a node that was away makes up for them without holding up the rest.
const AT_ONCE: usize = 16;
/// Entries on their way above which no further period is closed.
const BACKLOG: usize = 2_048;
/// Ticks between looks at audit compartments whose retention is over.
const HOUSEKEEPING_TICKS: u64 = 1_000;
/// Ticks between comparisons of a restored node's consent states with the ledger.
const RESTORED_TICKS: u64 = 8;
/// Subjects compared at once.
const SUBJECTS_AT_ONCE: usize = 256;
/// Audit compartments ended at once.
const AUDITS_AT_ONCE: usize = 64;

pub(super) async fn run<S: Store>(custodian: &Custodian<S>) {
    let period_ms = custodian
        .ledger
        .state_view()
        .parameters()
        .disclosure_period_ms;
    let tick_ms = (period_ms / 8).clamp(100, 5_000);
    let mut continued = false;
    let mut ticks = 0_u64;
    loop {
        match turn(custodian, &mut continued, ticks).await {
            Ok(()) => {}
            Err(error) => custodian.trouble("periods", &error).await,
        }
        ticks = ticks.wrapping_add(1);
        custodian.ambient.sleep_ms(tick_ms).await;
    }
}

async fn turn<S: Store>(
    custodian: &Custodian<S>,
    continued: &mut bool,
    ticks: u64,
) -> Result<(), Error> {
    if ticks.is_multiple_of(HOUSEKEEPING_TICKS) {
        audits_end(custodian).await?;
    }
    if custodian.vault.restored().is_some() {
        if !custodian.is_caught_up() {
            return Ok(());
        }
        if !*continued {
            let last = custodian.ledger.state_view().last_period(&custodian.id);
            if let Some(last) = last {
                custodian
                    .vault
                    .periods_continue_after(last.period, &mut custodian.ambient.entropy())
                    .await?;
            }
            *continued = true;
        }
        if ticks.is_multiple_of(RESTORED_TICKS) {
            back_in_service(custodian).await?;
        }
    }
    // Before the first block the ledger's time is only the genesis'.
    if custodian.ledger.tip().height == 0 {
        return Ok(());
    }
    for _ in 0..AT_ONCE {
        if custodian.vault.entries_len() > BACKLOG {
            return Ok(());
        }
        if is_first_on_its_way(custodian).await? {
            return Ok(());
        }
        let time = Millis::new(custodian.ledger.tip().time_ms);
        let Some(period) = custodian.vault.period_due(time).await? else {
            return Ok(());
        };
        close(custodian, period).await?;
    }
    Ok(())
}

/// Whether the ledger has no period of this custodian yet, but one is on its way. The ledger takes any
/// period as the first one: no other may overtake it.
async fn is_first_on_its_way<S: Store>(custodian: &Custodian<S>) -> Result<bool, Error> {
    if custodian
        .ledger
        .state_view()
        .last_period(&custodian.id)
        .is_some()
    {
        return Ok(false);
    }
    let mut after = None;
    loop {
        let page = custodian.vault.entries_pending(after, BACKLOG).await?;
        let is_period =
            |purpose: &EntryPurpose| matches!(purpose, EntryPurpose::DisclosurePeriod(_));
        if page.iter().any(|(_, row)| is_period(&row.purpose)) {
            return Ok(true);
        }
        match page.last() {
            Some((id, row)) => after = Some((row.queued, *id)),
            None => return Ok(false),
        }
    }
}

async fn close<S: Store>(custodian: &Custodian<S>, period: u64) -> Result<(), Error> {
    let mut entropy = custodian.ambient.entropy();
    let closed = custodian.vault.period_close(period, &mut entropy).await?;
    let signed = custodian.sign(&Entry::DisclosurePeriod(DisclosurePeriod {
        custodian: custodian.id,
        period,
        root: closed.map.root(),
    }))?;
    custodian
        .vault
        .period_assign(&closed, &signed, custodian.now(), &mut entropy)
        .await?;
    custodian.counters.periods.up();
    custodian.wakes.courier.wake();
    Ok(())
}

/// Ends the restored state once every consent opening matches the ledger's tip. Until then each subject
/// whose opening matches is served, and no other.
async fn back_in_service<S: Store>(custodian: &Custodian<S>) -> Result<(), Error> {
    let mut behind = 0_u64;
    let mut after = None;
    loop {
        let page = custodian
            .vault
            .compartments(after.as_ref(), SUBJECTS_AT_ONCE)
            .await?;
        for subject in &page {
            match custodian.standing(subject).await {
                Ok(standing) if standing.facts.opening == Opening::Matches => {}
                Ok(_) => behind = behind.saturating_add(1),
                Err(Error::SubjectErased) => {}
                Err(error) => return Err(error),
            }
        }
        match page.last() {
            Some(last) => after = Some(*last),
            None => break,
        }
    }
    custodian.behind.store(behind, Ordering::Relaxed);
    if behind == 0 {
        custodian
            .vault
            .restored_clear(&mut custodian.ambient.entropy())
            .await?;
        tracing::info!("every consent state matches the ledger: in service again after a restore");
    }
    Ok(())
}

async fn audits_end<S: Store>(custodian: &Custodian<S>) -> Result<(), Error> {
    // By the ledger's time: a clock that runs ahead ends no retention.
    let at = Millis::new(custodian.ledger.tip().time_ms);
    for subject in custodian.vault.audit_due(at, AUDITS_AT_ONCE).await? {
        custodian
            .vault
            .audit_erase(&subject, at, &mut custodian.ambient.entropy())
            .await?;
    }
    Ok(())
}
