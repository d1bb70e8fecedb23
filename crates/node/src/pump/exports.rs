//! Exports over FHIR: making their plans, a step of each at a time, and removing what is over.

use crate::custodian::Custodian;
use futures::FutureExt;
use std::pin::pin;
use store::Store;

/// How often what is over is removed, ms.
const LOOK_MS: u64 = 60_000;

pub(super) async fn run<S: Store>(custodian: &Custodian<S>) {
    loop {
        match custodian.exports_plan().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                custodian.trouble("exports", &error).await;
                continue;
            }
        }
        let mut slept = pin!(custodian.ambient.sleep_ms(LOOK_MS).fuse());
        let mut woken = pin!(custodian.wakes.exports.woken().fuse());
        futures::select_biased! {
            () = woken => {}
            () = slept => {}
        }
    }
}
