//! Telling subscribers: the reading is decided for each notification, logged durably, and only then is it sent.
//!
//! What fails is tried again, later and later; after the last attempt the subscription is given up, and says so.
//! What consent does not permit is not told of at all, and not tried again: what a family permits later is read, not
//! notified. At least once: who was told a moment before a crash is told again.

use super::queue::{Place, Read};
use super::rows::{Kept, State, Tried, Turn, Waiting};
use super::stated::Stated;
use super::{Notice, NoticePayload, SubscriptionId, Subscriptions, Unsent};
use crate::custodian::Custodian;
use crate::error::Error;
use crate::fhir::Interaction;
use crate::fhir::open::{Opened, settled};
use crate::record::form::DELETED_MEDIA;
use codec::time::Millis;
use consent::{Denial, Missing};
use futures::FutureExt;
use std::collections::BTreeSet;
use store::Store;
use vault::{Note, Posting};

/// How long one notification may take, ms, whatever delivers it.
const SEND_MS: u64 = 30_000;
/// The longest wait between two attempts, ms.
const LONGEST_WAIT_MS: u64 = 3_600_000;

/// How long what needs the ledger waits for it, ms.
const NO_LEDGER_WAIT_MS: u64 = 60_000;

/// The first that waits for a subscription, as it was opened.
struct First {
    turn: Turn,
    row: Note,
    waiting: Waiting,
}

impl<S: Store> Custodian<S> {
    /// The subscriptions that are on; ends those whose time is over, or that may not go on.
    pub(crate) async fn subscriptions_on(&self) -> Result<BTreeSet<SubscriptionId>, Error> {
        let mut on = BTreeSet::new();
        for (id, _, kept) in self.subscriptions_kept().await? {
            if kept.state != State::Active {
                continue;
            }
            match self.subscription_over(&kept) {
                Some(error) => self.subscription_end(&id, error).await?,
                None => {
                    on.insert(id);
                }
            }
        }
        Ok(on)
    }

    /// Whether a subscription is to end, and why, if it is given up.
    fn subscription_over(&self, kept: &Kept) -> Option<Option<&'static str>> {
        if kept.until <= self.facts().at() {
            return Some(None);
        }
        let Some(subscriptions) = &self.subscriptions else {
            return Some(Some("this node takes no subscriptions any more"));
        };
        let restored = self.vault.restored();
        if restored.is_some_and(|restored| kept.updated < restored.at) {
            return Some(Some(
                "this node was restored from a backup; what came after it was not notified",
            ));
        }
        let notifier = &subscriptions.notifier;
        if let Some(credential) = &kept.credential
            && !notifier.knows(credential)
        {
            return Some(Some("the token that it was made with is not good any more"));
        }
        match Stated::read(&kept.content, &kept.base) {
            Ok(stated) if notifier.refuses(&stated.endpoint).is_none() => None,
            Ok(_) => Some(Some("its endpoint is not among those that this node lists")),
            Err(_) => Some(Some("this version of the node does not take it any more")),
        }
    }

    /// Tells a subscriber of the first that waits.
    pub(crate) async fn subscription_deliver(&self, id: &SubscriptionId) -> Result<(), Error> {
        let Some(subscriptions) = &self.subscriptions else {
            return Ok(());
        };
        let kept = match self.subscription(id).await? {
            Some((kept, _)) if kept.state == State::Active => kept,
            _ => return Ok(()),
        };
        if let Some(error) = self.subscription_over(&kept) {
            return self.subscription_end(id, error).await;
        }
        let Some((turn, place)) = self.subscribed.queues.first(id) else {
            return Ok(());
        };
        let Some(first) = self.subscription_first(turn, &place).await? else {
            self.subscribed.queues.remove(id, &[turn]);
            return Ok(());
        };
        let notice = self.notice(&kept, &first).await;
        let failure = match notice {
            Ok(None) => None,
            Ok(Some(notice)) => match self.notice_sent(subscriptions, notice).await {
                Ok(()) => {
                    self.counters.notifications.up();
                    None
                }
                Err(unsent) => Some(Failure::Unsent(unsent)),
            },
            Err(Error::Denied { denial, .. }) => passing(&denial),
            Err(Error::OutOfScope) => {
                let gone = "whom it is confined to is not here any more";
                return self.subscription_end(id, Some(gone)).await;
            }
            Err(error) => return Err(error),
        };
        match failure {
            None => self.subscription_told(&first).await,
            Some(failure) => {
                self.subscription_failed(&kept, subscriptions, first, failure)
                    .await
            }
        }
    }

    /// The first of a queue; none, if there is nothing to be told of it any more. What it leaves is removed.
    async fn subscription_first(&self, turn: Turn, place: &Place) -> Result<Option<First>, Error> {
        let Some(row) = self.vault.note(&place.row).await? else {
            return Ok(None);
        };
        match self.note_read(&row).await? {
            Read::Row(read) => {
                let waiting = codec::from_slice(&read).map_err(|_| super::rows::damaged())?;
                Ok(Some(First { turn, row, waiting }))
            }
            Read::Erased => {
                self.vault.notes_remove(&[place.row]).await?;
                Ok(None)
            }
            Read::Damaged => Ok(None),
        }
    }

    /// The first of a queue is done with.
    async fn subscription_told(&self, first: &First) -> Result<(), Error> {
        self.vault.notes_remove(&[first.row.place]).await?;
        let queues = &self.subscribed.queues;
        queues.remove(&first.waiting.of, &[first.turn]);
        Ok(())
    }

    /// What a subscriber is to be told of a version; nothing, if it does not match or may not be seen.
    async fn notice(&self, kept: &Kept, first: &First) -> Result<Option<Notice>, Error> {
        let stated = Stated::read(&kept.content, &kept.base)?;
        let posting = Posting {
            subject: *first.row.place.subject(),
            record: first.waiting.record,
            version: first.waiting.version,
        };
        let (subject, record) = (&posting.subject, &posting.record);
        let meta = self.vault.record_meta(subject, record, None);
        match meta.await {
            // Of what was deleted since, nobody is told that it was there.
            Ok(meta) if meta.media_type == DELETED_MEDIA => return Ok(None),
            Ok(_) => {}
            Err(
                vault::Error::SubjectErased
                | vault::Error::SubjectUnknown
                | vault::Error::RecordUnknown(_),
            ) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let query = stated.criteria.query(&kept.base);
        let query = query.map_err(crate::fhir::search::refused)?;
        let asker = kept.asker().ok_or(Error::OutOfScope)?;
        let (told, _) = settled!(self, &asker, "fhir-subscription", |reading| {
            if reading.reaches(&posting.subject) {
                reading.refused(&posting.subject).await?;
                // By its scopes the software could find it, and read it.
                let found = reading.open_for(&posting, Interaction::Search).await?;
                let read = reading.open_for(&posting, Interaction::Read).await?;
                match read.filter(|_| found.is_some()) {
                    Some(opened)
                        if !opened.is_deleted
                            && query.matches(&opened.parsed()?, opened.updated_ms) =>
                    {
                        reading.serve(&opened);
                        Ok(Some(opened))
                    }
                    _ => Ok(None),
                }
            } else {
                Ok(None)
            }
        })?;
        // INVARIANT: the disclosure is durable from here on.
        Ok(told.map(|opened| stated.notice(opened)))
    }

    async fn notice_sent(
        &self,
        subscriptions: &Subscriptions,
        notice: Notice,
    ) -> Result<(), Unsent> {
        let mut sending = subscriptions.notifier.send(notice).fuse();
        let timeout = self.ambient.sleep_ms(SEND_MS).fuse();
        futures::pin_mut!(timeout);
        futures::select_biased! {
            sent = sending => sent,
            () = timeout => Err(Unsent::Unreachable),
        }
    }

    /// Notes that the first of a queue could not be told, and what becomes of it after the last attempt.
    async fn subscription_failed(
        &self,
        kept: &Kept,
        subscriptions: &Subscriptions,
        mut first: First,
        failure: Failure,
    ) -> Result<(), Error> {
        let id = first.waiting.of;
        let before = first.waiting.tried.as_ref();
        let before = before.filter(|tried| tried.of == kept.version);
        let mut failed = before.map_or(0, |tried| tried.failed);
        let random = u64::from_le_bytes(self.ambient.random());
        let wait_ms = match failure {
            // Nobody's attempt: it goes on when the ledger is there again.
            Failure::NoLedger => wait_ms(NO_LEDGER_WAIT_MS, 1, random),
            Failure::Unsent(_) | Failure::Undecided => {
                self.counters.notifications_failed.up();
                failed = failed.saturating_add(1);
                wait_ms(subscriptions.first_wait_ms, failed, random)
            }
        };
        match failure {
            Failure::Unsent(why) if failed >= subscriptions.attempts => {
                let error = format!(
                    "{why}; given up after {failed} attempts. Send status requested to begin again, and search \
                     for what was written meanwhile"
                );
                return self.subscription_end(&id, Some(&error)).await;
            }
            // Of one subject: what is told of others is not held up by it for ever.
            Failure::Undecided if failed >= subscriptions.attempts => {
                return self.subscription_told(&first).await;
            }
            Failure::Unsent(_) | Failure::Undecided | Failure::NoLedger => {}
        }
        let next = Millis::new(self.ambient.now_ms()).saturating_add(wait_ms);
        first.waiting.tried = Some(Tried {
            of: kept.version,
            failed,
            next,
        });
        let (row, mut entropy) = (first.waiting.row(), self.ambient.entropy());
        match self.vault.note_put(&first.row, &row, &mut entropy).await {
            // It may be gone meanwhile, with its subscription or its subject: nothing is put off then.
            Ok(_) | Err(vault::Error::SubjectErased) => {}
            Err(error) => return Err(error.into()),
        }
        self.subscribed.queues.put_off(&id, &first.turn, next);
        Ok(())
    }
}

impl Stated {
    /// What is sent of a resource.
    fn notice(self, opened: Opened) -> Notice {
        let payload = self.with_payload.then(|| NoticePayload {
            place: format!("{}/{}", opened.kind, opened.id()),
            content: opened.content,
        });
        Notice {
            endpoint: self.endpoint,
            headers: self.headers,
            payload,
        }
    }
}

/// Why a notification is put off.
#[derive(Clone, Copy)]
enum Failure {
    /// It did not arrive.
    Unsent(Unsent),
    /// This node does not see the ledger.
    NoLedger,
    /// The subject's consent here is not what the ledger has.
    Undecided,
}

/// Whether a refusal says that it cannot be decided now, rather than that it is not permitted.
fn passing(denial: &Denial) -> Option<Failure> {
    let has = |passes: fn(&Missing) -> bool| denial.missing.iter().any(passes);
    if has(|missing| matches!(missing, Missing::LedgerStale(_))) {
        return Some(Failure::NoLedger);
    }
    has(|missing| matches!(missing, Missing::OpeningMismatch | Missing::NotOnLedgerYet))
        .then_some(Failure::Undecided)
}

/// How long to wait after so many failures: twice as long each time, half of it by chance.
fn wait_ms(first_ms: u64, failed: u32, random: u64) -> u64 {
    let doublings = failed.saturating_sub(1).min(32);
    let whole = first_ms.saturating_mul(1 << doublings);
    let half = whole.clamp(2, LONGEST_WAIT_MS) / 2;
    half.saturating_add(random % half.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_WAIT_MS, wait_ms};

    #[test]
    fn waits_double_up_to_an_hour_and_differ() {
        for (failed, whole) in [(1, 1_000), (2, 2_000), (5, 16_000), (40, LONGEST_WAIT_MS)] {
            assert_eq!(wait_ms(1_000, failed, 0), whole / 2);
            assert_eq!(wait_ms(1_000, failed, whole / 2), whole);
            let some = wait_ms(1_000, failed, 12_345_678_901);
            assert!((whole / 2..=whole).contains(&some), "{some}");
        }
    }
}
