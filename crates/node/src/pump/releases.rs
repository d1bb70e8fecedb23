//! Releases: making those that were asked for, and seeing those that were certified onto the ledger.

use crate::custodian::Custodian;
use crate::research::Due;
use futures::FutureExt;
use std::pin::pin;
use store::Store;

/// How often releases on their way to the ledger are looked at, ms.
const LOOK_MS: u64 = 500;

pub(super) async fn run<S: Store>(custodian: &Custodian<S>) {
    while let Err(error) = custodian.releases_sweep().await {
        custodian.trouble("releases", &error).await;
    }
    loop {
        match custodian.releases_step().await {
            Ok(Due::Done) => continue,
            Ok(Due::Waits) => {}
            // Every row was read for that: not again until somebody asks for something.
            Ok(Due::Nothing) => {
                custodian.wakes.releases.woken().await;
                continue;
            }
            Err(error) => {
                custodian.trouble("releases", &error).await;
                continue;
            }
        }
        let mut slept = pin!(custodian.ambient.sleep_ms(LOOK_MS).fuse());
        let mut woken = pin!(custodian.wakes.releases.woken().fuse());
        futures::select_biased! {
            () = woken => {}
            () = slept => {}
        }
    }
}
