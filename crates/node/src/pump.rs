//! The node's own work: carrying durable outboxes to the ledger, and its answers back.
//!
//! Each pump can be stopped at any instruction and started again: what it does next it reads from the
//! vault. None of them gives up: an error is counted, logged without data, and tried again.

mod courier;
mod differentials;
mod exports;
mod finality;
mod periods;
mod records;
mod releases;
mod subscriptions;

use crate::custodian::Custodian;
use commonware_runtime::Spawner;
use std::sync::Arc;
use store::Store;

/// How long a pump waits after an error.
const RETRY_MS: u64 = 1_000;

/// Starts every pump in tasks of this context.
pub(crate) fn start<E: Spawner, S: Store>(context: &E, custodian: &Arc<Custodian<S>>) {
    let own = custodian.clone();
    context
        .child("finality")
        .spawn(move |_| async move { finality::run(&own).await });
    let own = custodian.clone();
    context
        .child("courier")
        .spawn(move |_| async move { courier::run(&own).await });
    let own = custodian.clone();
    context
        .child("records")
        .spawn(move |_| async move { records::run(&own).await });
    let own = custodian.clone();
    context
        .child("periods")
        .spawn(move |_| async move { periods::run(&own).await });
    let own = custodian.clone();
    context
        .child("exports")
        .spawn(move |_| async move { exports::run(&own).await });
    let own = custodian.clone();
    context
        .child("subscriptions")
        .spawn(move |_| async move { subscriptions::run(&own).await });
    let own = custodian.clone();
    // On a thread of its own: clustering and attacking keep a processor busy.
    context
        .child("releases")
        .dedicated()
        .spawn(move |_| async move { releases::run(&own).await });
    if let Some(insight) = custodian.insight.clone() {
        let own = custodian.clone();
        // On a thread of its own: ranking keeps a processor busy.
        context
            .child("differentials")
            .dedicated()
            .spawn(move |_| async move { differentials::run(&own, &insight).await });
    }
}

impl<S: Store> Custodian<S> {
    /// Counts and logs an error of a pump, then waits a moment.
    async fn trouble(&self, pump: &'static str, error: &(dyn std::error::Error + Sync)) {
        self.counters.pump_errors.up();
        // A pump that finds the ledger gone while the node stops has found nothing wrong.
        if self.ledger.halted() != Some(consensus::Halt::Shutdown) {
            tracing::warn!(pump, %error, "will try again");
        }
        self.ambient.sleep_ms(RETRY_MS).await;
    }
}
