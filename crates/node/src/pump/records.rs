//! Record commitments into batches: at most one a batch interval, padded, only when there is something.

use crate::custodian::Custodian;
use crate::error::Error;
use ledger::batch::RecordTree;
use ledger::entry::{Entry, RecordBatch};
use std::sync::PoisonError;
use store::Store;

pub(super) async fn run<S: Store>(custodian: &Custodian<S>) {
    // The last batch before a restart may have been made just now.
    let mut rest = true;
    custodian.wakes.records.wake();
    loop {
        if rest {
            let interval = custodian.ledger.state_view().parameters().batch_interval_ms;
            custodian.ambient.sleep_ms(interval).await;
        }
        custodian.wakes.records.woken().await;
        match batch(custodian).await {
            Ok(more) => {
                rest = true;
                if more {
                    custodian.wakes.records.wake();
                }
            }
            Err(error) => {
                custodian.trouble("records", &error).await;
                custodian.wakes.records.wake();
                rest = false;
            }
        }
    }
}

/// Makes one batch of what waits; whether more may wait.
async fn batch<S: Store>(custodian: &Custodian<S>) -> Result<bool, Error> {
    let limit = custodian.limits.batch_records.min(vault::BATCH_MAX_LEAVES);
    let items = custodian.vault.outbox_take(limit).await?;
    if items.is_empty() {
        return Ok(false);
    }
    let commitments: Vec<_> = items.iter().map(|item| item.commitment).collect();
    let mut entropy = custodian.ambient.entropy();
    let tree = RecordTree::build(&commitments, &mut entropy);
    let signed = custodian.sign(&Entry::RecordBatch(RecordBatch {
        custodian: custodian.id,
        root: tree.root(),
    }))?;
    let entry = signed.id;
    let more = items.len() == limit;
    let batch = vault::RecordBatch {
        signed,
        tree,
        items,
    };
    let assigned = custodian
        .vault
        .batch_assign(&batch, custodian.now(), &mut entropy)
        .await;
    match assigned {
        Ok(()) => {}
        // An erasure or a restart got in between; what is left is batched next.
        Err(vault::Error::Conflict(_)) => return Ok(true),
        Err(error) => return Err(error.into()),
    }
    custodian
        .batched
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(entry, batch.items);
    custodian.counters.batches.up();
    custodian.wakes.courier.wake();
    Ok(more)
}
