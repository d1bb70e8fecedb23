//! Notifications of FHIR Subscriptions: what was noted with writes is sorted into queues, and told.
//!
//! One at a time for each subscription, in the order of its queue; several subscriptions at once, so that an
//! endpoint that does not answer holds up nobody else's.

use super::RETRY_MS;
use crate::custodian::Custodian;
use crate::error::Error;
use crate::fhir::SubscriptionId;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use std::collections::BTreeMap;
use std::pin::pin;
use store::Store;

/// How often what is over is looked for, ms.
const LOOK_MS: u64 = 60_000;
/// Notifications on their way at once.
const AT_ONCE: usize = 8;
/// Longer than any wait between attempts, ms: what lies further ahead was written by a clock that was wrong.
const AHEAD_MS: u64 = 2 * 3_600_000;
const TOO_MANY: &str = "too many notifications waited; begin again with status requested, and search for what \
                        was written meanwhile";

/// The queue of one subscription.
#[derive(Default)]
struct Line {
    /// Before when it is not tried, after trouble of the node's own, Unix milliseconds.
    after_ms: u64,
    is_busy: bool,
}

/// What the pump remembers; all of it can be read again.
#[derive(Default)]
struct Office {
    lines: BTreeMap<SubscriptionId, Line>,
}

type Sending<'c> = FuturesUnordered<BoxFuture<'c, (SubscriptionId, Result<(), Error>)>>;

pub(super) async fn run<S: Store>(custodian: &Custodian<S>) {
    let mut office = Office::default();
    let mut sending = Sending::new();
    loop {
        if let Err(error) = office.look(custodian).await {
            custodian.trouble("subscriptions", &error).await;
        } else if custodian.subscriptions.is_none() {
            // Those that were on know that they are not; no other can be made.
            return;
        }
        let pause_ms = office.send(custodian, &mut sending);
        let mut slept = pin!(custodian.ambient.sleep_ms(pause_ms).fuse());
        let mut woken = pin!(custodian.wakes.subscriptions.woken().fuse());
        futures::select_biased! {
            (id, done) = sending.select_next_some() => {
                if let Err(error) = &done {
                    custodian.trouble("subscriptions", error).await;
                }
                office.done(&id, done.is_ok(), custodian.ambient.now_ms());
            }
            () = woken => {}
            () = slept => {}
        }
    }
}

impl Office {
    /// Looks which subscriptions are on, and sorts what was noted.
    async fn look<S: Store>(&mut self, custodian: &Custodian<S>) -> Result<(), Error> {
        let on = custodian.subscriptions_on().await?;
        custodian.subscriptions_read(&on).await?;
        let mut over = custodian.subscriptions_queued();
        over.extend(self.lines.keys());
        for id in over.into_iter().filter(|id| !on.contains(id)) {
            self.end(custodian, &id).await?;
        }
        for id in &on {
            self.lines.entry(*id).or_default();
        }
        let mut full = custodian.subscriptions_sort(&on).await?;
        let is_lost = custodian.subscriptions_lost();
        if is_lost {
            full.extend(&on);
        }
        for id in full {
            custodian.subscription_end(&id, Some(TOO_MANY)).await?;
            self.end(custodian, &id).await?;
        }
        if is_lost {
            custodian.subscriptions_found().await?;
        }
        Ok(())
    }

    async fn end<S: Store>(
        &mut self,
        custodian: &Custodian<S>,
        id: &SubscriptionId,
    ) -> Result<(), Error> {
        custodian.subscription_purge(id).await?;
        self.lines.remove(id);
        Ok(())
    }

    /// Begins what can be told now; how long there is nothing else to do, ms.
    fn send<'c, S: Store>(
        &mut self,
        custodian: &'c Custodian<S>,
        sending: &mut Sending<'c>,
    ) -> u64 {
        let now_ms = custodian.ambient.now_ms();
        let mut pause_ms = LOOK_MS;
        for (id, line) in &mut self.lines {
            let Some(next_ms) = custodian.subscription_next(id) else {
                continue;
            };
            if line.is_busy {
                continue;
            }
            let left_ms = next_ms.max(line.after_ms).saturating_sub(now_ms);
            if left_ms > 0 && left_ms < AHEAD_MS {
                pause_ms = pause_ms.min(left_ms);
            } else if sending.len() < AT_ONCE {
                line.is_busy = true;
                let id = *id;
                let work = async move { (id, custodian.subscription_deliver(&id).await) };
                sending.push(work.boxed());
            }
        }
        pause_ms
    }

    fn done(&mut self, id: &SubscriptionId, is_done: bool, now_ms: u64) {
        let Some(line) = self.lines.get_mut(id) else {
            return;
        };
        line.is_busy = false;
        // When what could not be told is tried again is known with what waits.
        line.after_ms = match is_done {
            true => 0,
            false => now_ms.saturating_add(RETRY_MS),
        };
    }
}
