//! Phenotype profiles and differentials: made again when records, consent or knowledge change.
//!
//! What is due is marked in the vault; memory only says which marks are worth a look now. One subject at a
//! time, one group at a time: care goes on beside it.

use crate::custodian::Custodian;
use crate::differential::{Cause, Insight};
use crate::error::Error;
use codec::id::SubjectId;
use futures::FutureExt;
use std::sync::atomic::Ordering;
use store::Store;

/// How often all marks are looked at, ms: what an event did not tell of waits no longer.
const LOOK_MS: u64 = 60_000;
/// Least time between two reanalyses because counts changed, ms.
const RECOUNT_MS: u64 = 10_000;
/// Marks read at a time.
const PAGE: usize = 256;

pub(super) async fn run<S: Store>(custodian: &Custodian<S>, insight: &Insight) {
    while let Err(error) = begin(custodian, insight).await {
        custodian.trouble("differentials", &error).await;
    }
    let mut recounted = false;
    loop {
        while let Some(subject) = insight.due_next() {
            // What fails is tried again at the next look: its mark stays, and others go on.
            if let Err(error) = custodian.derive(insight, &subject).await {
                custodian.trouble("differentials", &error).await;
            }
        }
        if !recounted && insight.recount.swap(false, Ordering::AcqRel) {
            recounted = true;
            if let Err(error) = recount(custodian, insight).await {
                insight.recount.store(true, Ordering::Release);
                custodian.trouble("differentials", &error).await;
            }
            continue;
        }
        let rest_ms = if recounted { RECOUNT_MS } else { LOOK_MS };
        futures::select_biased! {
            () = custodian.wakes.differentials.woken().fuse() => {
                if insight.due_overflowed() {
                    look(custodian, insight).await;
                }
            },
            () = custodian.ambient.sleep_ms(rest_ms).fuse() => {
                recounted = false;
                look(custodian, insight).await;
            },
        }
    }
}

/// The first pass: loads what lives in memory, and makes old answers again.
async fn begin<S: Store>(custodian: &Custodian<S>, insight: &Insight) -> Result<(), Error> {
    custodian.in_service()?;
    let passed = custodian.pass(insight, None).await?;
    if insight.recount.swap(false, Ordering::AcqRel) {
        recount(custodian, insight).await?;
    }
    marks(custodian, insight).await?;
    if passed.answers > 0 {
        tracing::info!(
            profiles = passed.profiles,
            answers = passed.answers,
            news = passed.news,
            "knowledge is newer: differentials were made again"
        );
    }
    Ok(())
}

async fn recount<S: Store>(custodian: &Custodian<S>, insight: &Insight) -> Result<(), Error> {
    insight.model_make();
    let passed = custodian.pass(insight, Some(Cause::Cases)).await?;
    tracing::info!(
        answers = passed.answers,
        news = passed.news,
        "counted cases changed: differentials were made again"
    );
    Ok(())
}

async fn look<S: Store>(custodian: &Custodian<S>, insight: &Insight) {
    insight.expire(custodian.facts().at());
    if let Err(error) = marks(custodian, insight).await {
        custodian.trouble("differentials", &error).await;
    }
}

/// Takes up the marks of the vault.
async fn marks<S: Store>(custodian: &Custodian<S>, insight: &Insight) -> Result<(), Error> {
    let mut after: Option<SubjectId> = None;
    loop {
        let page = custodian.vault.derive_due(after.as_ref(), PAGE).await?;
        for (subject, _) in &page {
            insight.due(*subject);
        }
        match page.last() {
            Some((subject, _)) => after = Some(*subject),
            None => return Ok(()),
        }
    }
}
