//! What writes may concern whom: noted with each write, in the compartment.
//!
//! A write is compared by its terms with the plan of every subscription's criteria: too many are noted, never too
//! few. Opened and compared exactly is what the subscriber may see, when it is told.

use super::queue::Queues;
use super::rows::{Due, Kept, LOST, Noted, State, id_of};
use super::stated::Stated;
use super::{MAX_SUBSCRIPTIONS, SubscriptionId};
use crate::custodian::Custodian;
use crate::error::Error;
use crate::record::form::DELETED_MEDIA;
use codec::id::SubjectId;
use keys::Zeroizing;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use store::Store;
use vault::{NewNote, NewRecord, NodeRow, Transaction};

/// Rows that are noted and in no queue yet, one for each write and subject. The pump takes them as fast as they
/// come; where it cannot, the subscriptions are given up rather than the writes.
const MAX_DUE: usize = 10_000;
/// Rows that are removed at a time.
const PAGE: usize = 64;

/// What the node remembers of its subscriptions between writes; what is durable is in the vault.
#[derive(Default)]
pub(crate) struct Subscribed {
    watched: Mutex<Arc<Vec<Watched>>>,
    /// Rows that are noted and in no queue yet.
    pub(super) due: AtomicUsize,
    pub(super) queues: Queues,
    /// Whether it is durable that more was to be noted than is kept.
    lost: AtomicBool,
    /// Held while a subscription is changed, from counting those that there are.
    pub(super) turn: futures::lock::Mutex<()>,
}

/// What says whom new versions may concern, to be put in together with them.
#[derive(Clone, Default)]
pub(crate) struct Concerned {
    /// Of each subject.
    pub(crate) notes: Vec<NewNote>,
    /// That more was to be noted than is kept, instead.
    pub(crate) rows: Vec<NodeRow>,
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

    /// Whether writes are compared with a subscription.
    pub(super) fn watches(&self, id: &SubscriptionId) -> bool {
        self.watched().iter().any(|watched| watched.id == *id)
    }
}

impl<S: Store> Custodian<S> {
    /// Whom new versions may concern, to be put in together with these: nothing, if nobody.
    pub(crate) fn subscriptions_note<'r>(
        &self,
        puts: impl IntoIterator<Item = (&'r SubjectId, &'r [NewRecord])>,
    ) -> Concerned {
        let watched = self.subscribed.watched();
        if watched.is_empty() {
            return Concerned::default();
        }
        let (at, batch) = (self.now(), self.ambient.random());
        let mut from = 0_u32;
        let mut notes = Vec::new();
        for (subject, records) in puts {
            let items: Vec<Noted> = records
                .iter()
                .filter_map(|new| {
                    let concerned = watched.iter().filter(|watched| watched.may_match(new));
                    let of: BTreeSet<SubscriptionId> =
                        concerned.map(|watched| watched.id).collect();
                    let version = new.expect_version.saturating_add(1);
                    (!of.is_empty()).then_some(Noted {
                        record: new.record,
                        version,
                        of,
                    })
                })
                .collect();
            let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
            if count > 0 {
                let due = Due {
                    at,
                    batch,
                    from,
                    items,
                };
                from = from.saturating_add(count);
                notes.push(due.note(subject));
            }
        }
        if notes.is_empty() || self.subscriptions_lost() {
            return Concerned::default();
        }
        if self.subscribed.due.load(Ordering::Acquire) >= MAX_DUE {
            let random = self.ambient.random::<8>();
            let lost = NodeRow {
                name: [LOST, &random].concat(),
                expected: None,
                value: Some(Zeroizing::new(Vec::new())),
            };
            return Concerned {
                rows: vec![lost],
                ..Concerned::default()
            };
        }
        Concerned {
            notes,
            ..Concerned::default()
        }
    }

    /// What was noted is durable.
    pub(crate) fn subscriptions_noted(&self, noted: &Concerned) {
        if !noted.rows.is_empty() {
            self.subscribed.lost.store(true, Ordering::Release);
        }
        let (more, order) = (noted.notes.len(), Ordering::AcqRel);
        self.subscribed.due.fetch_add(more, order);
        if !noted.rows.is_empty() || more > 0 {
            self.wakes.subscriptions.wake();
        }
    }

    /// Takes up, at the start, what the vault holds.
    pub(crate) async fn subscriptions_load(&self) -> Result<(), vault::Error> {
        let due = self.vault.notes_noted(None, MAX_DUE).await?.len();
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
}
