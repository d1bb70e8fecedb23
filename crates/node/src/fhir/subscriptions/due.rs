//! What writes may concern whom: noted with each write, and sorted into a queue for each subscription.
//!
//! A write is compared by its terms with the plan of every subscription's criteria: too many are noted, never too
//! few. Opened and compared exactly is what the subscriber may see, when it is told.

use super::rows::{DUE, Due, Item, Kept, LOST, Noted, QUEUE, State, id_of, queue_prefix};
use super::stated::Stated;
use super::{MAX_SUBSCRIPTIONS, SubscriptionId};
use crate::custodian::Custodian;
use crate::error::Error;
use crate::record::form::DELETED_MEDIA;
use codec::id::SubjectId;
use keys::Zeroizing;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use store::Store;
use vault::{NewRecord, NodeRow, Transaction};

/// Batches of writes that are noted and in no queue yet. The pump takes them as fast as they come; where it cannot,
/// the subscriptions are given up rather than the writes.
const MAX_DUE: usize = 10_000;
/// Batches that are sorted at a time.
const PAGE: usize = 64;
/// Rows that are looked at together to remove some.
const PURGED: usize = 1_024;
/// Versions of one batch that are sorted at a time.
const RUN: usize = 256;

/// What the node remembers of its subscriptions between writes; what is durable is in the vault.
#[derive(Default)]
pub(crate) struct Subscribed {
    watched: Mutex<Arc<Vec<Watched>>>,
    /// Batches that are noted and in no queue yet.
    due: AtomicUsize,
    /// Whether it is durable that more was to be noted than is kept.
    lost: AtomicBool,
    /// Held while a subscription is changed, from counting those that there are.
    pub(super) turn: futures::lock::Mutex<()>,
}

/// A subscription that is on, as writes are compared with it.
struct Watched {
    id: SubscriptionId,
    kind: String,
    /// Of each of these lists a resource that matches has one of the terms.
    plan: Vec<Vec<Vec<u8>>>,
}

impl Watched {
    fn may_match(&self, new: &NewRecord) -> bool {
        let has_one = |terms: &Vec<Vec<u8>>| terms.iter().any(|term| new.tokens.contains(term));
        new.kind == self.kind && new.media_type != DELETED_MEDIA && self.plan.iter().all(has_one)
    }
}

impl Subscribed {
    fn watched(&self) -> Arc<Vec<Watched>> {
        let watched = self.watched.lock();
        watched.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S: Store> Custodian<S> {
    /// Rows that say whom new versions may concern, to be put in together with these; none, if nobody.
    pub(crate) fn subscriptions_note<'r>(
        &self,
        puts: impl IntoIterator<Item = (&'r SubjectId, &'r [NewRecord])>,
    ) -> Vec<NodeRow> {
        let watched = self.subscribed.watched();
        if watched.is_empty() {
            return Vec::new();
        }
        let mut items = Vec::new();
        for (subject, records) in puts {
            for new in records {
                let concerned = watched.iter().filter(|watched| watched.may_match(new));
                let of: BTreeSet<SubscriptionId> = concerned.map(|watched| watched.id).collect();
                if !of.is_empty() {
                    let item = Item {
                        subject: *subject,
                        record: new.record,
                        version: new.expect_version.saturating_add(1),
                    };
                    items.push(Noted { item, of });
                }
            }
        }
        if items.is_empty() || self.subscriptions_lost() {
            return Vec::new();
        }
        let random = self.ambient.random::<8>();
        let (name, value) = if self.subscribed.due.load(Ordering::Acquire) >= MAX_DUE {
            ([LOST, &random].concat(), Vec::new())
        } else {
            // In the order of time.
            let at = self.now().get().to_be_bytes();
            let value = codec::to_vec(&Due { items });
            ([DUE, &at, &random].concat(), value)
        };
        vec![NodeRow {
            name,
            expected: None,
            value: Some(Zeroizing::new(value)),
        }]
    }

    /// What was noted is durable.
    pub(crate) fn subscriptions_noted(&self, rows: &[NodeRow]) {
        for row in rows {
            if row.name.starts_with(LOST) {
                self.subscribed.lost.store(true, Ordering::Release);
            } else {
                self.subscribed.due.fetch_add(1, Ordering::AcqRel);
            }
        }
        if !rows.is_empty() {
            self.wakes.subscriptions.wake();
        }
    }

    /// Takes up, at the start, what the vault holds.
    pub(crate) async fn subscriptions_load(&self) -> Result<(), vault::Error> {
        let due = self.vault.node_rows(DUE, None, MAX_DUE).await?.len();
        self.subscribed.due.store(due, Ordering::Release);
        let lost = !self.vault.node_rows(LOST, None, 1).await?.is_empty();
        self.subscribed.lost.store(lost, Ordering::Release);
        self.subscriptions_watch().await
    }

    /// Compares writes with the subscriptions that are on, from now on.
    pub(super) async fn subscriptions_watch(&self) -> Result<(), vault::Error> {
        let mut all = Vec::new();
        if self.subscriptions.is_some() {
            for (id, _, kept) in self.subscriptions_kept().await? {
                if kept.state != State::Active {
                    continue;
                }
                let Ok(stated) = Stated::read(&kept.content, &kept.base) else {
                    continue;
                };
                let Ok(query) = stated.criteria.query(&kept.base) else {
                    continue;
                };
                all.push(Watched {
                    id,
                    plan: query.plan(),
                    kind: stated.criteria.kind,
                });
            }
        }
        let watched = self.subscribed.watched.lock();
        *watched.unwrap_or_else(PoisonError::into_inner) = Arc::new(all);
        Ok(())
    }

    /// All subscriptions: id, row, and what it says.
    pub(super) async fn subscriptions_kept(
        &self,
    ) -> Result<Vec<(SubscriptionId, Zeroizing<Vec<u8>>, Kept)>, vault::Error> {
        let limit = MAX_SUBSCRIPTIONS.saturating_mul(2);
        let rows = self.vault.node_rows(super::rows::KEPT, None, limit).await?;
        let kept = rows.into_iter().filter_map(|(name, row)| {
            let kept = codec::from_slice(&row).ok()?;
            Some((id_of(&name)?, row, kept))
        });
        Ok(kept.collect())
    }

    /// Sorts what was noted into the queues of those subscriptions that are on; `waiting` says how many wait in
    /// each. Gives those that have too many.
    pub(crate) async fn subscriptions_sort(
        &self,
        waiting: &mut BTreeMap<SubscriptionId, usize>,
    ) -> Result<BTreeSet<SubscriptionId>, Error> {
        let mut full = BTreeSet::new();
        let subscriptions = self.subscriptions.as_ref();
        let most = subscriptions.map_or(0, |subscriptions| subscriptions.waiting);
        loop {
            let page = self.vault.node_rows(DUE, None, PAGE).await?;
            if page.is_empty() {
                self.subscribed.due.store(0, Ordering::Release);
                return Ok(full);
            }
            for (name, row) in page {
                // One that cannot be read is of another version of the node.
                let mut due: Due = codec::from_slice(&row).unwrap_or(Due { items: Vec::new() });
                let mut read = row;
                loop {
                    let left = due.items.split_off(due.items.len().min(RUN));
                    let run = std::mem::replace(&mut due.items, left);
                    let mut rows = Vec::new();
                    for (at, noted) in run.iter().enumerate() {
                        let number = due.items.len().saturating_add(run.len() - at);
                        for id in &noted.of {
                            let Some(queued) = waiting.get_mut(id) else {
                                continue;
                            };
                            if *queued >= most {
                                full.insert(*id);
                                continue;
                            }
                            *queued += 1;
                            rows.push(queued_row(id, &name, number, &noted.item));
                        }
                    }
                    let left = (!due.items.is_empty()).then(|| codec::to_vec(&due));
                    let left = left.map(Zeroizing::new);
                    rows.push(NodeRow {
                        name: name.clone(),
                        expected: Some(read),
                        value: left.clone(),
                    });
                    self.rows_change(rows).await?;
                    match left {
                        Some(left) => read = left,
                        None => break,
                    }
                }
                // One that is sorted before its write counted it is not counted twice.
                let less = |due: usize| Some(due.saturating_sub(1));
                let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
                self.subscribed.due.fetch_update(set, fetch, less).ok();
            }
        }
    }

    pub(super) async fn rows_change(&self, rows: Vec<NodeRow>) -> Result<(), Error> {
        let transaction = Transaction {
            rows,
            ..Transaction::default()
        };
        let mut entropy = self.ambient.entropy();
        self.vault
            .transact(&transaction, self.now(), &mut entropy)
            .await?;
        Ok(())
    }

    /// Whether more was to be noted than is kept.
    pub(crate) fn subscriptions_lost(&self) -> bool {
        self.subscribed.lost.load(Ordering::Acquire)
    }

    /// Forgets that something was lost, once every subscription was told.
    pub(crate) async fn subscriptions_found(&self) -> Result<(), Error> {
        loop {
            let rows = self.vault.node_rows(LOST, None, PAGE).await?;
            if rows.is_empty() {
                self.subscribed.lost.store(false, Ordering::Release);
                return Ok(());
            }
            let names: Vec<Vec<u8>> = rows.into_iter().map(|(name, _)| name).collect();
            self.vault.node_rows_remove(&names).await?;
        }
    }

    /// Removes all that waits for a subscription.
    pub(crate) async fn subscription_purge(&self, id: &SubscriptionId) -> Result<(), Error> {
        let prefix = queue_prefix(id);
        self.rows_purge(&prefix, |_, _| true).await?;
        let tried = super::rows::tried_name(id);
        Ok(self.vault.node_rows_remove(&[tried]).await?)
    }

    /// Removes what waits to be told of a subject.
    pub(crate) async fn subscriptions_unqueue(&self, subject: &SubjectId) -> Result<(), Error> {
        let is_of = |_: &[u8], row: &[u8]| {
            let item: Option<Item> = codec::from_slice(row).ok();
            item.is_some_and(|item| item.subject == *subject)
        };
        self.rows_purge(QUEUE, is_of).await
    }

    pub(super) async fn rows_purge(
        &self,
        prefix: &[u8],
        is_over: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self
                .vault
                .node_rows(prefix, after.as_deref(), PURGED)
                .await?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            let over = page.iter().filter(|(name, row)| is_over(name, row));
            let names: Vec<Vec<u8>> = over.map(|(name, _)| name.clone()).collect();
            self.vault.node_rows_remove(&names).await?;
        }
    }
}

/// A place in a queue: in the order in which batches were noted, and of the versions in one.
fn queued_row(id: &SubscriptionId, due: &[u8], left: usize, item: &Item) -> NodeRow {
    let noted = due.get(DUE.len()..).unwrap_or_default();
    // Counted from the end, for a batch is sorted in several runs: the more are left, the earlier.
    let left = u32::try_from(left).unwrap_or(u32::MAX);
    let place = u32::MAX.saturating_sub(left).to_be_bytes();
    NodeRow {
        name: [queue_prefix(id).as_slice(), noted, &place].concat(),
        expected: None,
        value: Some(Zeroizing::new(codec::to_vec(item))),
    }
}
